"""Translate ids from one run to another: of responses, conversations, items and calls.

Every run gets its own ids. A later request that names ids of an earlier reply (`previous_response_id`,
`conversation`, `call_id`, a path) means the same in another run if the ids are replaced by those of the reply
in its place there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mockserver.recordings.diff.structural_summary import ComparedReply

__all__ = ["IdTranslation", "final_object", "reply_ids"]


class IdTranslation:
    """The ids of an old run, each with its id in a new run, or None if the new run has none."""

    def __init__(self) -> None:
        self._ids: dict[str, str | None] = {}

    def learn(self, before: ComparedReply, after: ComparedReply) -> None:
        """Map the ids of an old reply to those of the new reply in its place."""
        old, new = final_object(before), final_object(after)
        self.forget(before)
        if isinstance(old.get("id"), str) and isinstance(new.get("id"), str):
            self._ids[old["id"]] = new["id"]
        items = [*_output_items(after)]
        for item in _output_items(before):
            same = next((each for each in items if _item_key(each) == _item_key(item)), None)
            if same is None:
                continue
            items.remove(same)
            for member in ("id", "call_id"):
                if isinstance(item.get(member), str) and isinstance(same.get(member), str):
                    self._ids[item[member]] = same[member]

    def forget(self, before: ComparedReply) -> None:
        """Note that the ids of an old reply have none in the new run."""
        self._ids |= dict.fromkeys(reply_ids(before))

    def has_gap(self, text: str) -> bool:
        """Whether a text contains an id that has none in the new run."""
        return any(old in text and new is None for old, new in self._ids.items())

    def translate(self, value: Any) -> Any:
        """A JSON value with every known id replaced."""
        if isinstance(value, str):
            return self._ids.get(value) or value
        if isinstance(value, list):
            return [self.translate(each) for each in value]
        if isinstance(value, Mapping):
            return {name: self.translate(each) for name, each in value.items()}
        return value

    def translate_path(self, path: str) -> str:
        """A path with every known id replaced."""
        steps = path.partition("?")
        translated = "/".join(self._ids.get(step) or step for step in steps[0].split("/"))
        return translated + "".join(steps[1:])


def final_object(reply: ComparedReply) -> Mapping[str, Any]:
    """The final object of a reply, streamed or not."""
    if isinstance(reply.value, dict):
        return reply.value
    for event in reversed(reply.events):
        if isinstance(event.get("response"), dict):
            response: dict[str, Any] = event["response"]
            return response
    return {}


def reply_ids(reply: ComparedReply) -> Iterator[str]:
    """The ids that a reply issues: its own, and those of its items and calls."""
    for holder in (final_object(reply), *_output_items(reply)):
        for member in ("id", "call_id"):
            if isinstance(holder.get(member), str) and holder[member]:
                yield holder[member]


def _output_items(reply: ComparedReply) -> Iterator[Mapping[str, Any]]:
    final = final_object(reply)
    output = final.get("output", final.get("data"))
    if not output and reply.events:  # a stream that was cut has its items only in events
        output = [
            each.get("item") for each in reply.events if each.get("type") == "response.output_item.done"
        ]
    yield from (each for each in output if isinstance(each, dict)) if isinstance(output, list) else ()


def _item_key(item: Mapping[str, Any]) -> tuple[Any, Any]:
    return item.get("type"), item.get("name") if item.get("type") == "function_call" else None
