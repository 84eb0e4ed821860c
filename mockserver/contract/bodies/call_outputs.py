"""Checks whether the outputs in a request fit the function calls before them, across turns if those are known.

The service refuses an output without a call, and a call without an output. Its texts for this are known from
Chat Completions: 'messages with role "tool" must be a response to a preceeding message with "tool_calls".'
(recorded 2026) and 'An assistant message with "tool_calls" must be followed by tool messages responding to
each "tool_call_id".' (QwenLM/qwen-code issue 315, August 2025; issue 2249, March 2026). That it refuses the
same in the Responses API is documented for outputs (API reference, April 2026) and inferred for calls.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from types import MappingProxyType
from typing import Any

import orjson

from mockserver.contract.findings import Finding
from mockserver.contract.rules import findings_for_profile, limit_findings, make_finding
from mockserver.named_tuples import NamedTuple
from mockserver.profiles import Profile

__all__ = [
    "NO_HISTORY",
    "UNKNOWN_HISTORY",
    "CallHistory",
    "Turn",
    "check_arguments_sent",
    "check_call_outputs",
    "has_only_messages",
    "read_call_history",
    "select_call_items",
    "unchecked_call_outputs",
]

#: What the service answers, its spelling included.
_VENDOR_TEXT = (
    "<400> InternalError.Algo.InvalidParameter: messages with role "
    '"tool" must be a response to a preceeding message with "tool_calls".'
)

#: What it answers to arguments that are not JSON (HKUDS/nanobot issue 1487, March 2026).
_ARGUMENTS_TEXT = (
    '<400> InternalError.Algo.InvalidParameter: The "function.arguments" parameter of the code model '
    "must be in JSON format."
)
#: Characters of arguments that are parsed: no other request is answered meanwhile.
_MAX_PARSED_CHARACTERS = 1 << 20

#: Items that stand for others, which the request does not show.
_OPAQUE_TYPES = frozenset({"item_reference", "compaction"})

#: The members of an item that tell which call it is or answers.
_CALL_MEMBERS = ("type", "id", "call_id", "status")
#: How many open calls a finding lists: more than it shows.
_MAX_LISTED_CALLS = 20


class CallHistory(NamedTuple):
    """The function calls of earlier turns, and which of them have outputs."""

    item_ids: Mapping[str, str | None] = MappingProxyType({})
    """The id of the item of each call, by `call_id`."""
    open_calls: tuple[str, ...] = ()
    """The `call_id` of each function call of the last turn that has no output yet."""
    answered_calls: frozenset[str] = frozenset()
    """The `call_id` of each output."""
    is_complete: bool = True
    """Whether all earlier turns are known; if not, an output may belong to a call that is not in here."""

    def add_items(self, items: Iterable[Mapping[str, Any]]) -> CallHistory:
        """The history with more items, as `select_call_items` returns them, of the same turn."""
        calls = _Calls(self)
        for item in items:
            calls.add(item)
        return calls.to_history()

    def call_history(self) -> CallHistory:
        """The history itself: a turn may continue either a turn or a history."""
        return self


#: There are no earlier turns.
NO_HISTORY = CallHistory()

#: There may be earlier turns, but they are not known.
UNKNOWN_HISTORY = CallHistory(is_complete=False)


def read_call_history(items: Iterable[Any], *, is_complete: bool = True) -> CallHistory:
    """The calls in the input and output items of earlier turns, the oldest first.

    Pass `is_complete=False` if some of the earlier turns are missing.
    """
    return Turn(select_call_items(items), is_complete=is_complete).call_history()


def select_call_items(items: Any) -> tuple[Mapping[str, Any], ...]:
    """The calls, outputs and opaque items in a request's input or a response's output, without their texts."""
    return tuple(
        {name: item[name] for name in _CALL_MEMBERS if name in item}
        for _, item in _items_beside_messages(items)
        if _text_member(item, "call_id") is not None or _text_member(item, "type") in _OPAQUE_TYPES
    )


def has_only_messages(items: Any) -> bool:
    """Whether no item of a valid request's input calls, answers or stands for others: most histories have none."""
    return not _items_beside_messages(items)


def _items_beside_messages(items: Any) -> list[tuple[int, dict[str, Any]]]:
    """The items that may be calls, outputs or opaque, each with its index."""
    if isinstance(items, str) or not isinstance(items, Iterable):
        return []
    return [
        (index, item)
        for index, item in enumerate(items)
        if item.__class__ is dict and ("call_id" in item or item.get("type", "message") != "message")
    ]


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a conversation: its call items, and the turn that it continues."""

    items: tuple[Mapping[str, Any], ...] = ()
    """As `select_call_items` returns them: those of the input, then those of the output."""
    before: Turn | CallHistory | None = None
    is_complete: bool = True
    """Whether `before` has all earlier turns."""
    _known_history: list[CallHistory] = field(default_factory=list, compare=False, repr=False)
    """The history up to this turn, once it is known and until that of a later turn is."""

    def add_items(self, items: Any) -> Turn:
        """The turn with more input or output."""
        return Turn((*self.items, *select_call_items(items)), self.before, self.is_complete)

    def call_history(self) -> CallHistory:
        """The calls up to and including this turn.

        A call that is still without an output one turn later was reported then, and is not open any more.
        """
        if known := self._known_history[:1]:
            return known[0]
        turns, before = [self], self.before
        while isinstance(before, Turn) and not before._known_history:  # noqa: SLF001 (the same class)
            turns.append(before)
            before = before.before
        history = NO_HISTORY if before is None else before.call_history()
        if isinstance(before, Turn):
            # A chain of turns keeps one history, not one for each turn.
            before._known_history.clear()  # noqa: SLF001 (the same class)
        calls = _Calls(history)
        for turn in reversed(turns):
            calls.open_calls.clear()
            calls.is_complete = calls.is_complete and turn.is_complete
            for item in turn.items:
                calls.add(item)
        history = calls.to_history()
        self._known_history.append(history)
        return history


def check_call_outputs(
    request: Mapping[str, Any], profile: Profile, history: CallHistory | None = None
) -> list[Finding]:
    """REQ-007, REQ-013, REQ-014, REQ-015 and REQ-020 on a valid create request.

    `history` has the calls of the turns that the request continues. Without it, a request that continues a
    response or a conversation is checked as far as its own input allows.
    """
    if history is None:
        history = NO_HISTORY if _is_first_turn(request) else UNKNOWN_HISTORY
    findings = [
        *_check_input(request.get("input"), history, is_first_turn=_is_first_turn(request)),
        *_check_function_names(request.get("tools")),
        *_check_arguments(request.get("input")),
    ]
    return findings_for_profile(map(_add_service_message, limit_findings(findings)), profile.name)


def unchecked_call_outputs(
    request: Mapping[str, Any], profile: Profile, history: CallHistory | None = None
) -> list[Finding]:
    """REQ-018 on a valid create request whose earlier turns are not all known: what could not be checked."""
    items = request.get("input")
    calls = _Calls(history or UNKNOWN_HISTORY)
    if calls.is_complete or _is_first_turn(request) or not isinstance(items, list):
        return []
    findings = []
    for index, item in enumerate(items):
        call_id = _text_member(item, "call_id")
        if _is_output(item) and call_id is not None and call_id not in calls.item_ids:
            message = "the earlier turn is not known, so this call_id was not compared with its calls"
            findings.append(make_finding("REQ-018", f"/input/{index}/call_id", message, got=call_id))
        calls.add(item)
    return findings_for_profile(limit_findings(findings), profile.name)


class _Calls:
    """The calls up to some item, and their outputs."""

    def __init__(self, history: CallHistory) -> None:
        self.item_ids = dict(history.item_ids)
        self.open_calls: dict[str, int | None] = dict.fromkeys(history.open_calls)
        """The index in the input of each call without an output; None for a call of an earlier turn."""
        self.answered = set(history.answered_calls)
        self.is_complete = history.is_complete

    def add(self, item: Any, index: int | None = None) -> None:
        kind, call_id = _text_member(item, "type"), _text_member(item, "call_id")
        if kind in _OPAQUE_TYPES:
            self.is_complete = False
        elif kind is None or call_id is None:
            return
        elif _is_output(item):
            self.answered.add(call_id)
            self.open_calls.pop(call_id, None)
        elif kind.endswith("_call"):
            self.item_ids[call_id] = _text_member(item, "id")
            # The client cannot run a call that was cut off. Other kinds of calls may need no output.
            if kind == "function_call" and item.get("status") != "incomplete":
                self.open_calls[call_id] = index
            # Some gateways count their calls in each turn anew: a later call with the id needs an output too.
            self.answered.discard(call_id)

    def is_item_id(self, text: str) -> bool:
        """Whether a text is the id of a call's item."""
        return text in self.item_ids.values()

    def to_history(self) -> CallHistory:
        return CallHistory(
            MappingProxyType(self.item_ids),
            tuple(self.open_calls),
            frozenset(self.answered),
            self.is_complete,
        )


def _check_input(items: Any, history: CallHistory, *, is_first_turn: bool) -> Iterator[Finding]:
    calls = _Calls(history)
    mismatches = 0
    relevant = _items_beside_messages(items)
    for index, item in relevant:
        call_id = _text_member(item, "call_id")
        finding = None
        if call_id is not None and _is_output(item):
            finding = _check_output(index, call_id, calls, is_first_turn=is_first_turn)
            mismatches += finding is not None
        elif call_id in calls.item_ids:
            message = "another call has this call_id"
            finding = make_finding("REQ-015", f"/input/{index}/call_id", message, got=call_id)
        if finding is not None:
            yield finding
        calls.add(item, index)
    hides_outputs = any(_text_member(item, "type") in _OPAQUE_TYPES for _, item in relevant)
    # An output that fits no call explains one call without an output: report the cause alone.
    open_calls = () if hides_outputs else list(calls.open_calls.items())[mismatches:]
    for call_id, at in open_calls:
        pointer = "/input" if at is None else f"/input/{at}/call_id"
        caller = "the turn before" if at is None else f"input[{at}]"
        message = f"The input has no output for {call_id!r}, which {caller} calls."
        yield make_finding("REQ-013", pointer, message, expected="function_call_output", got=call_id)


def _check_output(index: int, call_id: str, calls: _Calls, *, is_first_turn: bool) -> Finding | None:
    pointer, location = f"/input/{index}/call_id", f"input[{index}].call_id"
    expected = list(islice(calls.open_calls, _MAX_LISTED_CALLS))
    if call_id in calls.answered:
        message = f"{location} repeats {call_id!r}: that call has an output."
        return make_finding("REQ-014", pointer, message, expected=expected, got=call_id)
    if call_id in calls.item_ids:
        return None
    if calls.is_item_id(call_id):
        message = f"{location} is the item's id {call_id!r}, not its call_id."
    elif not calls.is_complete:
        return None
    elif is_first_turn:
        message = f"input[{index}] is the output of a function call that is not in the input before it"
    elif calls.item_ids:
        message = f"{location} is {call_id!r}, which the turn before did not call."
    else:
        message = f"{location} is {call_id!r}, but the turn before called no function."
    return make_finding("REQ-007", pointer, message, expected=expected or None, got=call_id)


def _check_function_names(tools: Any) -> Iterator[Finding]:
    names: set[str] = set()
    for index, tool in enumerate(tools if isinstance(tools, list) else ()):
        name = _text_member(tool, "name")
        if _text_member(tool, "type") != "function" or name is None:
            continue
        if name in names:
            yield make_finding("REQ-015", f"/tools/{index}/name", "another function has this name", got=name)
        names.add(name)


def _check_arguments(items: Any) -> Iterator[Finding]:
    for index, item in enumerate(items if isinstance(items, list) else ()):
        if item.__class__ is dict and item.get("type") == "function_call":
            yield from check_arguments_sent(item.get("arguments"), f"/input/{index}/arguments")


def check_arguments_sent(arguments: Any, pointer: str) -> Iterator[Finding]:
    """REQ-020 on the arguments of a call that a client sends back."""
    if not isinstance(arguments, str) or not arguments or len(arguments) > _MAX_PARSED_CHARACTERS:
        return
    try:
        orjson.loads(arguments)
    except ValueError:
        finding = make_finding("REQ-020", pointer, "the arguments are not JSON", got=arguments)
        yield replace(finding, service_message=_ARGUMENTS_TEXT)


def _add_service_message(finding: Finding) -> Finding:
    if finding.rule in ("REQ-015", "REQ-020"):
        return finding
    return replace(finding, service_message=f"{_VENDOR_TEXT} {finding.message}")


def _is_first_turn(request: Mapping[str, Any]) -> bool:
    return request.get("previous_response_id") is None and request.get("conversation") is None


def _is_output(item: Any) -> bool:
    kind = _text_member(item, "type")
    return kind is not None and kind.endswith("_output")


def _text_member(value: Any, name: str) -> str | None:
    member = value.get(name) if isinstance(value, dict) else None
    return member if isinstance(member, str) else None
