"""What the admin API is sent, held against its schemas; what is wrong is told with a pointer."""

from __future__ import annotations

from functools import cache
from typing import Any

import jsonschema_rs

from mockserver import resources
from mockserver.errors import InvalidExchange, InvalidJSON
from mockserver.wire import json

__all__ = ["admin_schemas", "parse_value"]


def parse_value(data: bytes, schema_name: str) -> Any:
    """The value of a body, by a schema of `schemas/admin.json`; InvalidExchange says what is wrong."""
    try:
        value = json.loads(data)
    except InvalidJSON as error:
        raise InvalidExchange("body", "", f"not JSON: {error}") from None
    for problem in _validator(schema_name).iter_errors(value):
        pointer = "".join(f"/{step}" for step in problem.instance_path)
        raise InvalidExchange("body", pointer, problem.message)
    return value


@cache
def admin_schemas() -> dict[str, Any]:
    """The schemas by name."""
    document = json.loads((resources.data_folder("schemas") / "admin.json").read_bytes())
    found: dict[str, Any] = document["$defs"]
    return found


@cache
def _validator(name: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": admin_schemas()})
