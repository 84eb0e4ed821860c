"""Blind mutants: every small damage to a value, made without looking at any rule."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, NamedTuple

from mockserver.wire import json
from tests.contract.samples import Event, numbered

Path = tuple[str | int, ...]


class Blind(NamedTuple):
    """One damage: what was done, to which type of event ("" for a response), where, and what came of it."""

    what: str
    kind: str
    pointer: str
    value: Any

    def __str__(self) -> str:
        """What it has in common with the same damage elsewhere: the kinds of things, not their places."""
        return " ".join(part for part in (self.what, self.kind, self.pointer) if part)


def of_stream(events: list[Event]) -> Iterator[Blind]:
    """Each event dropped, doubled and swapped with the next, numbers kept or made anew; each leaf damaged."""
    for at, event in enumerate(events):
        kind = event["type"]
        ways = {
            "dropped": [*events[:at], *events[at + 1 :]],
            "doubled": [*events[: at + 1], event, *events[at + 1 :]],
        }
        if at + 1 < len(events):
            ways["swapped"] = [*events[:at], events[at + 1], event, *events[at + 2 :]]
        for what, broken in ways.items():
            yield Blind(what, kind, "", broken)
            yield Blind(f"{what}, renumbered", kind, "", numbered(broken))
        for each in of_value(event):
            yield Blind(each.what, kind, each.pointer, [*events[:at], each.value, *events[at + 1 :]])


def of_value(value: Any) -> Iterator[Blind]:
    """Each leaf removed, nulled, retyped and altered."""
    for path in [*_leaves(value, ())]:
        pointer = _named(value, path)
        leaf = _at(value, path)
        for what, new in (("nulled", None), ("retyped", _retyped(leaf)), ("altered", _altered(leaf))):
            if new.__class__ is not leaf.__class__ or new != leaf:
                yield Blind(what, "", pointer, _with(value, path, new))
        yield Blind("removed", "", pointer, _without(value, path))


def of_bytes(data: bytes) -> Iterator[bytes]:
    """The bytes cut off at each place."""
    for end in range(len(data)):
        yield data[:end]


def _leaves(value: Any, path: Path) -> Iterator[Path]:
    """Paths of all values that hold no other, and of empty lists and objects."""
    pairs: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        pairs = [*value.items()]
    elif isinstance(value, list):
        pairs = [*enumerate(value)]
    if not pairs:
        yield path
    for step, inner in pairs:
        yield from _leaves(inner, (*path, step))


def _named(value: Any, path: Path) -> str:
    """A path in words: "/item:message/content/output_text/text"; an element goes by its type."""
    steps = []
    for step in path:
        value = value[step]
        kind = value.get("type", "") if isinstance(value, dict) else ""
        steps.append(kind or "*" if isinstance(step, int) else f"{step}:{kind}" if kind else step)
    return "".join(f"/{step}" for step in steps)


def _at(value: Any, path: Path) -> Any:
    for step in path:
        value = value[step]
    return value


def _with(value: Any, path: Path, new: Any) -> Any:
    broken = copy.deepcopy(value)
    _at(broken, path[:-1])[path[-1]] = new
    return broken


def _without(value: Any, path: Path) -> Any:
    broken = copy.deepcopy(value)
    del _at(broken, path[:-1])[path[-1]]
    return broken


def _retyped(leaf: Any) -> Any:
    if isinstance(leaf, str):
        return 7
    if isinstance(leaf, bool) or leaf is None:
        return "x"
    if isinstance(leaf, int | float):
        return json.dumps(leaf).decode()
    return {} if isinstance(leaf, list) else []


def _altered(leaf: Any) -> Any:
    if isinstance(leaf, bool):
        return not leaf
    if isinstance(leaf, str):
        return leaf + "x"
    if isinstance(leaf, int | float):
        return leaf + 1
    if isinstance(leaf, list):
        return ["x"]
    return leaf if leaf is None else {"x": 1}
