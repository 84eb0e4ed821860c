"""Other mock servers, installed by npm from the lock beside this file and set up to send our replies."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["AIMOCK", "AIMOCK_EVENT_BY_EVENT", "MOCKOON", "PEERS", "PRISM", "Peer", "Sample", "install_peers"]

_DEFINITION = Path(__file__).resolve().parent
#: Ignored by git, like the environments of the tests.
_FOLDER = _DEFINITION.parent.parent / ".environments" / "peers"

#: By its path: another package has a command of the same name.
_AIMOCK_SCRIPT = str(_FOLDER / "node_modules" / "@copilotkit" / "aimock" / "dist" / "cli.js")


@dataclass(frozen=True, slots=True)
class Sample:
    """What a peer is to answer: the text of a prompt, and the reply that has it."""

    prompt: str
    text: str
    delta_count: int
    reply: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Peer:
    """A mock server: what it can answer, and the command that starts it."""

    package: str
    kinds: tuple[str, ...]
    """The kinds of requests to the Responses API that it answers."""
    command: Callable[[Path, int, dict[str, Sample]], list[str]]
    """From a folder for its configuration, the port and the samples by kind."""
    lacks: str = ""
    """What it cannot answer, in a few words."""
    options: tuple[str, ...] = ()
    """Further arguments of the command."""

    @property
    def title(self) -> str:
        """The package and its options, for people."""
        return " ".join([self.package, *self.options])

    @property
    def name(self) -> str:
        """The title as the name of a file."""
        return self.title.removeprefix("@").replace("/", "-").replace(" ", "-")

    @property
    def version(self) -> str:
        dependencies: dict[str, str] = json.loads((_DEFINITION / "package.json").read_text())["dependencies"]
        return dependencies[self.package]


def install_peers() -> None:
    """Install the locked versions unless they are there."""
    lock = _DEFINITION / "package-lock.json"
    stamp = _FOLDER / "package-lock.json"
    if stamp.exists() and stamp.read_bytes() == lock.read_bytes() and (_FOLDER / "node_modules").exists():
        return
    if shutil.which("npm") is None:
        raise SystemExit("--peers needs Node and npm")
    _FOLDER.mkdir(parents=True, exist_ok=True)
    shutil.copy(_DEFINITION / "package.json", _FOLDER)
    shutil.copy(lock, _FOLDER)
    npm = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]
    subprocess.run(npm, cwd=_FOLDER, check=True, stdout=subprocess.DEVNULL)


def _program(name: str) -> str:
    return str(_FOLDER / "node_modules" / ".bin" / name)


def _write_json(file: Path, value: Any) -> str:
    file.write_text(json.dumps(value))
    return str(file)


def _aimock(folder: Path, port: int, samples: dict[str, Sample]) -> list[str]:
    fixtures = [
        {"match": {"userMessage": each.prompt}, "response": {"content": each.text}}
        for each in samples.values()
    ]
    file = _write_json(folder / "aimock.json", {"fixtures": fixtures})
    stream = samples["stream"]
    # As many deltas as ours.
    size = max(1, round(len(stream.text) / stream.delta_count))
    return ["node", _AIMOCK_SCRIPT, "--port", str(port), "--fixtures", file, "--chunk-size", str(size)]


def _mockoon(folder: Path, port: int, samples: dict[str, Sample]) -> list[str]:
    response = {
        "uuid": "r",
        "body": json.dumps(samples["reply"].reply),
        "statusCode": 200,
        "headers": [{"key": "content-type", "value": "application/json"}],
        "default": True,
        "bodyType": "INLINE",
        "disableTemplating": True,
    }
    route = {
        "uuid": "t",
        "type": "http",
        "method": "post",
        "endpoint": "v1/responses",
        "responses": [response],
    }
    environment = {
        "uuid": "e",
        "lastMigration": 33,
        "name": "responses",
        "port": port,
        "hostname": "127.0.0.1",
        "routes": [route],
        "rootChildren": [{"type": "route", "uuid": "t"}],
    }
    file = _write_json(folder / "mockoon.json", environment)
    return [
        _program("mockoon-cli"),
        "start",
        "--data",
        file,
        "--port",
        str(port),
        "--disable-log-to-file",
        "--repair",
    ]


def _prism(folder: Path, port: int, samples: dict[str, Sample]) -> list[str]:
    content = {"application/json": {"example": samples["reply"].reply}}
    body = {"content": {"application/json": {"schema": {"type": "object"}}}}
    operation = {"requestBody": body, "responses": {"200": {"description": "", "content": content}}}
    document = {
        "openapi": "3.0.3",
        "info": {"title": "Responses", "version": "1"},
        "paths": {"/v1/responses": {"post": operation}},
    }
    file = _write_json(folder / "prism.json", document)
    return [
        _program("prism"),
        "mock",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--verboseLevel",
        "silent",
        file,
    ]


#: Without a latency it sends all events of a stream with one system call: Node collects what is written in one turn of
#: its event loop.
AIMOCK = Peer("@copilotkit/aimock", ("reply", "stream"), _aimock)
#: With its shortest pause, in ms, it sends each event with a system call of its own.
AIMOCK_EVENT_BY_EVENT = Peer("@copilotkit/aimock", ("stream",), _aimock, options=("--latency", "1"))
MOCKOON = Peer("@mockoon/cli", ("reply",), _mockoon, "no event streams; sends one body for every request")
PRISM = Peer(
    "@stoplight/prism-cli", ("reply",), _prism, "no event streams; sends the example of an OpenAPI document"
)
PEERS = (
    AIMOCK,
    AIMOCK_EVENT_BY_EVENT,
    MOCKOON,
    PRISM,
    Peer("llmock", (), lambda *_: [], "it has Chat Completions, but no Responses API"),
)
