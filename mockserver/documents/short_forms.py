"""The short form of a stub, and its long form.

    {"reply": "Hello"}                                     every request, one message
    {"match": "Hi", "reply": {"text": "Hello", "delay_ms": 50}}
    {"reply": [{"reasoning": "They ask."}, {"function_call": {"name": "f", "arguments": {"city": "Paris"}}}]}
    {"reply": {"error": "rate-limit"}}

Both forms have been validated by `schemas/exchange.json`. In the long form `match` is an object, `reply` is an
object with one of `script`, `error`, `body` and `http`, and `delivery` says how it is sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mockserver.named_tuples import NamedTuple
from mockserver.wire import json

__all__ = ["CONTENT_MEMBERS", "DELIVERY_MEMBERS", "REPLY_FORMS", "LongReply", "expand_items", "expand_reply"]

#: Members of a reply that say how it is sent.
DELIVERY_MEMBERS = ("fault", "pace", "chunking", "delay_ms", "invalid", "template")

#: Members of a reply, or of an item, that are its content.
CONTENT_MEMBERS = ("reasoning", "text", "chunks", "json", "function_call")

#: The long forms of a reply, of which it has one.
REPLY_FORMS = ("script", "error", "body", "http")


class LongReply(NamedTuple):
    """A reply in its long form."""

    reply: Mapping[str, Any]
    """One of `script`, `error`, `body` and `http`."""
    delivery: Mapping[str, Any]
    pointer: str
    """Where the document has the content, below the reply."""


def expand_reply(reply: Any) -> LongReply:
    """Return a reply in its long form."""
    if isinstance(reply, str | list):
        content = [reply] if isinstance(reply, str) else reply
        return LongReply({"script": {"items": expand_items(content)}}, {}, "")
    delivery = {name: reply[name] for name in DELIVERY_MEMBERS if name in reply}
    form = next((name for name in REPLY_FORMS if name in reply), None)
    if form is None:
        return LongReply({"script": _script(reply)}, delivery, "")
    value = {"name": reply[form]} if form == "error" and isinstance(reply[form], str) else reply[form]
    return LongReply({form: value}, delivery, f"/{form}")


def expand_items(items: Iterable[Any]) -> list[dict[str, Any]]:
    """Return the items of a reply, each with its type."""
    return [each for item in items for each in _expand_item(item)]


def _expand_item(item: Any) -> Iterator[dict[str, Any]]:
    if isinstance(item, str):
        yield {"type": "message", "text": item}
    elif "type" in item:
        yield dict(item)
    else:
        yield from _content_items(item)


def _script(reply: Mapping[str, Any]) -> dict[str, Any]:
    script: dict[str, Any] = {"items": list(_content_items(reply))}
    if "usage" in reply:
        script["usage"] = reply["usage"]
    if reply.get("incomplete"):
        script["status"] = "incomplete"
    return script


def _content_items(content: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The items of an object that names its content, in the order in which the model sends them."""
    if "reasoning" in content:
        yield {"type": "reasoning", "text": content["reasoning"]}
    for name in ("text", "chunks"):
        if name in content:
            yield {"type": "message", name: content[name]}
    if "json" in content:
        yield {"type": "message", "text": json.dumps(content["json"]).decode()}
    if "function_call" in content:
        yield {"type": "function_call", **content["function_call"]}
