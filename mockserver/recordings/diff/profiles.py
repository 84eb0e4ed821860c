"""Compare two profiles: what a client of one meets in the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mockserver.contract.operations import body_schemas
from mockserver.contract.schema.registry import ProfileSchemas, load_schemas
from mockserver.profiles import Profile, load_profile
from mockserver.recordings.diff.changes import Change, ChangeSeverity, merge_changes, new_change

__all__ = ["profile_changes"]

_BREAKING_FACTS = frozenset({"base_path"})
#: Fields that identify a profile and are no change of the contract.
_IDENTITY_FIELDS = frozenset({"name", "title", "date"})


def profile_changes(before: str, after: str) -> list[Change]:
    """What changed from one profile to the other. Raises UnknownProfile."""
    return merge_changes(
        (*_fact_changes(load_profile(before), load_profile(after)), *_schema_set_changes(before, after))
    )


def _fact_changes(before: Profile, after: Profile) -> Iterator[Change]:
    for name in Profile._fields:
        old, new = _comparable(getattr(before, name)), _comparable(getattr(after, name))
        if name in _IDENTITY_FIELDS or old == new:
            continue
        severity = ChangeSeverity.BREAKING if name in _BREAKING_FACTS else None
        if isinstance(old, list) and isinstance(new, list):
            old, new = [one for one in old if one not in new], [one for one in new if one not in old]
        yield new_change("profile-changed", name, _format_value(old), _format_value(new), severity)


def _comparable(value: Any) -> Any:
    if isinstance(value, tuple):
        return [*value]
    return [*value] if isinstance(value, Mapping) else value


def _format_value(value: Any) -> str:
    return ", ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)


def _schema_set_changes(before: str, after: str) -> Iterator[Change]:
    old, new = load_schemas(before).all_schemas(), load_schemas(after).all_schemas()
    request_schemas = _request_schemas(before) | _request_schemas(after)
    for name in sorted(old.keys() - new.keys()):
        yield new_change("schema-removed", name)
    for name in sorted(new.keys() - old.keys()):
        yield new_change("schema-added", name)
    for name in sorted(old.keys() & new.keys()):
        yield from _schema_changes(name, old[name], new[name], in_requests=name in request_schemas)


def _request_schemas(profile: str) -> set[str]:
    """Schemas that only clients use, never the service."""
    schemas, loaded = load_schemas(profile), load_profile(profile)
    replies = {name for name in (*body_schemas(loaded), "response", "event") if not _is_request_schema(name)}
    requests = {name for name in (*body_schemas(loaded), "create_request") if _is_request_schema(name)}
    return _with_definitions(schemas, requests) - _with_definitions(schemas, replies)


def _is_request_schema(name: str) -> bool:
    return name.startswith(("create_", "update_"))


def _with_definitions(schemas: ProfileSchemas, roots: set[str]) -> set[str]:
    names = set(roots)
    for root in roots:
        names |= schemas.document(root).get("$defs", {}).keys()
    return names


def _schema_changes(location: str, old: Any, new: Any, *, in_requests: bool) -> Iterator[Change]:
    """Changes of a schema and of those nested in it."""
    yield from _value_changes(location, old, new)
    yield from _member_changes(location, old, new, in_requests=in_requests)
    if isinstance(old.get("items"), dict) and isinstance(new.get("items"), dict):
        yield from _schema_changes(f"{location}.*", old["items"], new["items"], in_requests=in_requests)


def _value_changes(location: str, old: Any, new: Any) -> Iterator[Change]:
    """Changes of the types and of the listed values."""
    old_types, new_types = (_json_types(each) for each in (old, new))
    if old_types and new_types and old_types != new_types:
        only_null_added = old_types < new_types and new_types - old_types == {"null"}
        yield new_change(
            "null-appeared" if only_null_added else "type-changed",
            location,
            _format_value([*old_types]),
            _format_value([*new_types]),
        )
    old_values, new_values = ([*map(str, each.get("enum", ()))] for each in (old, new))
    if old_values and (added := [each for each in new_values if each not in old_values]):
        yield new_change("value-new", location, _format_value(old_values), _format_value(added))
    if new_values and (removed := [each for each in old_values if each not in new_values]):
        yield new_change("value-removed", location, _format_value(removed), _format_value(new_values))


def _member_changes(location: str, old: Any, new: Any, *, in_requests: bool) -> Iterator[Change]:
    required = [set(each.get("required", ())) for each in (old, new)]
    members = [each.get("properties", {}) for each in (old, new)]
    for name in sorted(members[0].keys() - members[1].keys()):
        yield new_change("member-removed", f"{location}.{name}")
    for name in sorted(members[1].keys() - members[0].keys()):
        is_required = in_requests and name in required[1]
        yield new_change("required-added" if is_required else "member-added", f"{location}.{name}")
    for name in sorted(members[0].keys() & members[1].keys()):
        if in_requests and name in required[1] - required[0]:
            yield new_change("required-added", f"{location}.{name}")
        if not in_requests and name in required[0] - required[1]:
            yield new_change("required-removed", f"{location}.{name}")
        yield from _schema_changes(
            f"{location}.{name}", members[0][name], members[1][name], in_requests=in_requests
        )


def _json_types(schema: Mapping[str, Any]) -> set[str]:
    types = schema.get("type", [])
    return {types} if isinstance(types, str) else set(types)
