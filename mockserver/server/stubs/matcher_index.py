"""Find the first of many matchers that holds for a request, at a cost that does not depend on how many there are.

Each matcher is looked up by one of its conditions, so only those that share its value are compared with a request.
Parts of texts are found by short sequences of characters, in a dictionary that changes in place; if the optional
ahocorasick_rs is installed, by an automaton, which takes 1.3 ns a character of a prompt instead of 60.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from operator import attrgetter, itemgetter
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

#: Texts that need no index.
_FEW_TEXTS = 4
#: Texts that are searched one by one until the automaton is built again, which takes 5 ms for 10,000 texts.
_MAX_LATEST_TEXTS = 64
#: Characters that the automaton searches at a time: it lists every place of every text.
_WINDOW_CHARACTERS = 4096

_Value = TypeVar("_Value")
_Found = TypeVar("_Found")
#: A position, the conditions that the lookup does not decide (None: there are none), and what to return.
_Entry: TypeAlias = tuple[int, Matcher | None, _Value]
#: The matchers that expect one value: the only one, as of most values, or the position of the first and all of them,
#: sorted. A request takes longer the more objects of its own each of 10,000 matchers has.
_Queue: TypeAlias = _Entry[_Value] | tuple[int, list[_Entry[_Value]]]
_position_of = itemgetter(0)

#: The value by which a request finds matchers, for each condition that is compared with a whole value. Matchers that
#: can be looked up by no condition have "" and the value None.
_VALUE: Mapping[str, Callable[[IncomingRequest], Hashable]] = {
    "prompt": attrgetter("facts.prompt"),
    "folded prompt": lambda request: request.prompt.casefold(),
    "after": attrgetter("after"),
    "tools": lambda request: tuple(sorted(request.facts.declared_tool_types)),
    "turn": attrgetter("turn"),
    "model": attrgetter("facts.model"),
    "thinking": attrgetter("facts.thinking"),
    "stream": attrgetter("facts.stream"),
}
#: The values, for each condition that is compared with one of several.
_VALUES: Mapping[str, Callable[[IncomingRequest], Iterable[Hashable]]] = {
    "tool": attrgetter("tools"),
    "json_subset": lambda request: _scalars(request.body),
    "header": lambda request: request.raw_headers.items(),
}
#: The text to search, for each condition that expects a part of a text.
_TEXT: Mapping[str, Callable[[IncomingRequest], str]] = {
    "contains": attrgetter("facts.prompt"),
    "folded contains": lambda request: request.prompt.casefold(),
    "tool_output": lambda request: next(reversed(request.tool_outputs), ""),
    "instructions": attrgetter("instructions"),
}


class MatcherIndex(Generic[_Value]):
    """Values with a matcher each; the one with the lowest position answers."""

    def __init__(self) -> None:
        self._lookups: dict[str, _Lookup[_Value]] = {}
        self._keys: dict[int, tuple[str, Any]] = {}
        self._find_lookups()

    def _find_lookups(self) -> None:
        """Sort the lookups by how a request finds its matchers there."""
        lookups = self._lookups.items()
        self._unconditional = self._lookups[""].queues.values() if "" in self._lookups else ()
        self._by_value = [(_VALUE[key], each.queues.get) for key, each in lookups if key in _VALUE]
        self._by_values = [(_VALUES[key], each.queues) for key, each in lookups if key in _VALUES]
        self._by_text = [(_TEXT[key], each.search) for key, each in lookups if key in _TEXT]

    def add(self, position: int, matcher: Matcher, value: _Value) -> None:
        """Add a value at a position that is free."""
        condition, expected = self._keys[position] = self._choose_key(matcher)
        if condition not in self._lookups:
            self._lookups[condition] = _Lookup(condition)
            self._find_lookups()
        lookup = self._lookups[condition]
        entries = lookup.entries(expected)
        insort(entries, (position, _remaining_conditions(matcher, condition), value), key=_position_of)
        lookup.put(expected, entries)

    def discard(self, position: int) -> None:
        """Remove the value at a position, if there is one."""
        if position not in self._keys:
            return
        condition, expected = self._keys.pop(position)
        lookup = self._lookups[condition]
        entries = lookup.entries(expected)
        del entries[bisect_left(entries, position, key=_position_of)]
        lookup.put(expected, entries)
        if not lookup.queues:
            del self._lookups[condition]
            self._find_lookups()

    def reorder(self, position_of: Callable[[_Value], int]) -> None:
        """Move the values to these positions."""
        self._keys = {}
        for condition, lookup in self._lookups.items():
            for expected in lookup.queues:
                moved = (
                    (position_of(value), conditions, value)
                    for _, conditions, value in lookup.entries(expected)
                )
                entries = sorted(moved, key=_position_of)
                lookup.put(expected, entries)
                self._keys.update((position, (condition, expected)) for position, _, _ in entries)

    def first_match(
        self, request: IncomingRequest, is_accepted: Callable[[_Value], bool] | None = None
    ) -> _Value | None:
        """Return the first value whose matcher holds and that is accepted."""
        queues: list[_Queue[_Value]] = [*self._unconditional]
        for value_of, get in self._by_value:
            queue = get(value_of(request))
            if queue is not None:
                queues.append(queue)
        for text_of, search in self._by_text:
            queues += (search.index or search).find(text_of(request))
        for values_of, by_value in self._by_values:
            queues += [by_value[value] for value in values_of(request) if value in by_value]
        if not queues:
            return None
        if len(queues) > 1:
            queues.sort()  # by position, so the comparison ends at the first match
        first = queues[0]
        if len(first) == 3 and first[1] is None and is_accepted is None:  # as of most stubs
            return first[2]
        return _first_match(queues, request, is_accepted)

    def _choose_key(self, matcher: Matcher) -> tuple[str, Any]:
        """The condition to look a matcher up by and its value: the first that few others share."""
        keys = list(_keys_of(matcher)) or [("", None)]
        return min(keys, key=self._shared_by) if len(keys) > 1 else keys[0]

    def _shared_by(self, key: tuple[str, Any]) -> int:
        lookup = self._lookups.get(key[0])
        return 0 if lookup is None else len(lookup.entries(key[1])) >> _QUEUE_SIZE_BITS


def _first_match(
    queues: Iterable[_Queue[_Value]], request: IncomingRequest, is_accepted: Callable[[_Value], bool] | None
) -> _Value | None:
    match: _Entry[_Value] | None = None
    for queue in queues:
        for entry in (queue,) if len(queue) == 3 else queue[1]:
            position, conditions, value = entry
            if match is not None and match[0] < position:
                break
            if (conditions is None or conditions.matches(request)) and (
                is_accepted is None or is_accepted(value)
            ):
                match = entry
                break
    return None if match is None else match[2]


class _Lookup(Generic[_Value]):
    """The matchers that are looked up by one condition: a queue for each expected value."""

    def __init__(self, condition: str) -> None:
        self.queues: dict[Any, _Queue[_Value]] = {}
        self.search: TextSearch[_Queue[_Value]] = TextSearch()
        """The same for a condition that expects a part of a text."""
        self._is_by_text = condition in _TEXT

    def entries(self, expected: Any) -> list[_Entry[_Value]]:
        """The entries for a value, which may be changed to be put again."""
        queue = self.queues.get(expected)
        return [] if queue is None else [queue] if len(queue) == 3 else queue[1]

    def put(self, expected: Any, entries: list[_Entry[_Value]]) -> None:
        """Replace the entries for a value."""
        if entries:
            queue = entries[0] if len(entries) == 1 else (entries[0][0], entries)
            self.queues[expected] = queue
            if self._is_by_text:
                self.search.put(expected, queue)
        else:
            del self.queues[expected]
            if self._is_by_text:
                self.search.remove(expected)


class TextSearch(Generic[_Found]):
    """Texts that may occur in another one, each with what to find if it does."""

    def __init__(self) -> None:
        self._values: dict[str, _Found] = {}
        self.index: _Automaton[_Found] | _Sequences[_Found] | None = None
        """What finds the texts; None: it has yet to be built."""

    def put(self, text: str, value: _Found) -> None:
        """Add a text, which is not empty, or change what to find."""
        if _is_encodable(text):
            self._values[text] = value
            if self.index is not None:
                self.index.put(text, value)
                self._drop_outdated_index()

    def remove(self, text: str) -> None:
        """Remove a text that was added."""
        if text in self._values:
            del self._values[text]
            if self.index is not None:
                self.index.remove(text)
                self._drop_outdated_index()

    def _drop_outdated_index(self) -> None:
        if self.index is not None and self.index.is_outdated:
            self.index = None

    def find(self, text: str) -> Sequence[_Found]:
        """The values of the texts that occur in this one, in no order."""
        if self.index is None:
            if len(self._values) <= _FEW_TEXTS:
                return [value for part, value in self._values.items() if part in text]
            index_class = _Sequences if _load_automaton_class() is None else _Automaton
            self.index = index_class(self._values)
        return self.index.find(text)


class _Automaton(Generic[_Found]):
    """Finds all texts in one pass over another text, but for those that were added since it was built."""

    def __init__(self, values: Mapping[str, _Found]) -> None:
        automaton_class: Any = _load_automaton_class()
        automaton = automaton_class(list(values), store_patterns=False)
        self._find_matches = automaton.find_matches_as_indexes
        self._numbers = {text: number for number, text in enumerate(values)}
        self._values: list[_Found | None] = list(values.values())
        self._removed_count = 0
        self._latest: dict[str, _Found] = {}
        self._overlap = max(map(len, values)) - 1
        self.is_outdated = False
        """Whether it is time to build another one."""

    def put(self, text: str, value: _Found) -> None:
        number = self._numbers.get(text)
        if number is None:
            self._latest[text] = value
            self.is_outdated |= len(self._latest) > _MAX_LATEST_TEXTS
        else:
            self._removed_count -= self._values[number] is None
            self._values[number] = value

    def remove(self, text: str) -> None:
        if text in self._latest:
            del self._latest[text]
        else:
            self._values[self._numbers[text]] = None
            self._removed_count += 1
            self.is_outdated |= self._removed_count > len(self._values) // 2 + _MAX_LATEST_TEXTS

    def find(self, text: str) -> Sequence[_Found]:
        """The values of the texts that occur in this one."""
        if len(text) > _WINDOW_CHARACTERS:
            return self._found(self._find_in_windows(text), text)
        matches = self._find_matches(text, overlapping=True)
        if len(matches) > 1 or self._latest:
            return self._found({number for number, _, _ in matches}, text)
        value = self._values[matches[0][0]] if matches else None  # of most prompts
        return () if value is None else (value,)

    def _found(self, numbers: set[int], text: str) -> list[_Found]:
        found = [value for number in numbers if (value := self._values[number]) is not None]
        return found + [value for part, value in self._latest.items() if part in text]

    def _find_in_windows(self, text: str) -> set[int]:
        windows = (
            text[start : start + _WINDOW_CHARACTERS + self._overlap]
            for start in range(0, len(text), _WINDOW_CHARACTERS)
        )
        return {number for each in windows for number, _, _ in self._find_matches(each, overlapping=True)}


class _Sequences(Generic[_Found]):
    """Finds each text by its rarest sequence of characters."""

    is_outdated = False

    def __init__(self, values: Mapping[str, _Found]) -> None:
        self._values: dict[str, _Found] = {}
        self._sequences: dict[str, tuple[str, ...]] = {}
        self._texts: dict[int, dict[tuple[str, ...], list[str]]] = {}
        for text, value in values.items():
            self.put(text, value)

    def put(self, text: str, value: _Found) -> None:
        is_new = text not in self._values
        self._values[text] = value
        if is_new:
            self._add_sequence(text)

    def _add_sequence(self, text: str) -> None:
        length = next(each for each in _SEQUENCE_LENGTHS if each <= len(text))
        texts = self._texts.setdefault(length, {})
        # Of equally rare ones take the last: texts of one kind begin alike more often than they end alike.
        sequences = reversed(list(_sequences(text, length)))
        sequence = min(sequences, key=lambda each: len(texts.get(each, ())))
        self._sequences[text] = sequence
        texts.setdefault(sequence, []).append(text)

    def remove(self, text: str) -> None:
        del self._values[text]
        sequence = self._sequences.pop(text)
        texts = self._texts[len(sequence)]
        texts[sequence].remove(text)
        if not texts[sequence]:
            del texts[sequence]
        if not texts:
            del self._texts[len(sequence)]

    def find(self, text: str) -> Sequence[_Found]:
        """The values of the texts that occur in this one."""
        if len(self._values) <= min(_MAX_SEARCHED_TEXTS, len(text) // _CHARACTERS_PER_TEXT):
            return [value for part, value in self._values.items() if part in text]
        return [
            self._values[each]
            for length, texts in self._texts.items()
            for sequence in texts.keys() & _sequences(text, length)
            for each in texts[sequence]
            if each in text
        ]


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
        matcher = matcher._replace(**no_condition)
    if matcher.prompt is None and matcher.contains is None:
        matcher = matcher._replace(ignore_case=False)
    # By identity: a value that compares itself may equal None.
    is_empty = all(getattr(matcher, name) is getattr(ANY_REQUEST, name) for name in Matcher._fields)
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
