"""How findings read."""

from __future__ import annotations

import pytest

from mockserver.contract.findings import Finding, Severity, errors, truncate_value
from mockserver.contract.rules import make_finding


def test_a_finding_reads_as_one_line() -> None:
    found = make_finding(
        "SEQ-003", "/sequence_number", "the number has been before", event=5, expected=5, got=4
    )
    line = "error SEQ-003 event 5 /sequence_number: the number has been before (expected 5, got 4)"
    assert str(found) == line
    assert str(make_finding("SEQ-006", "", "no end")) == "error SEQ-006: no end"


def test_only_errors_break_the_contract() -> None:
    found = [
        make_finding("SEQ-008", "", "x"),
        make_finding("SEQ-006", "", "x"),
        make_finding("SCH-003", "", "x"),
    ]
    assert errors(found) == [found[1]]
    assert [each.severity for each in found] == [Severity.WARNING, Severity.ERROR, Severity.INFO]


def test_a_finding_is_immutable() -> None:
    with pytest.raises(AttributeError):
        Finding("SEQ-006", Severity.ERROR, "", None, "x").rule = "SEQ-007"  # type: ignore[misc]


def test_long_values_are_truncated() -> None:
    assert truncate_value([1, 2]) == [1, 2]
    assert len(truncate_value("x" * 500)) < 130
    assert truncate_value("\ud800") == "\ud800"
