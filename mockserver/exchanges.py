"""Exchanges: one request and its reply as a file, the format of `fixtures/`.

    {"format": 1, "name", "source", "profile", "request", "match": {…},
     "reply": {script | error | body | http}, "shown": {…}}

The format is described by `schemas/exchange.json`, and every file is checked against it when loaded.
A file holds one exchange, or an array of them. `match.after` ties a turn to the one before; `shown` is the
literal sample of the source, judged for what it shows; `recorded` tells how a recording was taken.
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
    """What a request must be like; None: any."""

    prompt: str | None = None
    tools: frozenset[str] | None = frozenset()
    """Exactly these types are declared; None: any, as where `tool` or `tool_output` says more."""
    thinking: bool | None = None
    """None: as the profile does when a request does not say."""
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
    """The literal sample of the source."""

    kind: str
    """"response" or "stream"."""
    trimmed: bool
    body: Any
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class RecordingMetadata:
    """How a recording was taken."""

    at: str
    """When the request came: "2026-11-25T16:30:00.123456Z"."""
    method: str
    path: str
    """Behind the base URL, with the query."""
    end: str
    """"complete"; "cut": the endpoint broke it off; "left": the client went away in the middle."""
    upstream: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    """The request's body where it is no JSON object."""
    head_ms: float = 0
    end_ms: float = 0
    masked: tuple[str, ...] = ()
    tool: str = ""

    @property
    def is_create_request(self) -> bool:
        """Whether it is a create request's."""
        return self.method == "POST" and self.path.partition("?")[0] == "/responses"


@dataclass(frozen=True, slots=True)
class Exchange:
    """One exchange; `reply` has exactly one member: script, error, body or http."""

    name: str
    match: Match
    reply: Mapping[str, Any]
    source: str = ""
    profile: str | None = None
    request: Mapping[str, Any] | None = None
    shown: DocumentedSample | None = None
    delivery: Mapping[str, str] | None = None
    """How the reply goes out: `fault`, `pace`, `chunking`."""
    times: int | None = None
    """How often it answers; None: it does not say."""
    always: bool = False
    """Whether it says that it answers as often as it is asked, also where that goes not without saying."""
    scenario: str | None = None
    """The scenario that it is a step of: then it answers those requests alone that name the scenario."""
    file: str = ""
    """Where it was read from."""
    pointer: str = ""
    """Pointer to it there, where a file has several."""
    recorded: RecordingMetadata | None = None
    """None: it was written by hand."""

    @property
    def location(self) -> str:
        """What an error calls it."""
        return self.file or f"the exchange {self.name}"


def parse_exchange(data: bytes, file: str) -> Exchange:
    """The exchange in a file's bytes; InvalidExchange names the file and the place in it."""
    return _build_exchange(_parse_json(data, file), file, "")


def parse_exchanges(data: bytes, file: str) -> tuple[Exchange, ...]:
    """The exchanges in a file that holds one, or an array of them; InvalidExchange."""
    value = _parse_json(data, file)
    if not isinstance(value, list):
        return (_build_exchange(value, file, ""),)
    return tuple(_build_exchange(each, file, f"/{place}") for place, each in enumerate(value))


def _parse_json(data: bytes, file: str) -> Any:
    try:
        return json.loads(data)
    except InvalidJSON as error:
        raise InvalidExchange(file, "", f"not JSON: {error}") from None


def _build_exchange(value: Any, file: str, base_pointer: str) -> Exchange:
    for problem in _validator().iter_errors(value):
        pointer = "".join(f"/{step}" for step in problem.instance_path)
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
    """InvalidExchange where something is no base64, which a pattern alone does not tell."""
    chunks = value["reply"].get("http", {}).get("chunks", ())
    places = [(f"/reply/http/chunks/{number}", chunk) for number, chunk in enumerate(chunks)]
    if body := value.get("recorded", {}).get("body"):
        places.append(("/recorded/body", body))
    for pointer, part in places:
        try:
            decode_content(part)
        except (binascii.Error, UnicodeEncodeError) as error:
            raise InvalidExchange(file, base_pointer + pointer, f"can not be read: {error}") from None


def _required_tool_types(match: Mapping[str, Any]) -> frozenset[str] | None:
    if "tools" in match:
        return frozenset(match["tools"])
    return None if {"tool", "tool_output", "json_subset"} & match.keys() else frozenset()


def load_exchange_folder(folder: Path) -> tuple[Exchange, ...]:
    """All exchanges in a folder's `*.json` files, by file name; InvalidExchange for the first bad one."""
    return _parse_unique_exchanges((path.name, path.read_bytes()) for path in sorted(folder.glob("*.json")))


@cache
def packaged_exchanges(profile: str) -> tuple[Exchange, ...]:
    """The documented samples of a profile."""
    return _parse_unique_exchanges(
        (f"{name}.json", data) for name, data in resources.json_files("fixtures", profile)
    )


def recorded_chunks(http: Mapping[str, Any]) -> Iterator[tuple[float, bytes]]:
    """(seconds since the request, bytes) for each chunk of an `http` reply."""
    for chunk in http["chunks"]:
        yield chunk.get("at_ms", 0) / 1000, decode_content(chunk)


def decode_content(part: Mapping[str, Any]) -> bytes:
    """The bytes of a chunk or a body: its `text`, or its `base64`."""
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
