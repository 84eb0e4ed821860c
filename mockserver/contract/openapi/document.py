"""Build the OpenAPI document of a profile from its schemas, as version 3.2 or 3.1.

The schema of a stream is that of one block: id, event, and data with the event as JSON. In 3.2 it is the
`itemSchema` of the media type; 3.1 has no such keyword, so it is the `schema` there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mockserver import __version__
from mockserver.contract.chat.service import chat_models, load_chat_schemas
from mockserver.contract.findings import Severity
from mockserver.contract.openapi.chat import CHAT_TAG, chat_path_item
from mockserver.contract.operations import Operation, mock_extensions, profile_operations
from mockserver.contract.rules import load_rules
from mockserver.contract.schema.overlays import rewrite_references, union_branches
from mockserver.contract.schema.registry import load_schemas
from mockserver.errors import ConfigurationError
from mockserver.exchanges import Exchange, packaged_exchanges
from mockserver.profiles import Profile, load_profile, load_profile_document

__all__ = ["OPENAPI_VERSIONS", "openapi_document"]

#: The supported versions of the OpenAPI specification.
OPENAPI_VERSIONS: Mapping[str, str] = {"3.2": "3.2.0", "3.1": "3.1.1"}

Schema = dict[str, Any]

#: A profile that has the operations which the mock adds to others.
_PROFILE_OF_EXTENSIONS = "qwen-2026-05"

_SCHEMAS_POINTER = "#/components/schemas/"


def openapi_document(
    profile: str | Profile, version: str = "3.2", models: Iterable[str] | None = None
) -> dict[str, Any]:
    """Build the document of a profile. Raises ConfigurationError for an unknown version.

    `models` are the models the server accepts: None means the profile's own, an empty one any model.
    """
    if version not in OPENAPI_VERSIONS:
        raise ConfigurationError(
            f"unknown OpenAPI version {version}; there are: {', '.join(OPENAPI_VERSIONS)}"
        )
    profile = load_profile(profile) if isinstance(profile, str) else profile
    return {
        "openapi": OPENAPI_VERSIONS[version],
        "info": {
            "title": profile.title,
            "version": __version__,
            "summary": f"The profile {profile.name} of a mock server for the Responses API.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": base} for base in profile.base_paths],
        "security": [{"bearer": []}],
        "tags": [{"name": tag, "description": _TAG_DESCRIPTIONS[tag]} for tag in _profile_tags(profile)],
        "paths": _paths(profile, packaged_exchanges(profile.name), version),
        "components": {
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
            "headers": {"request_id": {"description": "Id of the request.", "schema": {"type": "string"}}},
            "responses": {
                name: _error_response(description)
                for status, (name, description) in _ERROR_RESPONSES.items()
                if status != "404" or len(profile_operations(profile)) > 1
            },
            "schemas": _schemas(profile, version, frozenset(profile.models if models is None else models)),
        },
    }


_ERROR_RESPONSES = {
    "400": ("BadRequest", "The request breaks a rule; the message names the field."),
    "401": ("Unauthorized", "The API key is missing or wrong."),
    "403": ("Forbidden", "The Host or Origin of the request is not allowed."),
    "404": ("NotFound", "The id does not exist."),
    "408": ("Timeout", "The body did not arrive in time."),
    "413": ("TooLarge", "The body is too large."),
    "415": ("UnsupportedMediaType", "The content coding of the body cannot be decoded."),
    "500": ("InternalError", "An error of the service."),
}


_TAG_DESCRIPTIONS = {
    "responses": "Create and manage responses.",
    "conversations": "Conversations that the service remembers.",
    "models": "The models of the service.",
    CHAT_TAG[0]: CHAT_TAG[1],
}


def _has_chat(profile: Profile) -> bool:
    """Whether the mock can serve the profile: it then serves Chat Completions too."""
    return bool(load_profile_document(profile.name)["renderings"])


def _schemas(profile: Profile, version: str, models: frozenset[str]) -> dict[str, Any]:
    """All schemas of a document, by name; requests accept only `models`, if there are any."""
    schemas = {
        name: _component(_accepted(schema, profile.name), version)
        for name, schema in load_schemas(profile.name).all_schemas().items()
    }
    _restrict_models(schemas["create_request"], models)
    if not _has_chat(profile):
        return schemas
    if mock_extensions(profile):
        schemas |= _extension_schemas(schemas, version)
    schemas |= {
        name: _component(schema, version) for name, schema in load_chat_schemas().all_schemas().items()
    }
    _restrict_models(schemas["chat_request"], models | chat_models() if models else models)
    return schemas


def _extension_schemas(known: Mapping[str, Any], version: str) -> dict[str, Any]:
    """The schemas of the mock's own operations, which are those of the profile that has them."""
    schemas = load_schemas(_PROFILE_OF_EXTENSIONS).all_schemas()
    return {name: _component(schemas[name], version) for name in ("models", "model") if name not in known}


def _profile_tags(profile: Profile) -> list[str]:
    own = mock_extensions(profile) if _has_chat(profile) else ()
    tags = list(dict.fromkeys(each.tag for each in (*profile_operations(profile), *own)))
    return [*tags, CHAT_TAG[0]] if _has_chat(profile) else tags


def _paths(profile: Profile, exchanges: Iterable[Exchange], version: str) -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for each in profile_operations(profile):
        description = (
            _create_operation(profile, exchanges, version)
            if each.name == "createResponse"
            else _json_operation(each)
        )
        paths.setdefault(each.path, {})[each.method.lower()] = description
    if _has_chat(profile):
        for each in mock_extensions(profile):
            paths.setdefault(each.path, {})[each.method.lower()] = _mock_operation(each, profile)
        paths["/chat/completions"] = chat_path_item(_SCHEMAS_POINTER, _stream_keyword(version))
    return paths


def _json_operation(operation: Operation) -> dict[str, Any]:
    """Describe an operation with JSON bodies."""
    description: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "parameters": [*_path_parameters(operation), *(_PAGE_PARAMETERS if operation.paginated else ())],
        "responses": {
            "200": {
                "description": operation.summary,
                "headers": {"x-request-id": {"$ref": "#/components/headers/request_id"}},
                "content": {
                    "application/json": {"schema": {"$ref": _SCHEMAS_POINTER + operation.response_schema}}
                },
            },
            **_error_references(not_found="{" in operation.path),
        },
    }
    if operation.request_schema is not None:
        schema = {"$ref": _SCHEMAS_POINTER + operation.request_schema}
        required = operation.name != "createConversation"
        content = {"application/json": {"schema": schema}}
        description["requestBody"] = {"required": required, "content": content}
    return description


def _mock_operation(operation: Operation, profile: Profile) -> dict[str, Any]:
    """Describe an operation of the mock's own."""
    description = _json_operation(operation)
    description["responses"]["200"]["headers"]["x-mock-extension"] = {
        "description": "The name of an operation that only the mock has.",
        "schema": {"type": "string", "const": operation.name},
    }
    note = f"The mock's own: the profile {profile.name} has no such operation."
    return {**description, "description": note, "x-mock-extension": True}


def _path_parameters(operation: Operation) -> list[Schema]:
    names = [step[1:-1] for step in operation.path.split("/") if step.startswith("{")]
    # An id has no slash: the path would be another.
    schema = {"type": "string", "minLength": 1, "pattern": "^[A-Za-z0-9_-]+$"}
    return [{"name": name, "in": "path", "required": True, "schema": schema} for name in names]


#: API reference, List input items, September 2026.
_PAGE_PARAMETERS: tuple[Schema, ...] = (
    {
        "name": "after", "in": "query", "schema": {"type": "string"},
        "description": "Id of the item after which the page starts.",
    },
    {
        "name": "limit", "in": "query", "description": "Items per page.",
        "schema": {"type": "integer", "minimum": 1, "maximum": 100, "default": 20},
    },
    {
        "name": "order", "in": "query", "description": "By time: oldest or newest first.",
        "schema": {"type": "string", "enum": ["asc", "desc"], "default": "desc"},
    },
)  # fmt: skip


def _error_references(*, not_found: bool) -> dict[str, Any]:
    named = {status: name for status, (name, _) in _ERROR_RESPONSES.items() if status != "404" or not_found}
    return {status: {"$ref": f"#/components/responses/{name}"} for status, name in named.items()}


def _create_operation(profile: Profile, exchanges: Iterable[Exchange], version: str) -> dict[str, Any]:
    examples = {each.name: {"value": dict(each.request)} for each in exchanges if each.request}
    return {
        "operationId": "createResponse",
        "tags": ["responses"],
        "summary": "Create a response, or continue a conversation.",
        "description": "With `stream: true` the reply is a stream of server-sent events.",
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"$ref": _SCHEMAS_POINTER + "create_request"},
                    "examples": examples,
                }
            },
        },
        "responses": {
            "200": _create_response(profile, exchanges, version),
            **_error_references(not_found=False),
        },
    }


def _create_response(profile: Profile, exchanges: Iterable[Exchange], version: str) -> dict[str, Any]:
    shown = {each.name: each.shown for each in exchanges if each.shown and not each.shown.trimmed}
    bodies = {name: {"value": one.body} for name, one in shown.items() if one.kind == "response"}
    content: Schema = {"schema": {"$ref": _SCHEMAS_POINTER + "response"}}
    return {
        "description": "The response, or its events.",
        "headers": {"x-request-id": {"$ref": "#/components/headers/request_id"}},
        "content": {
            "application/json": {**content, **({"examples": bodies} if bodies else {})},
            "text/event-stream": _event_stream(version),
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
                for each in profile_operations(profile)
                if "{response_id}" in each.path
            },
        },
    }


def _event_stream(version: str) -> Schema:
    return {_stream_keyword(version): _SSE_EVENT_SCHEMA}


def _stream_keyword(version: str) -> str:
    """The keyword for the schema of one block of a stream."""
    return "itemSchema" if version == "3.2" else "schema"


_SSE_EVENT_SCHEMA: Schema = {
    "type": "object",
    "required": ["data"],
    "properties": {
        "id": {"type": "string", "description": "sequence_number plus one."},
        "event": {"type": "string", "description": "The type of the event."},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": {"$ref": _SCHEMAS_POINTER + "event"},
        },
    },
}


def _error_response(description: str) -> dict[str, Any]:
    return {
        "description": description,
        "headers": {"x-request-id": {"$ref": "#/components/headers/request_id"}},
        "content": {
            "application/json": {
                "schema": {
                    "anyOf": [
                        {"$ref": _SCHEMAS_POINTER + "error"},
                        {"$ref": _SCHEMAS_POINTER + "error_wrapped"},
                    ]
                }
            }
        },
    }


def _restrict_models(request: Schema, models: Iterable[str]) -> None:
    names = sorted(models)
    if names:
        request["properties"]["model"] = {**request["properties"]["model"], "enum": names}


def _accepted(schema: Any, profile: str) -> Any:
    """Drop what a schema asserts by a rule that is not an error: the service accepts other values."""
    if isinstance(schema, list):
        return [_accepted(each, profile) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if not isinstance(schema.get("x-rule"), str) or _is_error(schema["x-rule"], profile):
        return {name: _accepted(value, profile) for name, value in schema.items()}
    described: Schema = _annotations(schema)
    if "properties" in schema:
        described["properties"] = {
            name: _accepted(each, profile) if name == "type" else _annotations(each)
            for name, each in schema["properties"].items()
        }
    if "type" in schema.get("required", ()) and "x-rule" not in schema["properties"]["type"]:
        described |= {"type": "object", "required": ["type"]}
    return described


def _is_error(rule: str, profile: str) -> bool:
    return load_rules()[rule].severity_for(profile) is Severity.ERROR


def _annotations(schema: Schema) -> Schema:
    return {name: schema[name] for name in ("title", "description") if name in schema}


def _component(schema: Schema, version: str) -> Schema:
    """Turn one of our schemas into a component: without our annotations, and unions in the OpenAPI form."""
    union = _union_component(schema, version) if "x-dispatch" in schema else schema
    component: Schema = rewrite_references(_without_annotations(union), _SCHEMAS_POINTER)
    return component


def _without_annotations(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {
            name: _without_annotations(value)
            for name, value in schema.items()
            if not (name == "$schema" or name.startswith("x-"))
        }
    return [_without_annotations(each) for each in schema] if isinstance(schema, list) else schema


def _union_component(schema: Schema, version: str) -> Schema:
    """One of the known types or, if the union is open, an object of another type."""
    kinds: dict[str, list[Any]] = {}
    for kind, branch in union_branches(schema):
        kinds.setdefault(branch["then"]["$ref"], []).append(kind)
    options = [_union_option(reference, types) for reference, types in kinds.items()]
    known = [kind for types in kinds.values() for kind in types]
    open_ended = "enum" not in schema["properties"]["type"]
    if open_ended:
        other = {"type": "string", "not": {"enum": [kind for kind in known if kind is not None]}}
        options.append({"type": "object", "required": ["type"], "properties": {"type": other}})
    union: Schema = {name: schema[name] for name in ("title", "description") if name in schema}
    union["oneOf"] = options
    if not open_ended and None not in known:
        mapping = {
            kind: rewrite_references({"$ref": ref}, _SCHEMAS_POINTER)["$ref"]
            for ref, types in kinds.items()
            for kind in types
        }
        union["discriminator"] = {"propertyName": "type", "mapping": mapping}
    return union


def _union_option(reference: str, kinds: list[Any]) -> Schema:
    option: Schema = {"$ref": reference, "properties": {"type": {"enum": kinds}}}
    if None not in kinds:
        option["required"] = ["type"]
    return option
