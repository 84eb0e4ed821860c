"""Finds the cause of a failing case with controls: the same case with one feature changed.

A feature is the cause if the client passes the control, fails the case again, and fails a case in which the
other features are changed instead. A wrong text is compared with the texts that common mistakes make of a
plain case with the same items.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from mockserver.contract.rules import load_conduct_rules
from mockserver.network import proxy_note
from mockserver.replies.script import FunctionCall, Item, Message, Reasoning, Script, ToolCall
from mockserver.testing.fuzzing.case_plan import PLAIN_FEATURES, WIRE_FEATURES, CasePlan
from mockserver.testing.fuzzing.case_server import FOLLOW_UP_REPLY
from mockserver.testing.fuzzing.outcomes import FAULT_DESCRIPTIONS, Outcome, check_outcome
from mockserver.testing.fuzzing.search import ClientRunner, FailingCase

__all__ = ["find_cause"]


class Control(NamedTuple):
    """A change of one feature, and the cause if the client passes with it."""

    groups: frozenset[str]
    """Features that it changes; controls with a common feature are not independent."""
    cause: str
    change: Callable[[CasePlan], CasePlan]


def find_cause(failing: FailingCase, run_client: ClientRunner) -> str:
    """The cause of a failing case, in one line."""
    plan, kind = failing.plan, failing.failure.kind
    if kind.startswith("swallowed") and plan.fault is not None:
        return _UNREPORTED_FAULT_CAUSES[plan.fault]
    if kind in _CAUSE_BY_KIND:
        return _CAUSE_BY_KIND[kind] + (proxy_note(os.environ) if kind == "silent" else "")
    if kind.startswith("conduct "):
        statement = load_conduct_rules()[kind.removeprefix("conduct ")].statement
        return f"a rule about several requests is not kept: {statement}"
    if plan.fault == "stalled":
        return "the client waits for a stalled reply without a time limit"
    search = _CauseSearch(failing, run_client)
    if kind.startswith("request") and not search.passes(CasePlan(stream=plan.stream)):
        return "the client sends an invalid request, whatever the reply"
    return search.cause_by_wrong_text() or search.cause_by_controls()


#: Causes of failures that need no control.
_CAUSE_BY_KIND = {
    "taken for complete": "a truncated reply is taken for a complete one: its status is not reported",
    "taken for an error": "a truncated reply is treated as an error: its text is lost",
    "silent": "the client does not send its request to OPENAI_BASE_URL",
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
    """Plays controls of one failing case; each plan at most once."""

    def __init__(self, failing: FailingCase, run_client: ClientRunner) -> None:
        self._failing = failing
        self._plan = _with_frame_features(failing.plan)
        self._run_client = run_client
        self._outcomes: dict[CasePlan, Outcome] = {}

    def passes(self, plan: CasePlan) -> bool:
        """Whether the client handles a case correctly."""
        return check_outcome(plan, self._play(plan)) is None

    def _play(self, plan: CasePlan) -> Outcome:
        if plan not in self._outcomes:
            # A hanging client gets less time, as it has while its case is shrunk.
            self._outcomes[plan] = self._run_client(plan, self._failing.time_limit)
        return self._outcomes[plan]

    def cause_by_wrong_text(self) -> str | None:
        """The mistake that yields the text shown, in the failing case and in a plain one with distinct texts."""
        shown_text = self._failing.outcome.text
        if self._failing.failure.kind != "text" or shown_text is None:
            return None
        fitting = [cause for cause, text in _wrong_texts(self._plan) if text == shown_text]
        if not fitting:
            return None
        distinct = _plain_with_distinct_texts(self._plan)
        outcome = self._play(distinct)
        remaining = [cause for cause, text in _wrong_texts(distinct) if text == outcome.text]
        return next((cause for cause in fitting if cause in remaining), None)

    def cause_by_controls(self) -> str:
        """The first feature without which the client passes, unless it needs another one to fail."""
        controls = [each for each in _controls(self._plan) if each.change(self._plan) != self._plan]
        for control in controls:
            if not self.passes(control.change(self._plan)):
                continue
            if self._passes_again():
                return "not reproducible: the client passes the same case when it is played again"
            independent = [each for each in controls if not each.groups & control.groups]
            partner = self._partner(independent)
            return (
                control.cause
                if partner is None
                else f"two features together: {control.cause}; {partner.cause}"
            )
        return self._several_causes(controls)

    def _passes_again(self) -> bool:
        plan = self._failing.plan
        return check_outcome(plan, self._run_client(plan, self._failing.time_limit)) is None

    def _partner(self, independent: Sequence[Control]) -> Control | None:
        """The control of a second feature that is needed to fail, if there is one."""
        if not independent or not self.passes(_apply(independent, self._plan)):
            return None
        return next((each for each in independent if self.passes(each.change(self._plan))), None)

    def _several_causes(self, controls: Sequence[Control]) -> str:
        if not self.passes(_apply(controls, self._plan)):
            return "even the plainest reply is not understood"
        needed = list(controls)
        for control in controls:
            rest = [each for each in needed if each is not control]
            if self.passes(_apply(rest, self._plan)):
                needed = rest
        if len(needed) > _MAX_CAUSES:
            return f"no single feature: it fails with each of {len(controls)} controls"
        return f"{len(needed)} features, each of which is enough: {'; '.join(each.cause for each in needed)}"


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
        yield _control("fault", cause, lambda plan: replace(plan, fault=None, at=0))
    yield from _chunking_controls(plan)
    yield from _variation_controls(plan)
    yield from _feature_controls(plan, _ITEM_FEATURES)
    yield from _item_controls(plan)
    yield from _text_controls()
    yield from _feature_controls(plan, tuple(name for name in WIRE_FEATURES if name not in _ITEM_FEATURES))
    if plan.stream and plan.cut == "events":
        yield _control("cut", _ONE_EVENT_PER_READ, lambda plan: replace(plan, cut="apart"))


def _chunking_controls(plan: CasePlan) -> Iterator[Control]:
    if not plan.stream:
        yield _control("cut", "one read is taken for the whole reply", _with_usual_chunks)
        return
    if plan.cut == "middle":
        cause = "each read is decoded by itself: a character that is split over two reads is lost"
        yield _control("cut script", cause, _ascii_only)
    if plan.cut in _CHUNKING_CAUSES:
        yield _control("cut", _CHUNKING_CAUSES[plan.cut], _with_usual_chunks)
        yield _control("cut", _ONE_EVENT_PER_READ, lambda plan: replace(plan, cut="apart"))


def _with_usual_chunks(plan: CasePlan) -> CasePlan:
    return replace(plan, cut="events")


_ONE_EVENT_PER_READ = "one read is taken for one event: it may contain several"
_CHUNKING_CAUSES = {
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
                groups, f"it needs what the service sends: {WIRE_FEATURES[name]}", partial(_without, name)
            )
        else:
            yield Control(groups, _FEATURE_CAUSES[name], partial(_with, name))


def _with(name: str, plan: CasePlan) -> CasePlan:
    return replace(plan, usual=(*plan.usual, name)) if name not in plan.usual else plan


def _without(name: str, plan: CasePlan) -> CasePlan:
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
