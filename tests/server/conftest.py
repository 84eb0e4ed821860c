"""Clients of servers with the profiles after January 2026."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from mockserver.testing.mock import MockServer
from tests.api_client import ApiClient

LATER_PROFILES = ("qwen-2026-05", "qwen-2026-09")


@pytest.fixture(scope="session")
def _later_servers() -> Iterator[dict[str, MockServer]]:
    servers = {name: MockServer(profile=name, strict=False).start() for name in LATER_PROFILES}
    yield servers
    for server in servers.values():
        server.stop()


@pytest.fixture(params=LATER_PROFILES)
def later(request: pytest.FixtureRequest, _later_servers: dict[str, MockServer]) -> Iterator[ApiClient]:
    """A client of a server with each later profile."""
    server = _later_servers[request.param]
    server.reset()
    with httpx.Client(trust_env=False) as client:
        yield ApiClient(server, client)


@pytest.fixture
def newest(_later_servers: dict[str, MockServer]) -> Iterator[ApiClient]:
    """A client of a server with the latest profile."""
    server = _later_servers[LATER_PROFILES[-1]]
    server.reset()
    with httpx.Client(trust_env=False) as client:
        yield ApiClient(server, client)
