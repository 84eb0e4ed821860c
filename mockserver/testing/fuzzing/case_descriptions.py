"""Cases in words: the stream as people read it, and what is unusual about it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mockserver.contract.formatting import escape_unprintable, format_value
from mockserver.testing.fuzzing.case_plan import CASE_CHUNKINGS, CasePlan
from mockserver.testing.fuzzing.case_replies import REFUSALS, render_payloads
from mockserver.testing.fuzzing.outcomes import FAULT_DESCRIPTIONS
from mockserver.testing.strategies.rendered_replies import RenderContext
from mockserver.testing.strategies.values import JSONObject

__all__ = ["describe_case", "describe_variations", "payloads_before_fault"]

_MAX_LINE_CHARACTERS = 100

#: Members that say what can be seen anyway, or what is the same in every answer.
_OMITTED_MEMBERS = frozenset(
    (
        "annotations created_at id item_id logprobs model object output_index parallel_tool_calls role"
        " sequence_number summary_index tool_choice tools usage"
    ).split()
)


def payloads_before_fault(plan: CasePlan, context: RenderContext) -> list[JSONObject]:
    """What is sent whole before a fault, or all there is."""
    values = render_payloads(plan, context)
    if plan.fault in ("refused", "empty"):
        return []
    if not plan.stream or plan.fault in (None, "failed"):
        return values
    return values[: 1 + plan.at * (len(values) - 1) // 1000]


def describe_case(plan: CasePlan, context: RenderContext) -> Iterator[str]:
    """The case for people: what is sent, event by event, and how."""
    events = payloads_before_fault(plan, context)
    if plan.stream:
        yield f"The stream, {len(events)} event{'' if len(events) == 1 else 's'}:"
        yield from (f"  {number:>2}  {_event_line(event)}" for number, event in enumerate(events))
    else:
        yield "The response:"
        yield from (f"  {_truncate(format_value(_without_omitted_members(value)))}" for value in events)
    yield from (f"  {each}" for each in describe_variations(plan))


def describe_variations(plan: CasePlan) -> Iterator[str]:
    """What is not plain about a case, in words."""
    if plan.fault == "refused":
        status, code, message = REFUSALS[plan.at % len(REFUSALS)]
        yield f"HTTP {status}, {code}: {message}"
    elif plan.fault is not None:
        yield f"then the answer {FAULT_DESCRIPTIONS[plan.fault]}"
    if plan.cut != "events":
        yield CASE_CHUNKINGS[plan.cut] if plan.stream else "the response comes in two reads"
    told = (
        (plan.plain, "frames are written `event: ` and `data: `"),
        (plan.end != "LF", f"lines end with {plan.end}"),
        (plan.comments, "a comment comes before each event, to keep the connection alive"),
        (plan.unknown_members, "there are members that no profile knows"),
        (bool(plan.members), f"members that may be are {plan.members}"),
        (plan.long, "the last message is 70,000 characters long"),
    )
    yield from (words for is_so, words in told if is_so)


def _event_line(event: JSONObject) -> str:
    kind = event.get("type", "an error without a type")
    return _truncate(
        f"{escape_unprintable(kind)} {format_value(_without_omitted_members({**event, 'type': None}))}"
    )


def _without_omitted_members(value: Any) -> Any:
    """A value without what is dull."""
    if isinstance(value, list):
        return [_without_omitted_members(each) for each in value]
    if not isinstance(value, dict):
        return value
    kept = {
        name: _without_omitted_members(each)
        for name, each in value.items()
        if name not in _OMITTED_MEMBERS and each is not None
    }
    return {name: each for name, each in kept.items() if each != [] or name == "content"}


def _truncate(line: str) -> str:
    return line if len(line) <= _MAX_LINE_CHARACTERS else f"{line[: _MAX_LINE_CHARACTERS - 1]}…"
