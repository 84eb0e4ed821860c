"""The picture `pictures/check.svg`: what `mockserver check` prints about a broken stream."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from xml.sax.saxutils import escape

__all__ = ["check_picture"]

_RULE = "TXT-001"
_WIDTH, _LINE_HEIGHT, _MARGIN = 880, 20, 18
#: Characters that fit into a line.
_MAX_COLUMNS = 98


def check_picture() -> str:
    """Render the command and its output as a terminal."""
    program = [sys.executable, "-m", "mockserver"]
    example = subprocess.run([*program, "rules", _RULE, "--example"], capture_output=True, check=True)
    checked = subprocess.run([*program, "check", "-"], input=example.stdout, capture_output=True, check=False)
    output = [part for line in checked.stdout.decode().splitlines() for part in _wrap(line)]
    return _terminal([f"$ mockserver rules {_RULE} --example | mockserver check -", *output])


def _wrap(line: str) -> list[str]:
    return textwrap.wrap(line, _MAX_COLUMNS, subsequent_indent="  ") if len(line) > _MAX_COLUMNS else [line]


def _terminal(lines: list[str]) -> str:
    height = 2 * _MARGIN + _LINE_HEIGHT * len(lines)
    texts = [
        f'<text x="{_MARGIN}" y="{_MARGIN + 14 + _LINE_HEIGHT * number}" xml:space="preserve">{escape(line)}</text>'
        for number, line in enumerate(lines)
    ]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" role="img">',
        f'<rect width="{_WIDTH}" height="{height}" rx="8" fill="#1e1e2e"/>',
        '<g font-family="ui-monospace, Menlo, Consolas, monospace" font-size="14" fill="#e6e6f0">',
    )
    return "\n".join([*head, *texts, "</g>", "</svg>"]) + "\n"
