"""Two answers to the same request, compared by what they show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from mockserver.recordings.diff.changes import Change, Grade, change
from mockserver.recordings.diff.pictures import Broken, Member, Picture, Shape

__all__ = ["answer_changes"]

#: What explains that rules are broken: then they are told with it, and not once more …
_CAUSES = frozenset(
    "status-changed content-type-changed form-changed end-changed envelope-changed outcome-changed"
    " error-code-changed member-removed type-changed event-removed order-changed".split()
)
#: … and what explains only that shapes, order and framing are others than they should be.
_SLIGHT_CAUSES = frozenset(
    "member-optional null-appeared value-new item-added part-added event-added framing-changed"
    " id-form-changed".split()
)
_OF_SHAPES = ("SCH-", "SEQ-", "SSE-", "ITM-")


def answer_changes(before: Picture, after: Picture) -> list[Change]:
    """What changed from one answer to the other; one cause is told once."""
    found = [*_outer_changes(before, after)]
    if not any(each.kind in ("form-changed", "envelope-changed", "status-changed") for each in found):
        found += _inner_changes(before, after)
    broken = {key: how for key, how in after.rules.items() if key not in before.rules}
    kinds = {each.kind for each in found}
    if kinds & _CAUSES:
        explained, causes = broken, _CAUSES | _SLIGHT_CAUSES
    else:
        explained = {key: how for key, how in broken.items() if key[0].startswith(_OF_SHAPES)}
        explained, causes = (explained, _SLIGHT_CAUSES) if kinds & _SLIGHT_CAUSES else ({}, frozenset())
    found = [_breaking(each, explained) if each.kind in causes else each for each in found]
    found += _rules(broken, explained)
    kept = [] if kinds & (_CAUSES | _SLIGHT_CAUSES) else sorted(before.rules.keys() - after.rules.keys())
    return found + [change("rule-kept", f"{rule} {place}".strip()) for rule, place in kept]


def _breaking(each: Change, explained: Mapping[tuple[str, str], Broken]) -> Change:
    """A change with the rules that are broken for it: then it is a breaking one."""
    grade = Grade.BREAKING if any(how.is_error for how in explained.values()) else each.grade
    return replace(each, breaks=tuple(sorted({rule for rule, _ in explained})), grade=grade)


def _rules(
    broken: Mapping[tuple[str, str], Broken], explained: Mapping[tuple[str, str], Broken]
) -> Iterator[Change]:
    for key, how in broken.items():
        if key not in explained:
            grade = Grade.BREAKING if how.is_error else Grade.WARNING
            yield change("rule-broken", " ".join(key).strip(), after=how.message, grade=grade)


def _outer_changes(before: Picture, after: Picture) -> Iterator[Change]:
    if before.status != after.status:
        yield change("status-changed", "HTTP status", before.status, after.status)
    elif before.form != after.form:
        yield change("form-changed", "answer", before.form, after.form)
    elif before.envelope != after.envelope:
        yield change("envelope-changed", "error", before.envelope, after.envelope)
    elif before.content_type != after.content_type:
        yield change("content-type-changed", "content-type", before.content_type, after.content_type)
    if before.end != after.end and "left" not in (before.end, after.end):
        grade = None if after.end == "cut" else Grade.INFO
        yield change("end-changed", "answer", before.end, after.end, grade)


def _inner_changes(before: Picture, after: Picture) -> Iterator[Change]:
    if before.outcome != after.outcome and before.end == after.end:
        yield change("outcome-changed", "response.status", before.outcome, after.outcome)
    elif before.code != after.code:
        yield change("error-code-changed", "error.code", before.code, after.code)
    yield from _framing(before, after)
    if before.tools != after.tools and before.end == after.end:
        yield change("tools-changed", "tools called", _listed(before.tools), _listed(after.tools))
    for place in sorted(before.ids.keys() & after.ids.keys()):
        if new := after.ids[place] - before.ids[place]:
            yield change("id-form-changed", place, _listed(before.ids[place]), _listed(new))
    if before.outcome == after.outcome and before.end == after.end:
        yield from _kinds(before, after)
    yield from _orders(before, after)
    for key in before.shapes.keys() & after.shapes.keys():
        yield from _shape_changes(key, before.shapes[key], after.shapes[key])


def _framing(before: Picture, after: Picture) -> Iterator[Change]:
    for name in sorted(before.framing.keys() & after.framing.keys()):
        if before.framing[name] != after.framing[name]:
            yield change("framing-changed", name, _there(before.framing[name]), _there(after.framing[name]))
    for name in sorted(after.headers - before.headers):
        yield change("header-added", name)
    for name in sorted(before.headers - after.headers):
        yield change("header-removed", name)


def _there(value: bool) -> str:
    return "there" if value else "not there"


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _kinds(before: Picture, after: Picture) -> Iterator[Change]:
    """Kinds that came and went; tools that are called or not tell their items and events themselves."""
    called = {name for name in before.tools ^ after.tools if name.endswith("_call")} | {"function_call"}
    items = before.items ^ after.items
    hidden = items & called if before.tools != after.tools else set()
    for kind in sorted(after.items - before.items - hidden):
        yield change("item-added", kind)
    for kind in sorted(before.items - after.items - hidden):
        yield change("item-removed", kind)
    for kind in sorted(before.parts.keys() ^ after.parts.keys()):
        # With a kind of item come and go those of its parts.
        owners = before.parts.get(kind, set()) | after.parts.get(kind, set())
        if not owners or not owners <= items:
            yield change("part-added" if kind in after.parts else "part-removed", kind)
    if items or before.parts.keys() != after.parts.keys():
        return  # with the kinds of items and parts, those of their events come and go
    for kind in sorted({*after.events} - {*before.events}):
        yield change("event-added", kind)
    for kind in sorted({*before.events} - {*after.events}):
        yield change("event-removed", kind)


def _orders(before: Picture, after: Picture) -> Iterator[Change]:
    """Kinds of events that both have, in another order: within items of a type, and around all items."""
    places = [
        (f"{kind} events", before.orders[kind], after.orders[kind])
        for kind in sorted(before.orders.keys() & after.orders.keys())
    ]
    within = {each for orders in (before.orders, after.orders) for order in orders.values() for each in order}
    around = [tuple(each for each in one.events if each not in within) for one in (before, after)]
    for place, one, other in (*places, ("response events", around[0], around[1])):
        common = {*one} & {*other}
        first, second = ([each for each in order if each in common] for order in (one, other))
        if first != second:
            at = next(number for number, each in enumerate(first) if each != second[number])
            yield change("order-changed", place, first[at], second[at])


def _shape_changes(key: tuple[str, str], before: Shape, after: Shape) -> Iterator[Change]:
    context, name = key
    final = name == "response" and (
        not context or context.partition(".")[2] in ("completed", "failed", "incomplete")
    )
    for member, was in before.members.items():
        place, now = f"{name}.{member}", after.members.get(member)
        if was.count < before.count:
            if now is not None:
                yield from _member_changes(place, was, now, words=not (final and member == "status"))
        elif now is None:
            yield change("member-removed", place)
        else:
            if now.count < after.count:
                yield change("member-optional", place, "always", f"in {now.count} of {after.count}")
            yield from _member_changes(place, was, now, words=not (final and member == "status"))
    for member in after.members.keys() - before.members.keys():
        yield change("member-added", f"{name}.{member}", after=_listed(after.members[member].types))


def _member_changes(place: str, was: Member, now: Member, *, words: bool) -> Iterator[Change]:
    new = now.types - was.types
    if new - {"null"} and was.types != {"null"}:
        yield change("type-changed", place, _listed(was.types), _listed(now.types))
    elif new == {"null"}:
        yield change("null-appeared", place, _listed(was.types), _listed(now.types))
    if words and (unknown := now.words - was.words) and was.words:
        yield change("value-new", place, _listed(was.words), _listed(unknown))
