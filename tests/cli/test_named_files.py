"""Files that the user names: pipes of the shell are read, and no command waits for the writer of another one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mockserver import regular_files
from mockserver.profiles import load_profile
from tests.cli.conftest import RunCli
from tests.contract import samples
from tests.marks import slow_except

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="makes pipes")

LIVE = "http://127.0.0.1:1/v1"
REQUEST = json.dumps({"model": load_profile().models[0], "input": "Hi"}).encode()

#: Commands that read the file PIPE.
COMMANDS = (
    "check PIPE",
    "diff PIPE PIPE",
    "exchanges new PIPE",
    "replay PIPE --port 0",
    "serve --port 0 --admin-token-file PIPE",
    f"verify --base-url {LIVE} --profile openai --replay PIPE",
    f"verify --base-url {LIVE} --profile openai --baseline PIPE",
    f"verify --base-url {LIVE} --profile openai --ca-file PIPE",
    "fuzz --replay PIPE -- true",
)


@pytest.mark.parametrize("command", slow_except({"check PIPE"}, COMMANDS))
def test_pipe_to_which_nobody_writes_is_refused(
    command: str, run_cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(regular_files, "PIPE_TIMEOUT_SECONDS", 0.01)
    monkeypatch.setenv("DASHSCOPE_API_KEY", "sk-named-files-0123")
    os.mkfifo(tmp_path / "PIPE")
    status, _, err = run_cli(*command.split())
    assert status == 2
    assert "PIPE" in err
    assert len(err.splitlines()) == 1


def test_pipe_with_a_writer_is_read(run_cli: RunCli, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "PIPE")
    writer = threading.Thread(target=(tmp_path / "PIPE").write_bytes, args=(REQUEST,), daemon=True)
    writer.start()
    status, out, _ = run_cli("check", "PIPE")
    assert (status, out.startswith("PIPE: valid (request;")) == (0, True)
    writer.join(60)


@pytest.fixture
def long_stream() -> bytes:
    """A stream that `check` reads piece by piece."""
    return samples.service_frames(samples.text_stream(3_000))


@pytest.fixture
def open_pipe(long_stream: bytes) -> Iterator[str]:
    """The path of a pipe as the shell passes it for `<(command)`."""
    reader, writer = os.pipe()

    def write() -> None:
        with os.fdopen(writer, "wb") as file:
            file.write(long_stream)

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    yield f"/dev/fd/{reader}"
    os.close(reader)
    thread.join(60)


def test_long_stream_from_a_pipe_of_the_shell_is_read_to_its_end(run_cli: RunCli, open_pipe: str) -> None:
    status, out, err = run_cli("check", open_pipe)
    assert (status, err) == (0, "")
    assert ": valid (stream;" in out


@pytest.mark.slow
@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
@pytest.mark.parametrize("is_pipe", [False, True])
def test_standard_input_is_read_to_its_end(
    name: str, is_pipe: bool, long_stream: bytes, tmp_path: Path
) -> None:
    (tmp_path / "stream").write_bytes(long_stream)
    with (tmp_path / "stream").open("rb") as file:
        command = [sys.executable, "-m", "mockserver", "check", name]
        done = subprocess.run(
            command,
            input=long_stream if is_pipe else None,
            stdin=None if is_pipe else file,
            capture_output=True,
            check=False,
            cwd=tmp_path,
        )
    assert done.returncode == 0, done.stderr
    assert b": valid (stream;" in done.stdout


def test_url_file_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "target").touch()
    link = tmp_path / "link"
    link.symlink_to("target")
    regular_files.require_writable(link)
    regular_files.replace_file(link, "http://127.0.0.1:1")
    assert link.is_symlink()
    assert (tmp_path / "target").read_text() == "http://127.0.0.1:1"


def test_report_to_a_pipe_that_nobody_reads_is_refused(run_cli: RunCli, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "PIPE")
    status, _, err = run_cli("run", "--report", "json=PIPE", "--", "true")
    assert (status, "cannot write PIPE: " in err) == (2, True)


@pytest.mark.parametrize("command", slow_except({"serve --port 0"}, ["serve --port 0", "run -- true"]))
def test_report_that_cannot_be_written_ends_the_command_before_it_serves(
    command: str, run_cli: RunCli
) -> None:
    name, *rest = command.split()
    status, out, err = run_cli(name, "--report", "html=nodir/x", *rest)
    assert (status, out) == (2, "")
    assert err == "mockserver: cannot write nodir/x: No such file or directory\n"
