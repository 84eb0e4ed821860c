"""Sending a rendered reply: its headers, its faults and timing, and its journal entry."""

from __future__ import annotations

import re
from collections.abc import Iterable
from time import monotonic
from zlib import crc32

from mockserver.errors import ConfigurationError
from mockserver.server.delivery.faults import OutgoingReply, RequestedFault, WireFault
from mockserver.server.delivery.holds import Hold
from mockserver.server.delivery.options import DEFAULT_DELIVERY, Delivery, apply_fault, apply_timing
from mockserver.server.delivery.steps import Raw, Step
from mockserver.server.delivery.steps import Send as SendStep
from mockserver.server.delivery.timer import Timer
from mockserver.server.engine.rendered_replies import RenderedReply
from mockserver.server.errors import ApiError
from mockserver.server.http.requests import (
    HttpRequest,
    derive_request_id,
    json_object,
    parse_delay,
)
from mockserver.server.http.transmission import (
    CONNECTION_EXTENSION,
    REPLY_MESSAGE,
    Connection,
    Headers,
    send_body,
    send_steps,
)
from mockserver.server.large_bodies import run_beside_loop, run_in_worker
from mockserver.server.mock_headers import DELAY_HEADER, FAULT_HEADER
from mockserver.server.state.journal import SendTimes
from mockserver.wire import json

__all__ = [
    "EVENT_STREAM_CONTENT_TYPE",
    "JSON_CONTENT_TYPE",
    "delay_as_requested",
    "json_headers",
    "send_delivered",
    "send_json",
    "send_reply",
]

JSON_CONTENT_TYPE = (b"content-type", b"application/json")
#: As recorded on the service's hosts (2026).
EVENT_STREAM_CONTENT_TYPE = (b"content-type", b"text/event-stream;charset=UTF-8")


def json_headers(request: HttpRequest, request_id: str) -> Headers:
    """The headers of a JSON body."""
    return [
        JSON_CONTENT_TYPE,
        (b"x-request-id", request_id.encode()),
        (b"date", request.services.date_header(request.session)),
    ]


async def send_json(request: HttpRequest, value: object) -> None:
    """Send a JSON value with status 200, without a journal entry."""
    head = json_headers(request, await derive_request_id(request, "200"))
    await send_body(request.send, 200, head, json.dumps(value))


async def send_reply(request: HttpRequest, reply: RenderedReply) -> None:
    """Send a reply as its stub, or else the session, delivers it."""
    services, session = request.services, request.session
    if services.mock_headers and DELAY_HEADER in request.headers:
        await delay_as_requested(request)
    head = [
        EVENT_STREAM_CONTENT_TYPE if reply.stream else JSON_CONTENT_TYPE,
        (b"x-request-id", reply.request_id.encode()),
        (b"date", services.date_header(session)),
    ]
    if reply.fault_name:
        head.append((FAULT_HEADER, reply.fault_name.encode()))
    delivery = (
        session.delivery
        if reply.delivery is DEFAULT_DELIVERY
        else reply.delivery.with_defaults(session.delivery)
    )
    if delivery is not DEFAULT_DELIVERY and (
        not delivery.is_immediate or (reply.steps and delivery.chunking == "coalesced")
    ):
        await send_delivered(request, reply, head, delivery)
        return
    if reply.steps:
        own = [*reply.headers, *head[1:]] if reply.headers else head
        await _send_steps(request, reply._replace(headers=tuple(own)), reply.steps)
        return
    request.record(reply.status, reply.pieces, reply.stream, reply.request_id, reply.details)
    request.response_started = True
    pieces = reply.pieces
    if not reply.stream:
        head.append((b"content-length", b"%d" % len(pieces[0])))
    elif delivery.chunking == "coalesced":
        pieces = (b"".join(pieces),)
    await request.send({"type": REPLY_MESSAGE, "status": reply.status, "headers": head, "pieces": pieces})


async def delay_as_requested(request: HttpRequest) -> None:
    """Wait as long as `x-mock-delay` says. ApiError 400 if it is invalid."""
    await _timer(request).pause(parse_delay(request.headers[DELAY_HEADER]))


async def send_delivered(
    request: HttpRequest, reply: RenderedReply, head: Headers, delivery: Delivery
) -> None:
    """Send a reply with faults, chunking or pacing; the journal has the bytes that are really sent."""
    left = bool(delivery.delay_ms) and await _leaves_within(request, delivery.delay_ms / 1000)
    own = [*reply.headers, *head[1:]] if reply.headers else head
    is_stream, outgoing = reply.stream, OutgoingReply(reply.status, tuple(own), reply.steps, reply.stream)
    # A stream may stay open for long, so its steps are made one by one.
    steps: Iterable[Step] = reply.steps or map(SendStep, reply.pieces)
    if delivery.fault is not None:
        steps = outgoing.steps or tuple(steps)
        outgoing = await _apply_delivery_fault(request, outgoing._replace(steps=steps), delivery.fault, reply)
        reply, steps = _with_fault(reply, outgoing, delivery.fault), outgoing.steps
    if not is_stream and outgoing.needs_content_length:
        length = (b"content-length", b"%d" % sum(map(len, reply.pieces)))
        outgoing = outgoing._replace(headers=(*outgoing.headers, length))
    steps = apply_timing(steps, reply.pieces, delivery, reply.request_id.encode())
    await _send_steps(request, reply._replace(headers=outgoing.headers), steps, left=left, hold=delivery.hold)


def _with_fault(reply: RenderedReply, outgoing: OutgoingReply, fault: RequestedFault) -> RenderedReply:
    """The reply as the fault has changed it."""
    names = [reply.fault_name] if reply.fault_name else []
    return reply._replace(
        details=reply.details._replace(error_detail=f"fault {', '.join([*names, str(fault)])}"),
        pieces=tuple(step.data for step in outgoing.steps if isinstance(step, SendStep | Raw)),
        status=outgoing.status,
        stream=outgoing.stream,
    )


async def _leaves_within(request: HttpRequest, seconds: float) -> bool:
    """Delay a reply; whether the client disconnects meanwhile."""
    connection: Connection = request.scope["extensions"][CONNECTION_EXTENSION]
    return await _timer(request).disconnected_within(connection.watch_disconnect(), seconds)


async def _leaves_while_held(request: HttpRequest, hold: Hold) -> bool:
    """Hold a reply; whether the client disconnects meanwhile."""
    connection: Connection = request.scope["extensions"][CONNECTION_EXTENSION]
    if await hold.left_while_held(connection.watch_disconnect()):
        return True
    _timer(request).restart()
    return False


def _timer(request: HttpRequest) -> Timer:
    """The timer of the request's reply."""
    if request.timer is None:
        connection: Connection = request.scope["extensions"][CONNECTION_EXTENSION]
        request.timer = request.session.new_timer(connection.request_arrived_at)
    return request.timer


async def _send_steps(
    request: HttpRequest,
    reply: RenderedReply,
    steps: Iterable[Step],
    *,
    left: bool = False,
    hold: Hold | None = None,
) -> None:
    """Send a reply step by step; its journal entry has the send times, and what was sent until the client left."""
    timer = _timer(request)
    details = reply.details
    if reply.status != 200:
        details = details._replace(reply_headers=reply.headers)
    entry = request.record(reply.status, reply.pieces, reply.stream, reply.request_id, details)
    entry.send_times = SendTimes()
    if left:
        entry.left_at = timer.now()
    if request.services.console is not None:
        timer.piece_times = []
    request.response_started = True
    try:
        is_sent = not (hold is not None and await _leaves_while_held(request, hold)) and await send_steps(
            request.scope, request.send, reply.status, [*reply.headers], steps, timer
        )
        if not left and (entry.left or not is_sent):
            entry.left_at = timer.now()
        if entry.left and timer.sent_bytes < sum(map(len, reply.pieces)):
            entry.sent_bytes = timer.sent_bytes
    finally:
        entry.send_times = SendTimes(timer.first_byte_at, timer.now(), timer.piece_times or (), monotonic())


def _pick_for(request_id: str) -> int:
    """A number that follows from the id of a reply; a live endpoint's may have any form."""
    digits = request_id.replace("-", "")[:8]
    return int(digits, 16) if re.fullmatch("[0-9a-f]{8}", digits) else crc32(request_id.encode())


async def _apply_delivery_fault(
    request: HttpRequest, outgoing: OutgoingReply, requested_fault: RequestedFault, reply: RenderedReply
) -> OutgoingReply:
    """The reply with its fault; ApiError 400 if the fault does not apply to this reply."""
    pick, profile = _pick_for(reply.request_id), request.session.profile

    def apply(body: bytes) -> OutgoingReply:
        return apply_fault(outgoing, requested_fault, profile, pick, json_object(body))

    try:
        if isinstance(requested_fault.definition, WireFault):
            return await run_beside_loop(apply, request.body)
        return await run_in_worker(apply, request.body)  # checks the edited reply, maybe several times
    except ConfigurationError as error:
        if FAULT_HEADER not in request.headers and requested_fault in request.session.faults:
            return outgoing  # a fault for all requests skips the replies that it does not apply to
        refusal = ApiError(400, "InvalidParameter", f"fault: {error}")
        refusal.stub_name = reply.details.stub_name
        raise refusal from None
