"""Exchanges as JSON text and back: what goes from the processes of a test run to the one that writes."""

from __future__ import annotations

from typing import Any

from mockserver.contract.findings import Finding, Severity
from mockserver.reports.model import Body, Event, Exchange, Kind, Lane, Mark, Stream
from mockserver.wire import json

__all__ = ["packed", "unpacked"]


def packed(told: Exchange) -> str:
    """An exchange as JSON text: its members by their names."""
    return json.dumps(told).decode()


def unpacked(text: str) -> Exchange:
    """The exchange that `packed` made a text of."""
    told = json.loads(text.encode())
    return Exchange(
        **{
            **told,
            "marks": tuple(_mark(each) for each in told["marks"]),
            "request": _body(told["request"]),
            "reply": _body(told["reply"]),
            "stream": _stream(told["stream"]),
            "about": _pairs(told["about"]),
        }
    )


def _mark(told: dict[str, Any]) -> Mark:
    finding = told["finding"]
    return Mark(**{**told, "finding": Finding(**{**finding, "severity": Severity(finding["severity"])})})


def _body(told: dict[str, Any] | None) -> Body | None:
    return None if told is None else Body(**{**told, "head": _pairs(told["head"])})


def _stream(told: dict[str, Any] | None) -> Stream | None:
    if told is None:
        return None
    events = tuple(Event(**{**each, "kind": Kind(each["kind"])}) for each in told["events"])
    return Stream(events, tuple(Lane(**each) for each in told["lanes"]), told["note"])


def _pairs(told: list[list[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((what, value) for what, value in told)
