"""Records, conversations and their items as the JSON documents that shared stores keep.

A document is an object of JSON texts with their sizes in front, so that reading it parses neither requests nor
responses, and returns the bytes that were stored:

    {"bytes":[241,1034,57],"record":{…},"response":{…},"request":{…}}
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from types import MappingProxyType
from typing import Any

from mockserver.contract.bodies.call_outputs import CallHistory, Turn
from mockserver.server.state.store import Conversation, ConversationContext, ResponseRecord, StoredItem
from mockserver.wire import json

__all__ = [
    "SCHEMA_VERSION",
    "read_conversation",
    "read_record",
    "write_conversation",
    "write_items",
    "write_record",
]

#: The version of the documents; servers that read different ones cannot share a store.
SCHEMA_VERSION = 3

_ABSENT = b"null"

_RECORD_PARTS = ("record", "response", "request")


def write_record(record: ResponseRecord) -> bytes:
    """A record as a document. The parent's id comes first: a script in Redis follows it."""
    head = {
        "parent_id": record.parent_id,
        "id": record.id,
        "session": record.session,
        "turn": record.turn,
        "created_at": record.created_at,
        "expires_at": record.expires_at,
        "stub_name": record.stub_name,
        "context_tokens": record.context_tokens,
        "cached_tokens": record.cached_tokens,
        "cached_until": record.cached_until,
        "calls": _calls_to_json(record.calls),
    }
    written, response, request = json.dumps(head), record.response_body, record.request_body or _ABSENT
    sizes = b"%d,%d,%d" % (len(written), len(response), len(request))
    # Like `_join`, in one go: each turn needs it.
    return b'{"bytes":[%b],"record":%b,"response":%b,"request":%b}' % (sizes, written, response, request)


def read_record(document: bytes) -> ResponseRecord:
    """The record in a document."""
    head, response, request = _split(document, *_RECORD_PARTS)
    members = json.loads(head)
    calls = members["calls"]
    return ResponseRecord(
        members["id"],
        members["session"],
        members["parent_id"],
        members["turn"],
        members["created_at"],
        members["expires_at"],
        members["stub_name"],
        members["context_tokens"],
        response,
        b"" if request == _ABSENT else request,
        members["cached_tokens"],
        members["cached_until"],
        None if calls is None else _calls_from_json(calls),
    )


def write_conversation(conversation: Conversation) -> bytes:
    """A conversation as a document, without its items but with what they add up to."""
    context = conversation.context
    head = {
        "id": conversation.id,
        "session": conversation.session,
        "created_at": conversation.created_at,
        "turn": conversation.turn,
        "stub_name": conversation.stub_name,
        "cached_tokens": conversation.cached_tokens,
        "cached_until": conversation.cached_until,
        "item_bytes": conversation.item_bytes,
        "context": {
            "tokens": context.tokens,
            "calls": _calls_to_json(context.calls),
            "has_function_calls": context.has_function_calls,
            "oldest": None if context.oldest == inf else context.oldest,
        },
        "revision": conversation.revision,
    }
    return _join(conversation=json.dumps(head), metadata=conversation.metadata)


def read_conversation(document: bytes, items: Iterable[bytes] = ()) -> Conversation:
    """The conversation in a document, with the items in others."""
    head, metadata = _split(document, "conversation", "metadata")
    members = json.loads(head)
    context = members.pop("context")
    oldest = inf if context["oldest"] is None else context["oldest"]
    calls = _history_from_json(context["calls"])
    return Conversation(
        **members,
        metadata=metadata,
        items=tuple(map(_read_item, items)),
        context=ConversationContext(**{**context, "calls": calls, "oldest": oldest}),
    )


def write_items(conversation: Conversation) -> list[bytes]:
    """The items of a conversation, each as a document."""
    return [_write_item(each) for each in conversation.items]


def _write_item(item: StoredItem) -> bytes:
    head = {
        "id": item.id,
        "created_at": item.created_at,
        "tokens": item.tokens,
        "call_items": item.call_items,
    }
    return _join(stored=json.dumps(head), item=item.body)


def _read_item(document: bytes) -> StoredItem:
    head, body = _split(document, "stored", "item")
    members = json.loads(head)
    return StoredItem(**{**members, "call_items": tuple(members["call_items"])}, body=body)


def _calls_to_json(calls: Turn | CallHistory | None) -> dict[str, Any] | None:
    """The calls of a turn; those of all turns before it as one history."""
    if calls is None:
        return None
    if isinstance(calls, Turn):
        before = None if calls.before is None else _calls_to_json(calls.before.call_history())
        return {"items": calls.items, "before": before, "is_complete": calls.is_complete}
    return {
        "item_ids": dict(calls.item_ids),
        "open_calls": calls.open_calls,
        "answered_calls": sorted(calls.answered_calls),
        "is_complete": calls.is_complete,
    }


def _calls_from_json(value: dict[str, Any] | None) -> Turn | CallHistory | None:
    if value is None:
        return None
    if "items" in value:
        return Turn(tuple(value["items"]), _calls_from_json(value["before"]), value["is_complete"])
    return _history_from_json(value)


def _history_from_json(value: dict[str, Any]) -> CallHistory:
    return CallHistory(
        MappingProxyType(value["item_ids"]),
        tuple(value["open_calls"]),
        frozenset(value["answered_calls"]),
        value["is_complete"],
    )


def _join(**texts: bytes) -> bytes:
    sizes = ",".join([str(len(each)) for each in texts.values()]).encode()
    members = b",".join([b'"%b":%b' % (name.encode(), each) for name, each in texts.items()])
    return b'{"bytes":[%b],%b}' % (sizes, members)


def _split(document: bytes, *names: str) -> list[bytes]:
    start, end = document.index(b"["), document.index(b"]")
    parts, at = [], end + 1
    for name, size in zip(names, document[start + 1 : end].split(b","), strict=True):
        begin = at + len(name) + len(b',"":')
        at = begin + int(size)
        parts.append(document[begin:at])
    return parts
