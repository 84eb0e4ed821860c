"""Changes between two replies, reports or profiles: kind, location and severity for a client."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType

__all__ = ["CHANGE_KINDS", "Change", "ChangeSeverity", "merge_changes", "new_change"]


class ChangeSeverity(StrEnum):
    """How bad a change is."""

    BREAKING = "breaking"
    """A client that understood the replies before may fail."""
    WARNING = "warning"
    """A client that assumed it had seen everything may fail."""
    INFO = "info"


_BREAKING, _WARNING, _INFO = ChangeSeverity.BREAKING, ChangeSeverity.WARNING, ChangeSeverity.INFO

#: By kind of change: its severity and message.
CHANGE_KINDS = MappingProxyType(
    {
        "status-changed": (_BREAKING, "another HTTP status"),
        "content-type-changed": (_BREAKING, "another content type"),
        "form-changed": (_BREAKING, "another kind of reply"),
        "end-changed": (_BREAKING, "the reply ends differently"),
        "envelope-changed": (_BREAKING, "another error envelope"),
        "error-code-changed": (_BREAKING, "another error code"),
        "outcome-changed": (_BREAKING, "the response ends with another status"),
        "member-removed": (_BREAKING, "member removed"),
        "type-changed": (_BREAKING, "member with another type"),
        "event-removed": (_BREAKING, "event type removed"),
        "order-changed": (_BREAKING, "events in another order"),
        "rule-broken": (_BREAKING, "newly broken rule of the contract"),
        "member-optional": (_WARNING, "member that is now missing at times"),
        "null-appeared": (_WARNING, "member that can now be null"),
        "value-new": (_WARNING, "new value of a member"),
        "item-added": (_WARNING, "new item type"),
        "item-removed": (_WARNING, "item type removed"),
        "part-added": (_WARNING, "new part type"),
        "part-removed": (_WARNING, "part type removed"),
        "event-added": (_WARNING, "new event type"),
        "framing-changed": (_WARNING, "another framing of events"),
        "id-form-changed": (_WARNING, "another form of ids"),
        "tools-changed": (_WARNING, "other tools called"),
        "member-added": (_INFO, "new member"),
        "header-added": (_INFO, "new header"),
        "header-removed": (_INFO, "header removed"),
        "rule-kept": (_INFO, "rule of the contract no longer broken"),
        "recording-added": (_INFO, "request only on the second side"),
        "recording-removed": (_INFO, "request only on the first side"),
        # Of reports.
        "verdict-worse": (_BREAKING, "worse verdict of a probe"),
        "verdict-better": (_INFO, "better verdict of a probe"),
        "finding-added": (_BREAKING, "new finding"),
        "drift-added": (_WARNING, "new drift"),
        "finding-removed": (_INFO, "finding removed"),
        "fact-changed": (_WARNING, "another observation"),
        "coverage-removed": (_INFO, "no longer seen"),
        "coverage-added": (_INFO, "seen for the first time"),
        # Of profiles.
        "profile-changed": (_WARNING, "another fact about the service"),
        "value-removed": (_WARNING, "value of a member removed"),
        "required-added": (_BREAKING, "request member that is now required"),
        "required-removed": (_WARNING, "reply member that is no longer required"),
        "schema-removed": (_BREAKING, "body schema removed"),
        "schema-added": (_INFO, "new body schema"),
    }
)


@dataclass(frozen=True, slots=True)
class Change:
    """One change, however often it appears."""

    kind: str
    """A key of `CHANGE_KINDS`."""
    location: str
    """Where in the contract: "message.role", "response.completed", "item.id"."""
    severity: ChangeSeverity
    before: str = ""
    after: str = ""
    shown_by: tuple[str, ...] = ()
    """Names of the recordings that show it."""
    broken_rules: tuple[str, ...] = ()
    """Rules of the contract that it breaks."""

    @property
    def message(self) -> str:
        """The message of its kind."""
        return CHANGE_KINDS[self.kind][1]


def new_change(
    kind: str, location: str, before: object = "", after: object = "", severity: ChangeSeverity | None = None
) -> Change:
    """A change with the severity of its kind, unless `severity` is given."""
    return Change(kind, location, severity or CHANGE_KINDS[kind][0], str(before), str(after))


def merge_changes(changes: Iterable[Change]) -> list[Change]:
    """Merge changes of the same kind and location; the worst come first."""
    merged: dict[tuple[str, str], Change] = {}
    for each in changes:
        key = each.kind, each.location
        before = merged.get(key)
        if before is None:
            merged[key] = each
        else:
            names = tuple(dict.fromkeys((*before.shown_by, *each.shown_by)))
            rules = tuple(dict.fromkeys((*before.broken_rules, *each.broken_rules)))
            merged[key] = replace(before, shown_by=names, broken_rules=rules)
    order = [*ChangeSeverity]
    return sorted(merged.values(), key=lambda each: (order.index(each.severity), each.kind, each.location))
