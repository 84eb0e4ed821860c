"""Text of strangers in terminals and CI logs: it can neither control a terminal nor forge a line."""

from __future__ import annotations

__all__ = ["escape_unprintable"]


def escape_unprintable(text: str) -> str:
    r"""Put `text` on one line, with an escape for every unprintable character.

    The commands that GitHub's runner reads from a log are escaped, too: `::` at the start of a line, after
    blanks, and `##[` anywhere (actions/runner, ActionCommand, 2026).

    >>> escape_unprintable("a\x1b[2J\n::error::b")
    'a\\x1b[2J\\n::error::b'
    >>> escape_unprintable(" ::error::b")
    ' \\x3a:error::b'
    """
    if not text.isprintable():
        text = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)
    text = text.replace("##[", "#\\x23[")
    start = len(text) - len(text.lstrip())
    return f"{text[:start]}\\x3a{text[start + 1 :]}" if text.startswith("::", start) else text
