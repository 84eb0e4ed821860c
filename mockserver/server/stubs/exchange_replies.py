"""Prepare the reply and the delivery of an exchange, and report what is wrong before a request arrives.

Files, the admin API and Python all use this module, so the same stub gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, TypeAlias
from uuid import UUID

from mockserver.clock import SteppedClock
from mockserver.contract.findings import errors
from mockserver.documents.problems import Problem
from mockserver.errors import ConfigurationError, InvalidExchange
from mockserver.exchanges import Exchange
from mockserver.named_tuples import NamedTuple
from mockserver.profiles import Profile, load_profile, profile_names, unknown_profile
from mockserver.replies.generated_scripts import complete_tool_call
from mockserver.replies.renderings import load_rendering
from mockserver.replies.script import (
    FunctionCall,
    Message,
    Script,
    ToolCall,
    Usage,
    parse_script,
    require_servable,
    unknown_tool,
)
from mockserver.replies.templates import FixedValues, compile_reply, reply_slots
from mockserver.replies.usage import count_output_tokens
from mockserver.server.delivery.faults import RequestedFault, ServiceFault, parse_fault
from mockserver.server.delivery.options import DEFAULT_DELIVERY, Delivery
from mockserver.server.stubs.placeholders import require_known_placeholders
from mockserver.server.stubs.spellings import JSON, Spelling
from mockserver.suggestions import choose_from
from mockserver.wire import json
from mockserver.wire.json import parse_pointer

__all__ = [
    "ReplyDefinition",
    "ScriptCache",
    "ScriptCaches",
    "SelectedReply",
    "complete_tool_calls",
    "find_item_problems",
    "parse_delivery",
    "parse_service_fault",
    "prepare_delivery",
    "prepare_reply",
    "prepare_script",
    "require_body_fault",
    "require_fillable",
    "require_known_profile",
    "require_valid_tool_items",
]

#: Why the placeholders of a reply are refused.
_NO_TEMPLATE = "only a reply from texts, items or a script can have placeholders: this one is sent as it is"

#: Scripts that share the engine's cache, which has room for 1,024 of all sessions.
_MAX_SCRIPTS_WITHOUT_CACHE = 256

ReplyDefinition: TypeAlias = Script | RequestedFault | Mapping[str, Any]
"""A script, an error of the service, or the `error`, `body` or `http` reply of an exchange."""


class ScriptCache:
    """What the engine compiles of a script, by model and settings of the session."""

    __slots__ = ("by_form", "compiled", "form")

    def __init__(self) -> None:
        self.by_form: dict[Any, Any] = {}
        # Beside the dictionary, because the parts of 10,000 dictionaries are fetched from memory one by one.
        self.form: Any = None
        """The latest one."""
        self.compiled: Any = None


class SelectedReply(NamedTuple):
    """The reply to a request."""

    stub_name: str | None
    """Name of the stub or exchange; None for a generated reply."""
    reply: ReplyDefinition
    delivery: Delivery = DEFAULT_DELIVERY
    compiled: ScriptCache | None = None
    """Where the engine keeps what it compiles of it; None: in its cache for all scripts."""


class ScriptCaches:
    """Caches for the scripts of many stubs or exchanges, which the engine's cache has no room for."""

    def __init__(self) -> None:
        self._caches: dict[Script, ScriptCache | None] = {}

    def cache_of(self, reply: object) -> ScriptCache | None:
        """The cache of a script, which equal ones share; None: the engine's is large enough."""
        if not isinstance(reply, Script):
            return None
        if reply not in self._caches:
            self._caches[reply] = None if len(self._caches) < _MAX_SCRIPTS_WITHOUT_CACHE else ScriptCache()
        return self._caches[reply]


def prepare_reply(
    exchange: Exchange, profile: Profile, rendering: str, *, check_contract: bool = True
) -> ReplyDefinition:
    """Prepare an exchange's reply. Raises InvalidExchange with file and JSON Pointer.

    With `check_contract`, the tool calls of a script are completed and checked against the contract.
    """
    try:
        delivery = exchange.delivery or {}
        if "script" in exchange.reply:
            script = parse_script(exchange.reply["script"])
            if delivery.get("template"):
                require_known_placeholders(script)
            is_checked = check_contract and not delivery.get("invalid")
            return prepare_script(script, profile, rendering, JSON, check_contract=is_checked)
        require_fillable(exchange.reply, delivery)
        error = exchange.reply.get("error", {})
        return parse_service_fault(error["name"]) if "name" in error else exchange.reply
    except ConfigurationError as error:
        raise InvalidExchange(
            exchange.location, exchange.pointer + exchange.reply_pointer, str(error)
        ) from None


def require_known_profile(exchange: Exchange) -> None:
    """Raise InvalidExchange if an exchange names a profile that does not exist: it would never answer."""
    if exchange.profile is not None and exchange.profile not in profile_names():
        raise InvalidExchange(
            exchange.location, f"{exchange.pointer}/profile", unknown_profile(exchange.profile)
        )


def prepare_script(
    script: Script, profile: Profile, rendering: str, spelling: Spelling, *, check_contract: bool
) -> Script:
    """Prepare the script of a reply. Raises ConfigurationError if the profile cannot serve it.

    With `check_contract`, its tool calls are completed and checked; without, they are sent as they are.
    """
    if check_contract:
        script = complete_tool_calls(script)
    require_servable(script, profile)
    if check_contract:
        require_valid_tool_items(script, profile, rendering, spelling)
    return script


def complete_tool_calls(script: Script) -> Script:
    """A script with generated data for members that its tool calls do not set."""
    if not any(isinstance(item, ToolCall) for item in script.items):
        return script
    items = tuple(complete_tool_call(each) if isinstance(each, ToolCall) else each for each in script.items)
    return replace(script, items=items)


def require_fillable(reply: Mapping[str, Any], delivery: Mapping[str, Any]) -> None:
    """Raise ConfigurationError if a reply that is sent as it is asks for placeholders."""
    if delivery.get("template") and "script" not in reply:
        raise ConfigurationError(_NO_TEMPLATE)


def parse_service_fault(spec: str) -> RequestedFault:
    """Parse an error of the service. Raises ConfigurationError."""
    fault = parse_fault(spec)
    if not isinstance(fault.definition, ServiceFault) or not fault.is_unconditional:
        raise ConfigurationError(f"{spec} is not an unconditional service error: see `mockserver faults`")
    return fault


def prepare_delivery(exchange: Exchange) -> Delivery:
    """Parse an exchange's delivery. Raises InvalidExchange with file and JSON Pointer."""
    options = exchange.delivery or {}
    if not options:
        return DEFAULT_DELIVERY
    errors: list[InvalidExchange] = []
    for name in options:
        try:
            parse_delivery({name: options[name]}, JSON, is_error="error" in exchange.reply)
        except ConfigurationError as error:
            pointer = exchange.pointer + exchange.delivery_pointers.get(name, f"/delivery/{name}")
            errors.append(InvalidExchange(exchange.location, pointer, str(error)))
    if errors:
        raise InvalidExchange.combine(errors)
    return parse_delivery(options, JSON, is_error="error" in exchange.reply)


def parse_delivery(options: Mapping[str, Any], spelling: Spelling, *, is_error: bool = False) -> Delivery:
    """Parse `{"fault"?, "pace"?, "chunking"?, "delay_ms"?, "invalid"?, "template"?}`. Raises ConfigurationError."""
    fault = parse_fault(options["fault"]) if options.get("fault") else None
    if fault is not None and isinstance(fault.definition, ServiceFault):
        raise ConfigurationError(f"{fault.name} replaces the reply: use {spelling.fail(fault.name)}")
    if is_error:
        require_body_fault(fault)
        if options.get("invalid"):
            raise ConfigurationError("an error is sent as it is: only a reply can be invalid")
        if options.get("template"):
            raise ConfigurationError(_NO_TEMPLATE)
    return Delivery(
        fault,
        options.get("pace"),
        options.get("chunking"),
        options.get("delay_ms", 0),
        options.get("invalid", False),
        options.get("template", False),
    )


def require_body_fault(fault: RequestedFault | None) -> None:
    """Raise ConfigurationError if a fault needs a response: an error is only a body."""
    if fault is None:
        return
    from mockserver.server.delivery.faults.registry import WireFault

    if not (isinstance(fault.definition, WireFault) and fault.definition.can_break(stream=False)):
        raise ConfigurationError(f"{fault.name} applies to responses, not to errors")


def require_valid_tool_items(script: Script, profile: Profile, rendering: str, spelling: Spelling) -> None:
    """Raise ConfigurationError if the tool calls of a script violate the contract; texts cannot."""
    if problems := find_item_problems(script, profile, rendering, spelling):
        raise ConfigurationError("\n".join(each.reason for each in problems))


def find_item_problems(script: Script, profile: Profile, rendering: str, spelling: Spelling) -> list[Problem]:
    """The problems of a script's tool calls; each pointer begins with the index of the item."""
    if not any(isinstance(item, ToolCall | FunctionCall) for item in script.items):
        return []
    unknown = {
        index: Problem(f"/{index}/type", unknown_tool(item.kind, profile))
        for index, item in enumerate(script.items)
        if isinstance(item, ToolCall) and item.kind not in profile.tools
    }
    known = [_NO_CALL if index in unknown else item for index, item in enumerate(script.items)]
    # Usage depends on the request.
    checked = replace(script, items=tuple(known), usage=Usage())
    return [*unknown.values(), *_contract_problems(checked, profile.name, rendering, spelling)]


#: In place of an item that the profile does not have.
_NO_CALL = Message(("…",))


@lru_cache(maxsize=256)
def _contract_problems(
    script: Script, profile_name: str, rendering: str, spelling: Spelling
) -> tuple[Problem, ...]:
    """What breaks the contract, and what the server would not send as it is written."""
    from mockserver.contract.check import check_response  # the whole checker: only for tool calls of a stub

    profile = load_profile(profile_name)
    body = _render_body(complete_tool_calls(script), profile, rendering)
    found = [
        Problem(
            each.pointer.removeprefix("/output"),
            f"this reply violates the contract (use {spelling.violate} to do so on purpose): {each}; "
            f"to send it as it is, add {spelling.invalid}{_example_near(each.pointer, script, spelling)}",
        )
        for each in errors(check_response(body, profile_name))
    ]
    output = json.loads(body)["output"]
    for index, item in enumerate(script.items):
        if isinstance(item, ToolCall):
            found += _unknown_data(item, output[index], index, profile_name, spelling)
    return tuple(found)


def _example_near(pointer: str, script: Script, spelling: Spelling) -> str:
    """An example of the item at a pointer into a response."""
    parts = parse_pointer(pointer)
    item = script.items[int(parts[1])] if parts[:1] == ["output"] and len(parts) > 1 else None
    if isinstance(item, ToolCall):
        return f"; example: {_tool_example(item, spelling)}"
    return '; example: {"city": "Paris"}' if isinstance(item, FunctionCall) else ""


def _tool_example(call: ToolCall, spelling: Spelling) -> str:
    written = f'ToolCall("{call.kind}", {{}})' if spelling.is_python else f'{{"type":"{call.kind}"}}'
    return f"{written}, whose members are generated"


#: Members of every tool's item, which the server sets.
_GENERATED_MEMBERS = ("id", "status", "type")


def _unknown_data(
    call: ToolCall, rendered: Mapping[str, Any], index: int, profile_name: str, spelling: Spelling
) -> Iterator[Problem]:
    """The members in a tool's data that no profile documents. A service may have them, but a typing error has too."""
    from mockserver.contract.schema.registry import load_schemas
    from mockserver.contract.schema.validation import find_unknown_members

    for name in _GENERATED_MEMBERS:
        if name in call.data:
            yield Problem(f"/{index}/{name}", f"the server sets {name!r} of {call.kind}: leave it out")
    for each in find_unknown_members(load_schemas(profile_name), "item", rendered).found:
        if each.since is None and each.rule is None:
            *path, name = parse_pointer(each.pointer)
            known = [name for name in each.known_names if path or name not in _GENERATED_MEMBERS]
            yield Problem(
                f"/{index}{each.pointer}",
                f"{'/'.join([call.kind, *path])} has no member {name!r}{choose_from(name, known)}; "
                f"to send it as it is, add {spelling.invalid}; "
                f"example: {_tool_example(call, spelling)}",
            )


def _render_body(script: Script, profile: Profile, rendering: str) -> bytes:
    count = len(script.items)
    ids = [str(UUID(int=number)) for number in range(1, 2 * count + 2)]
    fixed = FixedValues(
        1,
        1 + count_output_tokens(script)[0],
        b"[]",
        b'"auto"',
        tuple(json.dumps(_as_dict(each)) for each in profile.echoes.values()),
    )
    template = compile_reply(script, profile.name, rendering, profile.models[0])
    response_id = ids[0] if profile.id_form == "uuid" else profile.id_form + ids[0]
    item_ids = [profile.item_id_prefix + each for each in ids[:count]]
    slots = reply_slots(
        load_rendering(profile.name, rendering),
        response_id,
        SteppedClock.START,
        fixed.slots(),
        [*item_ids, *ids[count : 2 * count]],
    )
    (body,) = template.render(slots)
    return body


def _as_dict(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value
