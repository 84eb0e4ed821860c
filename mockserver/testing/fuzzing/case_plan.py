"""A case as a value: what the server replies and how; it can be drawn, shrunk, saved and loaded."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from types import MappingProxyType
from typing import Any

from mockserver.errors import ConfigurationError
from mockserver.replies.script import (
    FunctionCall,
    Message,
    Reasoning,
    Script,
    ToolCall,
    message_script,
    parse_script,
)
from mockserver.wire import json

__all__ = [
    "CASE_CHUNKINGS",
    "CASE_FAULTS",
    "LEGAL_VARIATIONS",
    "PLAIN_FEATURES",
    "WIRE_FEATURES",
    "CasePlan",
    "plan_from_json",
]

#: How the bytes of a stream are divided into reads, the usual way first.
CASE_CHUNKINGS: Mapping[str, str] = MappingProxyType(
    {
        "events": "each event is written separately",
        "apart": "there is a pause between events",
        "whole": "all events arrive in one read",
        "lines": "each line arrives in a read of its own",
        "blank": "the line break that ends an event arrives with the next event",
        "middle": "a read ends in the middle of each event, within a character if it has one beyond ASCII",
    }
)

#: Faults that a correct client reports, and whether they occur in (whole replies, streams). After "incomplete",
#: a truncated reply, it also keeps the text; only profiles with `response.incomplete` have it.
CASE_FAULTS: Mapping[str, tuple[bool, bool]] = MappingProxyType(
    {
        "failed": (True, True),
        "incomplete": (True, True),
        "cut": (True, True),
        "closed": (False, True),
        "error": (False, True),
        "dropped": (False, True),
        "reset": (True, True),
        "empty": (True, True),
        "refused": (True, True),
        "stalled": (True, True),
    }
)

#: Kinds of valid but unusual replies; `--skip` accepts them like the faults.
LEGAL_VARIATIONS = ("cuts", "framing", "unknown", "members", "long")

#: Features by which the service's replies differ from those of OpenAI's service (streams recorded from both,
#: 2026). A control replaces one of them by what OpenAI's service sends.
WIRE_FEATURES: Mapping[str, str] = MappingProxyType(
    {
        "comment": "each event has a comment line",
        "id": "each event has an `id:` line",
        "event": "each event has an `event:` line",
        "space": "no space follows the colons of an event's lines",
        "order": "`type` is not the first member of an event",
        "done": "no `[DONE]` ends the stream",
        "charset": "the content type of a stream has a charset",
        "ids": "the response id is a bare UUID",
        "item_ids": "the ids of all items start with `msg_`",
        "model": "the model is empty in the first events",
        "queued": "the first status is `queued`",
        "content": "only messages have the member `content`",
        "nulls": "members without a value are absent instead of null",
        "extensions": "usage has members of the vendor's own",
    }
)

#: Features that a frame written `event: ` and `data: ` lacks.
PLAIN_FEATURES = ("comment", "id", "space")

#: Line ends, by the name in a saved plan.
LINE_ENDINGS: Mapping[str, bytes] = MappingProxyType({"LF": b"\n", "CRLF": b"\r\n", "CR": b"\r"})


_DEFAULT_SCRIPT = message_script("a")


@dataclass(frozen=True, slots=True)
class CasePlan:
    """One case. Every default is the plainest value, so a plan shows only what is unusual."""

    script: Script = _DEFAULT_SCRIPT
    stream: bool = True
    fault: str | None = None
    """One of CASE_FAULTS; None for a valid reply."""
    at: int = 0
    """Position of the fault, in thousandths of the reply; of a refusal, which one."""
    once: bool = False
    """Whether the same request succeeds when it is repeated."""
    cut: str = "events"
    plain: bool = False
    """Whether frames are written `event: ` and `data: ` instead of as the profile's service does."""
    end: str = "LF"
    comments: bool = False
    """Whether keep-alive comments come between the events."""
    unknown_event: bool = False
    unknown_members: bool = False
    members: str = ""
    """"null": nullable members are null; "absent": optional members are absent."""
    usual: tuple[str, ...] = ()
    """Names of WIRE_FEATURES that are replaced by what OpenAI's service sends."""
    long: bool = False
    """Whether the last message has LONG_TEXT at its end."""

    @property
    def expected_text(self) -> str:
        """The text that a client should show: that of all messages."""
        script_text = "".join(item.text for item in self.script.items if isinstance(item, Message))
        return script_text + LONG_TEXT * self.long

    @property
    def id(self) -> str:
        """An id that is the same in every run."""
        return hashlib.sha256(json.canonical(self.to_json())).hexdigest()[:12]

    def to_json(self) -> dict[str, Any]:
        """The plan as JSON without default values; the script as in an exchange file."""
        members = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "script"}
        changed = {name: value for name, value in members.items() if value != getattr(_DEFAULT_PLAN, name)}
        if self.usual:
            changed["usual"] = list(self.usual)
        return {"script": _script_to_json(self.script), **changed}


#: A text that makes lines longer than 64 KiB, a common limit of line readers.
LONG_TEXT = "long " * 14_000

_DEFAULT_PLAN = CasePlan()
_ALLOWED_VALUES: Mapping[str, tuple[object, ...]] = {
    "fault": (None, *CASE_FAULTS),
    "cut": tuple(CASE_CHUNKINGS),
    "end": tuple(LINE_ENDINGS),
    "members": ("", "null", "absent"),
}


def plan_from_json(value: Mapping[str, Any]) -> CasePlan:
    """The plan that `CasePlan.to_json` wrote; ConfigurationError if it is invalid."""
    try:
        usual = tuple(value.get("usual", ()))
        plan = CasePlan(**{**value, "script": parse_script(value["script"]), "usual": usual})
    except (KeyError, TypeError) as error:
        raise ConfigurationError(f"invalid plan: {error}") from None
    for each in fields(plan):
        value, default = getattr(plan, each.name), getattr(_DEFAULT_PLAN, each.name)
        known = _ALLOWED_VALUES.get(each.name)
        if value not in known if known else value.__class__ is not default.__class__:
            raise ConfigurationError(f"invalid plan: {each.name} cannot be {value!r}")
    unknown = [name for name in plan.usual if name not in WIRE_FEATURES]
    if unknown:
        raise ConfigurationError(f"invalid plan: usual cannot have {unknown[0]!r}")
    if not 0 <= plan.at < 1000:
        raise ConfigurationError(f"invalid plan: at must be from 0 to 999, not {plan.at}")
    if plan.long and not (plan.script.items and isinstance(plan.script.items[-1], Message)):
        raise ConfigurationError("invalid plan: a long script must end with a message")
    return plan


def _script_to_json(script: Script) -> dict[str, Any]:
    value: dict[str, Any] = {"items": [_item_to_json(item) for item in script.items]}
    usage = asdict(script.usage)
    usage = {name: each for name, each in usage.items() if each is not None and each != 0}
    return {**value, "usage": usage} if usage else value


def _item_to_json(item: Any) -> dict[str, Any]:
    if isinstance(item, Message | Reasoning):
        return {"type": type(item).__name__.lower(), "chunks": list(item.chunks)}
    if isinstance(item, FunctionCall):
        return {"type": "function_call", "name": item.name, "arguments": item.arguments}
    assert isinstance(item, ToolCall)  # noqa: S101 - the last kind of item
    return {**item.data, "type": item.kind}
