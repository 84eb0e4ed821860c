"""Find the first of many matchers that holds for a request, at a cost that does not depend on how many there are.

Each matcher is looked up by one of its conditions, so only those that share its value are compared with a request.
Parts of texts are found by short sequences of characters, in a dictionary that changes in place; if the optional
ahocorasick_rs is installed, by an automaton, which takes 1.3 ns a character of a prompt instead of 60.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from functools import cache
from operator import itemgetter
from typing import Any, Generic, TypeAlias, TypeVar

from mockserver.server.stubs.matchers import ANY_REQUEST, IncomingRequest, Matcher

__all__ = ["MatcherIndex", "TextSearch"]

#: Matchers with the same value that are compared one by one before another condition is preferred: 2 ** 4.
_QUEUE_SIZE_BITS = 4
#: Characters by which texts are found, each by the longest sequence that is not longer than the text. With fewer
#: characters more texts share a sequence; each length in use costs a pass over the prompt.
_SEQUENCE_LENGTHS = (6, 3, 2, 1)
#: Looking a prompt's sequences up costs about as much as searching it for this many texts, one after the other.
_MAX_SEARCHED_TEXTS = 64
#: The same for short prompts: one text for this many characters of the prompt.
_CHARACTERS_PER_TEXT = 16

#: Texts that are searched one by one until the automaton is built again, which takes 5 ms for 10,000 texts.
_MAX_LATEST_TEXTS = 64
#: Characters that the automaton searches at a time: it lists every place of every text.
_WINDOW_CHARACTERS = 4096

_Value = TypeVar("_Value")
#: A position, the conditions that the lookup does not decide (None: there are none), and what to return.
_Entry: TypeAlias = tuple[int, Matcher | None, _Value]
_position_of = itemgetter(0)

_CONDITIONS = tuple(each.name for each in fields(Matcher))

#: The values by which a request finds matchers, for each condition that is compared with a whole value.
_REQUEST_VALUES: Mapping[str, Callable[[IncomingRequest], Iterable[Hashable]]] = {
    "": lambda _: (None,),
    "prompt": lambda request: (request.prompt,),
    "folded prompt": lambda request: (request.prompt.casefold(),),
    "after": lambda request: (request.after,),
    "tool": lambda request: request.tools,
    "tools": lambda request: (tuple(sorted(request.facts.declared_tool_types)),),
    "json_subset": lambda request: _scalars(request.body),
    "header": lambda request: request.raw_headers.items(),
    "turn": lambda request: (request.turn,),
    "model": lambda request: (request.model,),
    "thinking": lambda request: (request.facts.thinking,),
    "stream": lambda request: (request.stream,),
}
#: The texts to search, for each condition that expects a part of a text.
_REQUEST_TEXTS: Mapping[str, Callable[[IncomingRequest], Iterable[str]]] = {
    "contains": lambda request: (request.prompt,),
    "folded contains": lambda request: (request.prompt.casefold(),),
    "tool_output": lambda request: request.tool_outputs[-1:],
    "instructions": lambda request: (request.instructions,),
}


class MatcherIndex(Generic[_Value]):
    """Values with a matcher each; the one with the lowest position answers."""

    def __init__(self) -> None:
        self._lookups: dict[str, _Lookup[_Value]] = {}
        self._keys: dict[int, tuple[str, Any]] = {}

    def add(self, position: int, matcher: Matcher, value: _Value) -> None:
        """Add a value at a position that is free."""
        condition, expected = self._keys[position] = self._choose_key(matcher)
        if condition not in self._lookups:
            self._lookups[condition] = _Lookup(condition)
        entry = (position, _remaining_conditions(matcher, condition), value)
        insort(self._lookups[condition].queue_for(expected), entry, key=_position_of)

    def discard(self, position: int) -> None:
        """Remove the value at a position, if there is one."""
        if position not in self._keys:
            return
        condition, expected = self._keys.pop(position)
        lookup = self._lookups[condition]
        queue = lookup.queues[expected]
        del queue[bisect_left(queue, position, key=_position_of)]
        if not queue:
            lookup.discard(expected)
        if not lookup.queues:
            del self._lookups[condition]

    def reorder(self, position_of: Callable[[_Value], int]) -> None:
        """Move the values to these positions."""
        self._keys = {}
        for condition, lookup in self._lookups.items():
            for expected, queue in lookup.queues.items():
                queue[:] = sorted(
                    ((position_of(value), conditions, value) for _, conditions, value in queue),
                    key=_position_of,
                )
                self._keys.update((position, (condition, expected)) for position, _, _ in queue)

    def first_match(
        self, request: IncomingRequest, is_accepted: Callable[[_Value], bool] | None = None
    ) -> _Value | None:
        """Return the first value whose matcher holds and that is accepted."""
        queues: list[list[_Entry[_Value]]] = []
        for lookup in self._lookups.values():
            queues += lookup.find(request)
        if not queues:
            return None
        if len(queues) > 1:
            queues.sort()  # by position, so the comparison ends at the first match
        match: _Entry[_Value] | None = None
        for queue in queues:
            for entry in queue:
                position, conditions, value = entry
                if match is not None and match[0] < position:
                    break
                if (conditions is None or conditions.matches(request)) and (
                    is_accepted is None or is_accepted(value)
                ):
                    match = entry
                    break
        return None if match is None else match[2]

    def _choose_key(self, matcher: Matcher) -> tuple[str, Any]:
        """The condition to look a matcher up by and its value: the first that few others share."""
        keys = list(_keys_of(matcher)) or [("", None)]
        return min(keys, key=self._shared_by) if len(keys) > 1 else keys[0]

    def _shared_by(self, key: tuple[str, Any]) -> int:
        lookup = self._lookups.get(key[0])
        return 0 if lookup is None else len(lookup.queues.get(key[1], ())) >> _QUEUE_SIZE_BITS


class _Lookup(Generic[_Value]):
    """The matchers that are looked up by one condition: a queue, sorted by position, for each expected value."""

    def __init__(self, condition: str) -> None:
        self.queues: dict[Any, list[_Entry[_Value]]] = {}
        self._is_by_prompt = condition == "prompt"
        self._search = TextSearch() if condition in _REQUEST_TEXTS else None
        self._request_values: Callable[[IncomingRequest], Iterable[Any]] = (
            _REQUEST_VALUES.get(condition) or _REQUEST_TEXTS[condition]
        )

    def queue_for(self, expected: Any) -> list[_Entry[_Value]]:
        if expected not in self.queues:
            self.queues[expected] = []
            if self._search is not None:
                self._search.add(expected)
        return self.queues[expected]

    def discard(self, expected: Any) -> None:
        del self.queues[expected]
        if self._search is not None:
            self._search.remove(expected)

    def find(self, request: IncomingRequest) -> Sequence[list[_Entry[_Value]]]:
        """The queues for the values that a request has."""
        if self._is_by_prompt:  # most exchanges are
            queue = self.queues.get(request.facts.prompt)
            return () if queue is None else (queue,)
        queues, values, search = self.queues, self._request_values(request), self._search
        if search is None:
            return [queues[value] for value in values if value in queues]
        return [queues[part] for text in values for part in search.find(text)]


class TextSearch:
    """Texts that may occur in another one. Each is found by its rarest sequence of characters."""

    def __init__(self) -> None:
        self._sequences: dict[str, tuple[str, ...]] = {}
        self._texts: dict[int, dict[tuple[str, ...], list[str]]] = {}
        self._automaton: _Automaton | None = None
        self._latest: set[str] = set()
        """Texts that the automaton may not have."""

    def add(self, text: str) -> None:
        """Add a text, which is not empty and new."""
        if not _is_encodable(text):
            return
        self._latest.add(text)
        length = next(each for each in _SEQUENCE_LENGTHS if each <= len(text))
        texts = self._texts.setdefault(length, {})
        # Of equally rare ones take the last: texts of one kind begin alike more often than they end alike.
        sequences = reversed(list(_sequences(text, length)))
        sequence = min(sequences, key=lambda each: len(texts.get(each, ())))
        self._sequences[text] = sequence
        texts.setdefault(sequence, []).append(text)

    def remove(self, text: str) -> None:
        """Remove a text that was added."""
        if text not in self._sequences:
            return
        self._latest.discard(text)
        sequence = self._sequences.pop(text)
        texts = self._texts[len(sequence)]
        texts[sequence].remove(text)
        if not texts[sequence]:
            del texts[sequence]
        if not texts:
            del self._texts[len(sequence)]

    def find(self, text: str) -> list[str]:
        """The texts that occur in this one, in no order."""
        if len(self._sequences) <= min(_MAX_SEARCHED_TEXTS, len(text) // _CHARACTERS_PER_TEXT):
            return [each for each in self._sequences if each in text]
        if _load_automaton_class() is not None:
            return self._find_by_automaton(text)
        return [
            each
            for length, texts in self._texts.items()
            for sequence in texts.keys() & _sequences(text, length)
            for each in texts[sequence]
            if each in text
        ]

    def _find_by_automaton(self, text: str) -> list[str]:
        automaton = self._automaton
        if (
            automaton is None
            or len(self._latest) > _MAX_LATEST_TEXTS
            or len(automaton.texts) > 2 * len(self._sequences) + _MAX_LATEST_TEXTS
        ):
            automaton = self._automaton = _Automaton(self._sequences)
            self._latest.clear()
        found = automaton.find(text)
        if self._latest:
            found.update([each for each in self._latest if each in text])
        return [each for each in found if each in self._sequences]


class _Automaton:
    """Finds all of a fixed set of texts in one pass over another text."""

    def __init__(self, texts: Iterable[str]) -> None:
        self.texts = list(texts)
        self._overlap = max(map(len, self.texts), default=1) - 1
        automaton_class: Any = _load_automaton_class()
        self._automaton = automaton_class(self.texts, store_patterns=False)

    def find(self, text: str) -> set[str]:
        """The texts that occur in this one."""
        texts, search = self.texts, self._automaton.find_matches_as_indexes
        if len(text) <= _WINDOW_CHARACTERS:
            return {texts[number] for number, _, _ in search(text, overlapping=True)}
        windows = (
            text[start : start + _WINDOW_CHARACTERS + self._overlap]
            for start in range(0, len(text), _WINDOW_CHARACTERS)
        )
        return {texts[number] for each in windows for number, _, _ in search(each, overlapping=True)}


@cache
def _load_automaton_class() -> Any:
    """The class of automatons; None if the optional package is not installed."""
    try:
        from ahocorasick_rs import AhoCorasick
    except ModuleNotFoundError:
        return None
    return AhoCorasick


def _is_encodable(text: str) -> bool:
    """Whether a request can have a text: not with half a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _sequences(text: str, length: int) -> Iterator[tuple[str, ...]]:
    return zip(*[text[start:] for start in range(length)], strict=False)


def _keys_of(matcher: Matcher) -> Iterator[tuple[str, Any]]:
    """The conditions that a matcher can be looked up by, the most distinctive first, each with its value."""
    folded, fold = ("folded ", str.casefold) if matcher.ignore_case else ("", str)
    if type(matcher.prompt) is str:
        yield f"{folded}prompt", fold(matcher.prompt)
    if matcher.contains:
        yield f"{folded}contains", fold(matcher.contains)
    for name in ("tool_output", "after", "instructions", "tool", "tools"):
        expected = getattr(matcher, name)
        if type(expected) in (str, tuple) and expected:
            yield name, expected
    for scalar in _scalars(matcher.json_subset or {}):
        yield "json_subset", scalar
    for name, value in (matcher.header or {}).items():
        if type(value) is str:
            yield "header", (name.lower().encode("latin-1", "replace"), value.encode("latin-1", "replace"))
    for name in ("turn", "model", "thinking", "stream"):
        if type(expected := getattr(matcher, name)) in (int, str, bool):
            yield name, expected


def _remaining_conditions(matcher: Matcher, condition: str) -> Matcher | None:
    """The matcher without the condition that it is looked up by; None if there are no others."""
    name = condition.removeprefix("folded ")
    if name not in ("", "header", "json_subset"):  # these two are looked up by one member of several
        no_condition: dict[str, Any] = {name: None}
        matcher = replace(matcher, **no_condition)
    if matcher.prompt is None and matcher.contains is None:
        matcher = replace(matcher, ignore_case=False)
    # By identity: a value that compares itself may equal None.
    is_empty = all(getattr(matcher, name) is getattr(ANY_REQUEST, name) for name in _CONDITIONS)
    return None if is_empty else matcher


def _scalars(members: Mapping[str, Any]) -> Iterator[tuple[str, type, Any]]:
    """The scalar members of nested objects, but null, which equals a missing member; each with its pointer."""
    objects = [("", members)]
    while objects:
        pointer, members = objects.pop()
        for name, value in members.items():
            if type(value) is dict:
                objects.append((f"{pointer}/{name}", value))
            elif type(value) in (str, int, float, bool):  # others compare themselves
                yield f"{pointer}/{name}", type(value), value
