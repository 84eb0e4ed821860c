"""Turns a case into the bytes of a reply, for the model and tools that a request names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from types import MappingProxyType
from typing import Any

from mockserver.replies.script import Message, Script, ScriptError
from mockserver.server.delivery.steps import Close, Reset, Send, Step, Wait
from mockserver.server.errors import ApiError
from mockserver.testing.fuzzing.case_plan import CASE_FAULTS, LINE_ENDINGS, LONG_TEXT, CasePlan
from mockserver.testing.fuzzing.usual_replies import (
    NULLABLE_MEMBERS,
    item_objects,
    response_objects,
    use_usual_frame,
    use_usual_payloads,
)
from mockserver.testing.strategies.framing import encode_events
from mockserver.testing.strategies.rendered_replies import (
    RenderContext,
    ReplySpec,
    render_events,
    render_response,
)
from mockserver.testing.strategies.values import JSONObject
from mockserver.wire import json, sse

__all__ = ["CaseReply", "in_requested_form", "render_case", "render_payloads"]

#: Seconds between two writes that a client should read separately, and the most for all pauses of a reply.
PAUSE_SECONDS = 0.02
MAX_PAUSE_SECONDS = 0.25

#: The same for a control, where the client must read separately even on a busy machine.
EVENT_PAUSE_SECONDS = 0.1
MAX_EVENT_PAUSE_SECONDS = 1.5

#: Seconds of silence, more than any client waits.
STALL_SECONDS = 3600.0

#: A time of January 2026.
_CREATED_AT = 1769084048

#: Status, code and message of refusals (the vendor's error-code page, 2026).
REFUSALS = (
    (400, "InvalidParameter", "Required body invalid, please check the request body format."),
    (429, "Throttling.RateQuota", "Requests rate limit exceeded, please try again later."),
    (
        500,
        "InternalError",
        "An internal error has occured, please try again later or contact service support.",
    ),
    (
        503,
        "ModelServingError",
        "Too many requests. Your requests are being throttled due to system capacity limits.",
    ),
)

#: Payload of an error within a stream (API reference, August 2026: a payload without a type).
_ERROR_PAYLOAD = {
    "code": "InternalError.Algo",
    "message": "The model failed.",
    "request_id": "00000000-0000-9000-8000-000000000000",
}

_USAGE_DETAILS = ("input_tokens_details", "output_tokens_details")


@dataclass(frozen=True, slots=True)
class CaseReply:
    """A reply as steps of its delivery."""

    steps: tuple[Step, ...]
    stream: bool
    content_type: str
    content_length: int | None = None
    """The declared length, which may be more than is sent; None for no `content-length`."""


def render_payloads(
    plan: CasePlan, context: RenderContext, request: Mapping[str, Any] | None = None, response_number: int = 1
) -> list[JSONObject]:
    """The events of a case's stream, or its one response, including those that a fault withholds.

    `response_number` is the position of the response in its conversation; its ids count from there.
    """
    body = request or {}
    model = body.get("model") or context.profile.models[0]
    tools = tuple(body.get("tools") or ())
    reply = ReplySpec(
        _case_script(plan), model, _CREATED_AT, body.get("tool_choice") or "auto", response_number, tools
    )
    values = render_events(reply, context) if plan.stream else [render_response(reply, context)]
    if plan.unknown_members:
        _add_unknown_members(values)
    _change_members(values, plan.members)
    values = _insert_unknown_event(values) if plan.unknown_event and plan.stream else values
    return use_usual_payloads(values, plan.usual, model)


def render_case(
    plan: CasePlan, context: RenderContext, request: Mapping[str, Any], response_number: int = 1
) -> CaseReply:
    """The reply to a request, streamed if it requests that; ApiError if the case refuses it."""
    plan = in_requested_form(plan, request.get("stream") is True)
    if plan.fault == "refused":
        status, code, message = REFUSALS[plan.at % len(REFUSALS)]
        raise ApiError(status, code, message)
    values = render_payloads(plan, context, request, response_number)
    if plan.stream:
        content_type = "text/event-stream" + ("" if "charset" in plan.usual else ";charset=UTF-8")
        return CaseReply(tuple(_stream_steps(plan, values, context)), True, content_type)
    body = json.dumps(values[0])
    length = None if plan.cut != "events" and plan.fault is None else len(body)
    return CaseReply(
        tuple(_body_steps(plan, body)), False, "application/json", 0 if plan.fault == "empty" else length
    )


def in_requested_form(plan: CasePlan, stream: bool) -> CasePlan:
    """The plan in the requested form; a fault that the form lacks is replaced by the most similar one."""
    fault = plan.fault
    if fault is not None and not CASE_FAULTS[fault][stream]:
        fault = "cut"
    if stream or not plan.stream:
        return replace(plan, stream=stream, fault=fault)
    cut = "events" if plan.cut == "events" else "middle"
    frames = {"plain": False, "end": "LF", "comments": False, "unknown_event": False}
    return replace(plan, stream=False, fault=fault, cut=cut, **frames)  # type: ignore[arg-type]


def _case_script(plan: CasePlan) -> Script:
    items = plan.script.items
    if plan.long:
        last = items[-1]
        assert isinstance(last, Message)  # noqa: S101 - only a message is long, as plans are drawn and loaded
        items = (*items[:-1], Message((*last.chunks, LONG_TEXT)))
    if plan.fault == "failed":
        error = ScriptError("server_error", "The model failed.")
        return Script(items, plan.script.usage, "failed", error)
    return Script(items, plan.script.usage, "incomplete" if plan.fault == "incomplete" else "completed")


def _add_unknown_members(payloads: Sequence[JSONObject]) -> None:
    for target in (*payloads, *response_objects(payloads), *item_objects(payloads)):
        target["x_note"] = {"a": [None, 1]}


def _change_members(payloads: Sequence[JSONObject], mode: str) -> None:
    if not mode:
        return
    for response in response_objects(payloads):
        if mode == "null":
            response.update({name: None for name in NULLABLE_MEMBERS if name not in response})
        usage = response.get("usage") or {}
        for name in usage.keys() & set(_USAGE_DETAILS):
            _null_or_remove(usage, name, mode)
    for event in payloads:
        for target in (event, event.get("part") or {}):
            if "logprobs" in target:
                _null_or_remove(target, "logprobs", mode)


def _null_or_remove(target: JSONObject, name: str, mode: str) -> None:
    if mode == "null":
        target[name] = None
    else:
        del target[name]


def _insert_unknown_event(events: list[JSONObject]) -> list[JSONObject]:
    """Add an event of an unknown type before the last one (Open Responses: a `slug:` event)."""
    extended = [*events[:-1], {"sequence_number": 0, "type": "vendor:note"}, events[-1]]
    return [{**event, "sequence_number": number} for number, event in enumerate(extended)]


def _stream_steps(plan: CasePlan, events: list[JSONObject], context: RenderContext) -> Iterator[Step]:
    frames = [
        _format_frame(plan, use_usual_frame(frame, plan.usual))
        for frame in encode_events(events, None if plan.plain else context.profile.name)
    ]
    if (context.profile.done_marker or "done" in plan.usual) and plan.fault != "failed":
        frames.append(_format_frame(plan, sse.encode(sse.DONE_DATA)))
    if plan.fault in (None, "failed", "incomplete"):
        yield from _chunked_steps(plan, frames)
        return
    kept = 1 + plan.at * (len(events) - 1) // 1000
    yield from map(Send, [] if plan.fault == "empty" else frames[:kept])
    yield from _FAULT_STEPS[plan.fault](frames[kept], context)


def _cut_frame(frame: bytes, _: RenderContext) -> Iterator[Step]:
    yield Send(frame[: len(frame) // 2])


def _error_frame(_: bytes, context: RenderContext) -> Iterator[Step]:
    yield Send(sse.encode(json.dumps(_ERROR_PAYLOAD)))


def _no_steps(_: bytes, context: RenderContext) -> Iterator[Step]:
    yield from ()


def _pause_then(step: Step, _: bytes, context: RenderContext) -> Iterator[Step]:
    yield Wait(PAUSE_SECONDS, from_now=True)
    yield step


_FAULT_STEPS: Mapping[str, Callable[[bytes, RenderContext], Iterator[Step]]] = MappingProxyType(
    {
        "cut": _cut_frame,
        "closed": _no_steps,
        "error": _error_frame,
        "dropped": partial(_pause_then, Close()),
        "reset": partial(_pause_then, Reset()),
        "empty": _no_steps,
        "stalled": partial(_pause_then, Wait(STALL_SECONDS)),
    }
)
"""By fault: the steps that replace the next event of a stream."""


def _body_steps(plan: CasePlan, body: bytes) -> Iterator[Step]:
    if plan.fault == "empty":
        return
    if plan.fault in (None, "failed", "incomplete"):
        yield from _send_with_pauses([body] if plan.cut == "events" else _split_in_two(body))
        return
    yield Send(body[: len(body) // 2])
    ends = {"cut": Close(), "reset": Reset(), "stalled": Wait(STALL_SECONDS)}
    yield from _pause_then(ends[plan.fault], b"", None)  # type: ignore[arg-type]


def _format_frame(plan: CasePlan, frame: bytes) -> bytes:
    """A frame with the plan's line ends, and a keep-alive before it."""
    end = LINE_ENDINGS[plan.end]
    before = b": keep-alive\n\n" if plan.comments else b""
    return (before + frame).replace(b"\n", end)


def _chunked_steps(plan: CasePlan, frames: list[bytes]) -> Iterator[Step]:
    data = b"".join(frames)
    if plan.cut == "events":
        yield from map(Send, frames)
    elif plan.cut == "apart":
        yield from _send_with_pauses(frames, EVENT_PAUSE_SECONDS, MAX_EVENT_PAUSE_SECONDS)
    elif plan.cut == "whole":
        yield Send(data)
    elif plan.cut == "lines":
        yield from _send_with_pauses(_LINE_WITH_END.findall(data))
    elif plan.cut == "blank":
        size = len(LINE_ENDINGS[plan.end])
        ends = [at - size for at in _frame_ends(frames)]
        yield from _send_with_pauses(data[start:end] for start, end in pairwise([0, *ends, len(data)]))
    else:
        yield from _send_with_pauses(chunk for frame in frames for chunk in _split_in_two(frame))


#: A line with its end; CRLF is split, as a network may do.
_LINE_WITH_END = re.compile(rb"[^\r\n]*[\r\n]|[^\r\n]+")


def _frame_ends(frames: Sequence[bytes]) -> Iterator[int]:
    total = 0
    for frame in frames:
        total += len(frame)
        yield total


def _split_in_two(data: bytes) -> tuple[bytes, bytes]:
    """Split within the first character beyond ASCII, else in the middle."""
    beyond = next((at for at, byte in enumerate(data) if byte >= 0x80), None)
    at = len(data) // 2 if beyond is None else beyond + 1
    return data[:at], data[at:]


def _send_with_pauses(
    chunks: Iterable[bytes], pause_seconds: float = PAUSE_SECONDS, max_seconds: float = MAX_PAUSE_SECONDS
) -> Iterator[Step]:
    pieces = list(chunks)
    pause = Wait(min(pause_seconds, max_seconds / len(pieces)), from_now=True)
    for number, chunk in enumerate(pieces):
        if number:
            yield pause
        yield Send(chunk)
