"""Pieces of Markdown for the generated pages."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator, Sequence

__all__ = ["cell", "code_cell", "docstring_lines", "table_lines"]


def cell(text: str) -> str:
    """The text in one cell of a table; its code stays code."""
    parts = re.split(r"(`[^`]*`)", " ".join(text.split()))
    return "".join(part if part.startswith("`") else _escape(part) for part in parts).replace("|", "\\|")


def _escape(text: str) -> str:
    return re.sub(r"([*_<>\[\]])", r"\\\1", text)


def code_cell(text: str) -> str:
    """The text as code in one cell of a table; an empty cell if there is none."""
    return f"`{text}`".replace("|", "\\|") if text else ""


def table_lines(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """The lines of a table; the cells are Markdown."""
    yield f"| {' | '.join(head)} |"
    yield "|---" * len(head) + "|"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def docstring_lines(text: str) -> Iterator[str]:
    """A docstring as Markdown: its examples and verbatim paragraphs as blocks of code."""
    for paragraph in re.split(r"\n\s*\n", inspect.cleandoc(text)):
        if paragraph.startswith(">>>"):
            yield from ("```pycon", paragraph, "```")
        elif paragraph.startswith("\b"):
            yield from ("```text", inspect.cleandoc(paragraph.lstrip("\b")), "```")
        else:
            yield re.sub(r"^- ", r"\\- ", paragraph)
        yield ""
