"""Fixtures that tests of several rooms share."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from mockserver.testing.mock import MockServer
from tests.api_client import ApiClient


@pytest.fixture(scope="session")
def _shared_server() -> Iterator[MockServer]:
    with MockServer() as server:
        yield server


@pytest.fixture
def api(_shared_server: MockServer) -> Iterator[ApiClient]:
    """Asks a server that is as new in each test; what it asks may break the contract, as it often does."""
    _shared_server.reset()
    with httpx.Client(trust_env=False) as client:
        yield ApiClient(_shared_server, client)
