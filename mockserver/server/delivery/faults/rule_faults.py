"""Rules broken on purpose: an answer that keeps the whole contract but for one rule, named by its id."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from mockserver.contract.check import check_response, check_stream
from mockserver.contract.findings import errors
from mockserver.errors import ConfigurationError
from mockserver.profiles import Profile
from mockserver.replies.chat import encode_chunks
from mockserver.replies.framing import encode_events
from mockserver.server.delivery.faults.registry import OutgoingReply, body_pieces
from mockserver.server.delivery.steps import Send
from mockserver.wire import json, sse

__all__ = ["RuleFault", "breakable_rules", "find_rule_fault"]

#: What of an answer can be edited, in the order in which it is tried.
_STREAM_SUBJECTS, _BODY_SUBJECTS = ("stream", "frames"), ("response", "body")
_CHAT_STREAM_SUBJECTS, _CHAT_BODY_SUBJECTS = ("chat_stream", "chat_frames"), ("chat_completion",)
_CHAT_SUBJECTS = frozenset({*_CHAT_STREAM_SUBJECTS, *_CHAT_BODY_SUBJECTS})
#: Places and ways that are tried.
_MAX_ATTEMPTS = 8


@dataclass(frozen=True, slots=True)
class RuleFault:
    """One rule of the contract, to be broken."""

    rule: str

    @property
    def name(self) -> str:
        return self.rule

    def apply(
        self, outgoing: OutgoingReply, profile: Profile, pick: int, request: dict[str, Any] | None = None
    ) -> OutgoingReply:
        """The broken answer; `pick` varies place and way. ConfigurationError where it has no place for it.

        The judge has the last word, with the `request` that is answered: no age holds every rule, and what
        breaks one in an age may break another as well. Other places and ways are tried, then it is told.
        """
        from mockserver.replies import mutants

        subjects = self._subjects(outgoing)
        known = [each for each in subjects if self.rule in mutants.rules_for(each)]
        if not known:
            kind = "stream" if outgoing.stream else "response"
            raise ConfigurationError(f"{self.rule} can not be broken in a {kind}")
        edit = _edit_stream if outgoing.stream else _edit_body
        for tried in range(_MAX_ATTEMPTS):
            pieces = edit(known[0], self.rule, body_pieces(outgoing), profile, pick + tried)
            whole = b"".join(pieces)
            if known[0] in _CHAT_SUBJECTS or _breaks_only(
                self.rule, whole, outgoing.stream, profile, request
            ):
                return replace(outgoing, steps=tuple(map(Send, pieces)))
        raise ConfigurationError(f"{self.rule} can not be broken by itself in this answer of {profile.name}")

    def _subjects(self, outgoing: OutgoingReply) -> tuple[str, ...]:
        if self.rule.startswith("CHT-"):
            return _CHAT_STREAM_SUBJECTS if outgoing.stream else _CHAT_BODY_SUBJECTS
        return _STREAM_SUBJECTS if outgoing.stream else _BODY_SUBJECTS


def _breaks_only(
    rule: str, data: bytes, stream: bool, profile: Profile, request: dict[str, Any] | None
) -> bool:
    """Whether an answer breaks that rule and no other."""
    found = [*(check_stream if stream else check_response)(data, profile, request)]
    # An answer that was changed no longer says what its request said: that follows, and is no other breach.
    others = (each for each in errors(found) if each.rule != rule and not each.rule.startswith("REQ-"))
    return any(each.rule == rule for each in found) and next(others, None) is None


def breakable_rules() -> tuple[str, ...]:
    """Ids of the rules that an answer can break."""
    from mockserver.replies import mutants

    return tuple(sorted({rule for each in _ALL_SUBJECTS for rule in mutants.rules_for(each)}))


_ALL_SUBJECTS = (*_STREAM_SUBJECTS, *_BODY_SUBJECTS, *_CHAT_STREAM_SUBJECTS, *_CHAT_BODY_SUBJECTS)


@cache
def find_rule_fault(rule: str) -> RuleFault:
    """The violation of a rule; ConfigurationError lists those there are."""
    if rule not in breakable_rules():
        raise ConfigurationError(
            f"no answer can be made to break the rule {rule!r}; there are: {', '.join(breakable_rules())}"
        )
    return RuleFault(rule)


def _edit_stream(subject: str, rule: str, pieces: list[bytes], profile: Profile, pick: int) -> list[bytes]:
    from mockserver.replies import mutants

    if subject.endswith("frames"):
        broken: list[bytes] = mutants.break_rule(rule, subject, pieces, profile=profile, pick=pick)
        return broken
    read = [frame.data or "" for frame in sse.Decoder(1 << 24).feed(b"".join(pieces))]
    marker = [sse.encode(each) for each in read if each == sse.DONE_DATA]
    events: list[Any] = [json.loads(each.encode()) for each in read if each != sse.DONE_DATA]
    edited = mutants.break_rule(rule, subject, events, profile=profile, pick=pick)
    if subject == "chat_stream":
        return list(encode_chunks(edited))
    return [*encode_events(edited, profile.name), *marker]


def _edit_body(subject: str, rule: str, pieces: list[bytes], profile: Profile, pick: int) -> list[bytes]:
    from mockserver.replies import mutants

    body = b"".join(pieces)
    value: Any = body if subject == "body" else json.loads(body)
    edited = mutants.break_rule(rule, subject, value, profile=profile, pick=pick)
    return [edited if isinstance(edited, bytes) else json.dumps(edited)]
