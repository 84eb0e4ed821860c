"""Operations read stored turns and items, which may have any size, beside the event loop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any

import httpx
import pytest

from mockserver.server.operations import compaction, conversations, stored_responses
from mockserver.testing.mock import MockServer
from tests.api_client import ApiClient

RecordThreads = Callable[[ModuleType, str], set[str]]

#: A text that has to be counted beside the event loop.
LONG = "Hello, world. " * 10_000


@pytest.fixture
def record_threads(monkeypatch: pytest.MonkeyPatch) -> RecordThreads:
    """Record the names of the threads that call a function of a module."""

    def record(module: ModuleType, name: str) -> set[str]:
        threads: set[str] = set()
        function = getattr(module, name)

        def call(*arguments: Any) -> Any:
            threads.add(threading.current_thread().name)
            return function(*arguments)

        monkeypatch.setattr(module, name, call)
        return threads

    return record


def assert_beside_loop(threads: set[str]) -> None:
    assert threads
    assert "mockserver" not in threads


def test_input_items_are_read_beside_the_event_loop(newest: ApiClient, record_threads: RecordThreads) -> None:
    threads = record_threads(stored_responses, "to_input_items")
    response = newest.create("Hi")
    assert newest.request_json("GET", f"/responses/{response['id']}/input_items")["data"]
    assert_beside_loop(threads)


def test_a_large_response_is_read_beside_the_event_loop(
    newest: ApiClient, record_threads: RecordThreads
) -> None:
    threads = record_threads(stored_responses, "_render_response")
    response = newest.create("Hi", instructions=LONG)
    assert newest.request_json("GET", f"/responses/{response['id']}")["id"] == response["id"]
    assert_beside_loop(threads)


def test_items_of_a_conversation_are_read_and_counted_beside_the_event_loop(
    newest: ApiClient, record_threads: RecordThreads
) -> None:
    threads = [record_threads(conversations, name) for name in ("to_stored_item", "paginate")]
    conversation = newest.request_json(
        "POST", "/conversations", {"items": [{"role": "user", "content": LONG}]}
    )
    assert newest.request_json("GET", f"/conversations/{conversation['id']}/items")["data"]
    for each in threads:
        assert_beside_loop(each)


def test_turns_are_compacted_beside_the_event_loop(record_threads: RecordThreads) -> None:
    threads = record_threads(compaction, "to_input_items")
    with (
        MockServer(profile="openresponses-2026-04", strict=False) as server,
        httpx.Client(trust_env=False) as client,
    ):
        api = ApiClient(server, client)
        assert api.request_json("POST", "/responses/compact", {"model": server.model, "input": "Hi"})[
            "output"
        ]
    assert_beside_loop(threads)
