"""Plans: what one case answers, and how, as a value: drawn, shrunk, written down and read again."""

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

__all__ = ["CASE_CHUNKINGS", "CASE_FAULTS", "LEGAL_VARIATIONS", "CasePlan", "plan_from_json"]

#: How a stream's bytes fall into reads, the usual way first.
CASE_CHUNKINGS: Mapping[str, str] = MappingProxyType(
    {
        "events": "each event is written by itself",
        "apart": "each event comes a while after the one before",
        "whole": "all events come in one read",
        "lines": "each line comes in a read of its own",
        "blank": "the line break that ends an event comes with the next one",
        "middle": "a read ends in the middle of each event, within a character where it has one beyond ASCII",
    }
)

#: What a sound client refuses, and whether it befalls (answers, streams).
CASE_FAULTS: Mapping[str, tuple[bool, bool]] = MappingProxyType(
    {
        "failed": (True, True),
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

#: Names of what is legal and unusual, fit for `--skip` as the faults are.
LEGAL_VARIATIONS = ("cuts", "framing", "unknown", "members", "long")

#: What a line ends with, by the name in a plan's file.
LINE_ENDINGS: Mapping[str, bytes] = MappingProxyType({"LF": b"\n", "CRLF": b"\r\n", "CR": b"\r"})


_DEFAULT_SCRIPT = message_script("a")


@dataclass(frozen=True, slots=True)
class CasePlan:
    """One case. The default of each member is the plainest: what is not plain stands out."""

    script: Script = _DEFAULT_SCRIPT
    stream: bool = True
    fault: str | None = None
    """One of FAULTS; None: a legal answer."""
    at: int = 0
    """Where the fault comes, in thousandths of the answer; of a refusal, which one it is."""
    once: bool = False
    """Whether the fault is over when the same is asked again."""
    cut: str = "events"
    plain: bool = False
    """Whether frames are plain (`event: ` and `data: `), not as the profile's service writes them."""
    end: str = "LF"
    comments: bool = False
    """Whether keep-alives come between the events."""
    unknown_event: bool = False
    unknown_members: bool = False
    members: str = ""
    """"null": members that may be null are; "absent": those that may be missing do."""
    long: bool = False
    """Whether the last message goes on for LONG characters."""

    @property
    def expected_text(self) -> str:
        """What a client is to show: the texts of all messages."""
        said = "".join(item.text for item in self.script.items if isinstance(item, Message))
        return said + LONG_TEXT * self.long

    @property
    def id(self) -> str:
        """A name that stays the same wherever the case is run."""
        return hashlib.sha256(json.canonical(self.to_json())).hexdigest()[:12]

    def to_json(self) -> dict[str, Any]:
        """The plan as JSON, without what is plain; the script in the words of an exchange file."""
        given = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "script"}
        told = {name: value for name, value in given.items() if value != getattr(_DEFAULT_PLAN, name)}
        return {"script": _script_to_json(self.script), **told}


#: A text that makes lines longer than the 64 KiB at which many a reader gives up.
LONG_TEXT = "long " * 14_000

_DEFAULT_PLAN = CasePlan()
_ALLOWED_VALUES: Mapping[str, tuple[object, ...]] = {
    "fault": (None, *CASE_FAULTS),
    "cut": tuple(CASE_CHUNKINGS),
    "end": tuple(LINE_ENDINGS),
    "members": ("", "null", "absent"),
}


def plan_from_json(value: Mapping[str, Any]) -> CasePlan:
    """The plan that `Plan.value` wrote; ConfigurationError where it is none."""
    try:
        plan = CasePlan(**{**value, "script": parse_script(value["script"])})
    except (KeyError, TypeError) as error:
        raise ConfigurationError(f"no plan of a case: {error}") from None
    for each in fields(plan):
        given, plain = getattr(plan, each.name), getattr(_DEFAULT_PLAN, each.name)
        known = _ALLOWED_VALUES.get(each.name)
        if given not in known if known else given.__class__ is not plain.__class__:
            raise ConfigurationError(f"no plan of a case: {each.name} can not be {given!r}")
    if not 0 <= plan.at < 1000:
        raise ConfigurationError(f"no plan of a case: at must be from 0 to 999, not {plan.at}")
    if plan.long and not (plan.script.items and isinstance(plan.script.items[-1], Message)):
        raise ConfigurationError("no plan of a case: what is long must end with a message")
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
