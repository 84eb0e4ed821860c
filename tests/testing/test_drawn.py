"""All there is gets drawn: every type, enumerated value and optional member of the profile's schemas.

What is to be drawn is read from the schemas; what is not drawn stands in a table with the reason.
"""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, Phase, given, settings

from mockserver import strategies
from mockserver.contract.coverage import Coverage
from mockserver.contract.schemas import schemas
from mockserver.profiles import DEFAULT_PROFILE

KNOWN = schemas(DEFAULT_PROFILE)

_OF_A_RUN = "the program fails inside a completed item (live recordings, 2026); no other end was seen"
_PROGRESS = "told by an event, never by the item (API reference, sample of 26 January 2026)"
_HALF = "an item is left unfinished only where the response is: a later age"
_NO_STATUS = "reasoning items have no status on the wire (API reference, 2026)"
_OTHER_TOOL = "of a tool that this age does not have"

#: What the service is not known to send in this age, or what a client does not send.
NOT_DRAWN = {
    "response.status=cancelled": "nothing can be cancelled in any age",
    "response.status=incomplete": "there is no response.incomplete in this age",
    "message.status=incomplete": _HALF,
    "function_call.status=incomplete": _HALF,
    **{f"reasoning.status={each}": _NO_STATUS for each in ("in_progress", "completed", "incomplete")},
    **{
        f"{item}.status={status}": reason
        for item in ("web_search_call", "web_extractor_call", "code_interpreter_call")
        for status, reason in {
            "failed": _OF_A_RUN,
            "incomplete": _HALF,
            "searching": _PROGRESS,
            "interpreting": _PROGRESS,
        }.items()
    },
    **{
        f"input_tool_call.{member}": _OTHER_TOOL
        for member in ("arguments", "name", "queries", "results", "server_label")
    },
}


#: By schema: the strategy that draws its values, and how many of the 5,000 are drawn.
ROOTS: dict[str, tuple[Any, int]] = {
    "event": (strategies.streams(rendering="documented") | strategies.streams(), 1000),
    "response": (strategies.responses(), 500),
    "usage": (strategies.usages(), 500),
    "create_request": (strategies.requests(), 2500),
    "error": (strategies.errors(), 250),
    "error_wrapped": (strategies.errors(), 250),
}


def test_everything_there_is_is_drawn() -> None:
    wanted: set[str] = set()
    drawn: set[str] = set()
    for name, (strategy, examples) in ROOTS.items():
        coverage = Coverage(KNOWN, [name])
        draw_into(coverage, strategy, examples, name)
        wanted |= coverage.possible
        drawn |= coverage.seen
    assert sum(examples for _, examples in ROOTS.values()) == 5_000
    assert sorted(wanted - drawn) == sorted(NOT_DRAWN)


def draw_into(coverage: Coverage, strategy: Any, examples: int, name: str) -> None:
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
            if KNOWN.closed_valid(name, value):
                coverage.add(name, value)

    draw()
