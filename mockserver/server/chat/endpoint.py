"""The endpoint of Chat Completions, handled like that of Responses but for the wording of errors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mockserver.contract.findings import Finding
from mockserver.server.chat.errors import can_break_chat, chat_error_from_fault, method_not_allowed
from mockserver.server.chat.pipeline import check_chat_body, respond_chat
from mockserver.server.delivery.faults import RequestedFault, ServiceFault
from mockserver.server.engine.rendered_replies import RenderedReply
from mockserver.server.errors import ApiError
from mockserver.server.http.requests import Handler, HttpRequest, fault_for_request, requested_scenario
from mockserver.server.http.responses_endpoint import delivery_of_passed_on, reply_handler
from mockserver.server.mock_headers import FAULT_HEADER

__all__ = ["chat_completions"]


async def chat_completions(request: HttpRequest) -> None:
    """`POST …/chat/completions`; ApiError 405 for other methods."""
    method = request.scope["method"]
    if method != "POST":
        raise method_not_allowed(method)
    await _create(request)


async def _make_reply(request: HttpRequest) -> RenderedReply:
    session, path = request.session, request.scope["path"]
    fault = await fault_for_request(request) if request.services.mock_headers or session.faults else None
    if fault is not None and isinstance(fault.definition, ServiceFault):
        raise chat_error_from_fault(fault)
    scenario = requested_scenario(request)
    try:
        reply = await respond_chat(session, path, request.body, request.headers, scenario)
    except ApiError as error:
        if request.services.passes_on(error):
            delivery = await delivery_of_passed_on(request, error.delivery, fault)
            error.delivery = replace(delivery, fault=_supported_fault(request, delivery.fault))
        raise
    stub_fault = reply.delivery.fault
    if fault is None and stub_fault is not None:
        fault = await session.fault_if_due(stub_fault, path, request.body)
    fault = _supported_fault(request, fault)
    if fault is stub_fault:
        return reply
    return reply._replace(delivery=replace(reply.delivery, fault=fault))


def _supported_fault(request: HttpRequest, fault: RequestedFault | None) -> RequestedFault | None:
    """The fault, if Chat Completions has it; ApiError 400 if this request or its stub asks for another."""
    if fault is None or can_break_chat(fault):
        return fault
    if FAULT_HEADER not in request.headers and fault in request.session.faults:
        return None  # a fault for all requests skips the replies that it does not apply to
    raise ApiError(400, "InvalidParameter", f"fault: {fault.name} applies to the Responses API only.")


async def _check_body(request: HttpRequest, body: Any) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
    return check_chat_body(request.session, body)


_create: Handler = reply_handler(_make_reply, _check_body)
