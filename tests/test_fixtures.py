"""The documented samples satisfy the contract, and the server reproduces them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mockserver.contract.check import RULES_SKIPPED_WHEN_TRIMMED, check_request, check_response, check_stream
from mockserver.contract.findings import errors
from mockserver.exchange_files import load_exchange_folder
from mockserver.exchanges import Exchange, packaged_exchanges
from tests.api_client import ApiClient

EXCHANGES = packaged_exchanges("qwen-2026-01")
WITH_SAMPLE = [exchange for exchange in EXCHANGES if exchange.shown]


def each_exchange(exchanges: list[Exchange]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("exchange", exchanges, ids=[exchange.name for exchange in exchanges])


@each_exchange(list(EXCHANGES))
def test_every_documented_request_is_valid(exchange: Exchange) -> None:
    assert check_request(dict(exchange.request or {})) == []


@each_exchange(WITH_SAMPLE)
def test_every_sample_satisfies_the_contract(exchange: Exchange) -> None:
    shown = exchange.shown
    assert shown
    if shown.kind == "stream":
        found = check_stream([json.loads(line) for line in shown.body], trimmed=shown.trimmed)
    else:
        found = check_response(shown.body, trimmed=shown.trimmed)
    assert errors(found) == []


@each_exchange([exchange for exchange in WITH_SAMPLE if exchange.shown and exchange.shown.trimmed])
def test_a_trimmed_sample_fails_when_checked_as_complete(exchange: Exchange) -> None:
    """`trimmed` is needed, and it suppresses only rules about missing data."""
    shown = exchange.shown
    assert shown
    if shown.kind == "stream":
        found = check_stream([json.loads(line) for line in shown.body])
    else:
        found = check_response(shown.body)
    assert errors(found)
    assert {finding.rule for finding in errors(found)} <= RULES_SKIPPED_WHEN_TRIMMED


def without_ids(value: Any) -> Any:
    """Return the value without what differs from call to call."""
    if isinstance(value, dict):
        return {name: without_ids(each) for name, each in value.items() if name not in ("id", "created_at")}
    return [without_ids(each) for each in value] if isinstance(value, list) else value


def contains(whole: Any, part: Any) -> bool:
    """Whether `whole` has everything that `part` has."""
    if isinstance(part, dict):
        return all(name in whole and contains(whole[name], each) for name, each in part.items())
    if isinstance(part, list):
        return len(whole) == len(part) and all(map(contains, whole, part))
    return bool(whole == part)


@each_exchange([exchange for exchange in WITH_SAMPLE if exchange.shown and exchange.shown.kind == "response"])
def test_the_server_reproduces_the_documented_response(exchange: Exchange, api: ApiClient) -> None:
    assert exchange.request
    assert exchange.shown
    request = dict(exchange.request)
    if exchange.match.after:
        first = next(each for each in EXCHANGES if each.name == exchange.match.after)
        assert first.request
        request["previous_response_id"] = api.post(first.request).json()["id"]
    response = without_ids(api.post(request).json())
    assert contains(response, without_ids(exchange.shown.body))


def test_the_documented_stream_has_45_events_with_the_shown_deltas(api: ApiClient) -> None:
    events = api.create_stream("Please briefly introduce artificial intelligence.")
    assert [event["sequence_number"] for event in events] == list(range(45))
    assert sum(event["type"] == "response.output_text.delta" for event in events) == 37
    exchange = next(each for each in EXCHANGES if each.name == "artificial-intelligence")
    assert exchange.shown
    shown = {event["sequence_number"]: event for event in map(json.loads, exchange.shown.body)}
    for number in (4, 5, 6, 7, 38, 39, 40):
        assert events[number]["delta"] == shown[number]["delta"]
    assert {number: events[number]["type"] for number in shown} == {n: e["type"] for n, e in shown.items()}
    assert events[-1]["response"]["usage"] == shown[44]["response"]["usage"]


def test_the_packaged_exchanges_are_those_of_their_folder() -> None:
    # They are loaded without a check, which would take longer than all else that a start reads.
    for folder in (Path(__file__).parent.parent / "fixtures").iterdir():
        assert packaged_exchanges(folder.name) == load_exchange_folder(folder)
