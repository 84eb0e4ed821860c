"""Blind mutants: every small damage to a value, made without looking at any rule."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, NamedTuple

from mockserver.wire import json
from tests.contract.samples import Event, renumber

Path = tuple[str | int, ...]


class BlindMutant(NamedTuple):
    """One damage: the operation, the type of event ("" for a response), the location and the result."""

    edit: str
    event_type: str
    pointer: str
    value: Any

    def __str__(self) -> str:
        """What it has in common with the same damage elsewhere: kinds, not locations."""
        return " ".join(part for part in (self.edit, self.event_type, self.pointer) if part)


def stream_mutants(events: list[Event]) -> Iterator[BlindMutant]:
    """Drop, double and swap each event, with old or new numbers; damage each leaf."""
    for at, event in enumerate(events):
        kind = event["type"]
        ways = {
            "dropped": [*events[:at], *events[at + 1 :]],
            "doubled": [*events[: at + 1], event, *events[at + 1 :]],
        }
        if at + 1 < len(events):
            ways["swapped"] = [*events[:at], events[at + 1], event, *events[at + 2 :]]
        for what, broken in ways.items():
            yield BlindMutant(what, kind, "", broken)
            yield BlindMutant(f"{what}, renumbered", kind, "", renumber(broken))
        for each in value_mutants(event):
            yield BlindMutant(each.edit, kind, each.pointer, [*events[:at], each.value, *events[at + 1 :]])


def value_mutants(value: Any) -> Iterator[BlindMutant]:
    """Remove, null, retype and alter each leaf."""
    for path in [*_leaf_paths(value, ())]:
        pointer = _path_text(value, path)
        leaf = _value_at(value, path)
        for what, new in (("nulled", None), ("retyped", _other_type(leaf)), ("altered", _other_value(leaf))):
            if new.__class__ is not leaf.__class__ or new != leaf:
                yield BlindMutant(what, "", pointer, _replace(value, path, new))
        yield BlindMutant("removed", "", pointer, _remove(value, path))


def truncations(data: bytes) -> Iterator[bytes]:
    """The bytes, truncated at each position."""
    for end in range(len(data)):
        yield data[:end]


def _leaf_paths(value: Any, path: Path) -> Iterator[Path]:
    """Paths of all values that hold no other, and of empty lists and objects."""
    pairs: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        pairs = [*value.items()]
    elif isinstance(value, list):
        pairs = [*enumerate(value)]
    if not pairs:
        yield path
    for step, inner in pairs:
        yield from _leaf_paths(inner, (*path, step))


def _path_text(value: Any, path: Path) -> str:
    """Format a path: "/item:message/content/output_text/text"; an element is named by its type."""
    steps = []
    for step in path:
        value = value[step]
        kind = value.get("type", "") if isinstance(value, dict) else ""
        steps.append(kind or "*" if isinstance(step, int) else f"{step}:{kind}" if kind else step)
    return "".join(f"/{step}" for step in steps)


def _value_at(value: Any, path: Path) -> Any:
    for step in path:
        value = value[step]
    return value


def _replace(value: Any, path: Path, new: Any) -> Any:
    broken = copy.deepcopy(value)
    _value_at(broken, path[:-1])[path[-1]] = new
    return broken


def _remove(value: Any, path: Path) -> Any:
    broken = copy.deepcopy(value)
    del _value_at(broken, path[:-1])[path[-1]]
    return broken


def _other_type(leaf: Any) -> Any:
    if isinstance(leaf, str):
        return 7
    if isinstance(leaf, bool) or leaf is None:
        return "x"
    if isinstance(leaf, int | float):
        return json.dumps(leaf).decode()
    return {} if isinstance(leaf, list) else []


def _other_value(leaf: Any) -> Any:
    if isinstance(leaf, bool):
        return not leaf
    if isinstance(leaf, str):
        return leaf + "x"
    if isinstance(leaf, int | float):
        return leaf + 1
    if isinstance(leaf, list):
        return ["x"]
    return leaf if leaf is None else {"x": 1}
