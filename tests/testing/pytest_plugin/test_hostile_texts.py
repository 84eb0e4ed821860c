"""Texts of clients and endpoints control neither the terminal nor the log of GitHub's runner."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.testing.pytest_plugin.conftest import RunPytest

HOSTILE = "\x1b[2J\x9b31m\n::error::forged\n  ::warning::forged\n##[error]forged"

HOSTILE_TESTS = f"""
HOSTILE = {HOSTILE!r}

def test_hostile_model(ask):
    ask(model=HOSTILE)

def test_hostile_parameter(ask, responses_server):
    responses_server.reply(HOSTILE)
    ask(**{{HOSTILE: 1}})
    assert False

def test_hostile_stub(responses_server):
    responses_server.when(contains=HOSTILE).reply("x")

def test_hostile_prompt(ask, responses_server):
    responses_server.when(contains="other").reply("x")
    ask(HOSTILE)
"""


def test_failures_and_summaries_are_escaped(run: RunPytest) -> None:
    result = run(HOSTILE_TESTS, "--tb=native", subprocess=True)
    shown = [*result.outlines, *result.errlines]
    start = next(at for at, line in enumerate(shown) if "FAILURES" in line)
    assert not {"\x1b", "\x9b"} & set("\n".join(shown[start:]))
    # The source of the test, which pytest shows, has HOSTILE only as an escape sequence.
    assert not [line for line in shown if line.lstrip().startswith("::")]
    assert not [line for line in shown if "##[error]" in line and "HOSTILE = " not in line]


MANY_FINDINGS_TEST = """
def test_many(ask):
    for at in range(150):
        ask(**{f"parameter_{at}": 1})
    ask(temperature=9)
"""


def test_the_report_keeps_an_error_after_many_infos(run: RunPytest, pytester: pytest.Pytester) -> None:
    run(MANY_FINDINGS_TEST, "--responses-report=report.json")
    (test,) = json.loads((Path(pytester.path) / "report.json").read_text())["tests"]
    findings = test["findings"]
    assert "REQ-001" in [each["rule"] for each in findings]
    assert len(findings) < 150
    assert findings[-1]["message"] == "and 50 more findings of this rule"
