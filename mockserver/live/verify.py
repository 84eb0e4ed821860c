"""The run: a plan, its probes one after another, and what they came to."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from mockserver.contract.coverage import Covered, Crossed, covered
from mockserver.contract.marks import choose_profile
from mockserver.contract.operations import find_operation
from mockserver.contract.rules import live_rules
from mockserver.errors import LiveError
from mockserver.live.asking import Asker, OutOfBudget, Throttled, Unreachable
from mockserver.live.client import Ask, Crossing
from mockserver.live.facts import learn
from mockserver.live.judging import Found
from mockserver.live.origin import Origin
from mockserver.live.probes import Probe
from mockserver.live.talk import Inconclusive, NotAsked, Talk
from mockserver.profiles import DEFAULT_PROFILE, Profile, load_profile, profile_names

__all__ = [
    "Outcome",
    "Problem",
    "Run",
    "Verdict",
    "chosen_profile",
    "profile_of_path",
    "run_probes",
]


class Verdict(StrEnum):
    """What a probe came to; the first of those that hold."""

    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    DRIFT = "drift"
    PASS = "pass"  # noqa: S105 (no password)
    NOT_COVERED = "not covered"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One probe's verdict and why."""

    probe: Probe
    verdict: Verdict
    reason: str = ""
    """Why it is inconclusive or not covered."""
    crossings: tuple[Crossing, ...] = ()
    found: tuple[Found, ...] = ()


@dataclass(frozen=True, slots=True)
class Problem:
    """A finding once, however often it came: its first sample, and every probe that shows it."""

    first: Found
    probes: tuple[str, ...]
    count: int
    known: bool = False
    """Drift that the baseline has."""

    @property
    def key(self) -> tuple[str, str]:
        """The rule and the place in the contract: what a baseline keeps."""
        return self.first.finding.rule, self.first.place


@dataclass(slots=True)
class Run:
    """A run as far as it has come."""

    origin: Origin
    profile: str
    why: str
    """Why it is judged by this profile."""
    model: str
    seed: int
    planned: tuple[Probe, ...]
    outcomes: list[Outcome] = field(default_factory=list)
    partial: str = "the run goes on"
    """Why it is not whole; empty: it is."""
    baseline: frozenset[tuple[str, str]] = frozenset()
    own: Mapping[str, str] = field(default_factory=dict)
    """What the user has named of their own, for the tools that need it."""
    spent_requests: int = 0
    spent_tokens: int = 0

    @property
    def problems(self) -> list[Problem]:
        """Every finding once: fails first, then drift, each in the order in which they were met."""
        merged: dict[tuple[str, str], Problem] = {}
        for outcome in self.outcomes:
            for found in outcome.found:
                key = found.finding.rule, found.place
                before = merged.get(key)
                if before is None:
                    known = not found.is_fail and key in self.baseline
                    merged[key] = Problem(found, (outcome.probe.id,), 1, known)
                else:
                    names = dict.fromkeys((*before.probes, outcome.probe.id))
                    merged[key] = replace(before, probes=tuple(names), count=before.count + 1)
        return sorted(merged.values(), key=lambda each: not each.first.is_fail)

    @property
    def facts(self) -> dict[str, str | None]:
        """Answers to what the documents leave open."""
        return learn({each.probe.id: each.crossings for each in self.outcomes})

    @property
    def failed(self) -> bool:
        """Whether a probe failed."""
        return any(each.verdict is Verdict.FAIL for each in self.outcomes)

    @property
    def drifted(self) -> bool:
        """Whether there is drift that the baseline does not have."""
        return any(not each.first.is_fail and not each.known for each in self.problems)

    def covered(self) -> Covered:
        """What of the contract was seen."""
        return _covered(self.profile, [each for one in self.outcomes for each in one.crossings])


def run_probes(
    run: Run,
    asker: Asker,
    begun: Callable[[Probe], None] = lambda _: None,
    done: Callable[[], None] = lambda: None,
) -> None:
    """Run every planned probe; `run` holds what came so far at each call of `begun` and `done`.

    LiveError where nothing can be asked: the endpoint is not reached, or refuses the key.
    """
    profile, chance = load_profile(run.profile), random.Random(run.seed)
    nonce = f"{chance.getrandbits(24):06x}"
    for probe in run.planned:
        begun(probe)
        run.outcomes.append(_outcome(probe, asker, Talk(asker, profile, run.model, nonce, run.own)))
        run.spent_requests, run.spent_tokens = asker.budget.spent_requests, asker.budget.spent_tokens
        _require_answers(run, asker)
        done()
    run.partial = ""


def _outcome(probe: Probe, asker: Asker, talk: Talk) -> Outcome:
    lacking = probe.lacks(talk.profile)
    if lacking is not None:
        return Outcome(probe, Verdict.NOT_COVERED, lacking)
    verdict, reason = Verdict.PASS, ""
    try:
        probe.run(talk)
    except (OutOfBudget, NotAsked) as error:
        verdict, reason = Verdict.NOT_COVERED, str(error)
    except Throttled as error:
        verdict, reason = Verdict.INCONCLUSIVE, f"the service does not answer now: {error}"
    except Unreachable as error:
        verdict, reason = Verdict.INCONCLUSIVE, f"the endpoint is not reached: {error}"
    except Inconclusive as error:
        verdict, reason = Verdict.INCONCLUSIVE, str(error)
    if any(each.is_fail for each in talk.found):
        verdict, reason = Verdict.FAIL, ""
    elif talk.found and verdict is Verdict.PASS:
        verdict = Verdict.DRIFT
    return Outcome(probe, verdict, reason, tuple(talk.crossings), tuple(talk.found))


def _require_answers(run: Run, asker: Asker) -> None:
    """LiveError where going on would only repeat that nobody is there, or that the key is not taken."""
    last = run.outcomes[-1]
    if not asker.reached and last.verdict is Verdict.INCONCLUSIVE:
        raise LiveError(f"{run.origin.base_url}: {last.reason}")
    for crossing in last.crossings:
        if crossing.status == 401 and crossing.ask.key == "":
            raise LiveError(
                f"{run.origin.base_url} refuses the key in {run.origin.key_name} (HTTP status 401); "
                "is it a key of that region?"
            )


def profile_of_path(base_url: str) -> list[Profile]:
    """The profiles whose base path a URL ends with, oldest first; those that are not played have no say.

    Where one base path is the end of another, the longer one counts.
    """
    known = [load_profile(name) for name in profile_names()]
    fitting = [each for each in known if each.models and base_url.endswith(each.base_path)]
    longest = max((len(each.base_path) for each in fitting), default=0)
    return [each for each in fitting if len(each.base_path) == longest]


def chosen_profile(origin: Origin, asker: Asker) -> tuple[str, str]:
    """(profile, why) by the URL's path, and where several have it, by the marks of one answer."""
    candidates = profile_of_path(origin.base_url)
    if len(candidates) == 1:
        return candidates[0].name, "by its path"
    models = (candidates[-1:] or [load_profile(DEFAULT_PROFILE)])[0].models
    try:
        # A stream shows more than a reply: the ages name the events of thoughts differently.
        hello = {"model": models[0], "input": "Hello!", "stream": True}
        crossing = asker.ask(Ask(hello, tokens=500), lambda _: None)
    except (OutOfBudget, Throttled, Unreachable) as error:
        raise LiveError(
            f"{origin.base_url} can not be asked what it is: {error}; name it with --profile"
        ) from None
    choice = choose_profile(crossing.body)
    if candidates and choice.profile not in [each.name for each in candidates]:
        return candidates[-1].name, "the newest with its path"
    return choice.profile, choice.why


def _covered(profile: str, crossings: Iterable[Crossing]) -> Covered:
    about = load_profile(profile)
    return covered(profile, (each for one in crossings for each in _values(one, about)), live_rules())


def _values(crossing: Crossing, profile: Profile) -> Iterator[Crossed]:
    """All the values that crossed, as far as the contract has a schema for them."""
    operation = find_operation(profile, crossing.ask.method, profile.base_path + crossing.ask.path)
    good, value = (crossing.status or 0) < 400, crossing.value
    if (
        operation is not None
        and operation.request is not None
        and good
        and isinstance(crossing.ask.body, dict)
    ):
        yield Crossed(operation.request, "request", crossing.ask.body)
    if crossing.is_stream:
        yield from (Crossed("event", "stream", event) for event in crossing.events)
    elif isinstance(value, dict) and (not good or operation is None):
        yield Crossed("error_wrapped" if "error" in value else "error", "error", value)
    elif isinstance(value, dict) and operation is not None:
        yield Crossed(operation.reply, "response", value)
