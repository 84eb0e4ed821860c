"""Fixtures for tests of the ages after January."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from mockserver.testing.mock import MockServer
from tests.api_client import ApiClient

LATER = ("qwen-2026-05", "qwen-2026-09")


@pytest.fixture(scope="session")
def _later_servers() -> Iterator[dict[str, MockServer]]:
    servers = {name: MockServer(profile=name, strict=False).start() for name in LATER}
    yield servers
    for server in servers.values():
        server.stop()


@pytest.fixture(params=LATER)
def later(request: pytest.FixtureRequest, _later_servers: dict[str, MockServer]) -> Iterator[ApiClient]:
    """Asks a server of each age after January."""
    server = _later_servers[request.param]
    server.reset()
    with httpx.Client(trust_env=False) as client:
        yield ApiClient(server, client)


@pytest.fixture
def newest(_later_servers: dict[str, MockServer]) -> Iterator[ApiClient]:
    """Asks a server of the newest age."""
    server = _later_servers[LATER[-1]]
    server.reset()
    with httpx.Client(trust_env=False) as client:
        yield ApiClient(server, client)
