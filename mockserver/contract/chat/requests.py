"""The judge of chat requests: what the service would refuse, and what it would ignore."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from typing import Any

from mockserver.contract.bodies.requests import is_thinking_enabled
from mockserver.contract.chat.service import CHAT_PROFILE, load_chat_schemas
from mockserver.contract.findings import Finding, Severity
from mockserver.contract.rules import findings_for_profile, make_finding
from mockserver.contract.schema.validation import unknown_member_findings, violation_findings
from mockserver.profiles import Profile

__all__ = ["chat_request_findings", "ignored_chat_parameters", "is_chat_thinking_enabled"]

_SCHEMA_NAME = "chat_request"


def chat_request_findings(
    value: Any, profile: Profile, models: Container[str] | None = None
) -> list[Finding]:
    """What is wrong with a parsed chat request: errors first, in the order in which they are refused.

    The profile tells whether the model thinks where a request does not say. `models` are those that may be
    asked for; None: any, for the list of Chat's models is no part of this contract.
    """
    found = violation_findings(load_chat_schemas(), _SCHEMA_NAME, value)
    if not isinstance(value, dict):
        return found
    if not found:
        judged = (
            *_check_model(value, models),
            *_check_contents(value),
            *_check_tool_messages(value),
            *_check_thinking_conflicts(value, profile),
        )
        found = findings_for_profile(judged, CHAT_PROFILE)
    return sorted(
        [*found, *findings_for_profile(_unknown_parameters(value), CHAT_PROFILE)], key=_severity_rank
    )


def is_chat_thinking_enabled(value: Mapping[str, Any], profile: Profile) -> bool:
    """Whether the model is to think; it is asked in the words of Chat."""
    effort = {"effort": value.get("reasoning_effort")}
    return is_thinking_enabled(
        {"enable_thinking": value.get("enable_thinking"), "reasoning": effort}, profile
    )


def ignored_chat_parameters(value: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the request's members that Chat ignores; null is absence."""
    known = load_chat_schemas().undated[_SCHEMA_NAME]["properties"]
    return tuple(name for name, given in value.items() if name not in known and given is not None)


def _check_model(value: dict[str, Any], models: Container[str] | None) -> Iterator[Finding]:
    model = value["model"]
    if models is not None and model not in models:
        # Text of the vendor's error-code page (September to November 2026).
        message = f"The model {model} does not exist or you do not have access to it."
        yield make_finding("REQ-005", "/model", message, got=model)


def _check_contents(value: dict[str, Any]) -> Iterator[Finding]:
    for at, message in enumerate(value["messages"]):
        if message["role"] != "assistant" or message.get("tool_calls"):
            continue
        if message.get("content") is None:
            # Text of the vendor's error-code page (September to November 2026).
            words = "The content field is a required field."
            yield make_finding("REQ-001", f"/messages/{at}/content", words)


def _check_tool_messages(value: dict[str, Any]) -> Iterator[Finding]:
    """A tool's message answers a call of the assistant's message before it."""
    called: set[str] = set()
    for at, message in enumerate(value["messages"]):
        role = message["role"]
        if role == "assistant":
            called = {call["id"] for call in message.get("tool_calls") or ()}
        elif role != "tool":
            called = set()
        elif message["tool_call_id"] not in called:
            # Text recorded live, its spelling included (2026).
            words = 'messages with role "tool" must be a response to a preceeding message with "tool_calls".'
            got = message["tool_call_id"]
            yield make_finding("REQ-007", f"/messages/{at}/tool_call_id", words, got=got)


def _check_thinking_conflicts(value: dict[str, Any], profile: Profile) -> Iterator[Finding]:
    """What does not go together with thinking."""
    choice, form = value.get("tool_choice"), value.get("response_format") or {}
    if (choice == "required" or isinstance(choice, dict)) and is_chat_thinking_enabled(value, profile):
        words = "The tool_choice parameter does not support being set to required or object in thinking mode"
        yield make_finding("CHT-010", "/tool_choice", words, expected="auto", got=choice)
    if form.get("type") == "json_object" and value.get("enable_thinking") is True:
        words = "Json mode response is not supported when enable_thinking is true"
        yield make_finding("CHT-011", "/response_format", words, got=form)


def _unknown_parameters(value: dict[str, Any]) -> Iterator[Finding]:
    for each in unknown_member_findings(load_chat_schemas(), _SCHEMA_NAME, value):
        if each.got is None:
            continue
        if "/" in each.pointer[1:]:
            yield each
        else:
            yield make_finding(
                "REQ-002", each.pointer, "Chat Completions ignores the parameter", got=each.got
            )


def _severity_rank(finding: Finding) -> int:
    return list(Severity).index(finding.severity)
