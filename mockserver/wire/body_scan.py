"""Scan the text of JSON bodies, valid or not, for what a redactor hides.

The scan knows where each string is in its body, and which event a delta belongs to; a redactor decides what
is hidden.
"""

from __future__ import annotations

import json as stdlib_json
import re
from typing import Any, Protocol, Self

from mockserver.wire import json
from mockserver.wire.masks import Path, ends_with

__all__ = ["MASK", "MIN_SECRET_LENGTH", "REDACTED", "BodyScan", "fill", "is_secret_text"]

REDACTED = "[redacted]"
MASK = "[masked]"

#: Shorter secrets are not masked; those below `MIN_KEY_LENGTH` only as whole words.
MIN_SECRET_LENGTH = 4

#: Where credentials are if the value is a text instead of an object.
_SECRET_TEXT_POINTERS = (("tools", "*", "headers"), ("tools", "headers"))
#: A string, complete or not, and its colon if it is a name; a bracket; a field of an event; a scalar.
_LEXEME = (
    r'(?sm)"(?P<text>[^"\\]*(?:\\.[^"\\]*)*)(?P<close>"?)(?P<colon>\s*:)?|(?P<bracket>[{}\[\]])|(?P<field>^data:)'
    r"|(?P<scalar>(?:(?<=:)|(?<=:\s))(?:-?[0-9][0-9.eE+-]*|true|false|null)(?=[\s,\]}]|\Z))"
)
#: The same with the scalars in arrays, which matter to a pointer with a number.
_LEXEME_OR_ELEMENT = _LEXEME.replace(r"(?:(?<=:)|(?<=:\s))", r"(?<=[\s,:\[])")


class Redactor(Protocol):
    """Decides what is hidden, and in which form."""

    filler: str
    """What fills the place of a secret; empty if texts may change their lengths."""
    is_raw: bool
    """Whether texts are bytes that are read as Latin-1."""
    has_numbers: bool
    """Whether a pointer has the number of an element."""

    def cover(self, text: str) -> str: ...
    def in_same_length(self) -> Self: ...
    def is_masked(self, path: Path) -> bool: ...
    def may_have_secrets(self, text: str) -> bool: ...
    def redact_end(self, text: str) -> str: ...
    def redact_name(self, name: str) -> str: ...
    def redact_string(self, text: str, path: Path, removed: list[str] | None, nesting: int = 0) -> str: ...
    def redact_text(self, text: str) -> str: ...


class _Frame:
    """An open bracket: where it is, and the name or number of its current member."""

    __slots__ = ("is_array", "is_masked", "name", "path")

    def __init__(self, path: Path, *, is_array: bool, is_masked: bool) -> None:
        self.path = path
        self.is_array = is_array
        self.is_masked = is_masked
        self.name: str | int = -1 if is_array else ""


class BodyScan:
    """Redacts the text of JSON values token by token, so that invalid and shortened bodies are redacted too."""

    def __init__(self, redactor: Redactor, path: Path, nesting: int) -> None:
        self._redactor = redactor
        self._lexeme_pattern = _LEXEME_OR_ELEMENT if redactor.has_numbers else _LEXEME
        self._root = path
        self._nesting = nesting
        self._stack: list[_Frame] = []
        self._names: dict[str, tuple[str, str]] = {}
        """Each name and its redacted form, by its spelling."""
        self._has_secrets = True
        """Whether a string without an escape may have something to redact beside the credentials in a URL."""
        self._pieces: list[str] = []
        self._event: dict[Path, str] = {}
        """The members of the current event that tell which text it continues."""
        self._event_depth = 0
        self._deltas: list[tuple[dict[Path, str], Path, int, str, re.Match[str]]] = []
        """(event, path, index of its piece, text, token) of each delta."""

    def redact(self, text: str) -> str:
        self._has_secrets = self._redactor.may_have_secrets(text)
        end = 0
        for token in re.finditer(self._lexeme_pattern, text):
            start = token.start()
            if start > end:
                self._add_gap(text[end:start])
            self._pieces.append(self._redact_token(token))
            end = token.end()
        self._add_gap(text[end:])
        self._redact_deltas()
        return "".join(self._pieces)

    def _add_gap(self, gap: str) -> None:
        self._pieces.append(self._redactor.redact_text(gap) if len(gap) >= MIN_SECRET_LENGTH else gap)

    def _redact_token(self, token: re.Match[str]) -> str:
        kind, text = token.lastgroup, token[0]
        if kind == "bracket":
            self._move(text)
        elif kind == "field":
            self._stack.clear()
        elif kind == "colon" and self._stack and not self._stack[-1].is_array:
            return self._redact_name(token)
        else:
            return self._redact_member(token)
        return text

    def _redact_name(self, token: re.Match[str]) -> str:
        raw_name, redactor = token["text"], self._redactor
        if raw_name not in self._names:
            name = _unescape(raw_name, is_raw=redactor.is_raw)
            self._names[raw_name] = name, redactor.redact_name(name)
        name, clean = self._names[raw_name]
        self._stack[-1].name = name
        return token[0] if clean == name else self._encode(clean, token)

    def _redact_member(self, token: re.Match[str]) -> str:
        path, is_masked = self._next_member()
        if token.lastgroup == "scalar":
            self._note_member(path, token[0])
            return self._cover_scalar(token[0]) if is_masked and token[0] != "null" else token[0]
        raw_text = token["text"]
        if is_masked or is_secret_text(path):
            hidden = MASK if not self._redactor.filler else self._redactor.cover(raw_text)
            return f'"{hidden}{token["close"]}{token["colon"] or ""}'
        text = _unescape(raw_text, is_raw=self._redactor.is_raw)
        if "delta" in path[self._event_depth :]:
            self._deltas.append((self._event, path[self._event_depth :], len(self._pieces), text, token))
            return token[0]
        self._note_member(path, text)
        if not (self._has_secrets or "\\" in raw_text or "://" in raw_text):
            return token[0]
        clean = self._redactor.redact_string(text, path, None, self._nesting)
        return token[0] if clean == text else self._encode(clean, token)

    def _note_member(self, path: Path, text: str) -> None:
        if path and path[-1] in _TEXT_MEMBERS:
            self._event[path[self._event_depth :]] = text

    def _next_member(self) -> tuple[Path, bool]:
        """(where the next value is, whether it is masked)."""
        if not self._stack:
            return self._root, bool(self._root) and self._redactor.is_masked(self._root)
        frame = self._stack[-1]
        if isinstance(frame.name, int):
            frame.name += 1
        if len(frame.path) >= json.MAX_DEPTH:
            return frame.path, frame.is_masked
        # The elements of an array are alike, unless a pointer has a number.
        is_alike = isinstance(frame.name, int) and not self._redactor.has_numbers
        path = (*frame.path, "*" if is_alike else str(frame.name))
        return path, frame.is_masked or self._redactor.is_masked(path)

    def _move(self, bracket: str) -> None:
        if bracket in "]}":
            if self._stack:
                self._stack.pop()
            return
        path, is_masked = self._next_member()
        if bracket == "{" and all(each.is_array for each in self._stack):
            self._event, self._event_depth = {}, len(path)
        self._stack.append(_Frame(path, is_array=bracket == "[", is_masked=is_masked))

    def _cover_scalar(self, text: str) -> str:
        if not self._redactor.filler:
            return f'"{MASK}"'
        return f'"{fill(len(text) - 2)}"' if len(text) > 1 else "0"

    def _encode(self, text: str, token: re.Match[str]) -> str:
        """The token with another text, in the same length if the redactor keeps it."""
        is_raw, end = self._redactor.is_raw, f"{token['close']}{token['colon'] or ''}"
        try:
            escaped = _escape(text, is_raw=is_raw)
        except UnicodeEncodeError:
            escaped = fill(len(token["text"]))
        if not self._redactor.filler:
            return f'"{escaped}{end}'
        missing = len(token["text"]) - len(escaped)
        if missing < 0 or not token["close"]:
            return f'"{fill(len(token["text"]))}{end}'
        return f'"{escaped}{token["close"]}{" " * missing}{token["colon"] or ""}'

    def _redact_deltas(self) -> None:
        """Redact the texts of which each delta is a piece; the pieces keep their lengths."""
        texts: dict[Any, list[tuple[int, str, re.Match[str]]]] = {}
        for event, path, at, text, token in self._deltas:
            lane = (path, *sorted(each for each in event.items() if len(each[0]) <= len(path)))
            texts.setdefault(lane, []).append((at, text, token))
        fixed = self._redactor.in_same_length()
        for pieces in texts.values():
            clean, start = fixed.redact_end("".join(text for _, text, _ in pieces)), 0
            for at, text, token in pieces:
                part, start = clean[start : start + len(text)], start + len(text)
                if part != text:
                    self._pieces[at] = self._encode(part, token)


#: Members of an event that tell which text a delta continues.
_TEXT_MEMBERS = frozenset({"type", "output_index", "content_index", "summary_index", "index"})


def is_secret_text(path: Path) -> bool:
    """Whether a text at this path is a credential."""
    return path[-1:] == ("headers",) and any(ends_with(path, each) for each in _SECRET_TEXT_POINTERS)


def _unescape(text: str, *, is_raw: bool) -> str:
    """The value of a string token; raw tokens hold one character for each byte."""
    if is_raw and not text.isascii():
        text = text.encode("latin-1").decode("utf-8", "surrogateescape")
    if "\\" not in text:
        return text
    try:
        value: str = stdlib_json.loads(f'"{text}"', strict=False)
    except ValueError:
        return text
    return value


def _escape(text: str, *, is_raw: bool) -> str:
    escaped = stdlib_json.dumps(text, ensure_ascii=False)[1:-1]
    if is_raw and not escaped.isascii():
        return escaped.encode("utf-8", "surrogateescape").decode("latin-1")
    return escaped


def fill(length: int) -> str:
    return REDACTED.ljust(length, "*")[: max(length, 0)]
