"""Arguments for a call of the client's own function: valid under its JSON Schema, and harmless.

Schemas come from strangers, and what is drawn may be executed by a real agent. So every value is checked
by the validator before it is handed out, names decide about what could do harm (`harmless`), and work is
bounded by counting steps, not by time: the same schema and pick give the same value everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from fractions import Fraction
from itertools import chain, islice, product
from typing import Any

from mockserver.errors import InvalidJSON, UnsatisfiableSchema
from mockserver.replies.json_schema import patterns, safe_values
from mockserver.replies.json_schema.bounded_schema import BoundedSchema, SchemaNode
from mockserver.replies.json_schema.constraints import (
    OBJECT_NODE,
    STRING_NODE,
    allowed_types,
    child_nodes,
    common_multiple,
    declared_nodes,
    has_type,
    item_nodes,
    keyword_pointer,
    number_range,
    numbers_near,
    size_limits,
    to_json_number,
    with_required_names,
)
from mockserver.wire import json
from mockserver.wire.json import format_pointer

__all__ = ["generate_arguments", "generate_value"]

_MAX_NESTING = 100
_MAX_ITEMS = 1_000
_MAX_MEMBERS = 200
_MAX_RANKED_VALUES = 100
_MAX_ALTERNATIVES = 64
_MAX_CANDIDATES = 40
_MAX_OPTIONAL_MEMBERS = 50
_MAX_OPTIONAL_STEPS = 300


def generate_arguments(schema: Any, seed: int = 0) -> str:
    """JSON text of an object that is valid under `schema`, a function tool's `parameters`.

    `pick` varies what may vary (which member of an enum), never validity. Unsatisfiable, with a JSON
    pointer to the keyword at fault, where the schema is not valid, admits no object, or asks for too much.

    >>> draw_arguments({"type": "object", "properties": {"city": {"type": "string"}}})
    '{"city":"Hangzhou"}'
    """
    return json.dumps(_generate({} if schema is None else schema, "", seed, [OBJECT_NODE])).decode()


def generate_value(schema: Any, name: str = "", seed: int = 0) -> Any:
    """A value that is valid under `schema`, for a member called `name`; Unsatisfiable as above."""
    return _generate(schema, name, seed, [])


def _generate(schema: Any, name: str, seed: int, extra_nodes: list[SchemaNode]) -> Any:
    bounded = BoundedSchema(schema)
    failure: UnsatisfiableSchema | None = None
    # Members that are not required make a call look real, and can be what makes it fail.
    for optional, choice, steps in ((True, seed, 900), (False, seed, 400), (True, seed + 1, 100)):
        try:
            drawing = _Generator(bounded, choice, steps, include_optional=optional)
            value = drawing.generate([SchemaNode(bounded.root, ""), *extra_nodes], name)
            fault = bounded.find_error(value)
            if fault is None:
                return json.loads(json.dumps(value))
        except (InvalidJSON, RecursionError):
            fault = UnsatisfiableSchema("", "the value would be nested too deeply")
        except UnsatisfiableSchema as error:
            fault = error
        failure = failure or fault
    raise failure or UnsatisfiableSchema("", "no value was found")


# Keywords that a value can break although it was made for its schema.
_CHECKED_KEYWORDS = {
    "anyOf", "const", "contains", "default", "dependentSchemas", "enum", "examples", "exclusiveMaximum",
    "exclusiveMinimum", "format", "if", "multipleOf", "not", "oneOf", "pattern", "patternProperties",
    "propertyNames", "unevaluatedItems", "unevaluatedProperties",
}  # fmt: skip
# Keywords that ask nothing of a value, or only through the nodes a way takes because of them.
_UNCONSTRAINING_KEYWORDS = {
    "$ref", "$defs", "$id", "$schema", "$comment", "allOf", "anyOf", "default", "definitions", "description",
    "examples", "oneOf", "title",
}  # fmt: skip


class _Generator:
    """One attempt: a search through the ways to meet a schema, within a number of steps.

    A value is drawn for several nodes at once, all of which it has to meet. `turn` asks for another value
    than lower turns gave, as far as there is one.
    """

    def __init__(self, schema: BoundedSchema, seed: int, steps: int, *, include_optional: bool) -> None:
        self.schema = schema
        self.seed = seed
        self.include_optional = include_optional
        self.steps_left = steps
        self.optional_steps_floor = steps - _MAX_OPTIONAL_STEPS
        self.ranked_values: dict[tuple[str, str], tuple[list[Any], list[Any], list[Any]]] = {}
        self.active_pointers: list[frozenset[str]] = []

    def spend_step(self, node: SchemaNode) -> None:
        self.steps_left -= 1
        if self.steps_left < 0:
            raise UnsatisfiableSchema(node.pointer, "too many alternatives to search")

    def generate(self, nodes: list[SchemaNode], name: str, variant: int = 0) -> Any:
        """The first candidate that meets all of `nodes`."""
        failure: UnsatisfiableSchema | None = None
        for way in islice(self.alternatives(nodes), _MAX_ALTERNATIVES):
            try:
                return self.generate_along(way, nodes, name, variant)
            except UnsatisfiableSchema as error:
                failure = failure or error
        raise failure or UnsatisfiableSchema(nodes[0].pointer, "nothing is valid here")

    def generate_along(
        self, alternative: list[SchemaNode], nodes: list[SchemaNode], name: str, variant: int
    ) -> Any:
        key = frozenset(
            node.pointer for node in alternative if not node.schema.keys() <= _UNCONSTRAINING_KEYWORDS
        )
        # If a value has to contain one of its own kind, the inner one would do in its place: so would none.
        if (key and key in self.active_pointers) or len(self.active_pointers) >= _MAX_NESTING:
            raise UnsatisfiableSchema(
                keyword_pointer(alternative, "$ref"), "can only be met by nesting without end"
            )
        self.active_pointers.append(key)
        try:
            checked = declared_nodes(nodes)
            careful = any(not _CHECKED_KEYWORDS.isdisjoint(node.schema) for node in alternative)
            fault: UnsatisfiableSchema | None = None
            for candidate in islice(self.candidates(alternative, name, variant), _MAX_CANDIDATES):
                self.spend_step(alternative[-1])
                found = self.schema.find_node_error(checked, candidate) if careful else None
                if found is None:
                    return candidate
                fault = fault or found
        finally:
            self.active_pointers.pop()
        raise fault or UnsatisfiableSchema(
            keyword_pointer(alternative, "type", "enum", "const"), "no type or value meets all of this"
        )

    # --- ways: which branches of anyOf, oneOf and if a value takes

    def alternatives(self, nodes: list[SchemaNode]) -> Iterator[list[SchemaNode]]:
        """Lists of plain nodes, references resolved and branches chosen, that a value could meet."""
        todo: list[tuple[list[SchemaNode], dict[str, SchemaNode]]] = [(nodes, {})]
        refused: UnsatisfiableSchema | None = None
        while todo:
            waiting, done = todo.pop()
            if not waiting:
                yield list(done.values())
                continue
            node, *rest = waiting
            self.spend_step(node)
            if node.schema is False:
                refused = refused or UnsatisfiableSchema(node.pointer, "nothing is valid here")
                continue
            if node.schema is True:
                node = SchemaNode({}, node.pointer)
            options = [[]] if node.pointer in done else self.expand(node)
            done[node.pointer] = node
            todo.extend(
                ([*option, *rest], {**done} if more else done)
                for more, option in reversed([*enumerate(options)])
            )
        if refused:
            raise refused

    def expand(self, node: SchemaNode) -> list[list[SchemaNode]]:
        schema = node.schema
        parts = len(schema.get("allOf", ()))
        if parts > self.steps_left:
            raise UnsatisfiableSchema(keyword_pointer([node], "allOf"), "too many parts")
        always = [node.child("allOf", place) for place in range(parts)]
        if "$ref" in schema:
            always.insert(0, self.schema.resolve(node))
        choices: list[list[list[SchemaNode]]] = [
            [[branch] for branch in self.branches(node, keyword)]
            for keyword in ("anyOf", "oneOf")
            if keyword in schema
        ]
        if "if" in schema:
            choices.append([child_nodes(node, "if", "then"), child_nodes(node, "else")])
        depending = schema.get("dependentSchemas", {})
        sure = depending.keys() & set(schema.get("required", ()))
        always += [node.child("dependentSchemas", name) for name in depending if name in sure]
        unsure = [node.child("dependentSchemas", name) for name in depending if name not in sure]
        choices += [[[], unsure]] if unsure else []
        return [[*always, *chain(*choice)] for choice in islice(product(*choices), _MAX_ALTERNATIVES)]

    def branches(self, node: SchemaNode, keyword: str) -> list[SchemaNode]:
        """The branches in the order to try them, null last."""
        schemas = node.schema[keyword]
        places = _rotate(
            [place for place, schema in enumerate(schemas) if not _is_null_schema(schema)], self.seed
        )
        places += [place for place, schema in enumerate(schemas) if _is_null_schema(schema)]
        return [node.child(keyword, place) for place in places[:_MAX_ALTERNATIVES]]

    # --- candidates for one way

    def candidates(self, alternative: list[SchemaNode], name: str, variant: int) -> Iterator[Any]:
        types = allowed_types(alternative)
        if not variant:
            yield from _proposed_values(alternative, types, name, default=True)
        given = [node for node in alternative if "enum" in node.schema or "const" in node.schema]
        if given:
            yield from (
                value for value in self.enum_values(given[0], name, variant) if has_type(value, types)
            )
            return
        failure: UnsatisfiableSchema | None = None
        for kind in types:
            try:
                yield from _CANDIDATES_BY_TYPE[kind](self, alternative, name, variant)
            except UnsatisfiableSchema as error:
                failure = failure or error
        yield from _proposed_values(alternative, types, name, default=False)
        if failure:
            raise failure

    def enum_values(self, node: SchemaNode, name: str, variant: int) -> Iterator[Any]:
        """The members of an enum: the harmless first, what sounds dangerous last."""
        if (node.pointer, name) not in self.ranked_values:
            self.ranked_values[node.pointer, name] = _rank_values(node, name)
            self.steps_left -= min(len(node.schema.get("enum", ())), _MAX_RANKED_VALUES) // 4
        best, calm, doubtful = self.ranked_values[node.pointer, name]
        rest = node.schema.get("enum", [])[_MAX_RANKED_VALUES:_MAX_ITEMS]
        return chain(() if variant else best, _rotate([*_rotate(calm, self.seed), *rest], variant), doubtful)

    def strings(self, alternative: list[SchemaNode], name: str, variant: int) -> Iterator[str]:
        least, most = size_limits(alternative, "minLength", "maxLength", patterns.MAX_LENGTH)
        named = safe_values.texts_for(name, least, most, variant)
        formats = [node.schema["format"] for node in alternative if "format" in node.schema]
        samples = [
            safe_values.FORMAT_SAMPLES[known](variant)
            for known in formats
            if known in safe_values.FORMAT_SAMPLES
        ]
        yield from (*named, *samples) if safe_values.allowed_values(name) else (*samples, *named)
        for node in alternative:
            if "pattern" in node.schema:
                try:
                    for written in patterns.matching_strings(node.schema["pattern"], least, variant):
                        # `^/tmp/` or `^rm -rf /` should name a thing that is not there, not the whole.
                        yield from (
                            (written + "null", written) if safe_values.allowed_values(name) else (written,)
                        )
                except patterns.UnsupportedPattern as error:
                    raise UnsatisfiableSchema(
                        node.pointer + format_pointer(("pattern",)), str(error)
                    ) from None
        # What `not` or a second branch of oneOf may want: other texts, long ones, none at all.
        yield from safe_values.texts_for(name, least, most, variant + 1)
        yield from safe_values.texts_for(name, int(min(most, max(least, 40))), most, variant)
        yield from () if least else ("",)

    def numbers(
        self, alternative: list[SchemaNode], name: str, variant: int, *, whole: bool = False
    ) -> Iterator[float]:
        low, high = number_range(alternative)
        wanted = min(max(Fraction(str(safe_values.sample_number(name))), low), high)
        step = common_multiple(alternative, integer=whole)
        yield from map(to_json_number, numbers_near(wanted, low, high, step, variant))

    def integers(self, alternative: list[SchemaNode], name: str, variant: int) -> Iterator[float]:
        return self.numbers(alternative, name, variant, whole=True)

    def booleans(self, _: list[SchemaNode], name: str, variant: int) -> Iterator[bool]:
        first = safe_values.safe_flag(name) != bool(variant % 2)
        yield from (first, not first)

    def nulls(self, _: list[SchemaNode], __: str, ___: int) -> Iterator[None]:
        yield None

    # --- objects

    def objects(self, alternative: list[SchemaNode], _: str, variant: int) -> Iterator[dict[str, Any]]:
        least, most = size_limits(alternative, "minProperties", "maxProperties", _MAX_MEMBERS)
        required = with_required_names(alternative, [])
        if len(required) > _MAX_ITEMS:
            raise UnsatisfiableSchema(
                keyword_pointer(alternative, "required", "dependentRequired"), "more members than are drawn"
            )
        if len(required) > most:
            raise UnsatisfiableSchema(
                keyword_pointer(alternative, "maxProperties"), "more members are required"
            )
        listed = list(
            dict.fromkeys(name for node in alternative for name in node.schema.get("properties", ()))
        )
        wished = listed if self.include_optional and not required else []
        plans = [wished, [], listed] if self.include_optional else [[]]
        for number, optional in enumerate(plans):
            if not number or optional != plans[number - 1]:
                members = self.generate_members(alternative, required, optional, variant, most)
                # Objects of nothing but members of our own differ by their number.
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
                and self.steps_left > self.optional_steps_floor
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
        """Add members until there are `least`: listed ones first, then ones with names of our own."""
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
        for node in alternative:
            schema = node.schema
            found = [node.child("properties", name)] if name in schema.get("properties", ()) else []
            matching = (p for p in schema.get("patternProperties", ()) if self.schema.matches(p, name))
            found += [node.child("patternProperties", pattern) for pattern in matching]
            nodes += found or child_nodes(node, "additionalProperties")
        nodes = nodes or [
            below for node in alternative for below in child_nodes(node, "unevaluatedProperties")
        ]
        return nodes or [SchemaNode(True, keyword_pointer(alternative, keyword))]

    def additional_names(self, alternative: list[SchemaNode]) -> Iterator[str]:
        for pattern in (
            pattern for node in alternative for pattern in node.schema.get("patternProperties", ())
        ):
            with suppress(patterns.UnsupportedPattern):
                for turn in range(_MAX_MEMBERS):
                    written = next(patterns.matching_strings(pattern, 0, turn))
                    yield from (written, f"{written}{turn}")
        naming = [below for node in alternative for below in child_nodes(node, "propertyNames")]
        for turn in range(_MAX_ITEMS):
            name = self.generate([STRING_NODE, *naming], "", turn) if naming else f"member{turn + 1}"
            yield name

    # --- arrays

    def arrays(self, alternative: list[SchemaNode], name: str, variant: int) -> Iterator[list[Any]]:
        least, most = size_limits(alternative, "minItems", "maxItems", _MAX_ITEMS)
        wanted = [below for node in alternative for below in self.contains_nodes(node)]
        if len(wanted) > min(most, _MAX_ITEMS):
            raise UnsatisfiableSchema(
                keyword_pointer(alternative, "minContains", "contains"),
                "more items than an array here may have",
            )
        listed = max((len(node.schema.get("prefixItems", ())) for node in alternative), default=0)
        typical = max(listed, 1 if any("items" in node.schema for node in alternative) else 0)
        failure: UnsatisfiableSchema | None = None
        # Among the first items, behind the listed ones, or met by those without our doing.
        for besides in (wanted, [*[None] * listed, *wanted], []) if wanted else ([],):
            count = int(min(max(least, len(besides)), most))
            for number in (typical, count) if self.include_optional and count < typical <= most else (count,):
                try:
                    yield self.generate_items(alternative, besides, number, name, variant)
                except UnsatisfiableSchema as error:
                    failure = failure or error
        if failure:
            raise failure

    def contains_nodes(self, node: SchemaNode) -> list[SchemaNode]:
        """What items of an array have to be besides, one entry for each."""
        if "contains" not in node.schema:
            return []
        return [node.child("contains")] * min(math.ceil(node.schema.get("minContains", 1)), _MAX_ITEMS + 1)

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
        drawn: dict[tuple[str, ...], Any] = {}
        for place in range(count):
            nodes = [
                *item_nodes(alternative, place),
                *(node for node in contained_nodes[place : place + 1] if node),
            ]
            key = tuple(node.pointer for node in nodes)
            if unique:
                items.append(self.generate_distinct(alternative, nodes, name, variant + place, seen))
                continue
            if key not in drawn:
                drawn[key] = self.generate(nodes, name, variant)
            items.append(drawn[key])
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
        raise UnsatisfiableSchema(keyword_pointer(alternative, "uniqueItems"), "not enough different items")


_CANDIDATES_BY_TYPE: dict[str, Callable[[_Generator, list[SchemaNode], str, int], Iterator[Any]]] = {
    "object": _Generator.objects,
    "string": _Generator.strings,
    "integer": _Generator.integers,
    "number": _Generator.numbers,
    "array": _Generator.arrays,
    "boolean": _Generator.booleans,
    "null": _Generator.nulls,
}


def _is_null_schema(schema: Any) -> bool:
    return isinstance(schema, dict) and (schema.get("type") == "null" or schema.get("const", 0) is None)


def _rotate(values: list[Any], offset: int) -> list[Any]:
    at = offset % len(values) if values else 0
    return values[at:] + values[:at]


def _rank_values(node: SchemaNode, name: str) -> tuple[list[Any], list[Any], list[Any]]:
    values = [node.schema["const"]] if "const" in node.schema else node.schema["enum"][:_MAX_ITEMS]
    guarded = safe_values.allowed_values(name)
    best = [value for value in values if isinstance(value, str) and value in guarded]
    calm: list[Any] = []
    doubtful: list[Any] = []
    for value in values[:_MAX_RANKED_VALUES]:
        (doubtful if value is None or safe_values.is_destructive(value, name) else calm).append(value)
    return best, calm, doubtful


def _proposed_values(
    alternative: list[SchemaNode], types: list[str], name: str, *, default: bool
) -> Iterator[Any]:
    """The values the schema itself proposes, as far as they are harmless."""
    for node in alternative:
        proposed = [node.schema["default"]] if "default" in node.schema else []
        for value in proposed if default else node.schema.get("examples", ()):
            if has_type(value, types) and not safe_values.is_risky(value, name):
                yield value
