"""The paths, models and schemas of Chat Completions."""

from __future__ import annotations

from functools import cache

from mockserver.contract.schema.registry import ProfileSchemas
from mockserver.profiles import load_profile, profile_names

__all__ = [
    "CHAT_BASE_PATH",
    "CHAT_BASE_PATHS",
    "CHAT_PATHS",
    "CHAT_PROFILE",
    "CHAT_ROOT_SCHEMAS",
    "chat_models",
    "load_chat_schemas",
]

#: The name of Chat Completions in the `profiles` of a rule.
CHAT_PROFILE = "qwen-chat"

#: The month of the newest source.
_DATE = "2026-11"

#: The schemas of whole messages.
CHAT_ROOT_SCHEMAS = ("chat_request", "chat_completion", "chat_chunk", "chat_error")

#: The base path of the service (guide, Migrate from the Chat Completions API, 27 January 2026).
CHAT_BASE_PATH = "/compatible-mode/v1"

#: The base path of the service, and the short one of the mock.
CHAT_BASE_PATHS = (CHAT_BASE_PATH, "/v1")

CHAT_PATHS = tuple(f"{base}/chat/completions" for base in CHAT_BASE_PATHS)


@cache
def load_chat_schemas() -> ProfileSchemas:
    """The schemas of Chat Completions."""
    return ProfileSchemas(CHAT_PROFILE, _DATE, {}, ("chat",), CHAT_ROOT_SCHEMAS)


@cache
def chat_models() -> frozenset[str]:
    """The models of all profiles of the Responses API: Chat had each of them no later (inferred)."""
    return frozenset(model for name in profile_names() for model in load_profile(name).models)
