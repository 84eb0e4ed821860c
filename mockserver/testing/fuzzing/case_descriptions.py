"""Describes cases for people: the events, and what is unusual about them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mockserver.contract.formatting import format_value
from mockserver.testing.fuzzing.case_plan import CASE_CHUNKINGS, CasePlan
from mockserver.testing.fuzzing.case_replies import REFUSALS, render_payloads
from mockserver.testing.fuzzing.outcomes import FAULT_DESCRIPTIONS
from mockserver.testing.strategies.rendered_replies import RenderContext
from mockserver.testing.strategies.values import JSONObject
from mockserver.wire.terminal import escape_unprintable

__all__ = ["describe_case", "describe_variations", "payloads_before_fault"]

_MAX_LINE_CHARACTERS = 100

#: Members that are obvious from the context, or the same in every reply.
_OMITTED_MEMBERS = frozenset(
    (
        "annotations created_at id item_id logprobs model object output_index parallel_tool_calls role"
        " sequence_number summary_index tool_choice tools usage"
    ).split()
)


def payloads_before_fault(plan: CasePlan, context: RenderContext) -> list[JSONObject]:
    """The payloads that are sent completely before a fault; all of them if there is none."""
    values = render_payloads(plan, context)
    if plan.fault in ("refused", "empty"):
        return []
    if not plan.stream or plan.fault in (None, "failed", "incomplete"):
        return values
    return values[: 1 + plan.at * (len(values) - 1) // 1000]


def describe_case(plan: CasePlan, context: RenderContext) -> Iterator[str]:
    """Lines that describe the payloads of a case and how they are sent."""
    events = payloads_before_fault(plan, context)
    if plan.stream:
        yield f"The stream, {len(events)} event{'' if len(events) == 1 else 's'}:"
        yield from (f"  {number:>2}  {_event_line(event)}" for number, event in enumerate(events))
    else:
        yield "The response:"
        yield from (f"  {_truncate(format_value(_without_omitted_members(value)))}" for value in events)
    yield from (f"  {each}" for each in describe_variations(plan))


def describe_variations(plan: CasePlan) -> Iterator[str]:
    """Lines that describe what is unusual about a case."""
    if plan.fault == "refused":
        status, code, message = REFUSALS[plan.at % len(REFUSALS)]
        yield f"HTTP {status}, {code}: {message}"
    elif plan.fault == "incomplete":
        yield "the reply is truncated: its status is incomplete"
    elif plan.fault is not None:
        yield f"then the reply {FAULT_DESCRIPTIONS[plan.fault]}"
    if plan.cut != "events":
        yield CASE_CHUNKINGS[plan.cut] if plan.stream else "the response arrives in two reads"
    descriptions = (
        (plan.plain, "frames are written `event: ` and `data: `"),
        (plan.end != "LF", f"lines end with {plan.end}"),
        (plan.comments, "a keep-alive comment comes before each event"),
        (plan.unknown_members, "there are unknown members"),
        (plan.members == "null", "nullable members are null"),
        (plan.members == "absent", "optional members are absent"),
        (bool(plan.usual), f"as OpenAI's service sends it: {', '.join(plan.usual)}"),
        (plan.long, "the last message is 70,000 characters long"),
    )
    yield from (text for is_so, text in descriptions if is_so)


def _event_line(event: JSONObject) -> str:
    event_type = event.get("type", "an untyped error")
    return _truncate(
        f"{escape_unprintable(event_type)} {format_value(_without_omitted_members({**event, 'type': None}))}"
    )


def _without_omitted_members(value: Any) -> Any:
    """A value without members that do not help a reader."""
    if isinstance(value, list):
        return [_without_omitted_members(each) for each in value]
    if not isinstance(value, dict):
        return value
    shown = {
        name: _without_omitted_members(each)
        for name, each in value.items()
        if name not in _OMITTED_MEMBERS and each is not None
    }
    return {name: each for name, each in shown.items() if each != [] or name == "content"}


def _truncate(line: str) -> str:
    return line if len(line) <= _MAX_LINE_CHARACTERS else f"{line[: _MAX_LINE_CHARACTERS - 1]}…"
