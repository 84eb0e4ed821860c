"""Explain why a value is invalid: the slow, exact half of validation.

The reference validator (jsonschema) finds the violations; this module gives each its JSON pointer and message,
in the service's own words if the schema has them. It is imported and run only for values that failed.

The reference validator takes about a millisecond for one element of an array. It therefore looks only at
elements and members that the fast validator (jsonschema-rs) refuses, and explains a limited number of them: the
work is bounded, whatever the size of the value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from mockserver.contract.schema.compilation import Validator, compile_validator
from mockserver.slow_imports import require_import
from mockserver.wire.json import format_pointer

__all__ = [
    "MAX_EXPLAINED_VIOLATIONS",
    "SchemaViolation",
    "ViolationExplainer",
    "Violations",
    "json_type",
]

#: How many violations of a value are explained.
MAX_EXPLAINED_VIOLATIONS = 20
#: How many elements and members are counted once enough violations are explained.
_MAX_COUNTED = 10_000

_JSON_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}


@dataclass(frozen=True, slots=True)
class SchemaViolation:
    """One violation of a schema."""

    pointer: str
    """Where it is; for a missing member, where that should be."""
    keyword: str
    """The JSON Schema keyword that is violated."""
    message: str
    expected: Any
    got: Any
    rule: str | None
    """The rule that the schema names for a violation, if any."""


def json_type(value: Any) -> str:
    """The JSON name of the type of `value`."""
    return "null" if value is None else _JSON_TYPES.get(type(value), type(value).__name__)


class Violations(NamedTuple):
    """The violations of a value."""

    explained: list[SchemaViolation]
    """The first `MAX_EXPLAINED_VIOLATIONS`, outermost and first members first."""
    more: int = 0
    """How many others there are at least: an element or member counts once."""


class ViolationExplainer:
    """Explains what violates one schema; compiles the schemas of elements and members on first use."""

    def __init__(self, document: dict[str, Any]) -> None:
        # jsonschema validates a schema that names its dialect with a validator of its own, which has no limits.
        parts = {name: _without_dialect(part) for name, part in document.get("$defs", {}).items()}
        self._document = {**_without_dialect(document), "$defs": parts}
        self._validators: dict[bytes, Validator] = {}

    def explain(self, value: Any) -> Violations:
        """The violations of the schema by `value`; none if the reference validator accepts it."""
        return _Explanation(self._document, self._part_validator).explain(value)

    def _part_validator(self, schema: Any) -> Validator:
        key = orjson.dumps(schema)
        if key not in self._validators:
            self._validators[key] = compile_validator(
                {"allOf": [schema], "$defs": self._document.get("$defs", {})}
            )
        return self._validators[key]


def _without_dialect(schema: Any) -> Any:
    """A schema without its `$schema`."""
    return (
        {name: each for name, each in schema.items() if name != "$schema"}
        if isinstance(schema, dict)
        else schema
    )


class _Explanation:
    """One run of the reference validator, which skips what the fast one accepts and stops explaining in time."""

    def __init__(self, document: Mapping[str, Any], part_validator: Callable[[Any], Validator]) -> None:
        self._document = document
        self._part_validator = part_validator
        self._found: dict[tuple[str, str], SchemaViolation] = {}
        self._descents = 0
        self._counted = 0
        self._more = 0

    def explain(self, value: Any) -> Violations:
        require_import("jsonschema", "referencing")
        import jsonschema
        import referencing

        # The types of both packages do not say what they take.
        reference: Any = jsonschema.Draft202012Validator
        extend: Any = jsonschema.validators.extend
        empty: Any = referencing.Registry
        bounded = extend(
            reference,
            {
                "items": self._items,
                "additionalProperties": self._additional_properties(
                    reference.VALIDATORS["additionalProperties"]
                ),
                "propertyNames": self._property_names,
            },
        )
        default_rule = self._document.get("x-rule")
        # The empty registry keeps the validator from fetching remote references.
        for error in bounded(self._document, registry=empty()).iter_errors(value):
            violation = _to_violation(error, default_rule)
            key = violation.pointer, violation.keyword
            if not self._is_full:
                self._found.setdefault(key, violation)
            elif key not in self._found:
                self._more += 1
        return Violations(list(self._found.values()), self._more)

    @property
    def _is_full(self) -> bool:
        # The validators differ in details: a value that only the fast one refuses yields no violation.
        return len(self._found) >= MAX_EXPLAINED_VIOLATIONS or self._descents >= 10 * MAX_EXPLAINED_VIOLATIONS

    def _items(self, validator: Any, items: Any, value: Any, schema: Any) -> Iterator[Any]:
        if isinstance(value, list):
            start = len(schema.get("prefixItems", ()))
            yield from self._descend(validator, items, ((at, value[at]) for at in range(start, len(value))))

    def _additional_properties(self, original: Any) -> Any:
        def check(validator: Any, members: Any, value: Any, schema: Any) -> Iterator[Any]:
            if not (isinstance(members, dict) and isinstance(value, dict)) or "patternProperties" in schema:
                yield from original(validator, members, value, schema) or ()
                return
            known = schema.get("properties", {})
            others = ((name, member) for name, member in value.items() if name not in known)
            yield from self._descend(validator, members, others)

        return check

    def _property_names(self, validator: Any, names: Any, value: Any, schema: Any) -> Iterator[Any]:
        if isinstance(value, dict):
            yield from self._descend(validator, names, ((None, name) for name in value))

    def _descend(self, validator: Any, schema: Any, parts: Iterable[tuple[Any, Any]]) -> Iterator[Any]:
        is_valid = self._part_validator(schema)
        for path, part in parts:
            if not self._is_full:
                if not is_valid(part):
                    self._descents += 1
                    yield from validator.descend(part, schema, path=path)
            elif self._counted == _MAX_COUNTED:
                return
            else:
                self._counted += 1
                self._more += not is_valid(part)


def _to_violation(error: Any, default_rule: str | None) -> SchemaViolation:
    keyword, schema, path = error.validator, error.schema, list(error.absolute_path)
    own = schema
    if keyword == "required":
        missing = next(name for name in error.validator_value if error.message.startswith(repr(name)))
        path.append(missing)
        own = schema.get("properties", {}).get(missing, {})
    describe: Callable[[Any], Any] = _EXPECTED_TEXTS.get(keyword) or str
    expected = describe(error.validator_value)
    got = None if keyword == "required" else error.instance
    message = own.get("x-messages", {}).get(keyword) or _default_message(
        keyword, _field_path(path), expected, got
    )
    return SchemaViolation(
        format_pointer(path), keyword, message, expected, got, schema.get("x-rule", default_rule)
    )


def _field_path(path: list[Any]) -> str:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".") or "the body"


def _default_message(keyword: str, field: str, expected: Any, got: Any) -> str:
    if keyword == "required":
        return f"{field} is missing"
    if keyword == "type":
        return f"{field} must be {expected}, not {json_type(got)}"
    if keyword in ("minLength", "minItems"):
        return f"{field} must not be empty"
    if keyword in ("maxLength", "maxItems", "maxProperties"):
        return f"{field} must have {expected}"
    return f"{field} must be {expected}"


def _type_names(value: Any) -> str:
    return value if isinstance(value, str) else " or ".join(value)


def _enum_text(value: Any) -> str:
    return "one of " + ", ".join("null" if each is None else str(each) for each in value)


_EXPECTED_TEXTS: dict[str, Callable[[Any], Any]] = {
    "type": _type_names,
    "required": lambda _: "a value",
    "enum": _enum_text,
    "const": lambda value: f'"{value}"',
    "minimum": lambda value: f"{value} or more",
    "maximum": lambda value: f"{value} or less",
    "exclusiveMinimum": lambda value: f"more than {value}",
    "exclusiveMaximum": lambda value: f"less than {value}",
    "minLength": lambda value: f"{value} character or more",
    "minItems": lambda value: f"{value} element or more",
    "maxItems": lambda value: f"{value} elements or less",
    "maxLength": lambda value: f"{value} characters or less",
    "maxProperties": lambda value: f"{value} members or less",
    "propertyNames": lambda _: "named by shorter names",
    "pattern": lambda value: f"of the form {value}",
}
