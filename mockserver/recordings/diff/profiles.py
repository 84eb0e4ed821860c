"""Two profiles, compared: what a client of one age meets in the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from mockserver.contract.operations import bodies
from mockserver.contract.schemas import ProfileSchemas, schemas
from mockserver.profiles import Profile, load_profile
from mockserver.recordings.diff.changes import Change, Grade, change, merged

__all__ = ["profile_changes"]

_BREAKING_FACTS = frozenset({"base_path"})
#: What tells profiles apart, and is no change of the contract.
_NAMES = frozenset({"name", "title", "age"})


def profile_changes(before: str, after: str) -> list[Change]:
    """What changed from one profile to the other; UnknownProfile."""
    return merged((*_facts(load_profile(before), load_profile(after)), *_schemas(before, after)))


def _facts(before: Profile, after: Profile) -> Iterator[Change]:
    for each in fields(Profile):
        was, now = _plain(getattr(before, each.name)), _plain(getattr(after, each.name))
        if each.name in _NAMES or was == now:
            continue
        grade = Grade.BREAKING if each.name in _BREAKING_FACTS else None
        if isinstance(was, list) and isinstance(now, list):
            was, now = [one for one in was if one not in now], [one for one in now if one not in was]
        yield change("profile-changed", each.name, _told(was), _told(now), grade)


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [*value]
    return [*value] if isinstance(value, Mapping) else value


def _told(value: Any) -> str:
    return ", ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)


def _schemas(before: str, after: str) -> Iterator[Change]:
    old, new = schemas(before).known(), schemas(after).known()
    asked = _asked(before) | _asked(after)
    for name in sorted(old.keys() - new.keys()):
        yield change("schema-removed", name)
    for name in sorted(new.keys() - old.keys()):
        yield change("schema-added", name)
    for name in sorted(old.keys() & new.keys()):
        yield from _schema(name, old[name], new[name], asked=name in asked)


def _asked(profile: str) -> set[str]:
    """Schemas of what clients send, and no service."""
    known, about = schemas(profile), load_profile(profile)
    given = {name for name in (*bodies(about), "response", "event") if not _is_request(name)}
    sent = {name for name in (*bodies(about), "create_request") if _is_request(name)}
    return _within(known, sent) - _within(known, given)


def _is_request(name: str) -> bool:
    return name.startswith(("create_", "update_"))


def _within(known: ProfileSchemas, roots: set[str]) -> set[str]:
    found = set(roots)
    for root in roots:
        found |= known.document(root).get("$defs", {}).keys()
    return found


def _schema(place: str, old: Any, new: Any, *, asked: bool) -> Iterator[Change]:
    """Changes of one schema, and of those written within it."""
    was, now = (_kinds(each) for each in (old, new))
    if was and now and was != now:
        grown = was < now and now - was == {"null"}
        yield change("null-appeared" if grown else "type-changed", place, _told([*was]), _told([*now]))
    first, second = ([*map(str, each.get("enum", ()))] for each in (old, new))
    if first and (unknown := [each for each in second if each not in first]):
        yield change("value-new", place, _told(first), _told(unknown))
    if second and (gone := [each for each in first if each not in second]):
        yield change("value-removed", place, _told(gone), _told(second))
    required = [set(each.get("required", ())) for each in (old, new)]
    members = [each.get("properties", {}) for each in (old, new)]
    for name in sorted(members[0].keys() - members[1].keys()):
        yield change("member-removed", f"{place}.{name}")
    for name in sorted(members[1].keys() - members[0].keys()):
        must = asked and name in required[1]
        yield change("required-added" if must else "member-added", f"{place}.{name}")
    for name in sorted(members[0].keys() & members[1].keys()):
        if asked and name in required[1] - required[0]:
            yield change("required-added", f"{place}.{name}")
        if not asked and name in required[0] - required[1]:
            yield change("required-removed", f"{place}.{name}")
        yield from _schema(f"{place}.{name}", members[0][name], members[1][name], asked=asked)
    if isinstance(old.get("items"), dict) and isinstance(new.get("items"), dict):
        yield from _schema(f"{place}.*", old["items"], new["items"], asked=asked)


def _kinds(schema: Mapping[str, Any]) -> set[str]:
    kind = schema.get("type", [])
    return {kind} if isinstance(kind, str) else set(kind)
