"""The exchange file format: a request and its reply as JSON, as in `fixtures/`.

    {"format": 1, "name", "source", "profile", "request", "match": {…},
     "reply": {script | error | body | http}, "delivery": {…}, "shown": {…}}

Only `reply` is required, and has a short form: {"match": "Hi", "reply": "Hello"} (`documents.short_forms`).
`schemas/exchange.json` describes both, and every document, from a file or over HTTP, is validated against it.
A file holds one exchange or an array of them; `exchange_files` loads folders of files. `match.after` links a
turn to the one before; `shown` is the literal sample from the source, checked as far as it goes; `recorded` says
how a recording was made.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

import jsonschema_rs

from mockserver import resources
from mockserver.documents.conditions import condition_problems, parse_conditions
from mockserver.documents.problems import Problem, example_of, find_problems
from mockserver.documents.short_forms import DELIVERY_MEMBERS, LongReply, expand_items, expand_reply
from mockserver.errors import InvalidExchange, InvalidJSON
from mockserver.named_tuples import NamedTuple
from mockserver.wire import json
from mockserver.wire.json_paths import JsonPath
from mockserver.wire.masks import configured_masks
from mockserver.wire.patterns import TextPattern
from mockserver.wire.redaction import mask_request, redact

__all__ = [
    "DocumentedSample",
    "Exchange",
    "FindMore",
    "Match",
    "RecordingMetadata",
    "decode_content",
    "document_problems",
    "find_nothing",
    "is_valid_part",
    "packaged_exchanges",
    "parse_exchange",
    "parse_exchange_object",
    "parse_exchanges",
    "parse_items",
    "parse_reply",
    "part_example",
    "recorded_chunks",
    "redact_problems",
]

_INVALID_NAME_CHARACTERS = r"[^A-Za-z0-9._-]+|^[^A-Za-z0-9]+"
_MAX_NAME_LENGTH = 100


FindMore: TypeAlias = Callable[[Any], Iterable[Problem]]
"""Finds what is wrong with a document beside what is found here: the server knows what it can serve."""


class Match(NamedTuple):
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


class DocumentedSample(NamedTuple):
    """A literal sample from the source."""

    kind: str
    """"response" or "stream"."""
    trimmed: bool
    body: Any
    reason: str | None = None


class RecordingMetadata(NamedTuple):
    """How a recording was made."""

    at: str
    """When the request arrived: "2026-11-25T16:30:00.123456Z"."""
    method: str
    path: str
    """The path below the base URL, with the query."""
    end: str
    """"complete"; "cut": the endpoint broke the reply off; "left": the client disconnected early."""
    upstream: str = ""
    headers: Mapping[str, str] = MappingProxyType({})
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


class Exchange(NamedTuple):
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
    delivery_pointers: Mapping[str, str] = MappingProxyType({})
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
    document: Mapping[str, Any] = MappingProxyType({})
    """What was written."""

    @property
    def location(self) -> str:
        """What error messages call this exchange."""
        return self.file or f"the exchange {self.name}"


def find_nothing(_: Any) -> Iterable[Problem]:
    """No other problems."""
    return ()


def parse_exchange(data: bytes, file: str) -> Exchange:
    """Parse one exchange; its name is empty if it has none. Raises InvalidExchange with every problem."""
    return parse_exchange_object(_parse_json(data, file), file)


def parse_exchange_object(value: Any, file: str, pointer: str = "") -> Exchange:
    """As `parse_exchange`, for a JSON value, at a JSON Pointer of the file."""
    problems = document_problems(value)
    _raise_if_any([Problem(pointer + each.pointer, each.reason) for each in problems], file)
    return _build_exchange(value, file, pointer)


def parse_exchanges(data: bytes, file: str, find_more: FindMore = find_nothing) -> tuple[Exchange, ...]:
    """Parse a file that holds one exchange or an array of them. Raises InvalidExchange with every problem.

    `find_more` finds others in a file that has problems.
    """
    value = _parse_json(data, file)
    documents = (
        [(each, f"/{index}") for index, each in enumerate(value)]
        if isinstance(value, list)
        else [(value, "")]
    )
    problems = [document_problems(each) for each, _ in documents]
    if any(problems):
        _raise_if_any(
            (
                Problem(pointer + problem.pointer, problem.reason)
                for (each, pointer), found in zip(documents, problems, strict=True)
                for problem in (*found, *find_more(each))
            ),
            file,
        )
    return tuple(_with_generated_name(_build_exchange(each, file, pointer)) for each, pointer in documents)


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
    stem = re.sub(_INVALID_NAME_CHARACTERS, "-", Path(exchange.file).stem).lstrip("._-") or "exchange"
    number = f"-{int(exchange.pointer[1:]) + 1}" if exchange.pointer else ""
    name = stem[: _MAX_NAME_LENGTH - len(number)] + number
    return exchange._replace(name=name, has_generated_name=True)


def _raise_if_any(problems: Iterable[Problem], file: str) -> None:
    errors = [InvalidExchange(file, pointer, reason) for pointer, reason in problems]
    if errors:
        raise InvalidExchange.combine(errors)


def _parse_json(data: bytes, file: str) -> Any:
    try:
        return json.loads(data)
    except InvalidJSON as error:
        raise InvalidExchange(file, "", f'not JSON: {error}; example: {{"reply": "Hello"}}') from None


def document_problems(value: Any) -> list[Problem]:
    """The problems of an exchange that do not depend on the server."""
    problems = _find_problems("", value)
    if not isinstance(value, Mapping):
        return problems
    match = value.get("match")
    conditions = condition_problems(match) if isinstance(match, Mapping) else ()
    others = [*conditions, *_base64_problems(value), *_repeated_options(value)]
    return [*problems, *redact_problems(others, value)]


def _repeated_options(value: Mapping[str, Any]) -> Iterator[Problem]:
    reply, delivery = value.get("reply"), value.get("delivery")
    if not (isinstance(reply, Mapping) and isinstance(delivery, Mapping)):
        return
    for name in DELIVERY_MEMBERS:
        if name in reply and name in delivery:
            yield Problem(f"/delivery/{name}", f"the reply has {name} too; give it once")


def _member(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else None


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
        document=value,
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
    chunks = _member(_member(value.get("reply"), "http"), "chunks")
    parts = [
        (f"/reply/http/chunks/{number}", each)
        for number, each in enumerate(chunks if isinstance(chunks, list) else ())
    ]
    parts.append(("/recorded/body", _member(value.get("recorded"), "body")))
    for pointer, part in parts:
        content = {name: part[name] for name in ("text", "base64") if isinstance(_member(part, name), str)}
        try:
            decode_content(content or {"text": ""})
        except ValueError as error:
            yield Problem(pointer, f"cannot be decoded: {error}")


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


def is_valid_part(definition: str, value: Any) -> bool:
    """Whether a part of a document is valid under a definition of `schemas/exchange.json`."""
    return _validator(definition).is_valid(value)


def part_example(definition: str) -> str:
    """The end of a message about such a part: an example, if the schema has one."""
    return example_of(_schema("")["$defs"][definition])


def redact_problems(problems: list[Problem], value: Any) -> list[Problem]:
    """Problems of a document without the secrets that are in it."""
    if not problems:
        return []
    secrets = mask_request(value, (), configured_masks())[1]
    return [each._replace(reason=redact(each.reason, secrets)) for each in problems]


def _find_problems(definition: str, value: Any) -> list[Problem]:
    """The problems of a value under a definition of `schemas/exchange.json`; "": the whole document."""
    if is_valid_part(definition, value):
        return []
    return redact_problems(find_problems(_validator(definition), _schema(definition), value), value)


@cache
def _schema(definition: str) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads((resources.data_folder("schemas") / "exchange.json").read_bytes())
    return {"$ref": f"#/$defs/{definition}", "$defs": schema["$defs"]} if definition else schema


@cache
def _validator(definition: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(_schema(definition))
