"""The HTML report of a run: the exchanges of all tests."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.testing.pytest_plugin.conftest import RunPytest

PAGE_TESTS = """
def test_good(ask, responses_server):
    responses_server.reply("Hi <there>!").always()
    ask("sk-canary-0001", stream=False)
    ask("two")

def test_broken(ask):
    ask(temperature=9)

@pytest.mark.responses(allow=["REQ-001"])
def test_allowed(ask):
    ask(temperature=9)

@pytest.mark.responses(allow=["refused"])
def test_refused(ask):
    ask(key="not-the-key-2")

def test_many(ask):
    for _ in range(70):
        ask()
    ask(temperature=9)

def test_silent():
    pass
"""


def read_page(file: Path) -> str:
    """The page of a run, without times."""
    return re.sub(r"\d{4}-\d\d-\d\d[T ][\d:+]+", "", file.read_text(encoding="utf-8"))


def test_the_page_shows_the_exchanges_of_the_tests(run: RunPytest, pytester: pytest.Pytester) -> None:
    run(PAGE_TESTS, "--responses-html=out/page.html", "--responses-report=report.json")
    page = read_page(pytester.path / "out" / "page.html")
    assert page.count('<details class="exchange"') == 2 + 1 + 1 + 1 + 51
    assert "2 failed, 3 passed" in page
    assert "<dt>left out</dt><dd>20 exchanges</dd>" in page
    assert page.count('<code class="rule">REQ-001</code>') == 3
    assert "<dt>allowed by the test</dt><dd>REQ-001</dd>" in page
    assert page.count("<dt>request body</dt><dd>not checked</dd>") == 1  # of test_refused
    assert "Hi &lt;there&gt;!" in page
    assert not re.search("sk-canary-0001|not-the-key-2", page)
    assert "test_silent" not in page
    assert "responses_shown" not in (pytester.path / "report.json").read_text()


@pytest.mark.slow
def test_workers_write_one_page(run: RunPytest, pytester: pytest.Pytester) -> None:
    run(PAGE_TESTS, "--responses-html=alone.html")
    run(PAGE_TESTS, "--responses-html=together.html", workers=2)
    assert read_page(pytester.path / "together.html") == read_page(pytester.path / "alone.html")
