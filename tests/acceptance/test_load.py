"""`mockserver serve --load`: no journal, no log, one write a stream."""

from __future__ import annotations

import gc
import json
import os
import re
import socket

import httpx
import pytest

from mockserver.cli.commands import group
from mockserver.cli.serve import serve
from mockserver.cli.services import build_services
from mockserver.contract.check import check_response, check_stream
from mockserver.server.http.app import App
from mockserver.server.http.threaded_server import ThreadedServer
from mockserver.server.state.journal import Entry
from mockserver.wire.sse import Decoder
from tests.acceptance.conftest import KEY, MODEL, ServerProcess, StartServer, wait_until


def admin(server: ServerProcess, path: str) -> tuple[int, dict[str, object]]:
    match = re.search(r"x-mock-admin-token: (\S+)", server.stdout_text)
    assert match is not None
    reply = server.client.get(f"{server.root_url}/_mock{path}", headers={"x-mock-admin-token": match[1]})
    return reply.status_code, reply.json()


def chunk_count(server: ServerProcess) -> int:
    """How many chunks a stream has on the wire."""
    body = json.dumps({"model": MODEL, "input": "Hello", "stream": True}).encode()
    path = httpx.URL(server.base_url).path
    head = (
        f"POST {path}/responses HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {KEY}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    with socket.create_connection(server.address) as client:
        client.sendall(head.encode() + body)
        with client.makefile("rb") as received:
            reply = received.read()
    return len(re.findall(rb"(?:^|\r\n)[0-9a-f]+\r\n", reply.partition(b"\r\n\r\n")[2])) - 1


def test_replies_are_valid_and_nothing_is_kept(start_server: StartServer) -> None:
    server = start_server("--load", "--admin")
    assert "workers" not in server.stdout_text  # the admin API is of one process
    profile = "qwen-2026-01"
    for number in range(20):
        reply = server.create(f"Hello {number}")
        assert check_response(reply.json(), profile=profile) == []
        stream = server.create(f"Hello {number}", stream=True)
        events = [json.loads(each.data or "") for each in Decoder().feed(stream.content)]
        assert check_stream(events, profile=profile) == []
        assert events[-1]["type"] == "response.completed"
    assert server.create("Hello", temperature="hot").status_code == 400
    first = server.create("Hello").json()["id"]
    assert server.create("And then?", previous_response_id=first).status_code == 200
    assert server.client.post(f"{server.root_url}/s/alice/v1/responses", json={}).status_code == 400

    status, journal = admin(server, "/journal")
    assert status == 400
    assert "the server keeps no journal: it was started with --load" in str(journal)
    for session in ("default", "alice"):
        status, verdict = admin(server, f"/sessions/{session}/verdict")
        assert (status, verdict["verdict"], verdict["requests"]) == (200, "unchecked", 0)
        assert verdict["unchecked"] == ["all requests, because the server keeps no journal"]
    assert server.stop() in (0, -15)
    assert server.stderr_text == ""


@pytest.mark.parametrize(
    ("options", "is_one_write"),
    [
        (["--load"], True),
        (["--load", "--chunking", "event"], False),
        (["--load", "--pace", "fixed:1"], False),
    ],
)
def test_a_stream_is_one_write_unless_its_speed_matters(
    options: list[str], is_one_write: bool, start_server: StartServer
) -> None:
    server = start_server(*options)
    assert (chunk_count(server) == 1) is is_one_write
    cores = len(os.sched_getaffinity(0))
    assert (f"  workers    {cores}\n" in server.stdout_text) is (cores > 1)


def count_entries() -> int:
    """The journal entries in memory that are of this module's client."""
    gc.collect()
    entries = [each for each in gc.get_objects() if isinstance(each, Entry)]
    return sum(each.request_head.authorization == f"Bearer {KEY}".encode() for each in entries)


def test_no_entry_stays_in_memory() -> None:
    settings = serve.make_context("serve", ["--load", "--seed", "1"], **group.context_settings).params
    services = build_services((), quiet=False, **{key: settings[key] for key in settings if key != "quiet"})
    server = ThreadedServer(App(services))
    server.start()
    try:
        with httpx.Client(headers={"authorization": f"Bearer {KEY}"}) as client:
            for number in range(30):
                body = {"model": MODEL, "input": str(number), "stream": number % 2 == 0}
                assert client.post(f"{server.url}/v1/responses", json=body).status_code == 200
        # That of the latest request on the connection stays; the one before it ends just after its reply.
        wait_until(lambda: count_entries() <= 1, "no entry but the latest one")
    finally:
        server.stop()
    assert len(services.default_session.journal) == 0
