"""The operations of the service: their methods, paths and the schemas of their bodies.

Paths are relative to a base path of the profile. Sources: API reference, Create (January 2026), Conversations
(April 2026), Retrieve, Delete, List input items (May 2026); `GET /models`: live probes, September 2026;
Compact: Open Responses OpenAPI document, 2026-04-24.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from mockserver.named_tuples import NamedTuple
from mockserver.profiles import Profile

__all__ = [
    "OPERATIONS",
    "Operation",
    "body_schemas",
    "find_operation",
    "mock_extensions",
    "profile_operations",
]


class Operation(NamedTuple):
    """One endpoint."""

    name: str
    """Its `operationId`."""
    method: str
    path: str
    """Relative to the base path, with placeholders such as `{response_id}`."""
    summary: str
    response_schema: str
    """The schema of the body of a reply with status 200."""
    request_schema: str | None = None
    """The schema of the request body, if it has one."""
    paginated: bool = False
    """Whether it takes `after`, `limit` and `order`."""
    tag: str = "responses"

    @property
    def source(self) -> str:
        """Document and date that it comes from."""
        return _SOURCES[self.name] if self.name in _SOURCES else _SOURCES[self.tag]

    def matches(self, path: str) -> bool:
        """Whether `path`, without the base path, is the path of this operation."""
        own_steps, steps = self.path.split("/"), path.split("/")
        return len(own_steps) == len(steps) and all(
            one == other or (one.startswith("{") and other != "")
            for one, other in zip(own_steps, steps, strict=True)
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

_RESPONSE_PATH = "/responses/{response_id}"
_CONVERSATION_PATH = "/conversations/{conversation_id}"
_ITEM_PATH = f"{_CONVERSATION_PATH}/items/{{item_id}}"

_OPERATIONS = (
    Operation(
        "createResponse", "POST", "/responses", "Create a response, or continue a conversation.",
        "response", "create_request",
    ),
    Operation(
        "compactResponse", "POST", "/responses/compact", "Compact a conversation.",
        "compact_response", "compact_request",
    ),
    Operation("retrieveResponse", "GET", _RESPONSE_PATH, "Retrieve a stored response.", "response"),
    Operation("deleteResponse", "DELETE", _RESPONSE_PATH, "Delete a stored response.", "deleted_response"),
    Operation(
        "listInputItems", "GET", f"{_RESPONSE_PATH}/input_items",
        "List the input items of a response, with earlier turns.",
        "input_items", paginated=True,
    ),
    Operation(
        "createConversation", "POST", "/conversations", "Create a conversation.",
        "conversation", "create_conversation", tag="conversations",
    ),
    Operation(
        "retrieveConversation", "GET", _CONVERSATION_PATH, "Retrieve a conversation.",
        "conversation", tag="conversations",
    ),
    Operation(
        "updateConversation", "POST", _CONVERSATION_PATH, "Replace the metadata of a conversation.",
        "conversation", "update_conversation", tag="conversations",
    ),
    Operation(
        "deleteConversation", "DELETE", _CONVERSATION_PATH, "Delete a conversation.",
        "deleted_conversation", tag="conversations",
    ),
    Operation(
        "createItems", "POST", f"{_CONVERSATION_PATH}/items", "Add items to a conversation.",
        "added_items", "create_items", tag="conversations",
    ),
    Operation(
        "listItems", "GET", f"{_CONVERSATION_PATH}/items", "List the items of a conversation.",
        "conversation_items", paginated=True, tag="conversations",
    ),
    Operation(
        "retrieveItem", "GET", _ITEM_PATH, "Retrieve an item of a conversation.",
        "listed_item", tag="conversations",
    ),
    Operation(
        "deleteItem", "DELETE", _ITEM_PATH, "Delete an item of a conversation.",
        "deleted_item", tag="conversations",
    ),
    Operation("listModels", "GET", "/models", "List the models.", "models", tag="models"),
)  # fmt: skip

#: The operations of all profiles, by name.
OPERATIONS: Mapping[str, Operation] = MappingProxyType({each.name: each for each in _OPERATIONS})


def profile_operations(profile: Profile) -> tuple[Operation, ...]:
    """The operations that a profile has, in the order of the table."""
    return tuple(each for each in _OPERATIONS if each.name in profile.operations)


def mock_extensions(profile: Profile) -> tuple[Operation, ...]:
    """The operations that the mock answers although the profile has none: clients list the models first."""
    return tuple(each for each in (OPERATIONS["listModels"],) if each.name not in profile.operations)


def body_schemas(profile: Profile) -> Iterator[str]:
    """The schemas of the request and response bodies of a profile's operations."""
    for each in profile_operations(profile):
        yield from (name for name in (each.request_schema, each.response_schema) if name is not None)


def find_operation(profile: Profile, method: str, path: str) -> Operation | None:
    """The operation at `path`, which includes the base path; None if the profile has none there."""
    for base in profile.base_paths:
        if path.startswith(f"{base}/"):
            for each in profile_operations(profile):
                if each.method == method and each.matches(path.removeprefix(base)):
                    return each
    return None
