"""Checks create requests: what the service refuses, and what it ignores."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

from mockserver.contract.bodies.call_outputs import CallHistory, check_call_outputs, has_only_messages
from mockserver.contract.findings import Finding, Severity, errors
from mockserver.contract.rules import findings_for_profile, limit_findings, make_finding
from mockserver.contract.schema.registry import load_schemas
from mockserver.profiles import Profile, load_profile, profile_names
from mockserver.slow_imports import require_import
from mockserver.suggestions import did_you_mean, find_nearest
from mockserver.wire.json import parse_pointer

__all__ = [
    "AnyModel",
    "RequestChecker",
    "check_thinking_switch",
    "ignored_parameters",
    "ignores_structured_output",
    "is_thinking_enabled",
    "shorten_model",
    "unsupported_model_finding",
]

_SCHEMA_NAME = "create_request"

#: Characters of a model that a message repeats.
_MAX_MODEL_CHARACTERS = 500

#: Parameters with rules of their own, which `RequestChecker.check` cannot skip.
_DEPENDENT_PARAMETERS = frozenset({"conversation", "text", "tool_choice"})


def ignored_parameters(request: dict[str, Any], profile: Profile) -> list[str]:
    """Names of the request's parameters that the service ignores; null is absence.

    It ignores unlisted parameters instead of refusing them (API reference, 27 January 2026).
    """
    listed = frozenset(profile.parameters)
    ignored = [name for name, given in request.items() if name not in listed and given is not None]
    return [*ignored, "text"] if ignores_structured_output(request, profile) else ignored


def ignores_structured_output(request: Mapping[str, Any], profile: Profile) -> bool:
    """Whether the request asks for structured output and the service replies with prose."""
    text = request.get("text") if profile.ignores_text_format else None
    text_format = text.get("format") if isinstance(text, dict) else None
    return isinstance(text_format, dict) and text_format.get("type") in ("json_schema", "json_object")


def shorten_model(model: str) -> str:
    """A model for a message: a name of megabytes would be copied into replies, logs and reports."""
    return model if len(model) <= _MAX_MODEL_CHARACTERS else f"{model[:_MAX_MODEL_CHARACTERS]}…"


def unsupported_model_finding(model: str, models: Container[str], service_message: str) -> Finding:
    """Report an unknown model; the finding, unlike the service's message, suggests the most similar one."""
    expected = sorted(models) if isinstance(models, frozenset | list | tuple) else None
    nearest = find_nearest(model, expected or ())
    suggestion = f" Did you mean '{nearest}'?" if nearest else ""
    finding = make_finding("REQ-005", "/model", service_message + suggestion, expected=expected, got=model)
    return replace(finding, service_message=service_message)


def is_thinking_enabled(request: Mapping[str, Any], profile: Profile) -> bool:
    """Whether the model thinks: `reasoning.effort` decides, else `enable_thinking`, else its default.

    Effort wins over `enable_thinking` (API reference, April 2026); thinking-only models always think (vendor's
    guide "Thinking", 2026).
    """
    mode = profile.thinking[str(request.get("model"))]
    if mode == "always":
        return True
    reasoning = request.get("reasoning") if profile.efforts else None
    effort = reasoning.get("effort") if isinstance(reasoning, dict) else None
    if effort is not None:
        return bool(effort != "none")
    thinking = request.get("enable_thinking") if "enable_thinking" in profile.parameters else None
    return mode == "on" if thinking is None else bool(thinking)


def check_thinking_switch(request: Mapping[str, Any], profile: Profile) -> Iterator[Finding]:
    """REQ-001 if the request turns off the thinking of a model that always thinks.

    Text of the vendor's error-code page, September to November 2026.
    """
    is_off = "enable_thinking" in profile.parameters and request.get("enable_thinking") is False
    if is_off and profile.thinking[str(request.get("model"))] == "always":
        message = "The value of the enable_thinking parameter is restricted to True."
        yield make_finding("REQ-001", "/enable_thinking", message, expected=True, got=False)


class AnyModel:
    """A container of all models."""

    def __contains__(self, model: object) -> bool:
        return True


class RequestChecker:
    """Checks the bodies of create requests for one profile.

    `models` are the allowed models, in a collection or any object that supports `in`; None: the profile's.
    """

    def __init__(self, profile: Profile, models: Container[str] | None = None) -> None:
        self._profile = profile
        self._models: Container[str] = _default_models(profile) if models is None else models
        self._has_default_models = models is None or models is profile.models
        self._schemas = load_schemas(profile.name)
        self._is_closed_valid = self._schemas.closed_validator(_SCHEMA_NAME)

    def check(self, value: Any, history: CallHistory | None = None) -> list[Finding]:
        """The findings in a parsed body, in the order in which the service refuses it.

        Errors come first (missing parameters, types and ranges, model, tools), then warnings and infos. The
        message of an error names the parameter, so that it can be sent to the client. `history` has the calls
        of the turns that the request continues, if they are known.
        """
        is_closed_valid = self._is_closed_valid(value)
        if (
            is_closed_valid
            and (history is None or not history.open_calls)
            and value.get("model") in self._models
            and _are_distinct_functions(value.get("tools"))
            and _DEPENDENT_PARAMETERS.isdisjoint(value)
            and ("enable_thinking" not in value or self._profile.thinking[value["model"]] != "always")
            and (has_only_messages(value["input"]) or not check_call_outputs(value, self._profile, history))
        ):
            return []
        return self._check_fully(value, history, is_closed_valid=is_closed_valid)

    def _check_fully(
        self, value: Any, history: CallHistory | None, *, is_closed_valid: bool
    ) -> list[Finding]:
        findings = [] if is_closed_valid else self._violations(value)
        if not isinstance(value, dict):
            return findings
        findings += findings_for_profile(self._check_model(value), self._profile.name)
        if not errors(findings):
            findings += self._check_exclusive_parameters(value)
            findings += check_thinking_switch(value, self._profile)
            findings += self._check_tools(value)
            findings += _check_required_tool_choice(value)
            findings += check_call_outputs(value, self._profile, history)
        if not is_closed_valid:
            findings += self._unknown_parameters(value)
        if ignores_structured_output(value, self._profile):
            message = f"{self._profile.name} ignores text.format: the message is prose, not structured output"
            findings.append(make_finding("REQ-002", "/text/format", message, got=value["text"]["format"]))
        findings = limit_findings(findings_for_profile(findings, self._profile.name))
        return sorted(findings, key=_severity_rank)

    def _violations(self, value: Any) -> list[Finding]:
        require_import("mockserver.contract.schema.validation")
        from mockserver.contract.schema.validation import (
            violation_findings,  # only to explain invalid requests
        )

        return violation_findings(self._schemas, _SCHEMA_NAME, value)

    def _check_model(self, value: dict[str, Any]) -> Iterator[Finding]:
        model = value.get("model")
        if isinstance(model, str) and model and model not in self._models and not self._is_listed(model):
            yield unsupported_model_finding(
                model, self._models, f"Unsupported model: '{shorten_model(model)}'."
            )

    def _is_listed(self, model: str) -> bool:
        """Whether the documents list the model's family without exact names."""
        return self._has_default_models and any(
            fnmatchcase(model, pattern) for pattern in self._profile.model_patterns
        )

    def _check_exclusive_parameters(self, value: dict[str, Any]) -> Iterator[Finding]:
        given = [name for name in self._profile.exclusive if value.get(name) is not None]
        if len(given) > 1:
            # Text of the vendor's Conversations page (April 2026).
            message = (
                "[400] INVALID_REQUEST: Mutually exclusive parameters: "
                f"Ensure you are only providing one of: {' or '.join(given)}."
            )
            yield make_finding("REQ-010", f"/{given[-1]}", message, expected=None, got=value[given[-1]])

    def _check_tools(self, value: dict[str, Any]) -> Iterator[Finding]:
        kinds = [tool.get("type") for tool in value.get("tools") or ()]
        declared = frozenset(kinds)
        thinking = is_thinking_enabled(value, self._profile)
        for index, kind in enumerate(kinds):
            tool = self._profile.tools.get(kind)
            if tool is None:
                continue
            pointer = f"/tools/{index}/type"
            if tool.needs_tool is not None and tool.needs_tool not in declared:
                message = tool.needs_tool_message or f"{kind} needs {tool.needs_tool}"
                yield make_finding("REQ-003", pointer, message, expected=tool.needs_tool, got=kinds)
            if tool.needs_thinking_message is not None and not thinking:
                yield make_finding(
                    "REQ-004",
                    pointer,
                    tool.needs_thinking_message,
                    expected=True,
                    got=value.get("enable_thinking"),
                )

    def _unknown_parameters(self, value: dict[str, Any]) -> Iterator[Finding]:
        require_import("mockserver.contract.schema.validation")
        from mockserver.contract.schema.validation import unknown_request_member_findings

        for finding in unknown_request_member_findings(self._schemas, _SCHEMA_NAME, value):
            is_nested = "/" in finding.pointer[1:]
            if finding.more or (is_nested and (finding.rule != "SCH-003" or finding.got is not None)):
                yield finding
            elif not is_nested and finding.got is not None:
                name = parse_pointer(finding.pointer)[0]
                # `store` is a parameter of other profiles, not a misspelt `stream`.
                is_misspelt = name not in _parameters_of_all_profiles()
                suggestion = did_you_mean(name, self._profile.parameters) if is_misspelt else ""
                message = f"{self._profile.name} ignores the parameter{suggestion}"
                yield make_finding("REQ-002", finding.pointer, message, got=finding.got)


@cache
def _parameters_of_all_profiles() -> frozenset[str]:
    return frozenset(each for name in profile_names() for each in load_profile(name).parameters)


def _default_models(profile: Profile) -> Container[str]:
    return AnyModel() if profile.any_model else frozenset(profile.models)


def _check_required_tool_choice(value: dict[str, Any]) -> Iterator[Finding]:
    """`required` needs exactly one tool (API reference, April 2026)."""
    count = len(value.get("tools") or ())
    if value.get("tool_choice") == "required" and count != 1:
        message = f"tool_choice can be 'required' only with exactly one tool, not {count}."
        yield make_finding("REQ-011", "/tool_choice", message, expected=1, got=count)


def _are_distinct_functions(tools: Any) -> bool:
    """Whether valid tools are functions of different names, or there are none: no other rule is about them."""
    names = {tool.get("name") for tool in tools or () if tool.get("type") == "function"}
    return len(names) == len(tools or ())


def _severity_rank(finding: Finding) -> int:
    return list(Severity).index(finding.severity)
