"""Changes: what is otherwise, where, and how bad that is for whoever reads the answers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType

__all__ = ["KINDS", "Change", "Grade", "change", "merged"]


class Grade(StrEnum):
    """How bad a change is."""

    BREAKING = "breaking"
    """A client that read the answers before may read them no longer."""
    WARNING = "warning"
    """A client that took what it saw for all there is may be surprised."""
    INFO = "info"


_B, _W, _I = Grade.BREAKING, Grade.WARNING, Grade.INFO

#: Each kind of change: how bad it is, and what it says.
KINDS = MappingProxyType(
    {
        "status-changed": (_B, "the HTTP status is another"),
        "content-type-changed": (_B, "the content type is another"),
        "form-changed": (_B, "it is something else altogether"),
        "end-changed": (_B, "the answer ends otherwise"),
        "envelope-changed": (_B, "errors come in another envelope"),
        "error-code-changed": (_B, "the error has another code"),
        "outcome-changed": (_B, "the response ends with another status"),
        "member-removed": (_B, "a member is there no longer"),
        "type-changed": (_B, "a member has another type"),
        "event-removed": (_B, "events of this kind come no longer"),
        "order-changed": (_B, "events come in another order"),
        "rule-broken": (_B, "a rule of the contract is broken, which was kept"),
        "member-optional": (_W, "a member that was always there is missing at times"),
        "null-appeared": (_W, "a member can be null, which it was not"),
        "value-new": (_W, "a member has a value that it did not have"),
        "item-added": (_W, "there are items of a new kind"),
        "item-removed": (_W, "there are no items of this kind any more"),
        "part-added": (_W, "there are parts of a new kind"),
        "part-removed": (_W, "there are no parts of this kind any more"),
        "event-added": (_W, "there are events of a new kind"),
        "framing-changed": (_W, "events are written otherwise"),
        "id-form-changed": (_W, "ids have another form"),
        "tools-changed": (_W, "other tools are called"),
        "member-added": (_I, "there is a new member"),
        "header-added": (_I, "there is a new header"),
        "header-removed": (_I, "a header is there no longer"),
        "rule-kept": (_I, "a rule of the contract is kept, which was broken"),
        "recording-added": (_I, "a request that the other side does not have"),
        "recording-removed": (_I, "a request that is there no longer"),
        # Of reports.
        "verdict-worse": (_B, "a probe comes to a worse verdict"),
        "verdict-better": (_I, "a probe comes to a better verdict"),
        "finding-added": (_B, "a finding that was not there"),
        "drift-added": (_W, "drift that was not there"),
        "finding-removed": (_I, "a finding that is there no longer"),
        "fact-changed": (_W, "what the documents leave open is answered otherwise"),
        "coverage-removed": (_I, "the run has not seen this any more"),
        "coverage-added": (_I, "the run has seen this for the first time"),
        # Of profiles.
        "profile-changed": (_W, "a fact about the service is another"),
        "value-removed": (_W, "a member no longer has a value that it could have"),
        "required-added": (_B, "a member of requests has become required"),
        "required-removed": (_W, "a member of answers is no longer required"),
        "schema-removed": (_B, "there is no such body any more"),
        "schema-added": (_I, "there is a new body"),
    }
)


@dataclass(frozen=True, slots=True)
class Change:
    """One change, however often it shows."""

    kind: str
    """A name of `KINDS`."""
    place: str
    """Where in the contract: "message.role", "response.completed", "item.id"."""
    grade: Grade
    before: str = ""
    after: str = ""
    shown_by: tuple[str, ...] = ()
    """Names of the recordings that show it."""
    breaks: tuple[str, ...] = ()
    """Rules of the contract that are broken for it."""

    @property
    def message(self) -> str:
        """What it says."""
        return KINDS[self.kind][1]


def change(
    kind: str, place: str, before: object = "", after: object = "", grade: Grade | None = None
) -> Change:
    """A change of a kind, as bad as such are unless `grade` says otherwise."""
    return Change(kind, place, grade or KINDS[kind][0], str(before), str(after))


def merged(changes: Iterable[Change]) -> list[Change]:
    """Each change once, the worst first."""
    found: dict[tuple[str, str], Change] = {}
    for each in changes:
        key = each.kind, each.place
        before = found.get(key)
        if before is None:
            found[key] = each
        else:
            names = tuple(dict.fromkeys((*before.shown_by, *each.shown_by)))
            rules = tuple(dict.fromkeys((*before.breaks, *each.breaks)))
            found[key] = replace(before, shown_by=names, breaks=rules)
    order = [*Grade]
    return sorted(found.values(), key=lambda each: (order.index(each.grade), each.kind, each.place))
