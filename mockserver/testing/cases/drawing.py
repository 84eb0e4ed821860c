"""Plans drawn: legal answers in every form that a client has to take, and answers that it has to refuse.

A client gets only what its own requests allow: built-in tools and functions that they declare, and the form,
streamed or not, that they ask for.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from mockserver.profiles import DEFAULT_PROFILE, Profile
from mockserver.replies.arguments import draw_arguments
from mockserver.replies.script import FunctionCall, Item, Message, Reasoning, Script
from mockserver.testing.cases.door import Received
from mockserver.testing.cases.plan import CUTS, ENDS, FAULTS, Plan
from mockserver.testing.strategies.scripts import items
from mockserver.testing.strategies.values import texts

__all__ = ["Asking", "asking_of", "classics", "plans"]


@dataclass(frozen=True, slots=True)
class Asking:
    """What a client asks for, as far as it decides what it may get."""

    streams: tuple[bool, ...] = (True, False)
    """The forms it asks for, the first preferred."""
    tools: tuple[str, ...] = ()
    functions: tuple[tuple[str, Any], ...] = ()
    """Name and `parameters` of each."""
    profile: str = DEFAULT_PROFILE


def asking_of(received: Collection[Received], profile: Profile) -> Asking:
    """What some requests ask for."""
    values = [each.value for each in received if isinstance(each.value, dict)]
    declared = [tool for value in values for tool in value.get("tools") or () if isinstance(tool, dict)]
    kinds = {tool.get("type") for tool in declared}
    functions = {
        tool["name"]: tool.get("parameters")
        for tool in declared
        if tool.get("type") == "function" and isinstance(tool.get("name"), str)
    }
    streams = {value.get("stream") is True for value in values}
    return Asking(
        tuple(sorted(streams, reverse=True)),
        tuple(kind for kind in profile.tools if kind in kinds),
        tuple(functions.items()),
        profile.name,
    )


def classics(asking: Asking, without: Collection[str] = ()) -> list[Plan]:
    """What clients stumble over most, one thing a case, and as small as can be; each fault, in each form."""
    legal = (
        [Plan(**odd) for oddity, odd in _CLASSICS if oddity not in without] if True in asking.streams else []
    )
    faults = [
        Plan(stream=stream, fault=fault, at=500)
        for stream in asking.streams
        for fault, forms in FAULTS.items()
        if forms[stream] and fault not in {*without, "stalled"}
    ]
    return [*legal, *faults]


def _befalls_bodies(odd: Mapping[str, Any]) -> bool:
    """Whether something unusual can befall an answer that is not streamed."""
    return odd.keys() <= _OF_BODIES and odd.get("cut") in (None, "middle")


#: "apart" is easier to read than the usual way: a control, no trap.
_CUTS = tuple(cut for cut in CUTS if cut != "apart")
_OF_BODIES = {"script", "cut", "unknown_members", "members", "long"}
_A = Message(("a",))
_CLASSICS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("", {"script": Script((Reasoning(("b",)), _A))}),
    ("", {"script": Script((Message(()), _A))}),
    ("", {"script": Script((Message(("a", "b")),))}),
    ("", {"script": Script((Message(("\u2028",)),))}),
    ("", {"script": Script((Message(("é\n",)),))}),
    ("cuts", {"cut": "whole"}),
    ("cuts", {"cut": "lines"}),
    ("cuts", {"cut": "blank"}),
    ("cuts", {"cut": "middle"}),
    ("cuts", {"cut": "middle", "script": Script((Message(("é",)),))}),
    ("framing", {"plain": True}),
    ("framing", {"end": "CRLF"}),
    ("framing", {"end": "CR"}),
    ("framing", {"comments": True}),
    ("unknown", {"unknown_event": True}),
    ("unknown", {"unknown_members": True}),
    ("members", {"members": "null"}),
    ("members", {"members": "absent"}),
    ("long", {"long": True}),
)


@st.composite
def plans(draw: DrawFn, asking: Asking, without: Collection[str] = ()) -> Plan:
    """Plans for a client; `without` names faults and oddities to leave out.

    A third has a fault. "stalled" is never drawn: each would cost a client all its time.
    """
    # Everything is drawn for every plan, needed or not: so a case can shrink from one form into the other.
    # Streams have more in which a client can err.
    stream = draw(st.sampled_from([asking.streams[0]] * 3 + list(asking.streams)))
    script = draw(_scripts(asking))
    fault = draw(_faults(stream, frozenset(without)))
    at = draw(st.integers(0, 999))
    framed = "framing" not in without
    odd: dict[str, Any] = {
        "cut": draw(st.sampled_from(_CUTS)) if "cuts" not in without else "events",
        "plain": _rarely(draw, "framing", without),
        "end": draw(st.sampled_from(["LF", *ENDS])) if framed else "LF",
        "comments": _rarely(draw, "framing", without),
        "unknown_event": _rarely(draw, "unknown", without),
        "unknown_members": _rarely(draw, "unknown", without),
        "members": _members(draw, without),
        "long": _rarely(draw, "long", without) and isinstance(script.items[-1], Message),
    }
    if fault is not None:
        return Plan(script, stream, fault, at)
    if not stream:
        odd = {name: value for name, value in odd.items() if name in _OF_BODIES}
        odd["cut"] = "events" if odd["cut"] == "events" else "middle"
    return Plan(script, stream, **odd)


def _faults(stream: bool, without: Collection[str]) -> SearchStrategy[str | None]:
    known = [each for each, forms in FAULTS.items() if forms[stream] and each not in {*without, "stalled"}]
    return st.sampled_from([*[None] * max(1, 2 * len(known)), *known])


def _rarely(draw: DrawFn, oddity: str, without: Collection[str]) -> bool:
    return oddity not in without and draw(st.sampled_from([False, False, False, False, True]))


def _members(draw: DrawFn, without: Collection[str]) -> str:
    return "" if "members" in without else draw(st.sampled_from(["", "", "null", "absent"]))


@st.composite
def _scripts(draw: DrawFn, asking: Asking) -> Script:
    """What is said ends with a message that says something, or with the call of a function."""
    kinds = ("message", "reasoning", *asking.tools)
    before: list[Item] = draw(st.lists(items(asking.profile, kinds), max_size=2))
    calls = bool(asking.functions) and draw(st.booleans())
    return Script((*before, draw(_calls(asking.functions) if calls else _messages())))


def _messages() -> SearchStrategy[Item]:
    first = texts().map(lambda text: text or "a")
    return st.builds(lambda start, more: Message((start, *more)), first, st.lists(texts(), max_size=3))


@st.composite
def _calls(draw: DrawFn, functions: tuple[tuple[str, Any], ...]) -> Item:
    name, parameters = functions[draw(st.integers(0, len(functions) - 1))]
    return FunctionCall(name, draw_arguments(parameters, draw(st.integers(0, 99))))
