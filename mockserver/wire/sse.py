"""Encode and decode server-sent events.

The decoder follows WHATWG (HTML, section 9.2.6) and is incremental: the same bytes give the same frames,
whatever their chunking. It reports more than WHATWG dispatches, for the contract checks: a block without data
is a frame too (`data` is None), and each frame records how it was written.

The encoder never writes a frame without data or a byte order mark, and always ends a frame with a blank line.
It drops line breaks from names and ids, so that nothing can be injected.
"""

from __future__ import annotations

import re

from mockserver.errors import EventTooLarge
from mockserver.named_tuples import NamedTuple

__all__ = [
    "DONE_DATA",
    "MAX_EVENT_BYTES",
    "Decoder",
    "Frame",
    "decode_frames",
    "encode",
    "encode_comment",
    "split_blocks",
]

#: Longest event that the decoder accepts by default, in bytes.
MAX_EVENT_BYTES = 1 << 20

#: Data of the frame that ends a stream in OpenAI's Chat Completions and in Open Responses.
DONE_DATA = "[DONE]"

_BOM = b"\xef\xbb\xbf"

#: A block with the blank lines that end it, or what follows the last blank line.
_BLOCK = rb"(?s).+?(?:\n{2,}|(?:\r\n){2,}|\r{2,}|\Z)"


class Frame(NamedTuple):
    """One block of a stream, from its first line to its blank line."""

    event: str
    """The `event` field; "" if there is none (WHATWG then uses "message")."""
    data: str | None
    """The `data` lines joined by newlines; None if there are none: browsers drop such a block."""
    last_event_id: str
    """The id in force after this block."""
    fields: tuple[str, ...] = ()
    """Names of the fields in order, unknown ones included, without comments."""
    comments: tuple[str, ...] = ()
    """Comment lines, without the colon."""
    retry: int | None = None
    """The `retry` field in milliseconds, if it consists of digits."""
    is_valid_utf8: bool = True
    """False if a byte of the block is not UTF-8 (it is decoded as U+FFFD)."""
    blank_lines_before: int = 0
    """Blank lines before the block, beside the one that ends the previous block."""

    @property
    def type(self) -> str:
        """The event's type as a browser reports it."""
        return self.event or "message"


def encode(data: str | bytes, *, event: str = "", event_id: str = "", separator: str = ": ") -> bytes:
    """Write one frame: the given `id` and `event`, a `data` line for each line of `data`, and a blank line.

    Lines of `data` may end in CR, LF or CRLF.
    """
    gap = separator.encode()
    lines = []
    if event_id:
        lines.append(_format_field(b"id", gap, _remove_line_breaks(event_id)))
    if event:
        lines.append(_format_field(b"event", gap, _remove_line_breaks(event)))
    text = data.encode() if isinstance(data, str) else data
    text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    lines.extend(_format_field(b"data", gap, line) for line in text.split(b"\n"))
    return b"\n".join(lines) + b"\n\n"


def _format_field(name: bytes, separator: bytes, value: bytes) -> bytes:
    # A decoder drops one space after the colon, so a value that begins with a space needs another one.
    return name + (b": " if value.startswith(b" ") else separator) + value


def encode_comment(text: str = "") -> bytes:
    """Write a comment block, the usual keep-alive."""
    return b":" + _remove_line_breaks(text) + b"\n\n"


def _remove_line_breaks(text: str) -> bytes:
    return text.replace("\r", "").replace("\n", "").replace("\0", "").encode()


class Decoder:
    """Decodes bytes, in any chunking, to frames."""

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._limit = max_event_bytes
        self._buffer = bytearray()
        self._searched = 0
        self._at_start = True
        self._after_cr = False
        self.last_event_id = ""
        """The id in force; set it after blocks that were decoded elsewhere."""
        self._block_size = 0
        self.extra_blank_lines = 0
        """Blank lines since the last block, beside the one that ends it."""
        self._begin_block()

    @property
    def has_partial_event(self) -> bool:
        """Whether bytes follow the last blank line; at the end of a stream, an event was cut off."""
        return bool(self._buffer) or self._in_block

    @property
    def is_between_blocks(self) -> bool:
        """Whether the last byte was the line feed that ended a block, so that a decoder could start anew."""
        return not (
            self._buffer or self._in_block or self.extra_blank_lines or self._after_cr or self._at_start
        )

    def feed(self, chunk: bytes) -> list[Frame]:
        """Return the frames that `chunk` completes. Raises EventTooLarge, which has those before it."""
        self._buffer += chunk
        if self._at_start and not self._skip_bom():
            return []
        frames: list[Frame] = []
        start = 0
        buffer = self._buffer
        # Each byte is searched once: earlier chunks hold no line end, and the next of each kind is remembered.
        line_feed, carriage_return = (buffer.find(each, self._searched) for each in (b"\n", b"\r"))
        while line_feed >= 0 or carriage_return >= 0:
            if carriage_return < 0 or 0 <= line_feed < carriage_return:
                end = line_feed
                line_feed = buffer.find(b"\n", end + 1)
            else:
                end = carriage_return
                carriage_return = buffer.find(b"\r", end + 1)
            line = bytes(buffer[start:end])
            # CR and LF of one line end may come in two chunks; an LF right after a CR does not end a line.
            if not (self._after_cr and not line and buffer[end] == 0x0A):
                self._process_line(line, frames)
                if self._block_size > self._limit:
                    raise EventTooLarge(self._limit, frames)
            self._after_cr = buffer[end] == 0x0D
            start = end + 1
        if start < len(buffer):
            self._after_cr = False
        del buffer[:start]
        self._searched = len(buffer)
        if self._block_size + len(buffer) > self._limit:
            raise EventTooLarge(self._limit, frames)
        return frames

    def _skip_bom(self) -> bool:
        head = bytes(self._buffer[:3])
        if len(head) < 3 and _BOM.startswith(head):
            return False
        if head == _BOM:
            del self._buffer[:3]
            self._searched = 0
        self._at_start = False
        return True

    def _begin_block(self) -> None:
        self._in_block = False
        self._event = ""
        self._data: list[str] = []
        self._fields: list[str] = []
        self._comments: list[str] = []
        self._retry: int | None = None
        self._utf8 = True
        self._block_size = 0

    def _process_line(self, line: bytes, frames: list[Frame]) -> None:
        if not line:
            if self._in_block:
                frames.append(self._build_frame())
                self.extra_blank_lines = 0
            else:
                self.extra_blank_lines += 1
            self._begin_block()
            return
        self._in_block = True
        self._block_size += len(line)
        try:
            text = line.decode()
        except UnicodeDecodeError:
            text = line.decode(errors="replace")
            self._utf8 = False
        name, colon, value = text.partition(":")
        self._process_field(name, value.removeprefix(" ") if name else value, bool(colon))

    def _process_field(self, name: str, value: str, has_colon: bool) -> None:
        if not name and has_colon:
            self._comments.append(value)
            return
        self._fields.append(name)
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._event = value
        elif name == "id" and "\0" not in value:
            self.last_event_id = value
        elif name == "retry" and value.isascii() and value.isdigit():
            self._retry = int(value)

    def _build_frame(self) -> Frame:
        return Frame(
            event=self._event,
            data="\n".join(self._data) if self._data else None,
            last_event_id=self.last_event_id,
            fields=tuple(self._fields),
            comments=tuple(self._comments),
            retry=self._retry,
            is_valid_utf8=self._utf8,
            blank_lines_before=self.extra_blank_lines,
        )


def decode_frames(body: bytes) -> tuple[Frame, ...]:
    """Decode a whole stream; empty if an event is too large."""
    try:
        return tuple(Decoder().feed(body))
    except EventTooLarge:
        return ()


def split_blocks(body: bytes) -> tuple[bytes, ...]:
    """The blocks of a whole stream as they were written; together they are the stream."""
    return tuple(re.findall(_BLOCK, body))
