"""The alternatives of a schema: the branches of anyOf, oneOf and if that a value could satisfy together."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice, product
from typing import Any

from mockserver.errors import UnsatisfiableSchema
from mockserver.replies.json_schema.bounded_schema import BoundedSchema
from mockserver.replies.json_schema.constraints import child_nodes, keyword_pointer
from mockserver.replies.json_schema.scalar_candidates import is_null_schema, rotate
from mockserver.replies.json_schema.schema_limits import SchemaNode

__all__ = ["MAX_ALTERNATIVES", "Search", "find_alternatives"]

MAX_ALTERNATIVES = 64


class Search:
    """The steps that a search for a value may take, and the choices of its seed."""

    def __init__(self, schema: BoundedSchema, seed: int, steps: int, lengths: set[int]) -> None:
        """`lengths` gets the length of each list that the seed chooses from."""
        self.schema = schema
        self.seed = seed
        self.steps_left = steps
        self.lengths = lengths

    def spend_step(self, node: SchemaNode) -> None:
        self.steps_left -= 1
        if self.steps_left < 0:
            raise UnsatisfiableSchema(node.pointer, "too many alternatives to search")

    def rotate(self, values: list[Any]) -> list[Any]:
        """The values, beginning with the one that the seed chooses."""
        self.lengths.add(len(values) or 1)
        return rotate(values, self.seed)


def find_alternatives(nodes: list[SchemaNode], search: Search) -> Iterator[list[SchemaNode]]:
    """Lists of nodes that a value could satisfy, with references resolved and branches chosen."""
    todo: list[tuple[list[SchemaNode], dict[str, SchemaNode]]] = [(nodes, {})]
    failure: UnsatisfiableSchema | None = None
    while todo:
        waiting, done = todo.pop()
        if not waiting:
            yield list(done.values())
            continue
        node, *rest = waiting
        search.spend_step(node)
        if node.schema is False:
            failure = failure or UnsatisfiableSchema(node.pointer, "nothing is valid here")
            continue
        if node.schema is True:
            node = SchemaNode({}, node.pointer)
        options = [[]] if node.pointer in done else _expand(node, search)
        done[node.pointer] = node
        todo.extend(
            ([*option, *rest], {**done} if more else done) for more, option in reversed([*enumerate(options)])
        )
    if failure:
        raise failure


def _expand(node: SchemaNode, search: Search) -> list[list[SchemaNode]]:
    """What a value has to satisfy beside this node: its parts and reference, with each choice of its branches."""
    schema = node.schema
    parts = len(schema.get("allOf", ()))
    if parts > search.steps_left:
        raise UnsatisfiableSchema(keyword_pointer([node], "allOf"), "too many parts")
    always = [node.child("allOf", index) for index in range(parts)]
    if "$ref" in schema:
        always.insert(0, search.schema.resolve(node))
    choices: list[list[list[SchemaNode]]] = [
        [[branch] for branch in _branches(node, keyword, search)]
        for keyword in ("anyOf", "oneOf")
        if keyword in schema
    ]
    if "if" in schema:
        choices.append([child_nodes(node, "if", "then"), child_nodes(node, "else")])
    dependent = schema.get("dependentSchemas", {})
    required = set(schema.get("required", ()))
    always += [node.child("dependentSchemas", name) for name in dependent if name in required]
    optional = [node.child("dependentSchemas", name) for name in dependent if name not in required]
    choices += [[[], optional]] if optional else []
    return [[*always, *chain(*choice)] for choice in islice(product(*choices), MAX_ALTERNATIVES)]


def _branches(node: SchemaNode, keyword: str, search: Search) -> list[SchemaNode]:
    """The branches in the order to try them, null last."""
    schemas = node.schema[keyword]
    indices = search.rotate([index for index, schema in enumerate(schemas) if not is_null_schema(schema)])
    indices += [index for index, schema in enumerate(schemas) if is_null_schema(schema)]
    return [node.child(keyword, index) for index in indices[:MAX_ALTERNATIVES]]
