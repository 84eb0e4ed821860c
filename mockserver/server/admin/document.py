"""The admin API's part of the OpenAPI document of a server that has one."""

from __future__ import annotations

from typing import Any

from mockserver import resources
from mockserver.contract.operations import Operation
from mockserver.server.admin.judging import definitions
from mockserver.server.admin.operations import EXCHANGE, OPERATIONS
from mockserver.wire import json

__all__ = ["with_admin"]

_BASE = "#/components/schemas/"
_TAG = "admin"


def with_admin(document: dict[str, Any]) -> dict[str, Any]:
    """An OpenAPI document with the admin API in it."""
    exchange = json.loads((resources.folder("schemas") / "exchange.json").read_bytes())
    parts = {f"admin_{name}": _moved(schema, "admin_") for name, schema in definitions().items()}
    parts |= {f"exchange_{name}": _moved(each, "exchange_") for name, each in exchange["$defs"].items()}
    own = {name: value for name, value in exchange.items() if name not in ("$schema", "$defs")}
    parts[EXCHANGE] = _moved(own, "exchange_")
    paths: dict[str, Any] = {}
    for each in OPERATIONS:
        # It is at the server's root, wherever the service's own paths are.
        paths.setdefault(each.path, {"servers": [{"url": "/"}]})[each.method.lower()] = _operation(each)
    components = document["components"]
    token = {"type": "apiKey", "in": "header", "name": "x-mock-admin-token"}
    return {
        **document,
        "tags": [*document["tags"], {"name": _TAG, "description": "Plan, break, read and reset the mock."}],
        "paths": {**document["paths"], **paths},
        "components": {
            **components,
            "securitySchemes": {**components["securitySchemes"], "admin": token},
            "schemas": {**components["schemas"], **parts},
        },
    }


def _operation(operation: Operation) -> dict[str, Any]:
    refusals = {"400": "BadRequest", "401": "Unauthorized", "403": "Forbidden"}
    about: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [_TAG],
        "summary": operation.summary,
        "security": [{"admin": []}],
        "parameters": [*_IN_PATH * ("{session}" in operation.path), _SESSION, *_PAGING * operation.paginated],
        "responses": {
            "200": {
                "description": operation.summary,
                "headers": {"x-request-id": {"$ref": "#/components/headers/request_id"}},
                "content": _json(f"admin_{operation.response_schema}"),
            },
            **{status: {"$ref": f"#/components/responses/{name}"} for status, name in refusals.items()},
        },
    }
    if operation.request_schema is not None:
        name = EXCHANGE if operation.request_schema == EXCHANGE else f"admin_{operation.request_schema}"
        about["requestBody"] = {"required": operation.request_schema != "nothing", "content": _json(name)}
    return about


def _json(name: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": _BASE + name}}}


def _moved(schema: Any, prefix: str) -> Any:
    """A schema whose references are to components."""
    if isinstance(schema, list):
        return [_moved(each, prefix) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: _BASE + prefix + value.removeprefix("#/$defs/") if name == "$ref" else _moved(value, prefix)
        for name, value in schema.items()
    }


_SESSION: dict[str, Any] = {
    "name": "x-mock-session", "in": "header", "schema": {"$ref": f"{_BASE}admin_session_name"},
    "description": "The session that is meant; the first unless given.",
}  # fmt: skip
_IN_PATH: list[dict[str, Any]] = [
    {"name": "session", "in": "path", "required": True, "schema": {"$ref": f"{_BASE}admin_session_name"}}
]
_PAGING: list[dict[str, Any]] = [
    {
        "name": "after", "in": "query", "description": "Number of the entry after which the page begins.",
        "schema": {"type": "integer", "minimum": 0},
    },
    {
        "name": "limit", "in": "query", "description": "Entries of a page.",
        "schema": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100},
    },
]  # fmt: skip
