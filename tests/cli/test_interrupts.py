"""A signal that ends a command early leaves neither temporary files nor processes behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.acceptance.conftest import server_environment, wait_until
from tests.marks import slow_except_where

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a process without telling it")

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
SERVE = "serve --port 0 --workers 2"

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def temporary_folder(tmp_path: Path) -> Path:
    """Where commands make their temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


@pytest.fixture
def start(tmp_path: Path, temporary_folder: Path) -> Iterator[Start]:
    """Start `mockserver` with these arguments in a temporary folder."""
    with ExitStack() as stack:
        # Under nohup, or in the background of a shell, the tests ignore signals, and the command would inherit it.
        for number in SIGNALS:
            if signal.getsignal(number) is signal.SIG_IGN:
                signal.signal(number, signal.SIG_DFL)
                stack.callback(signal.signal, number, signal.SIG_IGN)

        def run(*arguments: str) -> subprocess.Popen[bytes]:
            process = subprocess.Popen(
                [sys.executable, "-m", "mockserver", *arguments],
                cwd=tmp_path,
                env=server_environment(TMPDIR=str(temporary_folder)),
                stdin=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
            stack.callback(process.communicate)
            stack.callback(process.kill)
            return process

        yield run


def require_end(process: subprocess.Popen[bytes]) -> None:
    """Wait until the command ends, without a traceback."""
    _, errors = process.communicate(timeout=60)
    assert b"Traceback" not in errors, errors.decode()


@pytest.mark.parametrize(
    ("command", "number"),
    slow_except_where(
        lambda *row: row == (SERVE, signal.SIGTERM),
        [
            *((SERVE, each) for each in SIGNALS),
            (f"{SERVE} --metrics", signal.SIGTERM),
            ("run --intercept -- sleep 60", signal.SIGTERM),
        ],
    ),
)
def test_signal_while_it_starts_leaves_no_temporary_folder(
    command: str, number: signal.Signals, start: Start, temporary_folder: Path
) -> None:
    if "--metrics" in command:
        pytest.importorskip("prometheus_client")
    if "--intercept" in command:
        pytest.importorskip("trustme")
    process = start(*command.split())
    # Not any file: Python writes one for a moment, to find out whether it can.
    wait_until(lambda: any(temporary_folder.glob("mockserver-*")), "the temporary folder")

    process.send_signal(number)

    require_end(process)
    assert [*temporary_folder.iterdir()] == []


@pytest.mark.slow
def test_closed_terminal_stops_all_workers(start: Start, tmp_path: Path, temporary_folder: Path) -> None:
    url_file = tmp_path / "url"
    process = start(*SERVE.split(), "--url-file", str(url_file))
    wait_until(url_file.exists, "the server's URL file")

    process.send_signal(signal.SIGHUP)

    require_end(process)
    assert process.returncode == 0
    assert [*temporary_folder.iterdir()] == []


@pytest.mark.slow
def test_fuzz_ends_its_client_and_by_the_signal(start: Start, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    client = f"echo $$ > {pid_file}.part; mv {pid_file}.part {pid_file}; exec sleep 600"
    process = start("fuzz", "--timeout", "600", "--", "sh", "-c", client)
    wait_until(pid_file.exists, "the client's process id")
    pid = int(pid_file.read_text())
    try:
        process.terminate()

        require_end(process)
        assert process.returncode == -signal.SIGTERM
        wait_until(lambda: not is_running(pid), "the client's end")
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def is_running(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False
