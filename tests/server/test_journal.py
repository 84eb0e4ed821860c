"""The journal's bounds."""

from __future__ import annotations

import pytest

from mockserver.server.journal import About, Entry, Journal, Sent


def entry(number: int, size: int = 10) -> Entry:
    return Entry(
        0.0, Sent("POST", f"/{number}", (), b"", ()), b"x" * size, 200, (), False, About(str(number))
    )


def test_it_keeps_the_latest_thousand() -> None:
    journal = Journal()
    for number in range(1005):
        journal.add(entry(number))
    assert len(journal) == 1000
    assert (journal[0].path, journal.last.path) == ("/5", "/1004")


def test_it_keeps_64_mebibytes_in_all() -> None:
    journal = Journal()
    for number in range(10):
        journal.add(entry(number, size=10 << 20))
    assert [each.path for each in journal] == ["/4", "/5", "/6", "/7", "/8", "/9"]
    journal.add(entry(11, size=65 << 20))
    assert journal.last.path == "/9"


def test_cleared_it_is_empty() -> None:
    journal = Journal()
    journal.add(entry(1))
    journal.clear()
    assert len(journal) == 0
    with pytest.raises(IndexError):
        _ = journal.last


def test_it_tells_of_every_entry_that_leaves() -> None:
    left: list[str] = []
    journal = Journal()
    journal.leaving = lambda entry: left.append(entry.path)
    for number in range(1002):
        journal.add(entry(number))
    assert left == ["/0", "/1"]
    journal.add(entry(2000, size=65 << 20))
    assert left[2:] == ["/2000"]
    journal.clear()
    assert (len(journal), len(left), left[-1]) == (0, 1003, "/1001")
