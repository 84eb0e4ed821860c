"""The contract as a check of Schemathesis: its users enable it by one line.

    export SCHEMATHESIS_HOOKS=mockserver.testing.schemathesis_checks

or, in hooks of their own, `import mockserver.testing.schemathesis_checks`. Answers of `POST …/responses` are
then judged as everywhere here: their shapes, and of streams also the numbering, the order, the texts and how
they fit their request. MOCKSERVER_PROFILE names the profile to judge by; without it, the answer's marks tell.
"""

from __future__ import annotations

import os
from typing import Any

import schemathesis

from mockserver.contract.check import check_error, check_response, check_stream
from mockserver.contract.findings import Finding, errors
from mockserver.contract.marks import choose_profile
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


def _findings(response: schemathesis.Response, asked: Any) -> list[Finding]:
    body = response.content
    profile = os.environ.get("MOCKSERVER_PROFILE") or choose_profile(body).profile
    if response.status_code >= 400:
        return check_error(body, profile, response.status_code)
    request = asked.encode() if isinstance(asked, str) else asked
    kinds = response.headers.get("content-type") or [""]
    if kinds[0].startswith("text/event-stream"):
        return check_stream(body, profile, request)
    return check_response(body, profile, request)
