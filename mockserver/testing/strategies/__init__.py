"""Strategies for Hypothesis: everything a client may meet, and everything it must not send.

    from mockserver import strategies

What is legal: `requests`, `responses`, `streams`, `events`, `output_items`, `usages`, `errors`,
`conversations`, `bodies` of the other operations, and `scripts` for a mock server. What is not, with the
rule it breaks: `invalid_requests`, `broken_streams`. As bytes: `sse_bytes`. For clients with a memory:
`ConversationMachine`. For those who come from Chat Completions: `chat_requests`, `chat_completions`,
`chat_streams`.

Values are plain JSON values. All arguments are by keyword and have defaults; they are looked at when
something is drawn. Nothing is filtered: what is drawn is built to be legal.
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
