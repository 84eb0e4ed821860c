"""Exchange folders that change while they are served."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from mockserver.errors import InvalidExchange
from mockserver.exchange_files import MAX_FILE_BYTES, load_exchange_file
from mockserver.exchanges import Exchange, FindMore
from mockserver.server.state.sessions import open_session, use_exchanges
from mockserver.server.stubs import exchange_folder
from mockserver.server.stubs.exchange_folder import MAX_RELOADED_VALUES, ExchangeFolder
from mockserver.testing.mock import MockServer
from tests.api_client import wait_until


def write(folder: Path, name: str, text: str, **more: object) -> None:
    reply = {"script": {"items": [{"type": "message", "text": text}]}}
    file = {"format": 1, "name": name, "match": {"prompt": "Hi"}, "reply": reply, **more}
    (folder / f"{name}.json").write_text(json.dumps(file))


def test_changed_files_are_reloaded_and_reported_once(tmp_path: Path) -> None:
    write(tmp_path, "one", "first")
    folder = ExchangeFolder(tmp_path)
    given: list[tuple[Exchange, ...]] = []
    assert folder.reload_if_changed(given.append) == ""
    write(tmp_path, "one", "second, and longer")
    write(tmp_path, "two", "x")
    assert folder.reload_if_changed(given.append) == f"{tmp_path}: reloaded 2 exchanges"
    assert folder.reload_if_changed(given.append) == ""
    (tmp_path / "one.json").unlink()
    assert folder.reload_if_changed(given.append) == f"{tmp_path}: reloaded 1 exchanges"
    assert [[each.name for each in found] for found in given] == [["one", "two"], ["two"]]


@pytest.mark.skipif(sys.platform == "win32", reason="makes a link as Emacs does")
def test_files_of_an_editor_are_not_exchanges(tmp_path: Path) -> None:
    write(tmp_path, "one", "first")
    (tmp_path / ".#one.json").symlink_to("somebody@somewhere.4711")
    with MockServer(profile="qwen-2026-01", exchanges=tmp_path) as server:
        reply = server.httpx().post("/responses", json={"model": server.model, "input": "Hi"}).json()
    assert reply["output"][0]["content"][0]["text"] == "first"


def test_an_invalid_file_keeps_the_old_exchanges_and_is_reported(tmp_path: Path) -> None:
    write(tmp_path, "one", "first")
    folder = ExchangeFolder(tmp_path)
    session = open_session(profile="qwen-2026-01", exchanges=folder.exchanges)
    before = session.exchange_index
    write(tmp_path, "two", "x", times=0)
    message = folder.reload_if_changed(lambda found: use_exchanges(session, found))
    assert message.startswith(f"{tmp_path}: not reloaded: two.json#/times: ")
    write(tmp_path, "two", "x", delivery={"pace": "fast"})
    message = folder.reload_if_changed(lambda found: use_exchanges(session, found))
    assert "two.json#/delivery/pace: pace must be none" in message
    assert session.exchange_index is before
    write(tmp_path, "two", "fine again")
    assert "reloaded 2 exchanges" in folder.reload_if_changed(lambda found: use_exchanges(session, found))
    assert session.exchange_index is not before


def test_a_mock_server_reloads_its_folder_in_every_session(tmp_path: Path) -> None:
    write(tmp_path, "one", "first")
    with MockServer(exchanges=tmp_path) as server, server.httpx() as client:
        urls = [each.base_url + "/responses" for each in (server, server.session("alice"))]

        def every_session_sends(text: str) -> bool:
            body = {"model": server.model, "input": "Hi"}
            return all(text in client.post(url, json=body).text for url in urls)

        assert every_session_sends('"text":"first"')
        write(tmp_path, "one", "second, and longer")
        wait_until(lambda: every_session_sends('"text":"second, and longer"'))
        (tmp_path / "one.json").write_text("{")
        (tmp_path / "two.json").write_text("{}")
        assert every_session_sends("second, and longer")


def test_an_invalid_exchange_in_an_array_is_reported_with_its_pointer(tmp_path: Path) -> None:
    write(tmp_path, "one", "first")
    one = json.loads((tmp_path / "one.json").read_text())
    (tmp_path / "one.json").write_text(
        json.dumps([one, {**one, "name": "two", "delivery": {"pace": "fast"}}])
    )
    with pytest.raises(InvalidExchange, match=r"one\.json#/1/delivery/pace: pace must be none"):
        MockServer(exchanges=tmp_path)


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


def make_huge_file(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)


def test_a_file_of_too_many_values_is_loaded_at_the_start_only(tmp_path: Path) -> None:
    write(tmp_path, "one", "first")
    folder = ExchangeFolder(tmp_path)
    values = {"reply": "x", "request": {"model": "m", "input": [1] * MAX_RELOADED_VALUES}}
    (tmp_path / "two.json").write_text(json.dumps(values))
    message = folder.reload_if_changed(lambda _: pytest.fail("it was reloaded"))
    assert "two.json: has more than 100,000 JSON values; split it, or restart" in message
    again = ExchangeFolder(tmp_path)
    assert len(again.exchanges) == 2
    write(tmp_path, "one", "second")
    assert again.reload_if_changed(lambda _: None) == f"{tmp_path}: reloaded 2 exchanges"


def test_a_reload_logs_a_limited_number_of_problems(tmp_path: Path) -> None:
    write(tmp_path, "one", "first")
    folder = ExchangeFolder(tmp_path)
    (tmp_path / "two.json").write_text(json.dumps([{"reply": 7}] * 1000))
    message = folder.reload_if_changed(lambda _: None)
    assert len(message.splitlines()) == 21
    assert message.endswith("\nand 980 more problems")


@pytest.mark.skipif(sys.platform == "win32", reason="makes pipes and sockets")
@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (make_pipe, "is not a regular file"),
        (make_socket, "cannot be read: "),
        (lambda path: path.symlink_to("/dev/zero"), "is not a regular file"),
        (lambda path: path.symlink_to("missing"), "cannot be read: No such file"),
        (lambda path: path.mkdir(), "is not a regular file"),
        (make_huge_file, "is larger than 256 MiB"),
    ],
)
def test_what_is_no_file_is_refused_by_name(
    tmp_path: Path, make: Callable[[Path], None], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the address of a socket is short
    write(tmp_path, "one", "first")
    folder = ExchangeFolder(tmp_path)
    write(tmp_path, "one", "second, and longer")
    make(Path("two.json"))
    message = folder.reload_if_changed(lambda _: None)
    assert message.startswith(f"{tmp_path}: not reloaded: two.json")
    assert reason in message
    with pytest.raises(InvalidExchange, match=reason):
        ExchangeFolder(tmp_path)


def test_server_answers_while_a_folder_is_reloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files are read until a request, sent in the meantime, has its reply."""
    write(tmp_path, "one", "first")
    reading, answered = threading.Event(), threading.Event()

    def load_slowly(file: Path, find_more: FindMore, max_values: int | None) -> tuple[Exchange, ...]:
        reading.set()
        assert answered.wait(60)
        return load_exchange_file(file, find_more, max_values)

    with MockServer(exchanges=tmp_path) as server, server.httpx() as client:
        monkeypatch.setattr(exchange_folder, "load_exchange_file", load_slowly)
        body = {"model": server.model, "input": "Hi"}
        write(tmp_path, "one", "second, and longer")
        assert reading.wait(60)
        assert '"text":"first"' in client.post("/responses", json=body).text
        answered.set()
        wait_until(lambda: "second, and longer" in client.post("/responses", json=body).text)


def test_a_reload_reads_only_the_files_that_have_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two", "three"):
        write(tmp_path, name, "first")
    folder = ExchangeFolder(tmp_path)
    read: list[str] = []

    def load_and_count(file: Path, find_more: FindMore, max_values: int | None) -> tuple[Exchange, ...]:
        read.append(file.name)
        return load_exchange_file(file, find_more, max_values)

    monkeypatch.setattr(exchange_folder, "load_exchange_file", load_and_count)

    def reload() -> tuple[list[str], str, list[str]]:
        read.clear()
        message = folder.reload_if_changed(lambda _: None).partition(": ")[2]
        return list(read), message, [each.name for each in folder.exchanges]

    write(tmp_path, "two", "second, and longer")
    write(tmp_path, "zero", "new")
    assert reload() == (["two.json", "zero.json"], "reloaded 4 exchanges", ["one", "three", "two", "zero"])
    (tmp_path / "one.json").unlink()
    assert reload() == ([], "reloaded 3 exchanges", ["three", "two", "zero"])
    (tmp_path / "two.json").write_text("no JSON")
    assert reload()[0] == ["two.json"]
    write(tmp_path, "two", "second, and longer")
    write(tmp_path, "one", "first")
    assert reload()[:2] == (["one.json", "two.json"], "reloaded 4 exchanges")
