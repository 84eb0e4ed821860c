"""Markers: what a builder gets in place of a request's own values, and the templates that are cut at them.

For each request only one bytes-formatting operation per body or event is left. A marker contains a random
token, so that no text can look like one.
"""

from __future__ import annotations

import re
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from operator import itemgetter
from typing import Any, TypeAlias, overload

from mockserver.named_tuples import NamedTuple
from mockserver.replies.usage import count_text_tokens

__all__ = [
    "ReplyTemplate",
    "SharedStreamTemplate",
    "SlotValues",
    "StreamFrames",
    "StreamTemplate",
    "compile_body",
    "compile_frames",
    "string_marker",
    "value_marker",
]

_MARKER_TOKEN = secrets.token_hex(8)
_MARKER = re.compile(rf'"\\u0002{_MARKER_TOKEN}:(\w+)\\u0002"|\\u0001{_MARKER_TOKEN}:(\w+)\\u0001'.encode())

#: The values that fill a template, in the order of its slots.
SlotValues: TypeAlias = tuple[bytes, ...]


def string_marker(slot: str) -> str:
    """A marker inside a JSON string."""
    return f"\1{_MARKER_TOKEN}:{slot}\1"


def value_marker(slot: str) -> str:
    """A marker in place of a whole JSON value."""
    return f"\2{_MARKER_TOKEN}:{slot}\2"


class ReplyTemplate(NamedTuple):
    """The body of a reply without `stream`."""

    form: bytes
    pick: Callable[[SlotValues], Any]

    def render(self, slots: SlotValues) -> tuple[bytes]:
        """The body with the values filled in, in one piece."""
        return (self.form % self.pick(slots),)


class StreamTemplate:
    """The frames of a stream: one per event, and one for `[DONE]` if the profile has it."""

    def __init__(
        self,
        parts: tuple[tuple[bytes, int], ...],
        picks: tuple[Callable[[SlotValues], Any], ...],
        slot_count: int,
    ) -> None:
        self.parts = parts
        """Each frame's form, and the number of its selection of values."""
        self.picks = picks
        """The selections, each of which many frames share."""
        self.slot_count = slot_count

    def render(self, slots: SlotValues) -> StreamFrames:
        """One frame per event, with the values filled in."""
        return StreamFrames(self, slots)

    @cached_property
    def token_counts(self) -> tuple[int, ...]:
        """The tokens of text in each frame, which no request changes; counted for paced streams only."""
        return tuple(map(count_text_tokens, StreamFrames(self, (b"0",) * self.slot_count)))

    @cached_property
    def fixed_size(self) -> int:
        """Bytes of all frames without the values."""
        return sum(map(len, StreamFrames(self, (b"",) * self.slot_count)))

    @cached_property
    def slot_uses(self) -> tuple[int, ...]:
        """How often each value is in the frames."""
        numbers: Any = range(self.slot_count)
        uses = Counter(slot for _, number in self.parts for slot in self.picks[number](numbers))
        return tuple(uses[slot] for slot in range(self.slot_count))


class SharedStreamTemplate(NamedTuple):
    """The frames of a stream whose texts are slots, which streams with as many chunks share; and the texts of one."""

    template: StreamTemplate
    texts: SlotValues

    def render(self, slots: SlotValues) -> StreamFrames:
        """As of `StreamTemplate`."""
        return StreamFrames(self.template, (*slots, *self.texts), has_own_texts=True)


class StreamFrames(Sequence[bytes]):
    """The frames of a stream, each rendered when it is read.

    A stream may stay open for long, and the journal keeps what it sent: the values need a tenth of the memory.
    """

    __slots__ = ("_has_own_texts", "_slots", "template")

    def __init__(self, template: StreamTemplate, slots: SlotValues, *, has_own_texts: bool = False) -> None:
        """`has_own_texts`: its texts are in the slots."""
        self.template = template
        self._slots = slots
        self._has_own_texts = has_own_texts

    def __len__(self) -> int:
        return len(self.template.parts)

    def __iter__(self) -> Iterator[bytes]:
        picked = [pick(self._slots) for pick in self.template.picks]
        for form, number in self.template.parts:
            yield form % picked[number]

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | Sequence[bytes]:
        if isinstance(index, slice):
            return tuple(self)[index]
        form, number = self.template.parts[index]
        frame: bytes = form % self.template.picks[number](self._slots)
        return frame

    @property
    def token_counts(self) -> tuple[int, ...]:
        """The tokens of text in each frame."""
        return tuple(map(count_text_tokens, self)) if self._has_own_texts else self.template.token_counts

    @property
    def size(self) -> int:
        """Bytes of all frames."""
        sizes = zip(self.template.slot_uses, self._slots, strict=True)
        return self.template.fixed_size + sum(uses * len(value) for uses, value in sizes)


def compile_body(rendered: bytes, slot_positions: Mapping[bytes, int]) -> ReplyTemplate:
    """The template of a body with markers; `slot_positions` has the position of each slot's value."""
    form, used = _compile_part(rendered, slot_positions)
    return ReplyTemplate(form, _picker(used))


def compile_frames(rendered: Iterable[bytes], slot_positions: Mapping[bytes, int]) -> StreamTemplate:
    """The template of frames with markers; `slot_positions` has the position of each slot's value."""
    parts = [_compile_part(frame, slot_positions) for frame in rendered]
    selections = {used: number for number, used in enumerate(dict.fromkeys(used for _, used in parts))}
    return StreamTemplate(
        tuple((form, selections[used]) for form, used in parts),
        tuple(map(_picker, selections)),
        len(slot_positions),
    )


def _compile_part(rendered: bytes, slot_positions: Mapping[bytes, int]) -> tuple[bytes, tuple[int, ...]]:
    """(bytes with `%b` in place of each marker, the positions of the values to fill in)."""
    used: list[int] = []

    def replace(match: re.Match[bytes]) -> bytes:
        used.append(slot_positions[match[1] or match[2]])
        return b"%b"

    return _MARKER.sub(replace, rendered.replace(b"%", b"%%")), tuple(used)


def _picker(used: tuple[int, ...]) -> Callable[[SlotValues], Any]:
    if not used:
        return lambda slots: ()
    # itemgetter of one index returns the value itself, but formatting needs a tuple.
    return itemgetter(*used) if len(used) > 1 else itemgetter(slice(used[0], used[0] + 1))
