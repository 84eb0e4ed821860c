"""Strategies draw every type, enumerated value and optional member of the profiles' schemas.

The schemas tell what has to be drawn; a table lists what is not drawn, with the reason.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from mockserver import strategies
from mockserver.contract.coverage import SchemaCoverage
from mockserver.contract.operations import body_schemas
from mockserver.contract.schema.registry import ProfileSchemas, load_schemas
from mockserver.profiles import load_profile
from tests.marks import soak_except

pytestmark = pytest.mark.slow

_FAILED_RUN = "the program fails inside a completed item (live recordings, 2026); no other end was seen"
_ONLY_IN_EVENTS = "in events, never in the item (API reference, sample of 26 January 2026)"
_INCOMPLETE_ITEM = "items are incomplete only in incomplete responses, which came in a later profile"
_NO_STATUS = "reasoning items have no status on the wire (API reference, 2026)"
_OTHER_TOOL = "of a tool that this profile does not have"

_NEVER_ENDED = "only successful runs were seen (API reference, 2026)"
_ALWAYS_COMPLETE = "an item that other servers send at once, complete"
_INPUT_ONLY = "of input messages, which are not streamed"
_OPAQUE_ITEM = "of other services: accepted from clients, and listed unchanged"

#: Values that the service is not known to send in any profile, or that clients do not send.
NOT_DRAWN = {
    "response.status=cancelled": "nothing can be cancelled in any profile",
    **{f"reasoning.status={each}": _NO_STATUS for each in ("in_progress", "completed", "incomplete")},
    **{
        f"{item}.status={status}": reason
        for item in ("web_search_call", "web_extractor_call", "code_interpreter_call")
        for status, reason in {
            "failed": _FAILED_RUN,
            "searching": _ONLY_IN_EVENTS,
            "interpreting": _ONLY_IN_EVENTS,
        }.items()
    },
}

#: Values of incomplete responses, introduced in August 2026.
_INCOMPLETE_RESPONSES = {
    "response.status=incomplete": "there is no response.incomplete in this profile",
    **{
        f"{item}.status=incomplete": _INCOMPLETE_ITEM
        for item in (
            "message",
            "function_call",
            "web_search_call",
            "web_extractor_call",
            "code_interpreter_call",
        )
    },
}

#: Values of the tools introduced in February and March 2026.
_LATER_TOOLS = {
    "file_search_call.status=failed": _NEVER_ENDED,
    "file_search_call.status=searching": _ONLY_IN_EVENTS,
    "named_call.status=failed": _NEVER_ENDED,
}

NOT_DRAWN_BY_PROFILE = {
    "qwen-2026-01": {
        **NOT_DRAWN,
        **_INCOMPLETE_RESPONSES,
        **{
            f"input_tool_call.{member}": _OTHER_TOOL
            for member in ("arguments", "name", "queries", "results", "server_label")
        },
    },
    "qwen-2026-05": {
        **NOT_DRAWN,
        **_INCOMPLETE_RESPONSES,
        **_LATER_TOOLS,
        **{f"{item}.status=incomplete": _INCOMPLETE_ITEM for item in ("file_search_call", "named_call")},
    },
    "qwen-2026-09": {**NOT_DRAWN, **_LATER_TOOLS},
    "openresponses-2026-04": {
        "response.status=cancelled": "nothing can be cancelled: the specification has no operation for it",
        "error.error.headers": "the headers of an error come with its status, not in a stream",
        **{f"{item}.status=incomplete": _ALWAYS_COMPLETE for item in ("compaction", "function_call_output")},
        **{
            f"content_part~{kind}": _INPUT_ONLY
            for kind in ("input_file", "input_image", "input_text", "text")
        },
    },
}


#: Batches in which the examples of a strategy are drawn.
_BATCHES = 5


def strategies_by_schema(profile: str) -> dict[str, tuple[Any, int]]:
    """By schema: the strategy that draws its values, and the number of examples."""
    streams = strategies.streams(profile=profile, rendering="documented") | strategies.streams(
        profile=profile
    )
    errors = strategies.errors(profile=profile)
    one_form = bool(load_profile(profile).error_types)
    strategies_by_name: dict[str, tuple[Any, int]] = {
        "event": (streams, 1000),
        "response": (strategies.responses(profile=profile), 500),
        "usage": (strategies.usages(profile=profile), 500),
        "create_request": (strategies.requests(profile=profile), 1500 if one_form else 2500),
        "error": (streams if one_form else errors, 250),
        "error_wrapped": (errors, 250),
    }
    assert sum(examples for _, examples in strategies_by_name.values()) == (4_000 if one_form else 5_000)
    for kind in body_schemas(load_profile(profile)):
        drawn = strategies.bodies(kind=kind, profile=profile)
        strategies_by_name.setdefault(kind, (drawn.map(lambda pair: pair[1]), 500))
    return strategies_by_name


@pytest.mark.timeout(900)
@pytest.mark.parametrize("profile", soak_except({"qwen-2026-01"}, NOT_DRAWN_BY_PROFILE))
def test_strategies_cover_the_schemas(profile: str) -> None:
    schemas = load_schemas(profile)
    not_drawn = sorted(NOT_DRAWN_BY_PROFILE[profile])
    possible: set[str] = set()
    drawn: set[str] = set()
    # Small batches: most runs need few. Several seeds: what one of them draws depends on the constants of the modules
    # that are loaded, and rare values come in clusters.
    for start in range(3 * _BATCHES):
        for name, (strategy, examples) in strategies_by_schema(profile).items():
            coverage = SchemaCoverage(schemas, [name])
            for value in valid_values(schemas, name, strategy, examples // _BATCHES, start):
                coverage.add(name, value)
            possible |= coverage.possible
            drawn |= coverage.seen
        if sorted(possible - drawn) == not_drawn:
            break
    assert sorted(possible - drawn) == not_drawn


def valid_values(schemas: ProfileSchemas, name: str, strategy: Any, examples: int, start: int) -> list[Any]:
    """The values of a schema, without unknown members, that a strategy draws."""
    values: list[Any] = []

    @seed(start)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(strategy)
    def draw(drawn: Any) -> None:
        candidates = drawn if isinstance(drawn, list) else [drawn]
        values.extend(value for value in candidates if schemas.is_closed_valid(name, value))

    draw()
    return values
