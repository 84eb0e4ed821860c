"""All there is gets drawn: every type, enumerated value and optional member of the profile's schemas.

What is to be drawn is read from the schemas; what is not drawn stands in a table with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from mockserver import strategies
from mockserver.contract.operations import bodies
from mockserver.contract.schemas import schemas
from mockserver.profiles import load_profile

_OF_A_RUN = "the program fails inside a completed item (live recordings, 2026); no other end was seen"
_PROGRESS = "told by an event, never by the item (API reference, sample of 26 January 2026)"
_HALF = "an item is left unfinished only where the response is: a later age"
_NO_STATUS = "reasoning items have no status on the wire (API reference, 2026)"
_OTHER_TOOL = "of a tool that this age does not have"

_NEVER_ENDED = "only runs that end well were seen (API reference, 2026)"
_OPAQUE = "of other services: taken from a client, and listed as it came"

#: What the service is not known to send in any age, or what a client does not send.
NOT_DRAWN = {
    "response.status=cancelled": "nothing can be cancelled in any age",
    **{f"reasoning.status={each}": _NO_STATUS for each in ("in_progress", "completed", "incomplete")},
    **{
        f"{item}.status={status}": reason
        for item in ("web_search_call", "web_extractor_call", "code_interpreter_call")
        for status, reason in {
            "failed": _OF_A_RUN,
            "searching": _PROGRESS,
            "interpreting": _PROGRESS,
        }.items()
    },
}

#: What comes when responses can be incomplete, in August 2026.
_WITH_INCOMPLETE = {
    "response.status=incomplete": "there is no response.incomplete in this age",
    **{
        f"{item}.status=incomplete": _HALF
        for item in (
            "message",
            "function_call",
            "web_search_call",
            "web_extractor_call",
            "code_interpreter_call",
        )
    },
}

#: What the tools that came in February and March 2026 have of their own.
_LATER_TOOLS = {
    "file_search_call.status=failed": _NEVER_ENDED,
    "file_search_call.status=searching": _PROGRESS,
    "named_call.status=failed": _NEVER_ENDED,
}

BY_PROFILE = {
    "qwen-2026-01": {
        **NOT_DRAWN,
        **_WITH_INCOMPLETE,
        **{
            f"input_tool_call.{member}": _OTHER_TOOL
            for member in ("arguments", "name", "queries", "results", "server_label")
        },
    },
    "qwen-2026-05": {
        **NOT_DRAWN,
        **_WITH_INCOMPLETE,
        **_LATER_TOOLS,
        **{f"{item}.status=incomplete": _HALF for item in ("file_search_call", "named_call")},
    },
    "qwen-2026-09": {**NOT_DRAWN, **_LATER_TOOLS},
}


def possible(schema: Any, name: str, seen: frozenset[str], defs: Any) -> Iterator[str]:
    """Everything a closed schema lets a value show: members, values of enumerations, branches of unions."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if name in seen:
            return
        seen, schema = seen | {name}, defs[name]
    kinds = [] if "x-dispatch" in schema else schema.get("enum", [])
    yield from (f"{name}={each}" for each in kinds)
    if isinstance(schema.get("items"), dict):
        yield from possible(schema["items"], f"{name}/*", seen, defs)
    if "x-dispatch" in schema:
        for kind, branch in branches(schema):
            yield f"{name}~{kind}"
            yield from possible(branch["then"], name, seen, defs)
        return
    for member, inner in schema.get("properties", {}).items():
        if inner != {"type": "null"}:  # a member that is always null: absence, in words
            yield f"{name}.{member}"
            yield from possible(inner, f"{name}.{member}", seen, defs)


def shown(schema: Any, value: Any, name: str, defs: Any) -> Iterator[str]:
    """What of that a value shows."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        schema = defs[name]
    kinds = [] if "x-dispatch" in schema else schema.get("enum", [])
    yield from (f"{name}={each}" for each in kinds if each == value and type(each) is type(value))
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        for inner in value:
            yield from shown(schema["items"], inner, f"{name}/*", defs)
    if not isinstance(value, dict):
        return
    if "x-dispatch" in schema:
        for kind, branch in branches(schema):
            if value.get("type") == kind:
                yield f"{name}~{kind}"
                yield from shown(branch["then"], value, name, defs)
        return
    for member, inner in schema.get("properties", {}).items():
        if member in value and inner != {"type": "null"}:
            yield f"{name}.{member}"
            yield from shown(inner, value[member], f"{name}.{member}", defs)


def branches(union: Any) -> Iterator[tuple[Any, Any]]:
    for branch in union["allOf"]:
        condition = branch["if"]["properties"]["type"]
        yield from ((kind, branch) for kind in condition.get("enum", [condition.get("const")]))


def roots(profile: str) -> dict[str, tuple[Any, int]]:
    """By schema: the strategy that draws its values, and how many are drawn."""
    streams = strategies.streams(profile=profile, rendering="documented") | strategies.streams(
        profile=profile
    )
    errors = strategies.errors(profile=profile)
    found: dict[str, tuple[Any, int]] = {
        "event": (streams, 1000),
        "response": (strategies.responses(profile=profile), 500),
        "usage": (strategies.usages(profile=profile), 500),
        "create_request": (strategies.requests(profile=profile), 2500),
        "error": (errors, 250),
        "error_wrapped": (errors, 250),
    }
    assert sum(examples for _, examples in found.values()) == 5_000
    for kind in bodies(load_profile(profile)):
        drawn = strategies.bodies(kind=kind, profile=profile)
        found.setdefault(kind, (drawn.map(lambda pair: pair[1]), 500))
    return found


@pytest.mark.timeout(240)
@pytest.mark.parametrize("profile", BY_PROFILE)
def test_everything_there_is_is_drawn(profile: str) -> None:
    wanted: set[str] = set()
    drawn: set[str] = set()
    for name, (strategy, examples) in roots(profile).items():
        document = schemas(profile).document(name, closed=True)
        defs = document.get("$defs", {})
        wanted.update(possible(document, name, frozenset({name}), defs))
        drawn.update(shown_in(strategy, examples, profile, name))
    assert sorted(wanted - drawn) == sorted(BY_PROFILE[profile])


def shown_in(strategy: Any, examples: int, profile: str, name: str) -> set[str]:
    found: set[str] = set()
    known, document = schemas(profile), schemas(profile).document(name, closed=True)

    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(strategy)
    def draw(drawn: Any) -> None:
        for value in drawn if isinstance(drawn, list) else [drawn]:
            if known.closed_valid(name, value):
                found.update(shown(document, value, name, document.get("$defs", {})))

    draw()
    return found
