"""The pytest plugin: fixtures for tests of clients. Importing it imports only pytest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from mockserver.testing.mock import MockServer

__all__ = ["responses_server"]


@pytest.fixture(scope="session")
def _responses_session_server() -> Iterator[MockServer]:
    from mockserver.testing.mock import MockServer

    with MockServer() as server:
        yield server


@pytest.fixture
def responses_server(_responses_session_server: MockServer) -> MockServer:
    """A mock server on loopback, reset for each test.

    It has `.base_url`, `.api_key`, `.model`, `.reply("text")` and `.journal`.
    """
    _responses_session_server.reset()
    return _responses_session_server
