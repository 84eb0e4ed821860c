"""Recorded requests of eight real clients get the status that the service would give them.

Recorded on 22 November 2026 without keys, long texts and paths; each file names client and version. The ids of
earlier responses are replaced by live ones.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api_client import ApiClient

FOLDER = Path(__file__).parent.parent.parent / "data" / "captured"
NEED_THINKING = {"web_extractor", "code_interpreter"}


@dataclass(frozen=True)
class Captured:
    """One recorded request."""

    client: str
    scenario: str
    method: str
    path: str
    headers: dict[str, str]
    body: Any

    @property
    def expected(self) -> set[int]:
        """The possible statuses in the profile of January 2026."""
        if self.method != "POST":
            return {404, 405}  # retrieve, delete and input_items belong to later profiles
        if self.scenario == "err_auth":
            return {401}
        if self.scenario.startswith("err_"):
            return {400}
        tools = {tool["type"] for tool in self.body.get("tools") or ()}
        thinks = self.body.get("enable_thinking") is True
        return {400} if tools & NEED_THINKING and not thinks else {200}


def load(file: Path) -> Captured:
    document = json.loads(file.read_text(encoding="utf-8"))
    return Captured(
        document["client"],
        document["scenario"],
        document["method"],
        document["path"],
        document["headers"],
        document.get("body"),
    )


def scenarios() -> list[list[Captured]]:
    """The requests of each scenario, in order."""
    files = sorted(FOLDER.glob("*/*.json"))
    grouped = groupby(files, key=lambda file: (file.parent.name, file.stem.rpartition("-")[0]))
    return [[load(file) for file in group] for _, group in grouped]


SCENARIOS = scenarios()


def output_items(reply: httpx.Response) -> list[dict[str, Any]]:
    """The output of a successful reply, streamed or not."""
    if reply.headers["content-type"].startswith("text/event-stream"):
        last = [line for line in reply.text.splitlines() if line.startswith("data:")][-1]
        response = json.loads(last[5:])["response"]
    else:
        response = reply.json()
    items: list[dict[str, Any]] = response["output"]
    return items


def with_live_ids(body: dict[str, Any], previous: str, calls: list[str]) -> dict[str, Any]:
    """A recorded body that continues a live response, with the call ids of that response."""
    body = {**body, "previous_response_id": previous}
    live = iter(calls)
    if isinstance(body["input"], list):
        body["input"] = [
            {**item, "call_id": next(live)} if item.get("type") == "function_call_output" else item
            for item in body["input"]
        ]
    return body


def send(api: ApiClient, request: Captured, previous: str | None, calls: list[str]) -> httpx.Response:
    """Send a request as its client did, with live ids of the turn before."""
    body = request.body
    if isinstance(body, dict) and body.get("previous_response_id") and request.scenario != "err_prev":
        body = with_live_ids(body, previous or api.create("before")["id"], calls)
    key = "sk-wrong" if request.scenario == "err_auth" else api.server.api_key
    dropped = ("host", "content-length", "authorization", "accept-encoding", "connection")
    headers = {name: value for name, value in request.headers.items() if name not in dropped}
    return api.client.request(
        request.method,
        request.path.replace("{base}", api.server.base_url),
        content=None if body is None else json.dumps(body).encode(),
        headers={**headers, "authorization": f"Bearer {key}"},
    )


def call_ids(reply: httpx.Response) -> list[str]:
    return [item["call_id"] for item in output_items(reply) if item["type"] == "function_call"]


def test_requests_come_from_eight_clients() -> None:
    requests = [request for scenario in SCENARIOS for request in scenario]
    assert len({request.client for request in requests}) == 8
    assert len(requests) >= 134


@pytest.mark.parametrize(
    "scenario", SCENARIOS, ids=[f"{each[0].client}-{each[0].scenario}" for each in SCENARIOS]
)
def test_scenario_gets_its_statuses_in_later_profiles(scenario: list[Captured], later: ApiClient) -> None:
    """These profiles also have retrieve, delete and input_items."""
    previous, calls = later.create("before")["id"], list[str]()
    for request in scenario:
        path = re.sub(r"(?<=/responses/)[^/?]+", previous, request.path)
        reply = send(later, replace(request, path=path), previous, calls)
        expected = 200
        if request.scenario.startswith("err_"):
            expected = 401 if request.scenario == "err_auth" else 400
        if request.scenario.startswith("err_model") and request.body.get("stream"):
            expected = 200
            assert "event:response.failed" in reply.text
        tools = {tool["type"] for tool in (request.body or {}).get("tools") or ()}
        if tools & NEED_THINKING and (request.body or {}).get("enable_thinking") is not True:
            expected = 400
        assert reply.status_code == expected, (request.method, path, reply.text)
        if request.method == "POST" and reply.status_code == 200:
            streamed = request.body.get("stream")
            previous = f"resp_{reply.headers['x-request-id']}" if streamed else reply.json()["id"]
            calls = call_ids(reply)


@pytest.mark.parametrize(
    "scenario", SCENARIOS, ids=[f"{each[0].client}-{each[0].scenario}" for each in SCENARIOS]
)
def test_scenario_gets_its_statuses_in_january(scenario: list[Captured], api: ApiClient) -> None:
    previous, calls = None, list[str]()
    for request in scenario:
        reply = send(api, request, previous, calls)
        assert reply.status_code in request.expected, reply.text
        if reply.status_code >= 400:
            assert set(reply.json()) == {"code", "message", "request_id"}
            continue
        calls = call_ids(reply)
        if request.body.get("stream"):
            assert reply.headers["content-type"].startswith("text/event-stream")
            previous = reply.headers["x-request-id"]
        else:
            previous = reply.json()["id"]
