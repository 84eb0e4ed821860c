"""The HTTP handlers of the service's operations, by their names in the contract."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any

from mockserver.server.delivery.faults import RequestedFault, ServiceFault
from mockserver.server.errors import ApiError
from mockserver.server.http.requests import Handler, HttpRequest, derive_request_id, fault_for_request
from mockserver.server.http.responses_endpoint import create_response
from mockserver.server.http.transmission import Headers, send_body
from mockserver.server.mock_headers import FAULT_HEADER
from mockserver.server.operations import compaction, conversations, stored_responses
from mockserver.server.state.journal import EntryDetails
from mockserver.wire import json

__all__ = ["OPERATION_HANDLERS"]


def _json_handler(operation: Callable[[HttpRequest], Awaitable[Any]]) -> Handler:
    """Return a handler that sends the JSON value of an operation."""

    async def handle(request: HttpRequest) -> None:
        request.services.keys.check(request.headers.get(b"authorization"), request.session.profile.wrong_key)
        fault = fault_for_request(request)
        if fault is not None and (
            isinstance(fault.definition, ServiceFault) or FAULT_HEADER in request.headers
        ):
            raise _error_from_fault(fault)
        body = json.dumps(await operation(request))
        request_id = derive_request_id(request, "200")
        head: Headers = [
            (b"content-type", b"application/json"),
            (b"x-request-id", request_id.encode()),
            (b"date", request.services.date_header(request.session)),
        ]
        request.record(200, (body,), False, EntryDetails(request_id, request_findings=request.findings))
        request.response_started = True
        await send_body(request.send, 200, head, body)

    return handle


def _error_from_fault(fault: RequestedFault) -> ApiError:
    """Return the error for a fault in an operation that creates no response: only service errors apply."""
    if isinstance(fault.definition, ServiceFault):
        return fault.definition.to_api_error(headers=fault.headers)
    return ApiError(400, "InvalidParameter", f"x-mock-fault: {fault.name} applies only to responses.")


OPERATION_HANDLERS: Mapping[str, Handler] = MappingProxyType(
    {
        "createResponse": create_response,
        "compactResponse": _json_handler(compaction.compact_response),
        "retrieveResponse": _json_handler(stored_responses.retrieve_response),
        "deleteResponse": _json_handler(stored_responses.delete_response),
        "listInputItems": _json_handler(stored_responses.list_input_items),
        "createConversation": _json_handler(conversations.create_conversation),
        "retrieveConversation": _json_handler(conversations.retrieve_conversation),
        "updateConversation": _json_handler(conversations.update_conversation),
        "deleteConversation": _json_handler(conversations.delete_conversation),
        "createItems": _json_handler(conversations.create_items),
        "listItems": _json_handler(conversations.list_items),
        "retrieveItem": _json_handler(conversations.retrieve_item),
        "deleteItem": _json_handler(conversations.delete_item),
        "listModels": _json_handler(stored_responses.list_models),
    }
)
"""Handlers by the operation's name in `contract.operations`."""
