"""Profiles: what one age of the service is like, as facts without logic.

One JSON file a profile in `schemas/profiles/`, with three parts. This module reads `facts`; the
`overlays` are read by `contract.schemas` alone and the `renderings` by `replies.renderings` alone:
so the judge and the builder share facts without knowing each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from functools import cache
from types import MappingProxyType
from typing import Any

import orjson

from mockserver import resources
from mockserver.errors import UnknownProfile

__all__ = ["DEFAULT_PROFILE", "Profile", "Tool", "document", "load_profile", "profile_names"]

#: The age of the vendor's document of January 2026.
DEFAULT_PROFILE = "qwen-2026-01"


@dataclass(frozen=True, slots=True)
class Tool:
    """A built-in tool of an age."""

    item: str
    """Type of the output item that a run leaves."""
    events: tuple[str, ...] = ()
    """Its progress events between `output_item.added` and `.done`, in order."""
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
    age: str
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
    tools: Mapping[str, Tool]
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
    opaque: tuple[str, ...] = ()
    """Members of items that may be another at the end than when the item was done."""
    exclusive: tuple[str, ...] = ()
    """Request parameters of which at most one may be there."""
    streamed: tuple[str, ...] = ()
    """Members of items, beside texts and arguments, that come by events and not with the added item."""


@cache
def profile_names() -> tuple[str, ...]:
    """Names of all profiles, by name."""
    return tuple(name for name, _ in resources.json_files("schemas", "profiles"))


@cache
def document(name: str) -> Mapping[str, Any]:
    """A profile's whole file; UnknownProfile lists the names there are."""
    for each, data in resources.json_files("schemas", "profiles"):
        if each == name:
            loaded: dict[str, Any] = orjson.loads(data)
            return MappingProxyType(loaded)
    raise UnknownProfile(f"no profile {name!r}; there are: {', '.join(profile_names())}")


@cache
def load_profile(name: str = DEFAULT_PROFILE) -> Profile:
    """The profile of that name; UnknownProfile lists the names there are."""
    facts = document(name)["facts"]
    tools = {
        kind: Tool(**{**about, "events": tuple(about.get("events", ()))})
        for kind, about in facts["tools"]["value"].items()
    }
    values = {
        each.name: _frozen(facts[each.name]["value"])
        for each in fields(Profile)
        if each.name not in ("name", "tools") and (each.name in facts or each.default is MISSING)
    }
    return Profile(name=name, tools=MappingProxyType(tools), **values)


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
