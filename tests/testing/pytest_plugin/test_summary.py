"""The summary of a run: the lines at its end, and the JSON report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from mockserver import resources
from tests.testing.pytest_plugin.conftest import RunPytest

IGNORING_TESTS = """
def test_one(ask):
    ask(logit_bias={}, seed=1)
    ask(seed=1)

def test_two(ask):
    ask(seed=None, n=2)

@pytest.mark.responses(allow=["REQ-002"])
def test_allowed(ask):
    ask(logit_bias={})
"""


def test_ignored_parameters_are_one_line(run: RunPytest) -> None:
    result = run(IGNORING_TESTS)
    result.assert_outcomes(passed=3)
    lines = [line for line in result.outlines if line.startswith("responses:")]
    assert len(lines) == 1
    assert lines[0].startswith("responses: parameters that the service ignores: ")
    assert lines[0].endswith(": logit_bias (1 request), n (1 request), seed (2 requests)")


def test_ignored_parameters_can_fail_tests(run: RunPytest) -> None:
    result = run(IGNORING_TESTS, "--responses-ignored=error")
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(["Ignored parameter REQ-002 at /logit_bias: *ignores the parameter*"])


def test_ignored_parameters_can_be_turned_off(run: RunPytest) -> None:
    result = run(IGNORING_TESTS, "-oresponses_ignored=off")
    result.assert_outcomes(passed=3)
    result.stdout.no_fnmatch_line("responses:*")


REPORTED_TESTS = """
def test_good(ask, responses_server):
    responses_server.reply("yes")
    ask()

def test_broken(ask):
    ask(model="nope")
    ask(temperature=9, logit_bias={})

@pytest.mark.responses(allow=["REQ-005"])
def test_allowed(ask):
    ask(model="nope")

@pytest.mark.xfail
def test_expected(ask):
    ask(model="nope")

@pytest.mark.xfail
def test_unexpected(ask):
    ask()

def test_unused(responses_server):
    responses_server.reply("unused")

def test_by_itself(ask):
    ask()
    assert 0

def test_other():
    pass
"""


def read_report(file: Path) -> Any:
    """A report, validated against its schema."""
    report = json.loads(file.read_bytes())
    schema = json.loads((resources.data_folder("schemas") / "pytest_report.json").read_bytes())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(report, schema)
    return report


def test_the_report_has_every_test_with_requests(run: RunPytest, pytester: pytest.Pytester) -> None:
    run(REPORTED_TESTS, "--responses-report=out/report.json")
    report = read_report(pytester.path / "out" / "report.json")
    tests = {test["id"].partition("::")[2]: test for test in report["tests"]}
    assert {name: test["outcome"] for name, test in tests.items()} == {
        "test_allowed": "passed",
        "test_broken": "failed",
        "test_by_itself": "failed",
        "test_expected": "xfailed",
        "test_good": "passed",
        "test_unexpected": "xpassed",
        "test_unused": "failed",
    }
    assert (report["complete"], report["requests"]) == (True, 7)
    assert report["rules"] == {"REQ-001": 1, "REQ-002": 1, "REQ-005": 3, "unused": 1}
    assert report["ignored"] == tests["test_broken"]["ignored"] == {"logit_bias": 1}
    first, second, third = tests["test_broken"]["findings"]
    assert (first["request"], first["rule"], first["got"], first["allowed"]) == (1, "REQ-005", "nope", False)
    assert (second["request"], second["rule"], second["pointer"]) == (2, "REQ-001", "/temperature")
    assert (third["request"], third["rule"], third["severity"]) == (2, "REQ-002", "info")
    assert tests["test_allowed"]["findings"][0]["allowed"] is True
    assert tests["test_good"]["profiles"] == ["qwen-2026-01"]


@pytest.mark.slow
def test_workers_write_one_report(run: RunPytest, pytester: pytest.Pytester) -> None:
    run(REPORTED_TESTS, "--responses-report=alone.json")
    run(REPORTED_TESTS, "--responses-report=together.json", workers=4)
    alone, together = (read_report(pytester.path / f"{name}.json") for name in ("alone", "together"))
    assert alone == together


def test_the_ini_file_names_a_path_below_the_root(run: RunPytest, pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nresponses_report = report.json\n")
    run("def test_it():\n    pass\n", "--rootdir", str(pytester.path)).assert_outcomes(passed=1)
    report = read_report(pytester.path / "report.json")
    assert (report["tests"], report["requests"]) == ([], 0)


@pytest.mark.slow
def test_an_interrupted_run_writes_an_incomplete_report(run: RunPytest, pytester: pytest.Pytester) -> None:
    code = "def test_one(ask):\n    ask()\n\ndef test_two(ask):\n    raise KeyboardInterrupt\n"
    result = run(code, "--responses-report=report.json", subprocess=True)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    report = read_report(pytester.path / "report.json")
    assert (report["complete"], report["requests"]) == (False, 1)


def test_an_unwritable_report_is_a_usage_error(run: RunPytest, pytester: pytest.Pytester) -> None:
    (pytester.path / "file").write_text("not a folder")
    result = run("def test_it(ask):\n    ask()\n", "--responses-report=file/report.json", subprocess=True)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*responses_report: cannot write *file/report.json: *"])
    result.stdout.no_fnmatch_line("*1 passed*")
    assert "Traceback" not in result.stderr.str()
