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
from mockserver.replies.answers import made_up
from mockserver.replies.script import FunctionCall, Script, ToolCall, Usage, require_servable, script_from
from mockserver.replies.template import Values, reply_template
from mockserver.replies.usage import output_tokens
from mockserver.server.delivery import DEFAULT_DELIVERY, Delivery
from mockserver.server.faults import AskedFault, Fault, WireFault, parse_fault
from mockserver.wire import json

__all__ = ["Reply", "delivered", "ready_delivery", "ready_reply", "require_legal", "require_whole"]

Reply: TypeAlias = Script | AskedFault | Mapping[str, Any]
"""A script, an error of the service, or an exchange's reply of another kind."""


def ready_reply(exchange: Exchange, profile: Profile, rendering: str, *, judged: bool = True) -> Reply:
    """What an exchange answers with; InvalidExchange names file and place where it can not.

    `judged`: what a script says of tools is filled in and held against the contract.
    """
    try:
        if "script" in exchange.reply:
            script = script_from(exchange.reply["script"])
            if judged:
                items = tuple(made_up(each) if isinstance(each, ToolCall) else each for each in script.items)
                script = replace(script, items=items)
            require_servable(script, profile)
            if judged:
                require_legal(script, profile, rendering)
            return script
        error = exchange.reply.get("error")
        return _error_named(error["name"]) if error is not None and "name" in error else exchange.reply
    except ConfigurationError as error:
        raise InvalidExchange(
            exchange.where, f"{exchange.place}/reply/{next(iter(exchange.reply))}", str(error)
        ) from None


def _error_named(text: str) -> AskedFault:
    asked = parse_fault(text)
    if not isinstance(asked.what, Fault) or not asked.always:
        raise ConfigurationError(
            f"{text} is no error of the service that comes always: see `mockserver faults`"
        )
    return asked


def ready_delivery(exchange: Exchange) -> Delivery:
    """How an exchange's reply goes out; InvalidExchange names file and place where it can not."""
    given = exchange.delivery or {}
    if not given:
        return DEFAULT_DELIVERY
    for name in given:
        try:
            delivered({name: given[name]}, is_error="error" in exchange.reply)
        except ConfigurationError as error:
            raise InvalidExchange(exchange.where, f"{exchange.place}/delivery/{name}", str(error)) from None
    return delivered(given, is_error="error" in exchange.reply)


def delivered(given: Mapping[str, str], *, is_error: bool = False) -> Delivery:
    """What `{"fault"?, "pace"?, "chunking"?}` says of a reply, or of an error; ConfigurationError."""
    fault = parse_fault(given["fault"]) if given.get("fault") else None
    if fault is not None and isinstance(fault.what, Fault):
        raise ConfigurationError(
            f"{fault.name} is an error in place of a reply: "
            f'fail("{fault.name}"), or {{"error": {{"name": "{fault.name}"}}}}'
        )
    if is_error:
        require_whole(fault)
    return Delivery(fault, given.get("pace"), given.get("chunking"))


def require_whole(fault: AskedFault | None) -> None:
    """ConfigurationError where a fault has no place in an error, which is a body and no response."""
    if fault is not None and not (isinstance(fault.what, WireFault) and fault.what.fits(stream=False)):
        raise ConfigurationError(f"{fault.name} breaks responses, and an error is none")


def require_legal(script: Script, profile: Profile, rendering: str) -> None:
    """ConfigurationError where what a script says of tools breaks the contract; texts can not."""
    if not any(isinstance(item, ToolCall | FunctionCall) for item in script.items):
        return
    # Its numbers come with a request.
    broken = _broken(replace(script, usage=Usage()), profile.name, rendering)
    if broken:
        raise ConfigurationError(f"this reply breaks the contract; violate= does so on purpose: {broken}")


@lru_cache(maxsize=256)
def _broken(script: Script, profile: str, rendering: str) -> str:
    count = len(script.items)
    ids = [str(UUID(int=number)) for number in range(1, 2 * count + 2)]
    about = load_profile(profile)
    values = Values(
        ids[0] if about.id_form == "uuid" else about.id_form + ids[0],
        SteppedClock.START,
        1,
        1 + output_tokens(script)[0],
        b"[]",
        b'"auto"',
        [about.item_id_prefix + each for each in ids[:count]],
        ids[count : 2 * count],
        tuple(json.dumps(_plain(each)) for each in about.echoes.values()),
    )
    body = reply_template(script, profile, rendering, about.models[0]).body(values)
    return "; ".join(str(finding) for finding in errors(check_response(body, profile)))


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value
