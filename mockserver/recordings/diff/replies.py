"""Compare two replies to the same request by their structural summaries."""

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

#: Changes that explain any newly broken rule: the rule is reported with the change, not on its own.
_CAUSES = frozenset(
    "status-changed content-type-changed form-changed end-changed envelope-changed outcome-changed"
    " error-code-changed member-removed type-changed event-removed order-changed".split()
)
#: Changes that explain only newly broken rules about structure, order and framing.
_MINOR_CAUSES = frozenset(
    "member-optional null-appeared value-new item-added part-added event-added framing-changed"
    " id-form-changed".split()
)
_STRUCTURAL_RULE_PREFIXES = ("SCH-", "SEQ-", "SSE-", "ITM-")


def reply_changes(before: StructuralSummary, after: StructuralSummary) -> list[Change]:
    """What changed from one reply to the other; a broken rule is reported with its cause."""
    changes = [*_outer_changes(before, after)]
    if not any(each.kind in ("form-changed", "envelope-changed", "status-changed") for each in changes):
        changes += _inner_changes(before, after)
    broken = {key: rule for key, rule in after.broken_rules.items() if key not in before.broken_rules}
    kinds = {each.kind for each in changes}
    if kinds & _CAUSES:
        explained, causes = broken, _CAUSES | _MINOR_CAUSES
    else:
        explained = {
            key: rule for key, rule in broken.items() if key[0].startswith(_STRUCTURAL_RULE_PREFIXES)
        }
        explained, causes = (explained, _MINOR_CAUSES) if kinds & _MINOR_CAUSES else ({}, frozenset())
    changes = [_with_broken_rules(each, explained) if each.kind in causes else each for each in changes]
    changes += _unexplained_rule_changes(broken, explained)
    no_longer_broken = (
        []
        if kinds & (_CAUSES | _MINOR_CAUSES)
        else sorted(before.broken_rules.keys() - after.broken_rules.keys())
    )
    return changes + [
        new_change("rule-kept", f"{rule} {location}".strip()) for rule, location in no_longer_broken
    ]


def _with_broken_rules(change: Change, explained: Mapping[tuple[str, str], BrokenRule]) -> Change:
    """The change with the rules that it breaks; it is breaking if one of them is an error."""
    is_error = any(rule.is_error for rule in explained.values())
    severity = ChangeSeverity.BREAKING if is_error else change.severity
    return replace(change, broken_rules=tuple(sorted({rule for rule, _ in explained})), severity=severity)


def _unexplained_rule_changes(
    broken: Mapping[tuple[str, str], BrokenRule], explained: Mapping[tuple[str, str], BrokenRule]
) -> Iterator[Change]:
    for key, rule in broken.items():
        if key not in explained:
            severity = ChangeSeverity.BREAKING if rule.is_error else ChangeSeverity.WARNING
            yield new_change("rule-broken", " ".join(key).strip(), after=rule.message, severity=severity)


def _outer_changes(before: StructuralSummary, after: StructuralSummary) -> Iterator[Change]:
    if before.status != after.status:
        yield new_change("status-changed", "HTTP status", before.status, after.status)
    elif before.kind != after.kind:
        yield new_change("form-changed", "reply", before.kind, after.kind)
    elif before.envelope != after.envelope:
        yield new_change("envelope-changed", "error", before.envelope, after.envelope)
    elif before.content_type != after.content_type:
        yield new_change("content-type-changed", "content-type", before.content_type, after.content_type)
    if before.end != after.end and "left" not in (before.end, after.end):
        severity = None if after.end == "cut" else ChangeSeverity.INFO
        yield new_change("end-changed", "reply", before.end, after.end, severity)


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
    for location in sorted(before.id_forms.keys() & after.id_forms.keys()):
        old = before.id_forms[location]
        if new := after.id_forms[location] - old:
            yield new_change("id-form-changed", location, _join_names(old), _join_names(new))
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
    return "present" if value else "absent"


def _join_names(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _type_changes(before: StructuralSummary, after: StructuralSummary) -> Iterator[Change]:
    """Item, part and event types that were added or removed, unless other tool calls explain them."""
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
        # An item type that is added or removed brings its part types with it.
        owners = before.part_types.get(kind, set()) | after.part_types.get(kind, set())
        if not owners or not owners <= items:
            yield new_change("part-added" if kind in after.part_types else "part-removed", kind)
    if items or before.part_types.keys() != after.part_types.keys():
        return  # item and part types that are added or removed bring their event types with them
    for kind in sorted({*after.event_types} - {*before.event_types}):
        yield new_change("event-added", kind)
    for kind in sorted({*before.event_types} - {*after.event_types}):
        yield new_change("event-removed", kind)


def _order_changes(before: StructuralSummary, after: StructuralSummary) -> Iterator[Change]:
    """Event types that both have, in another order: within items of a type, and outside of items."""
    orders = [
        (f"{kind} events", before.event_orders[kind], after.event_orders[kind])
        for kind in sorted(before.event_orders.keys() & after.event_orders.keys())
    ]
    within = {
        each
        for orders in (before.event_orders, after.event_orders)
        for order in orders.values()
        for each in order
    }
    outside = [tuple(each for each in one.event_types if each not in within) for one in (before, after)]
    for location, old, new in (*orders, ("response events", outside[0], outside[1])):
        common = {*old} & {*new}
        first, second = ([each for each in order if each in common] for order in (old, new))
        if first != second:
            index = next(number for number, each in enumerate(first) if each != second[number])
            yield new_change("order-changed", location, first[index], second[index])


def _object_changes(key: tuple[str, str], before: ObjectSummary, after: ObjectSummary) -> Iterator[Change]:
    context, name = key
    is_final = name == "response" and (
        not context or context.partition(".")[2] in ("completed", "failed", "incomplete")
    )
    for member, old in before.members.items():
        location, new = f"{name}.{member}", after.members.get(member)
        was_always_there = old.count >= before.count
        if new is None:
            if was_always_there:
                yield new_change("member-removed", location)
            continue
        if was_always_there and new.count < after.count:
            yield new_change("member-optional", location, "always", f"in {new.count} of {after.count}")
        yield from _member_changes(
            location, old, new, compare_enum_values=not (is_final and member == "status")
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
