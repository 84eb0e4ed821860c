"""What Schemathesis is told beside the OpenAPI document; loaded by its process.

A request may fit its schema and be refused all the same: for what a schema does not say (a tool that
needs another) or can not know (an id that never was). That is a reason only where the judge names it.
"""

from __future__ import annotations

import json
from typing import Any

import schemathesis

from mockserver.contract.check import check_request
from mockserver.contract.findings import errors


@schemathesis.check
def refused_for_a_reason(
    ctx: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case[Any]
) -> None:
    """A 400 to JSON has an error finding, or an id that is not known."""
    kind = case.headers.get("content-type", case.media_type or "")
    if response.status_code != 400 or not str(kind).startswith("application/json"):
        return
    sent: Any = response.request.body or b""
    body = sent if isinstance(sent, bytes) else sent.encode()
    if errors(check_request(body)):
        return
    previous = json.loads(body).get("previous_response_id")
    assert previous is not None, response.text
    assert response.json()["message"] == f"Response with id '{previous}' not found."
