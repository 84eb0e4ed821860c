"""Problems of a JSON document, described for the person who wrote it.

A problem says where it is, what is expected there, which known name is the nearest, and shows an example.
All of it comes from the schema: `title` names a value, `examples` show it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any

import jsonschema_rs

from mockserver.named_tuples import NamedTuple
from mockserver.suggestions import choose_from, did_you_mean
from mockserver.wire import json

__all__ = ["Problem", "example_of", "find_problems", "first_problem"]

#: Characters of a value to show.
_MAX_SHOWN = 60
#: Problems of one document to report: with more, the document is something else.
_MAX_PROBLEMS = 20
#: Values of a document whose problems are all searched.
_MAX_VALUES = 500
#: Characters of one of the validator's own messages: it quotes the value.
_MAX_MESSAGE = 300

_TYPE_NAMES = {
    "array": "a list", "boolean": "true or false", "integer": "an integer", "number": "a number",
    "null": "null", "object": "an object", "string": "a text",
}  # fmt: skip


class Problem(NamedTuple):
    """One thing that is wrong with a document."""

    pointer: str
    """JSON Pointer to the value; for a member that is missing or unknown, to the object."""
    reason: str


def find_problems(
    validator: jsonschema_rs.Draft202012Validator, schema: Mapping[str, Any], value: Any
) -> list[Problem]:
    """Return the problems of a value, the outermost first; `validator` is the schema's."""
    found: dict[Problem, None] = {}
    for error in _errors(validator, value):
        for reason in _reasons(error, schema):
            found[Problem(json.format_pointer(error.instance_path), reason)] = None
        if len(found) >= _MAX_PROBLEMS:
            break
    return sorted(found, key=lambda each: each.pointer.count("/"))


def first_problem(validator: jsonschema_rs.Draft202012Validator, value: Any) -> Problem | None:
    """Return the first problem of a value in the validator's words; None if it is valid."""
    for error in _first_error(validator, value):
        return Problem(json.format_pointer(error.instance_path), _truncate(error.message))
    return None


def _errors(validator: jsonschema_rs.Draft202012Validator, value: Any) -> Iterable[Any]:
    """All errors of a short value. Of a long one the first: the validator finds all before it returns any."""
    is_short = _count_values(value, _MAX_VALUES) <= _MAX_VALUES
    return validator.iter_errors(value) if is_short else _first_error(validator, value)


def _first_error(validator: jsonschema_rs.Draft202012Validator, value: Any) -> Iterator[Any]:
    try:
        validator.validate(value)
    except jsonschema_rs.ValidationError as error:
        yield error


def _count_values(value: Any, limit: int) -> int:
    """The number of values in `value`; some number over `limit` if it has more."""
    count = 1
    containers = [value] if isinstance(value, dict | list) else []
    while containers and count <= limit:
        container = containers.pop()
        members = container.values() if isinstance(container, dict) else container
        count += len(members)
        containers += [each for each in islice(members, limit) if isinstance(each, dict | list)]
    return count


def _reasons(error: Any, document: Mapping[str, Any]) -> Iterator[str]:
    *path, keyword = error.schema_path
    path = path if isinstance(keyword, str) else path[:-1]
    schema = _resolve(document, path)
    if keyword == "additionalProperties":
        for name in error.kind.unexpected[:_MAX_PROBLEMS]:
            yield _unknown_member(name, schema, document)
        return
    describe = _DESCRIPTIONS.get(error.kind.name)
    expected = describe(error, schema) if describe else _truncate(error.message)
    yield expected + _nearest_example(document, path)


def _resolve(document: Mapping[str, Any], path: Iterable[Any]) -> Mapping[str, Any]:
    schema: Any = document
    for step in path:
        schema = schema[step]
    return schema if isinstance(schema, Mapping) else {}


def _nearest_example(document: Mapping[str, Any], path: list[Any]) -> str:
    """The example of the schema at a path, or else of the nearest one around it, within its definition."""
    shortest = 2 if path[:1] == ["$defs"] else 0
    examples = (example_of(_resolve(document, path[:end])) for end in range(len(path), shortest - 1, -1))
    return next(filter(None, examples), "")


def _unknown_member(name: str, schema: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    members: Mapping[str, Any] = schema.get("properties", {})
    choices = choose_from(name, members)
    if not choices.startswith("; did you mean") and (owner := _owner(name, members, document)):
        choices = f"; it belongs in {owner!r}"
    return f"{schema.get('title', 'this object')} has no member {name!r}{choices}{example_of(schema)}"


def _owner(name: str, members: Mapping[str, Any], document: Mapping[str, Any]) -> str | None:
    """The member whose own members include `name`, in all of its forms if possible."""
    owners = {owner: _forms(schema, document) for owner, schema in members.items()}
    in_all = (owner for owner, (first, *_) in owners.items() if name in first)
    in_some = (owner for owner, forms in owners.items() if any(name in form for form in forms))
    return next(chain(in_all, in_some), None)


def _forms(schema: Mapping[str, Any], document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The members of an object, and those that it has in one of its forms only."""
    definition = document.get("$defs", {}).get(schema.get("$ref", "").removeprefix("#/$defs/"), schema)
    branches = [definition[branch] for branch in ("then", "else") if branch in definition]
    return [
        definition.get("properties", {}),
        *(form for branch in branches for form in _forms(branch, document)),
    ]


def _wrong_type(error: Any, schema: Mapping[str, Any]) -> str:
    *others, last = [_TYPE_NAMES[each] for each in error.kind.types]
    names = f"{', '.join(others)} or {last}" if others else last
    return f"expected {names}, not {_show(error.instance)}"


def _missing_member(error: Any, schema: Mapping[str, Any]) -> str:
    name = error.kind.property
    # A member with nearly this name is probably the one that is missing.
    misspelt = [
        each
        for each in error.instance
        if each not in schema.get("properties", ()) and did_you_mean(each, [name])
    ]
    nearest = f"; did you mean it by {misspelt[0]!r}?" if misspelt else ""
    return f"{schema.get('title', 'this object')} lacks {name!r}{nearest}"


def _wrong_choice(error: Any, schema: Mapping[str, Any]) -> str:
    choices = [each for each in schema["enum"] if isinstance(each, str)]
    given = error.instance
    if isinstance(given, str):
        return f"unknown value {_show(given)}{choose_from(given, choices)}"
    return f"expected {' or '.join(map(repr, choices))}, not {_show(given)}"


def _no_alternative(error: Any, schema: Mapping[str, Any]) -> str:
    """An object that needs one of several members."""
    names = [name for each in schema["anyOf"] for name in each.get("required", ())]
    suggestions = (
        did_you_mean(each, names) for each in error.instance if each not in schema.get("properties", ())
    )
    nearest = next(filter(None, suggestions), "")
    return f"{schema.get('title', 'this object')} lacks one of {', '.join(names)}{nearest}"


def _not_both(error: Any, schema: Mapping[str, Any]) -> str:
    members = schema.get("not", {}).get("required", ())
    return f"expected only one of {', '.join(members)}" if members else str(error.message)


_DESCRIPTIONS: Mapping[str, Callable[[Any, Mapping[str, Any]], str]] = {
    "type": _wrong_type,
    "required": _missing_member,
    "enum": _wrong_choice,
    "anyOf": _no_alternative,
    "not": _not_both,
    "const": lambda error, schema: f"expected {_show(schema['const'])}, not {_show(error.instance)}",
    "minLength": lambda error, schema: f"expected a text with characters, not {_show(error.instance)}",
    "minItems": lambda error, schema: f"expected a list with elements, not {_show(error.instance)}",
    "minimum": lambda error, schema: f"expected at least {schema['minimum']}, not {_show(error.instance)}",
    "maximum": lambda error, schema: f"expected at most {schema['maximum']}, not {_show(error.instance)}",
    "pattern": lambda error, schema: (
        f"expected {schema.get('title') or 'a text that matches ' + schema['pattern']}, "
        f"not {_show(error.instance)}"
    ),
}


def example_of(schema: Mapping[str, Any]) -> str:
    """The end of a message: an example of what a schema describes, if it has one."""
    examples: Sequence[Any] = schema.get("examples", ())
    return f"; example: {json.dumps(examples[0]).decode()}" if examples else ""


def _truncate(message: str) -> str:
    return message if len(message) <= _MAX_MESSAGE else f"{message[:_MAX_MESSAGE]}…"


def _show(value: Any) -> str:
    try:
        text = json.dumps(value).decode()
    except (TypeError, ValueError):
        text = repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"
