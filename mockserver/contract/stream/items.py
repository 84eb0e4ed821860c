"""Track the items of a stream: they open, fill and close in order, and the final output has all of them."""

from __future__ import annotations

from itertools import islice
from typing import Any

from mockserver.contract.bodies.responses import FINAL_ITEM_STATUSES, check_arguments
from mockserver.contract.rules import Report
from mockserver.contract.stream.item_events import (
    ItemEventHandler,
    OpenItem,
    check_done_item,
    text_layouts,
)
from mockserver.contract.stream.texts import text_difference
from mockserver.profiles import Profile

__all__ = ["ItemTracker"]

Event = dict[str, Any]

#: Members that later events, or the run of a tool, fill: empty when the item is added.
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

#: Members that do not change after the item is added.
_CONSTANT_MEMBERS = (
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

#: Members that are complete from the start in these types of items, though other types stream them.
_COMPLETE_WHEN_ADDED = {"web_search_image_call": "arguments", "image_search_call": "arguments"}


#: How many open items to search: one item is open at a time, so more are open only in a broken stream.
_MAX_OPEN_ITEMS = 20

_ABSENT = object()


class ItemTracker:
    """The items of one stream by `output_index`."""

    def __init__(self, profile: Profile, report: Report) -> None:
        self.open_items: dict[int, OpenItem] = {}
        self._done_items: dict[int, Any] = {}
        self._report = report
        self._opaque_members = frozenset(profile.opaque)
        self._constant_members = [name for name in _CONSTANT_MEMBERS if name not in profile.streamed]
        self._text_layouts = text_layouts(profile)
        self._progress_events = {tool.item: tool.events for tool in profile.tools.values()}
        self._optional_events = {tool.item: tool.optional_events for tool in profile.tools.values()}
        self._added_statuses = profile.other_added_statuses
        self._done_statuses = profile.other_done_statuses
        self._early_event_types = {name: tool.item for tool in profile.tools.values() for name in tool.before}
        self._early_items: dict[int, OpenItem] = {}
        """Items whose arguments came before they were added, by their `output_index`."""
        self._next_index = 0
        self._ids: set[str] = set()
        self._call_ids: set[str] = set()
        self._reported_indices: set[Any] = set()
        self._added_may_be_unreadable = False
        """Whether the event that adds the next item may be one that could not be read."""

    def handle_added(self, event: Event) -> None:
        """Handle `response.output_item.added`."""
        index, item = self._output_index(event), event.get("item")
        if index is None:
            return
        if index != self._next_index:
            message = "is not the number of earlier items"
            self._report.add("ITM-001", "/output_index", message, expected=self._next_index, got=index)
        if index in self.open_items or index in self._done_items:
            return
        if self.open_items:
            self._report.add(
                "ITM-019",
                "",
                "the previous item is not done",
                got=sorted(islice(self.open_items, _MAX_OPEN_ITEMS)),
            )
        self._next_index = index + 1
        kind = item.get("type") if isinstance(item, dict) else None
        steps = self._progress_events.get(kind, ()) if isinstance(kind, str) else ()
        optional = self._optional_events[str(kind)] if steps else ()
        self.open_items[index] = OpenItem(item, steps, self._text_layouts, optional)
        if index in self._early_items:
            self._merge_early_item(self._early_items.pop(index), self.open_items[index])
        if isinstance(item, dict):
            self._check_added_item(item, kind)

    def _merge_early_item(self, early_item: OpenItem, item: OpenItem) -> None:
        """Give an item the arguments that came before it was added."""
        add = self._report.add
        if item.incomparable or early_item.incomparable:
            item.incomparable = True
            return
        if item.kind != early_item.kind:
            add(
                "ITM-004",
                "/item/type",
                "the earlier arguments are for another type of item",
                expected=early_item.kind,
            )
            return
        if item.id != early_item.id and isinstance(early_item.id, str):
            message = "is not the item_id of the earlier arguments"
            add("ITM-003", "/item/id", message, expected=early_item.id, got=item.id)
        item.texts = early_item.texts
        expected, given = item.texts[0].expected_text, item.added_item.get(item.streamed_member)
        if given == item.texts[0].conflicting_done_text:
            return
        if expected is not None and isinstance(given, str) and (pair := text_difference(expected, given)):
            add(
                "TXT-004",
                f"/item/{item.streamed_member}",
                "differ from the earlier arguments",
                expected=pair[0],
                got=pair[1],
            )

    def _check_added_item(self, item: dict[str, Any], kind: Any) -> None:
        add = self._report.add
        self._check_unique("ITM-006", "id", item.get("id"), self._ids)
        if kind == "function_call":
            self._check_unique("ITM-007", "call_id", item.get("call_id"), self._call_ids)
        status = item.get("status")
        others = self._added_statuses.get(kind, ()) if isinstance(kind, str) else ()
        if isinstance(status, str) and status not in ("in_progress", *others):
            message = "an added item is in progress"
            add("ITM-009", "/item/status", message, expected="in_progress", got=status)
        member = _EMPTY_WHEN_ADDED.get(kind) if isinstance(kind, str) else None
        if member is not None and item.get(member):
            add("ITM-011", f"/item/{member}", "is not empty in an added item", got=item[member])

    def _check_unique(self, rule: str, name: str, value: Any, seen: set[str]) -> None:
        if isinstance(value, str):
            if value in seen:
                self._report.add(rule, f"/item/{name}", f"another item has this {name}", got=value)
            seen.add(value)

    def handle_misplaced(self, handler: ItemEventHandler, event: Event) -> None:
        """Handle an event that does not fit the open item at its index."""
        index = (
            self._output_index(event)
            if event.get("output_index") is not None
            else self._index_of_item_id(event)
        )
        kind = self._early_event_types.get(event["type"])
        # An event that may come before its item is no sign that an added event was lost.
        item = (
            self._open_item_at(index) if kind is None else self.open_items.get(-1 if index is None else index)
        )
        if item is None and kind is not None and index is not None and index not in self._done_items:
            # The arguments of a remote tool come before its item (API reference, March 2026).
            item = self._early_items.setdefault(index, OpenItem({"type": kind, "id": event.get("item_id")}))
        if item is None:
            self._report_no_open_item(index)
            own = self._index_of_item_id(event)
            if own is not None:
                # Its event has another item's index: a comparison would only repeat that.
                self.open_items[own].mark_incomparable()
            return
        given = event.get("item_id")
        if given != item.id and isinstance(given, str) and item.id is not None:
            message = f"is not the id of the item at output_index {index}"
            self._report.add("ITM-003", "/item_id", message, expected=item.id, got=given)
        if item.kind not in (handler.item_type, handler.other_item_type):
            if not item.incomparable:
                message = f"comes only for items of type {handler.item_type}"
                self._report.add("ITM-004", "/type", message, expected=handler.item_type, got=item.kind)
            return
        handler.handle(item, event, self._report)

    def _index_of_item_id(self, event: Event) -> int | None:
        # The service leaves output_index out of some events of the code interpreter.
        given = event.get("item_id")
        open_items = islice(self.open_items.items(), _MAX_OPEN_ITEMS)
        return next((index for index, item in open_items if item.id == given), None)

    def _output_index(self, event: Event) -> int | None:
        index = event.get("output_index")
        if isinstance(index, float) and index.is_integer():
            message = "output_index is not written as a whole number"
            self._report.add("SCH-001", "/output_index", message, got=index)
            return int(index)
        return index if isinstance(index, int) and not isinstance(index, bool) else None

    def _report_no_open_item(self, index: int | None) -> None:
        if index in self._done_items:
            self._report.add("ITM-016", "/output_index", "the item there is already done", got=index)
        elif index is not None and index not in self._reported_indices:
            # Reported once an index: every further event of the item would repeat it.
            self._reported_indices.add(index)
            self._report.add("ITM-002", "/output_index", "no item was added there", got=index)

    def handle_done(self, event: Event) -> None:
        """Handle `response.output_item.done`."""
        index, item = self._output_index(event), event.get("item")
        if index is None:
            return
        self._open_item_at(index)
        open_item = self.open_items.pop(index, None)
        if open_item is None:
            self._report_no_open_item(index)
            self._done_items.setdefault(index, item)
            return
        self._done_items[index] = item
        if isinstance(item, dict):
            self._check_done_item(open_item, item)

    def _check_done_item(self, open_item: OpenItem, item: dict[str, Any]) -> None:
        add = self._report.add
        kind: Any = open_item.kind
        has_complete = isinstance(kind, str) and kind in _COMPLETE_WHEN_ADDED
        complete = [_COMPLETE_WHEN_ADDED[kind]] if has_complete else []
        for name in (*self._constant_members, *complete) if not open_item.incomparable else ():
            before, now = open_item.added_item.get(name), item.get(name)
            # If one of them lacks it, the schema has reported that.
            if before != now and name in open_item.added_item and name in item:
                message = f"{name} differs from response.output_item.added"
                add("ITM-005", f"/item/{name}", message, expected=before, got=now)
        status = item.get("status")
        others = self._done_statuses.get(kind, ()) if isinstance(kind, str) else ()
        if isinstance(status, str) and status not in FINAL_ITEM_STATUSES and status not in others:
            add("ITM-009", "/item/status", "a done item has a final status", expected="completed", got=status)
        check_done_item(open_item, item, self._report)
        check_arguments(item, self._report, "/item")

    def _open_item_at(self, index: int | None) -> OpenItem | None:
        """The open item at `index`; an unknown one if its added event may be lost."""
        if index is None:
            return None
        if index == self._next_index and self._added_may_be_unreadable:
            self._added_may_be_unreadable = False
            self._next_index = index + 1
            self.open_items[index] = OpenItem(None)
        return self.open_items.get(index)

    def mark_unreadable(self) -> None:
        """Note that an event could not be read: open items cannot be compared any more."""
        self._added_may_be_unreadable = True
        for items in (self.open_items, self._early_items):
            for item in islice(reversed(items.values()), _MAX_OPEN_ITEMS):
                item.mark_incomparable()

    def check_final_output(self, output: Any) -> None:
        """Compare the output of a finished response with the done items."""
        for index in self._early_items.keys() - self._done_items.keys():
            self._report_no_open_item(index)
        for index in self.open_items:
            message = f"the item at output_index {index} was never done"
            self._report.add("ITM-008", f"/response/output/{index}", message)
        if not isinstance(output, list):
            return
        done = [item for _, item in sorted(self._done_items.items())]
        if len(output) != len(done) + len(self.open_items):
            message = "does not have as many items as were done"
            self._report.add("ITM-020", "/response/output", message, expected=len(done), got=len(output))
        if len(output) != len(done):
            return
        for index, (item, last) in enumerate(zip(done, output, strict=True)):
            if item != last:
                self._report_difference(item, last, f"/response/output/{index}")

    def check_failed_output(self, output: Any) -> None:
        """Compare the output of a failed response with the done items; other items may be missing."""
        for index, last in enumerate(output if isinstance(output, list) else ()):
            if index in self._done_items and self._done_items[index] != last:
                self._report_difference(self._done_items[index], last, f"/response/output/{index}")

    def _equal_except_opaque(self, one: Any, other: Any) -> bool:
        return bool(self._opaque_members) and _without_members(one, self._opaque_members) == _without_members(
            other, self._opaque_members
        )

    def _report_difference(self, expected: Any, got: Any, pointer: str) -> None:
        """Report where two unequal values differ, at the deepest level."""
        pairs = _paired_members(expected, got)
        for name, one, other in pairs:
            if (
                one != other
                and name not in self._opaque_members
                and not self._equal_except_opaque(one, other)
            ):
                self._report_difference(one, other, f"{pointer}/{name}")
                return
        if pairs:
            return  # they differ only in opaque members
        if expected is _ABSENT or got is _ABSENT:
            message = "is missing either in response.output_item.done or in the final output"
            self._report.add("ITM-020", pointer, message)
            return
        name = pointer.rpartition("/")[2]
        if name in ("text", "arguments") and isinstance(expected, str) and isinstance(got, str):
            pair = text_difference(expected, got) or ("", "")
            message = "differs from the text of the done item"
            self._report.add("TXT-006", pointer, message, expected=pair[0], got=pair[1])
            return
        message = "differs from response.output_item.done"
        self._report.add("ITM-010", pointer, message, expected=expected, got=got)


def _without_members(value: Any, names: frozenset[str]) -> Any:
    if isinstance(value, dict):
        return {name: _without_members(each, names) for name, each in value.items() if name not in names}
    return [_without_members(each, names) for each in value] if isinstance(value, list) else value


def _paired_members(one: Any, other: Any) -> list[tuple[str, Any, Any]]:
    """Pair the members or elements of two values of one kind; empty if they cannot be paired."""
    if isinstance(one, dict) and isinstance(other, dict):
        names = [*one, *(name for name in other if name not in one)]
        return [(name, one.get(name, _ABSENT), other.get(name, _ABSENT)) for name in names]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [(str(at), left, right) for at, (left, right) in enumerate(zip(one, other, strict=True))]
    return []
