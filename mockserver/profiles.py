"""Profiles: what one age of the service is like, as facts without logic.

One JSON file a profile in `schemas/profiles/`, with three parts. This module reads `facts`; the
`overlays` are read by `contract.schemas` alone and the `renderings` by `replies.renderings` alone:
so the judge and the builder share facts without knowing each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from functools import cache
from types import MappingProxyType
from typing import Any

import orjson

from mockserver import resources
from mockserver.errors import UnknownProfile

__all__ = [
    "DEFAULT_PROFILE",
    "LATEST",
    "BuiltinTool",
    "Profile",
    "latest_profile_name",
    "load_profile",
    "load_profile_document",
    "profile_names",
]

#: The age of the vendor's document of January 2026.
DEFAULT_PROFILE = "qwen-2026-01"

#: What stands for the newest age of the service that the mock plays.
LATEST = "latest"


@dataclass(frozen=True, slots=True)
class BuiltinTool:
    """A built-in tool of an age."""

    item: str
    """Type of the output item that a run leaves."""
    events: tuple[str, ...] = ()
    """Its progress events between `output_item.added` and `.done`, in order."""
    before: tuple[str, ...] = ()
    """Events of its arguments, delta and done, that come before `output_item.added`."""
    counted: bool = True
    """Whether `usage.x_tools` counts its runs."""
    lists_queries: bool = False
    """Whether the item's action has `queries` beside `query`."""
    needs_tool: str | None = None
    """Another tool that must be declared with it."""
    needs_tool_message: str | None = None
    """What the service says where that tool is missing."""
    needs_thinking_message: str | None = None
    """What the service says where thinking is off; None: it runs without."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Facts of one age; each is cited in the profile's file."""

    name: str
    title: str
    date: str
    """Year and month from which it holds, "2026-01"."""
    base_path: str
    aliases: tuple[str, ...]
    """Other base paths that the mock answers on."""
    models: tuple[str, ...]
    id_form: str
    """"uuid", or a prefix put before one."""
    item_id_prefix: str
    framing: str
    """How events are written: "vendor"."""
    done_marker: bool
    """Whether `data: [DONE]` ends a stream."""
    created_status: str
    """Status in `response.created`."""
    parameters: tuple[str, ...]
    """Request parameters that are processed; all others are ignored, not refused."""
    tools: Mapping[str, BuiltinTool]
    """Built-in tools by their `type`, in the order in which the model runs them."""
    thinking: bool
    """Whether the model thinks when the request does not say."""
    lifetime_s: int
    """Seconds a response can be continued by `previous_response_id`."""
    hidden_prompt_tokens: int
    """Input tokens that every request costs beside its own text."""
    parallel_tool_calls: bool
    """What the response says of it."""
    echo_tools_in_stream: bool
    """Whether the snapshots of a stream name the request's tools."""
    hosts: tuple[str, ...] = ()
    """Where the service of that age is, as documented."""
    operations: tuple[str, ...] = ("createResponse",)
    """Its endpoints, by the names in `contract.operations`."""
    reasoning_events: str = "reasoning_summary_text"
    """Name of the events that carry thoughts, without `response.` and `.delta`."""
    efforts: tuple[str, ...] = ()
    """Levels of `reasoning.effort`; none: the parameter is ignored."""
    effort: str | None = None
    """The level where a request does not say."""
    echoes: Mapping[str, Any] = field(default_factory=dict)
    """Members of a finished response that echo the request, with what they are where it says nothing."""
    echoes_if_given: tuple[str, ...] = ()
    """Members that a finished response has only where the request has them."""
    x_details: tuple[str, ...] = ()
    """Members, beside the totals, of the row of the bill in `usage.x_details`; none: there is no row."""
    counts_thoughts: tuple[str, ...] = ()
    """Models, by pattern, whose `max_output_tokens` counts thoughts as well as the answer."""
    wrong_key: str = "invalid-api-key"
    """What a wrong key is answered with, by its name in the catalogue of errors."""
    cache_min_tokens: int = 0
    """Tokens that a context must have for the session cache; 0: there is no such cache."""
    cache_seconds: int = 0
    """Seconds that the session cache keeps a context after it was last used."""
    opaque: tuple[str, ...] = ()
    """Members of items that may be another at the end than when the item was done."""
    exclusive: tuple[str, ...] = ()
    """Request parameters of which at most one may be there."""
    streamed: tuple[str, ...] = ()
    """Members of items, beside texts and arguments, that come by events and not with the added item."""
    any_model: bool = False
    """Whether any name of a model is taken; `models` are then the mock's own examples."""
    id_digits: int = 0
    """Hexadecimal digits of an id behind its prefix; 0: it is a UUID."""
    item_id_prefixes: Mapping[str, str] = field(default_factory=dict)
    """By type of item, where it is another than `item_id_prefix`."""
    blank: Mapping[str, Any] = field(default_factory=dict)
    """Members that every response has, with what they are as long as nothing is known; none: a response,
    and each snapshot of a stream, has the members that it has something to say of."""
    completed: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What is filled in where an echoed object lacks a member: `tools` (functions), `reasoning`, `text`, and
    by their type `allowed_tools` and `json_schema`; none: everything is echoed as it came."""
    greedy: bool = False
    """Whether what nobody scripted is the same text whenever chance is ruled out, streamed or not."""
    phases: bool = False
    """Whether messages say if they are a comment on the way or the answer."""
    item_status: bool = False
    """Whether every item has a status, thoughts too."""
    summary_parts: bool = False
    """Whether events of their own open and close the parts of a summary."""
    error_types: Mapping[str, str] = field(default_factory=dict)
    """`type` of an error by HTTP status, where all errors have one form, `{error: {message, type, param,
    code}}`, and within a stream an event of their own; none: the service's own forms."""


@cache
def profile_names() -> tuple[str, ...]:
    """Names of all profiles, by name."""
    return tuple(name for name, _ in resources.json_files("schemas", "profiles"))


@cache
def latest_profile_name() -> str:
    """Name of the newest age that can be played."""
    played = [name for name in profile_names() if load_profile_document(name)["renderings"]]
    return max(played, key=lambda name: str(load_profile_document(name)["facts"]["date"]["value"]))


@cache
def load_profile_document(name: str) -> Mapping[str, Any]:
    """A profile's whole file; UnknownProfile lists the names there are."""
    for each, data in resources.json_files("schemas", "profiles"):
        if each == name:
            loaded: dict[str, Any] = orjson.loads(data)
            return MappingProxyType(loaded)
    raise UnknownProfile(f"no profile {name!r}; there are: {', '.join(profile_names())}")


@cache
def load_profile(name: str = DEFAULT_PROFILE) -> Profile:
    """The profile of that name; UnknownProfile lists the names there are."""
    facts = load_profile_document(name)["facts"]
    tools = {
        kind: BuiltinTool(**{member: _frozen(value) for member, value in about.items()})
        for kind, about in facts["tools"]["value"].items()
    }
    values = {
        each.name: _frozen(facts[each.name]["value"])
        for each in fields(Profile)
        if each.name not in ("name", "tools") and (each.name in facts or _has_no_default(each))
    }
    return Profile(name=name, tools=MappingProxyType(tools), **values)


def _has_no_default(each: Field[Any]) -> bool:
    return each.default is MISSING and each.default_factory is MISSING


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return MappingProxyType(value)
    return tuple(value) if isinstance(value, list) else value
