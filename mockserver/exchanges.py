"""The exchange file format: a request and its reply as JSON, as in `fixtures/`.

    {"format": 1, "name", "source", "profile", "request", "match": {…},
     "reply": {script | error | body | http}, "shown": {…}}

`schemas/exchange.json` describes the format, and every file is validated against it when it is loaded.
A file holds one exchange or an array of them. `match.after` links a turn to the one before; `shown` is the
literal sample from the source, checked as far as it goes; `recorded` says how a recording was made.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs

from mockserver import resources
from mockserver.errors import InvalidExchange, InvalidJSON
from mockserver.wire import json

__all__ = [
    "DocumentedSample",
    "Exchange",
    "Match",
    "RecordingMetadata",
    "decode_content",
    "load_exchange_folder",
    "packaged_exchanges",
    "parse_exchange",
    "parse_exchanges",
    "recorded_chunks",
]


@dataclass(frozen=True, slots=True)
class Match:
    """The condition under which an exchange answers; None: no condition."""

    prompt: str | None = None
    tools: frozenset[str] | None = frozenset()
    """The request declares exactly these types. None: any, which is the default if the exchange has `tool`,
    `tool_output` or `json_subset`."""
    thinking: bool | None = None
    """None: the profile's default."""
    stream: bool | None = None
    after: str | None = None
    contains: str | None = None
    ignore_case: bool = False
    instructions: str | None = None
    model: str | None = None
    tool: str | None = None
    tool_output: str | None = None
    turn: int | None = None
    header: Mapping[str, str] | None = None
    json_subset: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class DocumentedSample:
    """A literal sample from the source."""

    kind: str
    """"response" or "stream"."""
    trimmed: bool
    body: Any
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class RecordingMetadata:
    """How a recording was made."""

    at: str
    """When the request arrived: "2026-11-25T16:30:00.123456Z"."""
    method: str
    path: str
    """The path below the base URL, with the query."""
    end: str
    """"complete"; "cut": the endpoint broke the reply off; "left": the client disconnected early."""
    upstream: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    """The request's body if it is not a JSON object."""
    head_ms: float = 0
    end_ms: float = 0
    masked: tuple[str, ...] = ()
    tool: str = ""

    @property
    def is_create_request(self) -> bool:
        """Whether the request creates a response."""
        return self.method == "POST" and self.path.partition("?")[0] == "/responses"


@dataclass(frozen=True, slots=True)
class Exchange:
    """A stub from a file; `reply` has exactly one member: script, error, body or http."""

    name: str
    match: Match
    reply: Mapping[str, Any]
    source: str = ""
    profile: str | None = None
    request: Mapping[str, Any] | None = None
    shown: DocumentedSample | None = None
    delivery: Mapping[str, str] | None = None
    """Options for sending the reply: `fault`, `pace`, `chunking`."""
    times: int | None = None
    """How often it answers; None: not given in the file."""
    always: bool = False
    """Whether the file has `"times": "always"`, which matters if the default is once."""
    scenario: str | None = None
    """The scenario this exchange is a step of; it answers only requests that name the scenario."""
    file: str = ""
    """The file it was read from."""
    pointer: str = ""
    """JSON Pointer to the exchange, if the file holds an array."""
    recorded: RecordingMetadata | None = None
    """None: written by hand."""

    @property
    def location(self) -> str:
        """What error messages call this exchange."""
        return self.file or f"the exchange {self.name}"


def parse_exchange(data: bytes, file: str) -> Exchange:
    """Parse one exchange. Raises InvalidExchange with the file and the JSON Pointer."""
    return _build_exchange(_parse_json(data, file), file, "")


def parse_exchanges(data: bytes, file: str) -> tuple[Exchange, ...]:
    """Parse a file that holds one exchange or an array of them. Raises InvalidExchange."""
    value = _parse_json(data, file)
    if not isinstance(value, list):
        return (_build_exchange(value, file, ""),)
    return tuple(_build_exchange(each, file, f"/{index}") for index, each in enumerate(value))


def _parse_json(data: bytes, file: str) -> Any:
    try:
        return json.loads(data)
    except InvalidJSON as error:
        raise InvalidExchange(file, "", f"not JSON: {error}") from None


def _build_exchange(value: Any, file: str, base_pointer: str) -> Exchange:
    for problem in _validator().iter_errors(value):
        pointer = json.format_pointer(problem.instance_path)
        raise InvalidExchange(file, base_pointer + pointer, problem.message)
    _require_valid_base64(value, file, base_pointer)
    match = value["match"]
    shown = value.get("shown")
    return Exchange(
        name=value["name"],
        match=Match(**{**match, "tools": _required_tool_types(match)}),
        reply=value["reply"],
        source=value.get("source", ""),
        profile=value.get("profile"),
        request=value.get("request"),
        shown=DocumentedSample(**shown) if shown else None,
        delivery=value.get("delivery"),
        times=None if value.get("times") == "always" else value.get("times"),
        always=value.get("times") == "always",
        scenario=value.get("scenario"),
        file=file,
        pointer=base_pointer,
        recorded=_build_recording_metadata(value["recorded"]) if "recorded" in value else None,
    )


def _build_recording_metadata(members: Mapping[str, Any]) -> RecordingMetadata:
    body = decode_content(members["body"]) if "body" in members else None
    return RecordingMetadata(**{**members, "body": body, "masked": tuple(members.get("masked", ()))})


def _require_valid_base64(value: Mapping[str, Any], file: str, base_pointer: str) -> None:
    # The schema's pattern cannot tell whether the padding is right.
    chunks = value["reply"].get("http", {}).get("chunks", ())
    parts = [(f"/reply/http/chunks/{number}", chunk) for number, chunk in enumerate(chunks)]
    if body := value.get("recorded", {}).get("body"):
        parts.append(("/recorded/body", body))
    for pointer, part in parts:
        try:
            decode_content(part)
        except (binascii.Error, UnicodeEncodeError) as error:
            raise InvalidExchange(file, base_pointer + pointer, f"cannot be decoded: {error}") from None


def _required_tool_types(match: Mapping[str, Any]) -> frozenset[str] | None:
    if "tools" in match:
        return frozenset(match["tools"])
    return None if {"tool", "tool_output", "json_subset"} & match.keys() else frozenset()


def load_exchange_folder(folder: Path) -> tuple[Exchange, ...]:
    """Load every `*.json` file of a folder, in order of file name. Raises InvalidExchange."""
    return _parse_unique_exchanges((path.name, path.read_bytes()) for path in sorted(folder.glob("*.json")))


@cache
def packaged_exchanges(profile: str) -> tuple[Exchange, ...]:
    """Return the documented samples of a profile."""
    return _parse_unique_exchanges(
        (f"{name}.json", data) for name, data in resources.json_files("fixtures", profile)
    )


def recorded_chunks(http: Mapping[str, Any]) -> Iterator[tuple[float, bytes]]:
    """Yield (seconds since the request, bytes) for each chunk of an `http` reply."""
    for chunk in http["chunks"]:
        yield chunk.get("at_ms", 0) / 1000, decode_content(chunk)


def decode_content(part: Mapping[str, Any]) -> bytes:
    """Return the bytes of a chunk or a body, from its `text` or its `base64`."""
    return part["text"].encode() if "text" in part else b64decode(part["base64"], validate=True)


def _parse_unique_exchanges(files: Iterable[tuple[str, bytes]]) -> tuple[Exchange, ...]:
    exchanges: dict[str, Exchange] = {}
    for file, data in files:
        for exchange in parse_exchanges(data, file):
            if exchange.name in exchanges:
                raise InvalidExchange(
                    file, "/name", f"another exchange already has the name {exchange.name!r}"
                )
            exchanges[exchange.name] = exchange
    return tuple(exchanges.values())


@cache
def _validator() -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(
        json.loads((resources.data_folder("schemas") / "exchange.json").read_bytes())
    )
