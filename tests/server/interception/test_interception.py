"""Requests to the service's own https addresses, sent through the mock as a proxy."""

from __future__ import annotations

import os
import socket
import ssl
import stat
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from mockserver import ContractError, MockServer
from mockserver.errors import ConfigurationError, MissingPackage
from mockserver.profiles import service_hosts
from mockserver.wire.sse import decode_frames
from tests.acceptance.conftest import wait_until
from tests.live.tunnels import CA_FILE, start_tls_front

HOST = "dashscope-intl.aliyuncs.com"
BASE_URL = f"https://{HOST}/api/v2/apps/protocols/compatible-mode/v1"
MODEL = "qwen3-max-2026-01-23"


@pytest.fixture
def server() -> Iterator[MockServer]:
    with MockServer(intercept=True) as server:
        yield server


def client_of(server: MockServer) -> httpx.Client:
    """A client with the server as its proxy, which trusts its authority."""
    variables = server.intercept_env
    tls = ssl.create_default_context(cafile=variables["SSL_CERT_FILE"])
    head = {"authorization": f"Bearer {server.api_key}"}
    return httpx.Client(proxy=variables["HTTPS_PROXY"], verify=tls, headers=head, trust_env=False, timeout=60)


def ask(server: MockServer, url: str = BASE_URL, **body: object) -> httpx.Response:
    with client_of(server) as client:
        return client.post(f"{url}/responses", json={"model": MODEL, "input": "Hello!", **body})


def connect(server: MockServer) -> socket.socket:
    url = urlsplit(server.base_url)
    return socket.create_connection((url.hostname, url.port), timeout=60)


def send_raw(server: MockServer, data: bytes) -> bytes:
    """What the server sends until it closes the connection."""
    with connect(server) as connection:
        connection.sendall(data)
        return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.mark.parametrize("name", service_hosts())
def test_every_host_of_the_service_is_intercepted(name: str, server: MockServer) -> None:
    reply = ask(server, f"https://{name.replace('*', 'ws-1')}/v1")
    assert reply.status_code == 200
    assert server.journal.last.path == "/v1/responses"


def test_stubs_pacing_streams_and_journal_are_those_of_the_server(server: MockServer) -> None:
    server.reply("one")
    server.reply("two", pace="fixed:1")

    assert ask(server).json()["output"][0]["content"][0]["text"] == "one"
    events = [frame.event for frame in decode_frames(ask(server, stream=True).content)]
    assert events[-1] == "response.completed"
    assert [entry.status for entry in server.journal] == [200, 200]
    server.check()


@pytest.mark.parametrize("fault", ["empty", "reset", "garbage", "reset-midway", "close-midway"])
def test_faults_of_connections(fault: str, server: MockServer) -> None:
    server.fault(fault)
    server.reply("Hello!")
    with pytest.raises(httpx.TransportError):
        ask(server, stream=True)
    assert ask(server).status_code == 200
    assert len(server.wait_for_requests(2)) == 2


def test_a_connection_serves_several_requests(server: MockServer) -> None:
    large = "x" * 3_000_000
    with client_of(server) as client:
        for text in ("Hello!", large, "Bye!"):
            reply = client.post(f"{BASE_URL}/responses", json={"model": MODEL, "input": text})
            assert reply.status_code == 200
    assert server.journal[1].json["input"] == large


@pytest.mark.parametrize("stream", [False, True])
def test_a_large_reply_arrives_as_it_is(stream: bool, server: MockServer) -> None:
    server.reply(chunks=["x" * 100_000] * 9)
    reply = ask(server, stream=stream)
    assert reply.content == b"".join(server.journal.last.reply)
    assert len(reply.content) > 900_000


def test_a_request_in_a_tunnel_names_a_host_of_the_service(server: MockServer) -> None:
    with client_of(server) as client:
        reply = client.post(f"{BASE_URL}/responses", json={}, headers={"host": "example.com"})
    assert reply.status_code == 403


def test_a_tunnel_in_a_tunnel_is_refused(server: MockServer) -> None:
    with client_of(server) as client:
        reply = client.request("CONNECT", f"https://{HOST}/", headers={"host": HOST})
    assert reply.status_code in (400, 405)


def test_many_clients_at_once(server: MockServer) -> None:
    with ThreadPoolExecutor(12) as threads:
        replies = list(threads.map(lambda number: ask(server, input=f"Hello {number}"), range(24)))
    assert {reply.status_code for reply in replies} == {200}
    assert len(server.journal) == 24


def test_another_host_is_refused_and_named(server: MockServer) -> None:
    with pytest.raises(httpx.ProxyError, match="403"):
        ask(server, "https://example.com/v1")

    entry = server.journal.last
    assert (entry.method, entry.path, entry.status) == ("CONNECT", "example.com:443", 403)
    with pytest.raises(
        ContractError, match=r'example\.com is not a host of the service.*allow_connect="example\.com"'
    ):
        server.check()
    server.check(allow=["refused"])


def test_a_plain_http_address_is_refused(server: MockServer) -> None:
    reply = ask(server, "http://example.com/v1")
    assert reply.status_code == 403
    assert "NO_PROXY" in reply.text


def test_an_allowed_host_is_reached_and_still_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CA_FILE))
    with (
        MockServer() as other,
        start_tls_front(urlsplit(other.base_url).port or 0) as front,
        MockServer(intercept=True, allow_connect="localhost") as server,
    ):
        assert ask(server, f"{front}/v1", input="x" * 1_000_000).status_code == 200
        assert len(other.journal) == 1
        assert len(server.journal) == 0
        assert ask(server).status_code == 200, "the service's hosts are still intercepted"


@pytest.mark.skipif(sys.platform != "linux", reason="counts open files in /proc")
def test_each_direction_of_a_tunnel_ends_by_itself() -> None:
    def count_files() -> int:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208

    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        MockServer(intercept=True, allow_connect="127.0.0.1") as server,
    ):
        before = count_files()
        with connect(server) as client:
            client.sendall(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\n\r\n" % listener.getsockname()[1])
            assert client.recv(100).startswith(b"HTTP/1.1 200 ")
            remote, _ = listener.accept()
            with remote:
                client.sendall(b"question")
                client.shutdown(socket.SHUT_WR)
                assert b"".join(iter(lambda: remote.recv(100), b"")) == b"question"
                remote.sendall(b"answer")
                remote.shutdown(socket.SHUT_WR)
                assert b"".join(iter(lambda: client.recv(100), b"")) == b"answer"
        wait_until(lambda: count_files() == before, "the server closes both ends")


def test_an_allowed_host_that_cannot_be_reached() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with MockServer(intercept=True, allow_connect=["127.0.0.1", "*.example.com"]) as server:
            reply = send_raw(server, b"CONNECT 127.0.0.1:%d HTTP/1.1\r\n\r\n" % port)
            assert reply.startswith(b"HTTP/1.1 502 ")
            assert f"Cannot reach 127.0.0.1, port {port}" in server.journal.last.detail


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"CONNECT nowhere HTTP/1.1\r\n\r\n", 400),
        (b"CONNECT dashscope.aliyuncs.com:x HTTP/1.1\r\n\r\n", 400),
        (b"CONNECT dashscope.aliyuncs.com:443 HTTP/1.1\r\n\r\nearly", 400),
        (b"CONNECT %b.cn-beijing.maas.aliyuncs.com:443 HTTP/1.1\r\n\r\n" % (b"x" * 64), 400),
        (b"CONNECT ws..cn-beijing.maas.aliyuncs.com:443 HTTP/1.1\r\n\r\n", 400),
        (b"CONNECT \xff.cn-beijing.maas.aliyuncs.com:443 HTTP/1.1\r\n\r\n", 400),
        (b"CONNECT [::1]:443 HTTP/1.1\r\n\r\n", 403),
        (b"CONNECT aliyuncs.com:443 HTTP/1.1\r\n\r\n", 403),
        (b"CONNECT dashscope.aliyuncs.com.example.com:443 HTTP/1.1\r\n\r\n", 403),
    ],
)
def test_invalid_requests_for_tunnels_get_an_error(data: bytes, status: int, server: MockServer) -> None:
    reply = send_raw(server, data)
    assert reply.startswith(b"HTTP/1.1 %d " % status)
    assert b'{"code":' in reply


def test_what_follows_connect_must_be_tls(server: MockServer) -> None:
    with connect(server) as connection:
        connection.sendall(b"CONNECT dashscope.aliyuncs.com:443 HTTP/1.1\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
        connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
        while connection.recv(100):
            pass
    assert ask(server).status_code == 200


def test_a_client_that_does_not_trust_the_authority_is_named(server: MockServer) -> None:
    with (
        httpx.Client(proxy=server.base_url, trust_env=False) as client,
        pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        client.get(f"{BASE_URL}/models")
    server.wait_for_requests(1)
    with pytest.raises(ContractError, match=f"CONNECT {HOST}:443.*handshake failed: TLSV1_ALERT_UNKNOWN_CA"):
        server.check()


def test_the_password_of_a_proxy_is_in_no_journal(server: MockServer) -> None:
    head = b"CONNECT example.com:443 HTTP/1.1\r\nProxy-Authorization: Basic c2VjcmV0OnBhc3N3b3Jk\r\n\r\n"
    assert b"c2VjcmV0" not in send_raw(server, head)
    assert server.journal.last.request_head.headers == []


def test_without_intercept_there_are_no_tunnels() -> None:
    with MockServer() as server:
        assert send_raw(server, b"CONNECT dashscope.aliyuncs.com:443 HTTP/1.1\r\n\r\n").startswith(
            b"HTTP/1.1 405 "
        )
        with pytest.raises(ConfigurationError, match="intercept=True"):
            _ = server.intercept_env


def test_the_files_are_private_and_removed_and_hold_no_key(server: MockServer) -> None:
    ask(server)
    folder = Path(server.intercept_env["SSL_CERT_FILE"]).parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert b"PRIVATE KEY" not in b"".join(file.read_bytes() for file in folder.iterdir())
    server.stop()
    assert not folder.exists()
    assert server.intercept_env == {}


def test_a_server_can_be_started_again(server: MockServer) -> None:
    server.stop()
    server.start()
    assert ask(server).status_code == 200


NO_PROXY_CASES: Mapping[str, str] = {
    "*": "",
    "aliyuncs.com": "",
    ".aliyuncs.com,intranet.example": "intranet.example",
    "*.aliyuncs.com": "",
    HOST: "",
    "ws-1.cn-beijing.maas.aliyuncs.com:443": "",
    "liyuncs.com,::2": "liyuncs.com,::2",
}


@pytest.mark.parametrize("value", NO_PROXY_CASES)
def test_no_proxy_cannot_exclude_the_service(
    value: str, server: MockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", value)
    monkeypatch.delenv("no_proxy", raising=False)
    kept = [each for each in NO_PROXY_CASES[value].split(",") if each]
    variables = server.intercept_env
    assert (
        variables["NO_PROXY"] == variables["no_proxy"] == ",".join([*kept, "127.0.0.1", "localhost", "::1"])
    )


def test_options_of_node_and_java_are_kept(server: MockServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODE_OPTIONS", "--no-warnings")
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-Xmx64m")
    variables = server.intercept_env
    assert variables["NODE_OPTIONS"].startswith("--no-warnings --require ")
    assert variables["JAVA_TOOL_OPTIONS"].startswith("-Xmx64m -Dhttps.proxyHost=127.0.0.1 ")


def test_a_folder_with_a_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "a folder"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    with MockServer(intercept=True) as server:
        assert f'trustStore="{folder}{os.sep}' in server.intercept_env["JAVA_TOOL_OPTIONS"]


def test_other_machines_cannot_use_it() -> None:
    with pytest.raises(ConfigurationError, match=r"loopback host, not 0\.0\.0\.0"):
        MockServer(intercept=True, host="0.0.0.0", api_key="sk-test-0123456789")


def test_an_allowed_host_that_can_match_nothing() -> None:
    with pytest.raises(ConfigurationError, match="without the port"):
        MockServer(intercept=True, allow_connect="example.com:443")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in sys.modules if each.startswith("mockserver.server.interception")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "trustme", None)
    with pytest.raises(MissingPackage, match=r"responses-mockserver\[intercept\]"):
        MockServer(intercept=True)


def test_a_server_stops_while_tunnels_are_open(server: MockServer) -> None:
    with connect(server) as connection:
        connection.sendall(b"CONNECT dashscope.aliyuncs.com:443 HTTP/1.1\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
        server.stop()
        with suppress(ConnectionResetError):
            assert connection.recv(100) == b""
