"""The judge of streamed completions: one completion all along, its choices, and how it ends.

    stream = chunk { chunk } [ usage ] DONE         chunk: pieces of choices; usage: no choices
    choice = role { thought } { text } { call } end

API reference, OpenAI Chat, March 2026; guide, Streaming output, 2026; live recording, 16 April 2026.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from mockserver.contract.chat.completions import Called, end_rules, fits_chat_request, usage_rules
from mockserver.contract.chat.schemas import CHAT, chat_schemas
from mockserver.contract.findings import Finding, errors
from mockserver.contract.rules import Report
from mockserver.contract.shapes import shape_findings

__all__ = ["ChatStreamChecker"]

Chunk = dict[str, Any]

#: What all chunks of a stream have in common.
_CONSTANT = ("id", "created", "model")


@dataclass(slots=True)
class _Call:
    """A call as far as it came."""

    id: str
    name: str
    arguments: str = ""


@dataclass(slots=True)
class _Choice:
    """A choice as far as it came."""

    said: bool = False
    """Whether text or calls came: thoughts are over then."""
    reason: str | None = None
    calls: list[_Call] = field(default_factory=list)
    spoiled: bool = False
    """A piece of a call could not be placed: what it makes is not judged."""


class ChatStreamChecker:
    """Judges the chunks of one stream, one after another: `feed` each, then `finish`."""

    def __init__(self, request: Any = None) -> None:
        self._request = request if isinstance(request, dict) else None
        self._report = Report(CHAT)
        self._count = 0
        self._first: Chunk | None = None
        self._choices: dict[int, _Choice] = {}
        self._told_usage = False
        self._spoiled = False
        self.failed = False
        """Whether it ended with an error in place of a chunk."""

    def feed(self, chunk: Any) -> list[Finding]:
        """The findings that the next chunk brings."""
        report = self._report
        report.event, report.found = self._count, []
        self._count += 1
        if isinstance(chunk, dict) and "error" in chunk:
            self.failed = True
            return shape_findings(chat_schemas(), "chat_error", chunk, event=report.event)
        shape = shape_findings(chat_schemas(), "chat_chunk", chunk, event=report.event)
        if errors(shape):
            self.lost()
            return shape
        self._same(chunk)
        self._usage(chunk)
        for at, piece in enumerate(chunk["choices"]):
            self._piece(piece, f"/choices/{at}")
        return shape + report.found

    def lost(self) -> None:
        """Take note that a chunk could not be read: what it held is not missed."""
        self._spoiled = True

    def finish(self) -> list[Finding]:
        """The findings that the end brings."""
        report = self._report
        report.event, report.found = None, []
        if self._spoiled or self.failed:
            return []
        for index, choice in sorted(self._choices.items()):
            if choice.reason is None:
                report.say("CHT-004", "", f"the choice {index} has no finish_reason")
        if not self._choices:
            report.say("CHT-004", "", "no choice came, so none ended")
        self._fits()
        return report.found

    def _same(self, chunk: Chunk) -> None:
        if self._first is None:
            self._first = chunk
        for name in _CONSTANT:
            if chunk[name] != self._first[name]:
                words = f"{name} was another in the chunks before"
                self._report.say("CHT-002", f"/{name}", words, expected=self._first[name], got=chunk[name])

    def _usage(self, chunk: Chunk) -> None:
        report, usage = self._report, chunk.get("usage")
        if self._told_usage:
            report.say("CHT-006", "", "a chunk comes after that with the usage")
        elif usage is None and not chunk["choices"]:
            report.say("CHT-006", "/usage", "a chunk has neither choices nor usage")
        elif usage is not None:
            self._told_usage = True
            usage_rules(usage, report)
            if chunk["choices"] or any(each.reason is None for each in self._choices.values()):
                report.say("CHT-006", "/usage", "comes before the choices are over, or beside one")

    def _piece(self, piece: dict[str, Any], base: str) -> None:
        report, index, delta = self._report, piece["index"], piece["delta"]
        choice = self._choices.get(index)
        role = delta.get("role")
        if choice is None:
            if index != len(self._choices) and not self._spoiled:
                words = "is not the number of choices before"
                report.say("CHT-009", f"{base}/index", words, expected=len(self._choices), got=index)
            choice = self._choices[index] = _Choice()
            if role is None and not self._spoiled:
                report.say("CHT-001", f"{base}/delta/role", "the first delta names no role")
        elif role is not None:
            report.say("CHT-001", f"{base}/delta/role", "a later delta names the role again", got=role)
        if choice.reason is not None:
            report.say("CHT-004", base, "something comes for a choice that is over")
            return
        self._delta(choice, delta, f"{base}/delta")
        self._end(choice, piece.get("finish_reason"), base)

    def _delta(self, choice: _Choice, delta: dict[str, Any], base: str) -> None:
        if delta.get("reasoning_content") and choice.said:
            pointer = f"{base}/reasoning_content"
            self._report.say("CHT-008", pointer, "a thought comes after what it leads to")
        calls = delta.get("tool_calls") or ()
        choice.said = choice.said or bool(delta.get("content") or calls)
        for at, call in enumerate(calls):
            self._call(choice, call, f"{base}/tool_calls/{at}")

    def _call(self, choice: _Choice, piece: dict[str, Any], base: str) -> None:
        report, calls, index = self._report, choice.calls, piece["index"]
        function = piece.get("function") or {}
        given, name = piece.get("id") or "", function.get("name") or ""
        if index == len(calls):
            calls.append(_Call(given, name))
            if not given or not name:
                report.say("CHT-003", base, "a call begins without id and name", got=[given, name])
        elif index == len(calls) - 1:
            if name or given not in ("", calls[-1].id):
                report.say("CHT-003", base, "a call goes on with another id, or a name", got=[given, name])
        else:
            choice.spoiled = True
            words = "is neither that of the call that goes on nor the next"
            report.say("CHT-003", f"{base}/index", words, expected=len(calls), got=index)
            return
        calls[-1].arguments += function.get("arguments") or ""

    def _end(self, choice: _Choice, reason: str | None, base: str) -> None:
        choice.reason = reason
        if reason is not None and not choice.spoiled and not self._spoiled:
            report = self._report
            before = len(report.found)
            end_rules(reason, self._called(choice), report)
            report.found[before:] = [_placed(each, base) for each in report.found[before:]]

    def _called(self, choice: _Choice) -> list[Called]:
        return [Called(each.id, each.name, each.arguments) for each in choice.calls]

    def _fits(self) -> None:
        if self._request is None or self._first is None:
            return
        report, request = self._report, self._request
        options = request.get("stream_options")
        asked = isinstance(options, dict) and options.get("include_usage") is True
        if asked != self._told_usage:
            told = "was not asked for, and came" if self._told_usage else "was asked for, and did not come"
            report.say("CHT-006", "", f"usage {told}", expected=asked, got=self._told_usage)
        called = [call for each in self._choices.values() for call in self._called(each) if call.name]
        fits_chat_request(self._first["model"], len(self._choices), called, request, report)


def _placed(each: Finding, base: str) -> Finding:
    return replace(each, pointer=base + each.pointer)
