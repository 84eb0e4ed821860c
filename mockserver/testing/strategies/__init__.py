"""Hypothesis strategies for everything a client may receive, and for requests it must not send.

    from mockserver import strategies

Valid values: `requests`, `responses`, `streams`, `events`, `output_items`, `usages`, `errors`,
`conversations`, `bodies` of the other operations, and `scripts` for a mock server. Invalid values, with the
rule they break: `invalid_requests`, `broken_streams`. Bytes: `sse_bytes`. A state machine for clients with
a memory: `ConversationMachine`. Chat Completions: `chat_requests`, `chat_completions`, `chat_streams`.

Values are plain JSON values. All arguments are keyword-only with defaults, and are validated when a value is
drawn. No strategy filters: every value is valid by construction.
"""

from __future__ import annotations

from mockserver.testing.strategies.broken_streams import breakable_rules, broken_streams
from mockserver.testing.strategies.chat import chat_completions, chat_requests, chat_streams
from mockserver.testing.strategies.conversations import ConversationMachine, Turn, conversations
from mockserver.testing.strategies.framing import sse_bytes
from mockserver.testing.strategies.operation_bodies import bodies
from mockserver.testing.strategies.replies import (
    errors,
    events,
    output_items,
    responses,
    streams,
)
from mockserver.testing.strategies.requests import invalid_requests, requests
from mockserver.testing.strategies.scripts import scripts
from mockserver.testing.strategies.usages import usages

__all__ = [
    "ConversationMachine",
    "Turn",
    "bodies",
    "breakable_rules",
    "broken_streams",
    "chat_completions",
    "chat_requests",
    "chat_streams",
    "conversations",
    "errors",
    "events",
    "invalid_requests",
    "output_items",
    "requests",
    "responses",
    "scripts",
    "sse_bytes",
    "streams",
    "usages",
]
