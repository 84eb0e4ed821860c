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
from mockserver.server.state.sessions import Session
from mockserver.server.stubs.exchange_replies import parse_delivery, require_valid_tool_items
from mockserver.server.stubs.matchers import ANY_REQUEST, IncomingRequest, Matcher
from mockserver.server.stubs.stubs import Stub
from mockserver.wire import json as wire_json

__all__ = [
    "NOTHING",
    "Delivered",
    "Like",
    "More",
    "Planned",
    "Planner",
    "Said",
    "Scenario",
    "When",
    "named",
    "script_of",
]

#: As exchange files have it.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

#: Options of an error that say how it goes out.
_OF_DELIVERY = ("fault", "pace", "chunking")

#: No value at all, where None is one.
NOTHING: Final[Any] = object()

Piece: TypeAlias = str | Item | Mapping[str, Any]
Said: TypeAlias = Piece | Script | Callable[[IncomingRequest], Any] | None


class Delivered(TypedDict, total=False):
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


class Like(TypedDict, total=False):
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
    after: str | Planned
    """The reply that answered the turn before, or its name."""
    stream: bool
    header: Mapping[str, str]
    json_subset: Mapping[str, Any]
    """Members that the request has, objects within them by the same rule."""
    predicate: Callable[[IncomingRequest], bool]


class More(NamedTuple):
    """What is said of a reply beside its items."""

    chunks: Iterable[str] | None = None
    json: Any = NOTHING
    reasoning: str | None = None
    usage: Mapping[str, Any] | None = None
    incomplete: bool = False


class Planned(Stub):
    """A planned reply that others can follow."""

    __slots__ = ("_planner",)

    _planner: Planner

    def then(self, *said: Said, **delivery: Unpack[Delivered]) -> Planned:
        """Plan the reply that comes when this one has answered as often as planned, to the same requests."""
        return self._planner.reply(*said, **delivery)


class _Plans:
    """Replies to some of the requests, each planned as at the server itself."""

    def __init__(self, planner: Planner) -> None:
        self._planner = planner

    def reply(
        self,
        *said: Said,
        chunks: Iterable[str] | None = None,
        json: Any = NOTHING,
        reasoning: str | None = None,
        usage: Mapping[str, Any] | None = None,
        incomplete: bool = False,
        **delivery: Unpack[Delivered],
    ) -> Planned:
        """As `MockServer.reply`, for these requests alone."""
        return self._planner.reply(*said, more=More(chunks, json, reasoning, usage, incomplete), **delivery)

    def fail(self, name: str, /, **options: Any) -> Planned:
        """As `MockServer.fail`, for these requests alone."""
        return self._planner.fault(name, options)

    def fault(self, name: str, /, **options: Any) -> Planned:
        """As `MockServer.fault`, for these requests alone."""
        return self._planner.fault(name, options)

    def violate(self, rule: str, /, **options: Any) -> Planned:
        """As `MockServer.violate`, for these requests alone."""
        return self._planner.fault(rule, options)


class When(_Plans):
    """Requests of a kind, for which replies can be planned."""

    def __init__(self, planner: Planner, condition: Matcher) -> None:
        super().__init__(planner.only(condition))


class Scenario(_Plans):
    """A scenario: each reply is a step, for those requests that name it."""

    def __init__(self, planner: Planner, name: str) -> None:
        """ConfigurationError where it can not be called that."""
        if not _NAME.fullmatch(name):
            raise ConfigurationError(
                "a scenario's name is 1 to 100 letters, digits, '.', '_' and '-', a letter or digit first,"
                f" not {name[:40]!r}"
            )
        self.name = name
        super().__init__(planner.within(name))

    @property
    def headers(self) -> dict[str, str]:
        """What a request has that names the scenario."""
        return {"x-mock-scenario": self.name}


class Planner:
    """Puts stubs into a session's line."""

    def __init__(self, session: Session, condition: Matcher = ANY_REQUEST, scenario: str = "") -> None:
        self._session = session
        self._condition = condition
        self._scenario = scenario

    def only(self, condition: Matcher) -> Self:
        """A planner for the requests of a condition."""
        return type(self)(self._session, condition)

    def within(self, scenario: str) -> Self:
        """A planner for the requests that name a scenario."""
        return type(self)(self._session, ANY_REQUEST, scenario)

    def reply(self, *said: Said, more: More | None = None, **delivery: Unpack[Delivered]) -> Planned:
        """Plan what is said."""
        name = delivery.pop("name", "")
        how = _delivery(delivery)
        functions = [each for each in said if callable(each)]
        if not functions:
            script = script_of(said, more or More())
            if script.status not in ("completed", "incomplete"):
                raise ConfigurationError(f"a reply can not be {script.status!r}: fail() plans an error")
            require_servable(script, self._session.profile)
            require_valid_tool_items(script, self._session.profile, self._session.rendering)
            return self._add(script, how, name)
        if len(said) > 1 or (more is not None and more != More()):
            raise ConfigurationError("a function of the request says the whole reply: it is planned alone")
        return self._add(_calling(functions[0]), how, name)

    def fault(self, name: str, options: Mapping[str, Any]) -> Planned:
        """Plan a fault."""
        given = {each: options[each] for each in _OF_DELIVERY if each in options}
        own = {each: value for each, value in options.items() if each not in given}
        called = own.pop("name", "")
        asked = parse_fault(name) if "," in name or ":" in name else build_requested_fault(name, own)
        if not isinstance(asked.definition, ServiceFault):
            how = _delivery(given)
            if how.fault is not None:
                raise ConfigurationError("a reply has one fault, or breaks one rule")
            return self._add(None, replace(how, fault=asked), called)
        if not asked.is_unconditional:
            raise ConfigurationError(f"{asked.name} is planned in line: .times(n) says how often it comes")
        return self._add(asked, _delivery(given, is_error=True), called)

    def _add(self, said: Any, delivery: Delivery, name: str) -> Planned:
        plan = {
            "name": name,
            "matcher": self._condition,
            "delivery": delivery,
            "scenario": self._scenario,
        }
        stub = self._session.stubs.add_as(Planned, said, **plan)
        stub._planner = self  # noqa: SLF001 (what makes it)
        return stub


def named(prompt: str | None, like: Mapping[str, Any]) -> dict[str, Any]:
    """What a request must be like, by the names that conditions have."""
    after = like.get("after")
    said = {**like, "prompt": prompt}
    return {**said, "after": after.name} if isinstance(after, Stub) else said


def script_of(said: Iterable[Said], more: More) -> Script:
    """The script that is said, in items or whole; ConfigurationError."""
    given = [each for each in said if each is not None]
    items = [*given, *([more.chunks] if more.chunks is not None else [])]
    items += [more.json] if more.json is not NOTHING else []
    if not items and more.reasoning is None:
        raise ConfigurationError("a reply is a text, chunks or a script: exactly one of them")
    if len(given) == 1 and isinstance(given[0], Script):
        if len(items) > 1 or more != More():
            raise ConfigurationError("a script is a whole reply: nothing else can be said beside it")
        return given[0]
    if more.chunks is not None and (given or more.json is not NOTHING):
        raise ConfigurationError("a reply is a text, chunks or a script: exactly one of them")
    thought = [Reasoning(chunk_text(more.reasoning))] if more.reasoning else []
    told = [_item(each) for each in given]
    told += [Message(_pieces(more.chunks))] if more.chunks is not None else []
    told += [Message(chunk_text(_json(more.json)))] if more.json is not NOTHING else []
    status = "incomplete" if more.incomplete else "completed"
    return Script((*thought, *told), _usage(more.usage), status)


def _item(said: Said) -> Item:
    if isinstance(said, str):
        return Message(chunk_text(said))
    if isinstance(said, ToolCall):
        return complete_tool_call(said)
    if isinstance(said, Message | Reasoning | FunctionCall):
        return said
    if isinstance(said, Mapping):
        try:
            return _item(parse_script({"items": [said]}).items[0])
        except (KeyError, TypeError) as error:
            raise ConfigurationError(f"an item lacks {error}: {dict(said)!r}") from None
    raise ConfigurationError(f"a reply is a text or a script, not a {type(said).__name__}")


def _pieces(chunks: Iterable[str]) -> tuple[str, ...]:
    pieces = (chunks,) if isinstance(chunks, str) else tuple(chunks)
    if not all(isinstance(each, str) for each in pieces):
        raise ConfigurationError("chunks are texts")
    return pieces


def _json(value: Any) -> str:
    try:
        return wire_json.dumps(value).decode()
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"json= is no JSON value: {error}") from None


def _usage(given: Mapping[str, Any] | None) -> Usage:
    for name, value in (given or {}).items():
        if name not in Usage.__slots__ or type(value) is not (bool if name == "with_context" else int):
            known = ", ".join(Usage.__slots__)
            raise ConfigurationError(f"usage: {name} can not be {value!r}; there are: {known}")
        if value < 0:
            raise ConfigurationError(f"usage: {name} is not below 0")
    return Usage(**(given or {}))


def _calling(function: Callable[[IncomingRequest], Any]) -> Callable[[IncomingRequest], Script]:
    def said(request: IncomingRequest) -> Script:
        answer = function(request)
        several = answer if isinstance(answer, list | tuple) else [answer]
        return script_of(several, More())

    said.__name__ = getattr(function, "__name__", "a function")
    return said


def _delivery(given: Mapping[str, Any], *, is_error: bool = False) -> Delivery:
    known = ", ".join(sorted(Delivered.__annotations__))
    for name in given:
        if name not in Delivered.__annotations__:
            raise ConfigurationError(f"reply(): there is no {name!r}; there are: {known}")
    if "fault" in given and "violate" in given:
        raise ConfigurationError("a reply has one fault, or breaks one rule")
    rule = {"fault": given["violate"]} if "violate" in given else {}
    return parse_delivery({**given, **rule}, is_error=is_error)
