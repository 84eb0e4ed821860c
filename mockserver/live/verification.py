"""The run: a plan, its probes one after another, and what they came to."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from mockserver.contract.coverage import ContractCoverage, WireValue, measure_coverage
from mockserver.contract.detection import detect_profile
from mockserver.contract.operations import find_operation
from mockserver.contract.rules import load_live_rules
from mockserver.errors import LiveError
from mockserver.live.budgeted_client import BudgetedClient, BudgetExceeded, EndpointUnreachable, RateLimited
from mockserver.live.client import Interaction, LiveRequest
from mockserver.live.endpoint import Endpoint
from mockserver.live.findings import LocatedFinding
from mockserver.live.observations import observed_answers
from mockserver.live.probes import Probe
from mockserver.live.probes.context import ProbeContext, ProbeInconclusive, ProbeSkipped
from mockserver.profiles import DEFAULT_PROFILE, Profile, load_profile, profile_names

__all__ = [
    "MergedFinding",
    "ProbeResult",
    "Verdict",
    "VerificationRun",
    "profile_for_endpoint",
    "profiles_for_path",
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
class ProbeResult:
    """One probe's verdict and why."""

    probe: Probe
    verdict: Verdict
    reason: str = ""
    """Why it is inconclusive or not covered."""
    interactions: tuple[Interaction, ...] = ()
    findings: tuple[LocatedFinding, ...] = ()


@dataclass(frozen=True, slots=True)
class MergedFinding:
    """A finding once, however often it came: its first sample, and every probe that shows it."""

    first: LocatedFinding
    probe_ids: tuple[str, ...]
    count: int
    in_baseline: bool = False
    """Drift that the baseline has."""

    @property
    def key(self) -> tuple[str, str]:
        """The rule and the place in the contract: what a baseline keeps."""
        return self.first.finding.rule, self.first.contract_location


@dataclass(slots=True)
class VerificationRun:
    """A run as far as it has come."""

    endpoint: Endpoint
    profile: str
    profile_reason: str
    """Why it is judged by this profile."""
    model: str
    seed: int
    probes: tuple[Probe, ...]
    results: list[ProbeResult] = field(default_factory=list)
    partial_reason: str = "the run goes on"
    """Why it is not whole; empty: it is."""
    baseline: frozenset[tuple[str, str]] = frozenset()
    user_resources: Mapping[str, str] = field(default_factory=dict)
    """What the user has named of their own, for the tools that need it."""
    spent_requests: int = 0
    spent_tokens: int = 0

    @property
    def findings(self) -> list[MergedFinding]:
        """Every finding once: fails first, then drift, each in the order in which they were met."""
        merged: dict[tuple[str, str], MergedFinding] = {}
        for outcome in self.results:
            for found in outcome.findings:
                key = found.finding.rule, found.contract_location
                before = merged.get(key)
                if before is None:
                    known = not found.is_failure and key in self.baseline
                    merged[key] = MergedFinding(found, (outcome.probe.id,), 1, known)
                else:
                    names = dict.fromkeys((*before.probe_ids, outcome.probe.id))
                    merged[key] = replace(before, probe_ids=tuple(names), count=before.count + 1)
        return sorted(merged.values(), key=lambda each: not each.first.is_failure)

    @property
    def observations(self) -> dict[str, str | None]:
        """Answers to what the documents leave open."""
        return observed_answers({each.probe.id: each.interactions for each in self.results})

    @property
    def has_failures(self) -> bool:
        """Whether a probe failed."""
        return any(each.verdict is Verdict.FAIL for each in self.results)

    @property
    def has_new_drift(self) -> bool:
        """Whether there is drift that the baseline does not have."""
        return any(not each.first.is_failure and not each.in_baseline for each in self.findings)

    def coverage(self) -> ContractCoverage:
        """What of the contract was seen."""
        return _contract_coverage(self.profile, [each for one in self.results for each in one.interactions])


def run_probes(
    run: VerificationRun,
    client: BudgetedClient,
    on_probe_start: Callable[[Probe], None] = lambda _: None,
    on_probe_end: Callable[[], None] = lambda: None,
) -> None:
    """Run every planned probe; `run` holds what came so far at each call of `begun` and `done`.

    LiveError where nothing can be asked: the endpoint is not reached, or refuses the key.
    """
    profile, chance = load_profile(run.profile), random.Random(run.seed)
    nonce = f"{chance.getrandbits(24):06x}"
    for probe in run.probes:
        on_probe_start(probe)
        run.results.append(
            _run_probe(probe, client, ProbeContext(client, profile, run.model, nonce, run.user_resources))
        )
        run.spent_requests, run.spent_tokens = client.budget.spent_requests, client.budget.spent_tokens
        _require_usable_endpoint(run, client)
        on_probe_end()
    run.partial_reason = ""


def _run_probe(probe: Probe, client: BudgetedClient, context: ProbeContext) -> ProbeResult:
    lacking = probe.skip_reason(context.profile)
    if lacking is not None:
        return ProbeResult(probe, Verdict.NOT_COVERED, lacking)
    verdict, reason = Verdict.PASS, ""
    try:
        probe.run(context)
    except (BudgetExceeded, ProbeSkipped) as error:
        verdict, reason = Verdict.NOT_COVERED, str(error)
    except RateLimited as error:
        verdict, reason = Verdict.INCONCLUSIVE, f"the service does not answer now: {error}"
    except EndpointUnreachable as error:
        verdict, reason = Verdict.INCONCLUSIVE, f"the endpoint is not reached: {error}"
    except ProbeInconclusive as error:
        verdict, reason = Verdict.INCONCLUSIVE, str(error)
    if any(each.is_failure for each in context.findings):
        verdict, reason = Verdict.FAIL, ""
    elif context.findings and verdict is Verdict.PASS:
        verdict = Verdict.DRIFT
    return ProbeResult(probe, verdict, reason, tuple(context.interactions), tuple(context.findings))


def _require_usable_endpoint(run: VerificationRun, client: BudgetedClient) -> None:
    """LiveError where going on would only repeat that nobody is there, or that the key is not taken."""
    last = run.results[-1]
    if not client.has_reply and last.verdict is Verdict.INCONCLUSIVE:
        raise LiveError(f"{run.endpoint.base_url}: {last.reason}")
    for crossing in last.interactions:
        if crossing.status == 401 and crossing.request.api_key == "":
            raise LiveError(
                f"{run.endpoint.base_url} refuses the key in {run.endpoint.api_key_env} (HTTP status 401); "
                "is it a key of that region?"
            )


def profiles_for_path(base_url: str) -> list[Profile]:
    """The profiles whose base path a URL ends with, oldest first; those that are not played have no say.

    Where one base path is the end of another, the longer one counts.
    """
    known = [load_profile(name) for name in profile_names()]
    fitting = [each for each in known if each.models and base_url.endswith(each.base_path)]
    longest = max((len(each.base_path) for each in fitting), default=0)
    return [each for each in fitting if len(each.base_path) == longest]


def profile_for_endpoint(endpoint: Endpoint, client: BudgetedClient) -> tuple[str, str]:
    """(profile, why) by the URL's path, and where several have it, by the marks of one answer."""
    candidates = profiles_for_path(endpoint.base_url)
    if len(candidates) == 1:
        return candidates[0].name, "by its path"
    models = (candidates[-1:] or [load_profile(DEFAULT_PROFILE)])[0].models
    try:
        # A stream shows more than a reply: the ages name the events of thoughts differently.
        hello = {"model": models[0], "input": "Hello!", "stream": True}
        crossing = client.send(LiveRequest(hello, expected_tokens=500), lambda _: None)
    except (BudgetExceeded, RateLimited, EndpointUnreachable) as error:
        raise LiveError(
            f"{endpoint.base_url} can not be asked what it is: {error}; name it with --profile"
        ) from None
    choice = detect_profile(crossing.body)
    if candidates and choice.profile not in [each.name for each in candidates]:
        return candidates[-1].name, "the newest with its path"
    return choice.profile, choice.reason


def _contract_coverage(profile: str, interactions: Iterable[Interaction]) -> ContractCoverage:
    about = load_profile(profile)
    return measure_coverage(
        profile, (each for one in interactions for each in _values_on_the_wire(one, about)), load_live_rules()
    )


def _values_on_the_wire(interaction: Interaction, profile: Profile) -> Iterator[WireValue]:
    """All the values that crossed, as far as the contract has a schema for them."""
    operation = find_operation(
        profile, interaction.request.method, profile.base_path + interaction.request.path
    )
    good, value = (interaction.status or 0) < 400, interaction.value
    if (
        operation is not None
        and operation.request_schema is not None
        and good
        and isinstance(interaction.request.body, dict)
    ):
        yield WireValue(operation.request_schema, "request", interaction.request.body)
    if interaction.is_stream:
        yield from (WireValue("event", "stream", event) for event in interaction.events)
    elif isinstance(value, dict) and (not good or operation is None):
        yield WireValue("error_wrapped" if "error" in value else "error", "error", value)
    elif isinstance(value, dict) and operation is not None:
        yield WireValue(operation.response_schema, "response", value)
