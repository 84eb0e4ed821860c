"""Handlers of the service's operations, by the names that the contract has for them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any

from mockserver.server import compacting, stored, talks
from mockserver.server.endpoint import Handler, Request, asked_fault, create_response, drawn_id
from mockserver.server.envelopes import ApiError
from mockserver.server.faults import FAULT_HEADER, AskedFault, Fault
from mockserver.server.journal import About
from mockserver.server.transmit import Headers, send_body
from mockserver.wire import json

__all__ = ["HANDLERS"]


def _answering(handle: Callable[[Request], Awaitable[Any]]) -> Handler:
    """The handler that answers with the JSON value which `handle` gives."""

    async def answer(request: Request) -> None:
        request.services.keys.check(request.headers.get(b"authorization"), request.session.profile.wrong_key)
        fault = asked_fault(request)
        if fault is not None and (isinstance(fault.what, Fault) or FAULT_HEADER in request.headers):
            raise _refusal(fault)
        body = json.dumps(await handle(request))
        request_id = drawn_id(request, "200")
        head: Headers = [
            (b"content-type", b"application/json"),
            (b"x-request-id", request_id.encode()),
            (b"date", request.services.date(request.session)),
        ]
        request.note(200, (body,), False, About(request_id))
        request.started = True
        await send_body(request.send, 200, head, body)

    return answer


def _refusal(fault: AskedFault) -> ApiError:
    """The fault as it comes where no response is made: only errors of the service do."""
    if isinstance(fault.what, Fault):
        return fault.what.refusal(headers=fault.headers)
    return ApiError(400, "InvalidParameter", f"x-mock-fault: {fault.name} breaks responses alone.")


HANDLERS: Mapping[str, Handler] = MappingProxyType(
    {
        "createResponse": create_response,
        "compactResponse": _answering(compacting.compact_response),
        "retrieveResponse": _answering(stored.retrieve_response),
        "deleteResponse": _answering(stored.delete_response),
        "listInputItems": _answering(stored.list_input_items),
        "createConversation": _answering(talks.create_conversation),
        "retrieveConversation": _answering(talks.retrieve_conversation),
        "updateConversation": _answering(talks.update_conversation),
        "deleteConversation": _answering(talks.delete_conversation),
        "createItems": _answering(talks.create_items),
        "listItems": _answering(talks.list_items),
        "retrieveItem": _answering(talks.retrieve_item),
        "deleteItem": _answering(talks.delete_item),
        "listModels": _answering(stored.list_models),
    }
)
"""What answers each operation of `contract.operations`."""
