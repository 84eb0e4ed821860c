"""Searches for a case that a client fails, and shrinks it.

It plays saved cases, edge cases, drawn cases and stalled replies, in this order. The caller decides how a
case is played: to a command or to a callable.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings

from mockserver.contract.findings import Severity
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
from mockserver.testing.fuzzing.outcomes import Failure, Outcome, check_outcome, played_plan

__all__ = ["ClientRunner", "FailingCase", "Search", "hang_limit"]

#: Most seconds for shrinking a case.
MAX_SHRINK_SECONDS = 30.0

#: While a hanging case is shrunk, its time limit is this multiple of the slowest case that finished …
_HANG_LIMIT_FACTOR = 4.0
#: … but at least so many seconds.
_MIN_HANG_LIMIT_SECONDS = 1.0


def hang_limit(slowest_seconds: float) -> float:
    """Seconds for each further case of a client that hangs, from those of the slowest case that finished."""
    return max(_MIN_HANG_LIMIT_SECONDS, _HANG_LIMIT_FACTOR * slowest_seconds)


class ClientRunner(Protocol):
    """Plays a case; `time_limit` shortens the usual time while a hanging case is shrunk."""

    def __call__(self, plan: CasePlan, time_limit: float | None = None) -> Outcome: ...


@dataclass(frozen=True, slots=True)
class FailingCase:
    """A case that the client fails."""

    plan: CasePlan
    outcome: Outcome
    failure: Failure
    cases_run: int = 0
    """Cases played until it was found."""
    shrink_runs: int = 0
    """Cases played to shrink it."""
    time_limit: float | None = None
    """Seconds for each further case, if the client hangs and has finished others; None for the usual time."""


class _SameFailure(Exception):
    """A drawn case fails as the first one did."""


@dataclass(slots=True)
class Search:
    """One search for a failing case."""

    run_client: ClientRunner
    profile: Profile
    examples: int = 100
    seed: int = 0
    jobs: int = 1
    skip: Collection[str] = ()
    progress: Callable[[int, int], None] = lambda _done, _total: None
    """Called with the number of cases played and of cases planned."""
    cases_run: int = 0
    slowest_seconds: float = 0.0
    """Duration of the slowest case that finished."""
    features: RequestedFeatures = field(default_factory=RequestedFeatures)
    _planned_cases: int = 0
    failures: dict[CasePlan, Failure | None] = field(default_factory=dict)
    """By plan that was played: its failure, or None."""
    conduct_counts: Counter[str] = field(default_factory=Counter)
    """By rule about conduct: the cases with a finding of it that is no failure."""

    def run(self, saved_plans: Iterable[CasePlan] = ()) -> FailingCase | None:
        """The first failing case, shrunk; None if there is none."""
        saved = list(saved_plans)
        self._planned_cases = len(saved) + 2 + self.examples
        failing = self._first_failing(saved) or self._observe_requests()
        if failing is not None:
            return failing
        edge_cases = edge_case_plans(self.features, self.skip)
        stalled = self._stalled_plans()
        self._planned_cases = self.cases_run + len(edge_cases) + self.examples + len(stalled)
        return self._first_failing(edge_cases) or self.search_drawn_cases() or self._first_failing(stalled)

    def search_drawn_cases(self) -> FailingCase | None:
        """The first failing drawn case, shrunk; plans that were played before are not repeated."""
        return self._first_failing(
            [plan for plan in self._draw_plans() if plan not in self.failures], self._shrink
        )

    def _observe_requests(self) -> FailingCase | None:
        """Play the plainest case in both forms to see what the client requests."""
        requests: list[ReceivedRequest] = []
        for stream in (True, False):
            plan = CasePlan(message_script("Hello!"), stream)
            outcome = self.run_client(plan)
            requests += outcome.requests
            failing = self._record_outcome(plan, outcome)
            if failing is not None:
                return failing
        self.features = requested_features(requests, self.profile)
        return None

    def _stalled_plans(self) -> list[CasePlan]:
        if "stalled" in self.skip:
            return []
        forms = [stream for stream in self.features.stream_modes if CASE_FAULTS["stalled"][stream]]
        return [CasePlan(stream=stream, fault="stalled", at=500) for stream in forms]

    def _first_failing(
        self,
        candidates: Sequence[CasePlan],
        shrink: Callable[[FailingCase], FailingCase] = lambda failing: failing,
    ) -> FailingCase | None:
        """The first plan that fails, in the order of the candidates even if several run at once."""
        with ThreadPoolExecutor(max_workers=self.jobs) as pool:
            for plan, future in _run_in_order(pool, self.run_client, candidates, self.jobs):
                failing = self._record_outcome(plan, future.result())
                if failing is not None:
                    pool.shutdown(cancel_futures=True)
                    return shrink(failing)
        return None

    def _record_outcome(self, plan: CasePlan, outcome: Outcome) -> FailingCase | None:
        self.cases_run += 1
        self.conduct_counts.update(
            {each.rule for _, each in outcome.conduct if each.severity is not Severity.ERROR}
        )
        self.progress(self.cases_run, self._planned_cases)
        if outcome.finished and plan.fault != "stalled":
            self.slowest_seconds = max(self.slowest_seconds, outcome.duration)
        failure = self.failures[plan] = check_outcome(plan, outcome)
        if failure is None:
            return None
        limit = None if outcome.finished or not self.slowest_seconds else hang_limit(self.slowest_seconds)
        return FailingCase(played_plan(plan, outcome), outcome, failure, self.cases_run, time_limit=limit)

    def _draw_plans(self) -> list[CasePlan]:
        candidates: list[CasePlan] = []
        self._run_hypothesis(candidates.append, (Phase.generate,))
        return list(dict.fromkeys(candidates))

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

    def _shrink(self, failing: FailingCase) -> FailingCase:
        """Shrink a failing case: Hypothesis draws the same cases again and shrinks the one that fails.

        Only cases with the same kind of failure count, so the result shows one defect rather than the
        smallest of several. When the time is up, plans that were not played before count as passing. A case that the
        client passes when it is played again is not shrunk.
        """
        if check_outcome(failing.plan, self.run_client(failing.plan, failing.time_limit)) is None:
            return failing
        shrinker = _Shrinker(failing, self)
        with contextlib.suppress(_SameFailure):
            self._run_hypothesis(shrinker.try_plan, (Phase.generate, Phase.shrink))
        return shrinker.confirm()


class _Shrinker:
    """Tries the plans that Hypothesis proposes and remembers the smallest that fails in the same way."""

    def __init__(self, failing: FailingCase, search: Search) -> None:
        self.original = self._best = failing
        self._search = search
        self._deadline = time.monotonic() + MAX_SHRINK_SECONDS
        self._outcomes: dict[CasePlan, FailingCase | None] = {failing.plan: failing}
        self._runs = 0
        self._time_limit = failing.time_limit

    def try_plan(self, plan: CasePlan) -> None:
        """Raise _SameFailure if the plan fails as the original did."""
        if plan not in self._outcomes:
            self._outcomes[plan] = self._run_plan(plan)
        failing = self._outcomes[plan]
        if failing is not None:
            self._best = failing  # the last one that Hypothesis tries is the smallest
            raise _SameFailure

    def _run_plan(self, plan: CasePlan) -> FailingCase | None:
        if plan in self._search.failures or time.monotonic() > self._deadline:
            return None  # a plan that was played before passed, or failed in another way
        self._runs += 1
        outcome = self._search.run_client(plan, self._time_limit)
        failure = check_outcome(plan, outcome)
        if failure is None or failure.kind != self.original.failure.kind:
            return None
        return FailingCase(plan, outcome, failure, self.original.cases_run)

    def confirm(self) -> FailingCase:
        """The smallest plan if it fails again, with the full time limit; else the original."""
        best = self._best
        if best.plan != self.original.plan:
            outcome = self._search.run_client(best.plan)
            failure = check_outcome(best.plan, outcome)
            if failure is None or failure.kind != self.original.failure.kind:
                best = self.original
            else:
                best = FailingCase(best.plan, outcome, failure)
        return FailingCase(
            best.plan, best.outcome, best.failure, self.original.cases_run, self._runs, self._time_limit
        )


def _run_in_order(
    pool: ThreadPoolExecutor, run_client: ClientRunner, candidates: Sequence[CasePlan], jobs: int
) -> Iterator[tuple[CasePlan, Future[Outcome]]]:
    """Each plan with its future outcome; at most `jobs` run ahead."""
    rest = iter(candidates)
    begun = [(plan, pool.submit(run_client, plan)) for plan in islice(rest, jobs)]
    while begun:
        yield begun.pop(0)
        begun += [(plan, pool.submit(run_client, plan)) for plan in islice(rest, 1)]
