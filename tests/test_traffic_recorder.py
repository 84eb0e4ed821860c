"""The traffic recorder and its checks: what they accept and what they report."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import traffic_recorder
from tests.api_client import ApiClient
from tests.traffic_recorder import CapturedExchange

MODEL = "qwen3-max-2026-01-23"


@pytest.fixture
def capture(api: ApiClient) -> Callable[..., CapturedExchange]:
    """Capture the server's reply to a body."""

    def record(**members: object) -> CapturedExchange:
        body = {"model": MODEL, "input": "hi", **members}
        reply = api.post(body)
        return CapturedExchange(
            "POST",
            "/v1/responses",
            json.dumps(body).encode(),
            reply.status_code,
            dict(reply.headers),
            reply.content,
            True,
        )

    return record


def test_valid_traffic_has_no_problems(capture: Callable[..., CapturedExchange]) -> None:
    for members in ({}, {"stream": True}, {"model": "x"}):
        assert traffic_recorder.contract_problems(capture(**members)) == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b'"sequence_number":3', b'"sequence_number":9', "SEQ-"),
        (b"event:response.created", b"event:response.other", "SSE-001"),
        (b'"status":"completed"', b'"status":"done"', "SCH-001"),
        (b'"usage"', b'"usages"', "USE-004"),
    ],
)
def test_a_broken_stream_is_reported(
    capture: Callable[..., CapturedExchange], old: bytes, new: bytes, message: str
) -> None:
    broken = capture(stream=True)
    assert old in broken.body
    broken.body = broken.body.replace(old, new)
    assert any(message in problem for problem in traffic_recorder.contract_problems(broken))


def test_broken_replies_wrong_ids_and_server_errors_are_reported(
    capture: Callable[..., CapturedExchange],
) -> None:
    reply = capture()
    reply.body = reply.body.replace(b'"total_tokens":', b'"total_tokens":1')
    assert any("USE-001" in problem for problem in traffic_recorder.contract_problems(reply))
    refusal = capture(model="x")
    refusal.headers["x-request-id"] = "other"
    assert traffic_recorder.contract_problems(refusal)
    defect = capture(model="x")
    defect.status = 500
    assert any("500" in problem for problem in traffic_recorder.contract_problems(defect))
    nameless = capture()
    del nameless.headers["x-request-id"]
    assert any("x-request-id" in problem for problem in traffic_recorder.contract_problems(nameless))
    instead = capture()
    instead.request = instead.request.replace(b"{", b'{"stream": true,', 1)
    assert any("stream" in problem for problem in traffic_recorder.contract_problems(instead))


def test_a_server_process_is_recorded(tmp_path: Path) -> None:
    program = (
        "import httpx\n"
        "from mockserver import MockServer\n"
        "with MockServer(seed=1) as server:\n"
        "    headers = {'authorization': 'Bearer sk-mock'}\n"
        f"    body = {{'model': '{MODEL}', 'input': 'hi', 'stream': True}}\n"
        "    with httpx.Client() as client:\n"
        "        for _ in range(3):\n"
        "            client.post(server.base_url + '/responses', json=body, headers=headers)\n"
    )
    environment = {**os.environ, traffic_recorder.SPOOL_VARIABLE: str(tmp_path)}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)
    exchanges = traffic_recorder.read_spool(tmp_path)
    assert len(exchanges) == 3, "the server answers requests directly if it knows their head"
    for exchange in exchanges:
        assert (exchange.status, exchange.is_complete) == (200, True)
        assert exchange.headers["content-type"] == "text/event-stream;charset=UTF-8"
        assert exchange.body.startswith(b"id:1\n")
        assert traffic_recorder.contract_problems(exchange) == []
    assert traffic_recorder.read_spool(tmp_path) == []


def test_a_line_that_a_killed_process_did_not_finish_is_no_exchange(tmp_path: Path) -> None:
    line = CapturedExchange("POST", "/responses").to_line()
    (tmp_path / "1.jsonl").write_text(f"{line}\n{line[:20]}")
    assert [each.path for each in traffic_recorder.read_spool(tmp_path)] == ["/responses"]
