"""Exchanges as JSON text and back: what goes from the processes of a test run to the one that writes."""

from __future__ import annotations

from typing import Any

from mockserver.contract.findings import Finding, Severity
from mockserver.reports.model import MessageBody, StreamEvent, ReportExchange, EventKind, Lane, ExchangeFinding, EventStream
from mockserver.wire import json

__all__ = ["exchange_to_json", "exchange_from_json"]


def exchange_to_json(exchange: ReportExchange) -> str:
    """An exchange as JSON text: its members by their names."""
    return json.dumps(exchange).decode()


def exchange_from_json(text: str) -> ReportExchange:
    """The exchange that `packed` made a text of."""
    told = json.loads(text.encode())
    return ReportExchange(
        **{
            **told,
            "findings": tuple(_finding_from_json(each) for each in told["findings"]),
            "request": _body_from_json(told["request"]),
            "reply": _body_from_json(told["reply"]),
            "stream": _stream_from_json(told["stream"]),
            "details": _pairs_from_json(told["details"]),
        }
    )


def _finding_from_json(value: dict[str, Any]) -> ExchangeFinding:
    finding = value["finding"]
    return ExchangeFinding(**{**value, "finding": Finding(**{**finding, "severity": Severity(finding["severity"])})})


def _body_from_json(value: dict[str, Any] | None) -> MessageBody | None:
    return None if value is None else MessageBody(**{**value, "headers": _pairs_from_json(value["headers"])})


def _stream_from_json(value: dict[str, Any] | None) -> EventStream | None:
    if value is None:
        return None
    events = tuple(StreamEvent(**{**each, "kind": EventKind(each["kind"])}) for each in value["events"])
    return EventStream(events, tuple(Lane(**each) for each in value["lanes"]), value["note"])


def _pairs_from_json(pairs: list[list[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((what, value) for what, value in pairs)
