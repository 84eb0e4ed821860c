"""Loads a profile's renderings: the valid ways to write a response, `wire` and `documented`.

`wire` is what the service sends: integers, and no members that are absent. `documented` is what the vendor's
samples show (January 2026): a stream as openai-python 2.15 prints it, with absent members as null and a
float `created_at`, and a response with exactly the seven members of the sample. The `renderings` part of a
profile's file lists the members and their order.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from mockserver.errors import ConfigurationError
from mockserver.named_tuples import NamedTuple
from mockserver.profiles import load_profile_document, profile_names
from mockserver.suggestions import choose_from
from mockserver.wire import json

__all__ = ["Rendering", "load_rendering"]


class MemberLayout(NamedTuple):
    """Which members an object has, and in which order; found by its `type`, else by its parent's member."""

    members: Mapping[str, tuple[str, ...]]
    fill_missing: bool
    """True: absent members become null, and unlisted ones follow. False: unlisted members are dropped."""

    def apply(self, name: str, value: Any) -> Any:
        """`value`, which the member `name` holds, in this layout."""
        if isinstance(value, list):
            return [self.apply(name, each) for each in value]
        if not isinstance(value, dict):
            return value
        inner = {key: self.apply(key, each) for key, each in value.items()}
        kind = value.get("type", name)
        # Invalid content may have anything for a type.
        order = self.members.get(kind if isinstance(kind, str) else name, self.members.get(name))
        if order is None:
            return inner
        if not self.fill_missing:
            return {key: inner[key] for key in order if key in inner}
        return {key: inner.get(key) for key in order} | {
            key: each for key, each in inner.items() if key not in order
        }


class Rendering(NamedTuple):
    """A rendering of one profile."""

    name: str
    float_timestamps: bool
    reply_layout: MemberLayout
    stream_layout: MemberLayout

    def encode_tool_choice(self, tool_choice: Any) -> bytes:
        """The `tool_choice` of a request as JSON."""
        order = (
            self.stream_layout.members.get(tool_choice.get("type", ""), ())
            if isinstance(tool_choice, dict)
            else ()
        )
        return json.dumps(
            {name: tool_choice.get(name) for name in order} | tool_choice if order else tool_choice
        )

    def encode_timestamp(self, seconds: int) -> bytes:
        """A `created_at` as JSON."""
        return b"%d.0" % seconds if self.float_timestamps else b"%d" % seconds


@cache
def load_rendering(profile: str, name: str) -> Rendering:
    """A profile's rendering; an unknown name raises ConfigurationError, which lists the known ones."""
    known = load_profile_document(profile)["renderings"]
    if not known:
        servable = ", ".join(each for each in profile_names() if load_profile_document(each)["renderings"])
        raise ConfigurationError(
            f"the profile {profile} is for checks only and cannot be served; choose one of: {servable}"
        )
    if name not in known:
        raise ConfigurationError(f"unknown rendering {name!r} in {profile}{choose_from(name, known)}")
    data = known[name]
    return Rendering(
        name=name,
        float_timestamps=data["created_at"] == "float",
        reply_layout=_parse_layout(data.get("reply", {})),
        stream_layout=_parse_layout(data.get("stream", {})),
    )


def _parse_layout(data: Mapping[str, Any]) -> MemberLayout:
    members = {kind: tuple(order) for kind, order in data.get("members", {}).items()}
    return MemberLayout(members, bool(data.get("fill")))
