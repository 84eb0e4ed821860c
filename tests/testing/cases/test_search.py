"""The search, on clients that are functions: what it finds is small, and of one defect."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mockserver.profiles import load_profile
from mockserver.replies.script import Message, Script
from mockserver.testing.cases.controls import diagnosis
from mockserver.testing.cases.door import Received
from mockserver.testing.cases.plan import Plan
from mockserver.testing.cases.search import Found, Search
from mockserver.testing.cases.verdicts import Outcome
from mockserver.testing.cases.words import events_of
from mockserver.testing.strategies.values import look

PROFILE = load_profile("qwen-2026-01")
HERE = look(PROFILE.name, "wire")


class Client:
    """A client that shows what `read` makes of a plan, and refuses what it has to."""

    def __init__(self, read: Callable[[Plan], str | None], seconds: float = 0.01) -> None:
        self.read = read
        self.seconds = seconds
        self.plays: list[tuple[Plan, float | None]] = []

    def __call__(self, plan: Plan, seconds: float | None = None) -> Outcome:
        self.plays.append((plan, seconds))
        received = (Received(b"{}", {"stream": plan.stream}, ()),)
        try:
            text = self.read(plan)
        except TimeoutError:
            return Outcome(received, False, False, None, "killed")
        accepted = text is not None and plan.fault is None
        return Outcome(received, True, accepted, text, "exit", seconds=self.seconds)


def sound(plan: Plan) -> str:
    return plan.text


def search(client: Client, seed: int, examples: int = 300) -> Found | None:
    return Search(client, PROFILE, examples, seed).run()


def deep(plan: Plan) -> str | None:
    """Fails where two things meet, as they do in no known trap."""
    return None if plan.cut in ("lines", "blank", "middle") and plan.unknown_members else plan.text


def test_a_sound_client_passes() -> None:
    client = Client(sound)

    assert search(client, 1, 50) is None
    assert sum(plan.fault == "stalled" for plan, _ in client.plays) == 2


@pytest.mark.parametrize("seed", range(2))
def test_what_two_conditions_cause_is_found_and_has_nothing_else(seed: int) -> None:
    found = search(Client(deep), seed)

    assert found is not None
    assert found.shrunk > 0
    assert found.plan in [Plan(cut=cut, unknown_members=True) for cut in ("lines", "blank", "middle")]
    assert len(events_of(found.plan, HERE)) <= 14


@pytest.mark.parametrize("seed", range(2))
def test_another_defect_is_not_taken_for_the_first_while_it_shrinks(seed: int) -> None:
    def two(plan: Plan) -> str | None:
        if deep(plan) is None:
            return None
        return "wrong" if len(plan.script.items) > 1 and plan.unknown_members else plan.text

    found = Search(Client(two), PROFILE, 300, seed).run()

    assert found is not None
    assert {"rejected": 1, "text": 2}[found.failure.kind] == len(found.plan.script.items)


def test_the_order_does_not_depend_on_how_many_run_at_once() -> None:
    one = Search(Client(deep), PROFILE, 300, 5, jobs=1).run()
    many = Search(Client(deep), PROFILE, 300, 5, jobs=4).run()

    assert one is not None
    assert many is not None
    assert (one.plan, one.cases) == (many.plan, many.cases)


def test_a_client_that_hangs_is_given_less_time_while_its_case_shrinks() -> None:
    def hanging(plan: Plan) -> str:
        if deep(plan) is None:
            raise TimeoutError
        return plan.text

    client = Client(hanging)
    found = search(client, 1)

    assert found is not None
    assert found.failure.kind == "hung"
    assert 1.0 in [seconds for plan, seconds in client.plays if deep(plan) is None]
    assert client.plays[-1] == (found.plan, None)  # the smallest hangs with all the time there is


def test_what_is_kept_is_tried_first() -> None:
    kept = Plan(Script((Message(("kept",)),)))
    client = Client(lambda plan: None if plan == kept else plan.text)

    found = Search(client, PROFILE, 10, 1).run([Plan(), kept])

    assert found is not None
    assert (found.plan, found.cases, found.shrunk) == (kept, 2, 0)


BROKEN: dict[str, tuple[Plan, Callable[[Plan], str | None]]] = {
    "only the last message is read": (
        Plan(Script((Message(("a",)), Message(("b",))))),
        lambda plan: plan.script.items[-1].text,  # type: ignore[union-attr]
    ),
    "only the first delta of a text is read": (
        Plan(Script((Message(("a", "b")),))),
        lambda plan: plan.script.items[-1].chunks[0],  # type: ignore[union-attr]
    ),
    "a line of more than 64 KiB is not read": (
        Plan(long=True, unknown_members=True),
        lambda plan: None if plan.long else plan.text,
    ),
    "lines are taken to end with \\n alone, not with \\r\\n or \\r": (
        Plan(end="CRLF", comments=True),
        lambda plan: None if plan.end != "LF" else plan.text,
    ),
    "no single assumption: it fails as well without any one of": (
        Plan(end="CRLF", comments=True),
        lambda plan: None if plan.end != "LF" or plan.comments else plan.text,
    ),
}


@pytest.mark.parametrize("cause", BROKEN)
def test_the_assumption_that_broke_is_told_by_what_passes_without_it(cause: str) -> None:
    plan, read = BROKEN[cause]
    client = Client(read)
    found = Search(client, PROFILE, 1, 1).run([plan])

    assert found is not None
    assert diagnosis(found, client).startswith(cause)
