"""A client reads the pieces of a reply separately, however late it reads."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from mockserver.server.delivery.steps import Send
from mockserver.testing.fuzzing.case_plan import CasePlan
from mockserver.testing.fuzzing.case_replies import render_case
from mockserver.testing.fuzzing.case_server import CaseRun, CaseServer
from mockserver.testing.fuzzing.separate_reads import can_count_unread_bytes
from mockserver.wire import json

#: Longer than the pauses of a reply.
LATE_SECONDS = 0.25


def request_body() -> bytes:
    return json.dumps({"model": "qwen3-max-2026-01-23", "input": "a", "stream": True})


def read_late(case: CaseRun, api_key: str) -> Iterator[bytes]:
    """The body of a reply, read by read, of which the first comes late."""
    url = urlsplit(case.base_url)
    body = request_body()
    head = (
        f"POST {url.path}/responses HTTP/1.1\r\nhost: {url.netloc}\r\nauthorization: Bearer {api_key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    assert url.port is not None
    with socket.create_connection(("127.0.0.1", url.port), timeout=30) as connection:
        connection.sendall(head.encode() + body)
        time.sleep(LATE_SECONDS)
        data = connection.recv(65_536)
        while data:
            yield data.partition(b"\r\n\r\n")[2] if data.startswith(b"HTTP/") else data
            data = connection.recv(65_536)


@pytest.mark.skipif(not can_count_unread_bytes(), reason="the system does not tell what is not read yet")
@pytest.mark.parametrize("cut", ["apart", "lines"])
def test_a_late_client_reads_each_piece_separately(cut: str) -> None:
    plan = CasePlan(cut=cut)
    with CaseServer() as server, server.open_case(plan) as case:
        reads = [each.removesuffix(b"0\r\n\r\n") for each in read_late(case, server.api_key)]
        steps = render_case(plan, server.context, json.loads(request_body())).steps

    sent = [b"%x\r\n%b\r\n" % (len(step.data), step.data) for step in steps if isinstance(step, Send)]
    assert [each for each in reads if each] == sent
