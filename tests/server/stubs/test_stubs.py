"""Stubs: which one answers next, from one thread or many."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from mockserver.errors import ConfigurationError
from mockserver.profiles import load_profile
from mockserver.replies.script import FunctionCall, Reasoning, Script, ToolCall, message_script
from mockserver.server.request_facts import parse_request
from mockserver.server.stubs.matchers import IncomingRequest
from mockserver.server.stubs.stubs import StubRegistry

BODY = {"model": "qwen3-max-2026-01-23", "input": "Hi"}
REQUEST = IncomingRequest(BODY, parse_request(BODY, load_profile("qwen-2026-01")), {})
ONE, TWO = message_script("one"), message_script("two")


def take_reply(stubs: StubRegistry) -> Script | None:
    """Take the next stub and return its script."""
    stub = stubs.take(REQUEST)
    if stub is None:
        return None
    assert isinstance(stub.definition.reply, Script)
    return stub.definition.reply


def test_stubs_answer_in_order_once_each() -> None:
    stubs = StubRegistry()
    assert take_reply(stubs) is None
    stubs.add(ONE)
    stubs.add(TWO)
    assert [take_reply(stubs) for _ in range(3)] == [ONE, TWO, None]
    stubs.add(ONE)
    assert take_reply(stubs) == ONE
    assert len(stubs) == 3


def test_times_and_always() -> None:
    stubs = StubRegistry()
    stubs.add(ONE).times(2)
    stubs.add(TWO).always()
    assert [take_reply(stubs) for _ in range(5)] == [ONE, ONE, TWO, TWO, TWO]


def test_pending_stubs() -> None:
    stubs = StubRegistry()
    twice = stubs.add(ONE).times(2)
    stubs.add(TWO).always()
    assert stubs.pending == [twice]
    take_reply(stubs)
    assert stubs.pending == [twice]
    take_reply(stubs)
    assert stubs.pending == []


def test_an_exhausted_stub_can_get_more_times() -> None:
    """A request may arrive before the line that calls `times`."""
    stubs = StubRegistry()
    first = stubs.add(ONE)
    stubs.add(TWO)
    assert [take_reply(stubs), take_reply(stubs), take_reply(stubs)] == [ONE, TWO, None]
    first.times(2)
    assert [take_reply(stubs), take_reply(stubs)] == [ONE, None]


@pytest.mark.parametrize("count", [0, -1, 1.0, True, "2", None])
def test_times_takes_a_positive_integer(count: object) -> None:
    with pytest.raises(ConfigurationError, match=r"times\(\) takes an integer of at least 1"):
        StubRegistry().add(ONE).times(count)  # type: ignore[arg-type]


def test_times_below_the_call_count_is_an_error() -> None:
    stubs = StubRegistry()
    stub = stubs.add(ONE).times(3)
    take_reply(stubs)
    take_reply(stubs)
    with pytest.raises(ConfigurationError, match="answered 2 times"):
        stub.times(1)
    assert stub.definition.times == 3


def test_a_stub_does_not_answer_after_clear() -> None:
    stubs = StubRegistry()
    old = stubs.add(ONE)
    stubs.clear()
    stubs.add(TWO)
    old.always()
    assert [take_reply(stubs), take_reply(stubs)] == [TWO, None]


def test_the_version_changes_with_each_change_of_the_stubs() -> None:
    stubs = StubRegistry()
    assert stubs.is_empty
    first, second = stubs.add(ONE, name="first"), stubs.add(TWO, name="second")
    changes: list[Callable[[], object]] = [
        lambda: stubs.add(ONE),
        lambda: first.times(2),
        first.always,
        lambda: stubs.reorder([stub.name for stub in reversed(stubs.all)]),
        lambda: stubs.replace("second", stubs.add(TWO, name="third")),
        lambda: stubs.remove("first"),
        stubs.clear,
    ]
    for change in changes:
        version = stubs.version
        change()
        assert stubs.version != version
    assert second not in stubs.all
    assert stubs.is_empty


def test_the_version_does_not_change_with_a_reply() -> None:
    stubs = StubRegistry()
    stubs.add(ONE)
    version = stubs.version
    assert take_reply(stubs) == ONE
    assert stubs.version == version
    assert not stubs.is_empty


def test_str_describes_the_reply() -> None:
    stubs = StubRegistry()
    items = (Reasoning(("hm",)), FunctionCall("look", "{}"), ToolCall("web_search", {}))
    assert str(stubs.add(ONE)) == "'one' (expected once, not used)"
    assert str(stubs.add(message_script("x" * 100)).times(2)).startswith(f"'{'x' * 60}…' (expected 2 times")
    assert str(stubs.add(Script(items)).always()) == (
        "reasoning, a call of look, a web_search (expected any number of times, not used)"
    )
    assert str(stubs.add(Script(()))) == "nothing (expected once, not used)"
    assert repr(stubs.all[0]) == "<Stub 'one' (expected once, not used)>"
    take_reply(stubs)
    assert str(stubs.all[0]).endswith("used once)")


def test_str_of_the_registry_lists_the_latest_stubs() -> None:
    stubs = StubRegistry()
    stubs.add(ONE)
    stubs.add(TWO)
    assert str(stubs) == "'one' (expected once, not used); 'two' (expected once, not used)"
    for _ in range(5):
        stubs.add(TWO)
    assert str(stubs).startswith("2 earlier stubs; 'two' (")
    assert str(stubs).count("two") == 5


def test_many_threads_take_each_reply_once() -> None:
    stubs = StubRegistry()
    scripts = [message_script(str(number)) for number in range(500)]

    def add(number: int) -> None:
        stubs.add(scripts[number])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(500)))
        taken = list(pool.map(lambda _: take_reply(stubs), range(600)))
    scripts_taken = [script for script in taken if script is not None]
    assert len(scripts_taken) == 500
    assert set(scripts_taken) == set(scripts)
