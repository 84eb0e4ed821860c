"""Stubs from Python: `reply()`, `when()`, `fail()`, `fault()` and scenarios become stubs of a session.

server.reply("Hi!").then("And again.")
server.when(contains="weather").reply(FunctionCall("get_weather", "{}")).times(2)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple, Self, TypeAlias, TypedDict, Unpack

from mockserver.documents.short_forms import LongReply
from mockserver.errors import ConfigurationError, InvalidExchange
from mockserver.exchanges import parse_items, parse_reply
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
)
from mockserver.server.delivery.faults import ServiceFault, build_requested_fault, parse_fault
from mockserver.server.delivery.options import Delivery
from mockserver.server.mock_headers import SCENARIO_HEADER
from mockserver.server.state.sessions import Session
from mockserver.server.stubs.exchange_replies import (
    complete_tool_calls,
    parse_delivery,
    parse_service_fault,
    prepare_script,
)
from mockserver.server.stubs.matchers import ANY_REQUEST, IncomingRequest, Matcher
from mockserver.server.stubs.spellings import PYTHON
from mockserver.server.stubs.stubs import Stub
from mockserver.suggestions import choose_from
from mockserver.wire import json as wire_json
from mockserver.wire.json import parse_pointer

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

#: The same pattern as in exchange files.
_SCENARIO_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

#: Options of an error that belong to its delivery.
_ERROR_DELIVERY_OPTIONS = ("fault", "pace", "chunking", "delay_ms")

#: No value, where None is a value.
UNSET: Final[Any] = object()

ReplyItem: TypeAlias = str | Item | Mapping[str, Any]
ReplyContent: TypeAlias = ReplyItem | Sequence[ReplyItem] | Script | Callable[[IncomingRequest], Any] | None


class DeliveryOptions(TypedDict, total=False):
    """How a reply is delivered."""

    fault: str
    """A fault of the wire: `NAME[,OPTION=VALUE…]`, see `mockserver faults`."""
    violate: str
    """The id of a rule of the contract that the reply breaks."""
    pace: str
    """none, fixed:MS or model:TTFT,TPS[,JITTER]."""
    chunking: str
    """event, coalesced, bytes:N or random."""
    delay_ms: float
    """Milliseconds before the reply."""
    invalid: bool
    """Send the content exactly as it is, although it breaks the contract."""
    name: str
    """The name of the stub for `after=` and the journal."""


class RequestMatch(TypedDict, total=False):
    """Conditions of a request."""

    contains: str
    """A part of the last user message."""
    ignore_case: bool
    """Whether prompt and `contains` ignore case."""
    instructions: str
    """A part of the instructions."""
    model: str
    tool: str
    """The type of a declared tool, or the name of a declared function."""
    tools: Collection[str]
    """The types of all declared tools, in any order."""
    thinking: bool
    """Whether thinking is enabled, by `reasoning`, `enable_thinking` or the model's default."""
    tool_output: str
    """A part of the last function output."""
    turn: int
    """The turn of the conversation, from 1."""
    after: str | ChainableStub
    """The stub that replied to the previous turn, or its name."""
    stream: bool
    header: Mapping[str, str]
    json_subset: Mapping[str, Any]
    """Members of the request; nested objects are subsets too."""
    predicate: Callable[[IncomingRequest], bool]


class ReplyOptions(NamedTuple):
    """Options of a reply beside its items."""

    chunks: Iterable[str] | None = None
    json: Any = UNSET
    reasoning: str | None = None
    usage: Mapping[str, Any] | None = None
    incomplete: bool = False


class ChainableStub(Stub):
    """A stub that another one can follow."""

    __slots__ = ("_builder",)

    _builder: StubBuilder

    def then(self, *content: ReplyContent, **delivery: Unpack[DeliveryOptions]) -> ChainableStub:
        """Add the stub that replies to the same requests when this one is used up."""
        return self._builder.add_reply(*content, **delivery)


class _ScopedStubs:
    """Stubs for some of the requests, with the methods of the server."""

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
        """As `MockServer.reply`, for these requests only."""
        return self._builder.add_reply(
            *content, options=ReplyOptions(chunks, json, reasoning, usage, incomplete), **delivery
        )

    def fail(self, name: str, /, **options: Any) -> ChainableStub:
        """As `MockServer.fail`, for these requests only."""
        return self._builder.add_fault(name, options)

    def fault(self, name: str, /, **options: Any) -> ChainableStub:
        """As `MockServer.fault`, for these requests only."""
        return self._builder.add_fault(name, options)

    def violate(self, rule: str, /, **options: Any) -> ChainableStub:
        """As `MockServer.violate`, for these requests only."""
        return self._builder.add_fault(rule, options)


class ConditionalStubs(_ScopedStubs):
    """Stubs for the requests that a matcher matches: the result of `when()`."""

    def __init__(self, builder: StubBuilder, matcher: Matcher) -> None:
        super().__init__(builder.for_matcher(matcher))


class Scenario(_ScopedStubs):
    """Stubs for the requests that name a scenario; each stub is a step."""

    def __init__(self, builder: StubBuilder, name: str) -> None:
        """ConfigurationError if the name is invalid."""
        if not _SCENARIO_NAME.fullmatch(name):
            raise ConfigurationError(
                "the name of a scenario must be 1 to 100 letters, digits, '.', '_' or '-', starting with a letter"
                f" or digit, not {name[:40]!r}"
            )
        self.name = name
        super().__init__(builder.for_scenario(name))

    @property
    def headers(self) -> dict[str, str]:
        """Headers with which a request names the scenario."""
        return {SCENARIO_HEADER.decode(): self.name}


class StubBuilder:
    """Adds stubs to a session."""

    def __init__(self, session: Session, matcher: Matcher = ANY_REQUEST, scenario: str = "") -> None:
        self._session = session
        self._matcher = matcher
        self._scenario = scenario

    def for_matcher(self, matcher: Matcher) -> Self:
        """A builder for the requests that a matcher matches."""
        return type(self)(self._session, matcher)

    def for_scenario(self, scenario: str) -> Self:
        """A builder for the requests that name a scenario."""
        return type(self)(self._session, ANY_REQUEST, scenario)

    def add_reply(
        self, *content: ReplyContent, options: ReplyOptions | None = None, **delivery: Unpack[DeliveryOptions]
    ) -> ChainableStub:
        """Add a stub with a reply; ConfigurationError if it is invalid."""
        if len(content) == 1 and _is_whole_reply(content[0]):
            return self._add_whole_reply(content[0], options, delivery)
        name = delivery.pop("name", "")
        built_delivery = _build_delivery(delivery)
        functions = [each for each in content if callable(each)]
        if not functions:
            script = build_script(content, options or ReplyOptions())
            script = self._prepare_script(script, is_invalid=built_delivery.invalid)
            return self._add_stub(script, built_delivery, name)
        if len(content) > 1 or (options is not None and options != ReplyOptions()):
            raise ConfigurationError("a reply function returns the whole reply: pass nothing else")
        function = _script_function(functions[0], is_invalid=built_delivery.invalid)
        return self._add_stub(function, built_delivery, name)

    def _add_whole_reply(
        self, value: Any, options: ReplyOptions | None, delivery: Mapping[str, Any]
    ) -> ChainableStub:
        """Add a stub with a reply as in an exchange file: `{"text": "Hello", "delay_ms": 50}`."""
        if options is not None and options != ReplyOptions():
            raise ConfigurationError("an object is a whole reply: pass nothing else")
        reply, own_delivery, _ = _parse_whole_reply(value)
        if repeated := sorted(own_delivery.keys() & delivery.keys()):
            raise ConfigurationError(f"the reply has {repeated[0]} too: give it once")
        members = {**delivery, **own_delivery}
        name = members.pop("name", "")
        built_delivery = _build_delivery(members, is_error="error" in reply)
        if "script" in reply:
            script = self._prepare_script(parse_script(reply["script"]), is_invalid=built_delivery.invalid)
            return self._add_stub(script, built_delivery, name)
        error = reply.get("error", {})
        return self._add_stub(
            parse_service_fault(error["name"]) if "name" in error else reply, built_delivery, name
        )

    def _prepare_script(self, script: Script, *, is_invalid: bool) -> Script:
        if script.status not in ("completed", "incomplete"):
            raise ConfigurationError(f"a reply cannot be {script.status!r}: use fail() for an error")
        session = self._session
        return prepare_script(
            script, session.profile, session.rendering, PYTHON, check_contract=not is_invalid
        )

    def add_fault(self, name: str, options: Mapping[str, Any]) -> ChainableStub:
        """Add a stub with an error or a fault; ConfigurationError if it is invalid."""
        delivery = {each: options[each] for each in _ERROR_DELIVERY_OPTIONS if each in options}
        fault_options = {each: value for each, value in options.items() if each not in delivery}
        stub_name = fault_options.pop("name", "")
        fault = (
            parse_fault(name) if "," in name or ":" in name else build_requested_fault(name, fault_options)
        )
        if not isinstance(fault.definition, ServiceFault):
            built_delivery = _build_delivery(delivery)
            if built_delivery.fault is not None:
                raise ConfigurationError("a reply can have one fault or break one rule, not both")
            return self._add_stub(None, replace(built_delivery, fault=fault), stub_name)
        if not fault.is_unconditional:
            raise ConfigurationError(f"{fault.name}: use .times(n) to set how often an error comes")
        return self._add_stub(fault, _build_delivery(delivery, is_error=True), stub_name)

    def _add_stub(self, reply: Any, delivery: Delivery, name: str) -> ChainableStub:
        stub = self._session.stubs.add_as(
            ChainableStub,
            reply,
            name=name,
            matcher=self._matcher,
            delivery=delivery,
            scenario=self._scenario,
        )
        stub._builder = self  # noqa: SLF001 (the builder creates it)
        return stub


def matcher_arguments(prompt: str | None, conditions: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of `build_matcher`; a stub in `after` becomes its name."""
    after = conditions.get("after")
    arguments = {**conditions, "prompt": prompt}
    return {**arguments, "after": after.name} if isinstance(after, Stub) else arguments


def build_script(content: Iterable[ReplyContent], options: ReplyOptions) -> Script:
    """The script of a reply; ConfigurationError if it is invalid."""
    parts = list(_flatten(content))
    sources = [*parts, *([options.chunks] if options.chunks is not None else [])]
    sources += [options.json] if options.json is not UNSET else []
    if not sources and options.reasoning is None:
        raise ConfigurationError(
            "a reply needs a text, items, chunks=, json= or a script: exactly one of them"
        )
    if len(parts) == 1 and isinstance(parts[0], Script):
        if len(sources) > 1 or options != ReplyOptions():
            raise ConfigurationError("a script is a whole reply: pass nothing else")
        return parts[0]
    if options.chunks is not None and (parts or options.json is not UNSET):
        raise ConfigurationError(
            "a reply needs a text, items, chunks=, json= or a script: exactly one of them"
        )
    items: list[Item] = [Reasoning(chunk_text(options.reasoning))] if options.reasoning else []
    items += [_build_item(each) for each in parts]
    items += [Message(_validate_chunks(options.chunks))] if options.chunks is not None else []
    items += [Message(chunk_text(_json_text(options.json)))] if options.json is not UNSET else []
    status = "incomplete" if options.incomplete else "completed"
    return Script(tuple(items), _build_usage(options.usage), status)


def _flatten(content: Iterable[ReplyContent]) -> Iterator[Any]:
    for each in content:
        if isinstance(each, list | tuple):
            yield from _flatten(each)
        elif each is not None:
            yield each


def _build_item(content: Any) -> Item:
    if isinstance(content, str):
        return Message(chunk_text(content))
    if isinstance(content, Message | Reasoning | FunctionCall | ToolCall):
        return content
    if isinstance(content, Mapping):
        return _parse_item(content)
    raise ConfigurationError(f"a reply is a text, an item or a script, not a {type(content).__name__}")


#: Members of an object that is an item; with others it is a whole reply.
_ITEM_MEMBERS = frozenset({"function_call", "text", "chunks", "json", "reasoning"})


def _is_whole_reply(content: ReplyContent) -> bool:
    """Whether a value is the reply of an exchange file, and not one of its items."""
    return (
        isinstance(content, Mapping)
        and "type" not in content
        and (len(content) != 1 or not _ITEM_MEMBERS.issuperset(content))
    )


def _parse_item(content: Mapping[str, Any]) -> Item:
    try:
        (item,) = parse_script({"items": parse_items([dict(content)])}).items
    except InvalidExchange as error:
        raise ConfigurationError(_in_python(error, "an item")) from None
    return item


def _parse_whole_reply(value: Any) -> LongReply:
    try:
        return parse_reply(dict(value))
    except InvalidExchange as error:
        raise ConfigurationError(_in_python(error, "reply()")) from None


def _in_python(error: InvalidExchange, what: str) -> str:
    """The problems of a value, located as in Python."""
    lines = []
    for each in error.problems:
        steps = parse_pointer(each.pointer)
        location = "".join(f"[{step}]" if step.isdigit() else f"[{step!r}]" for step in steps)
        lines.append(f"{what}{location}: {each.reason}" if location else each.reason)
    return "\n".join(lines)


def _validate_chunks(chunks: Iterable[str]) -> tuple[str, ...]:
    pieces = (chunks,) if isinstance(chunks, str) else tuple(chunks)
    if not all(isinstance(each, str) for each in pieces):
        raise ConfigurationError("chunks must be texts")
    return pieces


def _json_text(value: Any) -> str:
    try:
        return wire_json.dumps(value).decode()
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"json= is not a JSON value: {error}") from None


def _build_usage(counts: Mapping[str, Any] | None) -> Usage:
    for name, value in (counts or {}).items():
        if name not in Usage.__slots__ or type(value) is not (bool if name == "with_context" else int):
            known = choose_from(name, Usage.__slots__)
            raise ConfigurationError(f"usage: {name} cannot be {value!r}{known}")
        if value < 0:
            raise ConfigurationError(f"usage: {name} must not be negative")
    return Usage(**(counts or {}))


def _script_function(
    function: Callable[[IncomingRequest], Any], *, is_invalid: bool
) -> Callable[[IncomingRequest], Script]:
    def build(request: IncomingRequest) -> Script:
        result = function(request)
        script = _script_of_result(result)
        return script if is_invalid else complete_tool_calls(script)

    build.__name__ = getattr(function, "__name__", "a function")
    return build


def _script_of_result(result: Any) -> Script:
    if not _is_whole_reply(result):
        return build_script([result], ReplyOptions())
    reply, delivery, _ = _parse_whole_reply(result)
    if delivery or "script" not in reply:
        names = ", ".join([*delivery, *(name for name in reply if name != "script")])
        raise ConfigurationError(f"a reply function returns content only, without {names}")
    return parse_script(reply["script"])


def _build_delivery(options: Mapping[str, Any], *, is_error: bool = False) -> Delivery:
    known = sorted(DeliveryOptions.__annotations__)
    for name in options:
        if name not in known:
            raise ConfigurationError(f"reply() has no option {name!r}{choose_from(name, known)}")
    if "fault" in options and "violate" in options:
        raise ConfigurationError("a reply can have one fault or break one rule, not both")
    rule = {"fault": options["violate"]} if "violate" in options else {}
    return parse_delivery({**options, **rule}, PYTHON, is_error=is_error)
