"""The items of a stream: opened, filled and closed in order, and all there at the end."""

from __future__ import annotations

from typing import Any

from mockserver.contract.bodies import Child, OpenItem, finish, parts_of
from mockserver.contract.responses import FINAL, arguments_rule
from mockserver.contract.rules import Report
from mockserver.contract.texts import difference
from mockserver.profiles import Profile

__all__ = ["Items"]

Event = dict[str, Any]

#: Members that hold what an item's events, or its run, will bring: empty when it is added.
_EMPTY_WHEN_ADDED = {
    "message": "content",
    "reasoning": "summary",
    "web_extractor_call": "output",
    "code_interpreter_call": "outputs",
    "web_search_image_call": "output",
    "image_search_call": "output",
    "mcp_call": "output",
    "file_search_call": "results",
}

#: Members that stay as they were when the item was added.
_CONSTANT = (
    "type",
    "id",
    "call_id",
    "name",
    "role",
    "goal",
    "urls",
    "code",
    "container_id",
    "queries",
    "server_label",
)

#: Members that are whole from the start in these types of items, though others stream them.
_WHOLE_FROM_THE_START = {"web_search_image_call": "arguments", "image_search_call": "arguments"}


_ABSENT = object()


class Items:
    """The items of one stream by `output_index`."""

    def __init__(self, profile: Profile, report: Report) -> None:
        self.open: dict[int, OpenItem] = {}
        self._done: dict[int, Any] = {}
        self._report = report
        self._opaque = frozenset(profile.opaque)
        self._constant = [name for name in _CONSTANT if name not in profile.streamed]
        self._parts = parts_of(profile)
        self._steps = {tool.item: tool.events for tool in profile.tools.values()}
        self._before = {name: tool.item for tool in profile.tools.values() for name in tool.before}
        self._heralds: dict[int, OpenItem] = {}
        """Items whose arguments came before they were added, by the place they are to have."""
        self._next = 0
        self._ids: set[str] = set()
        self._calls: set[str] = set()
        self._strays: set[Any] = set()
        self._may_have_lost = False
        """Whether the event that opens the next item may have been one that could not be read."""

    def added(self, event: Event) -> None:
        """Take `response.output_item.added`."""
        index, item = self._index(event), event.get("item")
        if index is None:
            return
        if index != self._next:
            message = "is not the number of items before"
            self._report.say("ITM-001", "/output_index", message, expected=self._next, got=index)
        if index in self.open or index in self._done:
            return
        if self.open:
            self._report.say("ITM-019", "", "the item before is not done", got=sorted(self.open))
        self._next = index + 1
        kind = item.get("type") if isinstance(item, dict) else None
        steps = self._steps.get(kind, ()) if isinstance(kind, str) else ()
        self.open[index] = OpenItem(item, steps, self._parts)
        if index in self._heralds:
            self._heralded(self._heralds.pop(index), self.open[index])
        if isinstance(item, dict):
            self._begins(item, kind)

    def _heralded(self, herald: OpenItem, item: OpenItem) -> None:
        """Give an item the arguments that came before it."""
        say = self._report.say
        if item.spoiled or herald.spoiled:
            item.spoiled = True
            return
        if item.kind != herald.kind:
            say(
                "ITM-004", "/item/type", "arguments of another type of item came before", expected=herald.kind
            )
            return
        if item.id != herald.id and isinstance(herald.id, str):
            message = "is not the item_id of the arguments before"
            say("ITM-003", "/item/id", message, expected=herald.id, got=item.id)
        item.texts = herald.texts
        told, given = item.texts[0].told, item.added.get(item.whole)
        if given == item.texts[0].mistold:
            return
        if told is not None and isinstance(given, str) and (pair := difference(told, given)):
            say("TXT-004", f"/item/{item.whole}", "are not those before", expected=pair[0], got=pair[1])

    def _begins(self, item: dict[str, Any], kind: Any) -> None:
        say = self._report.say
        self._unique("ITM-006", "id", item.get("id"), self._ids)
        if kind == "function_call":
            self._unique("ITM-007", "call_id", item.get("call_id"), self._calls)
        status = item.get("status")
        if isinstance(status, str) and status != "in_progress":
            message = "an added item is in progress"
            say("ITM-009", "/item/status", message, expected="in_progress", got=status)
        member = _EMPTY_WHEN_ADDED.get(kind) if isinstance(kind, str) else None
        if member is not None and item.get(member):
            say("ITM-011", f"/item/{member}", "an added item has it already", got=item[member])

    def _unique(self, rule: str, name: str, value: Any, seen: set[str]) -> None:
        if isinstance(value, str):
            if value in seen:
                self._report.say(rule, f"/item/{name}", f"another item has this {name}", got=value)
            seen.add(value)

    def stray(self, child: Child, event: Event) -> None:
        """Take an event whose item is not simply the open one at its index."""
        index = self._index(event) if event.get("output_index") is not None else self._index_by_id(event)
        kind = self._before.get(event["type"])
        # An event that comes before its item does not tell that an added event was lost.
        item = self._open_at(index) if kind is None else self.open.get(-1 if index is None else index)
        if item is None and kind is not None and index is not None and index not in self._done:
            # The arguments of a remote tool come before its item (API reference, March 2026).
            item = self._heralds.setdefault(index, OpenItem({"type": kind, "id": event.get("item_id")}))
        if item is None:
            self._closed_or_never(index)
            own = self._index_by_id(event)
            if own is not None:
                self.open[own].lose()  # its event, at another's index: comparing would only repeat that
            return
        given = event.get("item_id")
        if given != item.id and isinstance(given, str) and item.id is not None:
            message = f"is not the id of the item at output_index {index}"
            self._report.say("ITM-003", "/item_id", message, expected=item.id, got=given)
        if item.kind not in (child.kind, child.also):
            if not item.spoiled:
                message = f"comes only for items of type {child.kind}"
                self._report.say("ITM-004", "/type", message, expected=child.kind, got=item.kind)
            return
        child.act(item, event, self._report)

    def _index_by_id(self, event: Event) -> int | None:
        # The service leaves output_index out of some events of the code interpreter.
        given = event.get("item_id")
        return next((index for index, item in self.open.items() if item.id == given), None)

    def _index(self, event: Event) -> int | None:
        index = event.get("output_index")
        if isinstance(index, float) and index.is_integer():
            message = "output_index is not written as a whole number"
            self._report.say("SCH-001", "/output_index", message, got=index)
            return int(index)
        return index if isinstance(index, int) and not isinstance(index, bool) else None

    def _closed_or_never(self, index: int | None) -> None:
        if index in self._done:
            self._report.say("ITM-016", "/output_index", "the item there is done", got=index)
        elif index is not None and index not in self._strays:
            # Said once an index: every further event of the item would only repeat it.
            self._strays.add(index)
            self._report.say("ITM-002", "/output_index", "no item was added there", got=index)

    def done(self, event: Event) -> None:
        """Take `response.output_item.done`."""
        index, item = self._index(event), event.get("item")
        if index is None:
            return
        self._open_at(index)
        begun = self.open.pop(index, None)
        if begun is None:
            self._closed_or_never(index)
            self._done.setdefault(index, item)
            return
        self._done[index] = item
        if isinstance(item, dict):
            self._ends(begun, item)

    def _ends(self, begun: OpenItem, item: dict[str, Any]) -> None:
        say = self._report.say
        kind: Any = begun.kind
        known = isinstance(kind, str) and kind in _WHOLE_FROM_THE_START
        whole = [_WHOLE_FROM_THE_START[kind]] if known else []
        for name in (*self._constant, *whole) if not begun.spoiled else ():
            before, now = begun.added.get(name), item.get(name)
            # Where one of them lacks it, the schema has said so.
            if before != now and name in begun.added and name in item:
                message = f"{name} was another in response.output_item.added"
                say("ITM-005", f"/item/{name}", message, expected=before, got=now)
        status = item.get("status")
        if isinstance(status, str) and status not in FINAL:
            say("ITM-009", "/item/status", "a done item is over", expected="completed", got=status)
        finish(begun, item, self._report)
        arguments_rule(item, self._report, "/item")

    def _open_at(self, index: int | None) -> OpenItem | None:
        """The open item there; one that nothing is known of where its added event was lost."""
        if index is None:
            return None
        if index == self._next and self._may_have_lost:
            self._may_have_lost = False
            self._next = index + 1
            self.open[index] = OpenItem(None)
        return self.open.get(index)

    def lost(self) -> None:
        """Take note that an event could not be read: open items can not be compared any more."""
        self._may_have_lost = True
        for item in (*self.open.values(), *self._heralds.values()):
            item.lose()

    def final(self, output: Any) -> None:
        """Compare the output of a finished response with the items as they were done."""
        for index in self._heralds.keys() - self._done.keys():
            self._closed_or_never(index)
        for index in self.open:
            message = f"the item at output_index {index} was never done"
            self._report.say("ITM-008", f"/response/output/{index}", message)
        if not isinstance(output, list):
            return
        done = [item for _, item in sorted(self._done.items())]
        if len(output) != len(done) + len(self.open):
            message = "has another number of items than were done"
            self._report.say("ITM-020", "/response/output", message, expected=len(done), got=len(output))
        if len(output) != len(done):
            return
        for index, (item, last) in enumerate(zip(done, output, strict=True)):
            if item != last:
                self._differ(item, last, f"/response/output/{index}")

    def failed(self, output: Any) -> None:
        """Compare the output of a failed response with the items that were done; others need no mention."""
        for index, last in enumerate(output if isinstance(output, list) else ()):
            if index in self._done and self._done[index] != last:
                self._differ(self._done[index], last, f"/response/output/{index}")

    def _same_but_opaque(self, one: Any, other: Any) -> bool:
        return bool(self._opaque) and _without(one, self._opaque) == _without(other, self._opaque)

    def _differ(self, expected: Any, got: Any, pointer: str) -> None:
        """Say where two unequal values differ, at the deepest level."""
        pairs = _pairs(expected, got)
        for name, one, other in pairs:
            if one != other and name not in self._opaque and not self._same_but_opaque(one, other):
                self._differ(one, other, f"{pointer}/{name}")
                return
        if pairs:
            return  # they differ in nothing but what may differ
        if expected is _ABSENT or got is _ABSENT:
            message = "is not there both in response.output_item.done and at the end"
            self._report.say("ITM-020", pointer, message)
            return
        name = pointer.rpartition("/")[2]
        if name in ("text", "arguments") and isinstance(expected, str) and isinstance(got, str):
            pair = difference(expected, got) or ("", "")
            message = "is not the text of the done item"
            self._report.say("TXT-006", pointer, message, expected=pair[0], got=pair[1])
            return
        message = "is not as it was in response.output_item.done"
        self._report.say("ITM-010", pointer, message, expected=expected, got=got)


def _without(value: Any, names: frozenset[str]) -> Any:
    if isinstance(value, dict):
        return {name: _without(each, names) for name, each in value.items() if name not in names}
    return [_without(each, names) for each in value] if isinstance(value, list) else value


def _pairs(one: Any, other: Any) -> list[tuple[str, Any, Any]]:
    """Members or elements of two values of one kind, side by side; none where they can not be paired."""
    if isinstance(one, dict) and isinstance(other, dict):
        names = [*one, *(name for name in other if name not in one)]
        return [(name, one.get(name, _ABSENT), other.get(name, _ABSENT)) for name in names]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [(str(at), left, right) for at, (left, right) in enumerate(zip(one, other, strict=True))]
    return []
