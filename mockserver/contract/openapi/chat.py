"""Chat Completions in the OpenAPI document: one more path, under its own base paths."""

from __future__ import annotations

from typing import Any

from mockserver.contract.chat.service import CHAT_BASE_PATHS

__all__ = ["CHAT_OPERATION_ID", "CHAT_TAG", "chat_path_item"]

CHAT_OPERATION_ID = "createChatCompletion"

#: (name, description) of the tag.
CHAT_TAG = ("chat", "Chat Completions, for clients that migrate from it.")

_ERROR_RESPONSES = {
    "400": "The request breaks a rule; the message names the field.",
    "401": "The API key is missing or wrong.",
    "403": "The Host or Origin of the request is not allowed.",
    "404": "The model does not exist.",
    "408": "The body did not arrive in time.",
    "413": "The body is too large.",
    "415": "The content coding of the body cannot be decoded.",
    "500": "An error of the service.",
}
_HEADERS = {"x-request-id": {"$ref": "#/components/headers/request_id"}}


def chat_path_item(schemas_pointer: str, stream_keyword: str) -> dict[str, Any]:
    """The path item of `/chat/completions`.

    `schemas_pointer` is where the component schemas are; `stream_keyword` is the keyword for the schema of a
    block.
    """
    return {
        "post": {
            "servers": [{"url": each} for each in CHAT_BASE_PATHS],
            "operationId": CHAT_OPERATION_ID,
            "tags": [CHAT_TAG[0]],
            "summary": "Create a chat completion.",
            "description": "With `stream: true` the reply is a stream of server-sent events.",
            "requestBody": {"required": True, "content": _json_content(schemas_pointer, "chat_request")},
            "responses": {
                "200": {
                    "description": "The completion, or its chunks.",
                    "headers": _HEADERS,
                    "content": {
                        **_json_content(schemas_pointer, "chat_completion"),
                        "text/event-stream": {stream_keyword: _sse_event_schema(schemas_pointer)},
                    },
                },
                **{
                    status: _error_response(schemas_pointer, description)
                    for status, description in _ERROR_RESPONSES.items()
                },
            },
        },
    }


def _json_content(schemas_pointer: str, name: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": schemas_pointer + name}}}


def _error_response(schemas_pointer: str, description: str) -> dict[str, Any]:
    return {
        "description": description,
        "headers": _HEADERS,
        "content": _json_content(schemas_pointer, "chat_error"),
    }


def _sse_event_schema(schemas_pointer: str) -> dict[str, Any]:
    """One block of a stream; the data of the last is `[DONE]` instead of a chunk."""
    chunk = {
        "contentMediaType": "application/json",
        "contentSchema": {"$ref": f"{schemas_pointer}chat_chunk"},
    }
    data = {"type": "string", "anyOf": [{"const": "[DONE]"}, chunk]}
    return {"type": "object", "required": ["data"], "properties": {"data": data}}
