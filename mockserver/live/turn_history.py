"""The function calls of earlier turns that passed through, so that a later turn is checked against them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from mockserver.contract.bodies.call_outputs import CallHistory, read_call_history
from mockserver.wire import json, sse

__all__ = ["TurnHistory"]

#: Responses to remember; the oldest are forgotten first.
_MAX_RESPONSES = 1_000
_FINAL_EVENTS = frozenset({"response.completed", "response.incomplete"})


class TurnHistory:
    """The items that matter to function calls, by the id of the response that a later request may continue."""

    def __init__(self) -> None:
        self._items: OrderedDict[str, tuple[tuple[Any, ...], bool]] = OrderedDict()
        """Items of all turns up to a response, the oldest first, and whether these are all turns."""

    def before(self, request: Mapping[str, Any]) -> CallHistory | None:
        """The calls of the turns that a request continues; None if they did not pass through."""
        known = self._items.get(str(request.get("previous_response_id")))
        return None if known is None else read_call_history(known[0], is_complete=known[1])

    def remember(self, request: Mapping[str, Any], reply: bytes, *, is_stream: bool) -> None:
        """Remember a complete reply to a create request, and the input it answers."""
        response = _final_response(reply) if is_stream else json.loads_or_none(reply)
        if not isinstance(response, dict) or not isinstance(response.get("id"), str):
            return
        previous = request.get("previous_response_id")
        earlier, complete = self._items.get(str(previous), ((), previous is None))
        turn = [*_list_of(request.get("input")), *_list_of(response.get("output"))]
        items = (
            *earlier,
            *(item for item in turn if isinstance(item, dict) and item.get("type") != "message"),
        )
        self._items[response["id"]] = items, complete and request.get("conversation") is None
        if len(self._items) > _MAX_RESPONSES:
            self._items.popitem(last=False)


def _list_of(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _final_response(stream: bytes) -> Any:
    """The response that ends a stream; None if it does not end with one."""
    for frame in reversed(sse.decode_frames(stream)):
        event = json.loads_or_none(frame.data or "")
        if isinstance(event, dict) and event.get("type") in _FINAL_EVENTS:
            return event.get("response")
    return None
