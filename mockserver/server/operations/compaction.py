"""Compaction: a conversation made short, to be sent in its place.

What is kept in clear are the messages of the user; one item stands for all the rest. The content of that
item is for the server alone to read, and this server reads nothing in it: what it stands for is gone, and
costs as many tokens as its own text. Source: Open Responses OpenAPI document, 2026-04-24; that the user's
messages stay is the document's example.
"""

from __future__ import annotations

import base64
from typing import Any

from mockserver.ids import format_id, request_digest
from mockserver.profiles import Profile
from mockserver.replies.usage import count_tokens
from mockserver.server.errors import ApiError
from mockserver.server.http.requests import HttpRequest
from mockserver.server.operations.validated_bodies import derive_id_digits, read_validated_body
from mockserver.server.request_facts import item_texts
from mockserver.server.state.conversation_context import get_previous_response, to_input_items
from mockserver.server.state.store import ResponseRecord
from mockserver.wire import json

__all__ = ["compact_response"]

#: 32 hexadecimal digits each: the id of the compaction, that of its item, and four that are its content.
_ID_COUNT = 6


async def compact_response(request: HttpRequest) -> Any:
    """`POST /responses/compact`: the items that stand for a conversation."""
    body = await read_validated_body(request, "compact_request")
    session, profile = request.session, request.session.profile
    turns = await _stored_turns(request, body.get("previous_response_id"))
    given = body.get("input")
    if not turns and not given:
        # Which of the two there must be is inferred: there is nothing to make short.
        message = "Missing required parameter: 'input', or 'previous_response_id'."
        raise ApiError(400, "MissingRequiredParameter", message).with_parameter("input")
    own, item, *content = derive_id_digits(request, _ID_COUNT)
    asked = [
        each for turn in turns for each in to_input_items(json.loads(turn.request_body)["input"], turn.id)
    ]
    new = to_input_items(given or [], own)
    short = base64.b64encode(bytes.fromhex("".join(content))).decode()
    tokens = sum(count_tokens("\n".join(item_texts(each))) for each in new)
    before = turns[-1].context_tokens if turns else profile.hidden_prompt_tokens
    return {
        "created_at": int(session.clock.now()),
        "id": profile.id_form + format_id(own, profile.id_digits),
        "object": "response.compaction",
        "output": [*_user_messages([*asked, *new], profile), _compaction_item(item, short, profile)],
        "usage": _usage_object(
            before + tokens + count_tokens(body.get("instructions") or ""), count_tokens(short)
        ),
    }


async def _stored_turns(request: HttpRequest, response_id: str | None) -> list[ResponseRecord]:
    """The stored turns up to the response `last`, the oldest first; ApiError 400 where it is not known."""
    if response_id is None:
        return []
    session, store = request.session, request.services.store
    turns = [await get_previous_response(session, store, response_id, stream=False)]
    while (before := turns[-1].parent_id) is not None and (record := await store.get(session.name, before)):
        turns.append(record)
    return turns[::-1]


def _user_messages(items: list[dict[str, Any]], profile: Profile) -> list[dict[str, Any]]:
    """The messages of the user, as items of an output."""
    said = (item for item in items if item["type"] == "message" and item["role"] == "user")
    return [_output_message(item, profile) for item in said]


def _output_message(item: dict[str, Any], profile: Profile) -> dict[str, Any]:
    """A message that was sent as an item: its pictures say how closely they are looked at."""
    pictures = {"detail": "auto", "image_url": None}
    content = [
        {**pictures, **{name: each for name, each in part.items() if each is not None}}
        if part["type"] == "input_image"
        else {name: each for name, each in part.items() if each is not None}
        for part in item["content"]
    ]
    own = format_id(request_digest(item["id"].encode()).hex(), profile.id_digits)
    about = {"id": profile.item_id_prefix + own, "role": "user", "status": "completed", "type": "message"}
    return {**about, "content": content}


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
