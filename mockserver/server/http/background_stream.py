"""A text stream that never blocks its writer: a thread writes, and what it cannot write in time is dropped.

A parent that starts the server with a pipe and does not read it would otherwise stop the event loop.
"""

from __future__ import annotations

import contextlib
import io
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TextIO, cast

__all__ = ["BackgroundStream", "background_output", "require_written", "write_or_give_up"]

#: Characters that wait to be written; more are dropped.
MAX_PENDING_CHARACTERS = 1 << 20

#: Bytes that one write puts into a pipe without those of other processes in between: at least this on Linux.
_UNMIXED_BYTES = 4096

#: Seconds between two attempts on a stream that does not block.
_RETRY_SECONDS = 0.05


class BackgroundStream:
    """Writes to another stream in a thread of its own, which starts with the first text."""

    def __init__(self, stream: TextIO, describe_loss: Callable[[int], str]) -> None:
        """`describe_loss` returns the text to write in place of so many lines that were dropped."""
        self._stream = stream
        self._describe_loss = describe_loss
        # Below the buffers of Python: their locks would be held by a write that does not return.
        buffer: Any = getattr(stream, "buffer", None)
        self._raw: Any = getattr(buffer, "raw", buffer)
        self._changed = threading.Condition()
        self._pending: list[str] = []
        self._pending_characters = 0
        self._dropped_lines = 0
        self._closing = False
        self._error: OSError | None = None
        self._thread: threading.Thread | None = None

    def write(self, text: str) -> None:
        """Hand a text over to the thread, or drop it if too much is waiting."""
        with self._changed:
            if self._pending_characters + len(text) > MAX_PENDING_CHARACTERS:
                self._dropped_lines += text.count("\n")
                return
            self._pending.append(text)
            self._pending_characters += len(text)
            self._changed.notify()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="mockserver-log", daemon=True)
            self._thread.start()

    def flush(self) -> None:
        """Do nothing: the thread writes as soon as it can."""

    def close(self, seconds: float = 1.0) -> None:
        """Wait until everything is written, but no longer than that; the other stream stays open."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(seconds)

    def wait_until_written(self, seconds: float = 1.0) -> None:
        """Wait until everything is written, but no longer than that. Raises OSError if the stream fails."""
        with self._changed:
            self._changed.wait_for(lambda: self._error or not self._pending_characters, seconds)
            if self._error is not None:
                raise self._error

    def _run(self) -> None:
        try:
            while text := self._next_text():
                self._write_out(text)
                with self._changed:
                    self._pending_characters -= len(text)
                    self._changed.notify_all()
        except OSError as error:  # log no more and go on
            self._error = error
        except ValueError:  # the stream is closed
            pass
        with self._changed:
            self._pending_characters = MAX_PENDING_CHARACTERS + 1  # drops whatever comes
            self._changed.notify_all()

    def _next_text(self) -> str:
        """Wait for the next text; empty if the stream is closed and everything is written."""
        with self._changed:
            while not self._pending and not self._dropped_lines and not self._closing:
                self._changed.wait()
            text = "".join(self._pending)
            self._pending.clear()
            if not text and self._dropped_lines:
                text = self._describe_loss(self._dropped_lines)
                self._dropped_lines = 0
                self._pending_characters += len(text)
            return text

    def _write_out(self, text: str) -> None:
        if self._raw is None:
            self._stream.write(text)
            self._stream.flush()
            return
        for data in _cut_at_lines(text.encode(self._stream.encoding or "utf-8", "backslashreplace")):
            left = data
            while left:
                written = self._raw.write(left)
                if written is None:
                    time.sleep(_RETRY_SECONDS)
                else:
                    left = left[written:]


def _cut_at_lines(data: bytes) -> Iterator[memoryview]:
    """Whole lines of up to 4 KiB together: a pipe does not mix them with those of other processes."""
    at, view = 0, memoryview(data)
    while len(data) - at > _UNMIXED_BYTES:
        end = data.rfind(b"\n", at, at + _UNMIXED_BYTES) + 1 or data.find(b"\n", at) + 1 or len(data)
        yield view[at:end]
        at = end
    yield view[at:]


def write_or_give_up(stream: TextIO, text: str) -> None:
    """Write a last text, but wait no longer than a second for a reader."""
    background = BackgroundStream(stream, str)
    background.write(text)
    background.close()


@contextlib.contextmanager
def background_output() -> Iterator[None]:
    """Let nothing that this process prints wait for a reader, not even what libraries log or warn.

    At the end it waits up to a second for each of standard output and standard error.
    """
    outputs = sys.stdout, sys.stderr
    backgrounds = _BackgroundOutput(sys.stdout), _BackgroundOutput(sys.stderr)
    sys.stdout, sys.stderr = cast("tuple[TextIO, TextIO]", backgrounds)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = outputs
        for each in backgrounds:
            each.end()


def require_written(stream: TextIO) -> None:
    """Wait a little until a stream has written everything. Raises OSError if it cannot write."""
    if isinstance(stream, _BackgroundOutput):
        stream.wait_until_written()
    else:
        stream.flush()


class _BackgroundOutput(io.TextIOBase):
    """Standard output or standard error, written by a thread."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._background = BackgroundStream(stream, lambda lines: f"mockserver: {lines} lines are missing\n")

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._stream.encoding

    def fileno(self) -> int:
        return self._stream.fileno()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self._background.write(text)
        return len(text)

    def wait_until_written(self) -> None:
        self._background.wait_until_written()

    def end(self) -> None:
        """Wait a little until everything is written; the other stream stays open."""
        self._background.close()
