"""Which profile something is of, told by positive marks: forms of ids, members, types, framing.

The marks are facts of the profiles, and so are the hints: what other services have too, which only tells
one age from another where marks say that it is one of them. What breaks the contract has no part in the
choice, so a stream never gets a milder judge by being bad; a profile that `yields` is taken only where no
other has a mark.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from mockserver.errors import EventTooLarge, InvalidJSON
from mockserver.profiles import DEFAULT_PROFILE, document, load_profile, profile_names
from mockserver.wire import json, sse

__all__ = ["ProfileChoice", "detect_profile"]

#: Events, and bytes of a stream, that are looked at.
_MAX_EVENTS = 200
_MAX_BYTES = 1 << 18

Signal = tuple[str, str]
"""What kind of mark, and what was there: ("response_id", "resp_0a1b…")."""


class ProfileChoice(NamedTuple):
    """A profile, and the words for why it."""

    profile: str
    reason: str


def detect_profile(body: bytes, value: Any = None) -> ProfileChoice:
    """The profile whose marks `body` has; the default where it has none. `value`: its JSON, if it is."""
    evidence = list(dict.fromkeys(_signals_of_text(body) if value is None else _signals_of_value(value)))
    seen = {name: _matching_signals(name, evidence) for name in profile_names()}
    strict = {
        name: marks for name, marks in seen.items() if marks and not _signal_patterns(name).get("yields")
    }
    marked = strict or {name: marks for name, marks in seen.items() if marks}
    if not marked:
        return ProfileChoice(DEFAULT_PROFILE, "the default: it has no mark of any profile")
    # Of ages that nothing tells apart the newest, but the default before all.
    name = max(
        marked, key=lambda each: (*_score(each, marked[each], evidence), each == DEFAULT_PROFILE, each)
    )
    return ProfileChoice(name, "by " + ", ".join(marked[name][:3]))


def _signal_patterns(profile: str) -> Mapping[str, Any]:
    facts: Mapping[str, Any] = document(profile)["facts"].get("marks", {"value": {}})["value"]
    return facts


def _score(profile: str, matching: list[str], signals: list[Signal]) -> tuple[int, int]:
    """How much speaks for a profile: its marks; where those are as many, models and hints."""
    hints = document(profile)["facts"].get("hints", {"value": {}})["value"]
    models = load_profile(profile).models
    hinted = [text for kind, text in signals if kind in hints and re.match(hints[kind], text)]
    listed = [text for kind, text in signals if kind == "model" and text in models]
    return len(matching), len(hinted) + len(listed)


def _matching_signals(profile: str, signals: list[Signal]) -> list[str]:
    facts = _signal_patterns(profile)
    return [
        f"{kind.replace('_', ' ')} {text[:44]}"
        for kind, text in signals
        if kind in facts and re.match(facts[kind], text)
    ]


def _signals_of_value(value: Any) -> Iterator[Signal]:
    for each in value[:_MAX_EVENTS] if isinstance(value, list) else [value]:
        if isinstance(each, dict):
            yield from _signals_of_object(each)


def _signals_of_text(body: bytes) -> Iterator[Signal]:
    if body.lstrip()[:1] == b"{":
        for line in body[:_MAX_BYTES].splitlines():
            yield from _signals_of_line(line)
        return
    try:
        frames = sse.Decoder().feed(body[:_MAX_BYTES])
    except EventTooLarge:
        return
    for frame in frames[:_MAX_EVENTS]:
        for comment in frame.comments:
            yield "framing", f":{comment}"
        if frame.data is not None:
            yield from _signals_of_line(frame.data.encode(errors="replace"))
    if re.search(rb"^data:\{", body[:_MAX_BYTES], re.MULTILINE):
        yield "framing", "data:{"


def _signals_of_line(line: bytes) -> Iterator[Signal]:
    try:
        yield from _signals_of_value(json.loads(line))
    except InvalidJSON:
        return


def _signals_of_object(value: dict[str, Any]) -> Iterator[Signal]:
    """Evidence of a request, response, error or event."""
    yield from (("member", name) for name, member in value.items() if member is not None)
    yield from _text_signal("type", value.get("type"))
    yield from _text_signal("model", value.get("model"))
    for tool in _dicts(value.get("tools")):
        yield from _text_signal("type", tool.get("type"))
    if value.get("object") == "response":
        yield from _text_signal("response_id", value.get("id"))
    for name in ("response", "item", "usage"):
        for inner in _dicts([value.get(name)]):
            yield from _signals_of_object(inner) if name != "item" else _signals_of_item(inner)
    for item in _dicts(value.get("output")):
        yield from _signals_of_item(item)


def _signals_of_item(item: dict[str, Any]) -> Iterator[Signal]:
    yield from _text_signal("type", item.get("type"))
    yield from _text_signal("item_id", item.get("id"))


def _text_signal(kind: str, value: Any) -> Iterator[Signal]:
    if isinstance(value, str):
        yield kind, value


def _dicts(values: Any) -> Iterator[dict[str, Any]]:
    return (each for each in values if isinstance(each, dict)) if isinstance(values, list) else iter(())
