"""Logs that nobody reads: they lose lines, but stop neither the server nor its end."""

from __future__ import annotations

import http.client
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mockserver.server.http import background_stream
from mockserver.server.http.background_stream import BackgroundStream
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
