"""The page `migrate.md`: fills its tables from the migration data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from mockserver.contract.chat.migration import load_migration_tables

__all__ = ["migrate_page"]

PAGE = Path(__file__).parent / "migrate.md"

_TABLE_MARKERS = re.compile(r"<!-- table: (\w+) -->\n.*?<!-- end of table -->", re.DOTALL)
_FIRST_COLUMN_TITLES = {
    "request": "member of the request",
    "messages": "member of a message",
    "response": "member of the completion",
    "stream": "in the stream",
    "errors": "in the refusal",
}


def migrate_page() -> str:
    """Render the page with current tables."""
    return _TABLE_MARKERS.sub(
        lambda match: "\n".join(_table_lines(match[1])), PAGE.read_text(encoding="utf-8")
    )


def _table_lines(name: str) -> Iterator[str]:
    yield f"<!-- table: {name} -->"
    yield f"| {_FIRST_COLUMN_TITLES[name]} | Responses | |"
    yield "|---|---|---|"
    for row in load_migration_tables()[name]:
        if row.chat == "history":
            continue  # has a section of its own
        counterpart = "—" if row.responses is None else f"`{row.responses}`"
        # Texts that messages print behind "has no counterpart:" begin with a lower-case letter.
        text = row.words if row.responses else row.words[:1].upper() + row.words[1:]
        yield f"| `{row.chat}` | {counterpart} | {text} ({row.source}) |"
    yield "<!-- end of table -->"
