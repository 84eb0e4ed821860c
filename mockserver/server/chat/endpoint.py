"""The endpoint of Chat Completions: the same door as that of Responses, but for its words."""

from __future__ import annotations

from dataclasses import replace

from mockserver.server.chat.errors import can_break_chat, chat_error_from_fault, method_not_allowed
from mockserver.server.chat.pipeline import respond_chat
from mockserver.server.delivery.faults import RequestedFault, ServiceFault
from mockserver.server.engine.pipeline import RenderedReply
from mockserver.server.errors import ApiError
from mockserver.server.http.responses_endpoint import (
    Handler,
    HttpRequest,
    fault_for_request,
    reply_handler,
    requested_scenario,
)
from mockserver.server.mock_headers import FAULT_HEADER

__all__ = ["chat_completions"]


async def chat_completions(request: HttpRequest) -> None:
    """`POST …/chat/completions`; any other method is refused."""
    method = request.scope["method"]
    if method != "POST":
        raise method_not_allowed(method)
    await _create(request)


async def _make_reply(request: HttpRequest) -> RenderedReply:
    session, path = request.session, request.scope["path"]
    fault = fault_for_request(request)
    if fault is not None and isinstance(fault.definition, ServiceFault):
        raise chat_error_from_fault(fault)
    scenario = requested_scenario(request)
    answer = respond_chat(session, path, request.body, request.headers, scenario)
    if fault is None and answer.delivery.fault is not None:
        fault = session.fault_if_due(answer.delivery.fault, path, request.body)
    return answer._replace(delivery=replace(answer.delivery, fault=_supported_fault(request, fault)))


def _supported_fault(request: HttpRequest, fault: RequestedFault | None) -> RequestedFault | None:
    """The fault, if it can break an answer of this API; ApiError 400 where it was asked for and can not."""
    if fault is None or can_break_chat(fault):
        return fault
    if FAULT_HEADER not in request.headers and fault in request.session.faults:
        return None  # in force for all requests: this one's answer has no place for it
    raise ApiError(400, "InvalidParameter", f"fault: {fault.name} breaks responses alone.")


_create: Handler = reply_handler(_make_reply)
