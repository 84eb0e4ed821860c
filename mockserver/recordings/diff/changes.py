"""Changes: what is otherwise, where, and how bad that is for whoever reads the answers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType

__all__ = ["CHANGE_KINDS", "Change", "ChangeSeverity", "merge_changes", "new_change"]


class ChangeSeverity(StrEnum):
    """How bad a change is."""

    BREAKING = "breaking"
    """A client that read the answers before may read them no longer."""
    WARNING = "warning"
    """A client that took what it saw for all there is may be surprised."""
    INFO = "info"


_BREAKING, _WARNING, _INFO = ChangeSeverity.BREAKING, ChangeSeverity.WARNING, ChangeSeverity.INFO

#: Each kind of change: how bad it is, and what it says.
CHANGE_KINDS = MappingProxyType(
    {
        "status-changed": (_BREAKING, "the HTTP status is another"),
        "content-type-changed": (_BREAKING, "the content type is another"),
        "form-changed": (_BREAKING, "it is something else altogether"),
        "end-changed": (_BREAKING, "the answer ends otherwise"),
        "envelope-changed": (_BREAKING, "errors come in another envelope"),
        "error-code-changed": (_BREAKING, "the error has another code"),
        "outcome-changed": (_BREAKING, "the response ends with another status"),
        "member-removed": (_BREAKING, "a member is there no longer"),
        "type-changed": (_BREAKING, "a member has another type"),
        "event-removed": (_BREAKING, "events of this kind come no longer"),
        "order-changed": (_BREAKING, "events come in another order"),
        "rule-broken": (_BREAKING, "a rule of the contract is broken, which was kept"),
        "member-optional": (_WARNING, "a member that was always there is missing at times"),
        "null-appeared": (_WARNING, "a member can be null, which it was not"),
        "value-new": (_WARNING, "a member has a value that it did not have"),
        "item-added": (_WARNING, "there are items of a new kind"),
        "item-removed": (_WARNING, "there are no items of this kind any more"),
        "part-added": (_WARNING, "there are parts of a new kind"),
        "part-removed": (_WARNING, "there are no parts of this kind any more"),
        "event-added": (_WARNING, "there are events of a new kind"),
        "framing-changed": (_WARNING, "events are written otherwise"),
        "id-form-changed": (_WARNING, "ids have another form"),
        "tools-changed": (_WARNING, "other tools are called"),
        "member-added": (_INFO, "there is a new member"),
        "header-added": (_INFO, "there is a new header"),
        "header-removed": (_INFO, "a header is there no longer"),
        "rule-kept": (_INFO, "a rule of the contract is kept, which was broken"),
        "recording-added": (_INFO, "a request that the other side does not have"),
        "recording-removed": (_INFO, "a request that is there no longer"),
        # Of reports.
        "verdict-worse": (_BREAKING, "a probe comes to a worse verdict"),
        "verdict-better": (_INFO, "a probe comes to a better verdict"),
        "finding-added": (_BREAKING, "a finding that was not there"),
        "drift-added": (_WARNING, "drift that was not there"),
        "finding-removed": (_INFO, "a finding that is there no longer"),
        "fact-changed": (_WARNING, "what the documents leave open is answered otherwise"),
        "coverage-removed": (_INFO, "the run has not seen this any more"),
        "coverage-added": (_INFO, "the run has seen this for the first time"),
        # Of profiles.
        "profile-changed": (_WARNING, "a fact about the service is another"),
        "value-removed": (_WARNING, "a member no longer has a value that it could have"),
        "required-added": (_BREAKING, "a member of requests has become required"),
        "required-removed": (_WARNING, "a member of answers is no longer required"),
        "schema-removed": (_BREAKING, "there is no such body any more"),
        "schema-added": (_INFO, "there is a new body"),
    }
)


@dataclass(frozen=True, slots=True)
class Change:
    """One change, however often it shows."""

    kind: str
    """A name of `KINDS`."""
    location: str
    """Where in the contract: "message.role", "response.completed", "item.id"."""
    severity: ChangeSeverity
    before: str = ""
    after: str = ""
    shown_by: tuple[str, ...] = ()
    """Names of the recordings that show it."""
    broken_rules: tuple[str, ...] = ()
    """Rules of the contract that are broken for it."""

    @property
    def message(self) -> str:
        """What it says."""
        return CHANGE_KINDS[self.kind][1]


def new_change(
    kind: str, location: str, before: object = "", after: object = "", severity: ChangeSeverity | None = None
) -> Change:
    """A change of a kind, as bad as such are unless `grade` says otherwise."""
    return Change(kind, location, severity or CHANGE_KINDS[kind][0], str(before), str(after))


def merge_changes(changes: Iterable[Change]) -> list[Change]:
    """Each change once, the worst first."""
    found: dict[tuple[str, str], Change] = {}
    for each in changes:
        key = each.kind, each.location
        before = found.get(key)
        if before is None:
            found[key] = each
        else:
            names = tuple(dict.fromkeys((*before.shown_by, *each.shown_by)))
            rules = tuple(dict.fromkeys((*before.broken_rules, *each.broken_rules)))
            found[key] = replace(before, shown_by=names, broken_rules=rules)
    order = [*ChangeSeverity]
    return sorted(found.values(), key=lambda each: (order.index(each.severity), each.kind, each.location))
