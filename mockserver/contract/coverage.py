"""Measure how much of the contract a run covers: members, values of enumerations, types of unions, rules.

Names come from the schemas: "message.role", "response.status=failed", "item~reasoning".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from mockserver.contract.operations import body_schemas
from mockserver.contract.rule_examples import load_rule_examples
from mockserver.contract.rules import load_rules
from mockserver.contract.schema.overlays import union_branches
from mockserver.contract.schema.registry import ProfileSchemas, load_schemas
from mockserver.profiles import load_profile

__all__ = [
    "ContractCoverage",
    "SchemaCoverage",
    "WireValue",
    "covered_names",
    "measure_coverage",
    "possible_names",
]

Schema = Mapping[str, Any]


class WireValue(NamedTuple):
    """A value that crossed the wire."""

    schema: str
    """Its schema, such as "create_request" or "event"."""
    kind: str
    """request, response, stream or error."""
    value: Any


@dataclass(frozen=True, slots=True)
class ContractCoverage:
    """What a run covers of the contract, and what it misses."""

    seen: tuple[str, ...]
    missing: tuple[str, ...]
    rules_checked: tuple[str, ...]
    """Rules about a kind of body that the run has seen, and so checked."""
    rules_not_checked: tuple[str, ...]


def measure_coverage(
    profile: str, values: Iterable[WireValue], extra_rules: Iterable[str] = ()
) -> ContractCoverage:
    """Measure what of a profile's contract `values` cover.

    `extra_rules` are rules of another kind, which any value checks.
    """
    names = {
        "create_request",
        "response",
        "event",
        "error",
        "error_wrapped",
        *body_schemas(load_profile(profile)),
    }
    coverage = SchemaCoverage(load_schemas(profile), sorted(names))
    kinds = set()
    for schema, kind, value in values:
        kinds.add(kind)
        if kind == "stream" and isinstance(value, dict) and isinstance(value.get("response"), dict):
            kinds.add("response")  # its usage and output are checked like those of a reply
        coverage.add(schema, value)
    extra = frozenset(extra_rules)
    rules = {name for name, rule in load_rules().items() if rule.applies_to(profile)}
    checked = {name for name in rules if load_rule_examples()[name].kind in kinds}
    checked |= extra if kinds else set()
    return ContractCoverage(
        tuple(sorted(coverage.seen)),
        tuple(sorted(coverage.possible - coverage.seen)),
        tuple(sorted(checked)),
        tuple(sorted((rules | extra) - checked)),
    )


class SchemaCoverage:
    """Collects what values cover of some schemas of a profile."""

    def __init__(self, profile_schemas: ProfileSchemas, names: Iterable[str]) -> None:
        self._documents = {name: profile_schemas.document(name, closed=True) for name in names}
        self.seen: set[str] = set()

    def add(self, name: str, value: Any) -> None:
        """Add what `value`, an instance of the schema `name`, covers."""
        self.seen.update(covered_names(self._documents[name], value, name))

    @property
    def possible(self) -> set[str]:
        """Every name that a value can cover."""
        return {each for name, document in self._documents.items() for each in possible_names(document, name)}


def possible_names(document: Schema, name: str) -> Iterator[str]:
    """Everything a value can cover of a closed document: members, values of enumerations, branches of unions.

    A name may occur more than once.
    """
    return _possible_names(document, name, frozenset({name}), document.get("$defs", {}))


def _possible_names(schema: Any, name: str, seen: frozenset[str], defs: Schema) -> Iterator[str]:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if name in seen:
            return
        seen, schema = seen | {name}, defs[name]
    yield from (f"{name}={each}" for each in _enum_values(schema))
    if isinstance(schema.get("items"), dict):
        yield from _possible_names(schema["items"], f"{name}/*", seen, defs)
    if "x-dispatch" in schema:
        for kind, branch in union_branches(schema):
            yield f"{name}~{kind}"
            yield from _possible_names(branch["then"], name, seen, defs)
        return
    for member, inner in _schema_members(schema):
        yield f"{name}.{member}"
        yield from _possible_names(inner, f"{name}.{member}", seen, defs)


def covered_names(document: Schema, value: Any, name: str) -> Iterator[str]:
    """What `value` covers of a closed document; a name may occur more than once."""
    return _covered_names(document, value, name, document.get("$defs", {}))


def _covered_names(schema: Any, value: Any, name: str, defs: Schema) -> Iterator[str]:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        schema = defs[name]
    yield from (
        f"{name}={each}" for each in _enum_values(schema) if each == value and type(each) is type(value)
    )
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        for inner in value:
            yield from _covered_names(schema["items"], inner, f"{name}/*", defs)
    if not isinstance(value, dict):
        return
    if "x-dispatch" in schema:
        for kind, branch in union_branches(schema):
            if value.get("type") == kind:
                yield f"{name}~{kind}"
                yield from _covered_names(branch["then"], value, name, defs)
        return
    for member, inner in _schema_members(schema):
        if member in value:
            yield f"{name}.{member}"
            yield from _covered_names(inner, value[member], f"{name}.{member}", defs)


def _enum_values(schema: Any) -> list[Any]:
    return [] if "x-dispatch" in schema else schema.get("enum", [])


def _schema_members(schema: Any) -> Iterator[tuple[str, Any]]:
    """The members of a schema, without those that are always null and so stand for absence."""
    return ((name, each) for name, each in schema.get("properties", {}).items() if each != {"type": "null"})
