"""The search on clients that are functions: it finds a small case of one defect."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mockserver.errors import ConfigurationError
from mockserver.profiles import load_profile
from mockserver.replies.script import Message, Script
from mockserver.testing.fuzzing.case_descriptions import payloads_before_fault
from mockserver.testing.fuzzing.case_plan import CasePlan
from mockserver.testing.fuzzing.case_server import ReceivedRequest
from mockserver.testing.fuzzing.diagnosis import find_cause
from mockserver.testing.fuzzing.outcomes import Outcome
from mockserver.testing.fuzzing.saved_cases import load_saved_plans
from mockserver.testing.fuzzing.search import FailingCase, Search
from mockserver.testing.strategies.rendered_replies import render_context

pytestmark = pytest.mark.slow


PROFILE = load_profile("qwen-2026-01")
CONTEXT = render_context(PROFILE.name, "wire")


class Client:
    """A client that shows what `read` returns for a plan, and refuses faults."""

    def __init__(self, read: Callable[[CasePlan], str | None], duration: float = 0.01) -> None:
        self.read = read
        self.duration = duration
        self.runs: list[tuple[CasePlan, float | None]] = []

    def __call__(self, plan: CasePlan, time_limit: float | None = None) -> Outcome:
        self.runs.append((plan, time_limit))
        received = (ReceivedRequest(b"{}", {"stream": plan.stream}, ()),)
        try:
            text = self.read(plan)
        except TimeoutError:
            return Outcome(received, False, False, None, "killed")
        accepted = text is not None and plan.fault is None
        return Outcome(received, True, accepted, text, "exit", duration=self.duration)


def read_correctly(plan: CasePlan) -> str:
    return plan.expected_text


def run_search(client: Client, seed: int, examples: int = 300) -> FailingCase | None:
    return Search(client, PROFILE, examples, seed).run()


def read_with_hidden_defect(plan: CasePlan) -> str | None:
    """Fails only if two features meet, which they do in no edge case."""
    return None if plan.cut in ("lines", "blank", "middle") and plan.unknown_members else plan.expected_text


def test_a_correct_client_passes() -> None:
    client = Client(read_correctly)

    assert run_search(client, 1, 50) is None
    assert sum(plan.fault == "stalled" for plan, _ in client.runs) == 2


@pytest.mark.parametrize("seed", range(2))
def test_a_defect_with_two_conditions_shrinks_to_both(seed: int) -> None:
    found = run_search(Client(read_with_hidden_defect), seed)

    assert found is not None
    assert found.shrink_runs > 0
    assert found.plan in [CasePlan(cut=cut, unknown_members=True) for cut in ("lines", "blank", "middle")]
    assert len(payloads_before_fault(found.plan, CONTEXT)) <= 14


@pytest.mark.parametrize("seed", range(2))
def test_shrinking_does_not_switch_to_another_defect(seed: int) -> None:
    def two(plan: CasePlan) -> str | None:
        if read_with_hidden_defect(plan) is None:
            return None
        return "wrong" if len(plan.script.items) > 1 and plan.unknown_members else plan.expected_text

    found = Search(Client(two), PROFILE, 300, seed).run()

    assert found is not None
    assert {"rejected": 1, "text": 2}[found.failure.kind] == len(found.plan.script.items)


@pytest.mark.slow
def test_the_result_does_not_depend_on_the_number_of_jobs() -> None:
    one = Search(Client(read_with_hidden_defect), PROFILE, 300, 5, jobs=1).run()
    many = Search(Client(read_with_hidden_defect), PROFILE, 300, 5, jobs=4).run()

    assert one is not None
    assert many is not None
    assert (one.plan, one.cases_run) == (many.plan, many.cases_run)


def test_a_hanging_client_gets_less_time_while_its_case_shrinks() -> None:
    def hanging(plan: CasePlan) -> str:
        if read_with_hidden_defect(plan) is None:
            raise TimeoutError
        return plan.expected_text

    client = Client(hanging)
    found = run_search(client, 1)

    assert found is not None
    assert found.failure.kind == "hung"
    assert 1.0 in [seconds for plan, seconds in client.runs if read_with_hidden_defect(plan) is None]
    assert client.runs[-1] == (found.plan, None)  # confirmed with the full time limit


def test_saved_cases_run_first() -> None:
    kept = CasePlan(Script((Message(("kept",)),)))
    client = Client(lambda plan: None if plan == kept else plan.expected_text)

    found = Search(client, PROFILE, 10, 1).run([CasePlan(), kept])

    assert found is not None
    assert (found.plan, found.cases_run, found.shrink_runs) == (kept, 2, 0)


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
    assert find_cause(found, client).startswith("not reproducible")


@pytest.mark.parametrize("cause", BROKEN_CLIENTS)
def test_the_cause_is_found_by_controls(cause: str) -> None:
    plan, read = BROKEN_CLIENTS[cause]
    client = Client(read)
    found = Search(client, PROFILE, 1, 1).run([plan])

    assert found is not None
    assert find_cause(found, client).startswith(cause)


@pytest.mark.skipif(sys.platform == "win32", reason="makes a pipe")
def test_a_saved_case_that_is_a_pipe_is_refused_by_name(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "case.json")
    with pytest.raises(ConfigurationError, match=r"case\.json cannot be replayed: it is not a regular file"):
        list(load_saved_plans(tmp_path, "qwen-2026-01"))
