"""The fast half of validation: schemas compiled by jsonschema-rs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

__all__ = ["Validator", "compile_validator"]

Validator: TypeAlias = Callable[[Any], bool]


def compile_validator(document: dict[str, Any]) -> Validator:
    """A function that tells whether a value is valid."""
    import jsonschema_rs

    is_valid = jsonschema_rs.Draft202012Validator(document).is_valid

    def check(value: Any) -> bool:
        try:
            return is_valid(value)
        except ValueError:  # not a JSON value, such as a set or a name with a lone surrogate
            return False

    return check
