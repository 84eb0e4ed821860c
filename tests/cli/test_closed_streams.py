"""Commands whose standard output or error is closed or full: no traceback, and the documented exit status."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.marks import slow_except
from tests.programs import run_program

pytestmark = pytest.mark.skipif(not Path("/dev/full").exists(), reason="the shell's >&- and /dev/full")

#: Commands that print, with their exit status if what they print is dropped.
COMMANDS = {
    "check file": 1,
    "check --format json file": 1,
    "diff qwen-2026-01 qwen-2026-09": 1,
    "faults": 0,
    "rules": 0,
    "rules SEQ-001 --example": 0,
    "schema --bundle": 0,
    "exchanges new file": 2,
}


def run(command: str, redirection: str, folder: Path) -> tuple[int, str]:
    """Run a command in a shell: (exit status, what it prints to the stream that is not redirected)."""
    (folder / "file").write_text("{}")
    done = run_program(
        ["/bin/sh", "-c", f'"$PYTHON" -m mockserver {command} {redirection}'],
        folder,
        # A buffer of Python can hide what cannot be written until the exit.
        env={**os.environ, "PYTHON": sys.executable, "PYTHONUNBUFFERED": ""},
    )
    return done.returncode, done.stderr + done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_closed_output_is_dropped(command: str, tmp_path: Path) -> None:
    status, printed = run(command, ">&-", tmp_path)
    assert (status, "Traceback" in printed) == (COMMANDS[command], False), printed


@pytest.mark.parametrize("command", slow_except({"check -"}, ["check -", "exchanges new -"]))
def test_closed_input_is_empty(command: str, tmp_path: Path) -> None:
    status, printed = run(command, "<&-", tmp_path)
    assert (status in (1, 2), "Traceback" in printed) == (True, False), printed


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are listed in /proc")
def test_no_other_file_gets_the_number_of_a_closed_stream(tmp_path: Path) -> None:
    """`record` writes its log to number 2."""
    program = (
        "import os\n"
        "names = [os.readlink(f'/proc/self/fd/{number}') for number in range(3)]\n"
        "open('out', 'w').write(' '.join(names))\n"
    )
    (tmp_path / "program.py").write_text(program)
    status, _ = run('run -- "$PYTHON" program.py', "<&- >&- 2>&-", tmp_path)
    assert status == 1  # it sends no request
    assert (tmp_path / "out").read_text().split() == ["/dev/null"] * 3


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full"])
@pytest.mark.parametrize("command", ["rules SEQ-001 --example", "exchanges new file"])
def test_error_that_cannot_be_printed_keeps_the_status(
    command: str, redirection: str, tmp_path: Path
) -> None:
    status, printed = run(command, redirection, tmp_path)
    assert (status, "Traceback" in printed) == (COMMANDS[command], False), printed
