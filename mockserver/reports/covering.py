"""What of the contract the exchanges of a report show, by profile."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mockserver.contract.coverage import ContractCoverage, WireValue, measure_coverage
from mockserver.reports.model import MessageBody, ReportExchange
from mockserver.wire import json

__all__ = ["coverage_by_profile"]


def coverage_by_profile(exchanges: Iterable[ReportExchange]) -> dict[str, ContractCoverage]:
    """By the profile that each was judged by."""
    by_profile: dict[str, list[ReportExchange]] = {}
    for each in exchanges:
        by_profile.setdefault(each.profile, []).append(each)
    return {
        name: measure_coverage(name, (value for each in by_profile[name] for value in _wire_values(each)))
        for name in sorted(by_profile)
    }


def _wire_values(exchange: ReportExchange) -> Iterator[WireValue]:
    yield from _body_wire_values(exchange.request, "request")
    yield from _body_wire_values(exchange.reply, "response")
    for event in exchange.stream.events if exchange.stream is not None else ():
        value = json.loads_or_none(event.data) if event.index is not None else None
        if isinstance(value, dict) and "type" in value:
            yield WireValue("event", "stream", value)


def _body_wire_values(body: MessageBody | None, kind: str) -> Iterator[WireValue]:
    if body is not None and body.schema:
        yield WireValue(
            body.schema, "error" if body.schema.startswith("error") else kind, json.loads_or_none(body.text)
        )
