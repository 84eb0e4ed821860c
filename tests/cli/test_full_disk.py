"""Commands whose output cannot be written say so in one line, leave nothing half written, and fail."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from mockserver.profiles import load_profile
from tests.programs import run_program

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")

#: Runs a command in a process whose files may have at most 10 bytes, as on a full disk.
FULL_DISK = """
import resource, sys
from mockserver.cli import main

resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
sys.argv[0] = "mockserver"
main()
"""

REQUEST = (
    f'curl https://example.com/v1/responses -d \'{{"model":"{load_profile().models[0]}","input":"Hi"}}\''
)


def run_on_full_disk(folder: Path, *arguments: str) -> tuple[int, list[str]]:
    """Run a command: (exit status, lines of standard error)."""
    done = run_program(
        [sys.executable, "-c", FULL_DISK, *arguments],
        folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    return done.returncode, done.stderr.splitlines()


@pytest.mark.parametrize(
    "command",
    [
        ("serve",),
        ("record", "--upstream", "http://127.0.0.1:1/v1", "--out", "out"),
        ("serve", "--admin"),
    ],
    ids=["serve", "record", "admin"],
)
def test_url_file_that_cannot_be_written_ends_a_server(command: tuple[str, ...], tmp_path: Path) -> None:
    status, errors = run_on_full_disk(tmp_path, *command, "--port", "0", "--url-file", "url")
    assert status == 2
    assert any(line.startswith("mockserver: cannot write url") for line in errors), errors
    assert not [line for line in errors if "Traceback" in line]
    assert not [*tmp_path.glob("url*")]


def test_report_that_cannot_be_written_leaves_no_file(tmp_path: Path) -> None:
    (tmp_path / "request.json").write_text("{}")
    status, errors = run_on_full_disk(tmp_path, "check", "request.json", "--report", "json=report.json")
    assert status == 2, errors
    assert errors[-1].startswith("mockserver: cannot write report.json: "), errors
    assert [each.name for each in tmp_path.iterdir()] == ["request.json"]


def test_draft_that_cannot_be_written_leaves_no_file(tmp_path: Path) -> None:
    (tmp_path / "request.txt").write_text(REQUEST)
    folder = tmp_path / "exchanges"
    folder.mkdir()
    status, errors = run_on_full_disk(tmp_path, "exchanges", "new", "request.txt", "--out", "exchanges")
    assert (status, errors[-1]) == (1, "mockserver: cannot write exchanges/new.json: File too large")
    assert [*folder.iterdir()] == []


def test_failing_case_is_shown_although_it_cannot_be_saved(tmp_path: Path) -> None:
    status, errors = run_on_full_disk(tmp_path, "fuzz", "--examples", "1", "--", sys.executable, "-c", "1/0")
    assert status == 1
    assert any(line.endswith(": File too large") for line in errors), errors
    assert not [line for line in errors if "Traceback" in line]
    assert [*(tmp_path / ".mockserver/cases").iterdir()] == []
