"""Building blocks of all strategies: texts, ids that count, and validation of arguments."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from typing import Any, TypeAlias

from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument
from hypothesis.strategies import SearchStrategy

from mockserver.contract.schema.registry import load_schemas
from mockserver.suggestions import did_you_mean

__all__ = [
    "UNKNOWN_MEMBERS",
    "JSONObject",
    "event_types",
    "join_item_groups",
    "json_values",
    "long_text",
    "select_names",
    "texts",
]

JSONObject: TypeAlias = dict[str, Any]

#: Texts that broke clients in the past; the others shrink to the first.
TRICKY_TEXTS = (
    "a",
    " word",
    "\n\n",
    "a\n\nb",
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
    """Texts: words, texts that broke clients in the past, and arbitrary characters.

    `surrogates` adds lone surrogates, which are not valid Unicode text although Python strings and JSON
    escapes can contain them.
    """
    if surrogates:
        # A third of the texts: a test that enables them should see them often.
        return st.sampled_from(TRICKY_TEXTS) | st.text(max_size=6) | st.sampled_from(["\ud800", "\udc00 "])
    return st.sampled_from(TRICKY_TEXTS) | st.text(_ANY_CHARACTER, max_size=6)


def long_text(text: str) -> str:
    """The text repeated to more than 1,000 characters."""
    text = text or "a"
    return text * (1 + 1000 // len(text))


@cache
def json_values() -> SearchStrategy[Any]:
    """Small JSON values of every type."""
    leaves: SearchStrategy[Any] = st.sampled_from([None, True, 0, -1, 1.5, "", "x", [], {}])
    return leaves | st.lists(leaves, max_size=2) | st.dictionaries(st.sampled_from(["a", "b"]), leaves)


#: Members that no profile knows.
UNKNOWN_MEMBERS = st.fixed_dictionaries({}, optional={"x_note": json_values(), "obfuscation": texts()})


def select_names(
    name: str, selected: str | Collection[str] | None, known: Collection[str]
) -> tuple[str, ...]:
    """The selected names; all known ones for None; InvalidArgument for an unknown name."""
    if selected is None:
        return tuple(known)
    if isinstance(selected, str):
        raise InvalidArgument(f"{name}={selected!r}: must be a collection of names")
    unknown = sorted(set(selected) - set(known))
    if unknown or not selected:
        listed = ", ".join(known)
        suggestion = did_you_mean(str(unknown[0]), known) if unknown else ""
        raise InvalidArgument(
            f"{name}={selected!r}: {unknown or 'nothing'} is not among {listed}{suggestion}"
        )
    return tuple(each for each in known if each in selected)


@cache
def event_types(profile: str) -> tuple[str, ...]:
    """Types of the events that a profile knows."""
    return load_schemas(profile).event_types


def join_item_groups(groups: list[list[JSONObject]]) -> list[JSONObject]:
    """Join groups of items and number the calls, so that no call id repeats."""
    items = []
    for number, group in enumerate(groups, 1):
        items += [{**item, "call_id": f"call_{number}"} if "call_id" in item else item for item in group]
    return items
