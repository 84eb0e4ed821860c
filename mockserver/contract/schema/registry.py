"""The schemas of a profile, open and closed, compiled on first use.

An *open* schema is what the contract demands: unknown members and types are legal. A *closed* schema refuses
them too. Nearly all values are closed-valid and need no further check: that is the fast path. jsonschema-rs
compiles the schemas; the reference implementation (jsonschema) runs only to explain a value that failed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import orjson

from mockserver import profiles, resources
from mockserver.contract.operations import body_schemas
from mockserver.contract.schema import overlays
from mockserver.contract.schema.compilation import Validator, compile_validator
from mockserver.errors import ConfigurationError, UnknownSchema
from mockserver.suggestions import choose_from

if TYPE_CHECKING:
    from mockserver.contract.schema import validation_messages

__all__ = ["ROOT_SCHEMAS", "ProfileSchemas", "load_schemas"]

#: Schemas of whole bodies and events, beside those of the operations; every other schema is part of one of
#: these.
ROOT_SCHEMAS = ("create_request", "response", "event", "error", "error_wrapped")


@cache
def load_schemas(profile_name: str = profiles.DEFAULT_PROFILE) -> ProfileSchemas:
    """The schemas of the profile of that name. Raises UnknownProfile."""
    profile = profiles.load_profile_document(profile_name)
    folders = profile.get("schemas", ["core"])
    date = profile["facts"]["date"]["value"]
    roots = (*ROOT_SCHEMAS, *body_schemas(profiles.load_profile(profile_name)))
    return ProfileSchemas(profile_name, date, profile["overlays"], folders, roots)


@cache
def _list_folder(name: str) -> tuple[str, ...]:
    return resources.json_names("schemas", name)


@cache
def _load_schema(folder: str, name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = orjson.loads(resources.read_json("schemas", folder, name))
    return loaded


class _PatchedSchemas(Mapping[str, dict[str, Any]]):
    """The schemas of folders with the patches of a profile, each loaded when it is first used."""

    def __init__(self, folders: Iterable[str], patches: Mapping[str, Any]) -> None:
        self._folders = {name: folder for folder in folders for name in _list_folder(folder)}
        self._patches = patches
        self._patched: dict[str, dict[str, Any]] = {}

    def __getitem__(self, name: str) -> dict[str, Any]:
        if name not in self._patched:
            schema = _load_schema(self._folders[name], name)
            self._patched[name] = overlays.merge_patch(schema, self._patches.get(name, {}))
        return self._patched[name]

    def __contains__(self, name: object) -> bool:
        return name in self._folders

    def __iter__(self) -> Iterator[str]:
        return iter(self._folders)

    def __len__(self) -> int:
        return len(self._folders)


class ProfileSchemas:
    """The schemas of one profile, by the name of the object.

    Objects are named `create_request`, `response`, `usage`, `error`, …, items and parts by their
    `type`, events by theirs ("response.created"); `item`, `event` and `tool` are the unions.
    """

    def __init__(
        self,
        profile: str,
        date: str,
        patches: Mapping[str, Any],
        folders: Iterable[str] = ("core",),
        roots: Iterable[str] = ROOT_SCHEMAS,
    ) -> None:
        self.profile = profile
        self.date = date
        self._roots = tuple(dict.fromkeys(roots))
        self.undated: Mapping[str, dict[str, Any]] = _PatchedSchemas(folders, patches)
        """Schemas for all dates, by name, with the profile's patches; `find_unknown_members` walks them.

        A later folder overrides an earlier one: a service other than Qwen has unions of its own.
        """
        unknown = sorted(patches.keys() - self.undated.keys())
        if unknown:
            raise ConfigurationError(f"profile {profile}: overlays for unknown schemas: {', '.join(unknown)}")
        self._documents: dict[tuple[str, bool], bytes] = {}
        self._validators: dict[tuple[str, bool], Validator] = {}
        self._explainers: dict[str, validation_messages.ViolationExplainer] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all schemas, sorted."""
        return tuple(sorted(self.undated))

    @cached_property
    def event_types(self) -> tuple[str, ...]:
        """The event types that the profile knows."""
        known = overlays.union_branches(self.undated["event"])
        return tuple(kind for kind, branch in known if overlays.is_known(branch, self.date))

    def document(self, name: str, closed: bool = False) -> dict[str, Any]:
        """The schema as one JSON Schema document with its own `$defs`. UnknownSchema lists the names."""
        key = (name, closed)
        if key not in self._documents:
            self._require_name(name)
            self._documents[key] = orjson.dumps(
                overlays.bundle_schema(self.undated, name, self.date, closed=closed)
            )
        loaded: dict[str, Any] = orjson.loads(self._documents[key])
        return loaded

    def schema(self, name: str) -> dict[str, Any]:
        """The schema alone, with file names as references. UnknownSchema lists the names."""
        self._require_name(name)
        return overlays.schema_as_of(self.undated[name], self.date)

    def all_schemas(self) -> dict[str, dict[str, Any]]:
        """Every schema that the profile uses, each alone, by name."""
        return overlays.reachable_schemas(self.undated, self._roots, self.date)

    def validator(self, name: str) -> Validator:
        """A function that tells whether a value is legal."""
        return self._validator(name, closed=False)

    def closed_validator(self, name: str) -> Validator:
        """A function that tells whether a value is legal and has nothing unknown."""
        return self._validator(name, closed=True)

    def is_valid(self, name: str, value: Any) -> bool:
        """Whether `value` is legal."""
        return self.validator(name)(value)

    def is_closed_valid(self, name: str, value: Any) -> bool:
        """Whether `value` is legal and the profile knows all its members and types."""
        return self.closed_validator(name)(value)

    def violations(self, name: str, value: Any) -> validation_messages.Violations:
        """Explain why `value` is illegal. Slow: call `is_valid` first."""
        if name not in self._explainers:
            from mockserver.contract.schema import validation_messages

            self._explainers[name] = validation_messages.ViolationExplainer(self.document(name))
        return self._explainers[name].explain(value)

    def _require_name(self, name: str) -> None:
        if name not in self.undated:
            raise UnknownSchema(
                f"profile {self.profile} has no schema {name!r}{choose_from(name, self.all_schemas())}"
            )

    def _validator(self, name: str, *, closed: bool) -> Validator:
        key = (name, closed)
        if key not in self._validators:
            self._validators[key] = compile_validator(self.document(name, closed))
        return self._validators[key]
