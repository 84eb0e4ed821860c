"""The schemas of Chat Completions, and what is judged by them."""

from __future__ import annotations

from functools import cache

from mockserver.contract.schemas import ProfileSchemas
from mockserver.profiles import load_profile, profile_names

__all__ = ["CHAT", "CHAT_PATHS", "ROOTS", "chat_models", "chat_schemas", "is_chat_path"]

#: What rules call it where they name profiles.
CHAT = "qwen-chat"

#: The month of the newest source.
_AGE = "2026-11"

#: What crosses the wire as a whole.
ROOTS = ("chat_request", "chat_completion", "chat_chunk", "chat_error")

#: Where it is asked: the service's path (guide, Migrate from the Chat Completions API, 27 January 2026), and
#: the mock's own short one.
CHAT_PATHS = ("/compatible-mode/v1/chat/completions", "/v1/chat/completions")


@cache
def chat_schemas() -> ProfileSchemas:
    """The schemas of Chat Completions."""
    return ProfileSchemas(CHAT, _AGE, {}, ("chat",), ROOTS)


@cache
def chat_models() -> frozenset[str]:
    """Models that any age of the Responses API lists: Chat had each of them no later (inferred)."""
    return frozenset(model for name in profile_names() for model in load_profile(name).models)


def is_chat_path(path: str) -> bool:
    """Whether Chat Completions is asked there."""
    return path in CHAT_PATHS
