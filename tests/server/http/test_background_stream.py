"""Logs that nobody reads: they lose lines, but stop neither the server nor its end."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mockserver.server.http import background_stream
from mockserver.server.http.background_stream import BackgroundStream, background_output
from tests.api_client import wait_until


def open_pipe() -> tuple[int, io.TextIOWrapper]:
    reader, writer = os.pipe()
    return reader, os.fdopen(writer, "w", encoding="utf-8")


def test_texts_are_written_in_order() -> None:
    reader, stream = open_pipe()
    background = BackgroundStream(stream, str)
    for number in range(1000):
        background.write(f"line {number} é\n")
    background.close()
    stream.close()
    with os.fdopen(reader, encoding="utf-8") as received:
        assert received.read() == "".join(f"line {number} é\n" for number in range(1000))


def test_stream_without_a_file_is_written_too() -> None:
    stream = io.StringIO()
    background = BackgroundStream(stream, str)
    background.write("one\n")
    background.close()
    assert stream.getvalue() == "one\n"


def test_lines_for_which_there_is_no_space_are_counted() -> None:
    reader, stream = open_pipe()
    background = BackgroundStream(stream, lambda lines: f"{lines} lost\n")
    line, total = "x" * 999 + "\n", 3 * background_stream.MAX_PENDING_CHARACTERS // 1000
    for _ in range(total):
        background.write(line)  # does not block, though the pipe is full
    with os.fdopen(reader, encoding="utf-8") as received:
        read = received.readline()
        complete = 0
        while read == line:
            complete, read = complete + 1, received.readline()
        assert read == f"{total - complete} lost\n"
        background.write("later\n")
        assert received.readline() == "later\n"
        background.close()
        stream.close()


def test_stream_that_fails_loses_everything() -> None:
    reader, stream = open_pipe()
    os.close(reader)
    background = BackgroundStream(stream, str)
    for _ in range(3):
        background.write("x\n")
    background.close()
    background.write("y" * 10)
    with pytest.raises(BrokenPipeError):
        os.write(stream.fileno(), b"x")
    stream.close()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="uses SIGTERM")
@pytest.mark.parametrize("log_options", [(), ("--log-format", "json")])
def test_server_whose_log_nobody_reads_answers_and_stops(
    tmp_path: Path, log_options: tuple[str, ...]
) -> None:
    url_file = tmp_path / "url"
    command = [sys.executable, "-m", "mockserver", "serve", "--port", "0", "--url-file", str(url_file)]
    process = subprocess.Popen(
        [*command, *log_options], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, encoding="utf-8"
    )
    try:
        wait_until(lambda: url_file.exists() and url_file.read_text())
        host, path = url_file.read_text().removeprefix("http://").split("/", 1)
        client = http.client.HTTPConnection(host, timeout=60)
        body = json.dumps({"model": "qwen3-max-2026-01-23", "input": "x" * 2000}).encode()
        headers = {"authorization": "Bearer sk-mock", "content-type": "application/json"}
        for _ in range(1500):  # a pipe holds about 450 lines
            client.request("POST", f"/{path}/responses", body, headers)
            reply = client.getresponse()
            assert reply.status == 200
            reply.read()
        client.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.communicate()


def open_full_pipe() -> tuple[int, int]:
    """(reader, writer) of a pipe to which nothing more can be written."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, b"x" * 512)
    os.set_blocking(writer, True)
    return reader, writer


@pytest.mark.skipif(sys.platform == "win32", reason="uses SIGTERM")
def test_server_whose_banner_nobody_reads_answers_and_stops(tmp_path: Path) -> None:
    url_file = tmp_path / "url"
    reader, writer = open_full_pipe()
    command = [sys.executable, "-m", "mockserver", "serve", "--port", "0", "--url-file", str(url_file)]
    process = subprocess.Popen(command, stdout=writer, stderr=writer)
    try:
        wait_until(lambda: url_file.exists() and url_file.read_text())
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
        os.close(reader)
        os.close(writer)


def test_what_libraries_log_waits_for_no_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = open_full_pipe()
    with os.fdopen(writer, "w", encoding="utf-8") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        with background_output():
            record = logging.makeLogRecord({"msg": "from a logger", "levelno": logging.ERROR})
            assert logging.lastResort is not None
            logging.lastResort.handle(record)
            print("printed", file=sys.stderr, flush=True)
            received = b""
            while b"printed\n" not in received:
                received += os.read(reader, 1 << 16)
        assert b"from a logger\n" in received
        assert sys.stderr is stream
    os.close(reader)
