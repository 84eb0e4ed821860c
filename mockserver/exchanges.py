"""The exchange file format: a request and its reply as JSON, as in `fixtures/`.

    {"format": 1, "name", "source", "profile", "request", "match": {…},
     "reply": {script | error | body | http}, "delivery": {…}, "shown": {…}}

Only `reply` is required, and has a short form: {"match": "Hi", "reply": "Hello"} (`documents.short_forms`).
`schemas/exchange.json` describes both, and every document, from a file or over HTTP, is validated against it.
A file holds one exchange or an array of them. `match.after` links a turn to the one before; `shown` is the
literal sample from the source, checked as far as it goes; `recorded` says how a recording was made.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, partial
from itertools import count
from pathlib import Path
from typing import Any

import jsonschema_rs

from mockserver import resources
from mockserver.documents.conditions import condition_problems, parse_conditions
from mockserver.documents.problems import Problem, find_problems
from mockserver.documents.short_forms import LongReply, expand_items, expand_reply
from mockserver.errors import InvalidExchange, InvalidJSON
from mockserver.regular_files import read_regular_file
from mockserver.wire import json
from mockserver.wire.json_paths import JsonPath
from mockserver.wire.masks import configured_masks
from mockserver.wire.patterns import TextPattern
from mockserver.wire.redaction import mask_request, redact
from mockserver.wire.text_files import to_utf8

__all__ = [
    "DocumentedSample",
    "Exchange",
    "Match",
    "RecordingMetadata",
    "decode_content",
    "load_exchange_file",
    "load_exchange_folder",
    "packaged_exchanges",
    "parse_exchange",
    "parse_exchange_object",
    "parse_exchanges",
    "parse_items",
    "parse_reply",
    "recorded_chunks",
]

_INVALID_NAME_CHARACTERS = re.compile(r"[^A-Za-z0-9._-]+|^[^A-Za-z0-9]+")
_MAX_NAME_LENGTH = 100


#: Largest file of exchanges in a folder.
MAX_FILE_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class Match:
    """The condition under which an exchange answers; None: not given."""

    prompt: str | TextPattern | None = None
    tools: frozenset[str] | None = None
    """The request declares exactly these types."""
    thinking: bool | None = None
    stream: bool | None = None
    after: str | None = None
    contains: str | None = None
    ignore_case: bool = False
    instructions: str | TextPattern | None = None
    model: str | TextPattern | None = None
    tool: str | None = None
    tool_output: str | TextPattern | None = None
    turn: int | None = None
    header: Mapping[str, str | TextPattern] | None = None
    json_subset: Mapping[str, Any] | None = None
    json_path: Mapping[JsonPath, Any] | None = None
    unrestricted: bool = False
    """Whether tools, thinking and function outputs do not matter: `match` is a text, or missing."""


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
    delivery: Mapping[str, Any] | None = None
    """Options for sending the reply: `fault`, `pace`, `chunking`, `delay_ms`, `invalid`, `template`."""
    delivery_pointers: Mapping[str, str] = field(default_factory=dict)
    """Where the document has each of them."""
    reply_pointer: str = "/reply"
    """Where the document has the content of the reply."""
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
    has_generated_name: bool = False
    """Whether its name follows from its file, because it has none of its own."""

    @property
    def location(self) -> str:
        """What error messages call this exchange."""
        return self.file or f"the exchange {self.name}"


def parse_exchange(data: bytes, file: str) -> Exchange:
    """Parse one exchange; its name is empty if it has none. Raises InvalidExchange with every problem."""
    return parse_exchange_object(_parse_json(data, file), file)


def parse_exchange_object(value: Any, file: str, pointer: str = "") -> Exchange:
    """As `parse_exchange`, for a JSON value, at a JSON Pointer of the file."""
    problems = _document_problems(value)
    _raise_if_any([Problem(pointer + each.pointer, each.reason) for each in problems], file)
    return _build_exchange(value, file, pointer)


def parse_exchanges(data: bytes, file: str) -> tuple[Exchange, ...]:
    """Parse a file that holds one exchange or an array of them. Raises InvalidExchange with every problem."""
    value = _parse_json(data, file)
    if not isinstance(value, list):
        return (_with_generated_name(parse_exchange(data, file)),)
    located = [(each, f"/{index}") for index, each in enumerate(value)]
    problems = [
        Problem(pointer + problem.pointer, problem.reason)
        for each, pointer in located
        for problem in _document_problems(each)
    ]
    _raise_if_any(problems, file)
    return tuple(_with_generated_name(_build_exchange(each, file, pointer)) for each, pointer in located)


def parse_reply(value: Any) -> LongReply:
    """Return a reply in its long form; InvalidExchange with the problems of one in either form."""
    _raise_if_any(_find_problems("reply", value), "reply")
    return expand_reply(value)


def parse_items(items: list[Any]) -> list[dict[str, Any]]:
    """Return items, each with its type; InvalidExchange with the problems of those in either form."""
    _raise_if_any([each for item in items for each in _find_problems("item", item)], "item")
    return expand_items(items)


def _with_generated_name(exchange: Exchange) -> Exchange:
    """Name an exchange after its file: `weather.json` holds "weather", or "weather-1", "weather-2"."""
    if exchange.name:
        return exchange
    stem = _INVALID_NAME_CHARACTERS.sub("-", Path(exchange.file).stem).lstrip("._-") or "exchange"
    number = f"-{int(exchange.pointer[1:]) + 1}" if exchange.pointer else ""
    return replace(exchange, name=stem[: _MAX_NAME_LENGTH - len(number)] + number, has_generated_name=True)


def _raise_if_any(problems: Iterable[Problem], file: str) -> None:
    errors = [InvalidExchange(file, pointer, reason) for pointer, reason in problems]
    if errors:
        raise InvalidExchange.combine(errors)


def _parse_json(data: bytes, file: str) -> Any:
    try:
        return json.loads(data)
    except InvalidJSON as error:
        raise InvalidExchange(file, "", f'not JSON: {error}; example: {{"reply": "Hello"}}') from None


def _document_problems(value: Any) -> list[Problem]:
    problems = _find_problems("", value)
    if problems or not isinstance(value, Mapping):
        return problems
    match = value.get("match")
    conditions = condition_problems(match) if isinstance(match, Mapping) else ()
    return [*conditions, *_base64_problems(value), *_repeated_options(value)]


def _repeated_options(value: Mapping[str, Any]) -> Iterator[Problem]:
    for name in expand_reply(value["reply"]).delivery:
        if name in value.get("delivery", {}):
            yield Problem(f"/delivery/{name}", f"the reply has {name} too; give it once")


def _build_exchange(value: Mapping[str, Any], file: str, base_pointer: str) -> Exchange:
    shown, reply = value.get("shown"), expand_reply(value["reply"])
    own_delivery = value.get("delivery", {})
    return Exchange(
        name=value.get("name", ""),
        match=_build_match(value.get("match")),
        reply=reply.reply,
        source=value.get("source", ""),
        profile=value.get("profile"),
        request=value.get("request"),
        shown=DocumentedSample(**shown) if shown else None,
        delivery={**own_delivery, **reply.delivery} or None,
        delivery_pointers={
            **{name: f"/delivery/{name}" for name in own_delivery},
            **{name: f"/reply/{name}" for name in reply.delivery},
        },
        reply_pointer=f"/reply{reply.pointer}",
        times=None if value.get("times") == "always" else value.get("times"),
        always=value.get("times") == "always",
        scenario=value.get("scenario"),
        file=file,
        pointer=base_pointer,
        recorded=_build_recording_metadata(value["recorded"]) if "recorded" in value else None,
    )


def _build_match(match: Any) -> Match:
    if match is None or isinstance(match, str):
        return Match(prompt=match, unrestricted=True)
    return Match(
        **{**parse_conditions(match), "tools": frozenset(match["tools"]) if "tools" in match else None}
    )


def _build_recording_metadata(members: Mapping[str, Any]) -> RecordingMetadata:
    body = decode_content(members["body"]) if "body" in members else None
    return RecordingMetadata(**{**members, "body": body, "masked": tuple(members.get("masked", ()))})


def _base64_problems(value: Mapping[str, Any]) -> Iterator[Problem]:
    # The schema's pattern cannot tell whether the padding is right.
    reply = value["reply"] if isinstance(value["reply"], Mapping) else {}
    chunks = reply.get("http", {}).get("chunks", ())
    parts = [(f"/reply/http/chunks/{number}", chunk) for number, chunk in enumerate(chunks)]
    if body := value.get("recorded", {}).get("body"):
        parts.append(("/recorded/body", body))
    for pointer, part in parts:
        try:
            decode_content(part)
        except (binascii.Error, UnicodeEncodeError) as error:
            yield Problem(pointer, f"cannot be decoded: {error}")


def load_exchange_file(path: Path) -> tuple[Exchange, ...]:
    """Load a file of a folder. Raises InvalidExchange."""
    try:
        data = read_regular_file(path, MAX_FILE_BYTES)
    except OSError as error:
        raise InvalidExchange(path.name, "", f"cannot be read: {error.strerror or error}") from None
    return parse_exchanges(to_utf8(data), path.name)


def load_exchange_folder(
    folder: Path, load_file: Callable[[Path], tuple[Exchange, ...]] = load_exchange_file
) -> tuple[Exchange, ...]:
    """Load every `*.json` file of a folder, in order of file name. Raises InvalidExchange.

    `load_file` loads one of them.
    """
    return _unique_exchanges(partial(load_file, path) for path in sorted(folder.glob("*.json")))


@cache
def packaged_exchanges(profile: str) -> tuple[Exchange, ...]:
    """Return the documented samples of a profile, each in a file of its own; the tests check them."""
    return tuple(
        _build_exchange(json.loads(data), f"{name}.json", "")
        for name, data in resources.json_files("fixtures", profile)
    )


def recorded_chunks(http: Mapping[str, Any]) -> Iterator[tuple[float, bytes]]:
    """Yield (seconds since the request, bytes) for each chunk of an `http` reply."""
    for chunk in http["chunks"]:
        yield chunk.get("at_ms", 0) / 1000, decode_content(chunk)


def decode_content(part: Mapping[str, Any]) -> bytes:
    """Return the bytes of a chunk or a body, from its `text` or its `base64`."""
    return part["text"].encode() if "text" in part else b64decode(part["base64"], validate=True)


def _unique_exchanges(loaders: Iterable[Callable[[], tuple[Exchange, ...]]]) -> tuple[Exchange, ...]:
    """The exchanges of several files, one loader each; InvalidExchange with the problems of all of them."""
    parsed: list[Exchange] = []
    errors: list[InvalidExchange] = []
    for load in loaders:
        try:
            parsed += load()
        except InvalidExchange as error:
            errors.append(error)
    names: set[str] = set()
    for exchange in parsed:
        if exchange.name in names and not exchange.has_generated_name:
            reason = f"another exchange already has the name {exchange.name!r}"
            errors.append(InvalidExchange(exchange.file, f"{exchange.pointer}/name", reason))
        elif not exchange.has_generated_name:
            names.add(exchange.name)
    if errors:
        raise InvalidExchange.combine(errors)
    return tuple(_with_free_name(each, names) if each.has_generated_name else each for each in parsed)


def _with_free_name(exchange: Exchange, names: set[str]) -> Exchange:
    """An exchange whose generated name is not one of `names`, to which it is added."""
    candidates = (f"{exchange.name[:90]}-{number}" for number in count(2))
    name = (
        exchange.name
        if exchange.name not in names
        else next(each for each in candidates if each not in names)
    )
    names.add(name)
    return replace(exchange, name=name)


def _find_problems(definition: str, value: Any) -> list[Problem]:
    """The problems of a value under a definition of `schemas/exchange.json`; "": the whole document."""
    validator = _validator(definition)
    if validator.is_valid(value):
        return []
    secrets = mask_request(value, (), configured_masks())[1]
    problems = find_problems(validator, _schema(definition), value)
    return [each._replace(reason=redact(each.reason, secrets)) for each in problems]


@cache
def _schema(definition: str) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads((resources.data_folder("schemas") / "exchange.json").read_bytes())
    return {"$ref": f"#/$defs/{definition}", "$defs": schema["$defs"]} if definition else schema


@cache
def _validator(definition: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(_schema(definition))
