"""The HTTP handlers of the service's operations, by their names in the contract."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any, TypeAlias

from mockserver.contract.operations import OPERATIONS
from mockserver.server.delivery.faults import RequestedFault, ServiceFault
from mockserver.server.errors import ApiError
from mockserver.server.http.reply_delivery import json_headers
from mockserver.server.http.requests import Handler, HttpRequest, derive_request_id, fault_for_request
from mockserver.server.http.responses_endpoint import create_response
from mockserver.server.http.transmission import send_body
from mockserver.server.mock_headers import EXTENSION_HEADER, FAULT_HEADER
from mockserver.server.operations import compaction, conversations, stored_responses
from mockserver.server.operations.validated_bodies import read_validated_body
from mockserver.server.state.journal import EntryDetails
from mockserver.wire import json

__all__ = ["OPERATION_HANDLERS"]

Operation: TypeAlias = Callable[[HttpRequest], Awaitable[Any]]


def _json_handler(name: str, operation: Operation) -> Handler:
    """Return a handler that sends the JSON value of an operation.

    An error, whatever its reason, does not excuse the request: the journal has the findings in its body.
    """
    schema_name = OPERATIONS[name].request_schema

    async def handle(request: HttpRequest) -> None:
        request.services.keys.check(request.headers.get(b"authorization"), request.session.profile.wrong_key)
        if schema_name is None:
            request.findings = ()
        try:
            await _raise_fault(request)
        except ApiError:
            if schema_name is not None:
                with suppress(ApiError):
                    await read_validated_body(request, schema_name)
            raise
        body = json.dumps(await operation(request))
        request_id = await derive_request_id(request, "200")
        head = json_headers(request, request_id)
        if name not in request.session.profile.operations:
            head.append((EXTENSION_HEADER, name.encode()))
        details = EntryDetails(request_findings=request.findings or ())
        request.record(200, (body,), False, request_id, details)
        request.response_started = True
        await send_body(request.send, 200, head, body)

    return handle


async def _raise_fault(request: HttpRequest) -> None:
    """Raise the ApiError of a fault for this request, if there is one."""
    fault = await fault_for_request(request)
    if fault is not None and (isinstance(fault.definition, ServiceFault) or FAULT_HEADER in request.headers):
        raise _error_from_fault(fault)


def _error_from_fault(fault: RequestedFault) -> ApiError:
    """Return the error for a fault in an operation that creates no response: only service errors apply."""
    if isinstance(fault.definition, ServiceFault):
        return fault.definition.to_api_error(headers=fault.headers)
    return ApiError(400, "InvalidParameter", f"x-mock-fault: {fault.name} applies only to responses.")


_OPERATIONS: Mapping[str, Operation] = {
    "compactResponse": compaction.compact_response,
    "retrieveResponse": stored_responses.retrieve_response,
    "deleteResponse": stored_responses.delete_response,
    "listInputItems": stored_responses.list_input_items,
    "createConversation": conversations.create_conversation,
    "retrieveConversation": conversations.retrieve_conversation,
    "updateConversation": conversations.update_conversation,
    "deleteConversation": conversations.delete_conversation,
    "createItems": conversations.create_items,
    "listItems": conversations.list_items,
    "retrieveItem": conversations.retrieve_item,
    "deleteItem": conversations.delete_item,
    "listModels": stored_responses.list_models,
}

OPERATION_HANDLERS: Mapping[str, Handler] = MappingProxyType(
    {"createResponse": create_response}
    | {name: _json_handler(name, operation) for name, operation in _OPERATIONS.items()}
)
"""Handlers by the operation's name in `contract.operations`."""
