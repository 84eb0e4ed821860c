"""Cases in words: the stream as people read it, and what is unusual about it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mockserver.contract.formatting import escape_unprintable, format_value
from mockserver.testing.cases.answer import REFUSALS, said
from mockserver.testing.cases.plan import CUTS, Plan
from mockserver.testing.cases.verdicts import FAULT_WORDS
from mockserver.testing.strategies.values import JSONObject, Look

__all__ = ["case_lines", "events_of", "oddities"]

_WIDTH = 100

#: Members that say what can be seen anyway, or what is the same in every answer.
_DULL = frozenset(
    (
        "annotations created_at id item_id logprobs model object output_index parallel_tool_calls role"
        " sequence_number summary_index tool_choice tools usage"
    ).split()
)


def events_of(plan: Plan, here: Look) -> list[JSONObject]:
    """What is sent whole before a fault, or all there is."""
    values = said(plan, here)
    if plan.fault in ("refused", "empty"):
        return []
    if not plan.stream or plan.fault in (None, "failed"):
        return values
    return values[: 1 + plan.at * (len(values) - 1) // 1000]


def case_lines(plan: Plan, here: Look) -> Iterator[str]:
    """The case for people: what is sent, event by event, and how."""
    events = events_of(plan, here)
    if plan.stream:
        yield f"The stream, {len(events)} event{'' if len(events) == 1 else 's'}:"
        yield from (f"  {number:>2}  {_event(event)}" for number, event in enumerate(events))
    else:
        yield "The response:"
        yield from (f"  {_cut(format_value(_short(value)))}" for value in events)
    yield from (f"  {each}" for each in oddities(plan))


def oddities(plan: Plan) -> Iterator[str]:
    """What is not plain about a case, in words."""
    if plan.fault == "refused":
        status, code, message = REFUSALS[plan.at % len(REFUSALS)]
        yield f"HTTP {status}, {code}: {message}"
    elif plan.fault is not None:
        yield f"then the answer {FAULT_WORDS[plan.fault]}"
    if plan.cut != "events":
        yield CUTS[plan.cut] if plan.stream else "the response comes in two reads"
    told = (
        (plan.plain, "frames are written `event: ` and `data: `"),
        (plan.end != "LF", f"lines end with {plan.end}"),
        (plan.comments, "a comment comes before each event, to keep the connection alive"),
        (plan.unknown_members, "there are members that no profile knows"),
        (bool(plan.members), f"members that may be are {plan.members}"),
        (plan.long, "the last message is 70,000 characters long"),
    )
    yield from (words for is_so, words in told if is_so)


def _event(event: JSONObject) -> str:
    kind = event.get("type", "an error without a type")
    return _cut(f"{escape_unprintable(kind)} {format_value(_short({**event, 'type': None}))}")


def _short(value: Any) -> Any:
    """A value without what is dull."""
    if isinstance(value, list):
        return [_short(each) for each in value]
    if not isinstance(value, dict):
        return value
    kept = {name: _short(each) for name, each in value.items() if name not in _DULL and each is not None}
    return {name: each for name, each in kept.items() if each != [] or name == "content"}


def _cut(line: str) -> str:
    return line if len(line) <= _WIDTH else f"{line[: _WIDTH - 1]}…"
