"""Helpers of the tests for generated values."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest

from mockserver.errors import UnsatisfiableSchema
from mockserver.replies.json_schema.generator import generate_arguments, generate_value

Schema = dict[str, Any]

STRING: Schema = {"type": "string"}
INTEGER: Schema = {"type": "integer"}
FORMAT_CHECKER = jsonschema.Draft202012Validator.FORMAT_CHECKER


def is_valid(schema: Any, value: Any) -> bool:
    return jsonschema.Draft202012Validator(schema, format_checker=FORMAT_CHECKER).is_valid(value)


def generate_member(name: str, schema: Schema | None = None) -> Any:
    """The value generated for a member called `name`."""
    return json.loads(generate_arguments({"properties": {name: schema or STRING}}))[name]


def schema_error(schema: Any) -> UnsatisfiableSchema:
    with pytest.raises(UnsatisfiableSchema) as caught:
        generate_value(schema)
    return caught.value


def generation_error(generate: Callable[[Any], Any], schema: Any) -> UnsatisfiableSchema | None:
    try:
        generate(schema)
    except UnsatisfiableSchema as error:
        return error
    return None
