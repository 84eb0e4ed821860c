"""The function calls of earlier turns, known from the exchanges before: recorded, replayed or passed through."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from mockserver.contract.bodies.call_outputs import CallHistory, Turn
from mockserver.wire import json, sse

__all__ = ["TurnHistory"]

#: Responses and conversations to remember; the oldest are forgotten first.
_MAX_TURNS = 1_000
_FINAL_EVENTS = frozenset({"response.completed", "response.incomplete"})
_UNKNOWN_TURN = Turn(is_complete=False)


class TurnHistory:
    """The last turn of each response and conversation that a later request may continue."""

    def __init__(self) -> None:
        self._turns: OrderedDict[tuple[str, str], Turn] = OrderedDict()
        """By kind ("responses" or "conversations") and id."""

    def before(self, request: Mapping[str, Any]) -> CallHistory | None:
        """The calls of the turns that a create request continues; None if none of them is known."""
        turn = self._turns.get(_parent_key(request) or ("", ""))
        return None if turn is None else turn.call_history()

    def remember(self, method: str, path: str, request: Any, reply: bytes) -> None:
        """Remember a complete exchange; `path` is relative to the base path.

        Exchanges that neither create a response nor change the items of a conversation have no effect.
        """
        body = request if isinstance(request, dict) else {}
        match method, *path.partition("?")[0].strip("/").split("/"):
            case "POST", "responses":
                self._remember_response(body, reply)
            case "POST", "conversations":
                self._set("conversations", _id_of(_final_value(reply)), Turn().add_items(body.get("items")))
            case "POST", "conversations", conversation_id, "items":
                turn = self._turns.get(("conversations", conversation_id), _UNKNOWN_TURN)
                self._set("conversations", conversation_id, turn.add_items(body.get("items")))
            case "DELETE", "conversations", conversation_id, *_:
                self._turns.pop(("conversations", conversation_id), None)

    def _remember_response(self, request: Mapping[str, Any], reply: bytes) -> None:
        response = _final_value(reply)
        response_id = _id_of(response)
        if response_id is None:
            return
        parent = _parent_key(request)
        before = None if parent is None else self._turns.get(parent, _UNKNOWN_TURN)
        turn = Turn(before=before).add_items(request.get("input")).add_items(response.get("output"))
        self._set("responses", response_id, turn)
        if parent is not None and parent[0] == "conversations":
            self._set(*parent, turn)

    def _set(self, kind: str, key: str | None, turn: Turn) -> None:
        if key is None:
            return
        self._turns[kind, key] = turn
        self._turns.move_to_end((kind, key))
        if len(self._turns) > _MAX_TURNS:
            self._turns.popitem(last=False)


def _parent_key(request: Mapping[str, Any]) -> tuple[str, str] | None:
    """The kind and id of what a request continues; None if it is a first turn."""
    previous, conversation = request.get("previous_response_id"), request.get("conversation")
    if previous is not None:
        return "responses", str(previous)
    if conversation is not None:
        return "conversations", str(
            conversation.get("id") if isinstance(conversation, dict) else conversation
        )
    return None


def _id_of(value: Any) -> str | None:
    given = value.get("id") if isinstance(value, dict) else None
    return given if isinstance(given, str) else None


def _final_value(reply: bytes) -> Any:
    """The object in a reply: its body, or the response that ends a stream; None if there is neither."""
    value = json.loads_or_none(reply)
    if value is not None:
        return value
    for frame in reversed(sse.decode_frames(reply)):
        event = json.loads_or_none(frame.data or "")
        if isinstance(event, dict) and event.get("type") in _FINAL_EVENTS:
            return event.get("response")
    return None
