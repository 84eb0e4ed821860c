"""Finds the cause of a failing case with controls: the same case with one feature made plain.

If a control passes, that feature is the cause. A wrong text is compared with the texts that common mistakes
make of the reply.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

from mockserver.replies.script import FunctionCall, Item, Message, Reasoning, Script, ToolCall
from mockserver.testing.fuzzing.case_plan import CasePlan
from mockserver.testing.fuzzing.case_server import FOLLOW_UP_REPLY
from mockserver.testing.fuzzing.outcomes import check_outcome
from mockserver.testing.fuzzing.search import ClientRunner, FailingCase

__all__ = ["find_cause"]

#: Most controls that are played.
MAX_CONTROLS = 14

Control = tuple[str, CasePlan]


def find_cause(failing: FailingCase, run_client: ClientRunner) -> str:
    """The cause of a failing case, in one line."""
    plan, kind = failing.plan, failing.failure.kind
    if kind.startswith("swallowed") and plan.fault is not None:
        return _UNREPORTED_FAULT_CAUSES[plan.fault]
    if kind == "silent":
        return "it does not ask the server that OPENAI_BASE_URL names"
    if kind.startswith("request"):
        return "what it sends breaks the contract, whatever is answered"
    if kind == "text" and failing.outcome.text is not None:
        habit = _cause_by_wrong_text(plan, failing.outcome.text, run_client)
        if habit is not None:
            return habit
    if plan.fault == "stalled":
        return "a server that falls silent is waited for without a limit of time"
    return _cause_by_controls(failing, run_client)


def _cause_by_controls(failing: FailingCase, run_client: ClientRunner) -> str:
    controls = [each for each in _controls(failing.plan) if each[1] != failing.plan][:MAX_CONTROLS]
    for cause, plan in controls:
        if check_outcome(plan, run_client(plan)) is None:
            return cause
    if controls:
        return f"no single assumption: it fails as well without any one of {len(controls)} controls"
    return "the plainest answer is not understood"


_UNREPORTED_FAULT_CAUSES = {
    "failed": "an answer that says it failed is taken for a good one: its status is not looked at",
    "cut": "what came so far is taken for the whole: nothing looks for the end of the answer",
    "closed": "a stream that ends is taken for one that is complete: nothing waits for response.completed",
    "error": "an error in the stream is passed over, and what came before is taken for the whole",
    "dropped": "a connection that is lost is taken for the end of the answer",
    "reset": "a connection that is reset is taken for the end of the answer",
    "empty": "no answer at all is taken for an empty one",
    "refused": "the HTTP status is not looked at",
    "stalled": "what came before a silence is taken for the whole",
}


def _cause_by_wrong_text(plan: CasePlan, shown_text: str, run_client: ClientRunner) -> str | None:
    """The one mistake that yields this text; if several do, a case with distinct texts decides."""
    fitting = [cause for cause, text in _wrong_texts(plan) if text == shown_text]
    if len(fitting) < 2:
        return fitting[0] if fitting else None
    distinguishable = _distinguishable_plan(plan)
    outcome = run_client(distinguishable)
    remaining = [cause for cause, text in _wrong_texts(distinguishable) if text == outcome.text]
    return next((cause for cause in fitting if cause in remaining), None)


def _distinguishable_plan(plan: CasePlan) -> CasePlan:
    """The plan with a distinct text in each chunk, two chunks a text."""

    def with_named_chunks(item: Item, name: str) -> Item:
        chunks = (f" {name}1\n", f" {name}2 ")
        return type(item)(chunks) if isinstance(item, Message | Reasoning) else item

    items = (with_named_chunks(item, chr(ord("a") + at)) for at, item in enumerate(plan.script.items))
    return _with_items(plan, tuple(items))


def _wrong_texts(plan: CasePlan) -> Iterator[tuple[str, str]]:
    """Mistakes and the texts they yield, without those that would be correct here."""
    expected = plan.expected_text
    if plan.long:
        return
    items = plan.script.items
    messages = [item for item in items if isinstance(item, Message)]
    chunks = [chunk for message in messages for chunk in message.chunks]
    habits = (
        ("only the first output item is read", _message_text(items[0])),
        ("only the first message is read", messages[0].text if messages else ""),
        ("only the last message is read", messages[-1].text if messages else ""),
        ("only the first delta of a text is read", chunks[0] if chunks else ""),
        ("only the last delta of a text is read", chunks[-1] if chunks else ""),
        ("the text is taken twice: from its deltas and from what repeats them", expected * 2),
        ("thoughts are shown as text", "".join(map(_message_or_reasoning_text, items))),
        ("the texts of several messages are put on lines of their own", "\n".join(m.text for m in messages)),
        ("spaces around a text are lost", expected.strip()),
        ("line breaks in a text are lost", expected.replace("\n", "").replace("\r", "")),
        ("line breaks in a text are changed", re.sub(r"\r\n?", "\n", expected)),
        ("nothing of the text is shown", ""),
        ("what was said next is added to the answer", expected + "\n" + FOLLOW_UP_REPLY),
    )
    yield from ((cause, text) for cause, text in habits if text != expected)


def _message_text(item: Item) -> str:
    return item.text if isinstance(item, Message) else ""


def _message_or_reasoning_text(item: Item) -> str:
    return item.text if isinstance(item, Message | Reasoning) else ""


def _controls(plan: CasePlan) -> Iterator[Control]:
    """Causes, and the plan with the one feature made plain that proves each."""
    yield from _framing_controls(plan)
    yield from _member_controls(plan)
    yield from _item_controls(plan)
    yield from _text_controls(plan)
    if plan.stream and not plan.plain:
        yield (
            "only frames written plainly are read: `event: ` and `data: `, each with its space",
            _plain(plan),
        )


def _framing_controls(plan: CasePlan) -> Iterator[Control]:
    joined = replace(plan, cut="events")
    if not plan.stream:
        yield "one read is taken for the whole answer", joined
        return
    if plan.cut == "middle":
        yield (
            "each read is decoded by itself: a character that falls into two reads is lost",
            _ascii_only(plan),
        )
    if plan.cut in _CHUNKING_CAUSES:
        yield _CHUNKING_CAUSES[plan.cut], joined
    yield _ONE_EVENT_PER_READ, replace(plan, cut="apart")
    yield "lines are taken to end with \\n alone, not with \\r\\n or \\r", replace(plan, end="LF")
    if plan.end == "CR":
        yield "lines are taken to end with \\n or \\r\\n, not with \\r alone", replace(plan, end="CRLF")
    yield "a comment, which keeps a connection alive, is taken for an event", replace(plan, comments=False)


_ONE_EVENT_PER_READ = "one read is taken for one event: it may hold more"
_CHUNKING_CAUSES = {
    "whole": _ONE_EVENT_PER_READ,
    "lines": "one read is taken for a whole event: it may be less",
    "blank": "one read is taken to end with the event: its last line break may come later",
    "middle": "one read is taken for whole lines: it may end within one",
}


def _member_controls(plan: CasePlan) -> Iterator[Control]:
    yield "an event of a type that it does not know is not passed over", replace(plan, unknown_event=False)
    yield "a member that it does not know is not passed over", replace(plan, unknown_members=False)
    missing = "null" if plan.members == "null" else "missing"
    yield f"a member that may be {missing} is taken to be there", replace(plan, members="")


def _item_controls(plan: CasePlan) -> Iterator[Control]:
    """Controls without the other items, and without those of one kind."""
    items = plan.script.items
    if len(items) < 2:
        return
    yield (
        "only the first output item is read: with the last one alone it passes",
        _with_items(plan, items[-1:]),
    )
    for kind, cause in _ITEM_DESCRIPTIONS.items():
        kept = tuple(item for item in items if not isinstance(item, kind))
        if kept and kept != items:
            yield f"{cause} is not passed over", _with_items(plan, kept)


_ITEM_DESCRIPTIONS: dict[type, str] = {
    Reasoning: "a thought before the answer",
    ToolCall: "the run of a tool before the answer",
    FunctionCall: "the call of a function",
}


def _text_controls(plan: CasePlan) -> Iterator[Control]:
    yield "a line of more than 64 KiB is not read", replace(plan, long=False)
    yield (
        "characters that Unicode calls line ends (U+2028, U+0085 …) are taken for ends of lines",
        _map_chunks(plan, lambda text: re.sub("[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]", "x", text)),
    )
    yield "characters beyond ASCII are lost or changed", _ascii_only(plan)
    yield "a NUL in a text is not read", _map_chunks(plan, lambda text: text.replace("\0", "x"))
    yield (
        'escapes in a text are not read (\\n, \\", \\u0000 …)',
        _map_chunks(plan, lambda text: re.sub(r'[\x00-\x1f"\\]', "x", text)),
    )
    yield "spaces around a text are lost", _map_chunks(plan, lambda text: text.strip() or "x")
    yield "a text of several deltas is not put together", _map_items(plan, _join_chunks)
    yield "a text without a delta is not read", _map_items(plan, _with_a_chunk)
    yield "any text but plain words is not read", _map_chunks(plan, lambda _: "a")


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


def _plain(plan: CasePlan) -> CasePlan:
    return replace(plan, plain=True)


def _join_chunks(item: Item) -> Item:
    return Message((item.text,)) if isinstance(item, Message) and item.chunks else item


def _with_a_chunk(item: Item) -> Item:
    return Message(item.chunks or ("a",)) if isinstance(item, Message) else item
