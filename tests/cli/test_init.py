"""`mockserver init`: the files pass as they are, and nothing is overwritten."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.cli.conftest import RunCli
from tests.programs import run_program
from tests.pytest_runs import run_pytest_process

FILES = (
    "tests/responses/conftest.py",
    "tests/responses/test_first_answer.py",
    ".github/workflows/responses.yml",
)


@pytest.fixture(autouse=True)
def repository(tmp_path: Path) -> None:
    """Make the project the root of a repository."""
    (tmp_path / ".git").mkdir()


def test_it_says_what_it_writes_and_keeps_what_exists(run_cli: RunCli, tmp_path: Path) -> None:
    status, output, _ = run_cli("init")
    assert status == 0
    assert [line for line in output.splitlines() if line.startswith("wrote ")] == [
        f"wrote {each}" for each in FILES
    ]
    (tmp_path / FILES[1]).write_text("# mine\n")
    (tmp_path / FILES[2]).unlink()
    status, output, _ = run_cli("init", ".")
    assert status == 0
    assert output.splitlines()[:3] == [
        f"exists, left as it is: {FILES[0]}",
        f"exists, left as it is: {FILES[1]}",
        f"wrote {FILES[2]}",
    ]
    assert (tmp_path / FILES[1]).read_text() == "# mine\n"


def test_the_workflow_installs_what_the_project_says(run_cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "desk"\nversion = "1"\n')
    (tmp_path / "requirements.txt").write_text("openai\n")
    run_cli("init")
    workflow = (tmp_path / FILES[2]).read_text()
    assert "pip install 'responses-mockserver[pytest]' -r requirements.txt -e .\n" in workflow
    assert "python -m pytest tests/responses\n" in workflow


@pytest.mark.slow
def test_parts_of_a_repository_have_names_of_their_own(
    run_cli: RunCli, tmp_path: Path, pytester: pytest.Pytester
) -> None:
    for folder in ("services/chat", "tools/chat"):
        (tmp_path / folder).mkdir(parents=True)
        assert run_cli("init", str(tmp_path / folder))[0] == 0
    workflow = (tmp_path / ".github/workflows/responses-services-chat.yml").read_text()
    assert 'working-directory: "services/chat"\n' in workflow
    assert (tmp_path / ".github/workflows/responses-tools-chat.yml").exists()
    result = run_pytest_process(pytester, str(tmp_path))
    result.assert_outcomes(passed=4)


@pytest.mark.slow
def test_folders_without_a_repository_have_names_of_their_own(
    run_cli: RunCli, tmp_path: Path, pytester: pytest.Pytester
) -> None:
    (tmp_path / ".git").rmdir()
    for folder in ("chat", "search"):
        (tmp_path / folder).mkdir()
        assert run_cli("init", str(tmp_path / folder))[0] == 0
    result = run_pytest_process(pytester, str(tmp_path))
    result.assert_outcomes(passed=4)


def test_a_folder_that_cannot_be_written_ends_it(run_cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "tests").write_text("a file")
    status, _, errors = run_cli("init")
    assert status == 2
    assert "cannot write tests/responses/conftest.py: " in errors


@pytest.mark.slow
def test_the_written_tests_pass(run_cli: RunCli, tmp_path: Path, pytester: pytest.Pytester) -> None:
    run_cli("init", str(pytester.path))
    result = run_pytest_process(pytester, "tests/responses")
    result.assert_outcomes(passed=2)


@pytest.mark.slow
def test_the_workflow_is_valid(run_cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "a part").mkdir()
    run_cli("init")
    run_cli("init", "a part")
    command = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        "vendor.github-workflows",
        FILES[2],
        ".github/workflows/responses-a-part.yml",
    ]
    done = run_program(command, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
