"""The recorder and its judge: what they let pass, and above all what they do not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import recording
from tests.asking import Asker
from tests.recording import Crossing

MODEL = "qwen3-max-2026-01-23"


@pytest.fixture
def crossing(asker: Asker) -> Callable[..., Crossing]:
    """A recording of what the server answers to a body."""

    def record(**members: object) -> Crossing:
        body = {"model": MODEL, "input": "hi", **members}
        reply = asker.post(body)
        return Crossing(
            "POST",
            "/v1/responses",
            json.dumps(body).encode(),
            reply.status_code,
            dict(reply.headers),
            reply.content,
            True,
        )

    return record


def test_a_good_crossing_passes(crossing: Callable[..., Crossing]) -> None:
    for members in ({}, {"stream": True}, {"model": "x"}):
        assert recording.judge(crossing(**members)) == []


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (b'"sequence_number":3', b'"sequence_number":9', "SEQ-"),
        (b"event:response.created", b"event:response.other", "SSE-001"),
        (b'"status":"completed"', b'"status":"done"', "SCH-001"),
        (b'"usage"', b'"usages"', "USE-004"),
    ],
)
def test_a_broken_stream_does_not(
    crossing: Callable[..., Crossing], old: bytes, new: bytes, told: str
) -> None:
    broken = crossing(stream=True)
    assert old in broken.body
    broken.body = broken.body.replace(old, new)
    assert any(told in problem for problem in recording.judge(broken))


def test_neither_do_a_broken_reply_a_wrong_id_or_a_defect(crossing: Callable[..., Crossing]) -> None:
    reply = crossing()
    reply.body = reply.body.replace(b'"total_tokens":', b'"total_tokens":1')
    assert any("USE-001" in problem for problem in recording.judge(reply))
    refusal = crossing(model="x")
    refusal.headers["x-request-id"] = "other"
    assert recording.judge(refusal)
    defect = crossing(model="x")
    defect.status = 500
    assert any("500" in problem for problem in recording.judge(defect))
    nameless = crossing()
    del nameless.headers["x-request-id"]
    assert any("x-request-id" in problem for problem in recording.judge(nameless))
    instead = crossing()
    instead.request = instead.request.replace(b"{", b'{"stream": true,', 1)
    assert any("stream" in problem for problem in recording.judge(instead))


def test_a_server_process_is_recorded_too(tmp_path: Path) -> None:
    program = (
        "import httpx\n"
        "from mockserver import MockServer\n"
        "with MockServer(seed=1) as server:\n"
        "    headers = {'authorization': 'Bearer sk-mock'}\n"
        f"    body = {{'model': '{MODEL}', 'input': 'hi', 'stream': True}}\n"
        "    httpx.post(server.base_url + '/responses', json=body, headers=headers)\n"
    )
    environment = {**os.environ, recording.SPOOL: str(tmp_path)}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)
    (crossing,) = recording.collect(tmp_path)
    assert (crossing.status, crossing.complete) == (200, True)
    assert crossing.body.startswith(b"id:1\n")
    assert recording.judge(crossing) == []
    assert recording.collect(tmp_path) == []
