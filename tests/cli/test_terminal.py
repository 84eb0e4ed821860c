"""Colours and progress: on a terminal only, and no colours with NO_COLOR."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mockserver.cli.output import terminal
from tests.cli.conftest import RunCli

INVALID = b'{"model": "qwen3-max-2026-01-23", "input": 7}'
VALID = b'{"model": "qwen3-max-2026-01-23", "input": "Hello!"}'

RED, GREEN = "\x1b[31m{}\x1b[0m", "\x1b[32m{}\x1b[0m"


def shown_on_terminal(folder: Path, *arguments: str, **variables: str) -> str:
    """What a terminal gets on standard output."""
    environment = {**os.environ, "TERM": "xterm", **variables}
    own, theirs = pty.openpty()
    with os.fdopen(own, "rb") as reader:
        process = subprocess.Popen(
            [sys.executable, "-m", "mockserver", *arguments],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # a terminal raises it if its other end is closed
            while piece := reader.read1():
                shown += piece
        process.wait(60)
    return shown.decode()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent.parent.parent))
    monkeypatch.delenv("NO_COLOR", raising=False)
    (tmp_path / "valid.json").write_bytes(VALID)
    (tmp_path / "invalid.json").write_bytes(INVALID)
    return tmp_path


@pytest.mark.slow
def test_verdicts_and_severities_have_colours_on_a_terminal(folder: Path) -> None:
    shown = shown_on_terminal(folder, "check", "valid.json", "invalid.json")
    assert f"valid.json: {GREEN.format('valid')} (" in shown
    assert f"invalid.json: {RED.format('invalid')}, 1 error (" in shown
    assert re.search(rf"^  {re.escape(RED.format('error'))} REQ-001 /input", shown, re.MULTILINE)


@pytest.mark.slow
@pytest.mark.parametrize("variables", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_colours_can_be_turned_off(variables: dict[str, str], folder: Path) -> None:
    assert "\x1b" not in shown_on_terminal(folder, "check", "valid.json", "invalid.json", **variables)


@pytest.mark.slow
def test_problems_that_the_doctor_finds_have_a_colour(folder: Path) -> None:
    shown = shown_on_terminal(folder, "doctor", "--store", "sqlite:missing/store.db")
    assert f"store      {RED.format('PROBLEM')}: " in shown


def test_a_pipe_gets_no_colours(run_cli: RunCli, folder: Path) -> None:
    _, output, errors = run_cli("check", "valid.json", "invalid.json")
    assert "\x1b" not in output + errors


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_command_that_takes_longer_than_a_second_shows_how_far_it_is(
    run_cli: RunCli, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = itertools.count(step=0.3)
    monkeypatch.setattr(terminal, "monotonic", lambda: next(seconds))
    monkeypatch.setattr(sys, "stderr", screen := Terminal())
    status, output, _ = run_cli("check", *["valid.json"] * 9)
    assert status == 0
    assert output.count(": valid (") == 9
    shown = screen.getvalue().split("\r\x1b[2K")
    assert shown[0] == ""
    assert "reading 9 of 9" in shown
    assert "checking 9 of 9" in shown
    assert shown[-1] == ""
    assert not {"reading 1 of 9", "checking 1 of 9"} & {*shown}


def test_a_long_comparison_shows_how_far_it_is(
    run_cli: RunCli, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = {
        "format": 1,
        "request": {"model": "qwen3-max-2026-01-23", "input": "Hello!"},
        "match": {"prompt": "Hello!"},
        "reply": {"http": {"status": 200, "chunks": [{"at_ms": 0, "text": "{}"}]}},
    }
    for name in ("before", "after"):
        (folder / name).mkdir()
        for number in range(9):
            (folder / name / f"{number}.json").write_text(json.dumps({**recording, "name": f"r{number}"}))
    seconds = itertools.count(step=0.3)
    monkeypatch.setattr(terminal, "monotonic", lambda: next(seconds))
    monkeypatch.setattr(sys, "stderr", screen := Terminal())
    run_cli("diff", "before", "after")
    shown = screen.getvalue().split("\r\x1b[2K")
    assert {"reading 9 of 9", "comparing 9 of 9"} <= {*shown}
    assert shown[-1] == ""


def test_a_quick_command_shows_nothing(
    run_cli: RunCli, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", screen := Terminal())
    run_cli("check", "valid.json", "valid.json")
    assert screen.getvalue() == ""


def test_a_long_stream_shows_how_much_of_it_is_checked(
    run_cli: RunCli, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    created = b'data: {"type":"response.created","sequence_number":0}\n\n'
    with (folder / "long.sse").open("wb") as file:
        file.write(created + b":" + b"x" * 60_000 + b"\n\n")
        file.write((b":" + b"x" * 60_000 + b"\n\n") * 40)
    seconds = itertools.count(step=0.3)
    monkeypatch.setattr(terminal, "monotonic", lambda: next(seconds))
    monkeypatch.setattr(sys, "stderr", screen := Terminal())
    run_cli("check", "--kind", "stream", "long.sse")
    shown = screen.getvalue().split("\r\x1b[2K")
    assert (shown[0], shown[-1]) == ("", "")
    assert shown[-2] == "checking a stream: 2 MiB"
