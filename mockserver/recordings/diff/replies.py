"""Two answers to the same request, compared by what they show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from mockserver.recordings.diff.changes import Change, ChangeSeverity, new_change
from mockserver.recordings.diff.structural_summary import (
    BrokenRule,
    MemberSummary,
    ObjectSummary,
    StructuralSummary,
)

__all__ = ["reply_changes"]

#: What explains that rules are broken: then they are told with it, and not once more …
_CAUSES = frozenset(
    "status-changed content-type-changed form-changed end-changed envelope-changed outcome-changed"
    " error-code-changed member-removed type-changed event-removed order-changed".split()
)
#: … and what explains only that shapes, order and framing are others than they should be.
_MINOR_CAUSES = frozenset(
    "member-optional null-appeared value-new item-added part-added event-added framing-changed"
    " id-form-changed".split()
)
_STRUCTURAL_RULE_PREFIXES = ("SCH-", "SEQ-", "SSE-", "ITM-")


def reply_changes(before: StructuralSummary, after: StructuralSummary) -> list[Change]:
    """What changed from one answer to the other; one cause is told once."""
    found = [*_outer_changes(before, after)]
    if not any(each.kind in ("form-changed", "envelope-changed", "status-changed") for each in found):
        found += _inner_changes(before, after)
    broken = {key: how for key, how in after.broken_rules.items() if key not in before.broken_rules}
    kinds = {each.kind for each in found}
    if kinds & _CAUSES:
        explained, causes = broken, _CAUSES | _MINOR_CAUSES
    else:
        explained = {key: how for key, how in broken.items() if key[0].startswith(_STRUCTURAL_RULE_PREFIXES)}
        explained, causes = (explained, _MINOR_CAUSES) if kinds & _MINOR_CAUSES else ({}, frozenset())
    found = [_with_broken_rules(each, explained) if each.kind in causes else each for each in found]
    found += _unexplained_rule_changes(broken, explained)
    kept = (
        []
        if kinds & (_CAUSES | _MINOR_CAUSES)
        else sorted(before.broken_rules.keys() - after.broken_rules.keys())
    )
    return found + [new_change("rule-kept", f"{rule} {place}".strip()) for rule, place in kept]


def _with_broken_rules(change: Change, explained: Mapping[tuple[str, str], BrokenRule]) -> Change:
    """A change with the rules that are broken for it: then it is a breaking one."""
    grade = ChangeSeverity.BREAKING if any(how.is_error for how in explained.values()) else change.severity
    return replace(change, broken_rules=tuple(sorted({rule for rule, _ in explained})), severity=grade)


def _unexplained_rule_changes(
    broken: Mapping[tuple[str, str], BrokenRule], explained: Mapping[tuple[str, str], BrokenRule]
) -> Iterator[Change]:
    for key, how in broken.items():
        if key not in explained:
            grade = ChangeSeverity.BREAKING if how.is_error else ChangeSeverity.WARNING
            yield new_change("rule-broken", " ".join(key).strip(), after=how.message, severity=grade)


def _outer_changes(before: StructuralSummary, after: StructuralSummary) -> Iterator[Change]:
    if before.status != after.status:
        yield new_change("status-changed", "HTTP status", before.status, after.status)
    elif before.kind != after.kind:
        yield new_change("form-changed", "answer", before.kind, after.kind)
    elif before.envelope != after.envelope:
        yield new_change("envelope-changed", "error", before.envelope, after.envelope)
    elif before.content_type != after.content_type:
        yield new_change("content-type-changed", "content-type", before.content_type, after.content_type)
    if before.end != after.end and "left" not in (before.end, after.end):
        grade = None if after.end == "cut" else ChangeSeverity.INFO
        yield new_change("end-changed", "answer", before.end, after.end, grade)


def _inner_changes(before: StructuralSummary, after: StructuralSummary) -> Iterator[Change]:
    if before.response_status != after.response_status and before.end == after.end:
        yield new_change("outcome-changed", "response.status", before.response_status, after.response_status)
    elif before.error_code != after.error_code:
        yield new_change("error-code-changed", "error.code", before.error_code, after.error_code)
    yield from _framing_changes(before, after)
    if before.called_tools != after.called_tools and before.end == after.end:
        yield new_change(
            "tools-changed", "tools called", _join_names(before.called_tools), _join_names(after.called_tools)
        )
    for place in sorted(before.id_forms.keys() & after.id_forms.keys()):
        if new := after.id_forms[place] - before.id_forms[place]:
            yield new_change("id-form-changed", place, _join_names(before.id_forms[place]), _join_names(new))
    if before.response_status == after.response_status and before.end == after.end:
        yield from _type_changes(before, after)
    yield from _order_changes(before, after)
    for key in before.objects.keys() & after.objects.keys():
        yield from _object_changes(key, before.objects[key], after.objects[key])


def _framing_changes(before: StructuralSummary, after: StructuralSummary) -> Iterator[Change]:
    for name in sorted(before.framing.keys() & after.framing.keys()):
        if before.framing[name] != after.framing[name]:
            yield new_change(
                "framing-changed", name, _presence(before.framing[name]), _presence(after.framing[name])
            )
    for name in sorted(after.headers - before.headers):
        yield new_change("header-added", name)
    for name in sorted(before.headers - after.headers):
        yield new_change("header-removed", name)


def _presence(value: bool) -> str:
    return "there" if value else "not there"


def _join_names(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _type_changes(before: StructuralSummary, after: StructuralSummary) -> Iterator[Change]:
    """Kinds that came and went; tools that are called or not tell their items and events themselves."""
    called = {name for name in before.called_tools ^ after.called_tools if name.endswith("_call")} | {
        "function_call"
    }
    items = before.item_types ^ after.item_types
    hidden = items & called if before.called_tools != after.called_tools else set()
    for kind in sorted(after.item_types - before.item_types - hidden):
        yield new_change("item-added", kind)
    for kind in sorted(before.item_types - after.item_types - hidden):
        yield new_change("item-removed", kind)
    for kind in sorted(before.part_types.keys() ^ after.part_types.keys()):
        # With a kind of item come and go those of its parts.
        owners = before.part_types.get(kind, set()) | after.part_types.get(kind, set())
        if not owners or not owners <= items:
            yield new_change("part-added" if kind in after.part_types else "part-removed", kind)
    if items or before.part_types.keys() != after.part_types.keys():
        return  # with the kinds of items and parts, those of their events come and go
    for kind in sorted({*after.event_types} - {*before.event_types}):
        yield new_change("event-added", kind)
    for kind in sorted({*before.event_types} - {*after.event_types}):
        yield new_change("event-removed", kind)


def _order_changes(before: StructuralSummary, after: StructuralSummary) -> Iterator[Change]:
    """Kinds of events that both have, in another order: within items of a type, and around all items."""
    places = [
        (f"{kind} events", before.event_orders[kind], after.event_orders[kind])
        for kind in sorted(before.event_orders.keys() & after.event_orders.keys())
    ]
    within = {
        each
        for orders in (before.event_orders, after.event_orders)
        for order in orders.values()
        for each in order
    }
    around = [tuple(each for each in one.event_types if each not in within) for one in (before, after)]
    for place, one, other in (*places, ("response events", around[0], around[1])):
        common = {*one} & {*other}
        first, second = ([each for each in order if each in common] for order in (one, other))
        if first != second:
            at = next(number for number, each in enumerate(first) if each != second[number])
            yield new_change("order-changed", place, first[at], second[at])


def _object_changes(key: tuple[str, str], before: ObjectSummary, after: ObjectSummary) -> Iterator[Change]:
    context, name = key
    final = name == "response" and (
        not context or context.partition(".")[2] in ("completed", "failed", "incomplete")
    )
    for member, was in before.members.items():
        place, now = f"{name}.{member}", after.members.get(member)
        if was.count < before.count:
            if now is not None:
                yield from _member_changes(
                    place, was, now, compare_enum_values=not (final and member == "status")
                )
        elif now is None:
            yield new_change("member-removed", place)
        else:
            if now.count < after.count:
                yield new_change("member-optional", place, "always", f"in {now.count} of {after.count}")
            yield from _member_changes(
                place, was, now, compare_enum_values=not (final and member == "status")
            )
    for member in after.members.keys() - before.members.keys():
        yield new_change("member-added", f"{name}.{member}", after=_join_names(after.members[member].types))


def _member_changes(
    location: str, before: MemberSummary, after: MemberSummary, *, compare_enum_values: bool
) -> Iterator[Change]:
    new = after.types - before.types
    if new - {"null"} and before.types != {"null"}:
        yield new_change("type-changed", location, _join_names(before.types), _join_names(after.types))
    elif new == {"null"}:
        yield new_change("null-appeared", location, _join_names(before.types), _join_names(after.types))
    if compare_enum_values and (unknown := after.enum_values - before.enum_values) and before.enum_values:
        yield new_change("value-new", location, _join_names(before.enum_values), _join_names(unknown))
