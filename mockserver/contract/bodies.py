"""What may happen between an item's added and done, for each type of item.

    message     { part added, { delta }, text or refusal done, part done }
    reasoning   { [ part added ], { delta }, text done, [ part done ] }, of the summary and of the content
    call        { delta }, arguments done      or nothing: whole arguments in added and done
    tool        its progress events in order
    mcp         as a call and a tool; where the profile says so the arguments come before the item is added

Every event of a body is taken by one function of the table of `children`; `finish` compares what they
brought with the done item.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from mockserver.contract.rules import Report
from mockserver.contract.texts import Stage, Text, difference
from mockserver.profiles import Profile

__all__ = ["Child", "OpenItem", "Parts", "children", "finish", "parts_of"]

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Parts:
    """How the texts of a type of item are counted and kept."""

    index: str
    """Member of an event that counts the texts."""
    member: str
    """Member of the item that holds them."""
    announced: bool
    """Whether part events must open and close each text; if not they may."""
    default: int | None = None
    """The index of an event that has none."""


@dataclass(frozen=True, slots=True)
class Child:
    """A type of event that belongs to one type of item."""

    kind: str
    """Type of the item."""
    act: Callable[[OpenItem, Event, Report], None]
    also: str = ""
    """Another type that it may belong to."""


_PARTS: Mapping[str, Parts] = MappingProxyType(
    {
        "message": Parts("content_index", "content", announced=True),
        "reasoning": Parts("summary_index", "summary", announced=False),
    }
)
#: From August 2026 on thoughts are told by `reasoning_text`, and still kept in the summary; the samples leave
#: the index out (API reference, August 2026).
_TOLD_THOUGHTS = Parts("content_index", "summary", announced=False, default=0)
_NO_PARTS = Parts("", "", announced=False)
_REASONED = Parts("content_index", "content", announced=False)

#: Members of items that are streamed as one text, without parts.
_WHOLE: Mapping[str, str] = MappingProxyType(
    {
        "function_call": "arguments",
        "mcp_call": "arguments",
        "custom_tool_call": "input",
        "code_interpreter_call": "code",
    }
)


class OpenItem:
    """An item that was added and is not done."""

    __slots__ = ("added", "content", "id", "kind", "parts", "spoiled", "step", "steps", "texts", "whole")

    def __init__(
        self, added: Any, steps: tuple[str, ...] = (), parts: Mapping[str, Parts] = MappingProxyType({})
    ) -> None:
        self.added: dict[str, Any] = added if isinstance(added, dict) else {}
        self.id = self.added.get("id")
        self.kind = self.added.get("type")
        self.parts = parts.get(self.kind, _NO_PARTS) if isinstance(self.kind, str) else _NO_PARTS
        self.texts: list[Text] = []
        self.whole = _WHOLE.get(self.kind, "") if isinstance(self.kind, str) else ""
        """The member that is streamed as one text."""
        self.content: OpenItem | None = None
        """The thoughts themselves, beside their summary."""
        self.steps = steps
        self.step = 0
        """How many of the steps are behind it."""
        self.spoiled = not self.added
        """Something of it could not be read: comparing would only repeat that."""

    def lose(self) -> None:
        """Take note that an event could not be read, and may have been of this item."""
        self.spoiled = True
        for text in self.texts:
            text.spoiled = True
        if self.content is not None:
            self.content.lose()


def parts_of(profile: Profile) -> Mapping[str, Parts]:
    """How a profile's types of items keep their texts."""
    told = _tells_thoughts(profile)
    return MappingProxyType({**_PARTS, "reasoning": _TOLD_THOUGHTS}) if told else _PARTS


def _tells_thoughts(profile: Profile) -> bool:
    return profile.reasoning_events == "reasoning_text"


def _reasoned(act: Callable[[OpenItem, Event, Report], None]) -> Callable[[OpenItem, Event, Report], None]:
    """`act` on the content of a reasoning item; on a message as it is."""

    def inner(item: OpenItem, event: Event, report: Report) -> None:
        if item.kind == "reasoning":
            if item.content is None:
                item.content = OpenItem(item.added)
                item.content.parts = _REASONED
            item = item.content
        act(item, event, report)

    return inner


def _part_added(item: OpenItem, event: Event, report: Report) -> None:
    name = item.parts.index
    index = event.get(name)
    if index != len(item.texts):
        message = "is not the number of parts before"
        report.say("ITM-012", f"/{name}", message, expected=len(item.texts), got=index)
    if item.texts and item.texts[-1].stage is not Stage.CLOSED:
        done = event["type"].replace("added", "done")
        report.say("ITM-013", "", f"the part before has had no {done}")
    part = event.get("part")
    for name in ("text", "refusal", "annotations"):
        if isinstance(part, dict) and part.get(name):
            report.say("ITM-014", f"/part/{name}", "a part starts with something in it", got=part[name])
    item.texts.append(Text())
    item.texts[-1].announced = True


def _delta(item: OpenItem, event: Event, report: Report) -> None:
    index, texts = event.get(item.parts.index, item.parts.default), item.texts
    if index.__class__ is int and 0 <= index < len(texts):
        text: Text | None = texts[index]
    else:
        text = _not_begun(item, event, report)
    if text is None:
        return
    if text.stage is not Stage.OPEN:
        report.say("ITM-017", "", "a delta of a text that is done")
        return
    text.add(event.get("delta"))


def _text_done(item: OpenItem, event: Event, report: Report) -> None:
    text = _text(item, event, report)
    if text is None:
        return
    if text.stage is not Stage.OPEN:
        # Where its part was closed before it, that has been said.
        if text.told is not None or not text.spoiled:
            report.say("ITM-017", "", "the text is done already")
        return
    member = "refusal" if event["type"] == "response.refusal.done" else "text"
    differs = text.finish(event.get(member))
    _differs("TXT-001", f"/{member}", "is not what its deltas make", differs, report)


def _part_done(item: OpenItem, event: Event, report: Report) -> None:
    text = _text(item, event, report)
    if text is None:
        return
    if text.stage is Stage.CLOSED:
        report.say("ITM-017", "", "the part is done already")
        return
    if text.stage is Stage.OPEN:
        report.say("ITM-013", "", "the part has had no done event of its text")
        text.spoiled = True
    if not (text.announced or item.parts.announced):
        report.say("ITM-013", "", "the part is closed, and was never opened")
    text.stage = Stage.CLOSED
    text.part = part = event.get("part")
    member = _member(part)
    told = part.get(member) if isinstance(part, dict) else None
    if text.told is not None and isinstance(told, str) and told != text.mistold and not text.spoiled:
        message = f"is not the {member} of its done event"
        _differs("TXT-002", f"/part/{member}", message, difference(text.told, told), report)


def _member(part: Any) -> str:
    """The member of a part that holds its text."""
    return "refusal" if isinstance(part, dict) and "refusal" in part else "text"


def _text(item: OpenItem, event: Event, report: Report) -> Text | None:
    index = event.get(item.parts.index, item.parts.default)
    if isinstance(index, int) and 0 <= index < len(item.texts):
        return item.texts[index]
    return _not_begun(item, event, report)


def _not_begun(item: OpenItem, event: Event, report: Report) -> Text | None:
    """The text that `event` is about, begun by it; None where its index says nothing."""
    name, count = item.parts.index, len(item.texts)
    index = event.get(name, item.parts.default)
    if isinstance(index, float) and index.is_integer():
        report.say("SCH-001", f"/{name}", f"{name} is not written as a whole number", got=index)
        return _text(item, {**event, name: int(index)}, report)
    if not isinstance(index, int):
        item.spoiled = True
        return None
    if index != count:
        report.say("ITM-012", f"/{name}", "is not the number of texts before", expected=count, got=index)
        item.spoiled = True
        return None
    if item.parts.announced:
        report.say("ITM-013", "", "the part has had no response.content_part.added")
    elif item.texts and item.texts[-1].stage is Stage.OPEN:
        report.say("ITM-013", "", "the text before has had no done event")
    item.texts.append(Text())
    # What was lost before may have been the first of its deltas.
    item.texts[-1].spoiled = item.spoiled
    return item.texts[-1]


def _arguments_delta(item: OpenItem, event: Event, report: Report) -> None:
    if not item.texts:
        item.texts.append(Text())
        if item.added.get(item.whole):
            report.say("ITM-011", "", f"the {item.whole} were in the added item already")
            item.spoiled = True
    if item.texts[0].stage is not Stage.OPEN:
        report.say("ITM-017", "", "a delta of arguments that are done")
        return
    item.texts[0].add(event.get("delta"))


def _arguments_done(item: OpenItem, event: Event, report: Report) -> None:
    if not item.texts:
        item.texts.append(Text())
        item.texts[0].add(item.added.get(item.whole))
    text = item.texts[0]
    if text.stage is not Stage.OPEN:
        report.say("ITM-017", "", "the arguments are done already")
        return
    name, called = event.get("name"), item.added.get("name")
    if isinstance(name, str) and isinstance(called, str) and name != called:
        message = "name was another in response.output_item.added"
        report.say("ITM-005", "/name", message, expected=called, got=name)
    differs = text.finish(event.get(item.whole))
    if not item.spoiled:
        _differs("TXT-004", f"/{item.whole}", "are not what the deltas make", differs, report)


def _progress(item: OpenItem, event: Event, report: Report) -> None:
    """Take a progress event of a built-in tool."""
    step = item.steps.index(event["type"])
    if step != item.step:
        expected = item.steps[item.step] if item.step < len(item.steps) else "the item's done event"
        report.say("ITM-015", "/type", "out of order", expected=expected, got=event["type"])
    item.step = max(item.step, step + 1)


def children(profile: Profile) -> dict[str, Child]:
    """Events of a body by type, as a profile has them: also the progress of its built-in tools."""
    table = dict(_CHILDREN)
    table |= {name: Child(tool.item, _progress) for tool in profile.tools.values() for name in tool.events}
    if _tells_thoughts(profile):
        table["response.reasoning_text.delta"] = Child("reasoning", _delta)
        table["response.reasoning_text.done"] = Child("reasoning", _text_done)
    return table


_CHILDREN: Mapping[str, Child] = MappingProxyType(
    {
        "response.content_part.added": Child("message", _reasoned(_part_added), also="reasoning"),
        "response.output_text.delta": Child("message", _delta),
        "response.output_text.done": Child("message", _text_done),
        "response.refusal.delta": Child("message", _delta),
        "response.refusal.done": Child("message", _text_done),
        "response.content_part.done": Child("message", _reasoned(_part_done), also="reasoning"),
        "response.reasoning_summary_part.added": Child("reasoning", _part_added),
        "response.reasoning_summary_text.delta": Child("reasoning", _delta),
        "response.reasoning_summary_text.done": Child("reasoning", _text_done),
        "response.reasoning_summary_part.done": Child("reasoning", _part_done),
        "response.reasoning.delta": Child("reasoning", _reasoned(_delta)),
        "response.reasoning.done": Child("reasoning", _reasoned(_text_done)),
        "response.reasoning_text.delta": Child("reasoning", _reasoned(_delta)),
        "response.reasoning_text.done": Child("reasoning", _reasoned(_text_done)),
        "response.function_call_arguments.delta": Child("function_call", _arguments_delta),
        "response.function_call_arguments.done": Child("function_call", _arguments_done),
        "response.mcp_call_arguments.delta": Child("mcp_call", _arguments_delta),
        "response.mcp_call_arguments.done": Child("mcp_call", _arguments_done),
        "response.custom_tool_call_input.delta": Child("custom_tool_call", _arguments_delta),
        "response.custom_tool_call_input.done": Child("custom_tool_call", _arguments_done),
        "response.code_interpreter_call_code.delta": Child("code_interpreter_call", _arguments_delta),
        "response.code_interpreter_call_code.done": Child("code_interpreter_call", _arguments_done),
    }
)
"""Events of a body by type; a profile has those of them that it knows."""


def finish(item: OpenItem, done: dict[str, Any], report: Report) -> None:
    """Compare what an item's events brought with `done`, the item as its done event has it."""
    if item.step < len(item.steps):
        expected = item.steps[item.step]
        report.say("ITM-015", "", "the tool has not reported its end", expected=expected)
    if item.kind in ("function_call", "mcp_call") or (item.whole and item.texts):
        _finish_whole(item, done, report)
    elif item.parts.member:
        _finish_parts(item, done.get(item.parts.member), report)
    if item.content is not None:
        _finish_parts(item.content, done.get(item.content.parts.member), report)


def _finish_whole(item: OpenItem, done: dict[str, Any], report: Report) -> None:
    told: Any = item.added.get(item.whole)
    if item.texts:
        told = item.texts[0].told
        if item.texts[0].stage is Stage.OPEN:
            report.say("ITM-013", "", f"there was no done event of its {item.whole}")
    given = done.get(item.whole)
    if item.texts and given is not None and given == item.texts[0].mistold:
        return
    if told and isinstance(told, str) and isinstance(given, str) and not item.spoiled:
        message = "are not those that were streamed"
        _differs("TXT-004", f"/item/{item.whole}", message, difference(told, given), report)


def _finish_parts(item: OpenItem, parts: Any, report: Report) -> None:
    for text in item.texts:
        must_close = item.parts.announced or text.announced
        if text.stage is Stage.OPEN or (must_close and text.stage is not Stage.CLOSED):
            report.say("ITM-013", "", "the item is done before its text is", got=text.stage.name.lower())
            text.spoiled = True
    if item.spoiled or not isinstance(parts, list):
        return
    pointer = f"/item/{item.parts.member}"
    if len(parts) != len(item.texts):
        message = "has another number of parts than were streamed"
        report.say("TXT-003", pointer, message, expected=len(item.texts), got=len(parts))
        return
    for index, (text, part) in enumerate(zip(item.texts, parts, strict=True)):
        _finish_part(text, part, f"{pointer}/{index}", report)


def _finish_part(text: Text, part: Any, pointer: str, report: Report) -> None:
    if text.spoiled or not isinstance(part, dict):
        return
    member = _member(part)
    kept = text.part if isinstance(text.part, dict) else {**part, member: text.told}
    told, got = kept.get(member), part.get(member)
    if got is not None and got == text.mistold and text.part is None:
        return
    if isinstance(told, str) and isinstance(got, str) and told != got:
        _differs("TXT-003", f"{pointer}/{member}", "is not what was streamed", difference(told, got), report)
    elif kept != part:
        report.say("TXT-003", pointer, "is not the part that was streamed", expected=kept, got=part)


def _differs(rule: str, pointer: str, words: str, pair: tuple[str, str] | None, report: Report) -> None:
    if pair is not None:
        report.say(rule, pointer, words, expected=pair[0], got=pair[1])
