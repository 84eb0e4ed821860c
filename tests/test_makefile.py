"""What `make` says and does if the environment or the interpreter is unusable."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.conftest import ROOT, wait_until
from tests.marks import slow_except
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


def add_definitions(folder: Path) -> None:
    """Add the files that say what the environment needs."""
    for name in (
        "pyproject.toml",
        "requirements/runtime.txt",
        "requirements/build.txt",
        "mockserver/__init__.py",
    ):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()


def test_an_environment_without_its_python_is_created_again(clone: Path) -> None:
    add_definitions(clone)
    done = run_make(clone, "--dry-run", "serve")
    assert "-m venv --clear .venv" in done.stdout, done.stderr
    assert "installing what the server needs into .venv" in done.stdout


#: An interpreter that records what it is to do, and creates an environment when it is allowed to.
FAKE_PYTHON = """\
#!/bin/sh
case "$1 $2" in
    "-c "*runs*) echo runs ;;
    "-c "*) echo True ;;
    "-m venv")
        echo created >> log
        mkdir -p .venv/bin
        cp "$0" .venv/bin/python
        until test -e go; do sleep 0.1; done ;;
    "-m mockserver") echo serving ;;
esac
"""


@pytest.mark.parametrize("variable", slow_except({"FLOCK="}, ["FLOCK=", "SET="]))
def test_two_makes_set_up_the_environment_once(variable: str, clone: Path) -> None:
    if variable != "FLOCK=" and shutil.which("flock") is None:
        pytest.skip("flock is not installed")
    shutil.rmtree(clone / ".venv")
    add_definitions(clone)
    (clone / "python").write_text(FAKE_PYTHON)
    (clone / "python").chmod(0o755)

    # A user's make, not one that the make of these tests calls: that would name the folder first.
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))
    }

    def start() -> subprocess.Popen[str]:
        command = ["make", "serve", "PYTHON=./python", variable]
        return subprocess.Popen(
            command, cwd=clone, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    with start() as first:
        wait_until((clone / "log").exists, "the first environment")
        with start() as second:
            assert second.stdout is not None
            line = second.stdout.readline()
            (clone / "go").touch()  # before a failure too: both wait for it
            assert line.startswith("waiting for another make that sets up .venv")
            assert second.communicate(timeout=60)[0] == "serving\n"
        assert first.communicate(timeout=60)[0].endswith("\nserving\n")
    assert (clone / "log").read_text() == "created\n"


def test_an_unusable_interpreter_is_refused_with_the_command_to_run_instead(clone: Path) -> None:
    done = run_make(clone, ".venv/.created", "PYTHON=false")
    assert done.returncode == 2
    assert '"false" does not qualify; choose another one, such as: make ' in done.stderr
