"""What `mockserver serve` writes beside replies: reports when it stops, and its log in each format."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.conftest import KEY, MODEL, server_environment, wait_until
from tests.programs import run_program


class Output:
    """What a server prints: its standard error once it has ended."""

    text = ""
    banner = ""

    @property
    def own_key(self) -> str:
        """The key that the server made for its clients."""
        return next(
            line.partition("=")[2] for line in self.banner.splitlines() if "DASHSCOPE_API_KEY=" in line
        )


@contextmanager
def running_server(folder: Path, *options: str, **env: str) -> Iterator[tuple[httpx.Client, Output]]:
    url_file, output = folder / "url", Output()
    command = [
        sys.executable,
        "-m",
        "mockserver",
        "serve",
        "--port",
        "0",
        "--url-file",
        str(url_file),
        *options,
    ]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=server_environment(**env)
    ) as process:
        assert process.stdout is not None
        try:
            lines = takewhile(lambda line: "Press Ctrl-C" not in line, process.stdout)
            output.banner = "".join(lines)
            wait_until(url_file.exists, "the URL file")
            headers = {"authorization": f"Bearer {KEY}"}
            with httpx.Client(base_url=url_file.read_text(), headers=headers, trust_env=False) as client:
                yield client, output
        finally:
            process.terminate()
        output.text = process.communicate()[1]
        assert process.returncode == 0, output.text


def send(client: httpx.Client, **members: Any) -> None:
    client.post("/responses", json={"model": MODEL, "input": f"my key is {KEY}", **members})


def test_json_lines_have_the_findings_and_no_key(tmp_path: Path) -> None:
    with running_server(tmp_path, "--log-format", "json") as (client, output):
        send(client, temperature=9)
        send(client, stream=True)

    first, second = (json.loads(line) for line in output.text.splitlines())
    assert (first["status"], first["prompt"]) == (400, "my key is [redacted]")
    assert first["findings"][0]["pointer"] == "/temperature"
    assert second["stream"]
    assert second["events"] > 5
    assert KEY not in output.text


def test_verbose_prints_both_bodies_without_the_key(tmp_path: Path) -> None:
    with running_server(tmp_path, "--verbose") as (client, output):
        send(client, temperature=9, metadata={"a": "\x1b[31mred"})

    assert '"temperature":9' in output.text
    assert "InvalidParameter" in output.text
    assert "/temperature" in output.text
    assert "\x1b" not in output.text
    assert KEY not in output.text


def test_a_report_is_written_when_the_server_stops(tmp_path: Path) -> None:
    page, junit = tmp_path / "report.html", tmp_path / "report.xml"
    with running_server(tmp_path, "--report", f"html={page}", "--report", f"junit={junit}") as (
        client,
        output,
    ):
        send(client, temperature=9)
        send(client, stream=True)
        assert not page.exists()

    assert "request 2" in page.read_text(encoding="utf-8")
    assert "/temperature" in junit.read_text(encoding="utf-8")
    assert KEY not in page.read_text(encoding="utf-8") + junit.read_text(encoding="utf-8")
    assert output.text.count("POST ") == 2  # the log is written as well


@pytest.mark.parametrize(
    "options",
    [
        ("--report", "pdf=x"),
        ("--log-format", "json", "--verbose"),
    ],
)
def test_options_that_cannot_be_used_end_with_status_2(options: tuple[str, ...]) -> None:
    ended = run_program(
        [sys.executable, "-m", "mockserver", "serve", "--port", "0", *options], env=server_environment()
    )

    assert ended.returncode == 2
    assert options[0] in ended.stderr or "pdf" in ended.stderr


def test_the_banner_ends_with_how_to_stop(tmp_path: Path) -> None:
    """Whatever a client needs comes before, the exemption from a proxy included."""
    options = ("--console", "--admin")
    with running_server(
        tmp_path, *options, HTTP_PROXY="http://127.0.0.1:9", NO_PROXY="a.example", no_proxy=""
    ) as (
        client,
        output,
    ):
        token = (tmp_path / "url.admin-token").read_text()
        assert f"x-mock-admin-token: {token}" in output.banner
        assert f"\n  console    http://127.0.0.1:{client.base_url.port}/_mock/console?token=" in output.banner
        exports = '  export NO_PROXY=a.example,127.0.0.1,localhost,::1 no_proxy="$NO_PROXY"\n'
        assert exports in output.banner


def test_the_banner_says_nothing_of_a_proxy_that_no_client_asks(tmp_path: Path) -> None:
    with running_server(tmp_path, HTTP_PROXY="http://127.0.0.1:9", no_proxy="127.0.0.1") as (_, output):
        assert "NO_PROXY" not in output.banner
