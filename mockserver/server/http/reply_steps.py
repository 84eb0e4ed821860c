"""Sending a reply in steps: with its fault, its pauses and its chunks, or as it was recorded. Few replies need it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from time import monotonic
from typing import TYPE_CHECKING
from zlib import crc32

from mockserver.clock import SystemClock
from mockserver.errors import ConfigurationError
from mockserver.server.delivery.effects import apply_fault, apply_timing
from mockserver.server.delivery.faults import RequestedFault
from mockserver.server.delivery.faults.registry import OutgoingReply, WireFault
from mockserver.server.delivery.holds import Hold
from mockserver.server.delivery.options import Delivery
from mockserver.server.delivery.steps import Await, Close, Raw, Reset, Send, Step, Wait
from mockserver.server.delivery.timer import Timer
from mockserver.server.engine.rendered_replies import RenderedReply
from mockserver.server.errors import ApiError
from mockserver.server.http.requests import HttpRequest, json_object, parse_delay
from mockserver.server.http.transmission import (
    CONNECTION_EXTENSION,
    ENTRY_SCOPE_KEY,
    Connection,
    Headers,
)
from mockserver.server.large_bodies import run_beside_loop, run_in_worker
from mockserver.server.mock_headers import DELAY_HEADER, FAULT_HEADER
from mockserver.server.state.journal import SendTimes

if TYPE_CHECKING:
    from starlette.types import Scope
    from starlette.types import Send as AsgiSend

__all__ = ["delay_as_requested", "send_delivered", "send_steps", "send_with_entry"]


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
    steps: Iterable[Step] = reply.steps or map(Send, reply.pieces)
    if delivery.fault is not None:
        steps = outgoing.steps or tuple(steps)
        outgoing = await _apply_delivery_fault(request, outgoing._replace(steps=steps), delivery.fault, reply)
        reply, steps = _with_fault(reply, outgoing, delivery.fault), outgoing.steps
    if not is_stream and outgoing.needs_content_length:
        length = (b"content-length", b"%d" % sum(map(len, reply.pieces)))
        outgoing = outgoing._replace(headers=(*outgoing.headers, length))
    steps = apply_timing(steps, reply.pieces, delivery, reply.request_id.encode())
    await send_with_entry(
        request, reply._replace(headers=outgoing.headers), steps, left=left, hold=delivery.hold
    )


def _with_fault(reply: RenderedReply, outgoing: OutgoingReply, fault: RequestedFault) -> RenderedReply:
    """The reply as the fault has changed it."""
    names = [reply.fault_name] if reply.fault_name else []
    return reply._replace(
        details=reply.details._replace(error_detail=f"fault {', '.join([*names, str(fault)])}"),
        pieces=tuple(step.data for step in outgoing.steps if isinstance(step, Send | Raw)),
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


async def send_with_entry(
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


async def send_steps(
    scope: Scope,
    send: AsgiSend,
    status: int,
    headers: Headers,
    steps: Iterable[Step],
    timer: Timer | None = None,
) -> bool:
    """Send a reply step by step; return False, without an error, if the client leaves first.

    Status 0 sends no head, for steps that end with a close or a reset. `timer` measures the time; without
    it, pauses follow the system clock.
    """
    connection: Connection = scope["extensions"][CONNECTION_EXTENSION]
    timer = timer or Timer(SystemClock(), arrived_at=connection.request_arrived_at)
    if status:
        await send({"type": "http.response.start", "status": status, "headers": headers})
    head_waits = bool(status)  # for the first piece of the body
    for step in steps:
        if isinstance(step, Send):
            head_waits = False
            await _send_piece(scope, send, step.data, timer)
        elif isinstance(step, Wait):
            if head_waits:
                await send({"type": "http.response.body", "body": b"", "more_body": True})
                head_waits = False
            disconnect = connection.watch_disconnect()
            if await timer.disconnected_within(disconnect, step.seconds, from_now=step.from_now):
                return False
        elif isinstance(step, Await):
            if await step.wait(connection.watch_disconnect()):
                return False
            timer.restart()
        elif not _apply_connection_step(connection, step, timer):
            return True
    await send({"type": "http.response.body", "body": b""})
    return True


async def _send_piece(scope: Scope, send: AsgiSend, data: bytes, timer: Timer) -> None:
    at = timer.now()
    await send({"type": "http.response.body", "body": data, "more_body": True})
    entry = scope.get(ENTRY_SCOPE_KEY)
    if entry is None or not entry.left:  # what is sent to a client that has left is dropped
        timer.mark_sent(at, len(data))


def _apply_connection_step(connection: Connection, step: Raw | Reset | Close, timer: Timer) -> bool:
    """Apply a step outside of HTTP; return whether the connection is still open."""
    if isinstance(step, Raw):
        connection.write_raw(step.data)
        timer.sent_bytes += len(step.data)
        return True
    if isinstance(step, Reset):
        connection.reset()
    else:
        connection.close()
    return False
