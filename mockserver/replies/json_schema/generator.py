"""Generates values that are valid under a JSON Schema, such as arguments for the client's functions.

Schemas are untrusted, and a real agent may execute the result. So the validator checks every value before it
is returned, names decide which values are safe (`safe_values`), and the search is bounded by a number of
steps instead of time: the same schema and seed give the same value everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import chain, islice
from typing import Any

from mockserver.errors import InvalidJSON, UnsatisfiableSchema
from mockserver.replies.json_schema import patterns
from mockserver.replies.json_schema.alternatives import MAX_ALTERNATIVES, Search, find_alternatives
from mockserver.replies.json_schema.bounded_schema import BoundedSchema
from mockserver.replies.json_schema.constraints import (
    OBJECT_NODE,
    STRING_NODE,
    allowed_types,
    child_nodes,
    declared_nodes,
    has_type,
    item_nodes,
    keyword_pointer,
    size_limits,
    with_required_names,
)
from mockserver.replies.json_schema.scalar_candidates import (
    MAX_ITEMS,
    MAX_RANKED_VALUES,
    SCALAR_CANDIDATES,
    proposed_values,
    rank_values,
    rotate,
)
from mockserver.replies.json_schema.schema_limits import SchemaNode
from mockserver.wire import json

__all__ = ["generate_arguments", "generate_arguments_for_text", "generate_value"]

_MAX_NESTING = 100
#: Nodes of an alternative that are searched one by one for those about a member.
_MAX_UNINDEXED_NODES = 16
_MAX_MEMBERS = 200
_MAX_CANDIDATES = 40
_MAX_OPTIONAL_MEMBERS = 50
_MAX_OPTIONAL_STEPS = 300

#: Bytes of a schema, and characters of its arguments, that are kept for the requests with the same schema.
_MAX_CACHED_SCHEMA_BYTES = 16 << 10
_MAX_CACHED_CHARACTERS = 2 << 10
#: How many arguments are kept for a schema.
_MAX_CACHED_ARGUMENTS = 64


def generate_arguments(schema: Any, seed: int = 0) -> str:
    """JSON text of an object that is valid under `schema`, the `parameters` of a function tool.

    `seed` selects among valid values, such as the members of an enum. Raises UnsatisfiableSchema, with a JSON
    pointer to the keyword at fault, if the schema is invalid, allows no object, or exceeds the limits.

    >>> generate_arguments({"type": "object", "properties": {"city": {"type": "string"}}})
    '{"city":"Hangzhou"}'
    """
    return _generate_arguments(schema, seed, set())


def generate_arguments_for_text(schema: bytes, seed: int) -> str:
    """`generate_arguments` for the JSON text of a schema; it keeps what many requests with the same schema need."""
    if len(schema) > _MAX_CACHED_SCHEMA_BYTES:
        return generate_arguments(json.loads(schema), seed)
    cache = _argument_cache(schema)
    for period in tuple(cache):
        if arguments := cache[period].get(seed % period):
            return arguments
    lengths: set[int] = set()
    arguments = _generate_arguments(json.loads(schema), seed, lengths)
    if len(arguments) <= _MAX_CACHED_CHARACTERS and sum(map(len, cache.values())) < _MAX_CACHED_ARGUMENTS:
        # Seeds with the same remainder choose the same member from each of the lists.
        period = math.lcm(*lengths)
        cache.setdefault(period, {})[seed % period] = arguments
    return arguments


@lru_cache(maxsize=128)
def _argument_cache(schema: bytes) -> dict[int, dict[int, str]]:
    """The arguments that were generated for a schema, by a period of the seeds and the seed's remainder."""
    return {}


def _generate_arguments(schema: Any, seed: int, lengths: set[int]) -> str:
    value = _generate({} if schema is None else schema, "", seed, [OBJECT_NODE], lengths)
    return json.dumps(value).decode()


def generate_value(schema: Any, name: str = "", seed: int = 0) -> Any:
    """A value that is valid under `schema`, for a member called `name`; raises as `generate_arguments`."""
    return _generate(schema, name, seed, [], set())


def _generate(schema: Any, name: str, seed: int, extra_nodes: list[SchemaNode], lengths: set[int]) -> Any:
    """The value; adds the length of each list that the seed chooses from to `lengths`."""
    bounded = BoundedSchema(schema)
    failure: UnsatisfiableSchema | None = None
    # Optional members make a call look real, but can be the reason why no value is found.
    for optional, choice, steps in ((True, seed, 900), (False, seed, 400), (True, seed + 1, 100)):
        try:
            generator = _Generator(bounded, choice, steps, lengths, include_optional=optional)
            value = generator.generate([SchemaNode(bounded.root, ""), *extra_nodes], name)
            problem = bounded.find_error(value)
            if problem is None:
                return json.loads(json.dumps(value))
        except (InvalidJSON, RecursionError):
            problem = UnsatisfiableSchema("", "the value would be nested too deeply")
        except UnsatisfiableSchema as error:
            problem = error
        failure = failure or problem
    raise failure or UnsatisfiableSchema("", "no value was found")


# Keywords that a candidate may violate, so that it needs a check.
_CHECKED_KEYWORDS = {
    "anyOf", "const", "contains", "default", "dependentSchemas", "enum", "examples", "exclusiveMaximum",
    "exclusiveMinimum", "format", "if", "multipleOf", "not", "oneOf", "pattern", "patternProperties",
    "propertyNames", "unevaluatedItems", "unevaluatedProperties",
}  # fmt: skip
# Keywords that do not constrain a value themselves.
_UNCONSTRAINING_KEYWORDS = {
    "$ref", "$defs", "$id", "$schema", "$comment", "allOf", "anyOf", "default", "definitions", "description",
    "examples", "oneOf", "title",
}  # fmt: skip


class _MemberIndex:
    """The nodes of a long alternative by the members that they may be about: an object may have as many members."""

    def __init__(self, alternative: list[SchemaNode]) -> None:
        self.alternative = alternative
        self.positions: dict[str, list[int]] = {}
        self.positions_for_any: list[int] = []
        for position, node in enumerate(alternative):
            if "patternProperties" in node.schema or "additionalProperties" in node.schema:
                self.positions_for_any.append(position)
                continue
            for name in node.schema.get("properties", ()):
                self.positions.setdefault(name, []).append(position)

    def nodes_about(self, name: str) -> list[SchemaNode]:
        positions = sorted([*self.positions_for_any, *self.positions.get(name, ())])
        return [self.alternative[position] for position in positions]


class _Generator:
    """One attempt: a search for a value within a number of steps.

    A value is generated for several nodes at once, all of which it has to satisfy. `variant` asks for a value
    other than those of lower variants, if there is one.
    """

    def __init__(
        self, schema: BoundedSchema, seed: int, steps: int, lengths: set[int], *, include_optional: bool
    ) -> None:
        self.schema = schema
        self.search = Search(schema, seed, steps, lengths)
        self.include_optional = include_optional
        self.optional_steps_floor = steps - _MAX_OPTIONAL_STEPS
        self.ranked_values: dict[tuple[str, str], tuple[list[Any], list[Any], list[Any]]] = {}
        self.active_pointers: list[frozenset[str]] = []
        self.member_indexes: dict[int, _MemberIndex] = {}
        """Of long alternatives, by the id of the list, which the index keeps."""

    def generate(self, nodes: list[SchemaNode], name: str, variant: int = 0) -> Any:
        """The first candidate that satisfies all of `nodes`."""
        failure: UnsatisfiableSchema | None = None
        for alternative in islice(find_alternatives(nodes, self.search), MAX_ALTERNATIVES):
            try:
                return self.generate_along(alternative, nodes, name, variant)
            except UnsatisfiableSchema as error:
                failure = failure or error
        raise failure or UnsatisfiableSchema(nodes[0].pointer, "nothing is valid here")

    def generate_along(
        self, alternative: list[SchemaNode], nodes: list[SchemaNode], name: str, variant: int
    ) -> Any:
        key = frozenset(
            node.pointer for node in alternative if not node.schema.keys() <= _UNCONSTRAINING_KEYWORDS
        )
        # A value that has to contain a value for the same nodes could be replaced by the inner one.
        if (key and key in self.active_pointers) or len(self.active_pointers) >= _MAX_NESTING:
            raise UnsatisfiableSchema(
                keyword_pointer(alternative, "$ref"), "only an infinitely nested value would be valid"
            )
        self.active_pointers.append(key)
        try:
            checked = declared_nodes(nodes)
            needs_check = any(not _CHECKED_KEYWORDS.isdisjoint(node.schema) for node in alternative)
            failure: UnsatisfiableSchema | None = None
            for candidate in islice(self.candidates(alternative, name, variant), _MAX_CANDIDATES):
                self.search.spend_step(alternative[-1])
                error = self.schema.find_node_error(checked, candidate) if needs_check else None
                if error is None:
                    return candidate
                failure = failure or error
        finally:
            self.active_pointers.pop()
        raise failure or UnsatisfiableSchema(
            keyword_pointer(alternative, "type", "enum", "const"), "no type or value satisfies all of this"
        )

    def candidates(self, alternative: list[SchemaNode], name: str, variant: int) -> Iterator[Any]:
        types = allowed_types(alternative)
        if not variant:
            yield from proposed_values(alternative, types, name, default=True)
        enums = [node for node in alternative if "enum" in node.schema or "const" in node.schema]
        if enums:
            yield from (
                value for value in self.enum_values(enums[0], name, variant) if has_type(value, types)
            )
            return
        failure: UnsatisfiableSchema | None = None
        for kind in types:
            try:
                yield from self.candidates_of_type(kind, alternative, name, variant)
            except UnsatisfiableSchema as error:
                failure = failure or error
        yield from proposed_values(alternative, types, name, default=False)
        if failure:
            raise failure

    def candidates_of_type(
        self, kind: str, alternative: list[SchemaNode], name: str, variant: int
    ) -> Iterator[Any]:
        if kind == "object":
            return self.objects(alternative, variant)
        if kind == "array":
            return self.arrays(alternative, name, variant)
        return SCALAR_CANDIDATES[kind](alternative, name, variant)

    def enum_values(self, node: SchemaNode, name: str, variant: int) -> Iterator[Any]:
        """The members of an enum: the safe ones first, those that may do harm last."""
        if (node.pointer, name) not in self.ranked_values:
            self.ranked_values[node.pointer, name] = rank_values(node, name)
            self.search.steps_left -= min(len(node.schema.get("enum", ())), MAX_RANKED_VALUES) // 4
        best, harmless, harmful = self.ranked_values[node.pointer, name]
        rest = node.schema.get("enum", [])[MAX_RANKED_VALUES:MAX_ITEMS]
        return chain(
            () if variant else best, rotate([*self.search.rotate(harmless), *rest], variant), harmful
        )

    def objects(self, alternative: list[SchemaNode], variant: int) -> Iterator[dict[str, Any]]:
        least, most = size_limits(alternative, "minProperties", "maxProperties", _MAX_MEMBERS)
        required = with_required_names(alternative, [])
        if len(required) > MAX_ITEMS:
            raise UnsatisfiableSchema(
                keyword_pointer(alternative, "required", "dependentRequired"),
                f"more than {MAX_ITEMS} members are not supported",
            )
        if len(required) > most:
            raise UnsatisfiableSchema(
                keyword_pointer(alternative, "maxProperties"), "more members are required"
            )
        listed = list(
            dict.fromkeys(name for node in alternative for name in node.schema.get("properties", ()))
        )
        preferred = listed if self.include_optional and not required else []
        plans = [preferred, [], listed] if self.include_optional else [[]]
        for number, optional in enumerate(plans):
            if not number or optional != plans[number - 1]:
                members = self.generate_members(alternative, required, optional, variant, most)
                # Objects whose members all have generated names differ by their number of members.
                self.add_members(
                    alternative,
                    members,
                    listed,
                    least if listed else int(min(least + variant, most)),
                    variant,
                )
                yield members
        with suppress(UnsatisfiableSchema):
            more = self.generate_members(alternative, required, [], variant, most)
            self.add_members(alternative, more, listed, int(min(len(more) + 3, most)), variant)
            yield more

    def generate_members(
        self,
        alternative: list[SchemaNode],
        required: list[str],
        optional: list[str],
        variant: int,
        max_members: float,
    ) -> dict[str, Any]:
        members = {
            name: self.generate(self.member_nodes(alternative, name, "required"), name, variant)
            for name in required
        }
        for name in optional[:_MAX_OPTIONAL_MEMBERS]:
            names = with_required_names(alternative, [*members, name])
            if (
                name not in members
                and len(names) <= max_members
                and self.search.steps_left > self.optional_steps_floor
            ):
                try:
                    added = {
                        new: self.generate(self.member_nodes(alternative, new), new, variant)
                        for new in names
                        if new not in members
                    }
                except UnsatisfiableSchema:
                    continue
                members.update(added)
        return members

    def add_members(
        self,
        alternative: list[SchemaNode],
        members: dict[str, Any],
        property_names: list[str],
        min_members: int,
        variant: int,
    ) -> None:
        """Add members until there are `min_members`: listed ones first, then ones with generated names."""
        names = (
            chain(property_names, self.additional_names(alternative)) if len(members) < min_members else ()
        )
        failure: UnsatisfiableSchema | None = None
        for name in islice(names, 2 * min_members + _MAX_OPTIONAL_MEMBERS):
            if len(members) >= min_members:
                return
            try:
                for new in with_required_names(alternative, [*members, name]):
                    if new not in members:
                        members[new] = self.generate(self.member_nodes(alternative, new), new, variant)
            except UnsatisfiableSchema as error:
                failure = failure or error
        if len(members) < min_members:
            reason = f"no more members can be added ({failure.reason})" if failure else "no more members"
            raise UnsatisfiableSchema(keyword_pointer(alternative, "minProperties"), reason)

    def member_nodes(self, alternative: list[SchemaNode], name: str, keyword: str = "") -> list[SchemaNode]:
        """The nodes that apply to the member `name`."""
        nodes: list[SchemaNode] = []
        is_short = len(alternative) <= _MAX_UNINDEXED_NODES
        for node in alternative if is_short else self.member_index(alternative).nodes_about(name):
            schema = node.schema
            own = [node.child("properties", name)] if name in schema.get("properties", ()) else []
            matching = (p for p in schema.get("patternProperties", ()) if self.schema.matches(p, name))
            own += [node.child("patternProperties", pattern) for pattern in matching]
            nodes += own or child_nodes(node, "additionalProperties")
        nodes = nodes or [
            below for node in alternative for below in child_nodes(node, "unevaluatedProperties")
        ]
        return nodes or [SchemaNode(True, keyword_pointer(alternative, keyword))]

    def member_index(self, alternative: list[SchemaNode]) -> _MemberIndex:
        index = self.member_indexes.get(id(alternative))
        if index is None:
            index = self.member_indexes[id(alternative)] = _MemberIndex(alternative)
        return index

    def additional_names(self, alternative: list[SchemaNode]) -> Iterator[str]:
        for pattern in (
            pattern for node in alternative for pattern in node.schema.get("patternProperties", ())
        ):
            with suppress(patterns.UnsupportedPattern):
                for variant in range(_MAX_MEMBERS):
                    name = next(patterns.matching_strings(pattern, 0, variant))
                    yield from (name, f"{name}{variant}")
        name_nodes = [below for node in alternative for below in child_nodes(node, "propertyNames")]
        for variant in range(MAX_ITEMS):
            yield (
                self.generate([STRING_NODE, *name_nodes], "", variant)
                if name_nodes
                else f"member{variant + 1}"
            )

    def arrays(self, alternative: list[SchemaNode], name: str, variant: int) -> Iterator[list[Any]]:
        least, most = size_limits(alternative, "minItems", "maxItems", MAX_ITEMS)
        contained = [below for node in alternative for below in self.contains_nodes(node)]
        if len(contained) > min(most, MAX_ITEMS):
            raise UnsatisfiableSchema(
                keyword_pointer(alternative, "minContains", "contains"),
                "more items than the array may have",
            )
        listed = max((len(node.schema.get("prefixItems", ())) for node in alternative), default=0)
        typical = max(listed, 1 if any("items" in node.schema for node in alternative) else 0)
        failure: UnsatisfiableSchema | None = None
        # The contained items go first, after the prefix items, or nowhere: other items may satisfy `contains`.
        for placed in (contained, [*[None] * listed, *contained], []) if contained else ([],):
            count = int(min(max(least, len(placed)), most))
            for number in (typical, count) if self.include_optional and count < typical <= most else (count,):
                try:
                    yield self.generate_items(alternative, placed, number, name, variant)
                except UnsatisfiableSchema as error:
                    failure = failure or error
        if failure:
            raise failure

    def contains_nodes(self, node: SchemaNode) -> list[SchemaNode]:
        """The node under `contains`, once for each item that has to satisfy it."""
        if "contains" not in node.schema:
            return []
        return [node.child("contains")] * min(math.ceil(node.schema.get("minContains", 1)), MAX_ITEMS + 1)

    def generate_items(
        self,
        alternative: list[SchemaNode],
        contained_nodes: Sequence[SchemaNode | None],
        count: int,
        name: str,
        variant: int,
    ) -> list[Any]:
        unique = any(node.schema.get("uniqueItems") for node in alternative)
        items: list[Any] = []
        seen: set[bytes] = set()
        generated: dict[tuple[str, ...], Any] = {}
        for index in range(count):
            nodes = [
                *item_nodes(alternative, index),
                *(node for node in contained_nodes[index : index + 1] if node),
            ]
            key = tuple(node.pointer for node in nodes)
            if unique:
                items.append(self.generate_distinct(alternative, nodes, name, variant + index, seen))
                continue
            if key not in generated:
                generated[key] = self.generate(nodes, name, variant)
            items.append(generated[key])
        return items

    def generate_distinct(
        self,
        alternative: list[SchemaNode],
        nodes: list[SchemaNode],
        name: str,
        variant: int,
        seen: set[bytes],
    ) -> Any:
        for later in range(variant, variant + 8):
            value = self.generate(nodes, name, later)
            key = json.canonical(value)
            if key not in seen:
                seen.add(key)
                return value
        raise UnsatisfiableSchema(keyword_pointer(alternative, "uniqueItems"), "not enough distinct items")
