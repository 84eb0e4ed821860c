"""Proxy variables: the mock is reached without a proxy, and messages say if a proxy is the likely reason."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from mockserver import assert_client_conforms
from mockserver.errors import ContractError
from mockserver.network import no_proxy_variables, proxy_variables
from mockserver.testing.mock import MockServer
from tests.acceptance.conftest import server_environment
from tests.programs import run_program

NOWHERE = "http://127.0.0.1:9"
PROXIES = {"HTTP_PROXY": NOWHERE, "http_proxy": NOWHERE, "ALL_PROXY": NOWHERE}


@pytest.fixture
def _proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """A company's proxy, which cannot reach this machine."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name, value in PROXIES.items():
        monkeypatch.setenv(name, value)


def test_no_proxy_is_merged_from_both_spellings() -> None:
    inherited = {"NO_PROXY": "intranet.example, localhost", "no_proxy": ".corp.example"}
    variables = no_proxy_variables(inherited, "http://192.0.2.7:8080/v1")
    assert variables["NO_PROXY"] == variables["no_proxy"]
    assert variables["NO_PROXY"] == "intranet.example,localhost,.corp.example,127.0.0.1,::1,192.0.2.7"


def test_empty_proxy_variables_do_not_count() -> None:
    assert proxy_variables({"HTTP_PROXY": "", "https_proxy": NOWHERE}) == ("https_proxy",)


@pytest.mark.usefixtures("_proxies")
def test_the_clients_of_a_server_use_no_proxy() -> None:
    with MockServer() as server:
        reply = server.httpx().post("/responses", json={"model": server.model, "input": "hi"})
    assert reply.status_code == 200


def ask_with_environment(base_url: str, api_key: str, model: str) -> str:
    with httpx.Client(headers={"authorization": f"Bearer {api_key}"}) as client:
        reply = client.post(f"{base_url}/responses", json={"model": model, "input": "hi"})
    reply.raise_for_status()
    value: dict[str, Any] = reply.json()
    if value["status"] != "completed":
        raise ValueError(value["status"])
    return "".join(
        part["text"] for item in value["output"] if item["type"] == "message" for part in item["content"]
    )


@pytest.mark.usefixtures("_proxies")
def test_conformance_reaches_the_mock_and_restores_the_environment() -> None:
    table = assert_client_conforms(ask_with_environment, examples=1, timeout=10, skip=["stalled"])
    assert table["text"].verdict == "yes"
    assert "NO_PROXY" not in os.environ


@pytest.mark.usefixtures("_proxies")
def test_conformance_names_the_proxy_of_a_client_that_cannot_be_helped() -> None:
    def through_proxy(base_url: str, api_key: str) -> str:
        with httpx.Client(proxy=NOWHERE) as client:
            return client.post(f"{base_url}/responses", headers={"authorization": api_key}).text

    with pytest.raises(ContractError, match="HTTP_PROXY, http_proxy, ALL_PROXY are set"):
        assert_client_conforms(through_proxy, examples=1)


def test_run_names_the_proxy_if_no_request_arrives(tmp_path: Path) -> None:
    done = run_program(
        [sys.executable, "-m", "mockserver", "run", "--", sys.executable, "-c", ""],
        tmp_path,
        env=server_environment(**PROXIES),
    )
    assert done.returncode == 1
    assert "no requests received" in done.stderr
    assert "ALL_PROXY are set" in done.stderr
