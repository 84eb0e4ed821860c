"""Checks chat requests: what the service refuses, and what it ignores."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any

from mockserver.contract.bodies.call_outputs import check_arguments_sent
from mockserver.contract.bodies.requests import (
    check_thinking_switch,
    is_thinking_enabled,
    shorten_model,
    unsupported_model_finding,
)
from mockserver.contract.chat.service import CHAT_PROFILE, load_chat_schemas
from mockserver.contract.findings import Finding, Severity
from mockserver.contract.rules import findings_for_profile, limit_findings, make_finding
from mockserver.contract.schema.validation import unknown_request_member_findings, violation_findings
from mockserver.profiles import Profile
from mockserver.suggestions import did_you_mean
from mockserver.wire.json import parse_pointer

__all__ = ["chat_request_findings", "ignored_chat_parameters", "is_chat_thinking_enabled"]

_SCHEMA_NAME = "chat_request"


def chat_request_findings(
    value: Any, profile: Profile, models: Container[str] | None = None
) -> list[Finding]:
    """The findings in a parsed chat request: errors first, in the order in which the service refuses them.

    The profile decides whether the model thinks by default. `models` are the allowed models; None: any,
    because this contract does not list the models of Chat Completions.
    """
    schemas = load_chat_schemas()
    is_closed_valid = schemas.is_closed_valid(_SCHEMA_NAME, value)
    findings = [] if is_closed_valid else violation_findings(schemas, _SCHEMA_NAME, value)
    if not isinstance(value, dict):
        return findings
    if not findings:
        checks = (
            *_check_model(value, models),
            *_check_contents(value),
            *_check_tool_messages(value["messages"]),
            *_check_function_names(value.get("tools") or ()),
            *check_thinking_switch(value, profile),
            *_check_thinking_conflicts(value, profile),
        )
        findings = findings_for_profile(checks, CHAT_PROFILE)
    if not is_closed_valid:
        findings += findings_for_profile(_unknown_parameters(value), CHAT_PROFILE)
    return sorted(limit_findings(findings), key=_severity_rank)


def is_chat_thinking_enabled(value: Mapping[str, Any], profile: Profile) -> bool:
    """Whether a chat request turns thinking on."""
    effort = {"effort": value.get("reasoning_effort")}
    return is_thinking_enabled({**value, "reasoning": effort}, profile)


def ignored_chat_parameters(value: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the request's members that Chat Completions ignores; null counts as absent."""
    known = load_chat_schemas().undated[_SCHEMA_NAME]["properties"]
    return tuple(name for name, member in value.items() if name not in known and member is not None)


def _check_model(value: dict[str, Any], models: Container[str] | None) -> Iterator[Finding]:
    model = value["model"]
    if models is not None and model not in models:
        # Text of the vendor's error-code page (September to November 2026).
        message = f"The model {shorten_model(model)} does not exist or you do not have access to it."
        yield unsupported_model_finding(model, models, message)


def _check_contents(value: dict[str, Any]) -> Iterator[Finding]:
    for at, message in enumerate(value["messages"]):
        if message["role"] != "assistant" or message.get("tool_calls"):
            continue
        if message.get("content") is None:
            # Text of the vendor's error-code page (September to November 2026).
            error = "The content field is a required field."
            yield make_finding("REQ-001", f"/messages/{at}/content", error)


def _check_tool_messages(messages: list[dict[str, Any]]) -> Iterator[Finding]:
    """REQ-007, REQ-013, REQ-014, REQ-015 and REQ-020: tool messages answer the calls of the message before them."""
    open_calls: dict[str, str] = {}
    call_ids: set[str] = set()
    mismatches = 0
    for at, message in enumerate(messages):
        if message["role"] != "tool":
            yield from _open_call_findings(open_calls, mismatches)
            open_calls, call_ids, mismatches = {}, set(), 0
            for index, call in enumerate(message.get("tool_calls") or ()):
                pointer = f"/messages/{at}/tool_calls/{index}/id"
                if call["id"] in call_ids:
                    yield make_finding("REQ-015", pointer, "another call has this id", got=call["id"])
                arguments = f"/messages/{at}/tool_calls/{index}/function/arguments"
                yield from check_arguments_sent(call["function"]["arguments"], arguments)
                open_calls[call["id"]] = pointer
                call_ids.add(call["id"])
            continue
        call_id, pointer = message["tool_call_id"], f"/messages/{at}/tool_call_id"
        if call_id not in call_ids:
            # Text recorded live, its spelling included (2026).
            error = 'messages with role "tool" must be a response to a preceeding message with "tool_calls".'
            yield make_finding("REQ-007", pointer, error, got=call_id)
            mismatches += 1
        elif open_calls.pop(call_id, None) is None:
            yield make_finding("REQ-014", pointer, "another tool message has this tool_call_id", got=call_id)
            mismatches += 1
    yield from _open_call_findings(open_calls, mismatches)


def _open_call_findings(open_calls: Mapping[str, str], mismatches: int) -> Iterator[Finding]:
    # A tool message that fits no call explains one call without an answer: report the cause alone.
    for call_id, pointer in list(open_calls.items())[mismatches:]:
        # Text of the service: QwenLM/qwen-code issue 315, August 2025, and 2249, March 2026.
        error = (
            'An assistant message with "tool_calls" must be followed by tool messages responding to each '
            f'"tool_call_id". The following tool_call_ids did not have response messages: {call_id}'
        )
        yield make_finding("REQ-013", pointer, error, got=call_id)


def _check_function_names(tools: Iterable[dict[str, Any]]) -> Iterator[Finding]:
    names: set[str] = set()
    for index, tool in enumerate(tools):
        name = tool["function"]["name"]
        if name in names:
            pointer = f"/tools/{index}/function/name"
            yield make_finding("REQ-015", pointer, "another function has this name", got=name)
        names.add(name)


def _check_thinking_conflicts(value: dict[str, Any], profile: Profile) -> Iterator[Finding]:
    """CHT-010 and CHT-011: parameters that conflict with thinking."""
    choice, response_format = value.get("tool_choice"), value.get("response_format") or {}
    if (choice == "required" or isinstance(choice, dict)) and is_chat_thinking_enabled(value, profile):
        error = "The tool_choice parameter does not support being set to required or object in thinking mode"
        yield make_finding("CHT-010", "/tool_choice", error, expected="auto", got=choice)
    if response_format.get("type") == "json_object" and value.get("enable_thinking") is True:
        error = "Json mode response is not supported when enable_thinking is true"
        yield make_finding("CHT-011", "/response_format", error, got=response_format)


def _unknown_parameters(value: dict[str, Any]) -> Iterator[Finding]:
    for finding in unknown_request_member_findings(load_chat_schemas(), _SCHEMA_NAME, value):
        if finding.got is None and not finding.more:
            continue
        if finding.more or "/" in finding.pointer[1:]:
            yield finding
        else:
            name = parse_pointer(finding.pointer)[0]
            suggestion = did_you_mean(name, load_chat_schemas().undated[_SCHEMA_NAME]["properties"])
            message = f"Chat Completions ignores the parameter{suggestion}"
            yield make_finding("REQ-002", finding.pointer, message, got=finding.got)


def _severity_rank(finding: Finding) -> int:
    return list(Severity).index(finding.severity)
