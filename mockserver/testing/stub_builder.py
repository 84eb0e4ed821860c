"""Planning: what a test says of a reply becomes a stub.

server.reply("Hi!").then("And again.")
server.when(contains="weather").reply(FunctionCall("get_weather", "{}")).times(2)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple, Self, TypeAlias, TypedDict, Unpack

from mockserver.errors import ConfigurationError
from mockserver.replies.generated_scripts import complete_tool_call
from mockserver.replies.script import (
    FunctionCall,
    Item,
    Message,
    Reasoning,
    Script,
    ToolCall,
    Usage,
    chunk_text,
    parse_script,
    require_servable,
)
from mockserver.server.delivery.delivery import Delivery
from mockserver.server.delivery.faults import ServiceFault, build_requested_fault, parse_fault
from mockserver.server.mock_headers import SCENARIO_HEADER
from mockserver.server.state.sessions import Session
from mockserver.server.stubs.exchange_replies import parse_delivery, require_valid_tool_items
from mockserver.server.stubs.matchers import ANY_REQUEST, IncomingRequest, Matcher
from mockserver.server.stubs.stubs import Stub
from mockserver.wire import json as wire_json

__all__ = [
    "UNSET",
    "ChainableStub",
    "ConditionalStubs",
    "DeliveryOptions",
    "ReplyContent",
    "ReplyOptions",
    "RequestMatch",
    "Scenario",
    "StubBuilder",
    "build_script",
    "matcher_arguments",
]

#: As exchange files have it.
_SCENARIO_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

#: Options of an error that say how it goes out.
_ERROR_DELIVERY_OPTIONS = ("fault", "pace", "chunking")

#: No value at all, where None is one.
UNSET: Final[Any] = object()

ReplyItem: TypeAlias = str | Item | Mapping[str, Any]
ReplyContent: TypeAlias = ReplyItem | Script | Callable[[IncomingRequest], Any] | None


class DeliveryOptions(TypedDict, total=False):
    """How a reply goes out."""

    fault: str
    """A fault of the wire: `NAME[,OPTION=VALUE…]`, see `mockserver faults`."""
    violate: str
    """The id of a rule of the contract that it breaks."""
    pace: str
    """none, fixed:MS or model:TTFT,TPS[,JITTER]."""
    chunking: str
    """event, coalesced, bytes:N or random."""
    name: str
    """What `after=` and the journal call the reply."""


class RequestMatch(TypedDict, total=False):
    """What a request must be like."""

    contains: str
    """A part of the last user message."""
    ignore_case: bool
    """Whether prompt and `contains` are compared without regard to case."""
    instructions: str
    """A part of the instructions."""
    model: str
    tool: str
    """The type of a declared tool, or the name of a declared function."""
    tool_output: str
    """A part of the last output of a function."""
    turn: int
    """Which turn of its conversation, from 1."""
    after: str | ChainableStub
    """The reply that answered the turn before, or its name."""
    stream: bool
    header: Mapping[str, str]
    json_subset: Mapping[str, Any]
    """Members that the request has, objects within them by the same rule."""
    predicate: Callable[[IncomingRequest], bool]


class ReplyOptions(NamedTuple):
    """What is said of a reply beside its items."""

    chunks: Iterable[str] | None = None
    json: Any = UNSET
    reasoning: str | None = None
    usage: Mapping[str, Any] | None = None
    incomplete: bool = False


class ChainableStub(Stub):
    """A planned reply that others can follow."""

    __slots__ = ("_builder",)

    _builder: StubBuilder

    def then(self, *content: ReplyContent, **delivery: Unpack[DeliveryOptions]) -> ChainableStub:
        """Plan the reply that comes when this one has answered as often as planned, to the same requests."""
        return self._builder.add_reply(*content, **delivery)


class _ScopedStubs:
    """Replies to some of the requests, each planned as at the server itself."""

    def __init__(self, builder: StubBuilder) -> None:
        self._builder = builder

    def reply(
        self,
        *content: ReplyContent,
        chunks: Iterable[str] | None = None,
        json: Any = UNSET,
        reasoning: str | None = None,
        usage: Mapping[str, Any] | None = None,
        incomplete: bool = False,
        **delivery: Unpack[DeliveryOptions],
    ) -> ChainableStub:
        """As `MockServer.reply`, for these requests alone."""
        return self._builder.add_reply(
            *content, options=ReplyOptions(chunks, json, reasoning, usage, incomplete), **delivery
        )

    def fail(self, name: str, /, **options: Any) -> ChainableStub:
        """As `MockServer.fail`, for these requests alone."""
        return self._builder.add_fault(name, options)

    def fault(self, name: str, /, **options: Any) -> ChainableStub:
        """As `MockServer.fault`, for these requests alone."""
        return self._builder.add_fault(name, options)

    def violate(self, rule: str, /, **options: Any) -> ChainableStub:
        """As `MockServer.violate`, for these requests alone."""
        return self._builder.add_fault(rule, options)


class ConditionalStubs(_ScopedStubs):
    """Requests of a kind, for which replies can be planned."""

    def __init__(self, builder: StubBuilder, matcher: Matcher) -> None:
        super().__init__(builder.for_matcher(matcher))


class Scenario(_ScopedStubs):
    """A scenario: each reply is a step, for those requests that name it."""

    def __init__(self, builder: StubBuilder, name: str) -> None:
        """ConfigurationError where it can not be called that."""
        if not _SCENARIO_NAME.fullmatch(name):
            raise ConfigurationError(
                "a scenario's name is 1 to 100 letters, digits, '.', '_' and '-', a letter or digit first,"
                f" not {name[:40]!r}"
            )
        self.name = name
        super().__init__(builder.for_scenario(name))

    @property
    def headers(self) -> dict[str, str]:
        """What a request has that names the scenario."""
        return {SCENARIO_HEADER.decode(): self.name}


class StubBuilder:
    """Puts stubs into a session's line."""

    def __init__(self, session: Session, matcher: Matcher = ANY_REQUEST, scenario: str = "") -> None:
        self._session = session
        self._matcher = matcher
        self._scenario = scenario

    def for_matcher(self, matcher: Matcher) -> Self:
        """A planner for the requests of a condition."""
        return type(self)(self._session, matcher)

    def for_scenario(self, scenario: str) -> Self:
        """A planner for the requests that name a scenario."""
        return type(self)(self._session, ANY_REQUEST, scenario)

    def add_reply(
        self, *content: ReplyContent, options: ReplyOptions | None = None, **delivery: Unpack[DeliveryOptions]
    ) -> ChainableStub:
        """Plan what is said."""
        name = delivery.pop("name", "")
        how = _build_delivery(delivery)
        functions = [each for each in content if callable(each)]
        if not functions:
            script = build_script(content, options or ReplyOptions())
            if script.status not in ("completed", "incomplete"):
                raise ConfigurationError(f"a reply can not be {script.status!r}: fail() plans an error")
            require_servable(script, self._session.profile)
            require_valid_tool_items(script, self._session.profile, self._session.rendering)
            return self._add_stub(script, how, name)
        if len(content) > 1 or (options is not None and options != ReplyOptions()):
            raise ConfigurationError("a function of the request says the whole reply: it is planned alone")
        return self._add_stub(_script_function(functions[0]), how, name)

    def add_fault(self, name: str, options: Mapping[str, Any]) -> ChainableStub:
        """Plan a fault."""
        given = {each: options[each] for each in _ERROR_DELIVERY_OPTIONS if each in options}
        own = {each: value for each, value in options.items() if each not in given}
        called = own.pop("name", "")
        asked = parse_fault(name) if "," in name or ":" in name else build_requested_fault(name, own)
        if not isinstance(asked.definition, ServiceFault):
            how = _build_delivery(given)
            if how.fault is not None:
                raise ConfigurationError("a reply has one fault, or breaks one rule")
            return self._add_stub(None, replace(how, fault=asked), called)
        if not asked.is_unconditional:
            raise ConfigurationError(f"{asked.name} is planned in line: .times(n) says how often it comes")
        return self._add_stub(asked, _build_delivery(given, is_error=True), called)

    def _add_stub(self, reply: Any, delivery: Delivery, name: str) -> ChainableStub:
        plan = {
            "name": name,
            "matcher": self._matcher,
            "delivery": delivery,
            "scenario": self._scenario,
        }
        stub = self._session.stubs.add_as(ChainableStub, reply, **plan)
        stub._builder = self  # noqa: SLF001 (what makes it)
        return stub


def matcher_arguments(prompt: str | None, conditions: Mapping[str, Any]) -> dict[str, Any]:
    """What a request must be like, by the names that conditions have."""
    after = conditions.get("after")
    said = {**conditions, "prompt": prompt}
    return {**said, "after": after.name} if isinstance(after, Stub) else said


def build_script(content: Iterable[ReplyContent], options: ReplyOptions) -> Script:
    """The script that is said, in items or whole; ConfigurationError."""
    given = [each for each in content if each is not None]
    items = [*given, *([options.chunks] if options.chunks is not None else [])]
    items += [options.json] if options.json is not UNSET else []
    if not items and options.reasoning is None:
        raise ConfigurationError("a reply is a text, chunks or a script: exactly one of them")
    if len(given) == 1 and isinstance(given[0], Script):
        if len(items) > 1 or options != ReplyOptions():
            raise ConfigurationError("a script is a whole reply: nothing else can be said beside it")
        return given[0]
    if options.chunks is not None and (given or options.json is not UNSET):
        raise ConfigurationError("a reply is a text, chunks or a script: exactly one of them")
    thought = [Reasoning(chunk_text(options.reasoning))] if options.reasoning else []
    told = [_build_item(each) for each in given]
    told += [Message(_validate_chunks(options.chunks))] if options.chunks is not None else []
    told += [Message(chunk_text(_json_text(options.json)))] if options.json is not UNSET else []
    status = "incomplete" if options.incomplete else "completed"
    return Script((*thought, *told), _build_usage(options.usage), status)


def _build_item(content: ReplyContent) -> Item:
    if isinstance(content, str):
        return Message(chunk_text(content))
    if isinstance(content, ToolCall):
        return complete_tool_call(content)
    if isinstance(content, Message | Reasoning | FunctionCall):
        return content
    if isinstance(content, Mapping):
        try:
            return _build_item(parse_script({"items": [content]}).items[0])
        except (KeyError, TypeError) as error:
            raise ConfigurationError(f"an item lacks {error}: {dict(content)!r}") from None
    raise ConfigurationError(f"a reply is a text or a script, not a {type(content).__name__}")


def _validate_chunks(chunks: Iterable[str]) -> tuple[str, ...]:
    pieces = (chunks,) if isinstance(chunks, str) else tuple(chunks)
    if not all(isinstance(each, str) for each in pieces):
        raise ConfigurationError("chunks are texts")
    return pieces


def _json_text(value: Any) -> str:
    try:
        return wire_json.dumps(value).decode()
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"json= is no JSON value: {error}") from None


def _build_usage(counts: Mapping[str, Any] | None) -> Usage:
    for name, value in (counts or {}).items():
        if name not in Usage.__slots__ or type(value) is not (bool if name == "with_context" else int):
            known = ", ".join(Usage.__slots__)
            raise ConfigurationError(f"usage: {name} can not be {value!r}; there are: {known}")
        if value < 0:
            raise ConfigurationError(f"usage: {name} is not below 0")
    return Usage(**(counts or {}))


def _script_function(function: Callable[[IncomingRequest], Any]) -> Callable[[IncomingRequest], Script]:
    def build(request: IncomingRequest) -> Script:
        answer = function(request)
        several = answer if isinstance(answer, list | tuple) else [answer]
        return build_script(several, ReplyOptions())

    build.__name__ = getattr(function, "__name__", "a function")
    return build


def _build_delivery(options: Mapping[str, Any], *, is_error: bool = False) -> Delivery:
    known = ", ".join(sorted(DeliveryOptions.__annotations__))
    for name in options:
        if name not in DeliveryOptions.__annotations__:
            raise ConfigurationError(f"reply(): there is no {name!r}; there are: {known}")
    if "fault" in options and "violate" in options:
        raise ConfigurationError("a reply has one fault, or breaks one rule")
    rule = {"fault": options["violate"]} if "violate" in options else {}
    return parse_delivery({**options, **rule}, is_error=is_error)
