"""What `reply()` takes, and a reply function returns: content, errors and delivery options, as values.

server.reply(lambda request: Reply("Slowly.", delay_ms=50) if request.stream else ErrorReply("rate-429"))
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple, TypeAlias, TypedDict, Unpack

from mockserver.documents.short_forms import CONTENT_MEMBERS, LongReply
from mockserver.errors import ConfigurationError, InvalidExchange
from mockserver.exchanges import document_problems, parse_items, parse_reply
from mockserver.profiles import Profile
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
from mockserver.server.stubs.document_problems import find_serving_problems
from mockserver.server.stubs.exchange_replies import (
    ReplyDefinition,
    parse_delivery,
    parse_service_fault,
    require_fillable,
)
from mockserver.server.stubs.matchers import IncomingRequest, Matcher
from mockserver.server.stubs.spellings import PYTHON
from mockserver.suggestions import choose_from, find_nearest
from mockserver.wire import json as wire_json
from mockserver.wire.json import parse_pointer

__all__ = [
    "UNSET",
    "DeliveryOptions",
    "ErrorReply",
    "Reply",
    "ReplyContent",
    "ReplyOptions",
    "ResolvedReply",
    "build_delivery",
    "build_script",
    "find_problems",
    "resolve_fault",
    "resolve_reply",
]

#: Options of an error that belong to its delivery.
_ERROR_DELIVERY_OPTIONS = ("fault", "pace", "chunking", "delay_ms")

#: No value, where None is a value.
UNSET: Final[Any] = object()


class DeliveryOptions(TypedDict, total=False):
    """How a reply is delivered."""

    fault: str
    """A fault of the wire: `NAME[,OPTION=VALUE…]`, see `mockserver faults`."""
    violate: str
    """The id of a rule of the contract that the reply breaks."""
    pace: str
    """none, fixed:MS, model:TTFT,TPS[,JITTER] or model:ttft=D,tps=D with distributions."""
    chunking: str
    """event, coalesced, bytes:N or random."""
    delay_ms: float
    """Milliseconds before the reply."""
    invalid: bool
    """Send the content exactly as it is, although it breaks the contract."""
    template: bool
    """Fill placeholders such as `{{request.prompt}}` with values of the request."""
    name: str
    """The name of the stub for `after=` and the journal."""


class ReplyOptions(NamedTuple):
    """Options of a reply beside its items."""

    chunks: Iterable[str] | None = None
    json: Any = UNSET
    reasoning: str | None = None
    usage: Mapping[str, Any] | None = None
    incomplete: bool = False


_DEFAULTS: Mapping[str, Any] = ReplyOptions()._asdict()


class Reply:
    """A reply as a value, with the arguments of `MockServer.reply`: for a function that returns one.

    >>> Reply("Hello", delay_ms=50)
    Reply('Hello', delay_ms=50)
    """

    __slots__ = ("content", "delivery", "options")

    def __init__(
        self,
        *content: ReplyContent,
        chunks: Iterable[str] | None = None,
        json: Any = UNSET,
        reasoning: str | None = None,
        usage: Mapping[str, Any] | None = None,
        incomplete: bool = False,
        **delivery: Unpack[DeliveryOptions],
    ) -> None:
        self.content = content
        self.options = ReplyOptions(chunks, json, reasoning, usage, incomplete)
        self.delivery: Mapping[str, Any] = delivery

    def __repr__(self) -> str:
        given = {
            name: value for name, value in self.options._asdict().items() if value is not _DEFAULTS[name]
        }
        return _format_call("Reply", self.content, {**given, **self.delivery})


class ErrorReply:
    """An error of the service as a value, with the arguments of `MockServer.fail`.

    >>> ErrorReply("rate-429", retry_after_ms=50)
    ErrorReply('rate-429', retry_after_ms=50)
    """

    __slots__ = ("name", "options")

    def __init__(self, name: str, /, **options: Any) -> None:
        self.name = name
        self.options: Mapping[str, Any] = options

    def __repr__(self) -> str:
        return _format_call("ErrorReply", (self.name,), self.options)


def _format_call(name: str, arguments: Iterable[Any], options: Mapping[str, Any]) -> str:
    return f"{name}({', '.join([*map(repr, arguments), *(f'{each}={value!r}' for each, value in options.items())])})"


ReplyItem: TypeAlias = str | Item | Mapping[str, Any]
ReplyResult: TypeAlias = ReplyItem | Sequence[ReplyItem] | Script | Reply | ErrorReply
"""What a reply function returns."""
ReplyFunction: TypeAlias = Callable[[IncomingRequest], ReplyResult | Awaitable[ReplyResult]]
"""A function of the request, or a coroutine function."""
ReplyContent: TypeAlias = ReplyResult | ReplyFunction | None


class ResolvedReply(NamedTuple):
    """A reply, how it is sent, and the name of its stub."""

    reply: ReplyDefinition | None
    """None: the reply that would come without the stub."""
    delivery: Delivery
    name: str = ""


def resolve_reply(
    content: Sequence[ReplyContent], options: ReplyOptions, delivery: Mapping[str, Any]
) -> ResolvedReply:
    """The reply that the arguments of `reply()` describe, which has no function. Raises ConfigurationError."""
    whole = content[0] if len(content) == 1 else None
    if isinstance(whole, Reply | ErrorReply) or _is_whole_reply(whole):
        if options != ReplyOptions():
            what = "an object" if isinstance(whole, Mapping) else f"{type(whole).__name__}(…)"
            raise ConfigurationError(f"{what} is a whole reply: pass nothing else")
        if isinstance(whole, ErrorReply):
            return _resolve_error(whole.name, _merged(delivery, whole.options))
        if isinstance(whole, Reply):
            return resolve_reply(whole.content, whole.options, _merged(delivery, whole.delivery))
        return _resolve_object(whole, delivery)
    name, others = _without_name(delivery)
    return ResolvedReply(build_script(content, options), build_delivery(others), name)


def find_problems(
    content: Sequence[ReplyContent], delivery: Mapping[str, Any], profile: Profile, rendering: str
) -> list[str]:
    """Everything that is wrong with objects as in a file, and with the options beside them; none if it is no object."""
    if len(content) == 1 and isinstance(content[0], Reply):
        inner = content[0]
        return find_problems(inner.content, {**delivery, **inner.delivery}, profile, rendering)
    values = content[0] if len(content) == 1 and isinstance(content[0], list | tuple) else content
    if not all(isinstance(each, str | Mapping) for each in values) or all(
        isinstance(each, str) for each in values
    ):
        return []
    whole = values[0] if len(values) == 1 else None
    is_item = not _is_whole_reply(whole)
    document = {"reply": [*values] if is_item else whole}
    place, prefix = ("an item", "/reply/0") if is_item and len(values) == 1 else ("reply()", "/reply")
    found = [
        *document_problems(document),
        *find_serving_problems({**document, "delivery": delivery}, profile, rendering, PYTHON),
    ]
    located = [each for each in found if not each.pointer.startswith("/delivery")]
    is_error = isinstance(whole, Mapping) and "error" in whole
    return [
        *(_locate(each.pointer.removeprefix(prefix), each.reason, place) for each in located),
        *_option_problems(_without_name(delivery)[1], is_error=is_error),
    ]


def _without_name(delivery: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    return delivery.get("name", ""), {each: value for each, value in delivery.items() if each != "name"}


def _merged(delivery: Mapping[str, Any], own: Mapping[str, Any]) -> Mapping[str, Any]:
    if repeated := sorted(own.keys() & delivery.keys()):
        raise ConfigurationError(f"the reply has {repeated[0]} too: give it once")
    return {**delivery, **own}


def _resolve_object(value: Any, delivery: Mapping[str, Any]) -> ResolvedReply:
    """A reply as in an exchange file: `{"text": "Hello", "delay_ms": 50}`."""
    reply, own_delivery, _ = _parse_whole_reply(value)
    name, others = _without_name(_merged(delivery, own_delivery))
    built_delivery = build_delivery(others, is_error="error" in reply)
    if "script" in reply:
        return ResolvedReply(parse_script(reply["script"]), built_delivery, name)
    require_fillable(reply, others)
    error = reply.get("error", {})
    definition = parse_service_fault(error["name"]) if "name" in error else reply
    return ResolvedReply(definition, built_delivery, name)


def _resolve_error(name: str, options: Mapping[str, Any]) -> ResolvedReply:
    resolved = resolve_fault(name, options)
    if resolved.reply is None:
        raise ConfigurationError(f"{name} is not an error: pass it as fault= of a reply")
    return resolved


def resolve_fault(name: str, options: Mapping[str, Any]) -> ResolvedReply:
    """The error or the fault that the arguments of `fail()` and `fault()` describe. Raises ConfigurationError."""
    stub_name, others = _without_name(options)
    delivery = {each: others[each] for each in _ERROR_DELIVERY_OPTIONS if each in others}
    fault_options = {each: value for each, value in others.items() if each not in delivery}
    fault = parse_fault(name) if "," in name or ":" in name else build_requested_fault(name, fault_options)
    if not isinstance(fault.definition, ServiceFault):
        built_delivery = build_delivery(delivery)
        if built_delivery.fault is not None:
            raise ConfigurationError("a reply can have one fault or break one rule, not both")
        return ResolvedReply(None, replace(built_delivery, fault=fault), stub_name)
    if not fault.is_unconditional:
        raise ConfigurationError(f"{fault.name}: use .times(n) to set how often an error comes")
    return ResolvedReply(fault, build_delivery(delivery, is_error=True), stub_name)


def build_script(content: Iterable[ReplyContent], options: ReplyOptions) -> Script:
    """The script of a reply. Raises ConfigurationError."""
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
    if isinstance(content, Reply | ErrorReply):
        raise ConfigurationError(f"{type(content).__name__}(…) is a whole reply: pass nothing else")
    raise ConfigurationError(f"a reply is a text, an item or a script, not a {type(content).__name__}")


#: Members of an object that is an item; with others it is a whole reply.
_ITEM_MEMBERS = frozenset(CONTENT_MEMBERS)


def _is_whole_reply(content: Any) -> bool:
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
    return "\n".join(_locate(each.pointer, each.reason, what) for each in error.problems)


def _locate(pointer: str, reason: str, what: str) -> str:
    steps = parse_pointer(pointer)
    location = "".join(f"[{step}]" if step.isdigit() else f"[{step!r}]" for step in steps)
    return f"{what}{location}: {reason}" if location else reason


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


def build_delivery(options: Mapping[str, Any], *, is_error: bool = False) -> Delivery:
    problems = [*_option_problems(options, is_error=is_error)]
    if problems:
        raise ConfigurationError("\n".join(problems))
    return parse_delivery(_wire_options(options), PYTHON, is_error=is_error)


def _wire_options(options: Mapping[str, Any]) -> dict[str, Any]:
    return {"fault" if name == "violate" else name: value for name, value in options.items()}


#: The names of conditions, by which stubs select requests.
_CONDITIONS = Matcher._fields


def _condition_hint(name: str, options: Iterable[str]) -> str:
    """What to do with a condition among the options of a reply; empty if the name is not like one."""
    condition = name if name in _CONDITIONS else find_nearest(name, _CONDITIONS)
    is_condition = condition is not None and find_nearest(name, options) is None
    if not is_condition and name not in ("match", "when"):
        return ""
    return f"; conditions are for when(), as in when({condition or 'contains'}=…).reply(…)"


def _option_problems(options: Mapping[str, Any], *, is_error: bool) -> Iterator[str]:
    known = sorted(DeliveryOptions.__annotations__)
    if "fault" in options and "violate" in options:
        yield "a reply can have one fault or break one rule, not both"
    for name, value in options.items():
        if name not in known:
            yield f"reply() has no option {name!r}{_condition_hint(name, known) or choose_from(name, known)}"
            continue
        try:
            parse_delivery(_wire_options({name: value}), PYTHON, is_error=is_error)
        except ConfigurationError as error:
            yield str(error)
