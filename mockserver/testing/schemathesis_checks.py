"""The contract as a check of Schemathesis: its users enable it by one line.

    export SCHEMATHESIS_HOOKS=mockserver.testing.schemathesis_checks

or, in hooks of their own, `import mockserver.testing.schemathesis_checks`. Answers of `POST …/responses` are
then judged as everywhere here: their shapes, and of streams also the numbering, the order, the texts and how
they fit their request. Schemathesis reads no more than `max-stream-events` of a stream: set it higher than
your streams are long, and their ends are judged too. MOCKSERVER_PROFILE names the profile to judge by;
without it, the answer's marks tell.
"""

from __future__ import annotations

import os
from typing import Any

import schemathesis

from mockserver.contract.check import check_error, check_response, check_stream
from mockserver.contract.detection import detect_profile
from mockserver.contract.findings import Finding, errors
from mockserver.errors import ContractError

__all__ = ["responses_contract"]


@schemathesis.check
def responses_contract(
    ctx: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case[Any]
) -> None:
    """ContractError where an answer of the Responses API breaks the contract."""
    request = response.request
    if request.method != "POST" or not str(request.url).split("?")[0].endswith("/responses"):
        return
    broken = errors(_findings(response, request.body))
    if broken:
        raise ContractError(broken)


#: What a stream that its reader has stopped reading breaks, and only for that.
_END_OF_STREAM_RULES = frozenset({"SEQ-006", "SSE-003"})


def _stopped_early(response: schemathesis.Response) -> bool:
    """Whether Schemathesis has read as many events as it reads at the most (`max-stream-events`)."""
    return bool(getattr(response, "stream_cut_short", False))  # since Schemathesis 4.32


def _findings(response: schemathesis.Response, request_body: Any) -> list[Finding]:
    body = response.content
    profile = os.environ.get("MOCKSERVER_PROFILE") or detect_profile(body).profile
    if response.status_code >= 400:
        return check_error(body, profile, response.status_code)
    request = request_body.encode() if isinstance(request_body, str) else request_body
    kinds = response.headers.get("content-type") or [""]
    if kinds[0].startswith("text/event-stream"):
        found = check_stream(body, profile, request)
        return (
            [each for each in found if each.rule not in _END_OF_STREAM_RULES]
            if _stopped_early(response)
            else found
        )
    return check_response(body, profile, request)
