"""Template values: the ids, times, usage and echoes that fill the template of one reply."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from mockserver.ids import ID_DIGITS, IdSource, format_call_id, format_id, format_uuid, request_digest
from mockserver.named_tuples import NamedTuple
from mockserver.profiles import Profile, load_profile
from mockserver.replies.markers import SlotValues
from mockserver.replies.renderings import load_rendering
from mockserver.replies.script import MAX_SCRIPT_BYTES, Script, item_kind
from mockserver.replies.templates import DEFAULT_SHAPE, TemplateShape
from mockserver.server.echoes import echo_if_given, echo_parameter
from mockserver.server.errors import ApiError
from mockserver.server.request_facts import RequestFacts
from mockserver.server.state.conversation_context import SessionCache
from mockserver.server.state.sessions import Session
from mockserver.server.state.store import ResponseRecord
from mockserver.server.stubs.matchers import HasBody
from mockserver.wire import json

__all__ = [
    "ItemIds",
    "ReplySeed",
    "build_echo_slots",
    "build_item_ids",
    "build_shape",
    "count_input_tokens",
    "text_seed_for",
]

#: Bytes of `tool_choice` and of other parameters that a response echoes.
_MAX_ECHO_BYTES = 16 << 10

#: Below this value, `top_p` leaves one token to choose from.
_GREEDY_TOP_P = 0.01
#: Parameters that change how a reply is delivered, not its text.
_DELIVERY_PARAMETERS = ("stream", "stream_options")


class ReplySeed:
    """The random choices of one reply, derived from the session's seed: ids and generated text."""

    __slots__ = ("_digest", "_digits", "_ids", "occurrence", "request_id")

    def __init__(self, ids: IdSource, digest: bytes, occurrence: int) -> None:
        self._ids = ids
        self._digest = digest
        self.occurrence = occurrence
        """How often the same request came before."""
        self._digits = digits = ids.draw_digits(digest, occurrence)
        """Those of the response's id, then of its items; one hash is enough for a few."""
        # A Chat id contains the x-request-id on the same hosts (observed 2026); inferred for Responses.
        self.request_id = format_uuid(digits)

    @property
    def text_seed(self) -> int:
        """The seed of generated texts; it shares digits with an item id, which does no harm."""
        return int(self._digits[ID_DIGITS : ID_DIGITS + 12], 16)

    @property
    def first_item_digits(self) -> str:
        """32 hex digits for the id of the first item."""
        return self._digits[ID_DIGITS : 2 * ID_DIGITS]

    def item_digits(self, count: int) -> list[str]:
        """32 hex digits for each of `count` ids."""
        size = ID_DIGITS * (count + 1)
        if size > len(self._digits):
            self._digits = self._ids.draw_digits(self._digest, self.occurrence, size)
        return [self._digits[at : at + ID_DIGITS] for at in range(ID_DIGITS, size, ID_DIGITS)]

    def response_id(self, profile: Profile) -> str:
        """The response's id, in the profile's form."""
        if profile.id_digits:
            return profile.id_form + format_id(self._digits, profile.id_digits)
        return self.request_id if profile.id_form == "uuid" else profile.id_form + self.request_id


def text_seed_for(request: HasBody, reply_seed: ReplySeed, session: Session) -> int:
    """The seed of a generated text; for a deterministic request it depends on the body alone."""
    if not session.profile.greedy or not _is_deterministic(request.body):
        return reply_seed.text_seed
    content = {name: value for name, value in request.body.items() if name not in _DELIVERY_PARAMETERS}
    return ReplySeed(session.ids, request_digest(json.canonical(content)), 0).text_seed


def _is_deterministic(body: Mapping[str, Any]) -> bool:
    top_p = body.get("top_p")
    return body.get("temperature") == 0 or (top_p is not None and top_p < _GREEDY_TOP_P)


def build_shape(session: Session, request: HasBody, cache: SessionCache | None) -> TemplateShape:
    """The optional members of the reply that this request brings in."""
    optional = session.profile.echoes_if_given
    if not optional and cache is None and not session.whole_arguments:
        return DEFAULT_SHAPE
    given = tuple(name for name in optional if request.body.get(name) is not None) if optional else ()
    return TemplateShape(given, cache is not None, session.whole_arguments)


class ItemIds(NamedTuple):
    """How the ids of a reply's items and function calls are formed."""

    prefixes: tuple[str, ...]
    """One per item."""
    length: int
    """Digits of an item's id; 0: a UUID."""
    call_count: int
    """Function calls that need an id."""

    def draw(self, reply_seed: ReplySeed) -> list[str]:
        """The ids of the items, then of the calls."""
        prefixes, length, call_count = self
        if len(prefixes) == 1 and not call_count:  # most replies are one message
            return [prefixes[0] + format_id(reply_seed.first_item_digits, length)]
        digits = reply_seed.item_digits(len(prefixes) + call_count)
        ids = [prefix + format_id(digits[at], length) for at, prefix in enumerate(prefixes)]
        if call_count:
            ids += [format_call_id(each) for each in digits[len(prefixes) :]]
        return ids


def build_item_ids(script: Script, profile: Profile) -> ItemIds:
    """The form of the ids in the replies of a script."""
    prefix, by_kind = profile.item_id_prefix, profile.item_id_prefixes if profile.id_digits else {}
    prefixes = tuple(by_kind.get(item_kind(item), prefix) for item in script.items)
    return ItemIds(prefixes, profile.id_digits, len(script.calls_without_id))


def build_echo_slots(
    session: Session, facts: RequestFacts, request: HasBody, script: Script, cache: SessionCache | None
) -> SlotValues:
    """What replies show of their request, after its token counts. ApiError if that is too long."""
    profile = session.profile
    return (
        facts.tools_json,
        b'"auto"' if facts.tool_choice is None else _echo_tool_choice(facts.tool_choice, session),
        *(_echo_members(request.body, profile, script) if profile.echoes else ()),
        *(() if cache is None else (b"%d" % cache.cached_tokens, b"%d" % cache.created_tokens)),
    )


def _echo_tool_choice(tool_choice: Any, session: Session) -> bytes:
    value = echo_parameter("tool_choice", tool_choice, session.profile)
    echo = load_rendering(session.profile.name, session.rendering).encode_tool_choice(value)
    if len(echo) > _MAX_ECHO_BYTES:
        # Each snapshot of a stream repeats it, and no event may exceed 1 MiB.
        raise ApiError(400, "InvalidParameter", f"tool_choice is longer than {_MAX_ECHO_BYTES} bytes.")
    return echo


def _echo_members(body: Mapping[str, Any], profile: Profile, script: Script) -> tuple[bytes, ...]:
    """The echoed members as JSON: the profile's, then those that only a request with them gets back."""
    names, defaults = _default_echoes(profile.name)
    if names.isdisjoint(body):
        return defaults
    values = [
        json.dumps(echo_parameter(name, body[name], profile))
        if name in profile.parameters and body.get(name) is not None
        else default
        for name, default in zip(profile.echoes, defaults, strict=True)
    ]
    values += [
        json.dumps(echo_if_given(name, body[name]))
        for name in profile.echoes_if_given
        if body.get(name) is not None
    ]
    if (
        sum(map(len, values)) > _MAX_ECHO_BYTES
        and sum(map(len, values)) + script.json_size > MAX_SCRIPT_BYTES
    ):
        listed = " and ".join((*profile.echoes_if_given, "metadata"))
        # The last event of a stream repeats them, and no event may exceed 1 MiB.
        raise ApiError(400, "InvalidParameter", f"{listed} are too long to be echoed with this reply.")
    return tuple(values)


@cache
def _default_echoes(profile_name: str) -> tuple[frozenset[str], tuple[bytes, ...]]:
    """(names of the echoed parameters, the echoes if a request has none of them)."""
    profile = load_profile(profile_name)
    echoes = {
        name: dict(each) if isinstance(each, Mapping) else each for name, each in profile.echoes.items()
    }
    return frozenset((*echoes, *profile.echoes_if_given)), tuple(json.dumps(each) for each in echoes.values())


def count_input_tokens(
    facts: RequestFacts, parent: ResponseRecord | None, script: Script, profile: Profile
) -> int:
    """Input tokens of a request: its own and those of earlier turns."""
    stated = script.usage.input_tokens
    if stated is None:
        # The context of an earlier turn contains the hidden prompt.
        return facts.input_tokens + (parent.context_tokens if parent else profile.hidden_prompt_tokens)
    return stated if parent is None or script.usage.with_context else stated + parent.context_tokens
