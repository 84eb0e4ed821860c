"""The judge of streamed completions: one completion all along, its choices, and how it ends.

    stream = chunk { chunk } [ usage ] DONE         chunk: pieces of choices; usage: no choices
    choice = role { thought } { text } { call } end

API reference, OpenAI Chat, March 2026; guide, Streaming output, 2026; live recording, 16 April 2026.

The judge of a streamed completion's bytes: framing as for Responses, a marker at the end.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from mockserver.contract.chat.completions import (
    ChatFunctionCall,
    check_against_chat_request,
    check_choice_end,
    check_usage,
)
from mockserver.contract.chat.service import CHAT_PROFILE, load_chat_schemas
from mockserver.contract.findings import Finding, errors
from mockserver.contract.rules import Report
from mockserver.contract.schema.validation import schema_findings
from mockserver.contract.stream.framing import DONE_MARKER, FramingChecker
from mockserver.wire import sse

__all__ = ["ChatFramingChecker", "ChunkSequenceChecker"]

Chunk = dict[str, Any]

#: What all chunks of a stream have in common.
_CONSTANT_MEMBERS = ("id", "created", "model")


@dataclass(slots=True)
class _PartialCall:
    """A call as far as it came."""

    id: str
    name: str
    arguments: str = ""


@dataclass(slots=True)
class _PartialChoice:
    """A choice as far as it came."""

    has_content: bool = False
    """Whether text or calls came: thoughts are over then."""
    finish_reason: str | None = None
    calls: list[_PartialCall] = field(default_factory=list)
    incomparable: bool = False
    """A piece of a call could not be placed: what it makes is not judged."""


class ChunkSequenceChecker:
    """Judges the chunks of one stream, one after another: `feed` each, then `finish`."""

    def __init__(self, request: Any = None) -> None:
        self._request = request if isinstance(request, dict) else None
        self._report = Report(CHAT_PROFILE)
        self._chunk_count = 0
        self._first_chunk: Chunk | None = None
        self._choices: dict[int, _PartialChoice] = {}
        self._usage_seen = False
        self._incomparable = False
        self.failed = False
        """Whether it ended with an error in place of a chunk."""

    def feed(self, chunk: Any) -> list[Finding]:
        """The findings that the next chunk brings."""
        report = self._report
        report.event, report.findings = self._chunk_count, []
        self._chunk_count += 1
        if isinstance(chunk, dict) and "error" in chunk:
            self.failed = True
            return schema_findings(load_chat_schemas(), "chat_error", chunk, event=report.event)
        shape = schema_findings(load_chat_schemas(), "chat_chunk", chunk, event=report.event)
        if errors(shape):
            self.mark_unreadable()
            return shape
        self._check_constant_members(chunk)
        self._check_usage(chunk)
        for at, piece in enumerate(chunk["choices"]):
            self._check_choice(piece, f"/choices/{at}")
        return shape + report.findings

    def mark_unreadable(self) -> None:
        """Take note that a chunk could not be read: what it held is not missed."""
        self._incomparable = True

    def finish(self) -> list[Finding]:
        """The findings that the end brings."""
        report = self._report
        report.event, report.findings = None, []
        if self._incomparable or self.failed:
            return []
        for index, choice in sorted(self._choices.items()):
            if choice.finish_reason is None:
                report.add("CHT-004", "", f"the choice {index} has no finish_reason")
        if not self._choices:
            report.add("CHT-004", "", "no choice came, so none ended")
        self._check_against_request()
        return report.findings

    def _check_constant_members(self, chunk: Chunk) -> None:
        if self._first_chunk is None:
            self._first_chunk = chunk
        for name in _CONSTANT_MEMBERS:
            if chunk[name] != self._first_chunk[name]:
                words = f"{name} was another in the chunks before"
                self._report.add(
                    "CHT-002", f"/{name}", words, expected=self._first_chunk[name], got=chunk[name]
                )

    def _check_usage(self, chunk: Chunk) -> None:
        report, usage = self._report, chunk.get("usage")
        if self._usage_seen:
            report.add("CHT-006", "", "a chunk comes after that with the usage")
        elif usage is None and not chunk["choices"]:
            report.add("CHT-006", "/usage", "a chunk has neither choices nor usage")
        elif usage is not None:
            self._usage_seen = True
            check_usage(usage, report)
            if chunk["choices"] or any(each.finish_reason is None for each in self._choices.values()):
                report.add("CHT-006", "/usage", "comes before the choices are over, or beside one")

    def _check_choice(self, piece: dict[str, Any], base: str) -> None:
        report, index, delta = self._report, piece["index"], piece["delta"]
        choice = self._choices.get(index)
        role = delta.get("role")
        if choice is None:
            if index != len(self._choices) and not self._incomparable:
                words = "is not the number of choices before"
                report.add("CHT-009", f"{base}/index", words, expected=len(self._choices), got=index)
            choice = self._choices[index] = _PartialChoice()
            if role is None and not self._incomparable:
                report.add("CHT-001", f"{base}/delta/role", "the first delta names no role")
        elif role is not None:
            report.add("CHT-001", f"{base}/delta/role", "a later delta names the role again", got=role)
        if choice.finish_reason is not None:
            report.add("CHT-004", base, "something comes for a choice that is over")
            return
        self._check_delta(choice, delta, f"{base}/delta")
        self._check_choice_end(choice, piece.get("finish_reason"), base)

    def _check_delta(self, choice: _PartialChoice, delta: dict[str, Any], base: str) -> None:
        if delta.get("reasoning_content") and choice.has_content:
            pointer = f"{base}/reasoning_content"
            self._report.add("CHT-008", pointer, "a thought comes after what it leads to")
        calls = delta.get("tool_calls") or ()
        choice.has_content = choice.has_content or bool(delta.get("content") or calls)
        for at, call in enumerate(calls):
            self._check_call(choice, call, f"{base}/tool_calls/{at}")

    def _check_call(self, choice: _PartialChoice, piece: dict[str, Any], base: str) -> None:
        report, calls, index = self._report, choice.calls, piece["index"]
        function = piece.get("function") or {}
        given, name = piece.get("id") or "", function.get("name") or ""
        if index == len(calls):
            calls.append(_PartialCall(given, name))
            if not given or not name:
                report.add("CHT-003", base, "a call begins without id and name", got=[given, name])
        elif index == len(calls) - 1:
            if name or given not in ("", calls[-1].id):
                report.add("CHT-003", base, "a call goes on with another id, or a name", got=[given, name])
        else:
            choice.incomparable = True
            words = "is neither that of the call that goes on nor the next"
            report.add("CHT-003", f"{base}/index", words, expected=len(calls), got=index)
            return
        calls[-1].arguments += function.get("arguments") or ""

    def _check_choice_end(self, choice: _PartialChoice, finish_reason: str | None, base: str) -> None:
        choice.finish_reason = finish_reason
        if finish_reason is not None and not choice.incomparable and not self._incomparable:
            report = self._report
            before = len(report.findings)
            check_choice_end(finish_reason, self._function_calls(choice), report)
            report.findings[before:] = [_prefix_pointer(each, base) for each in report.findings[before:]]

    def _function_calls(self, choice: _PartialChoice) -> list[ChatFunctionCall]:
        return [ChatFunctionCall(each.id, each.name, each.arguments) for each in choice.calls]

    def _check_against_request(self) -> None:
        if self._request is None or self._first_chunk is None:
            return
        report, request = self._report, self._request
        options = request.get("stream_options")
        asked = isinstance(options, dict) and options.get("include_usage") is True
        if asked != self._usage_seen:
            told = "was not asked for, and came" if self._usage_seen else "was asked for, and did not come"
            report.add("CHT-006", "", f"usage {told}", expected=asked, got=self._usage_seen)
        called = [call for each in self._choices.values() for call in self._function_calls(each) if call.name]
        check_against_chat_request(self._first_chunk["model"], len(self._choices), called, request, report)


def _prefix_pointer(finding: Finding, base: str) -> Finding:
    return replace(finding, pointer=base + finding.pointer)


class ChatFramingChecker(FramingChecker):
    """Judges one streamed completion."""

    def __init__(self, request: Any = None) -> None:
        self.chunk_checker = ChunkSequenceChecker(request)
        super().__init__(CHAT_PROFILE, self.chunk_checker)
        self._done_marker_seen = False

    def _check_data(self, frame: sse.Frame, text: str) -> None:
        if self._done_marker_seen:
            self._report.add("CHT-007", "", f"something comes after {DONE_MARKER}", got=text)
        else:
            super()._check_data(frame, text)

    def _on_done_marker(self) -> None:
        self._done_marker_seen = True

    def _on_end(self) -> None:
        self._report.event = None
        if not self._done_marker_seen and not self.chunk_checker.failed:
            self._report.add("CHT-007", "", f"the stream does not end with {DONE_MARKER}")
