"""Sending a rendered reply: its headers, its faults and timing, and its journal entry."""

from __future__ import annotations

from dataclasses import replace

from mockserver.errors import ConfigurationError
from mockserver.server.delivery.faults import OutgoingReply, RequestedFault
from mockserver.server.delivery.options import DEFAULT_DELIVERY, Delivery, apply_fault, apply_timing
from mockserver.server.delivery.steps import Raw
from mockserver.server.delivery.steps import Send as SendStep
from mockserver.server.engine.rendered_replies import RenderedReply
from mockserver.server.errors import ApiError
from mockserver.server.http.requests import (
    HttpRequest,
    derive_request_id,
    json_object,
    parse_delay,
)
from mockserver.server.http.transmission import Headers, send_body, send_pieces, send_steps
from mockserver.server.mock_headers import DELAY_HEADER, FAULT_HEADER
from mockserver.server.state.journal import EntryDetails, SendTimes
from mockserver.wire import json

__all__ = ["json_headers", "send_delivered", "send_json", "send_reply"]

_JSON_CONTENT_TYPE = (b"content-type", b"application/json")
#: As recorded on the service's hosts (2026).
_EVENT_STREAM_CONTENT_TYPE = (b"content-type", b"text/event-stream;charset=UTF-8")


def json_headers(request: HttpRequest, request_id: str) -> Headers:
    """The headers of a JSON body."""
    return [
        _JSON_CONTENT_TYPE,
        (b"x-request-id", request_id.encode()),
        (b"date", request.services.date_header(request.session)),
    ]


async def send_json(request: HttpRequest, value: object) -> None:
    """Send a JSON value with status 200, without a journal entry."""
    head = json_headers(request, derive_request_id(request, "200"))
    await send_body(request.send, 200, head, json.dumps(value))


async def send_reply(request: HttpRequest, reply: RenderedReply) -> None:
    """Send a reply as its stub, or else the session, delivers it."""
    services, session = request.services, request.session
    if services.mock_headers and DELAY_HEADER in request.headers:
        request.timer = timer = session.new_timer()
        await timer.pause(parse_delay(request.headers[DELAY_HEADER]))
    head = [
        _EVENT_STREAM_CONTENT_TYPE if reply.stream else _JSON_CONTENT_TYPE,
        (b"x-request-id", reply.details.request_id.encode()),
        (b"date", services.date_header(session)),
    ]
    if reply.fault_name:
        head.append((FAULT_HEADER, reply.fault_name.encode()))
    delivery = (
        session.delivery
        if reply.delivery is DEFAULT_DELIVERY
        else reply.delivery.with_defaults(session.delivery)
    )
    if delivery is not DEFAULT_DELIVERY and not delivery.is_immediate:
        await send_delivered(request, reply, head, delivery)
        return
    if reply.steps:
        own = [*reply.headers, *head[1:]] if reply.headers else head
        outgoing = OutgoingReply(reply.status, tuple(own), reply.steps, reply.stream)
        await _send_outgoing(request, outgoing, reply.pieces, reply.details)
        return
    request.record(reply.status, reply.pieces, reply.stream, reply.details)
    request.response_started = True
    if reply.stream:
        await send_pieces(request.send, 200, head, reply.pieces)
    else:
        await send_body(request.send, reply.status, head, reply.pieces[0])


async def send_delivered(
    request: HttpRequest, reply: RenderedReply, head: Headers, delivery: Delivery
) -> None:
    """Send a reply with faults, chunking or pacing; the journal has the bytes that are really sent."""
    details = reply.details
    left = bool(delivery.delay_ms) and await _leaves_within(request, delivery.delay_ms / 1000)
    own = [*reply.headers, *head[1:]] if reply.headers else head
    steps = reply.steps or tuple(SendStep(piece) for piece in reply.pieces)
    outgoing = OutgoingReply(reply.status, tuple(own), steps, reply.stream)
    if delivery.fault is not None:
        outgoing = _apply_delivery_fault(request, outgoing, delivery.fault, details)
        names = [reply.fault_name] if reply.fault_name else []
        details = details._replace(error_detail=f"fault {', '.join([*names, str(delivery.fault)])}")
    pieces = tuple(step.data for step in outgoing.steps if isinstance(step, SendStep | Raw))
    outgoing = apply_timing(outgoing, delivery, details.request_id.encode())
    if not reply.stream and outgoing.needs_content_length:
        length = (b"content-length", b"%d" % sum(map(len, pieces)))
        outgoing = replace(outgoing, headers=(*outgoing.headers, length))
    await _send_outgoing(request, outgoing, pieces, details, left=left)


async def _leaves_within(request: HttpRequest, seconds: float) -> bool:
    """Delay a reply; whether the client disconnects meanwhile."""
    request.timer = timer = request.timer or request.session.new_timer()
    return await timer.disconnected_within(request.receive, seconds)


async def _send_outgoing(
    request: HttpRequest,
    outgoing: OutgoingReply,
    pieces: tuple[bytes, ...],
    details: EntryDetails,
    *,
    left: bool = False,
) -> None:
    """Send a reply step by step; its journal entry has the send times and whether the client left."""
    timer = request.timer or request.session.new_timer()
    entry = request.record(outgoing.status, pieces, outgoing.stream, details)
    entry.send_times, entry.left = SendTimes(), left
    if request.services.console is not None:
        timer.piece_times = []
    request.response_started = True
    scope, head = request.scope, list(outgoing.headers)
    try:
        completed = await send_steps(
            scope, request.receive, request.send, outgoing.status, head, outgoing.steps, timer
        )
        entry.left = entry.left or not completed
    finally:
        entry.send_times = SendTimes(timer.first_byte_at, timer.now(), timer.piece_times or ())


def _apply_delivery_fault(
    request: HttpRequest, outgoing: OutgoingReply, requested_fault: RequestedFault, details: EntryDetails
) -> OutgoingReply:
    """The reply with its fault; ApiError 400 if the fault does not apply to this reply."""
    pick = int(details.request_id.replace("-", "")[:8], 16)
    try:
        return apply_fault(
            outgoing, requested_fault, request.session.profile, pick, json_object(request.body)
        )
    except ConfigurationError as error:
        if FAULT_HEADER not in request.headers and requested_fault in request.session.faults:
            return outgoing  # a fault for all requests skips the replies that it does not apply to
        refusal = ApiError(400, "InvalidParameter", f"fault: {error}")
        refusal.stub_name = details.stub_name
        raise refusal from None
