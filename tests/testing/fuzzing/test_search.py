"""The search on clients that are functions: it finds a small case of one defect."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from mockserver.errors import ConfigurationError
from mockserver.profiles import load_profile
from mockserver.replies.script import Message, Script
from mockserver.testing.fuzzing.case_descriptions import payloads_before_fault
from mockserver.testing.fuzzing.case_plan import CasePlan
from mockserver.testing.fuzzing.saved_cases import load_saved_plans
from mockserver.testing.fuzzing.search import FailingCase, Search
from mockserver.testing.strategies.rendered_replies import render_context
from tests.testing.fuzzing.function_clients import Client, read_with_hidden_defect

pytestmark = pytest.mark.slow


PROFILE = load_profile("qwen-2026-01")
CONTEXT = render_context(PROFILE.name, "wire")


def read_correctly(plan: CasePlan) -> str:
    return plan.expected_text


def run_search(client: Client, seed: int, examples: int = 300) -> FailingCase | None:
    return Search(client, PROFILE, examples, seed).run()


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


def test_a_case_that_passes_when_it_is_played_again_is_not_shrunk() -> None:
    failed: list[CasePlan] = []

    def fails_once(plan: CasePlan) -> str | None:
        if failed or read_with_hidden_defect(plan) is not None:
            return plan.expected_text
        failed.append(plan)
        return None

    found = run_search(Client(fails_once), 1)

    assert found is not None
    assert (found.plan, found.shrink_runs) == (failed[0], 0)


def test_a_smaller_case_that_passes_when_it_is_played_again_is_not_the_result() -> None:
    failed: list[CasePlan] = []

    def fails_smaller_cases_once(plan: CasePlan) -> str | None:
        if read_with_hidden_defect(plan) is not None or (plan in failed and plan != failed[0]):
            return plan.expected_text
        failed.append(plan)
        return None

    found = run_search(Client(fails_smaller_cases_once), 1)

    assert found is not None
    assert found.shrink_runs > 0
    assert found.plan == failed[0]


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


@pytest.mark.skipif(sys.platform == "win32", reason="makes a pipe")
def test_a_saved_case_that_is_a_pipe_is_refused_by_name(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "case.json")
    with pytest.raises(ConfigurationError, match=r"case\.json cannot be replayed: it is not a regular file"):
        list(load_saved_plans(tmp_path, "qwen-2026-01"))
