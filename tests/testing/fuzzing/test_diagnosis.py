"""The cause of a failing case is found by controls, and named only if repeated runs confirm it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest

from mockserver.profiles import load_profile
from mockserver.replies.script import Message, Script
from mockserver.testing.fuzzing.case_plan import CASE_FAULTS, CasePlan
from mockserver.testing.fuzzing.case_server import ReceivedRequest
from mockserver.testing.fuzzing.diagnosis import CauseFinder, Diagnosis
from mockserver.testing.fuzzing.outcomes import Outcome
from mockserver.testing.fuzzing.search import Search
from tests.testing.fuzzing.function_clients import Client, read_with_hidden_defect

PROFILE = load_profile("qwen-2026-01")

BROKEN_CLIENTS: dict[str, tuple[CasePlan, Callable[[CasePlan], str | None]]] = {
    "two features together: one read is taken for a whole event: it may contain less; an unknown member": (
        CasePlan(cut="lines", unknown_members=True),
        read_with_hidden_defect,
    ),
    "only the last message is read": (
        CasePlan(Script((Message(("a",)), Message(("b",))))),
        lambda plan: plan.script.items[-1].text,  # type: ignore[union-attr]
    ),
    "only the first delta of a text is read": (
        CasePlan(Script((Message(("a", "b")),))),
        lambda plan: plan.script.items[-1].chunks[0],  # type: ignore[union-attr]
    ),
    "a line of more than 64 KiB is not read": (
        CasePlan(long=True, unknown_members=True),
        lambda plan: None if plan.long else plan.expected_text,
    ),
    "lines are taken to end with \\n alone, not with \\r\\n or \\r": (
        CasePlan(end="CRLF", comments=True),
        lambda plan: None if plan.end != "LF" else plan.expected_text,
    ),
    "2 features, each of which is enough: "
    "lines are taken to end with \\n alone, not with \\r\\n or \\r; a keep-alive": (
        CasePlan(end="CRLF", comments=True),
        lambda plan: None if plan.end != "LF" or plan.comments else plan.expected_text,
    ),
}


def test_a_cause_is_reproduced_before_it_is_named() -> None:
    client = Client(lambda plan: None if len(client.runs) == 1 else plan.expected_text)
    found = Search(client, PROFILE, 1, 1).run([CasePlan(end="CRLF")])

    assert found is not None
    assert CauseFinder().find(found, client).cause.startswith("not reproducible")


CHANGING_CLIENTS: dict[str, Callable[[int], bool]] = {
    **{f"fails run {n} of {k}": lambda run, k=k, n=n: run % k == n for k in (2, 3, 4) for n in range(k)},  # type: ignore[misc]
    **{f"passes run {n} of {k}": lambda run, k=k, n=n: run % k != n for k in (3, 4) for n in range(k)},  # type: ignore[misc]
    **{f"fails the first {n}": lambda run, n=n: run < n for n in (1, 2, 5, 12)},  # type: ignore[misc]
    "fails two of four": lambda run: run % 4 in (0, 3),
}
"""By what they do: whether they fail a run, the first of which has the number 0, whatever the reply."""


class ChangingClient(Client):
    def __init__(self, fails: Callable[[int], bool]) -> None:
        super().__init__(lambda plan: None if fails(len(self.runs) - 1) else plan.expected_text)


def diagnose(client: Client, plan: CasePlan) -> Diagnosis | None:
    found = Search(client, PROFILE, 1, 1, skip=CASE_FAULTS).run([plan] * 4)
    return None if found is None else CauseFinder().find(found, client)


@pytest.mark.parametrize("name", CHANGING_CLIENTS)
def test_no_cause_is_named_if_the_outcome_changes_between_runs_of_a_reply(name: str) -> None:
    diagnosis = diagnose(ChangingClient(CHANGING_CLIENTS[name]), CasePlan(end="CRLF", unknown_members=True))

    assert diagnosis is not None
    assert diagnosis.outcome_changes
    assert diagnosis.cause.startswith(
        "not reproducible: the outcome of the same reply changes; it failed in "
    )


@pytest.mark.parametrize("percent", [10, 50, 70])
def test_no_cause_is_named_for_a_client_that_fails_at_random(percent: int) -> None:
    for seed in range(100):
        draw = Random(seed)
        client = ChangingClient(lambda _, draw=draw: draw.randrange(100) < percent)  # type: ignore[misc]
        diagnosis = diagnose(client, CasePlan(end="CRLF"))
        assert diagnosis is None or diagnosis.outcome_changes, diagnosis.cause


def test_a_client_whose_outcome_depends_on_the_delivery_fails_the_even_one() -> None:
    def is_read_at_once(plan: CasePlan) -> bool:
        return plan.cut == "whole" or (plan.cut == "events" and len(client.runs) % 3 > 0)

    client = Client(lambda plan: None if is_read_at_once(plan) else plan.expected_text)
    diagnosis = diagnose(client, CasePlan())

    assert diagnosis is not None
    assert diagnosis.cause == "one read is taken for one event: it may contain several"
    assert diagnosis.failing.plan == CasePlan(cut="whole")


def test_the_variation_that_fails_most_comes_first() -> None:
    def fails(plan: CasePlan) -> bool:
        return len(client.runs) % (2 if plan.cut == "whole" else 5) == 1

    client = Client(lambda plan: None if fails(plan) else plan.expected_text)
    diagnosis = diagnose(client, CasePlan())

    assert diagnosis is not None
    counts = re.findall(r"(\d+) of (\d+) runs", diagnosis.cause)
    assert len(counts) == 3
    assert [int(failed) / int(runs) for failed, runs in counts] == sorted(
        (int(failed) / int(runs) for failed, runs in counts), reverse=True
    )
    assert re.search(r"it failed in \d+ of 8 runs if all events arrive in one read, in", diagnosis.cause)


def test_a_case_that_always_fails_has_no_cause_if_a_control_changes() -> None:
    def fails(plan: CasePlan) -> bool:
        return plan.end != "LF" or len(client.runs) % 3 == 0

    client = Client(lambda plan: None if fails(plan) else plan.expected_text)
    diagnosis = diagnose(client, CasePlan(end="CRLF"))

    assert diagnosis is not None
    assert re.fullmatch(
        r"not confirmed: it failed in each of \d+ runs, but also in \d+ of \d+ runs of a control",
        diagnosis.cause,
    )
    assert diagnosis.outcome_changes


def test_a_wrong_text_that_changes_has_no_cause() -> None:
    client = Client(lambda plan: plan.expected_text * (2 + (len(client.runs) > 4)))
    diagnosis = diagnose(client, CasePlan(end="CRLF"))

    assert diagnosis is not None
    assert diagnosis.cause.startswith("not confirmed: it failed in each of ")
    assert diagnosis.outcome_changes
    assert diagnosis.cause.endswith(", but not always in the same way")


def test_a_slow_client_that_hangs_first_gets_the_time_it_needs() -> None:
    def read(plan: CasePlan) -> str:
        if plan.end != "LF" or (client.runs[-1][1] or 10) < 1.5:
            raise TimeoutError
        return plan.expected_text

    client = Client(read, duration=1.5)
    diagnosis = diagnose(client, CasePlan(end="CRLF"))

    assert diagnosis is not None
    assert diagnosis.cause.startswith("lines are taken to end with \\n alone")
    assert [seconds for _, seconds in client.runs[-16:]] == [6.0] * 16


def test_a_client_that_always_hangs_has_few_runs() -> None:
    def read(plan: CasePlan) -> str:
        raise TimeoutError

    client = Client(read)
    diagnosis = diagnose(client, CasePlan())

    assert diagnosis is not None
    assert diagnosis.cause == "even the plainest reply is not understood"
    assert [seconds for _, seconds in client.runs] == [None] * len(client.runs)
    assert len(client.runs) < 8


def test_a_whole_reply_has_one_delivery() -> None:
    client = ChangingClient(lambda run: run % 2 == 0)
    diagnosis = diagnose(client, CasePlan(stream=False))

    assert diagnosis is not None
    assert re.search(r"changes; it failed in \d+ of \d+ runs$", diagnosis.cause)


def test_a_cause_is_confirmed_by_sixteen_runs() -> None:
    plan = CasePlan(end="CRLF")
    client = Client(lambda plan: None if plan.end == "CRLF" else plan.expected_text)
    diagnosis = diagnose(client, plan)

    assert diagnosis is not None
    assert diagnosis.cause.startswith("lines are taken to end with \\n alone")
    plans = [each for each, _ in client.runs]
    assert (plans.count(plan), plans.count(CasePlan())) == (1 + 8, 1 + 8)
    assert len(plans) <= 1 + 3 + 16


def test_a_fault_is_named_only_if_the_client_passes_the_reply_without_it() -> None:
    def accept(plan: CasePlan, time_limit: float | None = None) -> Outcome:
        received = (ReceivedRequest(b"{}", {"stream": plan.stream}, ()),)
        return Outcome(received, True, plan.fault is not None or "b" in plan.expected_text, None, "exit")

    fault = CasePlan(fault="cut", at=500)
    for script, cause in (
        ("a", "unknown: the client fails the same reply without its fault, too"),
        ("b", "the end"),
    ):
        plan = replace(fault, script=Script((Message((script,)),)))
        found = Search(accept, PROFILE, 1, 1).run([plan])

        assert found is not None
        assert CauseFinder().find(found, accept).cause.startswith(cause)


@pytest.mark.parametrize("cause", BROKEN_CLIENTS)
def test_the_cause_is_found_by_controls(cause: str) -> None:
    plan, read = BROKEN_CLIENTS[cause]
    client = Client(read)
    found = Search(client, PROFILE, 1, 1).run([plan])

    assert found is not None
    assert CauseFinder().find(found, client).cause.startswith(cause)
