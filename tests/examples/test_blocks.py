"""Runs the Python blocks of the README and the docs pages unchanged.

A block that begins with `# name.py` is a file of that name, next to the other files of its page. A block
marked `python fails` has tests that fail with the output of the text block behind it.
"""

from __future__ import annotations

import os
import re

import pytest

from tests.acceptance.conftest import environment_python
from tests.examples.pages import PAGES, ROOT, Block, find_blocks
from tests.marks import slow_except
from tests.programs import run_program
from tests.pytest_runs import run_pytest_process

FILE_NAME_COMMENT = re.compile(r"# (\w+\.py)\n")


def file_name(block: Block) -> str | None:
    """The name of the file that the block is, if it has one."""
    match = FILE_NAME_COMMENT.match(block.code)
    return match[1] if match else None


def expected_lines(block: Block) -> list[str]:
    """The lines of the output as patterns, in which `…` stands for any text."""
    return [re.sub("…+", "*", line.replace("[", "[[]")) for line in block.output.splitlines()]


def is_test(block: Block) -> bool:
    return "def test_" in block.code


BLOCKS = [
    block
    for page, file in PAGES.items()
    if file == ROOT / "README.md" or file.is_relative_to(ROOT / "docs")
    for block in find_blocks(page)
    if block.language == "python"
]
SCRIPTS = [block for block in BLOCKS if not is_test(block) and file_name(block) is None]
TESTS = [block for block in BLOCKS if is_test(block)]
README_BLOCKS = [block for block in BLOCKS if block.page == "README.md"]
MODULES = [block for block in BLOCKS if not is_test(block) and file_name(block) is not None]


@pytest.mark.parametrize("block", slow_except(README_BLOCKS, SCRIPTS), ids=str)
def test_a_script_runs(block: Block, capsys: pytest.CaptureFixture[str]) -> None:
    code = "\n" * (block.line - 1) + block.code
    exec(compile(code, block.page, "exec"), {"__name__": "__main__"})  # noqa: S102
    printed = capsys.readouterr().out
    assert printed
    pytest.LineMatcher(printed.splitlines()).fnmatch_lines(expected_lines(block))


@pytest.mark.parametrize("block", MODULES, ids=str)
def test_a_file_is_used_by_a_test(block: Block) -> None:
    module = (file_name(block) or "").removesuffix(".py")
    assert [test for test in TESTS if test.page == block.page and f"from {module} import" in test.code]


@pytest.mark.parametrize("block", slow_except(README_BLOCKS, TESTS), ids=str)
def test_a_test_has_the_documented_outcome(block: Block, pytester: pytest.Pytester) -> None:
    for other in MODULES:
        if other.page == block.page:
            (pytester.path / str(file_name(other))).write_text(other.code, encoding="utf-8")
    (pytester.path / (file_name(block) or "test_block.py")).write_text(block.code, encoding="utf-8")
    outcomes, lines = run_tests(pytester, openai="openai()" in block.code)
    outcome = "failed" if block.fails else "passed"
    assert set(outcomes) == {outcome}
    assert outcomes[outcome] == block.code.count("def test_") or "parametrize" in block.code
    assert expected_lines(block) or not block.fails
    pytest.LineMatcher(lines).fnmatch_lines(expected_lines(block))


def run_tests(pytester: pytest.Pytester, *, openai: bool) -> tuple[dict[str, int], list[str]]:
    """The outcomes and the output of pytest in the folder; with `openai`, in an environment that has it."""
    options = ("-p", "no:cacheprovider", "-W", "error", "-o", "asyncio_default_fixture_loop_scope=function")
    if not openai:
        result = run_pytest_process(pytester, "-p", "asyncio", *options)
        return result.parseoutcomes(), result.outlines
    path = f"{os.environ['PYTHONPATH']}{os.pathsep}{ROOT}"
    done = run_program(
        [
            environment_python("downstream"),
            "-m",
            "pytest",
            "-p",
            "mockserver.testing.pytest_plugin",
            *options,
        ],
        pytester.path,
        env={**os.environ, "PYTHONPATH": path},
    )
    lines = done.stdout.splitlines()
    return pytest.RunResult.parse_summary_nouns(lines), lines


def test_the_first_readme_example_prints_a_stream(capsys: pytest.CaptureFixture[str]) -> None:
    code = SCRIPTS[0].code
    assert len([line for line in code.splitlines() if line]) == 8
    exec(compile(code, "README.md", "exec"), {"__name__": "__main__"})  # noqa: S102
    assert capsys.readouterr().out.count("event:response.") == 10
