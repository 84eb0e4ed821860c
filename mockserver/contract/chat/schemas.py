"""The schemas of Chat Completions, and what is judged by them."""

from __future__ import annotations

from functools import cache

from mockserver.contract.schemas import ProfileSchemas
from mockserver.profiles import load_profile, profile_names

__all__ = ["CHAT", "CHAT_BASE", "CHAT_BASES", "CHAT_PATHS", "ROOTS", "chat_models", "chat_schemas"]

#: What rules call it where they name profiles.
CHAT = "qwen-chat"

#: The month of the newest source.
_AGE = "2026-11"

#: What crosses the wire as a whole.
ROOTS = ("chat_request", "chat_completion", "chat_chunk", "chat_error")

#: The base path of the service (guide, Migrate from the Chat Completions API, 27 January 2026).
CHAT_BASE = "/compatible-mode/v1"

#: Base paths that it is asked under: the service's, and the mock's own short one.
CHAT_BASES = (CHAT_BASE, "/v1")

CHAT_PATHS = tuple(f"{base}/chat/completions" for base in CHAT_BASES)


@cache
def chat_schemas() -> ProfileSchemas:
    """The schemas of Chat Completions."""
    return ProfileSchemas(CHAT, _AGE, {}, ("chat",), ROOTS)


@cache
def chat_models() -> frozenset[str]:
    """Models that any age of the Responses API lists: Chat had each of them no later (inferred)."""
    return frozenset(model for name in profile_names() for model in load_profile(name).models)
