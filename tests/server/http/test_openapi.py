"""`GET /openapi.json`."""

from __future__ import annotations

import httpx
import pytest

from mockserver import MockServer
from mockserver.contract.openapi.document import openapi_document
from mockserver.profiles import DEFAULT_PROFILE


def get(server: MockServer, query: str = "") -> httpx.Response:
    return httpx.get(f"{httpx.URL(server.base_url).join('/openapi.json')}{query}", trust_env=False)


@pytest.mark.parametrize("version", ["3.1", "3.2"])
def test_document_needs_no_key(version: str, responses_server: MockServer) -> None:
    reply = get(responses_server, f"?version={version}")
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "application/json"
    assert reply.json() == openapi_document(DEFAULT_PROFILE, version)


def test_latest_version_is_the_default(responses_server: MockServer) -> None:
    assert get(responses_server).json()["openapi"] == "3.2.0"


def test_unknown_version_is_rejected(responses_server: MockServer) -> None:
    reply = get(responses_server, "?version=2.0")
    assert reply.status_code == 400
    assert reply.json()["message"] == "version: unknown OpenAPI version 2.0; there are: 3.2, 3.1"
