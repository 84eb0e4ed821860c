"""`mockserver health`: the health check of a container."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from threading import Thread
from urllib.parse import urlsplit

import pytest

from mockserver.testing.mock import MockServer
from tests.cli.conftest import RunCli


@pytest.fixture
def origin() -> Iterator[str]:
    with MockServer() as server:
        yield server.base_url.removesuffix(urlsplit(server.base_url).path)


@pytest.mark.parametrize("path", ["", "/", "/v1", "/health", "/ready"])
def test_a_server_that_answers_is_ready(path: str, origin: str, run_cli: RunCli) -> None:
    assert run_cli("health", "--url", origin + path) == (0, "", "")


def test_the_port_is_that_of_serve(origin: str, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOCKSERVER_PORT", str(urlsplit(origin).port))
    assert run_cli("health") == (0, "", "")


def test_nobody_listens(run_cli: RunCli) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        code, out, err = run_cli("health", "--port", str(free.getsockname()[1]))
    assert (code, out) == (1, "")
    assert err.startswith("mockserver: http://127.0.0.1:")
    assert "is not ready: " in err
    assert "; start it with `mockserver serve`, or name another with --port or --url" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n", "status 503"),
        (b"HTTP/1.1 302 Found\r\nlocation: /login\r\n\r\n", "status 302"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "SSH-2.0-OpenSSH_9.2"),
        (b"", ""),
    ],
)
def test_another_answer_is_not_ready(reply: bytes, reason: str, run_cli: RunCli) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(reply)

        thread = Thread(target=answer)
        thread.start()
        code, out, err = run_cli("health", "--port", str(listener.getsockname()[1]))
        thread.join()
    assert (code, out) == (1, "")
    assert f"is not ready: {reason}" in err


def test_a_server_that_never_answers_is_not_ready(run_cli: RunCli) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        code, _, err = run_cli("health", "--port", str(listener.getsockname()[1]), "--timeout", "0.1")
    assert code == 1
    assert "timed out" in err


@pytest.mark.parametrize(
    "url",
    [
        "localhost:8080",
        "ftp://localhost",
        "http://",
        "http://[::1",
        "http://a:b",
        "http://local\nhost",
        " http://localhost",
    ],
)
def test_an_unusable_url_is_an_error_of_usage(url: str, run_cli: RunCli) -> None:
    code, out, err = run_cli("health", "--url", url)
    assert (code, out) == (2, "")
    assert "--url" in err


def test_a_password_is_not_printed(run_cli: RunCli) -> None:
    code, out, err = run_cli("health", "--url", "http://user:sk-secret-password@127.0.0.1:1/v1")
    assert (code, out) == (1, "")
    assert "http://127.0.0.1:1 is not ready" in err
    assert "secret" not in err
