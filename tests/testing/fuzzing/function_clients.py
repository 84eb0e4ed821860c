"""Clients that are functions of the plan, for tests that need no socket."""

from __future__ import annotations

from collections.abc import Callable

from mockserver.testing.fuzzing.case_plan import CasePlan
from mockserver.testing.fuzzing.case_server import ReceivedRequest
from mockserver.testing.fuzzing.outcomes import Outcome


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


def read_with_hidden_defect(plan: CasePlan) -> str | None:
    """Fails only if two features meet, which they do in no edge case."""
    return None if plan.cut in ("lines", "blank", "middle") and plan.unknown_members else plan.expected_text
