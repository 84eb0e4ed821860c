"""Echoes: what a response repeats of its request, as the request has it or completed by the profile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mockserver.profiles import Profile

__all__ = ["echo_declared_tools", "echo_parameter"]

#: Types of objects that are completed by their type; of all others their name decides.
_COMPLETED_BY_TYPE = ("allowed_tools", "json_schema")


def echo_parameter(name: str, value: Any, profile: Profile) -> Any:
    """The value of the parameter `name` as the profile's responses echo it."""
    if not profile.completed or not isinstance(value, dict):
        return value
    kind = value.get("type")
    lacking = profile.completed.get(kind if kind in _COMPLETED_BY_TYPE else name)
    if lacking is None or name == "metadata":
        return value
    given = {each: echo_parameter(each, inner, profile) for each, inner in value.items() if inner is not None}
    return {**lacking, **given}


def echo_declared_tools(tools: list[Any], profile: Profile) -> list[Any]:
    """The declared tools as they are echoed."""
    lacking: Mapping[str, Any] = profile.completed.get("tools", {})
    if not lacking:
        return tools
    return [{**lacking, **tool} if tool.get("type") == "function" else tool for tool in tools]
