"""Strategy for cases: valid replies in every form a client has to accept, and faults it has to report.

A client gets only what its own requests allow: built-in tools and functions that they declare, and streamed
or whole replies as they request.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from mockserver.profiles import DEFAULT_PROFILE, Profile
from mockserver.replies.json_schema.generator import generate_arguments
from mockserver.replies.script import FunctionCall, Item, Message, Reasoning, Script, message_script
from mockserver.testing.fuzzing.case_plan import CASE_CHUNKINGS, CASE_FAULTS, LINE_ENDINGS, CasePlan
from mockserver.testing.fuzzing.case_server import ReceivedRequest
from mockserver.testing.strategies.scripts import script_items, script_statuses
from mockserver.testing.strategies.values import texts

__all__ = ["RequestedFeatures", "case_plans", "edge_case_plans", "requested_features"]


@dataclass(frozen=True, slots=True)
class RequestedFeatures:
    """The features of a client's requests that decide what it may receive."""

    stream_modes: tuple[bool, ...] = (True, False)
    """Values of `stream` that it requests, the preferred one first."""
    tool_types: tuple[str, ...] = ()
    functions: tuple[tuple[str, Any], ...] = ()
    """Name and `parameters` of each function."""
    profile: str = DEFAULT_PROFILE


def requested_features(requests: Collection[ReceivedRequest], profile: Profile) -> RequestedFeatures:
    """The features of some requests."""
    values = [each.json_body for each in requests if isinstance(each.json_body, dict)]
    declared_tools = [tool for value in values for tool in value.get("tools") or () if isinstance(tool, dict)]
    declared_types = {tool.get("type") for tool in declared_tools}
    functions = {
        tool["name"]: tool.get("parameters")
        for tool in declared_tools
        if tool.get("type") == "function" and isinstance(tool.get("name"), str)
    }
    streams = {value.get("stream") is True for value in values}
    return RequestedFeatures(
        tuple(sorted(streams, reverse=True)),
        tuple(kind for kind in profile.tools if kind in declared_types),
        tuple(functions.items()),
        profile.name,
    )


def edge_case_plans(features: RequestedFeatures, skip: Collection[str] = ()) -> list[CasePlan]:
    """Cases that clients often fail, each small and with one feature; and each fault in each form."""
    legal = (
        [CasePlan(**options) for variation, options in _EDGE_CASES if variation not in skip]
        if True in features.stream_modes
        else []
    )
    faults = [
        CasePlan(_TRUNCATED, stream, fault)
        if fault == "incomplete"
        else CasePlan(stream=stream, fault=fault, at=500)
        for stream in features.stream_modes
        for fault in _drawable_faults(stream, skip, features.profile)
    ]
    return [*legal, *faults]


def _befalls_bodies(options: Mapping[str, Any]) -> bool:
    """Whether these options apply to a reply that is not streamed."""
    return options.keys() <= _FIELDS_WITHOUT_STREAM and options.get("cut") in (None, "middle")


#: "apart" is easier to read than the usual way, so it is only a control.
_DRAWN_CHUNKINGS = tuple(cut for cut in CASE_CHUNKINGS if cut != "apart")
_FIELDS_WITHOUT_STREAM = {"script", "cut", "unknown_members", "members", "long"}
_MESSAGE = Message(("a",))
#: Its text is unlikely to be part of an error message, where a client may keep the text of a truncated reply.
_TRUNCATED = message_script("Half of a text")
_EDGE_CASES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("", {"script": Script((Reasoning(("b",)), _MESSAGE))}),
    ("", {"script": Script((Message(()), _MESSAGE))}),
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
def case_plans(draw: DrawFn, features: RequestedFeatures, skip: Collection[str] = ()) -> CasePlan:
    """Cases for a client; `skip` names faults and variations to leave out.

    A third has a fault. "stalled" is never drawn, because each such case takes the whole time limit.
    """
    # All options are drawn for every plan, needed or not, so a case can shrink from one form to the other.
    # Streams are more frequent because they have more that a client can get wrong.
    stream = draw(st.sampled_from([features.stream_modes[0]] * 3 + list(features.stream_modes)))
    script = draw(_client_scripts(features))
    fault = draw(_fault_names(stream, frozenset(skip), features.profile))
    at = draw(st.integers(0, 999))
    framed = "framing" not in skip
    options: dict[str, Any] = {
        "cut": draw(st.sampled_from(_DRAWN_CHUNKINGS)) if "cuts" not in skip else "events",
        "plain": _draw_rarely(draw, "framing", skip),
        "end": draw(st.sampled_from(["LF", *LINE_ENDINGS])) if framed else "LF",
        "comments": _draw_rarely(draw, "framing", skip),
        "unknown_event": _draw_rarely(draw, "unknown", skip),
        "unknown_members": _draw_rarely(draw, "unknown", skip),
        "members": _draw_member_change(draw, skip),
        "long": _draw_rarely(draw, "long", skip) and isinstance(script.items[-1], Message),
    }
    if fault is not None:
        return CasePlan(script, stream, fault, at)
    if not stream:
        options = {name: value for name, value in options.items() if name in _FIELDS_WITHOUT_STREAM}
        options["cut"] = "events" if options["cut"] == "events" else "middle"
    return CasePlan(script, stream, **options)


def _drawable_faults(stream: bool, skip: Collection[str], profile: str) -> list[str]:
    omitted = {*skip, "stalled"}
    if "incomplete" not in script_statuses(profile):
        omitted.add("incomplete")
    return [fault for fault, forms in CASE_FAULTS.items() if forms[stream] and fault not in omitted]


def _fault_names(stream: bool, skip: Collection[str], profile: str) -> SearchStrategy[str | None]:
    faults = _drawable_faults(stream, skip, profile)
    return st.sampled_from([*[None] * max(1, 2 * len(faults)), *faults])


def _draw_rarely(draw: DrawFn, variation: str, skip: Collection[str]) -> bool:
    return variation not in skip and draw(st.sampled_from([False, False, False, False, True]))


def _draw_member_change(draw: DrawFn, skip: Collection[str]) -> str:
    return "" if "members" in skip else draw(st.sampled_from(["", "", "null", "absent"]))


@st.composite
def _client_scripts(draw: DrawFn, features: RequestedFeatures) -> Script:
    """Scripts that end with a message that has a text, or with a function call."""
    declared_types = ("message", "reasoning", *features.tool_types)
    earlier: list[Item] = draw(st.lists(script_items(features.profile, declared_types), max_size=2))
    calls = bool(features.functions) and draw(st.booleans())
    return Script((*earlier, draw(_function_calls(features.functions) if calls else _nonempty_messages())))


def _nonempty_messages() -> SearchStrategy[Item]:
    first = texts().map(lambda text: text or "a")
    return st.builds(lambda start, more: Message((start, *more)), first, st.lists(texts(), max_size=3))


@st.composite
def _function_calls(draw: DrawFn, functions: tuple[tuple[str, Any], ...]) -> Item:
    name, parameters = functions[draw(st.integers(0, len(functions) - 1))]
    return FunctionCall(name, generate_arguments(parameters, draw(st.integers(0, 99))))
