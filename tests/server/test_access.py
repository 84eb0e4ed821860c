"""Access control: which `Host`, `Origin` and `Authorization` headers a server accepts."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest

from mockserver.errors import ConfigurationError
from mockserver.server.access import AllowedHosts, listener_hosts
from mockserver.server.errors import ApiError
from mockserver.testing.mock import MockServer
from tests.server.http.test_hostile_requests import exchange_bytes

BODY = json.dumps({"model": "qwen3-max-2026-01-23", "input": "hi"}).encode()


@pytest.fixture(scope="module")
def mock() -> Iterator[MockServer]:
    with MockServer(seed=1, profile="qwen-2026-01") as server:
        yield server


def request_bytes(*headers: str, target: str = "/v1/responses", key: str = "Bearer sk-mock") -> bytes:
    lines = [f"POST {target} HTTP/1.1", *headers, f"authorization: {key}", "connection: close"]
    lines += ["content-type: application/json", f"content-length: {len(BODY)}"]
    return "\r\n".join([*lines, "", ""]).encode() + BODY


def status_and_message(server: MockServer, request: bytes) -> tuple[int, str]:
    ((status, body),) = exchange_bytes(server, request)
    return status, body.get("message", "")


@pytest.mark.parametrize(
    "hosts",
    [
        ("host: localhost", "host: evil.example"),
        ("host: evil.example", "host: localhost"),
        ("host: localhost", "Host: localhost"),
    ],
)
def test_two_host_headers_are_rejected(mock: MockServer, hosts: tuple[str, str]) -> None:
    """RFC 9112, section 3.2: 400, even if both are the same."""
    status, message = status_and_message(mock, request_bytes(*hosts))
    assert status == 400
    assert "more than one Host" in message


@pytest.mark.parametrize(
    "target", ["http://evil.example/v1/responses", "http://evil.example:80/v1/responses"]
)
def test_the_authority_of_an_absolute_target_counts_as_the_host(mock: MockServer, target: str) -> None:
    status, message = status_and_message(mock, request_bytes("host: localhost", target=target))
    assert status == 403
    assert "evil.example" in message


@pytest.mark.parametrize("authority", ["localhost:8080", "127.0.0.1", "[::1]:80"])
def test_an_absolute_target_with_an_allowed_authority_is_served(mock: MockServer, authority: str) -> None:
    request = request_bytes("host: evil.example", target=f"http://{authority}/v1/responses")
    assert status_and_message(mock, request)[0] == 200


def test_an_absolute_target_with_a_user_is_rejected(mock: MockServer) -> None:
    request = request_bytes("host: localhost", target="http://localhost@evil.example/v1/responses")
    assert status_and_message(mock, request)[0] == 400


def test_connect_is_rejected(mock: MockServer) -> None:
    request = b"CONNECT localhost:443 HTTP/1.1\r\nhost: localhost\r\n\r\n"
    status, message = status_and_message(mock, request)
    assert 400 <= status < 500
    assert message


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
def test_the_scheme_of_the_key_is_case_insensitive(mock: MockServer, scheme: str) -> None:
    request = request_bytes("host: localhost", key=f"{scheme} sk-mock")
    assert status_and_message(mock, request)[0] == 200


@pytest.mark.parametrize("key", ["BEARER", "bearer ", "Bearer"])
def test_a_scheme_without_a_key_is_no_key(mock: MockServer, key: str) -> None:
    status, message = status_and_message(mock, request_bytes("host: localhost", key=key))
    assert status == 401
    assert message == status_and_message(mock, request_bytes("host: localhost", key=""))[1]


SMUGGLED = b"GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n"


def upgrade_request(body: bytes, padding: int = 0) -> bytes:
    pad = b"".join(b"x-padding-%d: %b\r\n" % (number, b"p" * 900) for number in range(padding))
    return (
        b"POST /v1/responses HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer sk-mock\r\n"
        b"content-type: application/json\r\n"
        + pad
        + b"connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nhttp2-settings: AAEAAA\r\n"
        b"content-length: %d\r\n\r\n%b" % (len(body), body)
    )


def send_pieces(server: MockServer, pieces: list[bytes]) -> bytes:
    """All bytes that the server sends for pieces on one connection, each in a packet of its own."""
    host, port = server.base_url.removeprefix("http://").split("/")[0].split(":")
    with socket.create_connection((host, int(port)), timeout=60) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            client.sendall(piece)
        return client.makefile("rb").read()


@pytest.mark.parametrize("padding", [0, 10])
def test_upgrade_does_not_turn_the_body_into_a_request(mock: MockServer, padding: int) -> None:
    """Also if the header comes late in the head."""
    head, end, body = upgrade_request(SMUGGLED, padding).partition(b"\r\n\r\n")
    data = send_pieces(mock, [head + end, body])
    assert data.startswith(b"HTTP/1.1 400")
    assert data.count(b"HTTP/1.1 ") == 1
    assert b"JSON" in data


@pytest.mark.parametrize("step", [1, 7, 50, 200])
def test_upgrade_is_ignored_in_a_head_that_is_split_over_packets(mock: MockServer, step: int) -> None:
    message = upgrade_request(BODY)
    reply = send_pieces(mock, [message[start : start + step] for start in range(0, len(message), step)])
    assert reply.startswith(b"HTTP/1.1 200")
    assert reply.count(b"HTTP/1.1") == 1


def test_many_upgrades_on_one_connection_are_all_answered(mock: MockServer) -> None:
    keep_open = upgrade_request(BODY).replace(b", close", b"")
    data = send_pieces(mock, [keep_open * 3 + upgrade_request(BODY)])
    assert data.count(b"HTTP/1.1 200 OK") == data.count(b"HTTP/1.1") == 4


def test_upgrade_with_a_chunked_body_is_read(mock: MockServer) -> None:
    head = upgrade_request(b"").replace(b"content-length: 0", b"transfer-encoding: chunked")
    replies = exchange_bytes(mock, head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY))
    assert [status for status, _ in replies] == [200]


@pytest.mark.parametrize("path", ["/health", "/ready", "/s/probe/health"])
def test_probes_of_containers_may_use_any_host(mock: MockServer, path: str) -> None:
    request = f"GET {path} HTTP/1.1\r\nhost: 10.1.2.3:8080\r\nconnection: close\r\n\r\n"
    if path.startswith("/s/"):
        mock.session("probe")
    ((status, body),) = exchange_bytes(mock, request.encode())
    assert (status, body["status"]) == (200, "ok")


def is_allowed(hosts: AllowedHosts, host: str, origin: str | None = None) -> bool:
    headers = [(b"host", host.encode())] + ([(b"origin", origin.encode())] if origin else [])
    try:
        hosts.check(dict(headers), {"path": "/v1/responses", "headers": headers})
    except ApiError:
        return False
    return True


def test_a_suffix_pattern_allows_the_names_below_it() -> None:
    hosts = AllowedHosts(["*.svc.cluster.local"])
    assert is_allowed(hosts, "mock.ci.svc.cluster.local:8080")
    assert is_allowed(hosts, "MOCK.SVC.cluster.local")
    for name in ("svc.cluster.local", "evilsvc.cluster.local", "mock.svc.cluster.local.evil.example"):
        assert not is_allowed(hosts, name)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("http://mock.local", "without http://"),
        ("mock.local/v1", "without http://"),
        ("mock.local:8080", "without the port"),
        ("[::1]:80", "without the port"),
        ("*", "every web page"),
        ("*.", "give a name"),
        ("mock.*", "give a name"),
        ("*mock.local", "give a name"),
        ("a..b", "give a name"),
        ("", "give a name"),
        ("mock local", "give a name"),
        ("möck.local", "give a name"),
    ],
)
def test_a_pattern_that_cannot_match_is_refused(name: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot match") as error:
        AllowedHosts([name])
    assert reason in str(error.value)


@pytest.mark.parametrize("name", ["::1", "[::1]", "fd00::5", "192.0.2.1", "Mock.Local", "my_host", "a.b."])
def test_other_forms_of_names_and_addresses_match(name: str) -> None:
    host = f"[{name}]" if ":" in name and "[" not in name else name
    assert is_allowed(AllowedHosts([name]), f"{host}:8080")


def test_addresses_are_allowed_only_beyond_loopback() -> None:
    for address in ("10.1.2.3:8080", "[fd00::5]:8080"):
        assert is_allowed(listener_hosts("0.0.0.0", ()), address)
        assert not is_allowed(listener_hosts("127.0.0.1", ()), address)
    assert not is_allowed(listener_hosts("0.0.0.0", ()), "rebound.example:8080")


def test_a_page_of_the_server_itself_may_send_requests() -> None:
    hosts = listener_hosts("0.0.0.0", ())
    assert is_allowed(hosts, "10.1.2.3:8080", "http://10.1.2.3:8080")
    for origin in ("http://10.1.2.3", "http://10.1.2.3:9090", "http://10.6.6.6"):
        assert not is_allowed(hosts, "10.1.2.3:8080", origin)
    assert not is_allowed(hosts, "rebound.example", "http://rebound.example")


@pytest.mark.parametrize(
    ("origin", "reason"),
    [
        ("localhost:5173", "scheme, host and port"),
        ("http://localhost:5173/", "scheme, host and port"),
        ("http://*.example.com", "scheme, host and port"),
        ("null", "scheme, host and port"),
        ("http://localhost:80", "leave out the port 80"),
        ("https://app.example:443", "leave out the port 443"),
    ],
)
def test_an_origin_that_no_browser_sends_is_refused(origin: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot match") as error:
        AllowedHosts((), [origin])
    assert reason in str(error.value)


def test_an_allowed_origin_may_send_requests() -> None:
    hosts = AllowedHosts((), ["https://app.example"])
    assert is_allowed(hosts, "localhost", "https://app.example")
    for origin in ("http://app.example", "https://app.example:8443", "https://app.example.evil"):
        assert not is_allowed(hosts, "localhost", origin)


def test_any_origin_needs_the_unsafe_flag() -> None:
    with pytest.raises(ConfigurationError, match="--unsafe-any-origin"):
        listener_hosts("127.0.0.1", (), ["*"])
    assert is_allowed(
        listener_hosts("127.0.0.1", (), ["*"], any_origin=True), "localhost", "https://a.example"
    )
