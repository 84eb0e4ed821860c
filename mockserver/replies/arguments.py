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
from mockserver.replies import harmless, patterns
from mockserver.replies.bounded import BoundedSchema, Node, pointer
from mockserver.replies.demands import (
    OBJECT,
    STRING,
    asked,
    common_multiple,
    interval,
    is_of,
    item_nodes,
    limits,
    names_with,
    numbers_near,
    plain,
    present,
    types_of,
    where,
)
from mockserver.wire import json

__all__ = ["draw_arguments", "draw_value"]

_MAX_NESTING = 100
_MAX_ITEMS = 1_000
_MAX_MEMBERS = 200
_MAX_RANKED = 100
_MAX_WAYS = 64
_MAX_CANDIDATES = 40
_MAX_OPTIONAL = 50
_OPTIONAL_STEPS = 300


def draw_arguments(schema: Any, pick: int = 0) -> str:
    """JSON text of an object that is valid under `schema`, a function tool's `parameters`.

    `pick` varies what may vary (which member of an enum), never validity. Unsatisfiable, with a JSON
    pointer to the keyword at fault, where the schema is not valid, admits no object, or asks for too much.

    >>> draw_arguments({"type": "object", "properties": {"city": {"type": "string"}}})
    '{"city":"Hangzhou"}'
    """
    return json.dumps(_drawn({} if schema is None else schema, "", pick, [OBJECT])).decode()


def draw_value(schema: Any, name: str = "", pick: int = 0) -> Any:
    """A value that is valid under `schema`, for a member called `name`; Unsatisfiable as above."""
    return _drawn(schema, name, pick, [])


def _drawn(schema: Any, name: str, pick: int, also: list[Node]) -> Any:
    bounded = BoundedSchema(schema)
    failure: UnsatisfiableSchema | None = None
    # Members that are not required make a call look real, and can be what makes it fail.
    for optional, choice, steps in ((True, pick, 900), (False, pick, 400), (True, pick + 1, 100)):
        try:
            drawing = _Draw(bounded, choice, steps, optional=optional)
            value = drawing.value([Node(bounded.root, ""), *also], name)
            fault = bounded.fault(value)
            if fault is None:
                return json.loads(json.dumps(value))
        except (InvalidJSON, RecursionError):
            fault = UnsatisfiableSchema("", "the value would be nested too deeply")
        except UnsatisfiableSchema as error:
            fault = error
        failure = failure or fault
    raise failure or UnsatisfiableSchema("", "no value was found")


# Keywords that a value can break although it was made for its schema.
_CHECKED = {
    "anyOf", "const", "contains", "default", "dependentSchemas", "enum", "examples", "exclusiveMaximum",
    "exclusiveMinimum", "format", "if", "multipleOf", "not", "oneOf", "pattern", "patternProperties",
    "propertyNames", "unevaluatedItems", "unevaluatedProperties",
}  # fmt: skip
# Keywords that ask nothing of a value, or only through the nodes a way takes because of them.
_SILENT = {
    "$ref", "$defs", "$id", "$schema", "$comment", "allOf", "anyOf", "default", "definitions", "description",
    "examples", "oneOf", "title",
}  # fmt: skip


class _Draw:
    """One attempt: a search through the ways to meet a schema, within a number of steps.

    A value is drawn for several nodes at once, all of which it has to meet. `turn` asks for another value
    than lower turns gave, as far as there is one.
    """

    def __init__(self, schema: BoundedSchema, pick: int, steps: int, *, optional: bool) -> None:
        self.schema = schema
        self.pick = pick
        self.optional = optional
        self.steps_left = steps
        self.optional_ends = steps - _OPTIONAL_STEPS
        self.ranked: dict[tuple[str, str], tuple[list[Any], list[Any], list[Any]]] = {}
        self.active: list[frozenset[str]] = []

    def step(self, node: Node) -> None:
        self.steps_left -= 1
        if self.steps_left < 0:
            raise UnsatisfiableSchema(node.pointer, "too many alternatives to search")

    def value(self, nodes: list[Node], name: str, turn: int = 0) -> Any:
        """The first candidate that meets all of `nodes`."""
        failure: UnsatisfiableSchema | None = None
        for way in islice(self.ways(nodes), _MAX_WAYS):
            try:
                return self.along(way, nodes, name, turn)
            except UnsatisfiableSchema as error:
                failure = failure or error
        raise failure or UnsatisfiableSchema(nodes[0].pointer, "nothing is valid here")

    def along(self, way: list[Node], nodes: list[Node], name: str, turn: int) -> Any:
        key = frozenset(node.pointer for node in way if not node.schema.keys() <= _SILENT)
        # If a value has to contain one of its own kind, the inner one would do in its place: so would none.
        if (key and key in self.active) or len(self.active) >= _MAX_NESTING:
            raise UnsatisfiableSchema(where(way, "$ref"), "can only be met by nesting without end")
        self.active.append(key)
        try:
            checked = asked(nodes)
            careful = any(not _CHECKED.isdisjoint(node.schema) for node in way)
            fault: UnsatisfiableSchema | None = None
            for candidate in islice(self.candidates(way, name, turn), _MAX_CANDIDATES):
                self.step(way[-1])
                found = self.schema.part_fault(checked, candidate) if careful else None
                if found is None:
                    return candidate
                fault = fault or found
        finally:
            self.active.pop()
        raise fault or UnsatisfiableSchema(
            where(way, "type", "enum", "const"), "no type or value meets all of this"
        )

    # --- ways: which branches of anyOf, oneOf and if a value takes

    def ways(self, nodes: list[Node]) -> Iterator[list[Node]]:
        """Lists of plain nodes, references resolved and branches chosen, that a value could meet."""
        todo: list[tuple[list[Node], dict[str, Node]]] = [(nodes, {})]
        refused: UnsatisfiableSchema | None = None
        while todo:
            waiting, done = todo.pop()
            if not waiting:
                yield list(done.values())
                continue
            node, *rest = waiting
            self.step(node)
            if node.schema is False:
                refused = refused or UnsatisfiableSchema(node.pointer, "nothing is valid here")
                continue
            if node.schema is True:
                node = Node({}, node.pointer)
            options = [[]] if node.pointer in done else self.options(node)
            done[node.pointer] = node
            todo.extend(
                ([*option, *rest], {**done} if more else done)
                for more, option in reversed([*enumerate(options)])
            )
        if refused:
            raise refused

    def options(self, node: Node) -> list[list[Node]]:
        schema = node.schema
        parts = len(schema.get("allOf", ()))
        if parts > self.steps_left:
            raise UnsatisfiableSchema(where([node], "allOf"), "too many parts")
        always = [node.below("allOf", place) for place in range(parts)]
        if "$ref" in schema:
            always.insert(0, self.schema.resolve(node))
        choices: list[list[list[Node]]] = [
            [[branch] for branch in self.branches(node, keyword)]
            for keyword in ("anyOf", "oneOf")
            if keyword in schema
        ]
        if "if" in schema:
            choices.append([present(node, "if", "then"), present(node, "else")])
        depending = schema.get("dependentSchemas", {})
        sure = depending.keys() & set(schema.get("required", ()))
        always += [node.below("dependentSchemas", name) for name in depending if name in sure]
        unsure = [node.below("dependentSchemas", name) for name in depending if name not in sure]
        choices += [[[], unsure]] if unsure else []
        return [[*always, *chain(*choice)] for choice in islice(product(*choices), _MAX_WAYS)]

    def branches(self, node: Node, keyword: str) -> list[Node]:
        """The branches in the order to try them, null last."""
        schemas = node.schema[keyword]
        places = _turned([place for place, schema in enumerate(schemas) if not _is_null(schema)], self.pick)
        places += [place for place, schema in enumerate(schemas) if _is_null(schema)]
        return [node.below(keyword, place) for place in places[:_MAX_WAYS]]

    # --- candidates for one way

    def candidates(self, way: list[Node], name: str, turn: int) -> Iterator[Any]:
        types = types_of(way)
        if not turn:
            yield from _stated(way, types, name, default=True)
        given = [node for node in way if "enum" in node.schema or "const" in node.schema]
        if given:
            yield from (value for value in self.given(given[0], name, turn) if is_of(value, types))
            return
        failure: UnsatisfiableSchema | None = None
        for kind in types:
            try:
                yield from _BY_TYPE[kind](self, way, name, turn)
            except UnsatisfiableSchema as error:
                failure = failure or error
        yield from _stated(way, types, name, default=False)
        if failure:
            raise failure

    def given(self, node: Node, name: str, turn: int) -> Iterator[Any]:
        """The members of an enum: the harmless first, what sounds dangerous last."""
        if (node.pointer, name) not in self.ranked:
            self.ranked[node.pointer, name] = _ranked(node, name)
            self.steps_left -= min(len(node.schema.get("enum", ())), _MAX_RANKED) // 4
        best, calm, doubtful = self.ranked[node.pointer, name]
        rest = node.schema.get("enum", [])[_MAX_RANKED:_MAX_ITEMS]
        return chain(() if turn else best, _turned([*_turned(calm, self.pick), *rest], turn), doubtful)

    def strings(self, way: list[Node], name: str, turn: int) -> Iterator[str]:
        least, most = limits(way, "minLength", "maxLength", patterns.MAX_LENGTH)
        named = harmless.fitting(name, least, most, turn)
        formats = [node.schema["format"] for node in way if "format" in node.schema]
        samples = [harmless.FORMATS[known](turn) for known in formats if known in harmless.FORMATS]
        yield from (*named, *samples) if harmless.guarded(name) else (*samples, *named)
        for node in way:
            if "pattern" in node.schema:
                try:
                    for written in patterns.strings(node.schema["pattern"], least, turn):
                        # `^/tmp/` or `^rm -rf /` should name a thing that is not there, not the whole.
                        yield from (written + "null", written) if harmless.guarded(name) else (written,)
                except patterns.UnsupportedPattern as error:
                    raise UnsatisfiableSchema(pointer(("pattern",), node.pointer), str(error)) from None
        # What `not` or a second branch of oneOf may want: other texts, long ones, none at all.
        yield from harmless.fitting(name, least, most, turn + 1)
        yield from harmless.fitting(name, int(min(most, max(least, 40))), most, turn)
        yield from () if least else ("",)

    def numbers(self, way: list[Node], name: str, turn: int, *, whole: bool = False) -> Iterator[float]:
        low, high = interval(way)
        wanted = min(max(Fraction(str(harmless.number(name))), low), high)
        step = common_multiple(way, whole=whole)
        yield from map(plain, numbers_near(wanted, low, high, step, turn))

    def integers(self, way: list[Node], name: str, turn: int) -> Iterator[float]:
        return self.numbers(way, name, turn, whole=True)

    def booleans(self, _: list[Node], name: str, turn: int) -> Iterator[bool]:
        first = harmless.flag(name) != bool(turn % 2)
        yield from (first, not first)

    def nulls(self, _: list[Node], __: str, ___: int) -> Iterator[None]:
        yield None

    # --- objects

    def objects(self, way: list[Node], _: str, turn: int) -> Iterator[dict[str, Any]]:
        least, most = limits(way, "minProperties", "maxProperties", _MAX_MEMBERS)
        required = names_with(way, [])
        if len(required) > _MAX_ITEMS:
            raise UnsatisfiableSchema(
                where(way, "required", "dependentRequired"), "more members than are drawn"
            )
        if len(required) > most:
            raise UnsatisfiableSchema(where(way, "maxProperties"), "more members are required")
        listed = list(dict.fromkeys(name for node in way for name in node.schema.get("properties", ())))
        wished = listed if self.optional and not required else []
        plans = [wished, [], listed] if self.optional else [[]]
        for number, optional in enumerate(plans):
            if not number or optional != plans[number - 1]:
                members = self.members(way, required, optional, turn, most)
                # Objects of nothing but members of our own differ by their number.
                self.fill(way, members, listed, least if listed else int(min(least + turn, most)), turn)
                yield members
        with suppress(UnsatisfiableSchema):
            more = self.members(way, required, [], turn, most)
            self.fill(way, more, listed, int(min(len(more) + 3, most)), turn)
            yield more

    def members(
        self, way: list[Node], required: list[str], optional: list[str], turn: int, most: float
    ) -> dict[str, Any]:
        members = {name: self.value(self.member(way, name, "required"), name, turn) for name in required}
        for name in optional[:_MAX_OPTIONAL]:
            names = names_with(way, [*members, name])
            if name not in members and len(names) <= most and self.steps_left > self.optional_ends:
                try:
                    added = {
                        new: self.value(self.member(way, new), new, turn)
                        for new in names
                        if new not in members
                    }
                except UnsatisfiableSchema:
                    continue
                members.update(added)
        return members

    def fill(
        self, way: list[Node], members: dict[str, Any], listed: list[str], least: int, turn: int
    ) -> None:
        """Add members until there are `least`: listed ones first, then ones with names of our own."""
        names = chain(listed, self.new_names(way)) if len(members) < least else ()
        failure: UnsatisfiableSchema | None = None
        for name in islice(names, 2 * least + _MAX_OPTIONAL):
            if len(members) >= least:
                return
            try:
                for new in names_with(way, [*members, name]):
                    if new not in members:
                        members[new] = self.value(self.member(way, new), new, turn)
            except UnsatisfiableSchema as error:
                failure = failure or error
        if len(members) < least:
            reason = f"no more members can be added ({failure.reason})" if failure else "no more members"
            raise UnsatisfiableSchema(where(way, "minProperties"), reason)

    def member(self, way: list[Node], name: str, asked: str = "") -> list[Node]:
        """The nodes that apply to the member `name`."""
        nodes: list[Node] = []
        for node in way:
            schema = node.schema
            found = [node.below("properties", name)] if name in schema.get("properties", ()) else []
            matching = (p for p in schema.get("patternProperties", ()) if self.schema.matches(p, name))
            found += [node.below("patternProperties", pattern) for pattern in matching]
            nodes += found or present(node, "additionalProperties")
        nodes = nodes or [below for node in way for below in present(node, "unevaluatedProperties")]
        return nodes or [Node(True, where(way, asked))]

    def new_names(self, way: list[Node]) -> Iterator[str]:
        for pattern in (pattern for node in way for pattern in node.schema.get("patternProperties", ())):
            with suppress(patterns.UnsupportedPattern):
                for turn in range(_MAX_MEMBERS):
                    written = next(patterns.strings(pattern, 0, turn))
                    yield from (written, f"{written}{turn}")
        naming = [below for node in way for below in present(node, "propertyNames")]
        for turn in range(_MAX_ITEMS):
            name = self.value([STRING, *naming], "", turn) if naming else f"member{turn + 1}"
            yield name

    # --- arrays

    def arrays(self, way: list[Node], name: str, turn: int) -> Iterator[list[Any]]:
        least, most = limits(way, "minItems", "maxItems", _MAX_ITEMS)
        wanted = [below for node in way for below in self.contained(node)]
        if len(wanted) > min(most, _MAX_ITEMS):
            raise UnsatisfiableSchema(
                where(way, "minContains", "contains"), "more items than an array here may have"
            )
        listed = max((len(node.schema.get("prefixItems", ())) for node in way), default=0)
        typical = max(listed, 1 if any("items" in node.schema for node in way) else 0)
        failure: UnsatisfiableSchema | None = None
        # Among the first items, behind the listed ones, or met by those without our doing.
        for besides in (wanted, [*[None] * listed, *wanted], []) if wanted else ([],):
            count = int(min(max(least, len(besides)), most))
            for number in (typical, count) if self.optional and count < typical <= most else (count,):
                try:
                    yield self.items(way, besides, number, name, turn)
                except UnsatisfiableSchema as error:
                    failure = failure or error
        if failure:
            raise failure

    def contained(self, node: Node) -> list[Node]:
        """What items of an array have to be besides, one entry for each."""
        if "contains" not in node.schema:
            return []
        return [node.below("contains")] * min(math.ceil(node.schema.get("minContains", 1)), _MAX_ITEMS + 1)

    def items(
        self, way: list[Node], besides: Sequence[Node | None], count: int, name: str, turn: int
    ) -> list[Any]:
        unique = any(node.schema.get("uniqueItems") for node in way)
        items: list[Any] = []
        seen: set[bytes] = set()
        drawn: dict[tuple[str, ...], Any] = {}
        for place in range(count):
            nodes = [*item_nodes(way, place), *(node for node in besides[place : place + 1] if node)]
            key = tuple(node.pointer for node in nodes)
            if unique:
                items.append(self.another(way, nodes, name, turn + place, seen))
                continue
            if key not in drawn:
                drawn[key] = self.value(nodes, name, turn)
            items.append(drawn[key])
        return items

    def another(self, way: list[Node], nodes: list[Node], name: str, turn: int, seen: set[bytes]) -> Any:
        for later in range(turn, turn + 8):
            value = self.value(nodes, name, later)
            key = json.canonical(value)
            if key not in seen:
                seen.add(key)
                return value
        raise UnsatisfiableSchema(where(way, "uniqueItems"), "not enough different items")


_BY_TYPE: dict[str, Callable[[_Draw, list[Node], str, int], Iterator[Any]]] = {
    "object": _Draw.objects,
    "string": _Draw.strings,
    "integer": _Draw.integers,
    "number": _Draw.numbers,
    "array": _Draw.arrays,
    "boolean": _Draw.booleans,
    "null": _Draw.nulls,
}


def _is_null(schema: Any) -> bool:
    return isinstance(schema, dict) and (schema.get("type") == "null" or schema.get("const", 0) is None)


def _turned(values: list[Any], turn: int) -> list[Any]:
    at = turn % len(values) if values else 0
    return values[at:] + values[:at]


def _ranked(node: Node, name: str) -> tuple[list[Any], list[Any], list[Any]]:
    values = [node.schema["const"]] if "const" in node.schema else node.schema["enum"][:_MAX_ITEMS]
    guarded = harmless.guarded(name)
    best = [value for value in values if isinstance(value, str) and value in guarded]
    calm: list[Any] = []
    doubtful: list[Any] = []
    for value in values[:_MAX_RANKED]:
        (doubtful if value is None or harmless.destructive(value, name) else calm).append(value)
    return best, calm, doubtful


def _stated(way: list[Node], types: list[str], name: str, *, default: bool) -> Iterator[Any]:
    """The values the schema itself proposes, as far as they are harmless."""
    for node in way:
        proposed = [node.schema["default"]] if "default" in node.schema else []
        for value in proposed if default else node.schema.get("examples", ()):
            if is_of(value, types) and not harmless.risky(value, name):
                yield value
