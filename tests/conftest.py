"""Fixtures shared by tests of several packages."""

from __future__ import annotations

import inspect
import os
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from mockserver.testing.mock import MockServer
from tests.api_client import ApiClient
from tests.redis_server import PROGRAM, RedisServer
from tests.reports.chromium import Browser, find_chromium, run_chromium

#: Seconds without an answer after which a test gives up. httpx's 5 seconds are too few on a busy machine.
HTTP_TIMEOUT = 120

_FUNCTIONS = ("delete", "get", "head", "options", "patch", "post", "put", "request", "stream")
for _caller in (
    httpx.Client.__init__,
    httpx.AsyncClient.__init__,
    *(inspect.unwrap(getattr(httpx, name)) for name in _FUNCTIONS),
):
    _caller.__kwdefaults__["timeout"] = HTTP_TIMEOUT

#: httpx reads the certificates of all authorities for each client, which takes longer than most tests.
_DEFAULT_SSL_CONTEXT = httpx.create_ssl_context(trust_env=False)


def _create_ssl_context(verify: Any = True, cert: Any = None, trust_env: bool = True) -> ssl.SSLContext:
    names_authorities = trust_env and (os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR"))
    if verify is True and cert is None and not names_authorities:
        return _DEFAULT_SSL_CONTEXT
    return httpx.create_ssl_context(verify, cert, trust_env)


httpx._transports.default.create_ssl_context = _create_ssl_context  # type: ignore[attr-defined]


@pytest.fixture(scope="session")
def _shared_server() -> Iterator[MockServer]:
    with MockServer() as server:
        yield server


@pytest.fixture
def api(_shared_server: MockServer) -> Iterator[ApiClient]:
    """A client of a server that is reset for each test; its requests may violate the contract."""
    _shared_server.reset()
    with httpx.Client(trust_env=False) as client:
        yield ApiClient(_shared_server, client)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis server of its own."""
    if PROGRAM is None:
        pytest.skip("neither redis-server nor valkey-server is installed")
    server = RedisServer(tmp_path)
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Headless Chromium."""
    program = find_chromium()
    if program is None:
        pytest.skip("chromium is not installed")
    with run_chromium(program, tmp_path_factory.mktemp("chromium")) as running:
        yield running
