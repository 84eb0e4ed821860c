"""Fixtures that tests of several rooms share."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from mockserver.testing.mock import MockServer
from tests.asking import Asker


@pytest.fixture(scope="session")
def _asked_server() -> Iterator[MockServer]:
    with MockServer() as server:
        yield server


@pytest.fixture
def asker(_asked_server: MockServer) -> Iterator[Asker]:
    """Asks a server that is as new in each test; what it asks may break the contract, as it often does."""
    _asked_server.reset()
    with httpx.Client(trust_env=False) as client:
        yield Asker(_asked_server, client)
