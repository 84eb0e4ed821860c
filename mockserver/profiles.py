"""Profiles: dated descriptions of the service, as facts without logic.

Each profile is one JSON file in `schemas/profiles/`, with three parts. This module reads `facts`. Only
`contract.schema` reads `overlays`, and only `replies.renderings` reads `renderings`, so the contract and the
replies share facts without depending on each other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import cache
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

import orjson

from mockserver import resources
from mockserver.errors import UnknownProfile
from mockserver.named_tuples import NamedTuple
from mockserver.suggestions import choose_from

__all__ = [
    "DEFAULT_PROFILE",
    "LATEST",
    "BuiltinTool",
    "Profile",
    "ThinkingModels",
    "latest_profile_name",
    "load_profile",
    "load_profile_document",
    "profile_names",
    "resolve_profile_name",
    "served_profile_names",
    "service_hosts",
    "unknown_profile",
]

#: The vendor's document of January 2026.
DEFAULT_PROFILE = "qwen-2026-01"

#: Models whose thinking is remembered.
_MAX_REMEMBERED_MODELS = 1000

#: Name that stands for the newest profile that the mock serves.
LATEST = "latest"


class BuiltinTool(NamedTuple):
    """A built-in tool of a profile."""

    item: str
    """Type of the output item that a call produces."""
    events: tuple[str, ...] = ()
    """Progress events between `output_item.added` and `.done`, in order."""
    before: tuple[str, ...] = ()
    """Events for its arguments, delta and done, that come before `output_item.added`."""
    counted: bool = True
    """Whether `usage.x_tools` counts its calls."""
    lists_queries: bool = False
    """Whether the item's action has `queries` as well as `query`."""
    needs_tool: str | None = None
    """Another tool that the request must declare with it."""
    needs_tool_message: str | None = None
    """The service's error message if that tool is missing."""
    needs_thinking_message: str | None = None
    """The service's error message if thinking is off; None: the tool works without thinking."""
    optional_events: tuple[str, ...] = ()
    """Progress events that the service may leave out."""


class ThinkingModels(dict[str, str]):
    """Thinking of each model: "on" or "off" by default, or "always"; the first matching pattern decides.

    A dict, because each request looks its model up.
    """

    def __init__(self, patterns: Mapping[str, str]) -> None:
        super().__init__()
        self.patterns = MappingProxyType(dict(patterns))
        """"on", "off" or "always" by pattern of a model's name; "*" is the last."""

    def __missing__(self, model: str) -> str:
        mode = next(mode for pattern, mode in self.patterns.items() if fnmatchcase(model, pattern))
        if len(self) < _MAX_REMEMBERED_MODELS:  # clients may send any name
            self[model] = mode
        return mode


class Profile(NamedTuple):
    """The facts of one profile; the profile's file cites a source for each."""

    name: str
    title: str
    date: str
    """Year and month of the description: "2026-01"."""
    base_path: str
    aliases: tuple[str, ...]
    """Other base paths that the mock answers on."""
    models: tuple[str, ...]
    id_form: str
    """"uuid", or the prefix of a UUID."""
    item_id_prefix: str
    framing: str
    """How events are written: "vendor"."""
    done_marker: bool
    """Whether `data: [DONE]` ends a stream."""
    created_status: str
    """Status in `response.created`."""
    parameters: tuple[str, ...]
    """Request parameters that the service processes; it ignores all others."""
    tools: Mapping[str, BuiltinTool]
    """Built-in tools by `type`, in the order in which the model calls them."""
    thinking: ThinkingModels
    """By model, whether it thinks if the request does not say: "on", "off" or "always"."""
    lifetime_s: int
    """Seconds for which `previous_response_id` can continue a response."""
    hidden_prompt_tokens: int
    """Input tokens that every request costs in addition to its own text."""
    parallel_tool_calls: bool
    """Value of this member in responses."""
    echo_tools_in_stream: bool
    """Whether the response snapshots in a stream contain the request's tools."""
    hosts: tuple[str, ...] = ()
    """Documented hosts of the service."""
    requires_done_marker: bool = False
    """Whether a stream without `data: [DONE]` breaks the contract."""
    other_created_statuses: tuple[str, ...] = ()
    """Statuses, beside `created_status`, that are valid in `response.created`."""
    other_added_statuses: Mapping[str, Any] = MappingProxyType({})
    """By type of item, statuses beside `in_progress` that are valid in `response.output_item.added`."""
    other_done_statuses: Mapping[str, Any] = MappingProxyType({})
    """By type of item, non-final statuses that are valid in `response.output_item.done`."""
    operations: tuple[str, ...] = ("createResponse",)
    """Endpoints, by their names in `contract.operations`."""
    reasoning_events: str = "reasoning_summary_text"
    """Name of the reasoning events, without `response.` and `.delta`."""
    efforts: tuple[str, ...] = ()
    """Levels of `reasoning.effort`; empty: the service ignores the parameter."""
    effort: str | None = None
    """The default level."""
    echoes: Mapping[str, Any] = MappingProxyType({})
    """Members of a finished response that echo the request, with their defaults."""
    echoes_if_given: tuple[str, ...] = ()
    """Members that a finished response has only if the request has them."""
    x_details: tuple[str, ...] = ()
    """Members, beside the totals, of the entry in `usage.x_details`; empty: there is no entry."""
    counts_thoughts: tuple[str, ...] = ()
    """Patterns of the models whose `max_output_tokens` counts reasoning as well as the answer."""
    wrong_key: str = "invalid-api-key"
    """The error for a wrong key, by its name in the catalogue of faults."""
    cache_min_tokens: int = 0
    """Smallest context, in tokens, that the session cache stores; 0: there is no cache."""
    cache_seconds: int = 0
    """Seconds for which the session cache keeps a context after its last use."""
    opaque: tuple[str, ...] = ()
    """Members of items whose final value may differ from the value in `output_item.done`."""
    exclusive: tuple[str, ...] = ()
    """Request parameters of which a request may have at most one."""
    streamed: tuple[str, ...] = ()
    """Members of items, beside texts and arguments, that events deliver and the added item lacks."""
    model_patterns: tuple[str, ...] = ()
    """Patterns of further models, whose exact names the documents do not list."""
    any_model: bool = False
    """Whether every model name is accepted; `models` are then the mock's own examples."""
    id_digits: int = 0
    """Hex digits of an id after its prefix; 0: a UUID."""
    item_id_prefixes: Mapping[str, str] = MappingProxyType({})
    """Prefixes by item type, for the types that do not use `item_id_prefix`."""
    blank: Mapping[str, Any] = MappingProxyType({})
    """Members that every response has, with their values while nothing is known. Empty: a response, and
    each snapshot in a stream, has only the members with a known value."""
    completed: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
    """Defaults for the missing members of echoed objects: `tools` (functions), `reasoning`, `text`, and by
    their type `allowed_tools` and `json_schema`. Empty: everything is echoed unchanged."""
    greedy: bool = False
    """Whether a generated reply is the same text, streamed or not, for every request that rules out chance."""
    phases: bool = False
    """Whether messages say if they are commentary or the final answer."""
    item_status: bool = False
    """Whether every item has a status, reasoning items included."""
    summary_parts: bool = False
    """Whether separate events open and close the parts of a summary."""
    ignores_text_format: bool = False
    """Whether messages ignore `text.format`, which the response still echoes."""
    in_band_rules: tuple[str, ...] = ()
    """Rules whose violation a stream reports with HTTP 200 and a lone `response.failed`."""
    error_types: Mapping[str, str] = MappingProxyType({})
    """`type` of an error by HTTP status, if every error has the form `{error: {message, type, param, code}}`
    and streams have an error event. Empty: the service's own forms."""

    @property
    def base_paths(self) -> tuple[str, ...]:
        """Every base path that the service answers on, the documented one first."""
        return (self.base_path, *self.aliases)

    @property
    def create_paths(self) -> tuple[str, ...]:
        """The paths that create a response."""
        return tuple(f"{base}/responses" for base in self.base_paths)


@cache
def profile_names() -> tuple[str, ...]:
    """Return the names of all profiles, sorted."""
    return resources.json_names("schemas", "profiles")


@cache
def served_profile_names() -> tuple[str, ...]:
    """Return the names of the profiles that the mock can serve, sorted."""
    return tuple(name for name in profile_names() if load_profile_document(name)["renderings"])


@cache
def latest_profile_name() -> str:
    """Return the name of the newest profile that the mock can serve."""
    return max(
        served_profile_names(), key=lambda name: str(load_profile_document(name)["facts"]["date"]["value"])
    )


def resolve_profile_name(name: str | None) -> str:
    """Return the profile that a setting means: the newest for `latest`, the default for None."""
    return latest_profile_name() if name == LATEST else name or DEFAULT_PROFILE


def unknown_profile(name: str) -> str:
    """The message about a name that no profile has."""
    return f"no profile {name!r}{choose_from(name, profile_names())}"


@cache
def load_profile_document(name: str) -> Mapping[str, Any]:
    """Load a profile's whole file. Raises UnknownProfile."""
    if name not in profile_names():
        raise UnknownProfile(unknown_profile(name))
    loaded: dict[str, Any] = orjson.loads(resources.read_json("schemas", "profiles", name))
    return MappingProxyType(loaded)


@cache
def load_profile(name: str = DEFAULT_PROFILE) -> Profile:
    """Load a profile by name. Raises UnknownProfile."""
    facts = load_profile_document(name)["facts"]
    tools = {
        tool_type: BuiltinTool(**{member: _frozen(value) for member, value in members.items()})
        for tool_type, members in facts["tools"]["value"].items()
    }
    values = {
        name: _frozen(facts[name]["value"])
        for name in Profile._fields
        if name not in ("name", "tools", "thinking")
        and (name in facts or name not in Profile._field_defaults)
    }
    thinking = ThinkingModels(facts["thinking"]["value"])
    return Profile(name=name, tools=MappingProxyType(tools), thinking=thinking, **values)


@cache
def service_hosts() -> tuple[str, ...]:
    """The hosts that the profiles document, without scheme; `*.` stands for a name that each account has."""
    urls = [each for name in profile_names() for each in load_profile(name).hosts]
    names = [re.sub(r"^\{\w+\}", "*", urlsplit(url).netloc) for url in urls]
    return tuple(dict.fromkeys(names))


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return MappingProxyType(value)
    return tuple(value) if isinstance(value, list) else value
