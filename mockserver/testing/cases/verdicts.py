"""Verdicts: what a client did with a case, and whether a sound one does that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mockserver.contract.formatting import escape_unprintable, finding_lines
from mockserver.contract.rules import load_rules
from mockserver.testing.cases.door import NEXT, Received
from mockserver.testing.cases.plan import Plan
from mockserver.wire.redaction import redact

__all__ = ["Failure", "Outcome", "judge"]

#: Characters of a text that a message shows.
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a client did with a case."""

    received: tuple[Received, ...]
    ended: bool
    """Whether it ended in its time."""
    accepted: bool
    """Whether it says that it understood: exit status 0, or a value returned."""
    text: str | None
    """What it made of the answer; None where that is not looked at."""
    how: str
    """How it ended, in words: "exit status 1", "TypeError: …"."""
    said: str = ""
    """More that it said: the end of its standard error."""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Failure:
    """What a sound client would not have done."""

    kind: str
    """What tells one failure from another while a case is made smaller: "text", "swallowed cut"."""
    message: str
    details: tuple[str, ...] = ()


def judge(plan: Plan, outcome: Outcome) -> Failure | None:
    """What is wrong with an outcome; None where a sound client does the same."""
    return next(filter(None, (check(plan, outcome) for check in _CHECKS)), None)


def _silent(_: Plan, outcome: Outcome) -> Failure | None:
    if outcome.received:
        return None
    return Failure("silent", f"no request came to OPENAI_BASE_URL ({outcome.how})")


def _hung(_: Plan, outcome: Outcome) -> Failure | None:
    return None if outcome.ended else Failure("hung", f"did not end: {outcome.how}")


def _request(_: Plan, outcome: Outcome) -> Failure | None:
    for received in outcome.received:
        if received.refusal:
            return Failure(f"request {received.refusal}", f"the request was refused: {received.refusal}")
        for finding in received.broken:
            title = load_rules()[finding.rule].title
            message = f"a request breaks the contract, {finding.rule} ({title})"
            return Failure(f"request {finding.rule}", message, tuple(finding_lines(finding)))
    return None


def _swallowed(plan: Plan, outcome: Outcome) -> Failure | None:
    if plan.fault is None or plan.once or not outcome.accepted:
        return None
    return Failure(f"swallowed {plan.fault}", f"{outcome.how}, though the answer {FAULT_WORDS[plan.fault]}")


def _rejected(plan: Plan, outcome: Outcome) -> Failure | None:
    # Whether a fault that passes is worth another try is the client's own choice.
    if plan.fault is not None or outcome.accepted:
        return None
    return Failure("rejected", f"{outcome.how}, though the answer is legal")


def _text(plan: Plan, outcome: Outcome) -> Failure | None:
    if outcome.text is None or not outcome.accepted or outcome.text in _texts(plan, outcome.received):
        return None
    details = (f"expected  {_shown(plan.text)}", f"got       {_shown(outcome.text)}")
    return Failure("text", "another text than the answer's", details)


_CHECKS: Sequence[Callable[[Plan, Outcome], Failure | None]] = (
    _silent,
    _hung,
    _request,
    _swallowed,
    _rejected,
    _text,
)

FAULT_WORDS = {
    "failed": "says that the model failed",
    "cut": "is cut off",
    "closed": "ends before it is whole",
    "error": "breaks off with an error",
    "dropped": "breaks off with the connection",
    "reset": "breaks off with a reset of the connection",
    "empty": "is empty",
    "refused": "is an HTTP error",
    "stalled": "never ends",
}


def _texts(plan: Plan, received: Sequence[Received]) -> tuple[str, ...]:
    """Texts that a client may show: where it went on by itself, also what was said next."""
    if len({each.body for each in received}) == 1:
        return (plan.text,)
    return (plan.text, NEXT, plan.text + NEXT)


def _shown(text: str) -> str:
    cut = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(text):,} characters)"
    return f'"{escape_unprintable(redact(cut))}"'
