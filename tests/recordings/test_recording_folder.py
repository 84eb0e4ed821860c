"""Folders of recordings: complete files with unique names."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from mockserver.errors import ConfigurationError
from mockserver.recordings import recording_folder
from mockserver.wire import json
from tests.cli.conftest import RunCli, run_cli

__all__ = ["run_cli"]

EXCHANGE: dict[str, Any] = {
    "format": 1,
    "name": "x",
    "request": {},
    "match": {},
    "reply": {"http": {"status": 200, "chunks": [{"text": "x" * 10_000}]}},
}


def test_taken_name_is_not_overwritten(tmp_path: Path) -> None:
    names = [recording_folder.add_recording(tmp_path, "hello", 1, EXCHANGE).name for _ in range(3)]
    assert names == ["hello-001.json", "hello-002.json", "hello-003.json"]
    assert [each.name for each in recording_folder.load_recordings(tmp_path)] == [
        "hello-001",
        "hello-002",
        "hello-003",
    ]
    assert recording_folder.highest_number(tmp_path, "hello") == 3
    assert recording_folder.highest_number(tmp_path, "hell") == 0


def test_concurrent_writers_leave_complete_files(tmp_path: Path) -> None:
    def write() -> None:
        for _ in range(10):
            recording_folder.add_recording(tmp_path, "hello", 1, EXCHANGE)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        for file in tmp_path.glob("*.json"):
            json.loads(file.read_bytes())  # a reader never sees a partial file
    assert len(recording_folder.load_recordings(tmp_path)) == 40
    assert len([*tmp_path.iterdir()]) == 40


def test_file_system_without_hard_links_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", refuse)
    assert [recording_folder.add_recording(tmp_path, "hello", 1, EXCHANGE).name for _ in range(2)] == [
        "hello-001.json",
        "hello-002.json",
    ]
    assert len([*tmp_path.iterdir()]) == 2


def test_failed_write_leaves_no_file_and_keeps_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "kept.json"
    recording_folder.replace_file(file, ["old"])

    def full(value: Any) -> bytes:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(json, "pretty", full)
    with pytest.raises(OSError, match="No space"):
        recording_folder.add_recording(tmp_path, "hello", 1, EXCHANGE)
    with pytest.raises(OSError, match="No space"):
        recording_folder.replace_file(file, ["new"])
    assert [each.name for each in tmp_path.iterdir()] == ["kept.json"]
    assert json.loads(file.read_bytes()) == ["old"]


def test_unwritable_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot write to"):
        recording_folder.create_folder(tmp_path / "file" / "below")
    recording_folder.create_folder(tmp_path / "new" / "folder")
    assert [*(tmp_path / "new" / "folder").iterdir()] == []


@pytest.mark.skipif(sys.platform == "win32", reason="makes a pipe")
def test_the_recorder_ignores_a_pipe(tmp_path: Path) -> None:
    recording_folder.add_recording(tmp_path, "hello", 1, EXCHANGE)
    os.mkfifo(tmp_path / "hello-002.json")
    assert recording_folder.recorded_statuses(tmp_path, "hello") == [200]


def test_hidden_files_and_folders_are_not_recordings(run_cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "recordings" / "later").mkdir(parents=True)
    (tmp_path / ".mockserver" / "cases").mkdir(parents=True)
    recording = {**EXCHANGE, "request": {"model": "m", "input": "Hello!"}}
    recording_folder.replace_file(tmp_path / "recordings" / "later" / "x.json", recording)
    (tmp_path / ".mockserver" / "cases" / "c0ffee.json").write_text('{"format": 1, "plan": {}}')
    (tmp_path / "recordings" / "._x.json").write_bytes(b"\0\5\x16\7")
    status, output, errors = run_cli("diff", ".", "recordings")
    assert (status, errors) == (0, ""), output
    assert run_cli("diff", ".mockserver/cases", ".")[0] == 2
