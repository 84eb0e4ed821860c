"""What a client did with a case, and whether that is correct."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mockserver.contract.findings import NumberedFinding, Severity
from mockserver.contract.formatting import finding_lines, redact_finding
from mockserver.contract.rules import load_conduct_rules, load_rules
from mockserver.server.verdicts import violation_line
from mockserver.testing.fuzzing.case_plan import CasePlan
from mockserver.testing.fuzzing.case_replies import in_requested_form
from mockserver.testing.fuzzing.case_server import FOLLOW_UP_REPLY, ReceivedRequest
from mockserver.wire.redaction import find_credentials, redact
from mockserver.wire.terminal import escape_unprintable

__all__ = ["Failure", "Outcome", "check_outcome", "find_conduct_failure", "played_plan"]

#: Most characters of a text that a message shows.
_MAX_TEXT_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a client did with a case."""

    requests: tuple[ReceivedRequest, ...]
    finished: bool
    """Whether it finished within its time limit."""
    accepted: bool
    """Whether it reports success: exit status 0, or a returned value."""
    text: str | None
    """The text that it made of the reply; None if the text is not checked."""
    end_reason: str
    """How it ended: "exit status 1", "TypeError: …"."""
    stderr_tail: str = ""
    """The last lines of its standard error."""
    shown_text: str = ""
    """All that it showed, also if it failed: its standard output, or the texts that an exception carries."""
    reports_incomplete: bool = False
    """Whether it says that the reply is incomplete, though it reports success."""
    duration: float = 0.0
    conduct: tuple[NumberedFinding, ...] = ()
    """The findings in its conduct over several requests, if that is checked."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What a correct client would have done differently."""

    kind: str
    """Distinguishes failures while a case is shrunk: "text", "swallowed cut"."""
    message: str
    details: tuple[str, ...] = ()


def check_outcome(plan: CasePlan, outcome: Outcome) -> Failure | None:
    """The failure that an outcome shows; None if it is correct."""
    return next(filter(None, (check(plan, outcome) for check in _CHECKS)), None)


def played_plan(plan: CasePlan, outcome: Outcome) -> CasePlan:
    """The plan in the form that the client requested: it may always or never request a stream."""
    body = next((each.json_body for each in outcome.requests if isinstance(each.json_body, dict)), None)
    return plan if body is None else in_requested_form(plan, body.get("stream") is True)


def _check_request_sent(_: CasePlan, outcome: Outcome) -> Failure | None:
    if outcome.requests:
        return None
    return Failure("silent", f"no request reached OPENAI_BASE_URL ({outcome.end_reason})")


def find_conduct_failure(outcome: Outcome) -> Failure | None:
    """The first error in the client's conduct; None if there is none."""
    for number, finding in outcome.conduct:
        if finding.severity is Severity.ERROR:
            message = f"conduct {finding.rule}: {load_conduct_rules()[finding.rule].title}"
            details = (f"{violation_line(finding)} [request {number}]",)
            return Failure(f"conduct {finding.rule}", message, details)
    return None


def _check_finished(_: CasePlan, outcome: Outcome) -> Failure | None:
    return None if outcome.finished else Failure("hung", f"did not finish: {outcome.end_reason}")


def _check_requests(_: CasePlan, outcome: Outcome) -> Failure | None:
    for received in outcome.requests:
        if received.refusal:
            return Failure(f"request {received.refusal}", f"the request was refused: {received.refusal}")
        for finding in received.contract_errors:
            title = load_rules()[finding.rule].title
            message = f"contract violation {finding.rule} in a request: {title}"
            clean = redact_finding(finding, find_credentials(received.body))
            return Failure(f"request {finding.rule}", message, tuple(finding_lines(clean)))
    return None


def _check_truncation_reported(plan: CasePlan, outcome: Outcome) -> Failure | None:
    """A truncated reply is neither complete nor an error: the client keeps the text and says so."""
    if plan.fault != "incomplete":
        return None
    if outcome.accepted and not outcome.reports_incomplete:
        return Failure("taken for complete", f"{outcome.end_reason}, although the reply is truncated")
    if not outcome.accepted and plan.expected_text not in outcome.shown_text:
        details = (
            f"expected  {_quote(plan.expected_text)}",
            f"got       {_quote(outcome.shown_text)}",
        )
        message = f"{outcome.end_reason}, and the text of a truncated reply is lost"
        return Failure("taken for an error", message, details)
    return None


def _check_fault_reported(plan: CasePlan, outcome: Outcome) -> Failure | None:
    if plan.fault == "incomplete":
        return None
    if plan.fault is None or plan.once or not outcome.accepted:
        return None
    return Failure(
        f"swallowed {plan.fault}",
        f"{outcome.end_reason}, although the reply {FAULT_DESCRIPTIONS[plan.fault]}",
    )


def _check_legal_reply_accepted(plan: CasePlan, outcome: Outcome) -> Failure | None:
    # Whether to retry after a transient fault is the client's choice.
    if plan.fault is not None or outcome.accepted:
        return None
    return Failure("rejected", f"{outcome.end_reason}, although the reply is valid")


def _check_text(plan: CasePlan, outcome: Outcome) -> Failure | None:
    if (
        outcome.text is None
        or not outcome.accepted
        or outcome.text in _accepted_texts(plan, outcome.requests)
    ):
        return None
    details = (f"expected  {_quote(plan.expected_text)}", f"got       {_quote(outcome.text)}")
    return Failure("text", "the text is not that of the reply", details)


_CHECKS: Sequence[Callable[[CasePlan, Outcome], Failure | None]] = (
    _check_request_sent,
    lambda _, outcome: find_conduct_failure(outcome),
    _check_finished,
    _check_requests,
    _check_truncation_reported,
    _check_fault_reported,
    _check_legal_reply_accepted,
    _check_text,
)

FAULT_DESCRIPTIONS = {
    "failed": "has the status failed",
    "incomplete": "has the status incomplete",
    "cut": "is cut within an event",
    "closed": "ends before its terminal event",
    "error": "ends with an error",
    "dropped": "ends with a closed connection",
    "reset": "ends with a connection reset",
    "empty": "is empty",
    "refused": "is an HTTP error",
    "stalled": "never ends",
}


def _accepted_texts(plan: CasePlan, requests: Sequence[ReceivedRequest]) -> tuple[str, ...]:
    """Texts that a client may show; if it continued by itself, they may include the follow-up."""
    if len({each.body for each in requests}) == 1:
        return (plan.expected_text,)
    return (plan.expected_text, FOLLOW_UP_REPLY, plan.expected_text + FOLLOW_UP_REPLY)


def _quote(text: str) -> str:
    text = redact(text)
    cut = (
        text
        if len(text) <= _MAX_TEXT_CHARACTERS
        else f"{text[:_MAX_TEXT_CHARACTERS]}… ({len(text):,} characters)"
    )
    return f'"{escape_unprintable(cut)}"'
