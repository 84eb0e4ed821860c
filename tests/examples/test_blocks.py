"""The Python blocks of the README are run as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks() -> list[tuple[str, int, str]]:
    """(file, line, code) of each block."""
    found: list[tuple[str, int, str]] = []
    for file in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        text = file.read_text(encoding="utf-8")
        matches = BLOCK.finditer(text)
        found += [(file.name, text.count("\n", 0, match.start()) + 2, match[1]) for match in matches]
    return found


SCRIPTS = [block for block in blocks() if "def test_" not in block[2]]
TESTS = [block for block in blocks() if "def test_" in block[2]]


@pytest.mark.parametrize(("file", "line", "code"), SCRIPTS, ids=[f"{f}:{n}" for f, n, _ in SCRIPTS])
def test_a_script_runs(file: str, line: int, code: str, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile("\n" * (line - 1) + code, file, "exec"), {"__name__": "__main__"})  # noqa: S102
    assert capsys.readouterr().out


@pytest.mark.parametrize(("file", "line", "code"), TESTS, ids=[f"{f}:{n}" for f, n, _ in TESTS])
def test_a_test_passes(file: str, line: int, code: str, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(code)
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=code.count("def test_"))


def test_the_readme_shows_what_the_stream_really_is(capsys: pytest.CaptureFixture[str]) -> None:
    code = SCRIPTS[0][2]
    assert len([line for line in code.splitlines() if line]) == 8
    exec(compile(code, "README.md", "exec"), {"__name__": "__main__"})  # noqa: S102
    assert capsys.readouterr().out.count("event:response.") == 10
