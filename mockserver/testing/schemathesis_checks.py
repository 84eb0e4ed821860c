"""The contract as a check for Schemathesis.

One line enables it:

    export SCHEMATHESIS_HOOKS=mockserver.testing.schemathesis_checks

or, in hooks of your own, `import mockserver.testing.schemathesis_checks`. It checks replies of
`POST …/responses` as everywhere else: their schema and, for streams, their numbering, order, texts and how
they fit the request. Schemathesis reads no more than `max-stream-events` events of a stream; set it higher
than your streams are long to have their ends checked too. MOCKSERVER_PROFILE selects the profile; without it
the reply's signals decide.
"""

from __future__ import annotations

import os
from typing import Any

from mockserver.contract.check import check_error, check_response, check_stream
from mockserver.contract.detection import detect_profile
from mockserver.contract.findings import Finding, errors
from mockserver.errors import ContractError, optional_packages

with optional_packages():
    import schemathesis

__all__ = ["responses_contract"]


@schemathesis.check
def responses_contract(
    ctx: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case[Any]
) -> None:
    """Raise ContractError if a reply of the Responses API has contract violations."""
    request = response.request
    if request.method != "POST" or not str(request.url).split("?")[0].endswith("/responses"):
        return
    violations = errors(_findings(response, request.body))
    if violations:
        raise ContractError(violations)


#: Rules that a stream breaks only because its reader stopped early.
_END_OF_STREAM_RULES = frozenset({"SEQ-006", "SSE-003"})


def _stopped_early(response: schemathesis.Response) -> bool:
    """Whether Schemathesis stopped at its limit of events (`max-stream-events`)."""
    return bool(getattr(response, "stream_cut_short", False))  # since Schemathesis 4.32


def _findings(response: schemathesis.Response, request_body: Any) -> list[Finding]:
    body = response.content
    profile = os.environ.get("MOCKSERVER_PROFILE") or detect_profile(body).profile
    if response.status_code >= 400:
        return check_error(body, profile, response.status_code)
    request = request_body.encode() if isinstance(request_body, str) else request_body
    content_types = response.headers.get("content-type") or [""]
    if content_types[0].startswith("text/event-stream"):
        findings = check_stream(body, profile, request)
        if _stopped_early(response):
            return [each for each in findings if each.rule not in _END_OF_STREAM_RULES]
        return findings
    return check_response(body, profile, request)
