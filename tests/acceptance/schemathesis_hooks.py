"""Hooks that Schemathesis loads in addition to the OpenAPI document.

A request can be valid under its schema and still be refused, for something that the schema does not say (a tool
that needs another one) or cannot know (an unknown id). Only reasons that a check names are accepted.
"""

from __future__ import annotations

import json
import os
from typing import Any

import schemathesis

from mockserver.contract.chat.check import check_chat_request
from mockserver.contract.check import check_body
from mockserver.contract.findings import errors
from mockserver.contract.openapi.chat import CHAT_OPERATION_ID
from mockserver.contract.operations import OPERATIONS
from mockserver.profiles import load_profile

PROFILE = load_profile(os.environ["SCHEMATHESIS_PROFILE"])

#: Errors that no schema can express: an unknown id, and a schema without valid values.
UNSCHEMATIC_REASONS = (
    "Cannot generate a message",
    "Cannot generate arguments",
    "The function '",
    "text.format asks",
)

#: The error for outputs that do not answer the calls of a stored turn, which only the server knows.
WRONG_CALL_ID = (
    '<400> InternalError.Algo.InvalidParameter: messages with role "tool" must be a response to a '
)


@schemathesis.check
def refused_for_a_reason(
    ctx: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case[Any]
) -> None:
    """A 400 for a JSON body has an error finding, or a reason that no schema can express."""
    kind = case.headers.get("content-type", case.media_type or "")
    if response.status_code != 400 or not str(kind).startswith("application/json"):
        return
    sent: Any = response.request.body or b""
    body = sent if isinstance(sent, bytes) else sent.encode()
    name = case.operation.definition.raw["operationId"]
    if name == CHAT_OPERATION_ID:
        message = response.json()["error"]["message"]
        assert errors(check_chat_request(body, PROFILE)) or message.startswith(UNSCHEMATIC_REASONS), (
            response.text
        )
        return
    if errors(check_body(body, OPERATIONS[name].request_schema or "", PROFILE)):
        return
    message = response.json()["message"]
    request = json.loads(body)
    ids = {
        f"Not found previous_response_id: {request.get('previous_response_id')}",
        f"Conversation with id '{request.get('conversation')}' not found.",
    }
    continues = "previous_response_id" in request or "conversation" in request
    is_wrong_call_id = continues and message.startswith(WRONG_CALL_ID)
    assert message in ids or is_wrong_call_id or message.startswith(UNSCHEMATIC_REASONS), response.text
