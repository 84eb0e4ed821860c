"""Turns: the attempts that created a response, each linked to the turn that it continues."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mockserver.contract.conduct.attempts import Attempt
from mockserver.wire import json

__all__ = ["Turn", "canonical_item", "item_text", "link_turns"]

#: Earlier turns with the same output that are compared to find the one that a request continues.
_MAX_CANDIDATES = 20
#: Members of an item that differ between an item and its copy in a later request.
_IDENTITY_MEMBERS = frozenset({"id", "status"})


@dataclass(frozen=True, eq=False)
class Turn:
    """One create request, and the turn before it in its conversation."""

    attempt: Attempt
    parent: Turn | None
    is_stored: bool
    """Whether the request names its parent by `previous_response_id`."""

    @cached_property
    def input_items(self) -> list[dict[str, Any]]:
        """The input as items."""
        given = self.attempt.request.get("input")
        if isinstance(given, str):
            return [{"role": "user", "content": given}]
        return [each for each in given if isinstance(each, dict)] if isinstance(given, list) else []

    @cached_property
    def output_items(self) -> list[dict[str, Any]]:
        """The items of the response."""
        output = self.attempt.response.get("output")
        return [each for each in output if isinstance(each, dict)] if isinstance(output, list) else []

    @cached_property
    def canonical_input(self) -> list[bytes]:
        return [canonical_item(each) for each in self.input_items]

    @property
    def ancestors(self) -> Iterator[Turn]:
        """The earlier turns of the conversation, the latest first."""
        turn = self.parent
        while turn is not None:
            yield turn
            turn = turn.parent


def canonical_item(item: Mapping[str, Any]) -> bytes:
    """An item for comparisons: a text and a single text part are equal, ids and statuses are left out."""
    members = {name: value for name, value in item.items() if name not in _IDENTITY_MEMBERS}
    if "role" in members:
        members["type"] = "message"
        members["content"] = item_text(item) or members.get("content")
    return json.canonical(members)


def item_text(item: Mapping[str, Any]) -> str:
    """The text of a message; "" if it has other content."""
    content = item.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = [each.get("text") for each in parts if isinstance(each, dict)]
    strings = [each for each in texts if isinstance(each, str)]
    return "\n".join(strings) if len(strings) == len(parts) else ""


def link_turns(attempts: Iterable[Attempt]) -> list[Turn]:
    """The turns of a session. Attempts that failed are turns, but none continues them."""
    turns: list[Turn] = []
    by_id: dict[str, Turn] = {}
    by_output: dict[tuple[str, str], list[Turn]] = {}
    for attempt in attempts:
        if attempt.method != "POST" or not attempt.path.endswith("/responses") or not attempt.request:
            continue
        previous = attempt.request.get("previous_response_id")
        if previous is not None:
            turn = Turn(attempt, by_id.get(str(previous)), is_stored=True)
        else:
            first = Turn(attempt, None, is_stored=False)
            turn = Turn(attempt, _find_parent(first, by_output), is_stored=False)
        turns.append(turn)
        if not attempt.has_failed and attempt.response:
            by_id[str(attempt.response.get("id"))] = turn
            for key in filter(None, map(_output_key, turn.output_items)):
                by_output.setdefault(key, []).append(turn)
    return turns


def _find_parent(turn: Turn, by_output: Mapping[tuple[str, str], list[Turn]]) -> Turn | None:
    """The turn whose output is the last one that the input repeats."""
    for item in reversed(turn.input_items):
        key = _output_key(item)
        if key is not None and key in by_output:
            candidates = by_output[key][-_MAX_CANDIDATES:]
            return max(reversed(candidates), key=lambda each: _similarity(each, turn))
    return None


def _similarity(earlier: Turn, later: Turn) -> tuple[int, bool, int]:
    """How well a turn fits as the one before: equal texts come in many conversations."""
    pairs = zip(earlier.canonical_input, later.canonical_input, strict=False)
    equal = [one == other for one, other in pairs]
    prefix = equal.index(False) if False in equal else len(equal)
    following = later.input_items[len(equal) :][:1]
    outputs = {_output_key(each) for each in earlier.output_items} - {None}
    return prefix, any(_output_key(each) in outputs for each in following), sum(equal)


def _output_key(item: Mapping[str, Any]) -> tuple[str, str] | None:
    """What tells an item of the model, in an output and in later inputs; None if it is not the model's."""
    if item.get("type") == "function_call":
        return "call", str(item.get("call_id"))
    text = item_text(item) if item.get("role") == "assistant" else ""
    return ("text", text) if text else None
