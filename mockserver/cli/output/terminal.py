"""What a person at a terminal sees: colours of a report, and how far a command is. A file or a pipe gets neither."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TextIO, TypeVar

__all__ = ["colour_report", "with_progress", "with_progress_in_bytes"]

_Item = TypeVar("_Item")

#: Seconds after which a command shows how far it is, and then between two changes.
_FIRST_SHOWN_AFTER, _INTERVAL = 1.0, 0.1
_ERASED_LINE = "\r\x1b[2K"

_RED, _GREEN, _YELLOW, _BLUE = 31, 32, 33, 34
_COLOURS = {
    "error": _RED, "invalid": _RED, "fail": _RED, "FAIL": _RED, "✘": _RED, "PROBLEM": _RED,
    "valid": _GREEN, "pass": _GREEN, "✔": _GREEN,
    "warning": _YELLOW, "drift": _YELLOW, "DRIFT": _YELLOW, "≠": _YELLOW, "incomplete": _YELLOW,
    "inconclusive": _YELLOW, "?": _YELLOW,
    "info": _BLUE,
}  # fmt: skip

#: The word of a line that says how it went: a verdict, the severity of a finding, or a problem.
_VERDICT = re.compile(
    r"^(?:(?P<finding>  )(?:error|warning|info)(?= \S+ )"
    r"|(?P<subject>\S.*?: |)(?:valid|invalid)(?=, \d| \()"
    r"|(?P<probe>)[✔✘≠?](?= )"
    r"|(?P<drift>)(?:FAIL|DRIFT)(?= [A-Z]{3}-\d)"
    r"|(?P<run>)(?:pass|fail|drift|incomplete|inconclusive)(?=: \d+ of \d+ applicable)"
    r"|(?P<doctor>\w+ +)PROBLEM(?=: ))",
    re.MULTILINE,
)


def colour_report(text: str, stream: TextIO) -> str:
    """Return a text report with coloured verdicts if `stream` is a terminal and NO_COLOR is not set."""
    return _VERDICT.sub(_colour, text) if _shows_colours(stream) else text


def _shows_colours(stream: TextIO) -> bool:
    """Whether to use colours, by https://no-color.org; an old console of Windows would show the codes."""
    is_capable = os.environ.get("TERM") != "dumb" and (os.name != "nt" or "WT_SESSION" in os.environ)
    return is_capable and not os.environ.get("NO_COLOR") and stream.isatty()


def _colour(match: re.Match[str]) -> str:
    before = match[match.lastgroup or 0]
    word = match[0].removeprefix(before)
    return f"{before}\x1b[{_COLOURS[word]}m{word}\x1b[0m"


def with_progress(items: Collection[_Item], verb: str) -> Iterator[_Item]:
    """Yield the items; after a second, show on a terminal how many have come."""
    if len(items) < 2:
        yield from items
        return
    with _progress_line() as show:
        for number, item in enumerate(items, start=1):
            show(f"{verb} {number:,} of {len(items):,}")
            yield item


def with_progress_in_bytes(pieces: Iterable[bytes], verb: str, start: int) -> Iterator[bytes]:
    """Yield the pieces of a file after `start` bytes; after a second, show on a terminal how much has come."""
    with _progress_line() as show:
        for piece in pieces:
            start += len(piece)
            show(f"{verb}: {start >> 20:,} MiB")
            yield piece


@contextmanager
def _progress_line() -> Iterator[Callable[[str], None]]:
    """A function that shows a text on a terminal, not at once and not too often; at the end the text goes away."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    next_at, is_shown = monotonic() + _FIRST_SHOWN_AFTER, False

    def show(text: str) -> None:
        nonlocal next_at, is_shown
        if monotonic() >= next_at:
            next_at, is_shown = monotonic() + _INTERVAL, True
            write(_ERASED_LINE + text)

    def write(text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()

    try:
        yield show
    finally:
        if is_shown:
            write(_ERASED_LINE)
