"""The pages that a reader sees, and their fenced blocks."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

__all__ = ["PAGES", "ROOT", "Block", "find_blocks", "page_text"]

ROOT = Path(__file__).parent.parent.parent
_FENCE = re.compile(r"^( *)```(\w*)( fails)?\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_OUTPUT = re.compile(r"\n\n```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def _page_name(file: Path) -> str:
    return file.relative_to(ROOT).as_posix().removeprefix("docs/")


#: Names, as in `tutorial/node.md` and `examples/node/README.md`, and files.
PAGES = {
    _page_name(file): file
    for pattern in (
        "*.md",
        "docs/**/*.md",
        "examples/**/README.md",
        "packages/*/README.md",
        "benchmarks/*.md",
    )
    for file in sorted(ROOT.glob(pattern))
    if "node_modules" not in file.parts
}


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    page: str
    line: int
    language: str
    code: str
    fails: bool
    """Whether it is marked as one that fails."""
    output: str
    """The text block right behind it."""

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def page_text(page: str) -> str:
    """Return the text of a page."""
    return PAGES[page].read_text(encoding="utf-8")


def find_blocks(page: str, text: str | None = None) -> list[Block]:
    """Return the blocks of a page, or of an adapted text of it."""
    text = page_text(page) if text is None else text
    return [
        Block(
            page,
            text.count("\n", 0, match.start()) + 2,
            match[2],
            textwrap.dedent(match[4]),
            fails=match[3] is not None,
            output=_output_behind(text, match.end()),
        )
        for match in _FENCE.finditer(text)
    ]


def _output_behind(text: str, position: int) -> str:
    match = _OUTPUT.match(text, position)
    return "" if match is None else match[1]
