"""Conformance of Python clients: a callable is played all that a client meets; what it can do is told.

    from mockserver import assert_client_conforms

    print(assert_client_conforms(ask))

`ask(base_url, api_key)` asks one question of the server there, and returns the answer's text, the result of
its client (anything with `output_text`), or an iterator over the pieces of the text; it may be `async`. What
else its parameters name it gets too:

- `model`, `input`: what to ask for, and what to say;
- `stream`: whether to ask for a stream (without it, the client does as it likes);
- `timeout`: the seconds that a case may take, for a client that would wait longer;
- `follow_up`: what to say next in the same conversation, or None; then the last answer is what is returned.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

from mockserver.errors import ConfigurationError, ContractError
from mockserver.exchanges import packaged_exchanges
from mockserver.profiles import DEFAULT_PROFILE
from mockserver.replies.json_schema.generator import generate_arguments
from mockserver.replies.renderings import load_rendering
from mockserver.replies.script import FunctionCall, Message, Script, parse_script
from mockserver.testing.fuzzing.callable_runner import CallableRunner
from mockserver.testing.fuzzing.case_descriptions import describe_case
from mockserver.testing.fuzzing.case_plan import CASE_FAULTS, LEGAL_VARIATIONS, CasePlan
from mockserver.testing.fuzzing.case_server import FOLLOW_UP_REPLY, CaseServer
from mockserver.testing.fuzzing.case_strategies import RequestedFeatures, edge_case_plans, requested_features
from mockserver.testing.fuzzing.diagnosis import find_cause
from mockserver.testing.fuzzing.outcomes import Failure, Outcome, check_outcome
from mockserver.testing.fuzzing.search import FailingCase, Search

__all__ = ["Capabilities", "Capability", "ConformanceFailure", "assert_client_conforms", "client_contract"]

#: Broken cases that a failure shows whole.
_MAX_SHOWN_FAILURES = 5

#: Refusals that a client may try again after: 429, 500 and 503 (`cases.answer.REFUSALS`).
_TRANSIENT_ERRORS = {"429": 1, "500": 2, "503": 3}


@dataclass(frozen=True, slots=True)
class Capability:
    """One thing that clients can or can not do, and what was seen of it."""

    name: str
    """text, stream, multi-turn, tools, errors, retries or cancellation."""
    verdict: str
    """"yes", "no", "in part", or "not tried"."""
    detail: str


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a client is capable of; printed, it is a table."""

    rows: tuple[Capability, ...]

    def __getitem__(self, name: str) -> Capability:
        """The row of that name; KeyError where there is none."""
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(name)

    def __str__(self) -> str:
        return "\n".join(f"{row.name:13}{row.verdict:11}{row.detail}" for row in self.rows)


@dataclass(frozen=True, slots=True)
class ConformanceFailure:
    """A case that broke the client: one finding of the failure."""

    plan: CasePlan
    failure: Failure
    cause: str
    """The assumption that broke."""
    case_description: str
    """The case in words."""

    def __str__(self) -> str:
        lines = [
            self.failure.message,
            f"  broke: {self.cause}",
            *(f"  {each}" for each in self.failure.details),
        ]
        return "\n".join([*lines, *(f"  {line}" for line in self.case_description.splitlines())]).replace(
            "\n", "\n  "
        )


def assert_client_conforms(
    client: Callable[..., Any],
    *,
    profile: str = DEFAULT_PROFILE,
    rendering: str = "wire",
    examples: int = 50,
    seed: int = 0,
    timeout: float = 10.0,
    skip: Collection[str] = (),
) -> Capabilities:
    """Play a client everything it has to understand or to refuse; what it is capable of.

    Played are the documented exchanges in every rendering, the known traps and `examples` drawn answers
    (hostile chunkings, keep-alives, unknown events, null and absent members …), and every fault, which a
    sound client reports: it raises. No case may take longer than `timeout`. `skip` names faults and
    oddities to leave out, as `mockserver fuzz --skip` does. ContractError shows what broke, with the
    smallest of the drawn answers that breaks it; ConfigurationError: what `call` returns is no answer.
    """
    unknown = sorted(set(skip) - {*CASE_FAULTS, *LEGAL_VARIATIONS})
    if unknown:
        raise ConfigurationError(
            f"skip={unknown[0]!r} is not among {', '.join((*CASE_FAULTS, *LEGAL_VARIATIONS))}"
        )
    with CaseServer(profile=profile, rendering=rendering) as door:
        trial = _ConformanceRun(CallableRunner(client, door, timeout), door, skip)
        trial.observe_requests()
        trial.run_documented_exchanges(rendering)
        trial.run_cases(
            [plan for plan in edge_case_plans(trial.features, skip) if plan not in trial.failures_by_plan]
        )
        trial.run_drawn_cases(examples, seed)
        trial.run_cases(trial.stalled_plans())
        extras = (
            trial.multi_turn_capability(),
            trial.tool_capability(),
            trial.error_capability(),
            trial.retry_capability(),
            trial.cancellation_capability(),
        )
        table = Capabilities(
            (trial.reply_form_capability("text", False), trial.reply_form_capability("stream", True), *extras)
        )
        if trial.failures:
            raise _contract_error(trial, table)
    return table


@overload
def client_contract(client: Callable[..., Any], /) -> Callable[[], None]: ...
@overload
def client_contract(**options: Any) -> Callable[[Callable[..., Any]], Callable[[], None]]: ...
def client_contract(call: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a test of a client: the decorated function is played by `assert_client_conforms`.

    Options are those of `assert_client_conforms`. What the client is capable of stands in the test's
    attribute `capabilities` once it passed.
    """
    if call is None:
        return functools.partial(_make_test, options=options)
    return _make_test(call, options=options)


def _make_test(client: Callable[..., Any], options: dict[str, Any]) -> Callable[[], None]:
    def test() -> None:
        test.capabilities = assert_client_conforms(client, **options)  # type: ignore[attr-defined]

    # Not `functools.wraps`: pytest would take the parameters of `call` for fixtures.
    test.__name__, test.__qualname__ = client.__name__, client.__qualname__
    test.__doc__, test.__module__ = client.__doc__, client.__module__
    return test


def _contract_error(run: _ConformanceRun, capabilities: Capabilities) -> ContractError:
    more = len(run.failures) - _MAX_SHOWN_FAILURES
    title = f"{len(run.failures)} of {len(run.failures_by_plan)} cases broke the client"
    title += f", of which {_MAX_SHOWN_FAILURES} are shown" if more > 0 else ""
    error = ContractError(run.failures[:_MAX_SHOWN_FAILURES], title)
    error.findings = tuple(run.failures)
    error.args = (f"{error.args[0]}\n{capabilities}",)
    return error


@dataclass
class _ConformanceRun:
    """What a client was played so far, and what it did."""

    run_client: CallableRunner
    server: CaseServer
    skip: Collection[str]
    failures_by_plan: dict[CasePlan, Failure | None] = field(default_factory=dict)
    failures: list[ConformanceFailure] = field(default_factory=list)
    features: RequestedFeatures = field(default_factory=RequestedFeatures)

    def observe_requests(self) -> None:
        """The plainest case in both forms: what the client asks for."""
        received = [
            each
            for stream in (True, False)
            for each in self.run_case(CasePlan(Script((Message(("Hello!",)),)), stream)).requests
        ]
        self.features = requested_features(received, self.server.context.profile)
        if not self.features.stream_modes:
            raise _contract_error(self, Capabilities(()))

    def run_case(self, plan: CasePlan, run_client: CallableRunner | None = None) -> Outcome:
        """Play a case and judge it."""
        outcome = (run_client or self.run_client)(plan)
        failure = check_outcome(plan, outcome)
        self.failures_by_plan[plan] = self.failures_by_plan.get(plan) or failure
        if failure is not None:
            self._add_failure(FailingCase(plan, outcome, failure), run_client or self.run_client)
        return outcome

    def run_cases(self, plans: Sequence[CasePlan]) -> None:
        for plan in plans:
            self.run_case(plan)

    def run_documented_exchanges(self, rendering: str) -> None:
        """The documented exchanges, in each rendering there is."""
        profile = self.server.context.profile.name
        exchanges = [each for each in packaged_exchanges(profile) if "script" in each.reply]
        plans = [
            CasePlan(parse_script(each.reply["script"]), stream)
            for each in exchanges
            for stream in self.features.stream_modes
        ]
        for name in dict.fromkeys((rendering, *_available_renderings(profile))):
            with CaseServer(profile=profile, rendering=name) as door:
                play = CallableRunner(self.run_client.client, door, self.run_client.timeout)
                for plan in plans:
                    if _is_within_features(plan, self.features):
                        self.run_case(plan, play)

    def run_drawn_cases(self, examples: int, seed: int) -> None:
        """Drawn answers, to the first that breaks the client; it is made small."""
        search = Search(self.run_client, self.server.context.profile, examples, seed, skip=self.skip)
        search.features, search.failures = self.features, self.failures_by_plan
        found = search.search_drawn_cases()
        if found is not None:
            self._add_failure(found, self.run_client)

    def stalled_plans(self) -> list[CasePlan]:
        if "stalled" in self.skip:
            return []
        return [CasePlan(stream=stream, fault="stalled", at=500) for stream in self.features.stream_modes]

    def reply_form_capability(self, name: str, stream: bool) -> Capability:
        """Whether legal answers of a form are understood."""
        if stream not in self.features.stream_modes:
            return Capability(name, "not tried", "it never asks for this form")
        kept = [
            failure is None
            for plan, failure in self.failures_by_plan.items()
            if plan.stream is stream and plan.fault is None
        ]
        return _rate_capability(name, kept, "legal answers understood")

    def error_capability(self) -> Capability:
        kept = [
            failure is None
            for plan, failure in self.failures_by_plan.items()
            if plan.fault is not None and not plan.once
        ]
        return _rate_capability("errors", kept, "faults reported")

    def multi_turn_capability(self) -> Capability:
        if "follow_up" not in self.run_client.accepted_arguments:
            return Capability("multi-turn", "not tried", "the callable takes no `follow_up`")
        plan = CasePlan(Script((Message(("Remember this.",)),)), self.features.stream_modes[0])
        outcome = self.run_client.run_follow_up(plan)
        failure = _check_follow_up(outcome, self.server)
        if failure is None:
            return Capability("multi-turn", "yes", "the next turn knows the one before")
        self._add_failure(FailingCase(plan, outcome, failure), self.run_client)
        return Capability("multi-turn", "no", failure.message)

    def tool_capability(self) -> Capability:
        if not self.features.functions:
            return Capability("tools", "not tried", "its requests declare no function")
        name, parameters = self.features.functions[0]
        plan = CasePlan(
            Script((FunctionCall(name, generate_arguments(parameters, 1)),)), self.features.stream_modes[0]
        )
        outcome = self.run_case(plan)
        if '"function_call_output"' in "".join(each.body.decode() for each in outcome.requests[1:]):
            return Capability("tools", "yes", f"{name} is called and its output sent")
        return Capability("tools", "no", f"the call of {name} is not answered ({outcome.end_reason})")

    def retry_capability(self) -> Capability:
        """Whether a fault that passes is tried again: the client's choice, so never a defect."""
        if "refused" in self.skip:
            return Capability("retries", "not tried", "refused is skipped")
        stream = self.features.stream_modes[0]
        plans = {
            name: CasePlan(stream=stream, fault="refused", at=at, once=True)
            for name, at in _TRANSIENT_ERRORS.items()
        }
        again = [name for name, plan in plans.items() if self._is_retried(plan)]
        verdict = "yes" if len(again) == len(plans) else "in part" if again else "no"
        return Capability("retries", verdict, f"after {', '.join(again)}" if again else "raises at once")

    def _is_retried(self, plan: CasePlan) -> bool:
        outcome = self.run_case(plan)
        return outcome.accepted and len(outcome.requests) > 1 and self.failures_by_plan[plan] is None

    def cancellation_capability(self) -> Capability:
        """Whether a stream that is left is hung up on."""
        plan = CasePlan(Script((Message(("a", "b", "c", "d")),)), fault="stalled", at=700)
        left = self.run_client.cancel_stream(plan) if True in self.features.stream_modes else None
        if left is None:
            return Capability("cancellation", "not tried", "the callable returns no iterator over a stream")
        return Capability("cancellation", "yes" if left.accepted else "no", left.end_reason)

    def _add_failure(self, failing: FailingCase, run_client: CallableRunner) -> None:
        cause = find_cause(failing, run_client)
        case = "\n".join(describe_case(failing.plan, run_client.server.context))
        self.failures.append(ConformanceFailure(failing.plan, failing.failure, cause, case))


def _check_follow_up(outcome: Outcome, server: CaseServer) -> Failure | None:
    """What is wrong with two turns of a conversation."""
    if not outcome.finished or not outcome.accepted or len(outcome.requests) < 2:
        return Failure("multi-turn", f"the next turn did not come: {outcome.end_reason}")
    second = outcome.requests[-1].json_body
    first_id = server.context.response_id(1)
    if second.get("previous_response_id") != first_id and "Remember this." not in str(second.get("input")):
        return Failure("multi-turn", "the next turn has neither the id of the one before nor what was said")
    if outcome.text not in (None, FOLLOW_UP_REPLY):
        details = (f"expected  {FOLLOW_UP_REPLY!r}", f"got       {outcome.text!r}")
        return Failure("multi-turn", "the next turn's text is not returned", details)
    return None


def _is_within_features(plan: CasePlan, features: RequestedFeatures) -> bool:
    """Whether a client that asks so may get what a plan says: no runs of tools that it does not declare."""
    kinds = {getattr(item, "kind", None) for item in plan.script.items} - {None}
    return kinds <= set(features.tool_types) and not any(
        isinstance(item, FunctionCall) for item in plan.script.items
    )


def _available_renderings(profile: str) -> Iterator[str]:
    for name in ("wire", "documented"):
        try:
            load_rendering(profile, name)
        except ConfigurationError:
            continue
        yield name


def _rate_capability(name: str, passed: Sequence[bool], description: str) -> Capability:
    if not passed:
        return Capability(name, "not tried", "nothing of it was played")
    count = sum(passed)
    verdict = "yes" if count == len(passed) else "in part" if count else "no"
    return Capability(name, verdict, f"{count} of {len(passed)} {description}")
