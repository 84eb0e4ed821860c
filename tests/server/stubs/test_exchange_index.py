"""The index of a session's exchanges."""

from __future__ import annotations

from typing import Any

import pytest

from mockserver.exchanges import parse_exchanges
from mockserver.profiles import load_profile
from mockserver.server.stubs.exchange_index import ExchangeIndex
from mockserver.wire import json


def index_of(*documents: dict[str, Any]) -> ExchangeIndex:
    return ExchangeIndex(
        parse_exchanges(json.dumps(list(documents)), "file.json"), load_profile("qwen-2026-01")
    )


@pytest.mark.parametrize(
    ("members", "is_stateless"),
    [({}, True), ({"times": "always"}, True), ({"times": 2}, False), ({"scenario": "retry"}, False)],
)
def test_an_index_is_stateless_if_each_exchange_answers_always(
    members: dict[str, Any], is_stateless: bool
) -> None:
    exchange = {"match": "Hi", "reply": "Hello.", **members}
    assert index_of({"match": "Bye", "reply": "Bye."}, exchange).is_stateless is is_stateless
