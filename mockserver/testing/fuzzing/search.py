"""The search: kept cases, known traps, drawn ones, silence at last; what fails first is made small.

How a case is played is the caller's: a command or a callable.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings

from mockserver.profiles import Profile
from mockserver.replies.script import message_script
from mockserver.testing.fuzzing.case_plan import CASE_FAULTS, CasePlan
from mockserver.testing.fuzzing.case_server import ReceivedRequest
from mockserver.testing.fuzzing.case_strategies import (
    RequestedFeatures,
    case_plans,
    edge_case_plans,
    requested_features,
)
from mockserver.testing.fuzzing.outcomes import Failure, Outcome, check_outcome

__all__ = ["ClientRunner", "FailingCase", "Search"]

#: Seconds that making a case smaller may take.
MAX_SHRINK_SECONDS = 30.0

#: Where a client hangs, it is given up after so many times what the slowest case took that ended …
_HANG_LIMIT_FACTOR = 4.0
#: … but not before so many seconds.
_MIN_HANG_LIMIT_SECONDS = 1.0


class ClientRunner(Protocol):
    """Plays a case; `seconds` is less than the usual time while a case that hangs is made smaller."""

    def __call__(self, plan: CasePlan, time_limit: float | None = None) -> Outcome: ...


@dataclass(frozen=True, slots=True)
class FailingCase:
    """A case that broke the client."""

    plan: CasePlan
    outcome: Outcome
    failure: Failure
    cases_run: int = 0
    """Cases that were played until it was found."""
    shrink_runs: int = 0
    """Cases that were played to make it small."""


class _SameFailure(Exception):
    """A drawn case fails as the first one did."""


@dataclass(slots=True)
class Search:
    """One search for a case that breaks a client."""

    run_client: ClientRunner
    profile: Profile
    examples: int = 100
    seed: int = 0
    jobs: int = 1
    skip: Collection[str] = ()
    progress: Callable[[int, int], None] = lambda _done, _total: None
    """Called with the number of cases played and to be played."""
    cases_run: int = 0
    slowest_seconds: float = 0.0
    """Seconds that the slowest case took which ended."""
    features: RequestedFeatures = field(default_factory=RequestedFeatures)
    _planned_cases: int = 0
    failures: dict[CasePlan, Failure | None] = field(default_factory=dict)
    """What was wrong with each plan that was played."""

    def run(self, saved_plans: Iterable[CasePlan] = ()) -> FailingCase | None:
        """The first case that fails, made small; None where none does."""
        again = list(dict.fromkeys(saved_plans))
        self._planned_cases = len(again) + 2 + self.examples
        found = self._first_failing(again) or self._observe_requests()
        if found is not None:
            return found
        known = edge_case_plans(self.features, self.skip)
        silent = self._stalled_plans()
        self._planned_cases = self.cases_run + len(known) + self.examples + len(silent)
        return self._first_failing(known) or self.search_drawn_cases() or self._first_failing(silent)

    def search_drawn_cases(self) -> FailingCase | None:
        """The first drawn case that fails, made small; what is known already is not played again."""
        return self._first_failing(
            [plan for plan in self._draw_plans() if plan not in self.failures], self._shrink
        )

    def _observe_requests(self) -> FailingCase | None:
        """Play the plainest case in both forms, and see what the client asks for."""
        received: list[ReceivedRequest] = []
        for stream in (True, False):
            plan = CasePlan(message_script("Hello!"), stream)
            outcome = self.run_client(plan)
            received += outcome.requests
            found = self._record_outcome(plan, outcome)
            if found is not None:
                return found
        self.features = requested_features(received, self.profile)
        return None

    def _stalled_plans(self) -> list[CasePlan]:
        if "stalled" in self.skip:
            return []
        forms = [stream for stream in self.features.stream_modes if CASE_FAULTS["stalled"][stream]]
        return [CasePlan(stream=stream, fault="stalled", at=500) for stream in forms]

    def _first_failing(
        self,
        candidates: Sequence[CasePlan],
        shrink: Callable[[FailingCase], FailingCase] = lambda found: found,
    ) -> FailingCase | None:
        """The first of some plans that fails, in their order however many run at once."""
        with ThreadPoolExecutor(max_workers=self.jobs) as pool:
            for plan, future in _run_in_order(pool, self.run_client, candidates, self.jobs):
                found = self._record_outcome(plan, future.result())
                if found is not None:
                    pool.shutdown(cancel_futures=True)
                    return shrink(found)
        return None

    def _record_outcome(self, plan: CasePlan, outcome: Outcome) -> FailingCase | None:
        self.cases_run += 1
        self.progress(self.cases_run, self._planned_cases)
        if outcome.finished and plan.fault != "stalled":
            self.slowest_seconds = max(self.slowest_seconds, outcome.duration)
        failure = self.failures[plan] = check_outcome(plan, outcome)
        return None if failure is None else FailingCase(plan, outcome, failure, self.cases_run)

    def _draw_plans(self) -> list[CasePlan]:
        chosen: list[CasePlan] = []
        self._run_hypothesis(chosen.append, (Phase.generate,))
        return list(dict.fromkeys(chosen))

    def _run_hypothesis(self, visit: Callable[[CasePlan], None], phases: Sequence[Phase]) -> None:
        @seed(self.seed)
        @settings(
            max_examples=self.examples,
            phases=phases,
            database=None,
            deadline=None,
            report_multiple_bugs=False,
            print_blob=False,
            suppress_health_check=list(HealthCheck),
            verbosity=Verbosity.quiet,
        )
        @given(case_plans(self.features, self.skip))
        def visit_drawn(plan: CasePlan) -> None:
            visit(plan)

        visit_drawn()

    def _shrink(self, found: FailingCase) -> FailingCase:
        """The same failure with less: Hypothesis draws the same cases again, and shrinks the one that fails.

        Only cases that fail in the same way count, so that it is one defect that is shown and not the
        smallest of several. When the time is up, whatever was not played before counts as passing.
        """
        shrinking = _Shrinker(found, self)
        with contextlib.suppress(_SameFailure):
            self._run_hypothesis(shrinking.try_plan, (Phase.generate, Phase.shrink))
        return shrinking.confirm()


class _Shrinker:
    """Looks at the plans that Hypothesis proposes, and remembers the smallest that fails alike."""

    def __init__(self, found: FailingCase, search: Search) -> None:
        self.original = self._best = found
        self._search = search
        self._deadline = time.monotonic() + MAX_SHRINK_SECONDS
        self._outcomes: dict[CasePlan, FailingCase | None] = {found.plan: found}
        self._runs = 0
        hangs = found.failure.kind == "hung"
        self._time_limit = (
            max(_MIN_HANG_LIMIT_SECONDS, _HANG_LIMIT_FACTOR * search.slowest_seconds) if hangs else None
        )

    def try_plan(self, plan: CasePlan) -> None:
        """_Broken where the plan fails as the first one did."""
        if plan not in self._outcomes:
            self._outcomes[plan] = self._run_plan(plan)
        found = self._outcomes[plan]
        if found is not None:
            self._best = found  # the last one that Hypothesis looks at is the smallest
            raise _SameFailure

    def _run_plan(self, plan: CasePlan) -> FailingCase | None:
        if plan in self._search.failures or time.monotonic() > self._deadline:
            return None  # what is known passed, or failed in another way
        self._runs += 1
        outcome = self._search.run_client(plan, self._time_limit)
        failure = check_outcome(plan, outcome)
        if failure is None or failure.kind != self.original.failure.kind:
            return None
        return FailingCase(plan, outcome, failure, self.original.cases_run)

    def confirm(self) -> FailingCase:
        """The smallest, as it fails with all the time there is; the first where that one does not."""
        best = self._best
        if self._time_limit is not None and best.plan != self.original.plan:
            outcome = self._search.run_client(best.plan)
            failure = check_outcome(best.plan, outcome)
            if failure is None or failure.kind != self.original.failure.kind:
                best = self.original
            else:
                best = FailingCase(best.plan, outcome, failure)
        return FailingCase(best.plan, best.outcome, best.failure, self.original.cases_run, self._runs)


def _run_in_order(
    pool: ThreadPoolExecutor, run_client: ClientRunner, candidates: Sequence[CasePlan], jobs: int
) -> Iterator[tuple[CasePlan, Future[Outcome]]]:
    """Each plan with its outcome to come, no more than `jobs` of them begun before they are wanted."""
    rest = iter(candidates)
    begun = [(plan, pool.submit(run_client, plan)) for plan in islice(rest, jobs)]
    while begun:
        yield begun.pop(0)
        begun += [(plan, pool.submit(run_client, plan)) for plan in islice(rest, 1)]
