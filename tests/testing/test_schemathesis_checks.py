"""The contract as a Schemathesis check: it reports a broken endpoint and passes the mock server."""

from __future__ import annotations

import json
import os
import re
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from mockserver import MockServer
from mockserver.contract.openapi.document import openapi_document
from mockserver.profiles import load_profile
from mockserver.replies.mutants import break_rule
from mockserver.replies.script import message_script
from mockserver.testing.strategies.framing import encode_events
from mockserver.testing.strategies.rendered_replies import (
    ReplySpec,
    render_context,
    render_events,
    render_response,
)
from tests.programs import run_program

PROFILE = load_profile("qwen-2026-01")


class BrokenEndpoint(BaseHTTPRequestHandler):
    """An endpoint whose streams repeat a sequence number and which is otherwise correct."""

    document: ClassVar[bytes] = json.dumps(openapi_document(PROFILE, "3.1", PROFILE.models)).encode()

    def do_GET(self) -> None:
        self.send_body("application/json", self.document)

    def do_POST(self) -> None:
        request: Any = json.loads(self.rfile.read(int(self.headers["content-length"])))
        model = request["model"] if isinstance(request, dict) else ""
        reply = ReplySpec(message_script("Hello!"), model, 1769084048, "auto")
        context = render_context(PROFILE.name, "wire")
        if isinstance(request, dict) and request.get("stream") is True:
            events = break_rule("SEQ-003", "stream", render_events(reply, context))
            self.send_body("text/event-stream", b"".join(encode_events(events)))
        else:
            self.send_body("application/json", json.dumps(render_response(reply, context)).encode())

    def send_body(self, content_type: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Write no log to standard error."""


@pytest.fixture
def broken() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), BrokenEndpoint) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def run_schemathesis(root_url: str, folder: Path, key: str = "sk-mock") -> str:
    """Run Schemathesis with only our check; return its output."""
    environment = {
        **os.environ,
        "SCHEMATHESIS_HOOKS": "mockserver.testing.schemathesis_checks",
        "NO_PROXY": "*",
    }
    environment.pop("MOCKSERVER_TEST_SPOOL", None)
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{root_url}/openapi.json"]
    command += [
        "--checks",
        "responses_contract",
        "--phases",
        "fuzzing",
        "--max-examples",
        "100",
        "--seed",
        "1",
    ]
    command += ["--header", f"Authorization: Bearer {key}", "--no-color"]
    command += ["--generation-database", "none", "--mode", "positive"]
    done = run_program(command, folder, env=environment)
    return done.stdout + done.stderr


@pytest.mark.slow
def test_a_broken_stream_is_reported(broken: str, tmp_path: Path) -> None:
    printed = run_schemathesis(broken, tmp_path)

    assert "SEQ-003" in printed, printed
    assert set(re.findall("[A-Z]{3}-[0-9]{3}", printed)) == {"SEQ-003"}


@pytest.mark.slow
def test_the_mock_passes(tmp_path: Path) -> None:
    with MockServer(seed=1) as server:
        root = server.base_url.removesuffix(PROFILE.base_path)
        printed = run_schemathesis(root, tmp_path, server.api_key)

    assert "No issues found" in printed, printed
