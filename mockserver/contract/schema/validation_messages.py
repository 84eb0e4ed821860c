"""Explain why a value is invalid: the slow, exact half of validation.

The reference validator (jsonschema) finds every violation; this module gives each its JSON pointer and
message, in the service's own words if the schema has them. It is imported and run only for values that
failed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mockserver.wire.json import format_pointer

__all__ = ["SchemaViolation", "find_violations", "json_type"]

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


def find_violations(document: Mapping[str, Any], value: Any) -> list[SchemaViolation]:
    """Every violation of the schema `document` by `value`, outermost and first members first."""
    import jsonschema
    import referencing

    # The empty registry keeps the validator from fetching remote references.
    reference: Any = jsonschema.Draft202012Validator
    empty: Any = referencing.Registry
    validator = reference(document, registry=empty())
    found: dict[tuple[str, str], SchemaViolation] = {}
    for error in validator.iter_errors(value):
        violation = _to_violation(error, document.get("x-rule"))
        found.setdefault((violation.pointer, violation.keyword), violation)
    return list(found.values())


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
