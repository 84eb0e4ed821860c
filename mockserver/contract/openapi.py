"""The OpenAPI document of a profile, from its schemas: 3.2 with `itemSchema`, or 3.1.

A stream is described by the schema of one of its blocks: id, event, and data with the event as JSON. In
3.2 that is the `itemSchema` of the media type; 3.1 has no word for it, and has it as the `schema`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mockserver import __version__
from mockserver.contract.overlays import branches, pointed
from mockserver.contract.schemas import schemas
from mockserver.errors import ConfigurationError
from mockserver.exchanges import Exchange, packaged_exchanges
from mockserver.profiles import Profile, load_profile

__all__ = ["VERSIONS", "openapi_document"]

#: Versions of the OpenAPI specification that a document can be had in.
VERSIONS: Mapping[str, str] = {"3.2": "3.2.0", "3.1": "3.1.1"}

Schema = dict[str, Any]

_BASE = "#/components/schemas/"


def openapi_document(
    profile: str | Profile, version: str = "3.2", models: Iterable[str] | None = None
) -> dict[str, Any]:
    """The document of a profile; ConfigurationError for a version there is not.

    `models` are those that may be asked for: None means the profile's own, none at all means any.
    """
    if version not in VERSIONS:
        raise ConfigurationError(f"no OpenAPI {version}; there are: {', '.join(VERSIONS)}")
    profile = load_profile(profile) if isinstance(profile, str) else profile
    exchanges = packaged_exchanges(profile.name)
    known = schemas(profile.name)
    parts = {name: _component(schema, version) for name, schema in known.known().items()}
    _name_models(parts["create_request"], profile.models if models is None else models)
    return {
        "openapi": VERSIONS[version],
        "info": {
            "title": profile.title,
            "version": __version__,
            "summary": f"The profile {profile.name} of a mock server for the Responses API.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": base} for base in (profile.base_path, *profile.aliases)],
        "security": [{"bearer": []}],
        "tags": [{"name": "responses", "description": "Ask the model."}],
        "paths": {"/responses": {"post": _create(exchanges, version)}},
        "components": {
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
            "headers": {"request_id": {"description": "Id of the request.", "schema": {"type": "string"}}},
            "responses": {name: _refusal(words) for name, words in _REFUSALS.values()},
            "schemas": parts,
        },
    }


_REFUSALS = {
    "400": ("BadRequest", "The request breaks a rule; the message names the field."),
    "401": ("Unauthorized", "There is no API key, or a wrong one."),
    "403": ("Forbidden", "The request names a host, or comes from a page, that is not served."),
    "408": ("Timeout", "The body did not come in time."),
    "413": ("TooLarge", "The body is too large."),
    "500": ("InternalError", "An error of the service."),
}


def _create(exchanges: Iterable[Exchange], version: str) -> dict[str, Any]:
    asked = {each.name: {"value": dict(each.request)} for each in exchanges if each.request}
    refusals = {status: {"$ref": f"#/components/responses/{name}"} for status, (name, _) in _REFUSALS.items()}
    return {
        "operationId": "createResponse",
        "tags": ["responses"],
        "summary": "Ask the model, or go on with a conversation.",
        "description": "With `stream: true` the answer is a stream of server-sent events.",
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {"$ref": _BASE + "create_request"}, "examples": asked}
            },
        },
        "responses": {"200": _answer(exchanges, version), **refusals},
    }


def _answer(exchanges: Iterable[Exchange], version: str) -> dict[str, Any]:
    shown = {each.name: each.shown for each in exchanges if each.shown and not each.shown.trimmed}
    bodies = {name: {"value": one.body} for name, one in shown.items() if one.kind == "response"}
    content: Schema = {"schema": {"$ref": _BASE + "response"}}
    return {
        "description": "The response, or its events.",
        "headers": {"x-request-id": {"$ref": "#/components/headers/request_id"}},
        "content": {
            "application/json": {**content, **({"examples": bodies} if bodies else {})},
            "text/event-stream": _events(version),
        },
        "links": {
            "next_turn": {
                "operationId": "createResponse",
                "description": "The id of a response continues its conversation.",
                "requestBody": {"previous_response_id": "$response.body#/id"},
            }
        },
    }


def _events(version: str) -> Schema:
    return {"itemSchema" if version == "3.2" else "schema": _BLOCK}


_BLOCK: Schema = {
    "type": "object",
    "required": ["data"],
    "properties": {
        "id": {"type": "string", "description": "sequence_number plus one."},
        "event": {"type": "string", "description": "The type of the event."},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": {"$ref": _BASE + "event"},
        },
    },
}


def _refusal(description: str) -> dict[str, Any]:
    return {
        "description": description,
        "headers": {"x-request-id": {"$ref": "#/components/headers/request_id"}},
        "content": {
            "application/json": {
                "schema": {"anyOf": [{"$ref": _BASE + "error"}, {"$ref": _BASE + "error_wrapped"}]}
            }
        },
    }


def _name_models(request: Schema, models: Iterable[str]) -> None:
    names = sorted(models)
    if names:
        request["properties"]["model"] = {**request["properties"]["model"], "enum": names}


def _component(schema: Schema, version: str) -> Schema:
    """A schema of ours as a component: without our own annotations, a union as OpenAPI has unions."""
    union = _union(schema, version) if "x-dispatch" in schema else schema
    component: Schema = pointed(_plain(union), _BASE)
    return component


def _plain(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {
            name: _plain(value)
            for name, value in schema.items()
            if not (name == "$schema" or name.startswith("x-"))
        }
    return [_plain(each) for each in schema] if isinstance(schema, list) else schema


def _union(schema: Schema, version: str) -> Schema:
    """One of the known types, or, where those are not all there can be, an object of another type."""
    kinds: dict[str, list[Any]] = {}
    for kind, branch in branches(schema):
        kinds.setdefault(branch["then"]["$ref"], []).append(kind)
    options = [_option(reference, types) for reference, types in kinds.items()]
    told = [kind for types in kinds.values() for kind in types]
    open_ended = "enum" not in schema["properties"]["type"]
    if open_ended:
        other = {"type": "string", "not": {"enum": [kind for kind in told if kind is not None]}}
        options.append({"type": "object", "required": ["type"], "properties": {"type": other}})
    union: Schema = {name: schema[name] for name in ("title", "description") if name in schema}
    union["oneOf"] = options
    if not open_ended and None not in told:
        mapping = {
            kind: pointed({"$ref": ref}, _BASE)["$ref"] for ref, types in kinds.items() for kind in types
        }
        union["discriminator"] = {"propertyName": "type", "mapping": mapping}
    return union


def _option(reference: str, kinds: list[Any]) -> Schema:
    option: Schema = {"$ref": reference, "properties": {"type": {"enum": kinds}}}
    if None not in kinds:
        option["required"] = ["type"]
    return option
