"""Two profiles, compared: what a client of one age meets in the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from mockserver.contract.operations import body_schemas
from mockserver.contract.schema.registry import ProfileSchemas, load_schemas
from mockserver.profiles import Profile, load_profile
from mockserver.recordings.diff.changes import Change, ChangeSeverity, merge_changes, new_change

__all__ = ["profile_changes"]

_BREAKING_FACTS = frozenset({"base_path"})
#: What tells profiles apart, and is no change of the contract.
_IDENTITY_FIELDS = frozenset({"name", "title", "date"})


def profile_changes(before: str, after: str) -> list[Change]:
    """What changed from one profile to the other; UnknownProfile."""
    return merge_changes(
        (*_fact_changes(load_profile(before), load_profile(after)), *_schema_set_changes(before, after))
    )


def _fact_changes(before: Profile, after: Profile) -> Iterator[Change]:
    for each in fields(Profile):
        was, now = _comparable(getattr(before, each.name)), _comparable(getattr(after, each.name))
        if each.name in _IDENTITY_FIELDS or was == now:
            continue
        grade = ChangeSeverity.BREAKING if each.name in _BREAKING_FACTS else None
        if isinstance(was, list) and isinstance(now, list):
            was, now = [one for one in was if one not in now], [one for one in now if one not in was]
        yield new_change("profile-changed", each.name, _format_value(was), _format_value(now), grade)


def _comparable(value: Any) -> Any:
    if isinstance(value, tuple):
        return [*value]
    return [*value] if isinstance(value, Mapping) else value


def _format_value(value: Any) -> str:
    return ", ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)


def _schema_set_changes(before: str, after: str) -> Iterator[Change]:
    old, new = load_schemas(before).all_schemas(), load_schemas(after).all_schemas()
    asked = _request_schemas(before) | _request_schemas(after)
    for name in sorted(old.keys() - new.keys()):
        yield new_change("schema-removed", name)
    for name in sorted(new.keys() - old.keys()):
        yield new_change("schema-added", name)
    for name in sorted(old.keys() & new.keys()):
        yield from _schema_changes(name, old[name], new[name], in_requests=name in asked)


def _request_schemas(profile: str) -> set[str]:
    """Schemas of what clients send, and no service."""
    known, about = load_schemas(profile), load_profile(profile)
    given = {name for name in (*body_schemas(about), "response", "event") if not _is_request_schema(name)}
    sent = {name for name in (*body_schemas(about), "create_request") if _is_request_schema(name)}
    return _with_definitions(known, sent) - _with_definitions(known, given)


def _is_request_schema(name: str) -> bool:
    return name.startswith(("create_", "update_"))


def _with_definitions(known: ProfileSchemas, roots: set[str]) -> set[str]:
    found = set(roots)
    for root in roots:
        found |= known.document(root).get("$defs", {}).keys()
    return found


def _schema_changes(location: str, old: Any, new: Any, *, in_requests: bool) -> Iterator[Change]:
    """Changes of one schema, and of those written within it."""
    was, now = (_json_types(each) for each in (old, new))
    if was and now and was != now:
        grown = was < now and now - was == {"null"}
        yield new_change(
            "null-appeared" if grown else "type-changed",
            location,
            _format_value([*was]),
            _format_value([*now]),
        )
    first, second = ([*map(str, each.get("enum", ()))] for each in (old, new))
    if first and (unknown := [each for each in second if each not in first]):
        yield new_change("value-new", location, _format_value(first), _format_value(unknown))
    if second and (gone := [each for each in first if each not in second]):
        yield new_change("value-removed", location, _format_value(gone), _format_value(second))
    required = [set(each.get("required", ())) for each in (old, new)]
    members = [each.get("properties", {}) for each in (old, new)]
    for name in sorted(members[0].keys() - members[1].keys()):
        yield new_change("member-removed", f"{location}.{name}")
    for name in sorted(members[1].keys() - members[0].keys()):
        must = in_requests and name in required[1]
        yield new_change("required-added" if must else "member-added", f"{location}.{name}")
    for name in sorted(members[0].keys() & members[1].keys()):
        if in_requests and name in required[1] - required[0]:
            yield new_change("required-added", f"{location}.{name}")
        if not in_requests and name in required[0] - required[1]:
            yield new_change("required-removed", f"{location}.{name}")
        yield from _schema_changes(
            f"{location}.{name}", members[0][name], members[1][name], in_requests=in_requests
        )
    if isinstance(old.get("items"), dict) and isinstance(new.get("items"), dict):
        yield from _schema_changes(f"{location}.*", old["items"], new["items"], in_requests=in_requests)


def _json_types(schema: Mapping[str, Any]) -> set[str]:
    kind = schema.get("type", [])
    return {kind} if isinstance(kind, str) else set(kind)
