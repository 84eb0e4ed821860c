"""Conformance of Python clients: play a callable everything that a client meets, and report what it can do.

    from mockserver import assert_client_conforms

    print(assert_client_conforms(ask))

`ask(base_url, api_key)` sends one request to the server and returns the text of the reply, the result of its
client (an object with `output_text`), or an iterator over the pieces of the text. It may be `async`. It also
receives these arguments, if it has parameters of these names:

- `model`, `input`: the model and the prompt;
- `stream`: whether to request a stream (without it, the client decides);
- `timeout`: how many seconds a case may take, for a client that would wait longer;
- `follow_up`: the next prompt of the same conversation, or None; then it returns the last reply.
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
from mockserver.suggestions import choose_from
from mockserver.testing.clients import bypass_proxies
from mockserver.testing.fuzzing.callable_runner import CallableRunner
from mockserver.testing.fuzzing.case_descriptions import describe_case
from mockserver.testing.fuzzing.case_plan import CASE_FAULTS, LEGAL_VARIATIONS, CasePlan
from mockserver.testing.fuzzing.case_server import FOLLOW_UP_REPLY, CaseServer
from mockserver.testing.fuzzing.case_strategies import RequestedFeatures, edge_case_plans, requested_features
from mockserver.testing.fuzzing.diagnosis import CauseFinder, OutcomeCheck
from mockserver.testing.fuzzing.outcomes import (
    Failure,
    Outcome,
    check_outcome,
    find_conduct_failure,
    played_plan,
)
from mockserver.testing.fuzzing.search import ClientRunner, FailingCase, Search
from mockserver.testing.strategies.rendered_replies import RenderContext
from mockserver.testing.strategies.scripts import script_statuses

__all__ = ["Capabilities", "Capability", "ConformanceFailure", "assert_client_conforms", "client_contract"]

#: Failing cases that an error shows in full.
_MAX_SHOWN_FAILURES = 5

#: Errors after which a client may retry, by their `at` in the fault "refused".
_TRANSIENT_ERRORS = {"429": 1, "500": 2, "503": 3}


@dataclass(frozen=True, slots=True)
class Capability:
    """One thing that a client can or cannot do, with the evidence."""

    name: str
    """text, stream, multi-turn, tools, incomplete, errors, retries or cancellation."""
    verdict: str
    """"yes", "no", "in part", or "not tried"."""
    detail: str


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a client can do; `str()` renders a table."""

    rows: tuple[Capability, ...]

    def __getitem__(self, name: str) -> Capability:
        """The row of that name; KeyError if there is none."""
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(name)

    def __str__(self) -> str:
        return "\n".join(f"{row.name:13}{row.verdict:11}{row.detail}" for row in self.rows)


@dataclass(frozen=True, slots=True)
class ConformanceFailure:
    """A failing case: one finding of the ContractError."""

    plan: CasePlan
    failure: Failure
    cause: str
    """The wrong assumption of the client, or how often it fails if its outcome changes between runs."""
    case_description: str
    """The case as text."""

    def __str__(self) -> str:
        details = [f"cause: {self.cause}", *self.failure.details, *self.case_description.splitlines()]
        return "\n    ".join([self.failure.message, *details])


def assert_client_conforms(
    client: Callable[..., Any],
    *,
    profile: str = DEFAULT_PROFILE,
    rendering: str = "wire",
    examples: int = 50,
    seed: int = 0,
    timeout: float = 10.0,
    skip: Collection[str] = (),
    conduct: bool = False,
) -> Capabilities:
    """Play a client everything it must understand or reject, and return what it can do.

    The cases are the documented exchanges in every rendering, the known edge cases, `examples` drawn replies
    (arbitrary chunking, keep-alives, unknown events, null and absent members …), and every fault, for which a
    correct client raises. A case may take `timeout` seconds. `skip` names faults and variations to leave out,
    as in `mockserver fuzz --skip`. `conduct`: check also what the client does over several
    requests, such as its retries. ContractError shows the failing cases, with the smallest of the drawn
    replies that fails; ConfigurationError means that `client` returns no text. While it runs, `NO_PROXY` has the
    server's host.
    """
    unknown = sorted(set(skip) - {*CASE_FAULTS, *LEGAL_VARIATIONS})
    if unknown:
        raise ConfigurationError(
            f"cannot skip {unknown[0]!r}{choose_from(unknown[0], (*CASE_FAULTS, *LEGAL_VARIATIONS))}"
        )
    with (
        CaseServer(profile=profile, rendering=rendering, checks_conduct=conduct) as server,
        bypass_proxies(server.url),
    ):
        run = _ConformanceRun(CallableRunner(client, server, timeout), server, skip, conduct)
        run.observe_requests()
        run.run_documented_exchanges(rendering)
        run.run_cases(
            [plan for plan in edge_case_plans(run.features, skip) if plan not in run.failures_by_plan]
        )
        run.run_drawn_cases(examples, seed)
        run.run_cases(run.stalled_plans())
        # These play more cases, so the rows about all cases come last.
        others = (
            run.multi_turn_capability(),
            run.tool_capability(),
            run.incomplete_capability(),
            run.error_capability(),
            run.retry_capability(),
            run.cancellation_capability(),
        )
        capabilities = Capabilities(
            (run.reply_form_capability("text", False), run.reply_form_capability("stream", True), *others)
        )
        if run.failures:
            raise _contract_error(run, capabilities)
    return capabilities


@overload
def client_contract(client: Callable[..., Any], /) -> Callable[[], None]: ...
@overload
def client_contract(**options: Any) -> Callable[[Callable[..., Any]], Callable[[], None]]: ...
def client_contract(client: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Turn a client into a test that calls `assert_client_conforms` with it.

    The options are those of `assert_client_conforms`. After the test has passed, its attribute
    `capabilities` holds the result.
    """
    if client is None:
        return functools.partial(_make_test, options=options)
    return _make_test(client, options=options)


def _make_test(client: Callable[..., Any], options: dict[str, Any]) -> Callable[[], None]:
    def test() -> None:
        test.capabilities = assert_client_conforms(client, **options)  # type: ignore[attr-defined]

    # Not `functools.wraps`: pytest would take the parameters of `client` for fixtures.
    test.__name__, test.__qualname__ = client.__name__, client.__qualname__
    test.__doc__, test.__module__ = client.__doc__, client.__module__
    return test


def _contract_error(run: _ConformanceRun, capabilities: Capabilities) -> ContractError:
    shown = run.failures[:_MAX_SHOWN_FAILURES]
    title = f"the client fails {len(run.failures)} of {len(run.failures_by_plan)} cases"
    if len(shown) < len(run.failures):
        title += f" ({len(shown)} shown)"
    message = "\n".join([f"{title}:", *(f"  {failure}" for failure in shown), str(capabilities)])
    return ContractError(run.failures, message=message)


@dataclass
class _ConformanceRun:
    """The cases that a client has been played, and their results."""

    run_client: CallableRunner
    server: CaseServer
    skip: Collection[str]
    checks_conduct: bool
    failures_by_plan: dict[CasePlan, Failure | None] = field(default_factory=dict)
    failures: list[ConformanceFailure] = field(default_factory=list)
    features: RequestedFeatures = field(default_factory=RequestedFeatures)
    slowest_seconds: float = 0.0
    """Duration of the slowest case that finished."""
    cause_finder: CauseFinder = field(default_factory=CauseFinder)

    def observe_requests(self) -> None:
        """Play the simplest case in both forms, and learn what the client requests."""
        received = [
            each
            for stream in (True, False)
            for each in self.run_case(CasePlan(Script((Message(("Hello!",)),)), stream)).requests
        ]
        self.features = requested_features(received, self.server.context.profile)
        if not self.features.stream_modes:
            raise _contract_error(self, Capabilities(()))

    def run_case(self, plan: CasePlan, run_client: CallableRunner | None = None) -> Outcome:
        """Play a case and check its outcome."""
        outcome = (run_client or self.run_client)(plan)
        failure = check_outcome(plan, outcome)
        self.failures_by_plan[plan] = self.failures_by_plan.get(plan) or failure
        if outcome.finished and plan.fault != "stalled":
            self.slowest_seconds = max(self.slowest_seconds, outcome.duration)
        if failure is not None:
            runner = run_client or self.run_client
            failing = FailingCase(played_plan(plan, outcome), outcome, failure)
            self._add_failure(failing, runner, runner.server.context)
        return outcome

    def run_cases(self, plans: Sequence[CasePlan]) -> None:
        for plan in plans:
            self.run_case(plan)

    def run_documented_exchanges(self, rendering: str) -> None:
        """Play the documented exchanges in every rendering of the profile."""
        profile = self.server.context.profile.name
        exchanges = [each for each in packaged_exchanges(profile) if "script" in each.reply]
        plans = [
            CasePlan(parse_script(each.reply["script"]), stream)
            for each in exchanges
            for stream in self.features.stream_modes
        ]
        for name in dict.fromkeys((rendering, *_available_renderings(profile))):
            with CaseServer(profile=profile, rendering=name, checks_conduct=self.checks_conduct) as server:
                run_client = CallableRunner(self.run_client.client, server, self.run_client.timeout)
                for plan in plans:
                    if _is_within_features(plan, self.features):
                        self.run_case(plan, run_client)

    def run_drawn_cases(self, examples: int, seed: int) -> None:
        """Play drawn replies until one fails, and shrink it."""
        search = Search(self.run_client, self.server.context.profile, examples, seed, skip=self.skip)
        search.features, search.failures = self.features, self.failures_by_plan
        search.slowest_seconds = self.slowest_seconds
        failing_case = search.search_drawn_cases()
        if failing_case is not None:
            self._add_failure(failing_case, self.run_client, self.server.context)

    def stalled_plans(self) -> list[CasePlan]:
        if "stalled" in self.skip:
            return []
        return [CasePlan(stream=stream, fault="stalled", at=500) for stream in self.features.stream_modes]

    def reply_form_capability(self, name: str, stream: bool) -> Capability:
        """Whether the client understands valid replies, streamed or not."""
        if stream not in self.features.stream_modes:
            return Capability(name, "not tried", "the client never requests this form")
        passed = [
            failure is None
            for plan, failure in self.failures_by_plan.items()
            if plan.stream is stream and plan.fault is None
        ]
        return _rate_capability(name, passed, "valid replies understood")

    def incomplete_capability(self) -> Capability:
        """Whether the client keeps the text of a truncated reply and says that it is incomplete."""
        profile = self.server.context.profile
        if "incomplete" not in script_statuses(profile.name):
            return Capability("incomplete", "not tried", f"{profile.name} has no response.incomplete")
        passed = [
            failure is None for plan, failure in self.failures_by_plan.items() if plan.fault == "incomplete"
        ]
        return _rate_capability("incomplete", passed, "truncated replies kept and reported")

    def error_capability(self) -> Capability:
        passed = [
            failure is None
            for plan, failure in self.failures_by_plan.items()
            if plan.fault not in (None, "incomplete") and not plan.once
        ]
        return _rate_capability("errors", passed, "faults reported")

    def multi_turn_capability(self) -> Capability:
        if "follow_up" not in self.run_client.accepted_arguments:
            return Capability("multi-turn", "not tried", "the callable has no parameter `follow_up`")
        plan = CasePlan(Script((Message(("Remember this.",)),)), self.features.stream_modes[0])
        outcome = self.run_client.run_follow_up(plan)
        failure = _check_follow_up(outcome, self.server) or find_conduct_failure(outcome)
        if failure is None:
            return Capability("multi-turn", "yes", "the next turn continues the previous one")
        self._add_failure(
            FailingCase(plan, outcome, failure),
            lambda plan, _=None: self.run_client.run_follow_up(plan),
            self.server.context,
            lambda _, outcome: _check_follow_up(outcome, self.server) or find_conduct_failure(outcome),
        )
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
            return Capability("tools", "yes", f"the client calls {name} and sends its output")
        return Capability(
            "tools", "no", f"the client does not send the output of {name} ({outcome.end_reason})"
        )

    def retry_capability(self) -> Capability:
        """Whether the client retries after a temporary error: its choice, so never a failure."""
        if "refused" in self.skip:
            return Capability("retries", "not tried", "the fault refused is skipped")
        stream = self.features.stream_modes[0]
        plans = {
            name: CasePlan(stream=stream, fault="refused", at=at, once=True)
            for name, at in _TRANSIENT_ERRORS.items()
        }
        outcomes = {name: self.run_case(plan) for name, plan in plans.items()}
        retried = [
            name
            for name, each in outcomes.items()
            if each.accepted and len(each.requests) > 1 and self.failures_by_plan[plans[name]] is None
        ]
        if retried:
            verdict = "yes" if len(retried) == len(plans) else "in part"
            return Capability("retries", verdict, f"after {', '.join(retried)}")
        return Capability("retries", "no", _describe_missing_retries(list(outcomes.values())))

    def cancellation_capability(self) -> Capability:
        """Whether the client closes the connection when its caller stops reading a stream."""
        plan = CasePlan(Script((Message(("a", "b", "c", "d")),)), fault="stalled", at=700)
        outcome = self.run_client.cancel_stream(plan) if True in self.features.stream_modes else None
        if outcome is None:
            return Capability("cancellation", "not tried", "the callable returns no iterator over a stream")
        return Capability("cancellation", "yes" if outcome.accepted else "no", outcome.end_reason)

    def _add_failure(
        self,
        failing: FailingCase,
        run_client: ClientRunner,
        context: RenderContext,
        check: OutcomeCheck = check_outcome,
    ) -> None:
        diagnosis = self.cause_finder.find(failing, run_client, check)
        shown = diagnosis.failing
        case = "\n".join(describe_case(shown.plan, context))
        self.failures.append(ConformanceFailure(shown.plan, shown.failure, diagnosis.cause, case))


def _check_follow_up(outcome: Outcome, server: CaseServer) -> Failure | None:
    """How a conversation of two turns failed; None if it did not."""
    if not outcome.finished or not outcome.accepted or len(outcome.requests) < 2:
        return Failure("multi-turn", f"the client sends no second turn: {outcome.end_reason}")
    second = outcome.requests[-1].json_body
    first_id = server.context.response_id(1)
    if second.get("previous_response_id") != first_id and "Remember this." not in str(second.get("input")):
        return Failure("multi-turn", "the second turn has neither the id nor the text of the first")
    if outcome.text not in (None, FOLLOW_UP_REPLY):
        details = (f"expected  {FOLLOW_UP_REPLY!r}", f"got       {outcome.text!r}")
        return Failure("multi-turn", "the client does not return the text of the second turn", details)
    return None


def _is_within_features(plan: CasePlan, features: RequestedFeatures) -> bool:
    """Whether a plan needs only tools that the client declares."""
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


def _describe_missing_retries(outcomes: Sequence[Outcome]) -> str:
    if any(len(each.requests) > 1 for each in outcomes):
        return "the client repeats its request, without success"
    if all(each.finished and not each.accepted for each in outcomes):
        return "raises at once"
    return "the client sends no second request"


def _rate_capability(name: str, passed: Sequence[bool], description: str) -> Capability:
    if not passed:
        return Capability(name, "not tried", "no case was played")
    count = sum(passed)
    verdict = "yes" if count == len(passed) else "in part" if count else "no"
    return Capability(name, verdict, f"{count} of {len(passed)} {description}")
