"""Stubs: who answers next, from one thread or from many."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from mockserver.errors import ConfigurationError
from mockserver.replies.script import FunctionCall, Reasoning, Script, ToolCall, message
from mockserver.server.stubs import Stubs

ONE, TWO = message("one"), message("two")


def next_said(stubs: Stubs) -> Script | None:
    """What the stub says that answers now."""
    stub = stubs.take()
    if stub is None:
        return None
    assert isinstance(stub.plan.script, Script)
    return stub.plan.script


def test_first_come_first_served_each_once() -> None:
    stubs = Stubs()
    assert next_said(stubs) is None
    stubs.add(ONE)
    stubs.add(TWO)
    assert [next_said(stubs) for _ in range(3)] == [ONE, TWO, None]
    stubs.add(ONE)
    assert next_said(stubs) == ONE
    assert len(stubs) == 3


def test_as_often_as_planned() -> None:
    stubs = Stubs()
    stubs.add(ONE).times(2)
    stubs.add(TWO).always()
    assert [next_said(stubs) for _ in range(5)] == [ONE, ONE, TWO, TWO, TWO]


def test_what_is_owed() -> None:
    stubs = Stubs()
    twice = stubs.add(ONE).times(2)
    stubs.add(TWO).always()
    assert stubs.owing == [twice]
    next_said(stubs)
    assert stubs.owing == [twice]
    next_said(stubs)
    assert stubs.owing == []


def test_more_times_after_it_was_spent() -> None:
    """As when a request is quicker than the line that says how often."""
    stubs = Stubs()
    first = stubs.add(ONE)
    stubs.add(TWO)
    assert [next_said(stubs), next_said(stubs), next_said(stubs)] == [ONE, TWO, None]
    first.times(2)
    assert [next_said(stubs), next_said(stubs)] == [ONE, None]


@pytest.mark.parametrize("count", [0, -1, 1.0, True, "2", None])
def test_a_number_of_times_counts_from_one(count: object) -> None:
    with pytest.raises(ConfigurationError, match=r"times\(\) takes a number from 1 on"):
        Stubs().add(ONE).times(count)  # type: ignore[arg-type]


def test_fewer_times_than_it_answered_is_no_plan() -> None:
    stubs = Stubs()
    stub = stubs.add(ONE).times(3)
    next_said(stubs)
    next_said(stubs)
    with pytest.raises(ConfigurationError, match="answered 2 times"):
        stub.times(1)
    assert stub.plan.times == 3


def test_a_stub_of_before_a_reset_is_out_of_the_game() -> None:
    stubs = Stubs()
    old = stubs.add(ONE)
    stubs.clear()
    stubs.add(TWO)
    old.always()
    assert [next_said(stubs), next_said(stubs)] == [TWO, None]


def test_a_stub_tells_what_it_says() -> None:
    stubs = Stubs()
    items = (Reasoning(("hm",)), FunctionCall("look", "{}"), ToolCall("web_search", {}))
    assert str(stubs.add(ONE)) == "'one' (planned once, not given)"
    assert str(stubs.add(message("x" * 100)).times(2)).startswith(f"'{'x' * 60}…' (planned 2 times")
    assert str(stubs.add(Script(items)).always()) == (
        "a thought, a call of look, a web_search (planned always, not given)"
    )
    assert str(stubs.add(Script(()))) == "nothing (planned once, not given)"
    assert repr(stubs.all[0]) == "<Stub 'one' (planned once, not given)>"
    next_said(stubs)
    assert str(stubs.all[0]).endswith("given once)")


def test_all_stubs_are_told_together() -> None:
    stubs = Stubs()
    stubs.add(ONE)
    stubs.add(TWO)
    assert str(stubs) == "'one' (planned once, not given); 'two' (planned once, not given)"
    for _ in range(5):
        stubs.add(TWO)
    assert str(stubs).startswith("2 earlier ones; 'two' (")
    assert str(stubs).count("two") == 5


def test_many_threads_take_each_reply_once() -> None:
    stubs = Stubs()
    scripts = [message(str(number)) for number in range(500)]

    def plan(number: int) -> None:
        stubs.add(scripts[number])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(plan, range(500)))
        taken = list(pool.map(lambda _: next_said(stubs), range(600)))
    said = [script for script in taken if script is not None]
    assert len(said) == 500
    assert set(said) == set(scripts)
