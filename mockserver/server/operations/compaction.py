"""Compaction: shorten a conversation to the user's messages and one opaque item.

Only a server can read the content of the opaque item. This server cannot: the turns that the item stands for
are lost, and the item costs the tokens of its own text. Source: Open Responses OpenAPI document, 2026-04-24;
that the user's messages stay is the document's example.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from mockserver.ids import format_id, request_digest
from mockserver.profiles import Profile
from mockserver.replies.token_counts import count_tokens
from mockserver.server.errors import ApiError
from mockserver.server.http.requests import HttpRequest
from mockserver.server.large_bodies import run_in_worker
from mockserver.server.operations.validated_bodies import derive_id_digits, read_validated_body
from mockserver.server.request_facts import item_texts
from mockserver.server.state.conversation_context import get_previous_response, to_input_items
from mockserver.server.state.store import ResponseRecord
from mockserver.wire import json

__all__ = ["compact_response"]

#: Ids of 32 hex digits to draw: one for the compaction, one for its item, and four for the item's content.
_ID_COUNT = 6


async def compact_response(request: HttpRequest) -> Any:
    """Handle `POST /responses/compact`."""
    body = await read_validated_body(request, "compact_request")
    session, profile = request.session, request.session.profile
    turns = await _stored_turns(request, body.get("previous_response_id"))
    input_value = body.get("input")
    if not turns and not input_value:
        # Inferred: without either, there is nothing to compact.
        message = "Missing required parameter: 'input', or 'previous_response_id'."
        raise ApiError(400, "MissingRequiredParameter", message).with_parameter("input")
    digits, now = await derive_id_digits(request, _ID_COUNT), session.clock.now()
    # The turns may have any size.
    return await run_in_worker(_compact, body, turns, digits, now, profile)


def _compact(
    body: Mapping[str, Any],
    turns: Sequence[ResponseRecord],
    drawn: Sequence[str],
    now: float,
    profile: Profile,
) -> dict[str, Any]:
    digits, item_digits, *content_digits = drawn
    stored_items = [
        each for turn in turns for each in to_input_items(json.loads(turn.request_body)["input"], turn.id)
    ]
    new_items = to_input_items(body.get("input") or [], digits)
    content = base64.b64encode(bytes.fromhex("".join(content_digits))).decode()
    input_tokens = (
        (turns[-1].context_tokens if turns else profile.hidden_prompt_tokens)
        + sum(count_tokens("\n".join(item_texts(each))) for each in new_items)
        + count_tokens(body.get("instructions") or "")
    )
    return {
        "created_at": int(now),
        "id": profile.id_form + format_id(digits, profile.id_digits),
        "object": "response.compaction",
        "output": [
            *_user_messages([*stored_items, *new_items], profile),
            _compaction_item(item_digits, content, profile),
        ],
        "usage": _usage_object(input_tokens, count_tokens(content)),
    }


async def _stored_turns(request: HttpRequest, response_id: str | None) -> list[ResponseRecord]:
    if response_id is None:
        return []
    session, store = request.session, request.services.store
    return await store.get_chain(await get_previous_response(session, store, response_id, stream=False))


def _user_messages(items: list[dict[str, Any]], profile: Profile) -> list[dict[str, Any]]:
    messages = (item for item in items if item["type"] == "message" and item["role"] == "user")
    return [_output_message(item, profile) for item in messages]


def _output_message(item: dict[str, Any], profile: Profile) -> dict[str, Any]:
    """Return an input message as an output item, with the defaults of its images."""
    image_defaults = {"detail": "auto", "image_url": None}
    content = [
        {**image_defaults, **{name: each for name, each in part.items() if each is not None}}
        if part["type"] == "input_image"
        else {name: each for name, each in part.items() if each is not None}
        for part in item["content"]
    ]
    item_id = profile.item_id_prefix + format_id(request_digest(item["id"].encode()).hex(), profile.id_digits)
    return {"id": item_id, "role": "user", "status": "completed", "type": "message", "content": content}


def _compaction_item(digits: str, content: str, profile: Profile) -> dict[str, Any]:
    prefix = profile.item_id_prefixes.get("compaction", profile.item_id_prefix)
    item_id = prefix + format_id(digits, profile.id_digits)
    return {"encrypted_content": content, "id": item_id, "status": "completed", "type": "compaction"}


def _usage_object(input_tokens: int, output_tokens: int) -> dict[str, Any]:
    return {
        "input_tokens": input_tokens,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": input_tokens + output_tokens,
    }
