"""The rules about the context of a conversation: what each turn repeats, changes and goes round in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from mockserver.contract.conduct.attempts import Attempt
from mockserver.contract.conduct.prefixes import find_prefix_change
from mockserver.contract.conduct.turns import Turn, canonical_item, item_text, link_turns
from mockserver.contract.findings import Finding, NumberedFinding
from mockserver.contract.rules import make_conduct_finding
from mockserver.wire import json

__all__ = ["check_contexts"]

_MAX_EQUAL_TURNS = 8
_MAX_EQUAL_CALLS = 3


class _AnsweredCall(NamedTuple):
    name: str
    arguments: bytes
    output: bytes


@dataclass(frozen=True, slots=True)
class _Loop:
    """The turns in a row that answered calls, up to one turn."""

    outputs: tuple[bytes, ...] = ()
    """The outputs of the last of them."""
    equal_turns: int = 0
    """How many of them, up to the last, had these outputs."""
    calls: Counter[_AnsweredCall] = field(default_factory=Counter)
    reported: bool = False


def check_contexts(attempts: Iterable[Attempt]) -> Iterator[NumberedFinding]:
    """The findings about the turns of a session; a retry is not checked again."""
    checked: set[tuple[Turn | None, bytes]] = set()
    loops: dict[Turn, _Loop] = {}
    for turn in link_turns(attempts):
        parent, number = turn.parent, turn.attempt.number
        if parent is None:
            continue
        loop, finding = _continue_loop(turn, loops.get(parent, _Loop()))
        loops[turn] = loop
        if (parent, turn.attempt.body) in checked:
            continue
        checked.add((parent, turn.attempt.body))
        found = [finding, _check_repeated_history(turn) if turn.is_stored else None]
        if not turn.is_stored or found[1] is None:
            found.append(_check_prefix(parent, turn))
        yield from (NumberedFinding(number, each) for each in found if each is not None)


def _check_prefix(parent: Turn, turn: Turn) -> Finding | None:
    change = find_prefix_change(parent, turn)
    if change is None:
        return None
    message = f"the prefix of request {parent.attempt.number} has changed: {change.description}"
    return make_conduct_finding("CTX-002", message, pointer=change.pointer)


def _check_repeated_history(turn: Turn) -> Finding | None:
    """The first item of the input that the stored turns have too, if it cannot be a coincidence."""
    items = turn.input_items
    for earlier in turn.ancestors:
        outputs = {_identity(each) for each in earlier.output_items} - {None}
        answers = {_answer_identity(each) for each in earlier.input_items} - {None}
        for index, item in enumerate(items):
            if _identity(item) in outputs or _answer_identity(item) in answers:
                return _repetition(index, earlier)
        start = earlier.canonical_input
        if len(items) > len(start) > 0 and turn.canonical_input[: len(start)] == start:
            return _repetition(0, earlier)
    return None


def _repetition(index: int, earlier: Turn) -> Finding:
    message = (
        f"the item is already in the turn of request {earlier.attempt.number}, which the service has stored"
    )
    return make_conduct_finding("CTX-001", message, pointer=f"/input/{index}")


def _identity(item: dict[str, Any]) -> tuple[str, str] | None:
    """What makes an item of the model unique."""
    if item.get("type") == "function_call":
        return "call", str(item.get("call_id"))
    if item.get("role") == "assistant" and item_text(item):
        return "text", item_text(item)
    item_id = item.get("id")
    return ("id", item_id) if isinstance(item_id, str) and item.get("type") not in (None, "message") else None


def _answer_identity(item: dict[str, Any]) -> bytes | None:
    return canonical_item(item) if item.get("type") == "function_call_output" else None


def _continue_loop(turn: Turn, before: _Loop) -> tuple[_Loop, Finding | None]:
    """The loop with a turn added, and what is wrong with it."""
    answered = list(_answered_calls(turn))
    if not answered:
        return _Loop(), None
    outputs = tuple(sorted(call.output for _, call in answered))
    equal_turns = before.equal_turns + 1 if outputs == before.outputs else 1
    calls = before.calls + Counter(call for _, call in answered)
    finding = None if before.reported else _check_loop(answered, calls, equal_turns)
    return _Loop(outputs, equal_turns, calls, before.reported or finding is not None), finding


def _check_loop(
    answered: list[tuple[int, _AnsweredCall]], calls: Counter[_AnsweredCall], equal_turns: int
) -> Finding | None:
    for index, call in answered:
        if calls[call] > _MAX_EQUAL_CALLS:
            message = (
                f"{call.name} was called with the same arguments and gave the same output {calls[call]} times"
            )
            return make_conduct_finding("CTX-004", message, pointer=f"/input/{index}")
    if equal_turns > _MAX_EQUAL_TURNS:
        message = f"turn {equal_turns} in a row with the same tool outputs"
        return make_conduct_finding("CTX-003", message, pointer=f"/input/{answered[0][0]}")
    return None


def _answered_calls(turn: Turn) -> Iterator[tuple[int, _AnsweredCall]]:
    """The calls of the parent that the input answers, each with the index of its output."""
    calls = {
        each.get("call_id"): each
        for each in (turn.parent.output_items if turn.parent is not None else ())
        if each.get("type") == "function_call" and isinstance(each.get("call_id"), str)
    }
    for index, item in enumerate(turn.input_items):
        call_id = item.get("call_id")
        if item.get("type") != "function_call_output" or not isinstance(call_id, str) or call_id not in calls:
            continue
        call = calls[call_id]
        given = call.get("arguments")
        arguments = json.loads_or_none(given) if isinstance(given, str) else None
        output = json.canonical(item.get("output"))
        yield index, _AnsweredCall(str(call.get("name")), json.canonical(arguments or given), output)
