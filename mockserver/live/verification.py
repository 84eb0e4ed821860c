"""A verification run: its probes in order, their results, and the findings merged over all of them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from mockserver.contract.coverage import ContractCoverage, WireValue, measure_coverage
from mockserver.contract.operations import find_operation
from mockserver.contract.rules import load_live_rules
from mockserver.errors import LiveError
from mockserver.live.budgeted_client import (
    BudgetedClient,
    BudgetExceeded,
    EndpointUnreachable,
    RateLimited,
    error_message,
)
from mockserver.live.client import (
    Interaction,
    LiveRequest,
    not_found_message,
    refused_key_message,
    unreachable_message,
)
from mockserver.live.endpoint import Endpoint
from mockserver.live.findings import LocatedFinding
from mockserver.live.observations import observed_answers
from mockserver.live.probes import Probe
from mockserver.live.probes.context import ProbeContext, ProbeInconclusive, ProbeSkipped
from mockserver.live.probes.replies import hello_request
from mockserver.live.spending import Prices, Spending
from mockserver.profiles import Profile, load_profile

__all__ = [
    "MergedFinding",
    "PlanProgress",
    "ProbeResult",
    "RunVerdict",
    "Verdict",
    "VerificationRun",
    "detection_request",
    "prompt_nonce",
    "run_probes",
]


_UNREACHABLE = "cannot reach the endpoint: "


class Verdict(StrEnum):
    """The result of a probe; the first that applies."""

    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    DRIFT = "drift"
    PASS = "pass"  # noqa: S105 (no password)
    NOT_COVERED = "not covered"


class RunVerdict(StrEnum):
    """The result of a run; the first that applies."""

    FAIL = "fail"
    DRIFT = "drift"
    INCOMPLETE = "incomplete"
    PASS = "pass"  # noqa: S105 (no password)
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """The result of one probe."""

    probe: Probe
    verdict: Verdict
    reason: str = ""
    """Why it is inconclusive or not covered."""
    is_cut_off: bool = False
    """Whether it did not run to its end: because of the budget, the rate limit or a lost endpoint."""
    interactions: tuple[Interaction, ...] = ()
    findings: tuple[LocatedFinding, ...] = ()


@dataclass(frozen=True, slots=True)
class PlanProgress:
    """How much of a plan has run."""

    applicable: int
    """Selected probes that apply to the profile."""
    completed: int
    """Those that ran to their end."""
    incomplete: tuple[str, ...]
    """Ids of those that did not."""


@dataclass(frozen=True, slots=True)
class MergedFinding:
    """All findings with the same rule and location: the first of them, and every probe that shows it."""

    first: LocatedFinding
    probe_ids: tuple[str, ...]
    count: int
    in_baseline: bool = False
    """Whether the baseline accepts it."""

    @property
    def key(self) -> tuple[str, str]:
        """The rule and the location in the contract, as in a baseline."""
        return self.first.finding.rule, self.first.contract_location


@dataclass(slots=True)
class VerificationRun:
    """A run, finished or under way."""

    endpoint: Endpoint
    profile: str
    profile_reason: str
    """Why this profile was chosen."""
    model: str
    seed: int
    probes: tuple[Probe, ...]
    results: list[ProbeResult] = field(default_factory=list)
    partial_reason: str = "the run is not finished"
    """Why the run stopped early; empty if it is finished."""
    baseline: frozenset[tuple[str, str]] = frozenset()
    user_resources: Mapping[str, str] = field(default_factory=dict)
    """Resources of the user that some tools need: "vector_store", "mcp_server"."""
    allow_incomplete: bool = False
    """Whether the user accepts that a part of the plan does not run."""
    spent_requests: int = 0
    spent_tokens: int = 0
    spending: Spending = field(default_factory=Spending)
    prices: Prices | None = None

    @property
    def expected_spending(self) -> Spending:
        """What the probes that apply to the profile are expected to cost."""
        profile = load_profile(self.profile)
        planned = [each.spending for each in self.probes if each.skip_reason(profile) is None]
        return sum(planned, start=Spending())

    @property
    def findings(self) -> list[MergedFinding]:
        """Every finding once: failures first, then drift, each in order of first appearance."""
        merged: dict[tuple[str, str], MergedFinding] = {}
        for result in self.results:
            for located in result.findings:
                key = located.finding.rule, located.contract_location
                before = merged.get(key)
                if before is None:
                    in_baseline = not located.is_failure and key in self.baseline
                    merged[key] = MergedFinding(located, (result.probe.id,), 1, in_baseline)
                else:
                    names = dict.fromkeys((*before.probe_ids, result.probe.id))
                    merged[key] = replace(before, probe_ids=tuple(names), count=before.count + 1)
        return sorted(merged.values(), key=lambda each: not each.first.is_failure)

    @property
    def observations(self) -> dict[str, str | None]:
        """What the run observed where the documents are silent, by question id."""
        return observed_answers({each.probe.id: each.interactions for each in self.results})

    @property
    def progress(self) -> PlanProgress:
        """How much of the applicable plan has run; probes that the user left out do not count."""
        profile = load_profile(self.profile)
        pending = [each for each in self.probes[len(self.results) :] if each.skip_reason(profile) is None]
        incomplete = [each.probe for each in self.results if each.is_cut_off] + pending
        completed = sum(
            not each.is_cut_off and each.verdict is not Verdict.NOT_COVERED for each in self.results
        )
        return PlanProgress(completed + len(incomplete), completed, tuple(each.id for each in incomplete))

    @property
    def verdict(self) -> RunVerdict:
        """The result of the whole run."""
        if self.has_failures:
            return RunVerdict.FAIL
        if self.has_new_drift:
            return RunVerdict.DRIFT
        if self.progress.incomplete:
            return RunVerdict.INCOMPLETE
        has_verdict = any(each.verdict in (Verdict.PASS, Verdict.DRIFT) for each in self.results)
        return RunVerdict.PASS if has_verdict else RunVerdict.INCONCLUSIVE

    @property
    def has_failures(self) -> bool:
        """Whether a probe failed."""
        return any(each.verdict is Verdict.FAIL for each in self.results)

    @property
    def has_new_drift(self) -> bool:
        """Whether there is drift that is not in the baseline."""
        return any(not each.first.is_failure and not each.in_baseline for each in self.findings)

    def coverage(self) -> ContractCoverage:
        """How much of the contract the run has seen."""
        return _contract_coverage(self.profile, [each for one in self.results for each in one.interactions])


def prompt_nonce(seed: int) -> str:
    """The text that varies the prompts of a run."""
    return f"{random.Random(seed).getrandbits(24):06x}"


def detection_request(probes: Iterable[Probe], model: str, seed: int) -> LiveRequest:
    """The request that detects the profile: that of a selected probe, which then uses its reply.

    A stream is preferred: it shows more than a reply.
    """
    selected = {each.id for each in probes}
    return hello_request(model, prompt_nonce(seed), streamed="stream" in selected or "basic" not in selected)


def run_probes(
    run: VerificationRun,
    client: BudgetedClient,
    on_probe_start: Callable[[Probe], None] = lambda _: None,
    on_probe_end: Callable[[], None] = lambda: None,
) -> None:
    """Run every probe of the plan; `run` is up to date at each call of `on_probe_start` and `on_probe_end`.

    Raises LiveError if the endpoint cannot be reached or refuses the key.
    """
    profile, nonce = load_profile(run.profile), prompt_nonce(run.seed)
    for probe in run.probes:
        on_probe_start(probe)
        run.results.append(
            _run_probe(probe, client, ProbeContext(client, profile, run.model, nonce, run.user_resources))
        )
        run.spent_requests, run.spent_tokens = client.budget.spent_requests, client.budget.spent_tokens
        run.spending = client.budget.spending
        _require_usable_endpoint(run, client)
        on_probe_end()
    run.partial_reason = ""


def _run_probe(probe: Probe, client: BudgetedClient, context: ProbeContext) -> ProbeResult:
    skip_reason = probe.skip_reason(context.profile)
    if skip_reason is not None:
        return ProbeResult(probe, Verdict.NOT_COVERED, skip_reason)
    verdict, reason, is_cut_off = Verdict.PASS, "", False
    try:
        probe.run(context)
    except ProbeSkipped as error:
        verdict, reason = Verdict.NOT_COVERED, str(error)
    except BudgetExceeded as error:
        verdict, reason, is_cut_off = Verdict.NOT_COVERED, str(error), True
    except RateLimited as error:
        verdict, reason, is_cut_off = Verdict.INCONCLUSIVE, f"the service limits the rate: {error}", True
    except EndpointUnreachable as error:
        verdict, reason, is_cut_off = Verdict.INCONCLUSIVE, f"{_UNREACHABLE}{error}", True
    except ProbeInconclusive as error:
        verdict, reason = Verdict.INCONCLUSIVE, str(error)
    if any(each.is_failure for each in context.findings):
        verdict, reason = Verdict.FAIL, ""
    elif context.findings and verdict is Verdict.PASS:
        verdict = Verdict.DRIFT
    return ProbeResult(
        probe, verdict, reason, is_cut_off, tuple(context.interactions), tuple(context.findings)
    )


def _require_usable_endpoint(run: VerificationRun, client: BudgetedClient) -> None:
    """Raise LiveError if every further probe would fail the same way: no endpoint, or a refused key."""
    last = run.results[-1]
    if not client.has_reply and last.verdict is Verdict.INCONCLUSIVE:
        raise LiveError(unreachable_message(run.endpoint, last.reason.removeprefix(_UNREACHABLE)))
    for each in last.findings if len(run.results) == 1 else ():
        if each.finding.rule == "LIV-002" and each.interaction.status == 404:
            path, reason = each.interaction.request.path, error_message(each.interaction)
            raise LiveError(not_found_message(run.endpoint, path, reason))
    for interaction in last.interactions:
        if interaction.status == 401 and interaction.request.api_key == "":
            raise LiveError(refused_key_message(run.endpoint))


def _contract_coverage(profile: str, interactions: Iterable[Interaction]) -> ContractCoverage:
    loaded = load_profile(profile)
    values = (each for one in interactions for each in _values_on_the_wire(one, loaded))
    return measure_coverage(profile, values, load_live_rules())


def _values_on_the_wire(interaction: Interaction, profile: Profile) -> Iterator[WireValue]:
    """The values of an interaction that have a schema in the contract."""
    operation = find_operation(
        profile, interaction.request.method, profile.base_path + interaction.request.path
    )
    is_success, value = (interaction.status or 0) < 400, interaction.value
    if (
        operation is not None
        and operation.request_schema is not None
        and is_success
        and isinstance(interaction.request.body, dict)
    ):
        yield WireValue(operation.request_schema, "request", interaction.request.body)
    if interaction.is_stream:
        yield from (WireValue("event", "stream", event) for event in interaction.events)
    elif isinstance(value, dict) and (not is_success or operation is None):
        yield WireValue("error_wrapped" if "error" in value else "error", "error", value)
    elif isinstance(value, dict) and operation is not None:
        yield WireValue(operation.response_schema, "response", value)
