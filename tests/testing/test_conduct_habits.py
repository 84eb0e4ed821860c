"""Each careless habit brings one finding, which names the habit and the request."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mockserver.contract.rules import load_conduct_rules
from mockserver.testing.mock import MockServer
from tests.testing.conduct_habits import HABITS, Habit, HabitClient


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[HabitClient]:
    """A client whose waits count by the server's clock alone, however busy the machine is."""
    for module in ("state.journal", "http.reply_steps"):
        monkeypatch.setattr(f"mockserver.server.{module}.monotonic", lambda: 0.0)
    with MockServer(profile="qwen-2026-05") as server, server.httpx() as http:
        client = HabitClient(server, http)
        yield client
        for each in client.streams:
            each.close()


@pytest.mark.parametrize("habit", HABITS, ids=lambda each: each.name)
def test_a_habit_brings_its_finding_and_no_other(client: HabitClient, habit: Habit) -> None:
    habit.run(client)
    found = [(finding.rule, number) for number, finding in client.server.conduct_findings()]
    assert found == [(habit.rule, habit.request)]


def test_every_rule_has_a_habit() -> None:
    assert {each.rule for each in HABITS} == load_conduct_rules().keys()
    assert len({each.name for each in HABITS}) == len(HABITS) >= 24
