"""The admin API's part of a server's OpenAPI document."""

from __future__ import annotations

from typing import Any

from mockserver import resources
from mockserver.contract.operations import Operation
from mockserver.server.admin.operations import (
    EXCHANGE_SCHEMA,
    OPERATIONS,
    OPTIONAL_BODIES,
    STUBS_SCHEMA,
    admin_schemas,
)
from mockserver.server.mock_headers import ADMIN_TOKEN_HEADER, SESSION_HEADER
from mockserver.wire import json

__all__ = ["add_admin_api"]

_SCHEMA_POINTER = "#/components/schemas/"
_TAG = "admin"


def add_admin_api(document: dict[str, Any]) -> dict[str, Any]:
    """Return the OpenAPI document with the admin API added."""
    exchange = json.loads((resources.data_folder("schemas") / "exchange.json").read_bytes())
    parts = {
        f"admin_{name}": _rewrite_references(schema, "admin_") for name, schema in admin_schemas().items()
    }
    parts |= {
        f"exchange_{name}": _rewrite_references(each, "exchange_") for name, each in exchange["$defs"].items()
    }
    own = {name: value for name, value in exchange.items() if name not in ("$schema", "$defs")}
    reference = {"$ref": _SCHEMA_POINTER + EXCHANGE_SCHEMA}
    parts[f"admin_{STUBS_SCHEMA}"] = {
        "description": admin_schemas()[STUBS_SCHEMA]["description"],
        "oneOf": [reference, {"type": "array", "minItems": 1, "items": reference}],
    }
    parts[EXCHANGE_SCHEMA] = _rewrite_references(own, "exchange_")
    paths: dict[str, Any] = {}
    for each in OPERATIONS:
        # At the server's root, not below the base path of the API.
        paths.setdefault(each.path, {"servers": [{"url": "/"}]})[each.method.lower()] = _operation_object(
            each
        )
    components = document["components"]
    token = {"type": "apiKey", "in": "header", "name": ADMIN_TOKEN_HEADER.decode()}
    return {
        **document,
        "tags": [*document["tags"], {"name": _TAG, "description": "Configure, read and reset the mock."}],
        "paths": {**document["paths"], **paths},
        "components": {
            **components,
            "securitySchemes": {**components["securitySchemes"], "admin": token},
            "schemas": {**components["schemas"], **parts},
        },
    }


def _operation_object(operation: Operation) -> dict[str, Any]:
    errors = {"400": "BadRequest", "401": "Unauthorized", "403": "Forbidden"}
    result: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [_TAG],
        "summary": operation.summary,
        "security": [{"admin": []}],
        "parameters": [
            *_SESSION_PATH_PARAMETERS * ("{session}" in operation.path),
            *_STUB_PATH_PARAMETERS * ("{stub}" in operation.path),
            _SESSION_HEADER_PARAMETER,
            *_PAGING_PARAMETERS * operation.paginated,
            *_VERDICT_PARAMETERS * (operation.name == "readVerdict"),
        ],
        "responses": {
            "200": {
                "description": operation.summary,
                "headers": {"x-request-id": {"$ref": "#/components/headers/request_id"}},
                "content": _json_content(f"admin_{operation.response_schema}"),
            },
            **{status: {"$ref": f"#/components/responses/{name}"} for status, name in errors.items()},
        },
    }
    if operation.request_schema is not None:
        name = (
            EXCHANGE_SCHEMA
            if operation.request_schema == EXCHANGE_SCHEMA
            else f"admin_{operation.request_schema}"
        )
        result["requestBody"] = {
            "required": operation.request_schema not in OPTIONAL_BODIES,
            "content": _json_content(name),
        }
    return result


def _json_content(name: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": _SCHEMA_POINTER + name}}}


def _rewrite_references(schema: Any, prefix: str) -> Any:
    """Rewrite the references of a schema to the document's components."""
    if isinstance(schema, list):
        return [_rewrite_references(each, prefix) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: _SCHEMA_POINTER + prefix + value.removeprefix("#/$defs/")
        if name == "$ref"
        else _rewrite_references(value, prefix)
        for name, value in schema.items()
    }


_SESSION_HEADER_PARAMETER: dict[str, Any] = {
    "name": SESSION_HEADER.decode(), "in": "header",
    "schema": {"$ref": f"{_SCHEMA_POINTER}admin_session_name"},
    "description": "The session; by default the server's first.",
}  # fmt: skip
_SESSION_PATH_PARAMETERS: list[dict[str, Any]] = [
    {
        "name": "session",
        "in": "path",
        "required": True,
        "schema": {"$ref": f"{_SCHEMA_POINTER}admin_session_name"},
    }
]
_STUB_PATH_PARAMETERS: list[dict[str, Any]] = [
    {"name": "stub", "in": "path", "required": True, "schema": {"type": "string"}}
]
_PAGING_PARAMETERS: list[dict[str, Any]] = [
    {
        "name": "after", "in": "query", "description": "Number of the entry before the page.",
        "schema": {"type": "integer", "minimum": 0},
    },
    {
        "name": "limit", "in": "query", "description": "Maximum number of entries on the page.",
        "schema": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100},
    },
]  # fmt: skip
_VERDICT_PARAMETERS: list[dict[str, Any]] = [
    {
        "name": "conduct", "in": "query",
        "description": "Whether to check also what the client does over several requests.",
        "schema": {"type": "boolean", "default": False},
    },
]  # fmt: skip
