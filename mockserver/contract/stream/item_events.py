"""Check the events between the added and done events of an item.

    message     { part added, { delta }, text or refusal done, part done }
    reasoning   { [ part added ], { delta }, text done, [ part done ] }, of the summary and of the content
    call        { delta }, arguments done      or nothing: whole arguments in added and done
    tool        its progress events in order
    mcp         like a call and a tool; in some profiles the arguments come before the item is added

One handler of `item_event_handlers` takes each event; `check_done_item` compares what the events brought with
the done item.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from mockserver.contract.rules import Report
from mockserver.contract.stream.texts import StreamedText, TextStage, text_difference
from mockserver.profiles import Profile

__all__ = [
    "ItemEventHandler",
    "OpenItem",
    "TextLayout",
    "check_done_item",
    "item_event_handlers",
    "text_layouts",
]

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class TextLayout:
    """Where the texts of a type of item are, and how events count them."""

    index_member: str
    """Member of an event that has the index of the text."""
    item_member: str
    """Member of the item that holds the texts."""
    needs_part_events: bool
    """Whether part events must open and close each text; otherwise they are optional."""
    default_index: int | None = None
    """The index of an event that has none."""


@dataclass(frozen=True, slots=True)
class ItemEventHandler:
    """A type of event that belongs to one type of item."""

    item_type: str
    """Type of the item."""
    handle: Callable[[OpenItem, Event, Report], None]
    other_item_type: str = ""
    """Another type of item that it may belong to."""


_TEXT_LAYOUTS: Mapping[str, TextLayout] = MappingProxyType(
    {
        "message": TextLayout("content_index", "content", needs_part_events=True),
        "reasoning": TextLayout("summary_index", "summary", needs_part_events=False),
    }
)
#: From August 2026 `reasoning_text` events carry the thoughts, which the item still keeps in its summary; the
#: samples leave the index out (API reference, August 2026).
_REASONING_TEXT_LAYOUT = TextLayout("content_index", "summary", needs_part_events=False, default_index=0)
_NO_LAYOUT = TextLayout("", "", needs_part_events=False)
_REASONING_CONTENT_LAYOUT = TextLayout("content_index", "content", needs_part_events=False)

#: Members of items that are streamed as one text without parts.
_STREAMED_MEMBERS: Mapping[str, str] = MappingProxyType(
    {
        "function_call": "arguments",
        "mcp_call": "arguments",
        "custom_tool_call": "input",
        "code_interpreter_call": "code",
    }
)


class OpenItem:
    """An item that was added and is not done."""

    __slots__ = (
        "added_item",
        "id",
        "incomparable",
        "kind",
        "layout",
        "optional_events",
        "progress",
        "progress_events",
        "reasoning_content",
        "streamed_member",
        "texts",
    )

    def __init__(
        self,
        added_item: Any,
        progress_events: tuple[str, ...] = (),
        layouts: Mapping[str, TextLayout] = MappingProxyType({}),
        optional_events: tuple[str, ...] = (),
    ) -> None:
        self.added_item: dict[str, Any] = added_item if isinstance(added_item, dict) else {}
        self.id = self.added_item.get("id")
        self.kind = self.added_item.get("type")
        self.layout = layouts.get(self.kind, _NO_LAYOUT) if isinstance(self.kind, str) else _NO_LAYOUT
        self.texts: list[StreamedText] = []
        self.streamed_member = _STREAMED_MEMBERS.get(self.kind, "") if isinstance(self.kind, str) else ""
        """The member that is streamed as one text."""
        self.reasoning_content: OpenItem | None = None
        """The text of the thoughts, beside their summary."""
        self.progress_events = progress_events
        self.optional_events = optional_events
        self.progress = 0
        """How many of the progress events have come."""
        self.incomparable = not self.added_item
        """Part of it could not be read: a comparison would only repeat that."""

    def skip_optional_events(self, before: int) -> None:
        """Take optional progress events as done, up to the event of that index."""
        while self.progress < before and self.progress_events[self.progress] in self.optional_events:
            self.progress += 1

    def mark_incomparable(self) -> None:
        """Note that an event that could not be read may belong to this item."""
        self.incomparable = True
        for text in self.texts:
            text.incomparable = True
        if self.reasoning_content is not None:
            self.reasoning_content.mark_incomparable()


def text_layouts(profile: Profile) -> Mapping[str, TextLayout]:
    """The text layouts of a profile, by type of item."""
    if _streams_reasoning_text(profile):
        return MappingProxyType({**_TEXT_LAYOUTS, "reasoning": _REASONING_TEXT_LAYOUT})
    return _TEXT_LAYOUTS


def _streams_reasoning_text(profile: Profile) -> bool:
    return profile.reasoning_events == "reasoning_text"


def _for_reasoning_content(
    handle: Callable[[OpenItem, Event, Report], None],
) -> Callable[[OpenItem, Event, Report], None]:
    """Apply `handle` to the content of a reasoning item; to a message as it is."""

    def inner(item: OpenItem, event: Event, report: Report) -> None:
        if item.kind == "reasoning":
            if item.reasoning_content is None:
                item.reasoning_content = OpenItem(item.added_item)
                item.reasoning_content.layout = _REASONING_CONTENT_LAYOUT
            item = item.reasoning_content
        handle(item, event, report)

    return inner


def _handle_part_added(item: OpenItem, event: Event, report: Report) -> None:
    name = item.layout.index_member
    index = event.get(name)
    if index != len(item.texts):
        message = "is not the number of earlier parts"
        report.add("ITM-012", f"/{name}", message, expected=len(item.texts), got=index)
    if item.texts and item.texts[-1].stage is not TextStage.CLOSED:
        done = event["type"].replace("added", "done")
        report.add("ITM-013", "", f"the previous part has no {done}")
    part = event.get("part")
    for name in ("text", "refusal", "annotations"):
        if isinstance(part, dict) and part.get(name):
            report.add("ITM-014", f"/part/{name}", "an added part is not empty", got=part[name])
    item.texts.append(StreamedText())
    item.texts[-1].has_part_event = True


def _handle_text_delta(item: OpenItem, event: Event, report: Report) -> None:
    index, texts = event.get(item.layout.index_member, item.layout.default_index), item.texts
    if index.__class__ is int and 0 <= index < len(texts):
        text: StreamedText | None = texts[index]
    else:
        text = _begin_text(item, event, report)
    if text is None:
        return
    if text.stage is not TextStage.OPEN:
        report.add("ITM-017", "", "a delta for a text that is done")
        return
    text.add_delta(event.get("delta"))


def _handle_text_done(item: OpenItem, event: Event, report: Report) -> None:
    text = _find_text(item, event, report)
    if text is None:
        return
    if text.stage is not TextStage.OPEN:
        # If its part was closed before, that is already reported.
        if text.expected_text is not None or not text.incomparable:
            report.add("ITM-017", "", "the text is already done")
        return
    member = "refusal" if event["type"] == "response.refusal.done" else "text"
    differs = text.finish(event.get(member))
    _add_difference("TXT-001", f"/{member}", "is not what its deltas add up to", differs, report)


def _handle_part_done(item: OpenItem, event: Event, report: Report) -> None:
    text = _find_text(item, event, report)
    if text is None:
        return
    if text.stage is TextStage.CLOSED:
        report.add("ITM-017", "", "the part is already done")
        return
    if text.stage is TextStage.OPEN:
        report.add("ITM-013", "", "the text of the part has no done event")
        text.incomparable = True
    if not (text.has_part_event or item.layout.needs_part_events):
        report.add("ITM-013", "", "the part is closed but was never opened")
    text.stage = TextStage.CLOSED
    text.done_part = part = event.get("part")
    member = _text_member(part)
    part_text = part.get(member) if isinstance(part, dict) else None
    if (
        text.expected_text is not None
        and isinstance(part_text, str)
        and part_text != text.conflicting_done_text
        and not text.incomparable
    ):
        message = f"is not the {member} of its done event"
        _add_difference(
            "TXT-002", f"/part/{member}", message, text_difference(text.expected_text, part_text), report
        )


def _text_member(part: Any) -> str:
    """The member that holds the text of a part."""
    return "refusal" if isinstance(part, dict) and "refusal" in part else "text"


def _find_text(item: OpenItem, event: Event, report: Report) -> StreamedText | None:
    index = event.get(item.layout.index_member, item.layout.default_index)
    if isinstance(index, int) and 0 <= index < len(item.texts):
        return item.texts[index]
    return _begin_text(item, event, report)


def _begin_text(item: OpenItem, event: Event, report: Report) -> StreamedText | None:
    """Start the text that `event` is about; None if its index is unusable."""
    name, count = item.layout.index_member, len(item.texts)
    index = event.get(name, item.layout.default_index)
    if isinstance(index, float) and index.is_integer():
        report.add("SCH-001", f"/{name}", f"{name} is not written as a whole number", got=index)
        return _find_text(item, {**event, name: int(index)}, report)
    if not isinstance(index, int):
        item.incomparable = True
        return None
    if index != count:
        report.add("ITM-012", f"/{name}", "is not the number of earlier texts", expected=count, got=index)
        item.incomparable = True
        return None
    if item.layout.needs_part_events:
        report.add("ITM-013", "", "the part has no response.content_part.added")
    elif item.texts and item.texts[-1].stage is TextStage.OPEN:
        report.add("ITM-013", "", "the previous text has no done event")
    item.texts.append(StreamedText())
    # An event lost before may be the first of its deltas.
    item.texts[-1].incomparable = item.incomparable
    return item.texts[-1]


def _handle_arguments_delta(item: OpenItem, event: Event, report: Report) -> None:
    if not item.texts:
        item.texts.append(StreamedText())
        if item.added_item.get(item.streamed_member):
            report.add("ITM-011", "", f"the added item already has the {item.streamed_member}")
            item.incomparable = True
    if item.texts[0].stage is not TextStage.OPEN:
        report.add("ITM-017", "", "a delta for arguments that are done")
        return
    item.texts[0].add_delta(event.get("delta"))


def _handle_arguments_done(item: OpenItem, event: Event, report: Report) -> None:
    if not item.texts:
        # Without deltas the arguments come whole, here or already in the added item.
        item.texts.append(StreamedText())
        item.texts[0].add_delta(item.added_item.get(item.streamed_member) or event.get(item.streamed_member))
    text = item.texts[0]
    if text.stage is not TextStage.OPEN:
        report.add("ITM-017", "", "the arguments are already done")
        return
    name, added_name = event.get("name"), item.added_item.get("name")
    if isinstance(name, str) and isinstance(added_name, str) and name != added_name:
        message = "name differs from response.output_item.added"
        report.add("ITM-005", "/name", message, expected=added_name, got=name)
    differs = text.finish(event.get(item.streamed_member))
    if not item.incomparable:
        _add_difference(
            "TXT-004", f"/{item.streamed_member}", "are not what the deltas add up to", differs, report
        )


def _handle_progress(item: OpenItem, event: Event, report: Report) -> None:
    step = item.progress_events.index(event["type"])
    item.skip_optional_events(step)
    if step != item.progress:
        expected = (
            item.progress_events[item.progress]
            if item.progress < len(item.progress_events)
            else "the item's done event"
        )
        report.add("ITM-015", "/type", "out of order", expected=expected, got=event["type"])
    item.progress = max(item.progress, step + 1)


def item_event_handlers(profile: Profile) -> dict[str, ItemEventHandler]:
    """The handlers of a profile by type of event, with the progress events of its built-in tools."""
    table = dict(_ITEM_EVENT_HANDLERS)
    table |= {
        name: ItemEventHandler(tool.item, _handle_progress)
        for tool in profile.tools.values()
        for name in tool.events
    }
    if _streams_reasoning_text(profile):
        table["response.reasoning_text.delta"] = ItemEventHandler("reasoning", _handle_text_delta)
        table["response.reasoning_text.done"] = ItemEventHandler("reasoning", _handle_text_done)
    return table


_ITEM_EVENT_HANDLERS: Mapping[str, ItemEventHandler] = MappingProxyType(
    {
        "response.content_part.added": ItemEventHandler(
            "message", _for_reasoning_content(_handle_part_added), other_item_type="reasoning"
        ),
        "response.output_text.delta": ItemEventHandler("message", _handle_text_delta),
        "response.output_text.done": ItemEventHandler("message", _handle_text_done),
        "response.refusal.delta": ItemEventHandler("message", _handle_text_delta),
        "response.refusal.done": ItemEventHandler("message", _handle_text_done),
        "response.content_part.done": ItemEventHandler(
            "message", _for_reasoning_content(_handle_part_done), other_item_type="reasoning"
        ),
        "response.reasoning_summary_part.added": ItemEventHandler("reasoning", _handle_part_added),
        "response.reasoning_summary_text.delta": ItemEventHandler("reasoning", _handle_text_delta),
        "response.reasoning_summary_text.done": ItemEventHandler("reasoning", _handle_text_done),
        "response.reasoning_summary_part.done": ItemEventHandler("reasoning", _handle_part_done),
        "response.reasoning.delta": ItemEventHandler("reasoning", _for_reasoning_content(_handle_text_delta)),
        "response.reasoning.done": ItemEventHandler("reasoning", _for_reasoning_content(_handle_text_done)),
        "response.reasoning_text.delta": ItemEventHandler(
            "reasoning", _for_reasoning_content(_handle_text_delta)
        ),
        "response.reasoning_text.done": ItemEventHandler(
            "reasoning", _for_reasoning_content(_handle_text_done)
        ),
        "response.function_call_arguments.delta": ItemEventHandler("function_call", _handle_arguments_delta),
        "response.function_call_arguments.done": ItemEventHandler("function_call", _handle_arguments_done),
        "response.mcp_call_arguments.delta": ItemEventHandler("mcp_call", _handle_arguments_delta),
        "response.mcp_call_arguments.done": ItemEventHandler("mcp_call", _handle_arguments_done),
        "response.custom_tool_call_input.delta": ItemEventHandler(
            "custom_tool_call", _handle_arguments_delta
        ),
        "response.custom_tool_call_input.done": ItemEventHandler("custom_tool_call", _handle_arguments_done),
        "response.code_interpreter_call_code.delta": ItemEventHandler(
            "code_interpreter_call", _handle_arguments_delta
        ),
        "response.code_interpreter_call_code.done": ItemEventHandler(
            "code_interpreter_call", _handle_arguments_done
        ),
    }
)
"""Handlers by type of event; a profile uses those of the events that it knows."""


def check_done_item(item: OpenItem, done_item: dict[str, Any], report: Report) -> None:
    """Compare what the events of an item brought with the item of its done event."""
    item.skip_optional_events(len(item.progress_events))
    if item.progress < len(item.progress_events):
        expected = item.progress_events[item.progress]
        report.add("ITM-015", "", "a progress event of the tool is missing", expected=expected)
    if item.kind in ("function_call", "mcp_call") or (item.streamed_member and item.texts):
        _check_streamed_member(item, done_item, report)
    elif item.layout.item_member and not _summary_holds_content(item, done_item):
        _check_parts(item, done_item.get(item.layout.item_member), report)
    if item.reasoning_content is not None:
        member = "summary" if _summary_holds_content(item, done_item) else "content"
        _check_parts(item.reasoning_content, done_item.get(member), report, member)


def _check_streamed_member(item: OpenItem, done_item: dict[str, Any], report: Report) -> None:
    expected: Any = item.added_item.get(item.streamed_member)
    if item.texts:
        expected = item.texts[0].expected_text
        if item.texts[0].stage is TextStage.OPEN:
            report.add("ITM-013", "", f"its {item.streamed_member} have no done event")
    given = done_item.get(item.streamed_member)
    if item.texts and given is not None and given == item.texts[0].conflicting_done_text:
        return
    if expected and isinstance(expected, str) and isinstance(given, str) and not item.incomparable:
        message = "differ from the streamed ones"
        _add_difference(
            "TXT-004", f"/item/{item.streamed_member}", message, text_difference(expected, given), report
        )


def _summary_holds_content(item: OpenItem, done_item: dict[str, Any]) -> bool:
    """Whether the summary has the thoughts that reasoning_text events carried (API reference, August 2026)."""
    return bool(
        item.reasoning_content is not None
        and not item.texts
        and done_item.get("summary")
        and not done_item.get("content")
    )


def _check_parts(item: OpenItem, parts: Any, report: Report, member: str = "") -> None:
    for text in item.texts:
        must_close = item.layout.needs_part_events or text.has_part_event
        if text.stage is TextStage.OPEN or (must_close and text.stage is not TextStage.CLOSED):
            report.add("ITM-013", "", "the item is done before its text", got=text.stage.name.lower())
            text.incomparable = True
    if item.incomparable or not isinstance(parts, list):
        return
    pointer = f"/item/{member or item.layout.item_member}"
    if len(parts) != len(item.texts):
        message = "does not have as many parts as were streamed"
        report.add("TXT-003", pointer, message, expected=len(item.texts), got=len(parts))
        return
    for index, (text, part) in enumerate(zip(item.texts, parts, strict=True)):
        _check_part(text, part, f"{pointer}/{index}", report)


def _check_part(text: StreamedText, part: Any, pointer: str, report: Report) -> None:
    if text.incomparable or not isinstance(part, dict):
        return
    member = _text_member(part)
    streamed = text.done_part if isinstance(text.done_part, dict) else {**part, member: text.expected_text}
    expected, got = streamed.get(member), part.get(member)
    if got is not None and got == text.conflicting_done_text and text.done_part is None:
        return
    if isinstance(expected, str) and isinstance(got, str) and expected != got:
        _add_difference(
            "TXT-003",
            f"{pointer}/{member}",
            "differs from what was streamed",
            text_difference(expected, got),
            report,
        )
    elif streamed != part and not _differs_in_new_logprobs(streamed, part):
        report.add("TXT-003", pointer, "differs from the streamed part", expected=streamed, got=part)


def _differs_in_new_logprobs(streamed: dict[str, Any], part: dict[str, Any]) -> bool:
    """Whether the parts differ only because the done item has logprobs and the streamed part has none."""
    if streamed.get("logprobs") or not part.get("logprobs"):
        return False
    return {**streamed, "logprobs": None} == {**part, "logprobs": None}


def _add_difference(
    rule: str, pointer: str, message: str, difference: tuple[str, str] | None, report: Report
) -> None:
    if difference is not None:
        report.add(rule, pointer, message, expected=difference[0], got=difference[1])
