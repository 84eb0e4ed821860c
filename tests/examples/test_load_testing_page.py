"""The commands and scripts of `docs/load-testing.md`."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mockserver.cli.commands import group
from mockserver.cli.serve import serve
from mockserver.server.http import listeners
from mockserver.server.http.uvicorn_server import server as uvicorn_server
from mockserver.testing.mock import MockServer

PAGE = (Path(__file__).parent.parent.parent / "docs" / "load-testing.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^(?:\$ )?(mockserver serve(?:.*\\\n)*.*)$", PAGE, re.MULTILINE)


def block(language: str) -> str:
    (text,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return str(text)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_valid_options(command: str) -> None:
    arguments = shlex.split(command.replace("\\\n", " "))[2:]
    parsed = serve.make_context("serve", [*arguments], **group.context_settings)
    given = {each.partition("=")[0] for each in arguments if each.startswith("--")}
    names = {each.name for each in serve.params if given.intersection((*each.opts, *each.secondary_opts))}
    assert len(names) == len(given)
    assert all(parsed.params[str(name)] not in (None, ()) for name in names)


def test_wrk_gets_replies(tmp_path: Path) -> None:
    if shutil.which("wrk") is None:
        pytest.skip("wrk is not installed")
    (tmp_path / "stream.lua").write_text(block("lua"))
    with MockServer(api_key="sk-load-test", strict=False) as server:
        root = server.base_url.partition("/api/")[0]
        command: list[str | Path] = ["wrk", "-t1", "-c2", "-d1s", "-s", tmp_path / "stream.lua", root]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        assert " requests in " in done.stdout
        assert "Non-2xx" not in done.stdout
        assert "Socket errors" not in done.stdout
        assert server.journal.last.status == 200
        assert server.journal.last.stream


def test_the_request_of_k6_is_answered() -> None:
    (text,) = re.findall(r"JSON\.stringify\((\{.*?\})\)", block("js"))
    members = re.sub(r"(\w+):", r'"\1":', text).replace("input,", '"input": "Question 1 1",')
    with MockServer(output_tokens="max", strict=False) as server, server.httpx() as client:
        reply = client.post("/responses", json=json.loads(members))
        assert reply.status_code == 200
        assert "event:response.completed" in reply.text


def test_the_traced_server_is_made_of_what_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    """With stand-ins for OpenTelemetry, which is not installed for tests."""
    served: list[Any] = []

    class StandIn:
        def __init__(self, *arguments: Any, **_: Any) -> None:
            self.arguments = arguments

        def add_span_processor(self, _: Any) -> None:
            pass

    names = {
        "opentelemetry.instrumentation.asgi": ["OpenTelemetryMiddleware"],
        "opentelemetry.sdk.trace": ["TracerProvider"],
        "opentelemetry.sdk.trace.export": ["ConsoleSpanExporter", "SimpleSpanProcessor"],
    }
    for module, members in names.items():
        stand_in: Any = ModuleType(module)
        for member in members:
            setattr(stand_in, member, StandIn)
        monkeypatch.setitem(sys.modules, module, stand_in)
    monkeypatch.setattr(listeners, "bind_sockets", lambda *_: [])
    monkeypatch.setattr(uvicorn_server, "run_forever", lambda app, *_: served.append(app))
    exec(compile(block("py"), "traced.py", "exec"), {"__name__": "__main__"})  # noqa: S102
    (middleware,) = served
    assert callable(middleware.arguments[0])
