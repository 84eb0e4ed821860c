"""The operations of the service: what can be asked where, and what is sent back.

Paths are under a base path of the profile. Sources: API reference, Create (January 2026), Conversations
(April 2026), Retrieve, Delete, List input items (May 2026); `GET /models`: live probes, September 2026;
Compact: Open Responses OpenAPI document, 2026-04-24.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from mockserver.profiles import Profile

__all__ = ["OPERATIONS", "Operation", "bodies", "find_operation", "operations"]


@dataclass(frozen=True, slots=True)
class Operation:
    """One endpoint."""

    name: str
    """Its `operationId`."""
    method: str
    path: str
    """Under the base path, with `{response_id}` and the like in it."""
    summary: str
    reply: str
    """The schema of the body of a 200."""
    request: str | None = None
    """The schema of the request's body, where it has one."""
    pages: bool = False
    """Whether it takes `after`, `limit` and `order`."""
    tag: str = "responses"

    @property
    def source(self) -> str:
        """Where it is from: document and date."""
        return _SOURCES[self.name] if self.name in _SOURCES else _SOURCES[self.tag]

    def matches(self, path: str) -> bool:
        """Whether `path`, without the base path, is this operation's."""
        wanted, given = self.path.split("/"), path.split("/")
        return len(wanted) == len(given) and all(
            one == other or (one.startswith("{") and other != "")
            for one, other in zip(wanted, given, strict=True)
        )


_SOURCES = {
    "createResponse": "guide, Basic call, 27 January 2026",
    "retrieveResponse": "API reference, Retrieve, May 2026",
    "compactResponse": "Open Responses OpenAPI document, 2026-04-24",
    "deleteResponse": "API reference, Delete, May 2026",
    "listInputItems": "API reference, List input items, May and September 2026",
    "conversations": "API reference, Conversations, April 2026",
    "models": "live probes, September 2026; OpenAI's form is inferred",
}

_RESPONSE = "/responses/{response_id}"
_CONVERSATION = "/conversations/{conversation_id}"
_ITEM = f"{_CONVERSATION}/items/{{item_id}}"

_ALL = (
    Operation(
        "createResponse", "POST", "/responses", "Ask the model, or go on with a conversation.",
        "response", "create_request",
    ),
    Operation(
        "compactResponse", "POST", "/responses/compact", "Make a conversation short.",
        "compact_response", "compact_request",
    ),
    Operation("retrieveResponse", "GET", _RESPONSE, "A response that was stored.", "response"),
    Operation("deleteResponse", "DELETE", _RESPONSE, "Forget a stored response.", "deleted_response"),
    Operation(
        "listInputItems", "GET", f"{_RESPONSE}/input_items", "What a response was asked, and turns before.",
        "input_items", pages=True,
    ),
    Operation(
        "createConversation", "POST", "/conversations", "Begin a conversation.",
        "conversation", "create_conversation", tag="conversations",
    ),
    Operation(
        "retrieveConversation", "GET", _CONVERSATION, "A conversation.", "conversation", tag="conversations"
    ),
    Operation(
        "updateConversation", "POST", _CONVERSATION, "Replace the notes of a conversation.",
        "conversation", "update_conversation", tag="conversations",
    ),
    Operation(
        "deleteConversation", "DELETE", _CONVERSATION, "Forget a conversation.",
        "deleted_conversation", tag="conversations",
    ),
    Operation(
        "createItems", "POST", f"{_CONVERSATION}/items", "Add items to a conversation.",
        "added_items", "create_items", tag="conversations",
    ),
    Operation(
        "listItems", "GET", f"{_CONVERSATION}/items", "The items of a conversation.",
        "conversation_items", pages=True, tag="conversations",
    ),
    Operation("retrieveItem", "GET", _ITEM, "An item of a conversation.", "listed_item", tag="conversations"),
    Operation(
        "deleteItem", "DELETE", _ITEM, "Take an item out.", "deleted_item", tag="conversations"
    ),
    Operation("listModels", "GET", "/models", "The models that may be asked.", "models", tag="models"),
)  # fmt: skip

#: All operations of all ages by name.
OPERATIONS: Mapping[str, Operation] = MappingProxyType({each.name: each for each in _ALL})


def operations(profile: Profile) -> tuple[Operation, ...]:
    """The operations that a profile has, in the order of the table."""
    return tuple(each for each in _ALL if each.name in profile.operations)


def bodies(profile: Profile) -> Iterator[str]:
    """Names of the schemas of all bodies that a profile's operations take and give."""
    for each in operations(profile):
        yield from (name for name in (each.request, each.reply) if name is not None)


def find_operation(profile: Profile, method: str, path: str) -> Operation | None:
    """The operation at `path`, base path and all; None where the profile has none there."""
    for base in (profile.base_path, *profile.aliases):
        if path.startswith(f"{base}/"):
            for each in operations(profile):
                if each.method == method and each.matches(path.removeprefix(base)):
                    return each
    return None
