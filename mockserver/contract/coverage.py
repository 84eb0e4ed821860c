"""What of the contract a run has seen: members, values of enumerations, types; and what there is to see.

Names are the schemas' own: "message.role", "response.status=failed", "item~reasoning".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from mockserver.contract.examples import load_examples
from mockserver.contract.operations import bodies
from mockserver.contract.overlays import branches
from mockserver.contract.rules import load_rules
from mockserver.contract.schemas import ProfileSchemas, schemas
from mockserver.profiles import load_profile

__all__ = ["Coverage", "Covered", "Crossed", "covered", "possible", "shown"]

Schema = Mapping[str, Any]


class Crossed(NamedTuple):
    """A value that crossed the wire."""

    schema: str
    """What it is an instance of: "create_request", "event" and the like."""
    kind: str
    """request, response, stream or error: what rules are about."""
    value: Any


@dataclass(frozen=True, slots=True)
class Covered:
    """What of the contract a run has seen."""

    seen: tuple[str, ...]
    missing: tuple[str, ...]
    rules: tuple[str, ...]
    """Rules about a kind of body that was seen: of those, whether they hold was judged."""
    rules_missing: tuple[str, ...]


def covered(profile: str, crossed: Iterable[Crossed], also: Iterable[str] = ()) -> Covered:
    """What of a profile's contract was seen; `also`: rules of another kind, judged with anything at all."""
    names = {"create_request", "response", "event", "error", "error_wrapped", *bodies(load_profile(profile))}
    coverage = Coverage(schemas(profile), sorted(names))
    kinds = set()
    for schema, kind, value in crossed:
        kinds.add(kind)
        if kind == "stream" and isinstance(value, dict) and isinstance(value.get("response"), dict):
            kinds.add("response")  # its usage and output are judged as those of a reply are
        coverage.add(schema, value)
    others = frozenset(also)
    rules = {name for name, rule in load_rules().items() if rule.is_for(profile)}
    judged = {name for name in rules if load_examples()[name].kind in kinds}
    judged |= others if kinds else set()
    return Covered(
        tuple(sorted(coverage.seen)),
        tuple(sorted(coverage.possible - coverage.seen)),
        tuple(sorted(judged)),
        tuple(sorted((rules | others) - judged)),
    )


class Coverage:
    """Collects what values show of some schemas of a profile."""

    def __init__(self, known: ProfileSchemas, names: Iterable[str]) -> None:
        self._documents = {name: known.document(name, closed=True) for name in names}
        self.seen: set[str] = set()

    def add(self, name: str, value: Any) -> None:
        """Take note of what `value`, an instance of the schema `name`, shows."""
        self.seen.update(shown(self._documents[name], value, name))

    @property
    def possible(self) -> set[str]:
        """All that there is to see."""
        return {each for name, document in self._documents.items() for each in possible(document, name)}


def possible(document: Schema, name: str) -> Iterator[str]:
    """Everything a closed document lets a value show: members, values of enumerations, branches of unions.

    A name may come more than once.
    """
    return _possible(document, name, frozenset({name}), document.get("$defs", {}))


def _possible(schema: Any, name: str, seen: frozenset[str], defs: Schema) -> Iterator[str]:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if name in seen:
            return
        seen, schema = seen | {name}, defs[name]
    yield from (f"{name}={each}" for each in _enumerated(schema))
    if isinstance(schema.get("items"), dict):
        yield from _possible(schema["items"], f"{name}/*", seen, defs)
    if "x-dispatch" in schema:
        for kind, branch in branches(schema):
            yield f"{name}~{kind}"
            yield from _possible(branch["then"], name, seen, defs)
        return
    for member, inner in _members(schema):
        yield f"{name}.{member}"
        yield from _possible(inner, f"{name}.{member}", seen, defs)


def shown(document: Schema, value: Any, name: str) -> Iterator[str]:
    """What of that a value shows; a name may come more than once."""
    return _shown(document, value, name, document.get("$defs", {}))


def _shown(schema: Any, value: Any, name: str, defs: Schema) -> Iterator[str]:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        schema = defs[name]
    yield from (
        f"{name}={each}" for each in _enumerated(schema) if each == value and type(each) is type(value)
    )
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        for inner in value:
            yield from _shown(schema["items"], inner, f"{name}/*", defs)
    if not isinstance(value, dict):
        return
    if "x-dispatch" in schema:
        for kind, branch in branches(schema):
            if value.get("type") == kind:
                yield f"{name}~{kind}"
                yield from _shown(branch["then"], value, name, defs)
        return
    for member, inner in _members(schema):
        if member in value:
            yield f"{name}.{member}"
            yield from _shown(inner, value[member], f"{name}.{member}", defs)


def _enumerated(schema: Any) -> list[Any]:
    return [] if "x-dispatch" in schema else schema.get("enum", [])


def _members(schema: Any) -> Iterator[tuple[str, Any]]:
    """The members of a schema, but for those that are always null: absence, in words."""
    return ((name, each) for name, each in schema.get("properties", {}).items() if each != {"type": "null"})
