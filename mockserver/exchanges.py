"""Exchanges: one request and its reply as a file, the format of `fixtures/`.

    {"format": 1, "name", "source", "profile", "request", "match": {…},
     "reply": {script | error | body | http}, "shown": {…}}

The format is described by `schemas/exchange.json`, and every file is checked against it when loaded.
`match.after` ties a turn to the one before; `shown` is the literal sample of the source, judged for
what it shows.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs

from mockserver import resources
from mockserver.errors import InvalidExchange, InvalidJSON
from mockserver.wire import json

__all__ = [
    "Exchange",
    "Match",
    "Shown",
    "load_folder",
    "packaged_exchanges",
    "parse_exchange",
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
class Shown:
    """The literal sample of the source."""

    kind: str
    """"response" or "stream"."""
    trimmed: bool
    body: Any
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Exchange:
    """One exchange; `reply` has exactly one member: script, error, body or http."""

    name: str
    match: Match
    reply: Mapping[str, Any]
    source: str = ""
    profile: str | None = None
    request: Mapping[str, Any] | None = None
    shown: Shown | None = None
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

    @property
    def where(self) -> str:
        """What an error calls it."""
        return self.file or f"the exchange {self.name}"


def parse_exchange(data: bytes, file: str) -> Exchange:
    """The exchange in a file's bytes; InvalidExchange names the file and the place in it."""
    try:
        value = json.loads(data)
    except InvalidJSON as error:
        raise InvalidExchange(file, "", f"not JSON: {error}") from None
    for problem in _validator().iter_errors(value):
        pointer = "".join(f"/{step}" for step in problem.instance_path)
        raise InvalidExchange(file, pointer, problem.message)
    match = value["match"]
    shown = value.get("shown")
    return Exchange(
        name=value["name"],
        match=Match(**{**match, "tools": _declared(match)}),
        reply=value["reply"],
        source=value.get("source", ""),
        profile=value.get("profile"),
        request=value.get("request"),
        shown=Shown(**shown) if shown else None,
        delivery=value.get("delivery"),
        times=None if value.get("times") == "always" else value.get("times"),
        always=value.get("times") == "always",
        scenario=value.get("scenario"),
        file=file,
    )


def _declared(match: Mapping[str, Any]) -> frozenset[str] | None:
    if "tools" in match:
        return frozenset(match["tools"])
    return None if {"tool", "tool_output", "json_subset"} & match.keys() else frozenset()


def load_folder(folder: Path) -> tuple[Exchange, ...]:
    """All exchanges in a folder's `*.json` files, by file name; InvalidExchange for the first bad one."""
    return _distinct((path.name, path.read_bytes()) for path in sorted(folder.glob("*.json")))


@cache
def packaged_exchanges(profile: str) -> tuple[Exchange, ...]:
    """The documented samples of a profile."""
    return _distinct((f"{name}.json", data) for name, data in resources.json_files("fixtures", profile))


def recorded_chunks(http: Mapping[str, Any]) -> Iterator[tuple[float, bytes]]:
    """(seconds since the request, bytes) for each chunk of an `http` reply."""
    for chunk in http["chunks"]:
        data = chunk["text"].encode() if "text" in chunk else b64decode(chunk["base64"])
        yield chunk.get("at_ms", 0) / 1000, data


def _distinct(files: Iterable[tuple[str, bytes]]) -> tuple[Exchange, ...]:
    exchanges: dict[str, Exchange] = {}
    for file, data in files:
        exchange = parse_exchange(data, file)
        if exchange.name in exchanges:
            raise InvalidExchange(file, "/name", f"another file already has the name {exchange.name!r}")
        exchanges[exchange.name] = exchange
    return tuple(exchanges.values())


@cache
def _validator() -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(
        json.loads((resources.folder("schemas") / "exchange.json").read_bytes())
    )
