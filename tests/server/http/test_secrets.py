"""Secrets: a key sent anywhere is found nowhere."""

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

#: One that has the form of the service's keys, one that has not.
CANARIES = ("sk-canary-0123456789abcdef", "Xq7CanaryWithoutForm9z")
GOOD = {"model": "qwen3-max-2026-01-23", "input": "hi"}


class Watched:
    """A server that accepts one canary as its key, and everything it writes."""

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

    def told(self) -> str:
        """Everything that the server wrote or would show."""
        self.services.access_log.flush()
        journal = self.services.default_session.journal
        entries = "".join(f"{entry!r}{entry.headers}{entry.path}{entry.detail}" for entry in journal)
        health = httpx.get(f"{self.server.url}/health", trust_env=False).text
        return f"{self.log.getvalue()}{entries}{health}{self.services.keys!r}{self.server!r}"


@pytest.fixture(params=CANARIES)
def canary(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def watched(canary: str) -> Iterator[Watched]:
    watched = Watched(canary)
    watched.server.start()
    yield watched
    watched.server.stop()


def test_wherever_it_is_sent_it_is_not_told(
    watched: Watched, canary: str, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    bearer = f"Bearer {canary}"
    replies = [
        watched.post(authorization=bearer),
        watched.post({**GOOD, "stream": True}, authorization=bearer),
        watched.post(authorization=f"Basic {canary}"),
        watched.post(authorization=f"{bearer}-but-wrong"),
        watched.post({**GOOD, "input": f"my key is {canary}, keep it"}, authorization=bearer),
        watched.post({**GOOD, "model": canary}, authorization=bearer),
        watched.post({**GOOD, "previous_response_id": canary}, authorization=bearer),
        watched.post({**GOOD, canary: canary}, authorization=bearer),
        watched.post({**GOOD, "temperature": canary}, authorization=bearer),
        watched.post({**GOOD, "input": [{"role": canary, "content": "x"}]}, authorization=bearer),
        watched.post({**GOOD, "tools": [{"type": "function", "name": f"{canary} x"}]}, authorization=bearer),
        watched.post(path=f"/v1/responses?key={canary}", authorization=bearer),
        watched.post(path=f"/v1/{canary}", authorization=bearer),
        watched.post(path=f"/v1/{canary}"),
        watched.post(authorization=bearer, **{"user-agent": canary, "x-api-key": canary, "accept": canary}),
        watched.post(authorization=bearer, **{"content-type": canary}),
        watched.post(authorization=bearer, **{"cookie": canary, "referer": canary, canary: "1"}),
        watched.post(authorization=bearer, host=canary),
        watched.post(authorization=bearer, origin=f"http://{canary}"),
    ]
    assert {reply.status_code for reply in replies} == {200, 400, 401, 403, 404}
    refusals = [reply.text for reply in replies if reply.status_code >= 400]
    assert canary not in "".join(refusals)
    assert canary not in watched.told()
    assert canary not in "".join(capfd.readouterr())
    ours = [record for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]
    assert canary not in "".join(f"{record.name}{record.getMessage()}{record.exc_info}" for record in ours)
    assert len(watched.services.default_session.journal) == len(replies)


def test_a_defect_of_our_own_tells_no_key_either(
    watched: Watched, canary: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken(*arguments: object) -> None:
        raise RuntimeError(f"{arguments} {canary}")

    monkeypatch.setattr(pipeline, "parse_request", broken)
    monkeypatch.setattr("tests.traffic_recorder.judge", lambda _: [])  # a 500, on purpose
    reply = watched.post(authorization=f"Bearer {canary}")
    assert (reply.status_code, reply.json()["code"]) == (500, "InternalError")
    assert "internal error: RuntimeError in broken:" in watched.told()
    assert canary not in watched.told() + reply.text + "".join(capfd.readouterr())
