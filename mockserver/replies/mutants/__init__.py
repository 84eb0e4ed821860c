"""Edits that break valid streams, responses, requests and bytes, one rule at a time.

There is one edit per rule and kind of value; it breaks no other rule if that is possible. The edits do not
import the checks: both describe the rules independently, so that each tests the other.
"""

from __future__ import annotations

from typing import Any

from mockserver.profiles import DEFAULT_PROFILE, Profile, load_profile
from mockserver.replies.mutants import chat, frames, items, requests, schemas, stream, texts
from mockserver.replies.mutants.registry import CHAT_SUBJECTS, SUBJECTS, Mutant, find_mutant, rules_for
from mockserver.replies.mutants.schemas import has_later_members

__all__ = [
    "CHAT_SUBJECTS",
    "SUBJECTS",
    "Mutant",
    "break_rule",
    "find_mutant",
    "has_later_members",
    "rules_for",
]

#: The modules whose import registers the mutants.
MUTANT_MODULES = (stream, items, texts, schemas, frames, requests, chat)


def break_rule(
    rule: str, subject: str, value: Any, *, profile: str | Profile = DEFAULT_PROFILE, pick: int = 0
) -> Any:
    """A copy of a valid `value` that breaks `rule`; `pick`, from 0, varies where and how.

    `subject` says what the value is: "stream" (a list of events), "frames" (a list of bytes, one frame per
    event), "response", "request", or "body" (the bytes of a response); for Chat Completions "chat_request",
    "chat_completion", "chat_stream" and "chat_frames". Raises ConfigurationError if no mutant breaks the
    rule, with a list of those that exist, or if this value cannot break it.

    >>> break_rule("USE-004", "response", {"status": "completed", "usage": {}})
    {'status': 'completed', 'usage': None}
    """
    loaded = load_profile(profile) if isinstance(profile, str) else profile
    return find_mutant(subject, rule).apply(value, loaded, pick)
