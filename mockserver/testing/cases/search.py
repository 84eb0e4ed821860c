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
from mockserver.replies.script import message
from mockserver.testing.cases.door import Received
from mockserver.testing.cases.drawing import Asking, asking_of, classics, plans
from mockserver.testing.cases.plan import FAULTS, Plan
from mockserver.testing.cases.verdicts import Failure, Outcome, judge

__all__ = ["Found", "Play", "Search"]

#: Seconds that making a case smaller may take.
SHRINK_SECONDS = 30.0

#: Where a client hangs, it is given up after so many times what the slowest case took that ended …
_PATIENCE = 4.0
#: … but not before so many seconds.
_LEAST_SECONDS = 1.0


class Play(Protocol):
    """Plays a case; `seconds` is less than the usual time while a case that hangs is made smaller."""

    def __call__(self, plan: Plan, seconds: float | None = None) -> Outcome: ...


@dataclass(frozen=True, slots=True)
class Found:
    """A case that broke the client."""

    plan: Plan
    outcome: Outcome
    failure: Failure
    cases: int = 0
    """Cases that were played until it was found."""
    shrunk: int = 0
    """Cases that were played to make it small."""


class _Broken(Exception):
    """A drawn case fails as the first one did."""


@dataclass(slots=True)
class Search:
    """One search for a case that breaks a client."""

    play: Play
    profile: Profile
    examples: int = 100
    seed: int = 0
    jobs: int = 1
    without: Collection[str] = ()
    progress: Callable[[int, int], None] = lambda _done, _total: None
    """Called with the number of cases played and to be played."""
    played: int = 0
    slowest: float = 0.0
    """Seconds that the slowest case took which ended."""
    asking: Asking = field(default_factory=Asking)
    _total: int = 0
    known: dict[Plan, Failure | None] = field(default_factory=dict)
    """What was wrong with each plan that was played."""

    def run(self, kept: Iterable[Plan] = ()) -> Found | None:
        """The first case that fails, made small; None where none does."""
        again = list(dict.fromkeys(kept))
        self._total = len(again) + 2 + self.examples
        found = self._first(again) or self._scout()
        if found is not None:
            return found
        known = classics(self.asking, self.without)
        silent = self._silences()
        self._total = self.played + len(known) + self.examples + len(silent)
        return self._first(known) or self.drawn() or self._first(silent)

    def drawn(self) -> Found | None:
        """The first drawn case that fails, made small; what is known already is not played again."""
        return self._first([plan for plan in self._drawn() if plan not in self.known], self._small)

    def _scout(self) -> Found | None:
        """Play the plainest case in both forms, and see what the client asks for."""
        received: list[Received] = []
        for stream in (True, False):
            plan = Plan(message("Hello!"), stream)
            outcome = self.play(plan)
            received += outcome.received
            found = self._judged(plan, outcome)
            if found is not None:
                return found
        self.asking = asking_of(received, self.profile)
        return None

    def _silences(self) -> list[Plan]:
        if "stalled" in self.without:
            return []
        forms = [stream for stream in self.asking.streams if FAULTS["stalled"][stream]]
        return [Plan(stream=stream, fault="stalled", at=500) for stream in forms]

    def _first(
        self, chosen: Sequence[Plan], small: Callable[[Found], Found] = lambda found: found
    ) -> Found | None:
        """The first of some plans that fails, in their order however many run at once."""
        with ThreadPoolExecutor(max_workers=self.jobs) as pool:
            for plan, future in _ahead(pool, self.play, chosen, self.jobs):
                found = self._judged(plan, future.result())
                if found is not None:
                    pool.shutdown(cancel_futures=True)
                    return small(found)
        return None

    def _judged(self, plan: Plan, outcome: Outcome) -> Found | None:
        self.played += 1
        self.progress(self.played, self._total)
        if outcome.ended and plan.fault != "stalled":
            self.slowest = max(self.slowest, outcome.seconds)
        failure = self.known[plan] = judge(plan, outcome)
        return None if failure is None else Found(plan, outcome, failure, self.played)

    def _drawn(self) -> list[Plan]:
        chosen: list[Plan] = []
        self._explore(chosen.append, (Phase.generate,))
        return list(dict.fromkeys(chosen))

    def _explore(self, look: Callable[[Plan], None], phases: Sequence[Phase]) -> None:
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
        @given(plans(self.asking, self.without))
        def explore(plan: Plan) -> None:
            look(plan)

        explore()

    def _small(self, found: Found) -> Found:
        """The same failure with less: Hypothesis draws the same cases again, and shrinks the one that fails.

        Only cases that fail in the same way count, so that it is one defect that is shown and not the
        smallest of several. When the time is up, whatever was not played before counts as passing.
        """
        shrinking = _Shrinking(found, self)
        with contextlib.suppress(_Broken):
            self._explore(shrinking.look, (Phase.generate, Phase.shrink))
        return shrinking.confirmed()


class _Shrinking:
    """Looks at the plans that Hypothesis proposes, and remembers the smallest that fails alike."""

    def __init__(self, found: Found, search: Search) -> None:
        self.found = self._best = found
        self._search = search
        self._until = time.monotonic() + SHRINK_SECONDS
        self._outcomes: dict[Plan, Found | None] = {found.plan: found}
        self._runs = 0
        hangs = found.failure.kind == "hung"
        self._seconds = max(_LEAST_SECONDS, _PATIENCE * search.slowest) if hangs else None

    def look(self, plan: Plan) -> None:
        """_Broken where the plan fails as the first one did."""
        if plan not in self._outcomes:
            self._outcomes[plan] = self._played(plan)
        found = self._outcomes[plan]
        if found is not None:
            self._best = found  # the last one that Hypothesis looks at is the smallest
            raise _Broken

    def _played(self, plan: Plan) -> Found | None:
        if plan in self._search.known or time.monotonic() > self._until:
            return None  # what is known passed, or failed in another way
        self._runs += 1
        outcome = self._search.play(plan, self._seconds)
        failure = judge(plan, outcome)
        if failure is None or failure.kind != self.found.failure.kind:
            return None
        return Found(plan, outcome, failure, self.found.cases)

    def confirmed(self) -> Found:
        """The smallest, as it fails with all the time there is; the first where that one does not."""
        best = self._best
        if self._seconds is not None and best.plan != self.found.plan:
            outcome = self._search.play(best.plan)
            failure = judge(best.plan, outcome)
            if failure is None or failure.kind != self.found.failure.kind:
                best = self.found
            else:
                best = Found(best.plan, outcome, failure)
        return Found(best.plan, best.outcome, best.failure, self.found.cases, self._runs)


def _ahead(
    pool: ThreadPoolExecutor, play: Play, chosen: Sequence[Plan], jobs: int
) -> Iterator[tuple[Plan, Future[Outcome]]]:
    """Each plan with its outcome to come, no more than `jobs` of them begun before they are wanted."""
    rest = iter(chosen)
    begun = [(plan, pool.submit(play, plan)) for plan in islice(rest, jobs)]
    while begun:
        yield begun.pop(0)
        begun += [(plan, pool.submit(play, plan)) for plan in islice(rest, 1)]
