"""Rule faults: replies that violate one rule of the contract, named by its id, and no other."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from mockserver.contract.findings import errors
from mockserver.errors import ConfigurationError
from mockserver.profiles import Profile
from mockserver.replies.framing import encode_events
from mockserver.server.delivery.faults.registry import OutgoingReply, body_pieces
from mockserver.server.delivery.steps import Send
from mockserver.slow_imports import require_import
from mockserver.suggestions import choose_from
from mockserver.wire import json, sse

__all__ = ["RuleFault", "breakable_rules", "find_rule_fault"]

#: Parts of a reply that a mutant can edit, in the order in which they are tried.
_STREAM_SUBJECTS, _BODY_SUBJECTS = ("stream", "frames"), ("response", "body")
_CHAT_STREAM_SUBJECTS, _CHAT_BODY_SUBJECTS = ("chat_stream", "chat_frames"), ("chat_completion",)
#: Values of `pick` that are tried.
_MAX_ATTEMPTS = 8


@dataclass(frozen=True, slots=True)
class RuleFault:
    """A rule of the contract to break."""

    rule: str

    @property
    def name(self) -> str:
        return self.rule

    def apply(
        self, outgoing: OutgoingReply, profile: Profile, pick: int, request: dict[str, Any] | None = None
    ) -> OutgoingReply:
        """Return the broken reply; `pick` selects location and edit. Raises ConfigurationError.

        The contract checker decides, with the `request`, whether only this rule is broken: a profile may not
        have the rule, or the edit may break another one too. In that case other edits are tried.
        """
        from mockserver.replies import mutants

        subject = next(
            (each for each in self._subjects(outgoing) if self.rule in mutants.rules_for(each)), None
        )
        if subject is None:
            kind = "stream" if outgoing.stream else "response"
            raise ConfigurationError(f"{self.rule} cannot be broken in a {kind}")
        edit = _edit_stream if outgoing.stream else _edit_body
        for attempt in range(_MAX_ATTEMPTS):
            pieces = edit(subject, self.rule, body_pieces(outgoing), profile, pick + attempt)
            whole = b"".join(pieces)
            if _breaks_only(self.rule, whole, outgoing.stream, profile, request):
                return outgoing._replace(steps=tuple(map(Send, pieces)))
        raise ConfigurationError(f"{self.rule} cannot be broken alone in this reply of {profile.name}")

    def _subjects(self, outgoing: OutgoingReply) -> tuple[str, ...]:
        if self.rule.startswith("CHT-"):
            return _CHAT_STREAM_SUBJECTS if outgoing.stream else _CHAT_BODY_SUBJECTS
        return _STREAM_SUBJECTS if outgoing.stream else _BODY_SUBJECTS


def _breaks_only(
    rule: str, data: bytes, stream: bool, profile: Profile, request: dict[str, Any] | None
) -> bool:
    """Whether a reply breaks this rule and no other."""
    # The whole checker: only for a reply that is to break a rule.
    from mockserver.contract.chat.check import check_chat_completion, check_chat_stream
    from mockserver.contract.check import check_response, check_stream

    if rule.startswith("CHT-"):
        findings = [*(check_chat_stream if stream else check_chat_completion)(data, request)]
    else:
        findings = [*(check_stream if stream else check_response)(data, profile, request)]
    # An edited reply may no longer echo its request. That follows from the edit and does not count.
    others = (each for each in errors(findings) if each.rule != rule and not each.rule.startswith("REQ-"))
    return any(each.rule == rule for each in findings) and next(others, None) is None


def breakable_rules() -> tuple[str, ...]:
    """Return the ids of the rules that a reply can break."""
    require_import("mockserver.replies.mutants")
    from mockserver.replies import mutants

    return tuple(sorted({rule for each in _ALL_SUBJECTS for rule in mutants.rules_for(each)}))


_ALL_SUBJECTS = (*_STREAM_SUBJECTS, *_BODY_SUBJECTS, *_CHAT_STREAM_SUBJECTS, *_CHAT_BODY_SUBJECTS)


@cache
def find_rule_fault(rule: str) -> RuleFault:
    """Return the fault that breaks a rule. Raises ConfigurationError."""
    if rule not in breakable_rules():
        raise ConfigurationError(
            f"no reply can break the rule {rule!r}{choose_from(rule, breakable_rules())}"
        )
    return RuleFault(rule)


def _edit_stream(subject: str, rule: str, pieces: list[bytes], profile: Profile, pick: int) -> list[bytes]:
    from mockserver.replies import mutants

    if subject.endswith("frames"):
        frames: list[bytes] = mutants.break_rule(rule, subject, pieces, profile=profile, pick=pick)
        return frames
    texts = [frame.data or "" for frame in sse.Decoder(1 << 24).feed(b"".join(pieces))]
    marker = [sse.encode(each) for each in texts if each == sse.DONE_DATA]
    events: list[Any] = [json.loads(each.encode()) for each in texts if each != sse.DONE_DATA]
    edited = mutants.break_rule(rule, subject, events, profile=profile, pick=pick)
    if subject == "chat_stream":
        from mockserver.replies.chat import encode_chunks

        return list(encode_chunks(edited))
    return [*encode_events(edited, profile.name), *marker]


def _edit_body(subject: str, rule: str, pieces: list[bytes], profile: Profile, pick: int) -> list[bytes]:
    from mockserver.replies import mutants

    body = b"".join(pieces)
    value: Any = body if subject == "body" else json.loads(body)
    edited = mutants.break_rule(rule, subject, value, profile=profile, pick=pick)
    return [edited if isinstance(edited, bytes) else json.dumps(edited)]
