"""`mockserver serve --store sqlite:PATH` on files and folders that cannot be written."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.acceptance.conftest import ServerProcess, StartServer, server_environment, wait_until
from tests.marks import slow_except
from tests.permissions import without_override
from tests.programs import run_program

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(sys.platform == "win32", reason="permissions are those of POSIX"),
]

SERVER = (sys.executable, "-m", "mockserver")


def make_read_only_folder(folder: Path) -> str:
    folder.chmod(0o555)
    return "unable to open database file: the folder is not writable"


def make_read_only_file(folder: Path) -> str:
    (folder / "store").touch()
    (folder / "store").chmod(0o444)
    return "attempt to write a readonly database: it is not writable"


def remove_folder(folder: Path) -> str:
    folder.rmdir()
    return "unable to open database file: there is no such folder"


def make_folder(folder: Path) -> str:
    (folder / "store").mkdir()
    return "unable to open database file"


BREAK = [make_read_only_folder, make_read_only_file, remove_folder, make_folder]


@pytest.mark.parametrize("prepare", slow_except([make_read_only_file], BREAK))
def test_a_file_that_cannot_be_written_is_refused(tmp_path: Path, prepare: Callable[[Path], str]) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    reason = prepare(folder)
    done = run_program(
        [*without_override(SERVER), "serve", "--port", "0", "--store", f"sqlite:{folder}/store"],
        env=server_environment(),
    )
    message = f"mockserver: --store sqlite:{folder}/store cannot be used: {reason}\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", message)


def assert_unavailable(server: ServerProcess) -> None:
    reply = server.create("Hello!")
    assert (reply.status_code, reply.json()["code"]) == (503, "ServiceUnavailable")
    assert httpx.get(f"{server.root_url}/ready").status_code == 503
    assert httpx.get(f"{server.root_url}/health").status_code == 200


def test_a_folder_that_becomes_read_only_or_vanishes_is_a_503_until_it_is_back(
    start_server: StartServer, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    server = start_server("--store", f"sqlite:{folder}/store", program=without_override(SERVER))
    folder.chmod(0o555)
    (folder / "store").chmod(0o444)
    assert_unavailable(server)
    folder.chmod(0o755)
    (folder / "store").chmod(0o644)
    first = server.create("Hello!")
    assert first.status_code == 200
    assert httpx.get(f"{server.root_url}/ready").status_code == 200
    folder.rename(tmp_path / "elsewhere")
    assert_unavailable(server)
    (tmp_path / "elsewhere").rename(folder)
    assert server.create("Go on.", previous_response_id=first.json()["id"]).status_code == 200
    reasons = ("is not writable", "there is no such folder")
    wait_until(lambda: all(each in server.stderr_text for each in reasons), "both reasons in the log")


@pytest.mark.soak  # only root may mount
def test_a_disk_that_becomes_read_only_is_a_503_until_it_can_be_written(
    start_server: StartServer, tmp_path: Path
) -> None:
    def mount(*options: str) -> None:
        done = run_program(["mount", "-t", "tmpfs", *options, "tmpfs", tmp_path / "disk"])
        if done.returncode:
            pytest.skip(f"no disk can be mounted: {done.stderr.strip()}")

    (tmp_path / "disk").mkdir()
    mount()
    try:
        server = start_server("--store", f"sqlite:{tmp_path}/disk/store")
        mount("-o", "remount,ro")
        assert_unavailable(server)
        mount("-o", "remount,rw")
        assert server.create("Hello!").status_code == 200
        assert server.stop() == 0
        mount("-o", "remount,ro")
        with pytest.raises(AssertionError, match=r"exit 2: .* cannot be used: unable to open database file"):
            start_server("--store", f"sqlite:{tmp_path}/disk/store")
    finally:
        subprocess.run(["umount", tmp_path / "disk"], check=True)
