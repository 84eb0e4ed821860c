"""Cross-origin requests: off by default, and then for the named origins only."""

from __future__ import annotations

import httpx
import pytest

from mockserver.cli.commands import group
from mockserver.errors import ConfigurationError
from mockserver.testing.mock import MockServer

ORIGIN = "http://localhost:5173"
OTHERS = ("http://localhost:3000", "https://evil.example", "http://localhost:5173.evil.example", "null")


def preflight(server: MockServer, origin: str, **headers: str) -> httpx.Response:
    """The reply to what a browser asks before it sends a request of the openai SDK."""
    return server.httpx().options(
        "/responses",
        headers={
            "origin": origin,
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization,content-type,x-stainless-lang",
            **headers,
        },
    )


def post(server: MockServer, origin: str, **members: object) -> httpx.Response:
    body = {"model": server.model, "input": "hi", **members}
    return server.httpx().post("/responses", json=body, headers={"origin": origin})


def has_cors_headers(reply: httpx.Response) -> bool:
    return any(name.startswith("access-control-") for name in reply.headers)


def test_without_origins_no_reply_has_cors_headers() -> None:
    with MockServer() as server:
        for reply in (preflight(server, ORIGIN), post(server, ORIGIN)):
            assert not has_cors_headers(reply)


def test_a_named_origin_may_send_requests_and_read_every_reply() -> None:
    with MockServer(allow_origin=ORIGIN) as server:
        reply = preflight(server, ORIGIN)
        assert reply.status_code == 200
        assert reply.headers["access-control-allow-origin"] == ORIGIN
        assert "POST" in reply.headers["access-control-allow-methods"]
        assert "x-stainless-lang" in reply.headers["access-control-allow-headers"]
        assert "access-control-allow-credentials" not in reply.headers
        for reply in (
            post(server, ORIGIN),
            post(server, ORIGIN, stream=True),
            post(server, ORIGIN, model="?"),
        ):
            assert reply.headers["access-control-allow-origin"] == ORIGIN
            assert reply.headers["access-control-expose-headers"] == "*"
        assert len(server.journal) == 3  # a pre-flight is no request of the API


@pytest.mark.parametrize("origin", OTHERS)
def test_other_origins_get_no_cors_headers(origin: str) -> None:
    with MockServer(allow_origin=[ORIGIN]) as server:
        for reply in (preflight(server, origin), post(server, origin)):
            assert not has_cors_headers(reply)
        assert preflight(server, origin).status_code >= 400


def test_any_origin_needs_a_second_setting() -> None:
    with pytest.raises(ConfigurationError, match="--unsafe-any-origin"):
        MockServer(allow_origin="*")
    with MockServer(allow_origin="*", unsafe_any_origin=True) as server:
        assert post(server, "https://evil.example").headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("option", ["--admin", "--console"])
def test_any_origin_never_reaches_the_admin_api(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["serve", "--port", "0", "--allow-origin", "*", "--unsafe-any-origin", option]
    with pytest.raises(SystemExit) as ended:
        group(arguments)
    assert ended.value.code == 2
    assert "together with the admin API" in capsys.readouterr().err


def test_the_host_is_still_checked() -> None:
    with MockServer(allow_origin=ORIGIN) as server:
        headers = {"origin": ORIGIN, "host": "rebound.example"}
        reply = server.httpx().post(
            "/responses", json={"model": server.model, "input": "hi"}, headers=headers
        )
        assert reply.status_code == 403
