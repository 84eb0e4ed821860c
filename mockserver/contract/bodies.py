"""What may happen between an item's added and done, for each type of item.

    message     { part added, { delta }, text done, part done }
    reasoning   { { delta }, text done }
    function    { delta }, arguments done      or nothing: whole arguments in added and done
    tool        its progress events in order

Every event of a body is taken by one function of the table `CHILDREN`; `finish` compares what they
brought with the done item.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from mockserver.contract.rules import Report
from mockserver.contract.texts import Stage, Text, difference

__all__ = ["CHILDREN", "Child", "OpenItem", "finish", "progress"]

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Parts:
    """How the texts of a type of item are counted and kept."""

    index: str
    """Member of an event that counts the texts."""
    member: str
    """Member of the item that holds them."""
    announced: bool
    """Whether part events open and close each text."""


@dataclass(frozen=True, slots=True)
class Child:
    """A type of event that belongs to one type of item."""

    kind: str
    """Type of the item."""
    act: Callable[[OpenItem, Event, Report], None]


_PARTS: Mapping[str, Parts] = MappingProxyType(
    {
        "message": Parts("content_index", "content", announced=True),
        "reasoning": Parts("summary_index", "summary", announced=False),
    }
)
_NO_PARTS = Parts("", "", announced=False)


class OpenItem:
    """An item that was added and is not done."""

    __slots__ = ("added", "id", "kind", "parts", "spoiled", "step", "steps", "texts")

    def __init__(self, added: Any, steps: tuple[str, ...] = ()) -> None:
        self.added: dict[str, Any] = added if isinstance(added, dict) else {}
        self.id = self.added.get("id")
        self.kind = self.added.get("type")
        self.parts = _PARTS.get(self.kind, _NO_PARTS) if isinstance(self.kind, str) else _NO_PARTS
        self.texts: list[Text] = []
        self.steps = steps
        self.step = 0
        """How many of the steps are behind it."""
        self.spoiled = not self.added
        """Something of it could not be read: comparing would only repeat that."""


def _part_added(item: OpenItem, event: Event, report: Report) -> None:
    index = event.get("content_index")
    if index != len(item.texts):
        message = "is not the number of parts before"
        report.say("ITM-012", "/content_index", message, expected=len(item.texts), got=index)
    if item.texts and item.texts[-1].stage is not Stage.CLOSED:
        report.say("ITM-013", "", "the part before has had no response.content_part.done")
    part = event.get("part")
    for name in ("text", "annotations"):
        if isinstance(part, dict) and part.get(name):
            report.say("ITM-014", f"/part/{name}", "a part starts with something in it", got=part[name])
    item.texts.append(Text())


def _delta(item: OpenItem, event: Event, report: Report) -> None:
    index, texts = event.get(item.parts.index), item.texts
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
        report.say("ITM-017", "", "the text is done already")
        return
    _differs("TXT-001", "/text", "is not what its deltas make", text.finish(event.get("text")), report)


def _part_done(item: OpenItem, event: Event, report: Report) -> None:
    text = _text(item, event, report)
    if text is None:
        return
    if text.stage is Stage.CLOSED:
        report.say("ITM-017", "", "the part is done already")
        return
    if text.stage is Stage.OPEN:
        report.say("ITM-013", "", "the part has had no response.output_text.done")
        text.spoiled = True
    text.stage = Stage.CLOSED
    text.part = part = event.get("part")
    told = part.get("text") if isinstance(part, dict) else None
    if text.told is not None and isinstance(told, str):
        message = "is not the text of response.output_text.done"
        _differs("TXT-002", "/part/text", message, difference(text.told, told), report)


def _text(item: OpenItem, event: Event, report: Report) -> Text | None:
    index = event.get(item.parts.index)
    if isinstance(index, int) and 0 <= index < len(item.texts):
        return item.texts[index]
    return _not_begun(item, event, report)


def _not_begun(item: OpenItem, event: Event, report: Report) -> Text | None:
    """The text that `event` is about, begun by it; None where its index says nothing."""
    name, count = item.parts.index, len(item.texts)
    index = event.get(name)
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
        if item.added.get("arguments"):
            report.say("ITM-011", "", "the arguments were in the added item already")
            item.spoiled = True
    if item.texts[0].stage is not Stage.OPEN:
        report.say("ITM-017", "", "a delta of arguments that are done")
        return
    item.texts[0].add(event.get("delta"))


def _arguments_done(item: OpenItem, event: Event, report: Report) -> None:
    if not item.texts:
        item.texts.append(Text())
        item.texts[0].add(item.added.get("arguments"))
    text = item.texts[0]
    if text.stage is not Stage.OPEN:
        report.say("ITM-017", "", "the arguments are done already")
        return
    name, called = event.get("name"), item.added.get("name")
    if isinstance(name, str) and isinstance(called, str) and name != called:
        message = "name was another in response.output_item.added"
        report.say("ITM-005", "/name", message, expected=called, got=name)
    differs = text.finish(event.get("arguments"))
    if not item.spoiled:
        _differs("TXT-004", "/arguments", "are not what the deltas make", differs, report)


def progress(item: OpenItem, event: Event, report: Report) -> None:
    """Take a progress event of a built-in tool."""
    step = item.steps.index(event["type"])
    if step != item.step:
        expected = item.steps[item.step] if item.step < len(item.steps) else "the item's done event"
        report.say("ITM-015", "/type", "out of order", expected=expected, got=event["type"])
    item.step = max(item.step, step + 1)


CHILDREN: Mapping[str, Child] = MappingProxyType(
    {
        "response.content_part.added": Child("message", _part_added),
        "response.output_text.delta": Child("message", _delta),
        "response.output_text.done": Child("message", _text_done),
        "response.content_part.done": Child("message", _part_done),
        "response.reasoning_summary_text.delta": Child("reasoning", _delta),
        "response.reasoning_summary_text.done": Child("reasoning", _text_done),
        "response.function_call_arguments.delta": Child("function_call", _arguments_delta),
        "response.function_call_arguments.done": Child("function_call", _arguments_done),
    }
)
"""Events of a body by type; those of built-in tools come from the profile."""


def finish(item: OpenItem, done: dict[str, Any], report: Report) -> None:
    """Compare what an item's events brought with `done`, the item as its done event has it."""
    if item.step < len(item.steps):
        expected = item.steps[item.step]
        report.say("ITM-015", "", "the tool has not reported its end", expected=expected)
    if item.kind == "function_call":
        _finish_arguments(item, done, report)
    elif item.parts.member:
        _finish_parts(item, done.get(item.parts.member), report)


def _finish_arguments(item: OpenItem, done: dict[str, Any], report: Report) -> None:
    told: Any = item.added.get("arguments")
    if item.texts:
        told = item.texts[0].told
        if item.texts[0].stage is Stage.OPEN:
            report.say("ITM-013", "", "there was no response.function_call_arguments.done")
    arguments = done.get("arguments")
    if told and isinstance(told, str) and isinstance(arguments, str) and not item.spoiled:
        message = "are not those that were streamed"
        _differs("TXT-004", "/item/arguments", message, difference(told, arguments), report)


def _finish_parts(item: OpenItem, parts: Any, report: Report) -> None:
    last = Stage.CLOSED if item.parts.announced else Stage.TOLD
    for text in item.texts:
        if text.stage is not last:
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
    kept = text.part if isinstance(text.part, dict) else {**part, "text": text.told}
    told, got = kept.get("text"), part.get("text")
    if isinstance(told, str) and isinstance(got, str) and told != got:
        _differs("TXT-003", f"{pointer}/text", "is not what was streamed", difference(told, got), report)
    elif kept != part:
        report.say("TXT-003", pointer, "is not the part that was streamed", expected=kept, got=part)


def _differs(rule: str, pointer: str, words: str, pair: tuple[str, str] | None, report: Report) -> None:
    if pair is not None:
        report.say(rule, pointer, words, expected=pair[0], got=pair[1])
