"""Echoes: the members that a response repeats from its request, completed with the profile's defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mockserver.profiles import Profile

__all__ = ["echo_declared_tools", "echo_if_given", "echo_parameter"]

#: Types that decide what completes an object; for all others the parameter's name decides.
_COMPLETED_BY_TYPE = ("allowed_tools", "json_schema")


def echo_parameter(name: str, value: Any, profile: Profile) -> Any:
    """The value of the parameter `name` as the profile's responses echo it."""
    if not profile.completed or not isinstance(value, dict):
        return value
    kind = value.get("type")
    defaults = profile.completed.get(kind if kind in _COMPLETED_BY_TYPE else name)
    if defaults is None or name == "metadata":
        return value
    given = {each: echo_parameter(each, inner, profile) for each, inner in value.items() if inner is not None}
    return {**defaults, **given}


def echo_if_given(name: str, value: Any) -> Any:
    """The value of a parameter that a response has only if its request has it.

    The JSON Schema of `text.format` comes back as `schema_` (live probe, 27 September 2026).
    """
    text_format = value.get("format") if name == "text" and isinstance(value, dict) else None
    if not isinstance(text_format, dict) or "schema" not in text_format:
        return value
    renamed = {"schema_" if each == "schema" else each: inner for each, inner in text_format.items()}
    return {**value, "format": renamed}


def echo_declared_tools(tools: list[Any], profile: Profile) -> list[Any]:
    """The declared tools as the profile's responses echo them."""
    defaults: Mapping[str, Any] = profile.completed.get("tools", {})
    if not defaults:
        return tools
    return [{**defaults, **tool} if tool.get("type") == "function" else tool for tool in tools]
