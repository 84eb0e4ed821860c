"""Finds the cause of a failing case with controls: the same case with one feature changed.

A feature is the cause if the client passes the control, fails the case again, and fails a case in which the
other features are changed instead. A wrong text is compared with the texts that common mistakes make of a
plain case with the same items.

What is found in this way is an assumption until it is confirmed: the cases that it rests on are played again and
again, in mixed order, and each must end every time as it did at first. Otherwise the client's outcome changes between
runs of the same reply, which is then the result.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple, TypeAlias

from mockserver.contract.rules import load_conduct_rules
from mockserver.network import proxy_note
from mockserver.replies.script import FunctionCall, Item, Message, Reasoning, Script, ToolCall
from mockserver.testing.fuzzing.case_plan import CASE_CHUNKINGS, PLAIN_FEATURES, WIRE_FEATURES, CasePlan
from mockserver.testing.fuzzing.case_server import FOLLOW_UP_REPLY
from mockserver.testing.fuzzing.outcomes import FAULT_DESCRIPTIONS, Failure, Outcome, check_outcome
from mockserver.testing.fuzzing.search import ClientRunner, FailingCase, hang_limit

__all__ = ["CauseFinder", "Diagnosis"]

#: Runs of each case that a cause rests on, and at least so many runs of all. A client that fails every second time at
#: random confirms a false cause once in 65,536 times.
_RUNS_PER_CASE = 8
_MIN_RUNS = 16

#: Further runs of a case that take the whole time limit: of a stalled reply, or of a client that always hangs.
_LONG_RUNS = 2

#: The deliveries of the same bytes, by name of the chunking, that are compared if the outcome changes.
_DELIVERIES_COMPARED = ("whole", "apart")


class Control(NamedTuple):
    """A change of one feature, and the cause if the client passes with it."""

    groups: frozenset[str]
    """Features that it changes; controls with a common feature are not independent."""
    cause: str
    change: Callable[[CasePlan], CasePlan]


OutcomeCheck: TypeAlias = Callable[[CasePlan, Outcome], Failure | None]


class _Expectation(NamedTuple):
    """What a cause says about the runs of one case."""

    plan: CasePlan
    is_met: Callable[[Outcome], bool]


class _Assumption(NamedTuple):
    """A cause that is not confirmed yet."""

    cause: str
    expectations: tuple[_Expectation, ...]
    is_about_every_reply: bool = False
    """Whether it says something about the client, whatever the reply."""
    shown: CasePlan | None = None
    """A case that shows it better than the one that was found."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Why a client fails a case."""

    failing: FailingCase
    """The case that shows it, which may be delivered more evenly than the one that was found."""
    cause: str
    """In one line."""
    outcome_changes: bool = False
    """Whether runs of the same reply ended differently, of the case or of a control; then `cause` names none, but says
    how often it failed."""


@dataclass(slots=True)
class CauseFinder:
    """Finds the causes of one client's failing cases."""

    _general_causes: dict[str, str] = field(default_factory=dict)
    """By kind of failure: a confirmed cause that does not depend on the reply."""
    _compares_deliveries: bool = True
    """Whether to compare deliveries of a reply if its outcome changes: once for a client, because it takes time."""

    def find(
        self, failing: FailingCase, run_client: ClientRunner, check: OutcomeCheck = check_outcome
    ) -> Diagnosis:
        """The cause of a failing case, confirmed by repeated runs."""
        known = self._general_causes.get(failing.failure.kind)
        if known is not None:
            return Diagnosis(failing, known)
        search = _CauseSearch(failing, run_client, check)
        assumption = search.assume_cause()
        if search.confirms(assumption):
            if assumption.is_about_every_reply:
                self._general_causes[failing.failure.kind] = assumption.cause
            shown = failing if assumption.shown is None else search.failing_case(assumption.shown)
            return Diagnosis(shown, assumption.cause)
        compares, self._compares_deliveries = self._compares_deliveries, False
        return search.describe_changing_outcome(_DELIVERIES_COMPARED if compares else ())


#: Causes of failures that need no control.
_UNREPORTED_TRUNCATION_CAUSES = {
    "taken for complete": "a truncated reply is taken for a complete one: its status is not reported",
    "taken for an error": "a truncated reply is treated as an error: its text is lost",
}
_UNREPORTED_FAULT_CAUSES = {
    "failed": "a failed response is taken for a good one: its status is ignored",
    "cut": "the end of a cut reply is not noticed: what arrived is taken for the whole",
    "closed": "a stream without its terminal event is taken for a complete one",
    "error": "an error in the stream is ignored: what arrived before is taken for the whole",
    "dropped": "a closed connection is taken for the end of the reply",
    "reset": "a reset connection is taken for the end of the reply",
    "empty": "a missing reply is taken for an empty one",
    "refused": "the HTTP status is ignored",
    "stalled": "what arrived before the reply stalled is taken for the whole",
}


class _CauseSearch:
    """Plays controls of one failing case, and remembers the outcome of every run."""

    def __init__(self, failing: FailingCase, run_client: ClientRunner, check: OutcomeCheck) -> None:
        self._failing = failing
        self._plan = _with_frame_features(failing.plan)
        self._controls = [each for each in _controls(self._plan) if each.change(self._plan) != self._plan]
        self._time_limit = failing.time_limit
        self._run_client = run_client
        self._check = check
        self._outcomes: dict[CasePlan, list[Outcome]] = {failing.plan: [failing.outcome]}

    def assume_cause(self) -> _Assumption:
        """The cause that the first run of each control suggests."""
        plan, kind = self._failing.plan, self._failing.failure.kind
        if self._always_hangs:
            self._time_limit = self._measure_time_limit()
        if kind == "silent":
            cause = "the client does not send its request to OPENAI_BASE_URL" + proxy_note(os.environ)
            return _Assumption(cause, (self._fails_likewise(plan),), is_about_every_reply=True)
        if kind.startswith("conduct "):
            statement = load_conduct_rules()[kind.removeprefix("conduct ")].statement
            cause = f"a rule about several requests is not kept: {statement}"
            return _Assumption(cause, (self._fails_likewise(plan),), is_about_every_reply=True)
        if self._check is not check_outcome:
            return _Assumption(self._failing.failure.message, (self._fails_likewise(plan),))
        fault_cause = _fault_cause(plan, kind)
        if fault_cause is not None:
            return self._assume_fault(fault_cause)
        if kind.startswith("request"):
            plain = CasePlan(stream=plan.stream)
            if self._is_likewise(plain, self._first_outcome(plain)):
                cause = "the client sends an invalid request, whatever the reply"
                expected = dict.fromkeys((plan, plain))
                return _Assumption(
                    cause, tuple(map(self._fails_likewise, expected)), is_about_every_reply=True
                )
        return self._assume_mistake_in_text() or self._assume_feature()

    def confirms(self, assumption: _Assumption) -> bool:
        """Play the cases that an assumption rests on; whether every run ends as it says."""
        expectations = assumption.expectations
        runs = [
            each
            for each in expectations
            for _ in range(self._count_runs(each.plan, _MIN_RUNS // len(expectations)))
        ]
        # In no regular order: a client that fails every second time, or only at first, would fit one.
        random.Random(1).shuffle(runs)
        return all(
            each.is_met(outcome) for each in expectations for outcome in self._outcomes.get(each.plan, ())
        ) and all(each.is_met(self._play(each.plan)) for each in runs)

    def describe_changing_outcome(self, deliveries: Sequence[str]) -> Diagnosis:
        """How often the client fails the case, as it is and delivered otherwise.

        If it always fails all events in one read, and never events that arrive separately, this is the cause.
        """
        plan = self._failing.plan
        compared = {plan: "as it is"}
        if plan.stream and plan.fault in (None, "failed", "incomplete"):
            compared |= {replace(plan, cut=cut): f"if {CASE_CHUNKINGS[cut]}" for cut in deliveries}
        runs = [each for each in compared for _ in range(self._count_runs(each))]
        random.Random(1).shuffle(runs)
        for each in runs:
            self._play(each)
        failed = {each: [not self._is_passed(each, one) for one in self._outcomes[each]] for each in compared}
        whole, apart = (replace(plan, cut=cut) for cut in _DELIVERIES_COMPARED)
        if all(failed.get(whole, [False])) and not any(failed.get(apart, [True])):
            return Diagnosis(self.failing_case(whole), _ONE_EVENT_PER_READ)
        if all(failed[plan]):
            cause = self._describe_changing_control(len(failed[plan]))
            return Diagnosis(self._failing, cause, outcome_changes=True)
        ordered = sorted(failed, key=lambda each: -sum(failed[each]) / len(failed[each]))
        counts = [
            f"{sum(failed[each])} of {len(failed[each])} runs" + f" {compared[each]}" * (len(compared) > 1)
            for each in ordered
        ]
        cause = (
            f"not reproducible: the outcome of the same reply changes; it failed in {', in '.join(counts)}"
        )
        return Diagnosis(self._failing, cause, outcome_changes=True)

    def _describe_changing_control(self, runs: int) -> str:
        """Why no cause of a case that failed in all its runs is confirmed."""
        for plan, outcomes in self._outcomes.items():
            failed = sum(not self._is_passed(plan, each) for each in outcomes)
            if 0 < failed < len(outcomes):
                return (
                    f"not confirmed: it failed in each of {runs} runs, but also in {failed} of {len(outcomes)} runs"
                    " of a control"
                )
        return f"not confirmed: it failed in each of {runs} runs, but not always in the same way"

    def failing_case(self, plan: CasePlan) -> FailingCase:
        """Another plan, which failed in all its runs, as the failing case."""
        outcome = self._outcomes[plan][-1]
        failure = self._check(plan, outcome)
        assert failure is not None  # noqa: S101 - it failed in all runs
        return replace(self._failing, plan=plan, outcome=outcome, failure=failure)

    def _passes(self, plan: CasePlan) -> bool:
        """Whether the client handled a case correctly when it was first played."""
        return self._is_passed(plan, self._first_outcome(plan))

    def _is_passed(self, plan: CasePlan, outcome: Outcome) -> bool:
        return self._check(plan, outcome) is None

    def _is_likewise(self, plan: CasePlan, outcome: Outcome) -> bool:
        """Whether an outcome has the same kind of failure as the failing case."""
        failure = self._check(plan, outcome)
        return failure is not None and failure.kind == self._failing.failure.kind

    def _first_outcome(self, plan: CasePlan) -> Outcome:
        outcomes = self._outcomes.get(plan)
        return outcomes[0] if outcomes else self._play(plan)

    def _play(self, plan: CasePlan) -> Outcome:
        # A hanging client gets less time, as it has while its case is shrunk; a correct one waits for a stalled reply.
        limit = None if plan.fault == "stalled" else self._time_limit
        outcome = self._run_client(plan, limit)
        self._outcomes.setdefault(plan, []).append(outcome)
        return outcome

    @property
    def _always_hangs(self) -> bool:
        """Whether the client hangs, and has not been seen to finish a case in less than the whole time limit."""
        hangs = not self._failing.outcome.finished and self._failing.plan.fault != "stalled"
        return hangs and self._time_limit is None

    def _measure_time_limit(self) -> float | None:
        """The time limit that follows from the plainest cases; None if the client hangs there, too."""
        for plan in (CasePlan(stream=self._plan.stream), self._plainest):
            outcome = self._first_outcome(plan)
            if outcome.finished:
                return hang_limit(outcome.duration)
        return None

    def _count_runs(self, plan: CasePlan, wanted: int = 0) -> int:
        if plan.fault == "stalled" or self._always_hangs:
            return _LONG_RUNS
        return max(wanted, _RUNS_PER_CASE)

    @property
    def _plainest(self) -> CasePlan:
        """The case with all its features changed."""
        return _apply(self._controls, self._plan)

    def _fails_likewise(self, plan: CasePlan) -> _Expectation:
        return _Expectation(plan, partial(self._is_likewise, plan))

    def _expect(self, plan: CasePlan, *, passed: bool) -> _Expectation:
        return _Expectation(plan, lambda outcome: self._is_passed(plan, outcome) is passed)

    def _assume_fault(self, cause: str) -> _Assumption:
        """The fault, if the client passes the same reply without it, or a plain one."""
        plan = self._failing.plan
        plain = replace(CasePlan(stream=plan.stream), fault=plan.fault, at=plan.at, once=plan.once)
        for faulty in dict.fromkeys((plan, plain)):
            control = _without_fault(faulty)
            if self._passes(control) and self._is_likewise(faulty, self._first_outcome(faulty)):
                fails = map(self._fails_likewise, dict.fromkeys((plan, faulty)))
                return _Assumption(cause, (*fails, self._expect(control, passed=True)))
        return _Assumption(
            "unknown: the client fails the same reply without its fault, too",
            (self._fails_likewise(plan), self._expect(_without_fault(plan), passed=False)),
        )

    def _assume_mistake_in_text(self) -> _Assumption | None:
        """The mistake that yields the text shown, in the failing case and in a plain one with distinct texts."""
        shown_text = self._failing.outcome.text
        if self._failing.failure.kind != "text" or shown_text is None:
            return None
        fitting = [cause for cause, text in _wrong_texts(self._plan) if text == shown_text]
        if not fitting:
            return None
        distinct = _plain_with_distinct_texts(self._plan)
        text = self._first_outcome(distinct).text
        remaining = [cause for cause, wrong_text in _wrong_texts(distinct) if wrong_text == text]
        cause = next((each for each in fitting if each in remaining), None)
        if cause is None:
            return None
        return _Assumption(
            cause,
            (
                _Expectation(self._failing.plan, lambda outcome: outcome.text == shown_text),
                _Expectation(distinct, lambda outcome: outcome.text == text),
            ),
        )

    def _assume_feature(self) -> _Assumption:
        """The first feature without which the client passes, unless it needs another one to fail."""
        controls = [] if self._always_hangs else self._controls
        for control in controls:
            changed = control.change(self._plan)
            if not self._passes(changed):
                continue
            expected = (
                self._expect(self._failing.plan, passed=False),
                self._expect(changed, passed=True),
            )
            independent = [each for each in controls if not each.groups & control.groups]
            partner = self._partner(independent)
            if partner is None and control.cause == _ONE_EVENT_PER_READ:
                return self._assume_one_event_per_read(changed)
            if partner is None:
                return _Assumption(control.cause, expected)
            return _Assumption(
                f"two features together: {control.cause}; {partner.cause}",
                (*expected, self._expect(partner.change(self._plan), passed=True)),
            )
        return self._assume_several()

    def _assume_one_event_per_read(self, apart: CasePlan) -> _Assumption:
        """The usual delivery leaves it to the client's timing how many events it reads, so both extremes are played."""
        passes = self._expect(apart, passed=True)
        whole = replace(apart, cut="whole")
        if self._passes(whole):
            return _Assumption(_ONE_EVENT_PER_READ, (self._expect(self._failing.plan, passed=False), passes))
        return _Assumption(_ONE_EVENT_PER_READ, (self._expect(whole, passed=False), passes), shown=whole)

    def _partner(self, independent: Sequence[Control]) -> Control | None:
        """The control of a second feature that is needed to fail, if there is one."""
        if not independent or not self._passes(_apply(independent, self._plan)):
            return None
        return next((each for each in independent if self._passes(each.change(self._plan))), None)

    def _assume_several(self) -> _Assumption:
        controls = self._controls
        fails = self._expect(self._failing.plan, passed=False)
        if not self._passes(self._plainest):
            cause = "even the plainest reply is not understood"
            return _Assumption(cause, (fails, self._expect(self._plainest, passed=False)))
        needed = list(controls)
        for control in controls:
            rest = _without(control, needed)
            if self._passes(_apply(rest, self._plan)):
                needed = rest
        if len(needed) > _MAX_CAUSES:
            return _Assumption(f"no single feature: it fails with each of {len(controls)} controls", (fails,))
        causes = "; ".join(each.cause for each in needed)
        with_one = [_apply(_without(each, needed), self._plan) for each in needed]
        return _Assumption(
            f"{len(needed)} features, each of which is enough: {causes}",
            (
                fails,
                self._expect(_apply(needed, self._plan), passed=True),
                *(self._expect(each, passed=False) for each in with_one),
            ),
        )


def _fault_cause(plan: CasePlan, kind: str) -> str | None:
    """What is wrong with a client that fails in this way because of a fault; None for other failures."""
    if plan.fault is None:
        return None
    if kind.startswith("swallowed"):
        return _UNREPORTED_FAULT_CAUSES[plan.fault]
    if plan.fault == "stalled" and kind == "hung":
        return "the client waits for a stalled reply without a time limit"
    return _UNREPORTED_TRUNCATION_CAUSES.get(kind)


def _without_fault(plan: CasePlan) -> CasePlan:
    return replace(plan, fault=None, at=0)


def _without(control: Control, controls: Sequence[Control]) -> list[Control]:
    return [each for each in controls if each is not control]


#: Most causes that are listed.
_MAX_CAUSES = 4


def _apply(controls: Sequence[Control], plan: CasePlan) -> CasePlan:
    for control in controls:
        plan = control.change(plan)
    return plan


def _with_frame_features(plan: CasePlan) -> CasePlan:
    """The same case, with plain frames expressed by their features."""
    if not plan.plain:
        return plan
    return replace(plan, plain=False, usual=tuple(dict.fromkeys((*plan.usual, *PLAIN_FEATURES))))


def _plain_with_distinct_texts(plan: CasePlan) -> CasePlan:
    """A plain case with the same items, and a distinct text in each chunk, two chunks a text."""

    def with_distinct_chunks(item: Item, name: str) -> Item:
        chunks = (f" {name}1\r\n", f" {name}2 ")
        return type(item)(chunks) if isinstance(item, Message | Reasoning) else item

    items = (with_distinct_chunks(item, chr(ord("a") + at)) for at, item in enumerate(plan.script.items))
    script = Script(tuple(items), plan.script.usage)
    return CasePlan(script, plan.stream, usual=tuple(WIRE_FEATURES))


def _wrong_texts(plan: CasePlan) -> Iterator[tuple[str, str]]:
    """Mistakes and the texts they yield, without those that would be correct here."""
    expected = plan.expected_text
    if plan.long:
        return
    items = plan.script.items
    messages = [item for item in items if isinstance(item, Message)]
    chunks = [chunk for message in messages for chunk in message.chunks]
    mistakes = (
        ("only the first output item is read", _message_text(items[0])),
        ("only the first message is read", messages[0].text if messages else ""),
        ("only the last message is read", messages[-1].text if messages else ""),
        ("only the first delta of a text is read", chunks[0] if chunks else ""),
        ("only the last delta of a text is read", chunks[-1] if chunks else ""),
        ("the text is shown twice: from its deltas and from an event that repeats it", expected * 2),
        ("reasoning is shown as text", "".join(map(_message_or_reasoning_text, items))),
        ("the texts of several messages are put on separate lines", "\n".join(m.text for m in messages)),
        ("spaces around a text are lost", expected.strip()),
        ("line breaks in a text are lost", expected.replace("\n", "").replace("\r", "")),
        ("line breaks in a text are changed", re.sub(r"\r\n?", "\n", expected)),
        ("nothing of the text is shown", ""),
        ("the text of a second turn is added to the reply", expected + "\n" + FOLLOW_UP_REPLY),
    )
    yield from ((cause, text) for cause, text in mistakes if text != expected)


def _message_text(item: Item) -> str:
    return item.text if isinstance(item, Message) else ""


def _message_or_reasoning_text(item: Item) -> str:
    return item.text if isinstance(item, Message | Reasoning) else ""


def _control(groups: str, cause: str, change: Callable[[CasePlan], CasePlan]) -> Control:
    return Control(frozenset(groups.split()), cause, change)


def _controls(plan: CasePlan) -> Iterator[Control]:
    """Controls of a case, the more specific ones of a group first."""
    if plan.fault is not None:
        cause = f"a reply that {FAULT_DESCRIPTIONS[plan.fault]} is not handled"
        yield _control("fault", cause, _without_fault)
    yield from _chunking_controls(plan)
    yield from _variation_controls(plan)
    yield from _feature_controls(plan, _ITEM_FEATURES)
    yield from _item_controls(plan)
    yield from _text_controls()
    yield from _feature_controls(plan, tuple(name for name in WIRE_FEATURES if name not in _ITEM_FEATURES))


def _chunking_controls(plan: CasePlan) -> Iterator[Control]:
    if not plan.stream:
        cause = "one read is taken for the whole reply"
        yield _control("cut", cause, lambda plan: replace(plan, cut="events"))
        return
    if plan.cut == "middle":
        cause = "each read is decoded by itself: a character that is split over two reads is lost"
        yield _control("cut script", cause, _ascii_only)
    if plan.cut != "apart":
        # Without pauses it depends on the moment of a read how many events it finds.
        yield _control("cut", _CHUNKING_CAUSES[plan.cut], lambda plan: replace(plan, cut="apart"))


_ONE_EVENT_PER_READ = "one read is taken for one event: it may contain several"
_CHUNKING_CAUSES = {
    "events": _ONE_EVENT_PER_READ,
    "whole": _ONE_EVENT_PER_READ,
    "lines": "one read is taken for a whole event: it may contain less",
    "blank": "one read is taken for a whole event: its last line break may arrive later",
    "middle": "one read is taken for whole lines: it may end within one",
}


def _variation_controls(plan: CasePlan) -> Iterator[Control]:
    if plan.end == "CR":
        cause = "lines are taken to end with \\n or \\r\\n, not with \\r alone"
        yield _control("end", cause, lambda plan: replace(plan, end="CRLF"))
    cause = "lines are taken to end with \\n alone, not with \\r\\n or \\r"
    yield _control("end", cause, lambda plan: replace(plan, end="LF"))
    cause = "a keep-alive comment is taken for an event"
    yield _control("comments", cause, lambda plan: replace(plan, comments=False))
    cause = "an event of an unknown type is not ignored"
    yield _control("unknown_event", cause, lambda plan: replace(plan, unknown_event=False))
    cause = "an unknown member is not ignored"
    yield _control("unknown_members", cause, lambda plan: replace(plan, unknown_members=False))
    cause = "a member that may be absent is required"
    if plan.members == "null":
        cause = "a member that may be null is used without a check"
    yield _control("members nulls", cause, lambda plan: replace(plan, members=""))


def _feature_controls(plan: CasePlan, names: Sequence[str]) -> Iterator[Control]:
    for name in names:
        if not plan.stream and name in _STREAM_FEATURES:
            continue
        groups = frozenset((name, "script") if name in _ITEM_FEATURES else (name,))
        if name in plan.usual:
            yield Control(
                groups,
                f"it needs what the service sends: {WIRE_FEATURES[name]}",
                partial(_without_usual, name),
            )
        else:
            yield Control(groups, _FEATURE_CAUSES[name], partial(_with_usual, name))


def _with_usual(name: str, plan: CasePlan) -> CasePlan:
    return replace(plan, usual=(*plan.usual, name)) if name not in plan.usual else plan


def _without_usual(name: str, plan: CasePlan) -> CasePlan:
    return replace(plan, usual=tuple(each for each in plan.usual if each != name))


#: Features of items: without such an item the feature is missing, too.
_ITEM_FEATURES = ("content", "item_ids")
_STREAM_FEATURES = frozenset(
    {"comment", "id", "event", "space", "order", "done", "charset", "model", "queued"}
)
_FEATURE_CAUSES = {
    "comment": "a comment line in an event is not ignored (`:HTTP_STATUS/200`)",
    "id": "an `id:` line in an event is not ignored",
    "event": "an `event:` line in an event is not ignored",
    "space": "a space after the colon is required (`data: `)",
    "order": "`type` is expected to be the first member of an event",
    "done": "`[DONE]` is expected at the end of a stream",
    "charset": "a content type with `;charset` is not accepted",
    "ids": "a response id without the prefix `resp_` is not accepted",
    "item_ids": "an item id with the prefix `msg_` is not accepted for items other than messages",
    "model": "an empty model in the first events is not accepted",
    "queued": "the status `queued` in the first event is not accepted",
    "content": "every output item is expected to have the member `content`",
    "nulls": "members that may be absent are required, with null as their value",
    "extensions": "unknown members of usage are not ignored (`x_…`)",
}


def _item_controls(plan: CasePlan) -> Iterator[Control]:
    """Controls with the last item first, without the items of one kind, and with the last item alone."""
    if len(plan.script.items) < 2:
        return
    cause = "only the first output item is read: with the last item first it passes"
    yield _control("script", cause, _with_last_item_first)
    for kind, description in _ITEM_DESCRIPTIONS.items():
        yield _control("script", f"{description} is not ignored", partial(_without_kind, kind))
    cause = "several output items are not accepted: with the last one alone it passes"
    yield _control("script", cause, lambda plan: _with_items(plan, plan.script.items[-1:]))


def _with_last_item_first(plan: CasePlan) -> CasePlan:
    *others, last = plan.script.items
    return _with_items(plan, (last, *others))


_ITEM_DESCRIPTIONS: dict[type, str] = {
    Reasoning: "a reasoning item before the message",
    ToolCall: "the run of a built-in tool before the message",
    FunctionCall: "a function call",
}


def _without_kind(kind: type, plan: CasePlan) -> CasePlan:
    kept = tuple(item for item in plan.script.items if not isinstance(item, kind))
    return _with_items(plan, kept) if kept else plan


def _text_controls() -> Iterator[Control]:
    def text(cause: str, change: Callable[[CasePlan], CasePlan]) -> Control:
        return _control("script", cause, change)

    yield text("a line of more than 64 KiB is not read", lambda plan: replace(plan, long=False))
    yield text(
        "characters that Unicode calls line ends (U+2028, U+0085 …) are taken for ends of lines",
        lambda plan: _map_chunks(plan, lambda text: re.sub("[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]", "x", text)),
    )
    yield text("characters beyond ASCII are lost or changed", _ascii_only)
    yield text(
        "a NUL in a text is not read", lambda plan: _map_chunks(plan, lambda text: text.replace("\0", "x"))
    )
    yield text(
        'escapes in a text are not read (\\n, \\", \\u0000 …)',
        lambda plan: _map_chunks(plan, lambda text: re.sub(r'[\x00-\x1f"\\]', "x", text)),
    )
    yield text(
        "spaces around a text are lost",
        lambda plan: _map_chunks(plan, lambda text: text.strip() or "x"),
    )
    yield text("a text of several deltas is not put together", lambda plan: _map_items(plan, _join_chunks))
    yield text("a text without a delta is not read", lambda plan: _map_items(plan, _with_a_chunk))
    yield text("any text but plain words is not read", lambda plan: _map_chunks(plan, lambda _: "a"))


def _with_items(plan: CasePlan, items: tuple[Item, ...]) -> CasePlan:
    script = Script(items, plan.script.usage)
    return replace(plan, script=script, long=plan.long and isinstance(items[-1], Message))


def _map_chunks(plan: CasePlan, change: Callable[[str], str]) -> CasePlan:
    def change_item(item: Item) -> Item:
        if isinstance(item, Message | Reasoning):
            return type(item)(tuple(change(chunk) for chunk in item.chunks))
        return item

    return _map_items(plan, change_item)


def _map_items(plan: CasePlan, change: Callable[[Item], Item]) -> CasePlan:
    return _with_items(plan, tuple(change(item) for item in plan.script.items))


def _ascii_only(plan: CasePlan) -> CasePlan:
    return _map_chunks(plan, lambda text: re.sub(r"[^\x00-\x7f]", "x", text))


def _join_chunks(item: Item) -> Item:
    return Message((item.text,)) if isinstance(item, Message) and item.chunks else item


def _with_a_chunk(item: Item) -> Item:
    return Message(item.chunks or ("a",)) if isinstance(item, Message) else item
