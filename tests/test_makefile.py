"""What `make` says and does if the environment or the interpreter is unusable."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.conftest import ROOT
from tests.programs import run_program


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with the Makefile, and an environment whose Python was removed."""
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / ".venv").mkdir()
    for name in (".created", ".serves", ".develops"):
        (tmp_path / ".venv" / name).touch()
    return tmp_path


def run_make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_program(["make", *arguments], folder)


def test_an_environment_without_its_python_is_created_again(clone: Path) -> None:
    for name in (
        "pyproject.toml",
        "requirements/runtime.txt",
        "requirements/build.txt",
        "mockserver/__init__.py",
    ):
        (clone / name).parent.mkdir(exist_ok=True)
        (clone / name).touch()
    done = run_make(clone, "--dry-run", "serve")
    assert "-m venv --clear .venv" in done.stdout, done.stderr
    assert "installing what the server needs into .venv" in done.stdout


def test_an_unusable_interpreter_is_refused_with_the_command_to_run_instead(clone: Path) -> None:
    done = run_make(clone, ".venv/.created", "PYTHON=false")
    assert done.returncode == 2
    assert '"false" does not qualify; choose another one, such as: make ' in done.stderr
