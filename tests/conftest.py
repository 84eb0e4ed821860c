"""Fixtures that tests of several rooms share."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from mockserver.testing.mock import MockServer
from tests.asking import Asker


@pytest.fixture
def asker(responses_server: MockServer) -> Iterator[Asker]:
    """Asks the test's server."""
    with httpx.Client(trust_env=False) as client:
        yield Asker(responses_server, client)
