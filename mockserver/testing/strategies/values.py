"""What every strategy is made of: texts, ids from counters, arguments looked at when something is drawn."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from typing import Any, NamedTuple, TypeAlias

from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument
from hypothesis.strategies import SearchStrategy

from mockserver.contract.schema.registry import load_schemas
from mockserver.ids import format_call_id, format_uuid
from mockserver.profiles import Profile, load_profile
from mockserver.replies.renderings import Rendering, load_rendering

__all__ = [
    "UNKNOWN_MEMBERS",
    "JSONObject",
    "RenderContext",
    "event_types",
    "json_values",
    "render_context",
    "select_names",
    "texts",
    "tool_declaration",
]

JSONObject: TypeAlias = dict[str, Any]

#: Texts that clients have stumbled over; the first is what the others shrink to.
TRICKY_TEXTS = (
    "a",
    " word",
    "\n\n",
    "\n",
    "data: [DONE]\n\n",
    "\r\n",
    "你好",
    "é\u0301",
    "👩‍👩‍👧",
    "\u2028",
    "\u0085",
    "\ufeff",
    "\x00",
    '"\\"',
    "100%",
    "</p>",
    "```\n",
    "مرحبا",
    "",
)

_ANY_CHARACTER = st.characters(exclude_categories=["Cs"])


@cache
def texts(surrogates: bool = False) -> SearchStrategy[str]:
    """Short texts: words, what clients have stumbled over, and any characters at all.

    `surrogates` adds halves of surrogate pairs, which are no Unicode text, though Python can hold them and
    JSON can spell them.
    """
    if surrogates:
        # A third of the texts: whoever asks for them wants to see them.
        return st.sampled_from(TRICKY_TEXTS) | st.text(max_size=6) | st.sampled_from(["\ud800", "\udc00 "])
    return st.sampled_from(TRICKY_TEXTS) | st.text(_ANY_CHARACTER, max_size=6)


@cache
def json_values() -> SearchStrategy[Any]:
    """Small JSON values of every type."""
    leaves: SearchStrategy[Any] = st.sampled_from([None, True, 0, -1, 1.5, "", "x", [], {}])
    return leaves | st.lists(leaves, max_size=2) | st.dictionaries(st.sampled_from(["a", "b"]), leaves)


#: Members that no profile knows.
UNKNOWN_MEMBERS = st.fixed_dictionaries({}, optional={"x_note": json_values(), "obfuscation": texts()})


class RenderContext(NamedTuple):
    """What a reply needs beside its script to be rendered."""

    profile: Profile
    rendering: Rendering

    def response_id(self, number: int) -> str:
        """The id of a session's response, counted from 1."""
        form = self.profile.id_form
        return ("" if form == "uuid" else form) + self._id_digits(number)

    def item_id(self, number: int, kind: str = "message") -> str:
        """The id of an item of a kind."""
        prefix = self.profile.item_id_prefixes.get(kind, self.profile.item_id_prefix)
        return prefix + self._id_digits(number)

    def _id_digits(self, number: int) -> str:
        digits = self.profile.id_digits
        return f"{number:0{digits}x}" if digits else format_uuid(f"{number:032x}")

    def call_id(self, number: int) -> str:
        """The `call_id` of a function call."""
        return format_call_id(f"{number:024x}")

    def created_at(self, seconds: int) -> int | float:
        """A `created_at`."""
        return float(seconds) if self.rendering.float_timestamps else seconds


@cache
def render_context(profile: str, rendering: str) -> RenderContext:
    """The profile and rendering of these names; UnknownProfile or ConfigurationError list those there are."""
    return RenderContext(load_profile(profile), load_rendering(profile, rendering))


def select_names(name: str, given: str | Collection[str] | None, known: Collection[str]) -> tuple[str, ...]:
    """The names given, all of them known; everything known where none is; InvalidArgument otherwise."""
    if given is None:
        return tuple(known)
    if isinstance(given, str):
        raise InvalidArgument(f"{name}={given!r}: a collection of names is wanted")
    strangers = sorted(set(given) - set(known))
    if strangers or not given:
        listed = ", ".join(known)
        raise InvalidArgument(f"{name}={given!r}: {strangers or 'nothing'} is not among {listed}")
    return tuple(each for each in known if each in given)


def tool_declaration(tool_type: str) -> JSONObject:
    """The least that a request has to say of a built-in tool."""
    return {"type": tool_type, **_REQUIRED_TOOL_MEMBERS.get(tool_type, {})}


_REQUIRED_TOOL_MEMBERS: dict[str, JSONObject] = {
    "file_search": {"vector_store_ids": ["vs_1"]},
    "mcp": {"server_protocol": "sse", "server_label": "maps", "server_url": "https://example.invalid/sse"},
}


@cache
def event_types(profile: str) -> tuple[str, ...]:
    """Types of the events that a profile knows."""
    return load_schemas(profile).event_types
