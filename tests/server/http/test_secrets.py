"""Secrets: a key appears nowhere, wherever a request contains it."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from mockserver.server.access import ApiKeys
from mockserver.server.engine import pipeline
from mockserver.server.http.access_log import AccessLog
from mockserver.server.http.app import App
from mockserver.server.http.services import Services
from mockserver.server.http.threaded_server import ThreadedServer
from mockserver.server.state.sessions import open_session

#: One has the form of the service's keys, the other does not.
CANARIES = ("sk-canary-0123456789abcdef", "Xq7CanaryWithoutForm9z")
GOOD = {"model": "qwen3-max-2026-01-23", "input": "hi"}


class ObservedServer:
    """A server that accepts one key, and everything that it writes."""

    def __init__(self, key: str) -> None:
        self.log = io.StringIO()
        self.services = Services(
            default_session=open_session(profile="qwen-2026-01"),
            keys=ApiKeys([key]),
            access_log=AccessLog(self.log),
        )
        self.server = ThreadedServer(App(self.services))

    def post(self, body: Any = GOOD, path: str = "/v1/responses", **headers: str) -> httpx.Response:
        return httpx.post(self.server.url + path, json=body, headers=headers, trust_env=False)

    def output(self) -> str:
        """Everything that the server wrote or shows."""
        self.services.access_log.flush()
        journal = self.services.default_session.journal
        entries = "".join(f"{entry!r}{entry.headers}{entry.path}{entry.detail}" for entry in journal)
        health = httpx.get(f"{self.server.url}/health", trust_env=False).text
        return f"{self.log.getvalue()}{entries}{health}{self.services.keys!r}{self.server!r}"


@pytest.fixture(params=CANARIES)
def canary(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def observed(canary: str) -> Iterator[ObservedServer]:
    observed = ObservedServer(canary)
    observed.server.start()
    yield observed
    observed.server.stop()


def test_key_appears_nowhere_wherever_it_is_sent(
    observed: ObservedServer, canary: str, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    bearer = f"Bearer {canary}"
    replies = [
        observed.post(authorization=bearer),
        observed.post({**GOOD, "stream": True}, authorization=bearer),
        observed.post(authorization=f"Basic {canary}"),
        observed.post(authorization=f"{bearer}-but-wrong"),
        observed.post({**GOOD, "input": f"my key is {canary}, keep it"}, authorization=bearer),
        observed.post({**GOOD, "model": canary}, authorization=bearer),
        observed.post({**GOOD, "previous_response_id": canary}, authorization=bearer),
        observed.post({**GOOD, canary: canary}, authorization=bearer),
        observed.post({**GOOD, "temperature": canary}, authorization=bearer),
        observed.post({**GOOD, "input": [{"role": canary, "content": "x"}]}, authorization=bearer),
        observed.post({**GOOD, "tools": [{"type": "function", "name": f"{canary} x"}]}, authorization=bearer),
        observed.post(path=f"/v1/responses?key={canary}", authorization=bearer),
        observed.post(path=f"/v1/{canary}", authorization=bearer),
        observed.post(path=f"/v1/{canary}"),
        observed.post(authorization=bearer, **{"user-agent": canary, "x-api-key": canary, "accept": canary}),
        observed.post(authorization=bearer, **{"content-type": canary}),
        observed.post(authorization=bearer, **{"cookie": canary, "referer": canary, canary: "1"}),
        observed.post(authorization=bearer, host=canary),
        observed.post(authorization=bearer, origin=f"http://{canary}"),
    ]
    assert {reply.status_code for reply in replies} == {200, 400, 401, 403, 404}
    refusals = [reply.text for reply in replies if reply.status_code >= 400]
    assert canary not in "".join(refusals)
    assert canary not in observed.output()
    assert canary not in "".join(capfd.readouterr())
    ours = [record for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]
    assert canary not in "".join(f"{record.name}{record.getMessage()}{record.exc_info}" for record in ours)
    assert len(observed.services.default_session.journal) == len(replies)


def test_internal_error_reveals_no_key(
    observed: ObservedServer, canary: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def failing(*arguments: object) -> None:
        raise RuntimeError(f"{arguments} {canary}")

    monkeypatch.setattr(pipeline, "parse_request", failing)
    monkeypatch.setattr("tests.traffic_recorder.contract_problems", lambda _: [])  # a 500, on purpose
    reply = observed.post(authorization=f"Bearer {canary}")
    assert (reply.status_code, reply.json()["code"]) == (500, "InternalError")
    assert "internal error: RuntimeError in failing:" in observed.output()
    assert canary not in observed.output() + reply.text + "".join(capfd.readouterr())
