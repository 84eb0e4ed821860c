"""Runs the Python blocks of the README and the docs pages unchanged.

A block that begins with `# name.py` is a file of that name, next to the other files of its page. A block
marked `python fails` has tests that fail with the output of the text block behind it.
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.acceptance.conftest import environment_python
from tests.marks import slow_except
from tests.pytest_runs import run_pytest_process

ROOT = Path(__file__).parent.parent.parent
CODE_BLOCK = re.compile(
    r"^```python( fails)?\n(.*?)^```\n(?:\n```text\n(.*?)^```)?", re.MULTILINE | re.DOTALL
)
FILE_NAME_COMMENT = re.compile(r"# (\w+\.py)\n")


@dataclass(frozen=True)
class Block:
    """One block of code."""

    page: str
    line: int
    code: str
    fails: bool
    expected_output: str
    """The text block behind it."""

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def file(self) -> str | None:
        """Its file name, if it has one."""
        match = FILE_NAME_COMMENT.match(self.code)
        return match[1] if match else None

    @property
    def expected_lines(self) -> list[str]:
        """The lines behind it as patterns, in which `…` stands for any text."""
        return [re.sub("…+", "*", line.replace("[", "[[]")) for line in self.expected_output.splitlines()]

    @property
    def is_test(self) -> bool:
        return "def test_" in self.code


def find_blocks() -> list[Block]:
    blocks: list[Block] = []
    for file in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        page = file.relative_to(ROOT).as_posix().removeprefix("docs/")
        text = file.read_text(encoding="utf-8")
        for match in CODE_BLOCK.finditer(text):
            line = text.count("\n", 0, match.start()) + 2
            blocks.append(Block(page, line, match[2], bool(match[1]), match[3] or ""))
    return blocks


BLOCKS = find_blocks()
SCRIPTS = [block for block in BLOCKS if not block.is_test and block.file is None]
TESTS = [block for block in BLOCKS if block.is_test]
README_BLOCKS = [block for block in BLOCKS if block.page == "README.md"]
MODULES = [block for block in BLOCKS if not block.is_test and block.file is not None]


@pytest.mark.parametrize("block", slow_except(README_BLOCKS, SCRIPTS), ids=str)
def test_a_script_runs(block: Block, capsys: pytest.CaptureFixture[str]) -> None:
    code = "\n" * (block.line - 1) + block.code
    exec(compile(code, block.page, "exec"), {"__name__": "__main__"})  # noqa: S102
    printed = capsys.readouterr().out
    assert printed
    pytest.LineMatcher(printed.splitlines()).fnmatch_lines(block.expected_lines)


@pytest.mark.parametrize("block", MODULES, ids=str)
def test_a_file_is_used_by_a_test(block: Block) -> None:
    module = (block.file or "").removesuffix(".py")
    assert [test for test in TESTS if test.page == block.page and f"from {module} import" in test.code]


@pytest.mark.parametrize("block", slow_except(README_BLOCKS, TESTS), ids=str)
def test_a_test_has_the_documented_outcome(block: Block, pytester: pytest.Pytester) -> None:
    for other in MODULES:
        if other.page == block.page:
            (pytester.path / str(other.file)).write_text(other.code, encoding="utf-8")
    (pytester.path / (block.file or "test_block.py")).write_text(block.code, encoding="utf-8")
    outcomes, lines = run_tests(pytester, openai="openai()" in block.code)
    outcome = "failed" if block.fails else "passed"
    assert set(outcomes) == {outcome}
    assert outcomes[outcome] == block.code.count("def test_") or "parametrize" in block.code
    assert block.expected_lines or not block.fails
    pytest.LineMatcher(lines).fnmatch_lines(block.expected_lines)


def run_tests(pytester: pytest.Pytester, *, openai: bool) -> tuple[dict[str, int], list[str]]:
    """The outcomes and the output of pytest in the folder; with `openai`, in an environment that has it."""
    options = ("-p", "no:cacheprovider", "-W", "error", "-o", "asyncio_default_fixture_loop_scope=function")
    if not openai:
        result = run_pytest_process(pytester, "-p", "asyncio", *options)
        return result.parseoutcomes(), result.outlines
    path = f"{os.environ['PYTHONPATH']}{os.pathsep}{ROOT}"
    done = subprocess.run(
        [
            environment_python("downstream"),
            "-m",
            "pytest",
            "-p",
            "mockserver.testing.pytest_plugin",
            *options,
        ],
        cwd=pytester.path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    lines = done.stdout.splitlines()
    return pytest.RunResult.parse_summary_nouns(lines), lines


def test_the_first_readme_example_prints_a_stream(capsys: pytest.CaptureFixture[str]) -> None:
    code = SCRIPTS[0].code
    assert len([line for line in code.splitlines() if line]) == 8
    exec(compile(code, "README.md", "exec"), {"__name__": "__main__"})  # noqa: S102
    assert capsys.readouterr().out.count("event:response.") == 10
