"""Checks streamed completions: their framing, their chunks, and how they end.

    stream = chunk { chunk } [ usage ] DONE         chunk: deltas of choices; usage: no choices
    choice = role { reasoning } { text } { call } end

API reference, OpenAI Chat, March 2026; guide, Streaming output, 2026; live recording, 16 April 2026.
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
from mockserver.contract.findings import Finding
from mockserver.contract.rules import Report, make_finding
from mockserver.contract.schema.validation import schema_findings
from mockserver.contract.stream.framing import FramingChecker

__all__ = ["ChatFramingChecker", "ChunkSequenceChecker"]

Chunk = dict[str, Any]

#: Members that are the same in all chunks of a stream.
_CONSTANT_MEMBERS = ("id", "created", "model")

#: How many invalid chunks are explained: an explanation takes a thousand times as long as a check.
_MAX_EXPLAINED_CHUNKS = 20


@dataclass(slots=True)
class _PartialCall:
    """A call as far as it has been received."""

    id: str
    name: str
    deltas: list[str] = field(default_factory=list)
    """The pieces of its arguments."""


@dataclass(slots=True)
class _PartialChoice:
    """A choice as far as it has been received."""

    has_content: bool = False
    """Whether text or a call has been received, after which no reasoning may follow."""
    finish_reason: str | None = None
    calls: list[_PartialCall] = field(default_factory=list)
    incomparable: bool = False
    """Whether a delta belongs to no call, so that the calls cannot be checked."""


class ChunkSequenceChecker:
    """Checks the chunks of one stream: `feed` them one by one, then call `finish`."""

    def __init__(self, request: Any = None) -> None:
        self._request = request if isinstance(request, dict) else None
        self._report = Report(CHAT_PROFILE)
        self._chunk_count = 0
        self._invalid_count = 0
        self._first_chunk: Chunk | None = None
        self._choices: dict[int, _PartialChoice] = {}
        self._usage_seen = False
        self._incomparable = False
        self.failed = False
        """Whether an error has been received in place of a chunk."""

    @property
    def ended(self) -> bool:
        """Whether `[DONE]` must follow: only an error in place of a chunk ends a stream without it."""
        return not self.failed

    def feed(self, chunk: Any) -> list[Finding]:
        """The findings in the next chunk."""
        report = self._report
        report.event, report.findings = self._chunk_count, []
        self._chunk_count += 1
        if isinstance(chunk, dict) and "error" in chunk:
            self.failed = True
            if self._choices:
                report.add("CHT-012", "/error", "an error ends a stream that has choices", got=chunk["error"])
            report.extend(schema_findings(load_chat_schemas(), "chat_error", chunk, event=report.event))
            return report.findings
        if self.failed:
            report.add("CHT-012", "", "a chunk follows an error", got=chunk)
        if not self._check_schema(chunk):
            self.mark_unreadable()
            return report.findings
        self._check_constant_members(chunk)
        self._check_usage(chunk)
        for at, chunk_choice in enumerate(chunk["choices"]):
            self._check_choice(chunk_choice, f"/choices/{at}")
        return report.findings

    def _check_schema(self, chunk: Any) -> bool:
        """Whether a chunk is valid; only the first invalid ones are explained."""
        report, schemas = self._report, load_chat_schemas()
        if schemas.is_closed_valid("chat_chunk", chunk):
            return True
        is_valid = schemas.is_valid("chat_chunk", chunk)
        self._invalid_count += not is_valid
        if is_valid or self._invalid_count <= _MAX_EXPLAINED_CHUNKS:
            report.extend(schema_findings(schemas, "chat_chunk", chunk, event=report.event))
        return is_valid

    def mark_unreadable(self) -> None:
        """Note that a chunk could not be read, so that its content is not reported as missing."""
        self._incomparable = True

    def finish(self) -> list[Finding]:
        """The findings at the end of the stream."""
        report = self._report
        report.event, report.findings = None, []
        if self._incomparable or self.failed:
            return self.omitted_findings()
        for index, choice in sorted(self._choices.items()):
            if choice.finish_reason is None:
                report.add("CHT-004", "", f"choice {index} has no finish_reason")
        if not self._choices:
            report.add("CHT-004", "", "the stream has no choices")
        self._check_against_request()
        return report.findings + self.omitted_findings()

    def omitted_findings(self) -> list[Finding]:
        """What stands for the findings that are not listed, once the stream has ended."""
        omitted = self._report.omitted_findings()
        more, self._invalid_count = self._invalid_count - _MAX_EXPLAINED_CHUNKS, 0
        if more > 0:
            message = f"and {more} more chunks that break their schema"
            omitted.append(replace(make_finding("SCH-001", "", message), more=more))
        return omitted

    def _check_constant_members(self, chunk: Chunk) -> None:
        if self._first_chunk is None:
            self._first_chunk = chunk
        for name in _CONSTANT_MEMBERS:
            if chunk[name] != self._first_chunk[name]:
                message = "differs from the first chunk"
                self._report.add(
                    "CHT-002", f"/{name}", message, expected=self._first_chunk[name], got=chunk[name]
                )

    def _check_usage(self, chunk: Chunk) -> None:
        report, usage = self._report, chunk.get("usage")
        if self._usage_seen:
            report.add("CHT-006", "", "a chunk follows the usage chunk")
        elif usage is None and not chunk["choices"]:
            report.add("CHT-006", "/usage", "a chunk has neither choices nor usage")
        elif usage is not None:
            self._usage_seen = True
            check_usage(usage, report)
            if chunk["choices"] or any(choice.finish_reason is None for choice in self._choices.values()):
                report.add("CHT-006", "/usage", "comes before the choices end, or in a chunk with choices")

    def _check_choice(self, chunk_choice: dict[str, Any], base: str) -> None:
        report, index, delta = self._report, chunk_choice["index"], chunk_choice["delta"]
        choice = self._choices.get(index)
        role = delta.get("role")
        if choice is None:
            if index != len(self._choices) and not self._incomparable:
                message = "is not the number of earlier choices"
                report.add("CHT-009", f"{base}/index", message, expected=len(self._choices), got=index)
            choice = self._choices[index] = _PartialChoice()
            if role is None and not self._incomparable:
                report.add("CHT-001", f"{base}/delta/role", "the first delta has no role")
        elif role is not None:
            report.add("CHT-001", f"{base}/delta/role", "a later delta repeats the role", got=role)
        if choice.finish_reason is not None:
            report.add("CHT-004", base, "a delta follows the end of its choice")
            return
        self._check_delta(choice, delta, f"{base}/delta")
        self._check_choice_end(choice, chunk_choice.get("finish_reason"), base)

    def _check_delta(self, choice: _PartialChoice, delta: dict[str, Any], base: str) -> None:
        if delta.get("reasoning_content") and choice.has_content:
            pointer = f"{base}/reasoning_content"
            self._report.add("CHT-008", pointer, "reasoning follows text or a call")
        calls = delta.get("tool_calls") or ()
        choice.has_content = choice.has_content or bool(delta.get("content") or calls)
        for at, call in enumerate(calls):
            self._check_call(choice, call, f"{base}/tool_calls/{at}")

    def _check_call(self, choice: _PartialChoice, delta: dict[str, Any], base: str) -> None:
        report, calls, index = self._report, choice.calls, delta["index"]
        function = delta.get("function") or {}
        call_id, name = delta.get("id") or "", function.get("name") or ""
        if index == len(calls):
            calls.append(_PartialCall(call_id, name))
            if not call_id or not name:
                report.add("CHT-003", base, "a call starts without id and name", got=[call_id, name])
        elif index == len(calls) - 1:
            if name or call_id not in ("", calls[-1].id):
                message = "a later delta of a call has another id, or a name"
                report.add("CHT-003", base, message, got=[call_id, name])
        else:
            choice.incomparable = True
            message = "is neither the index of the current call nor the next one"
            report.add("CHT-003", f"{base}/index", message, expected=len(calls), got=index)
            return
        calls[-1].deltas.append(function.get("arguments") or "")

    def _check_choice_end(self, choice: _PartialChoice, finish_reason: str | None, base: str) -> None:
        choice.finish_reason = finish_reason
        if finish_reason is not None and not choice.incomparable and not self._incomparable:
            findings = self._report.findings
            start = len(findings)
            check_choice_end(finish_reason, _function_calls(choice), self._report)
            findings[start:] = [replace(each, pointer=base + each.pointer) for each in findings[start:]]

    def _check_against_request(self) -> None:
        if self._request is None or self._first_chunk is None:
            return
        report, request = self._report, self._request
        options = request.get("stream_options")
        expected = isinstance(options, dict) and options.get("include_usage") is True
        if expected != self._usage_seen:
            message = "the stream has usage without include_usage" if self._usage_seen else "usage is missing"
            report.add("CHT-006", "", message, expected=expected, got=self._usage_seen)
        calls = [call for each in self._choices.values() for call in _function_calls(each) if call.name]
        is_finished = all(choice.finish_reason not in (None, "length") for choice in self._choices.values())
        check_against_chat_request(
            self._first_chunk["model"], len(self._choices), calls, request, report, is_finished=is_finished
        )


def _function_calls(choice: _PartialChoice) -> list[ChatFunctionCall]:
    return [ChatFunctionCall(call.id, call.name, "".join(call.deltas)) for call in choice.calls]


class ChatFramingChecker(FramingChecker):
    """Checks the bytes of one streamed completion: framing as for Responses, `[DONE]` at the end."""

    def __init__(self, request: Any = None) -> None:
        self.chunk_checker = ChunkSequenceChecker(request)
        super().__init__(CHAT_PROFILE, self.chunk_checker, done_rule="CHT-007", requires_done_marker=True)
