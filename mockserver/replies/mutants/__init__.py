"""Mutants: legal streams, responses, requests and bytes, broken by the id of a rule.

One edit a rule, each breaking that rule and no other where that can be. They know nothing of the judge:
what a rule says is written down here a second time, so that each can be tested by the other.
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
    """A copy of a legal `value` that breaks `rule`; `pick`, from 0, varies the place and the way.

    `subject` says what the value is: "stream" (a list of events), "frames" (a list of bytes, one frame an
    event), "response", "request", or "body" (the bytes of a response); of Chat Completions "chat_request",
    "chat_completion", "chat_stream" and "chat_frames". ConfigurationError where no mutant
    breaks the rule, listing those there are, and where this value has no place for it.

    >>> break_rule("USE-004", "response", {"status": "completed", "usage": {}})
    {'status': 'completed', 'usage': None}
    """
    about = load_profile(profile) if isinstance(profile, str) else profile
    return find_mutant(subject, rule).apply(value, about, pick)
