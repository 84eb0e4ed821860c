"""What an exchange says, made ready: its reply and its delivery, looked at before anybody asks.

Files, the admin API and Python go through here, so what one of them can plan, the others can, to the byte.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, TypeAlias
from uuid import UUID

from mockserver.clock import SteppedClock
from mockserver.contract.check import check_response
from mockserver.contract.findings import errors
from mockserver.errors import ConfigurationError, InvalidExchange
from mockserver.exchanges import Exchange
from mockserver.profiles import Profile, load_profile
from mockserver.replies.generated_scripts import complete_tool_call
from mockserver.replies.script import FunctionCall, Script, ToolCall, Usage, parse_script, require_servable
from mockserver.replies.templates import TemplateValues, compile_reply
from mockserver.replies.usage import count_output_tokens
from mockserver.server.delivery.delivery import DEFAULT_DELIVERY, Delivery
from mockserver.server.delivery.faults import RequestedFault, ServiceFault, WireFault, parse_fault
from mockserver.wire import json

__all__ = [
    "ReplyDefinition",
    "parse_delivery",
    "prepare_delivery",
    "prepare_reply",
    "require_body_fault",
    "require_valid_tool_items",
]

ReplyDefinition: TypeAlias = Script | RequestedFault | Mapping[str, Any]
"""A script, an error of the service, or an exchange's reply of another kind."""


def prepare_reply(
    exchange: Exchange, profile: Profile, rendering: str, *, check_contract: bool = True
) -> ReplyDefinition:
    """What an exchange answers with; InvalidExchange names file and place where it can not.

    `judged`: what a script says of tools is filled in and held against the contract.
    """
    try:
        if "script" in exchange.reply:
            script = parse_script(exchange.reply["script"])
            if check_contract:
                items = tuple(
                    complete_tool_call(each) if isinstance(each, ToolCall) else each for each in script.items
                )
                script = replace(script, items=items)
            require_servable(script, profile)
            if check_contract:
                require_valid_tool_items(script, profile, rendering)
            return script
        error = exchange.reply.get("error")
        return (
            _parse_service_fault(error["name"]) if error is not None and "name" in error else exchange.reply
        )
    except ConfigurationError as error:
        raise InvalidExchange(
            exchange.location, f"{exchange.pointer}/reply/{next(iter(exchange.reply))}", str(error)
        ) from None


def _parse_service_fault(text: str) -> RequestedFault:
    asked = parse_fault(text)
    if not isinstance(asked.definition, ServiceFault) or not asked.is_unconditional:
        raise ConfigurationError(
            f"{text} is no error of the service that comes always: see `mockserver faults`"
        )
    return asked


def prepare_delivery(exchange: Exchange) -> Delivery:
    """How an exchange's reply goes out; InvalidExchange names file and place where it can not."""
    given = exchange.delivery or {}
    if not given:
        return DEFAULT_DELIVERY
    for name in given:
        try:
            parse_delivery({name: given[name]}, is_error="error" in exchange.reply)
        except ConfigurationError as error:
            raise InvalidExchange(
                exchange.location, f"{exchange.pointer}/delivery/{name}", str(error)
            ) from None
    return parse_delivery(given, is_error="error" in exchange.reply)


def parse_delivery(options: Mapping[str, str], *, is_error: bool = False) -> Delivery:
    """What `{"fault"?, "pace"?, "chunking"?}` says of a reply, or of an error; ConfigurationError."""
    fault = parse_fault(options["fault"]) if options.get("fault") else None
    if fault is not None and isinstance(fault.definition, ServiceFault):
        raise ConfigurationError(
            f"{fault.name} is an error in place of a reply: "
            f'fail("{fault.name}"), or {{"error": {{"name": "{fault.name}"}}}}'
        )
    if is_error:
        require_body_fault(fault)
    return Delivery(fault, options.get("pace"), options.get("chunking"))


def require_body_fault(fault: RequestedFault | None) -> None:
    """ConfigurationError where a fault has no place in an error, which is a body and no response."""
    if fault is not None and not (
        isinstance(fault.definition, WireFault) and fault.definition.can_break(stream=False)
    ):
        raise ConfigurationError(f"{fault.name} breaks responses, and an error is none")


def require_valid_tool_items(script: Script, profile: Profile, rendering: str) -> None:
    """ConfigurationError where what a script says of tools breaks the contract; texts can not."""
    if not any(isinstance(item, ToolCall | FunctionCall) for item in script.items):
        return
    # Its numbers come with a request.
    broken = _contract_errors(replace(script, usage=Usage()), profile.name, rendering)
    if broken:
        raise ConfigurationError(f"this reply breaks the contract; violate= does so on purpose: {broken}")


@lru_cache(maxsize=256)
def _contract_errors(script: Script, profile: str, rendering: str) -> str:
    count = len(script.items)
    ids = [str(UUID(int=number)) for number in range(1, 2 * count + 2)]
    about = load_profile(profile)
    values = TemplateValues(
        ids[0] if about.id_form == "uuid" else about.id_form + ids[0],
        SteppedClock.START,
        1,
        1 + count_output_tokens(script)[0],
        b"[]",
        b'"auto"',
        [about.item_id_prefix + each for each in ids[:count]],
        ids[count : 2 * count],
        tuple(json.dumps(_as_dict(each)) for each in about.echoes.values()),
    )
    body = compile_reply(script, profile, rendering, about.models[0]).render(values)
    return "; ".join(str(finding) for finding in errors(check_response(body, profile)))


def _as_dict(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value
