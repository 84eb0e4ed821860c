"""What of the contract the exchanges of a report show, by profile."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mockserver.contract.coverage import ContractCoverage, WireValue, measure_coverage
from mockserver.reports.model import Body, Exchange
from mockserver.wire import json

__all__ = ["coverage_of"]


def coverage_of(exchanges: Iterable[Exchange]) -> dict[str, ContractCoverage]:
    """By the profile that each was judged by."""
    by_profile: dict[str, list[Exchange]] = {}
    for each in exchanges:
        by_profile.setdefault(each.profile, []).append(each)
    return {
        name: measure_coverage(name, (value for each in by_profile[name] for value in _crossed(each)))
        for name in sorted(by_profile)
    }


def _crossed(told: Exchange) -> Iterator[WireValue]:
    yield from _of_body(told.request, "request")
    yield from _of_body(told.reply, "response")
    for event in told.stream.events if told.stream is not None else ():
        value = json.loads_or_none(event.data) if event.number is not None else None
        if isinstance(value, dict) and "type" in value:
            yield WireValue("event", "stream", value)


def _of_body(body: Body | None, kind: str) -> Iterator[WireValue]:
    if body is not None and body.schema:
        yield WireValue(
            body.schema, "error" if body.schema.startswith("error") else kind, json.loads_or_none(body.text)
        )
