"""The schemas of a profile: one document an object, open and closed, compiled when first used.

*Open* is what the contract demands: what a profile does not know is legal. *Closed* refuses unknown
members and types as well. A value that is closed-valid needs no further look, and nearly all are:
that is the fast path. Compiled by jsonschema-rs; the reference implementation (jsonschema) is asked
only for the words, when a value has failed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache, cached_property
from types import MappingProxyType
from typing import Any

import orjson

from mockserver import profiles, resources
from mockserver.contract import overlays, problems
from mockserver.contract.operations import bodies
from mockserver.errors import ConfigurationError, UnknownSchema

__all__ = ["ROOTS", "ProfileSchemas", "schemas"]

Check = Callable[[Any], bool]

#: What crosses the wire as a whole in every profile, beside the bodies of its operations; everything else
#: is a part of one of these.
ROOTS = ("create_request", "response", "event", "error", "error_wrapped")


@cache
def schemas(profile_name: str = profiles.DEFAULT_PROFILE) -> ProfileSchemas:
    """The schemas of the profile of that name; UnknownProfile where there is none."""
    profile = profiles.document(profile_name)
    folders = profile.get("schemas", ["core"])
    age = profile["facts"]["age"]["value"]
    roots = (*ROOTS, *bodies(profiles.load_profile(profile_name)))
    return ProfileSchemas(profile_name, age, profile["overlays"], folders, roots)


@cache
def _folder(name: str) -> Mapping[str, dict[str, Any]]:
    return MappingProxyType(
        {name: orjson.loads(data) for name, data in resources.json_files("schemas", name)}
    )


class ProfileSchemas:
    """The schemas of one profile, by the name of the object.

    Objects are named `create_request`, `response`, `usage`, `error`, …, items and parts by their
    `type`, events by theirs ("response.created"); `item`, `event` and `tool` are the unions.
    """

    def __init__(
        self,
        profile: str,
        age: str,
        patches: Mapping[str, Any],
        folders: Iterable[str] = ("core",),
        roots: Iterable[str] = ROOTS,
    ) -> None:
        self.profile = profile
        self.age = age
        self._roots = tuple(dict.fromkeys(roots))
        base = {name: each for folder in folders for name, each in _folder(folder).items()}
        strangers = sorted(patches.keys() - base.keys())
        if strangers:
            raise ConfigurationError(f"profile {profile}: overlays name no schema: {', '.join(strangers)}")
        self.union: Mapping[str, dict[str, Any]] = MappingProxyType(
            {name: overlays.merge_patch(each, patches.get(name, {})) for name, each in base.items()}
        )
        """Schemas over all ages, by name, with the profile's patches: what the member walk reads.

        Of several folders the later one counts: a service that is not Qwen's has its own unions.
        """
        self._texts: dict[tuple[str, bool], bytes] = {}
        self._checks: dict[tuple[str, bool], Check] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all schemas, sorted."""
        return tuple(sorted(self.union))

    @cached_property
    def event_types(self) -> tuple[str, ...]:
        """Types of the events that the profile knows."""
        known = overlays.branches(self.union["event"])
        return tuple(kind for kind, branch in known if overlays.is_known(branch, self.age))

    def document(self, name: str, closed: bool = False) -> dict[str, Any]:
        """The schema as one JSON Schema document with its own `$defs`; UnknownSchema lists the names."""
        key = (name, closed)
        if key not in self._texts:
            self._require(name)
            self._texts[key] = orjson.dumps(overlays.flatten(self.union, name, self.age, closed=closed))
        loaded: dict[str, Any] = orjson.loads(self._texts[key])
        return loaded

    def single(self, name: str) -> dict[str, Any]:
        """The schema alone, its references as file names; UnknownSchema lists the names."""
        self._require(name)
        return overlays.aged(self.union[name], self.age)

    def known(self) -> dict[str, dict[str, Any]]:
        """The schemas that the profile's age has, alone and by name."""
        return overlays.reachable(self.union, self._roots, self.age)

    def check(self, name: str) -> Check:
        """The open validator as a function: whether a value is legal."""
        return self._check(name, closed=False)

    def closed_check(self, name: str) -> Check:
        """The closed validator as a function: whether a value is legal and known throughout."""
        return self._check(name, closed=True)

    def valid(self, name: str, value: Any) -> bool:
        """Whether `value` is legal."""
        return self.check(name)(value)

    def closed_valid(self, name: str, value: Any) -> bool:
        """Whether `value` is legal and has no member or type that the profile does not know."""
        return self.closed_check(name)(value)

    def problems(self, name: str, value: Any) -> list[problems.Problem]:
        """What makes `value` illegal, by the reference validator: slow, so ask `valid` first."""
        return problems.explain(self.document(name), value)

    def _require(self, name: str) -> None:
        if name not in self.union:
            raise UnknownSchema(
                f"profile {self.profile} has no schema {name!r}; there are: {', '.join(self.names)}"
            )

    def _check(self, name: str, *, closed: bool) -> Check:
        key = (name, closed)
        if key not in self._checks:
            self._checks[key] = _compiled(self.document(name, closed))
        return self._checks[key]


def _compiled(document: dict[str, Any]) -> Check:
    import jsonschema_rs

    is_valid = jsonschema_rs.Draft202012Validator(document).is_valid

    def check(value: Any) -> bool:
        try:
            return is_valid(value)
        except ValueError:  # not a JSON value at all: a lone surrogate in a name, a set
            return False

    return check
