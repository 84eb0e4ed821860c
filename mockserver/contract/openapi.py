"""The OpenAPI document of a profile, from its schemas: 3.2 with `itemSchema`, or 3.1.

A stream is described by the schema of one of its blocks: id, event, and data with the event as JSON. In
3.2 that is the `itemSchema` of the media type; 3.1 has no word for it, and has it as the `schema`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mockserver import __version__
from mockserver.contract.chat.openapi import CHAT_TAG, chat_path
from mockserver.contract.chat.schemas import chat_models, chat_schemas
from mockserver.contract.operations import Operation, operations
from mockserver.contract.overlays import branches, pointed
from mockserver.contract.schemas import schemas
from mockserver.errors import ConfigurationError
from mockserver.exchanges import Exchange, packaged_exchanges
from mockserver.profiles import Profile, document, load_profile

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
    named = frozenset(profile.models if models is None else models)
    _name_models(parts["create_request"], named)
    if _has_chat(profile):
        parts |= {name: _component(schema, version) for name, schema in chat_schemas().known().items()}
        _name_models(parts["chat_request"], named | chat_models() if named else named)
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
        "tags": [{"name": tag, "description": _TAGS[tag]} for tag in _tags(profile)],
        "paths": _paths(profile, exchanges, version),
        "components": {
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
            "headers": {"request_id": {"description": "Id of the request.", "schema": {"type": "string"}}},
            "responses": {
                name: _refusal(words)
                for status, (name, words) in _REFUSALS.items()
                if status != "404" or len(operations(profile)) > 1
            },
            "schemas": parts,
        },
    }


_REFUSALS = {
    "400": ("BadRequest", "The request breaks a rule; the message names the field."),
    "401": ("Unauthorized", "There is no API key, or a wrong one."),
    "403": ("Forbidden", "The request names a host, or comes from a page, that is not served."),
    "404": ("NotFound", "There is nothing of that id."),
    "408": ("Timeout", "The body did not come in time."),
    "413": ("TooLarge", "The body is too large."),
    "500": ("InternalError", "An error of the service."),
}


_TAGS = {
    "responses": "Ask the model.",
    "conversations": "Conversations that the service remembers.",
    "models": "What can be asked.",
    CHAT_TAG[0]: CHAT_TAG[1],
}


def _has_chat(profile: Profile) -> bool:
    """Whether the mock plays the profile: Chat Completions is beside each of those."""
    return bool(document(profile.name)["renderings"])


def _tags(profile: Profile) -> list[str]:
    tags = list(dict.fromkeys(each.tag for each in operations(profile)))
    return [*tags, CHAT_TAG[0]] if _has_chat(profile) else tags


def _paths(profile: Profile, exchanges: Iterable[Exchange], version: str) -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for each in operations(profile):
        about = _create(profile, exchanges, version) if each.name == "createResponse" else _other(each)
        paths.setdefault(each.path, {})[each.method.lower()] = about
    if _has_chat(profile):
        paths["/chat/completions"] = chat_path(_BASE, _keyword(version))
    return paths


def _other(operation: Operation) -> dict[str, Any]:
    """An operation that takes and gives plain JSON."""
    about: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "parameters": [*_path_parameters(operation), *(_PAGING if operation.pages else ())],
        "responses": {
            "200": {
                "description": operation.summary,
                "headers": {"x-request-id": {"$ref": "#/components/headers/request_id"}},
                "content": {"application/json": {"schema": {"$ref": _BASE + operation.reply}}},
            },
            **_refusals(not_found="{" in operation.path),
        },
    }
    if operation.request is not None:
        schema = {"$ref": _BASE + operation.request}
        required = operation.name != "createConversation"
        about["requestBody"] = {"required": required, "content": {"application/json": {"schema": schema}}}
    return about


def _path_parameters(operation: Operation) -> list[Schema]:
    names = [step[1:-1] for step in operation.path.split("/") if step.startswith("{")]
    # An id has no slash in it: the path would be another one.
    schema = {"type": "string", "minLength": 1, "pattern": "^[A-Za-z0-9_-]+$"}
    return [{"name": name, "in": "path", "required": True, "schema": schema} for name in names]


#: API reference, List input items, September 2026.
_PAGING: tuple[Schema, ...] = (
    {
        "name": "after", "in": "query", "schema": {"type": "string"},
        "description": "Id of the item after which the page begins.",
    },
    {
        "name": "limit", "in": "query", "description": "Items of a page.",
        "schema": {"type": "integer", "minimum": 1, "maximum": 100, "default": 20},
    },
    {
        "name": "order", "in": "query", "description": "By time: oldest or newest first.",
        "schema": {"type": "string", "enum": ["asc", "desc"], "default": "desc"},
    },
)  # fmt: skip


def _refusals(*, not_found: bool) -> dict[str, Any]:
    named = {status: name for status, (name, _) in _REFUSALS.items() if status != "404" or not_found}
    return {status: {"$ref": f"#/components/responses/{name}"} for status, name in named.items()}


def _create(profile: Profile, exchanges: Iterable[Exchange], version: str) -> dict[str, Any]:
    asked = {each.name: {"value": dict(each.request)} for each in exchanges if each.request}
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
        "responses": {"200": _answer(profile, exchanges, version), **_refusals(not_found=False)},
    }


def _answer(profile: Profile, exchanges: Iterable[Exchange], version: str) -> dict[str, Any]:
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
            },
            **{
                each.name: {
                    "operationId": each.name,
                    "description": each.summary,
                    "parameters": {"response_id": "$response.body#/id"},
                }
                for each in operations(profile)
                if "{response_id}" in each.path
            },
        },
    }


def _events(version: str) -> Schema:
    return {_keyword(version): _BLOCK}


def _keyword(version: str) -> str:
    """What says of a stream what one of its blocks is."""
    return "itemSchema" if version == "3.2" else "schema"


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
