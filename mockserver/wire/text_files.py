"""Text files that people save: UTF-8 with a byte order mark, and the UTF-16 of PowerShell, as UTF-8."""

from __future__ import annotations

import codecs

__all__ = ["is_utf16", "to_utf8"]

_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def is_utf16(data: bytes) -> bool:
    """Whether a file is UTF-16 with a byte order mark, as PowerShell's `>` writes it."""
    return data.startswith(_UTF16_MARKS)


def to_utf8(data: bytes) -> bytes:
    """The file as UTF-8 without a byte order mark; unchanged if it is not valid UTF-16.

    A program that writes UTF-16 writes lines of text, and ends them with CR LF: they become LF.
    """
    if not is_utf16(data):
        return data.removeprefix(codecs.BOM_UTF8)
    try:
        return data.decode("utf-16").replace("\r\n", "\n").encode()
    except UnicodeError:
        return data
