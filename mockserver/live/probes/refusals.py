"""Probes that expect a refusal: documented errors that cost nothing to provoke."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mockserver.contract.check import check_request
from mockserver.live.client import LiveRequest
from mockserver.live.probes.context import NO_PARAMETERS, ProbeContext
from mockserver.live.probes.registry import probe
from mockserver.profiles import Profile

__all__: list[str] = []

#: Cost of a response if the endpoint does not refuse the request.
_EXPECTED_TOKENS = 200

_REPLY_AND_STREAM: tuple[Mapping[str, Any], ...] = ({}, {"stream": True})


def _request(
    context: ProbeContext, parameters: Mapping[str, Any] = NO_PARAMETERS, without: str = ""
) -> LiveRequest:
    body = context.create_body(f"Say hello in one word. ({context.nonce})", parameters)
    body.pop(without, None)
    return LiveRequest(body, expected_tokens=_EXPECTED_TOKENS)


@probe("no-model", "a request without a model is refused", tokens=_EXPECTED_TOKENS)
def no_model(context: ProbeContext) -> None:
    context.expect_refusal(_request(context, without="model"), "REQ-001", "a request without a model")


@probe("no-input", "a request without an input is refused", tokens=_EXPECTED_TOKENS)
def no_input(context: ProbeContext) -> None:
    context.expect_refusal(_request(context, without="input"), "REQ-001", "a request without an input")


def _requires_model_names(profile: Profile) -> str | None:
    return f"{profile.name} accepts any model name" if profile.any_model else None


@probe(
    "unknown-model",
    "an unknown model is refused",
    requests=2,
    tokens=2 * _EXPECTED_TOKENS,
    skip_reason=_requires_model_names,
)
def unknown_model(context: ProbeContext) -> None:
    """400 in the documents; 404 for ModelNotFound in the error catalogue (2026)."""
    for streamed in _REPLY_AND_STREAM:
        request = _request(context, {**streamed, "model": f"no-such-model-{context.nonce}"})
        context.expect_refusal(request, "REQ-005", "an unknown model", (400, 404))


@probe("not-json", "a body that is not JSON is refused", tokens=_EXPECTED_TOKENS)
def not_json(context: ProbeContext) -> None:
    context.expect_refusal(
        LiveRequest(b'{"model": ', expected_tokens=_EXPECTED_TOKENS), "SCH-006", "a body that is not JSON"
    )


def _requires_known_ranges(profile: Profile) -> str | None:
    body = {"model": "x", "input": "x", "temperature": 2.0}
    refused = any(each.pointer == "/temperature" for each in check_request(body, profile))
    return None if refused else f"{profile.name} has other ranges"


@probe("wrong-method", "an unsupported HTTP method is refused")
def wrong_method(context: ProbeContext) -> None:
    """400 in the error catalogue (2026); 405 in HTTP (RFC 9110)."""
    context.expect_refusal(LiveRequest(method="PUT"), "LIV-003", "a PUT", (400, 404, 405))


@probe(
    "ranges",
    "values out of range are refused",
    requests=2,
    tokens=2 * _EXPECTED_TOKENS,
    skip_reason=_requires_known_ranges,
)
def ranges(context: ProbeContext) -> None:
    context.expect_refusal(
        _request(context, {"temperature": 2.0}), "REQ-001", "a temperature of 2 (out of range)"
    )
    context.expect_refusal(_request(context, {"top_p": 0}), "REQ-001", "a top_p of 0 (out of range)")


@probe("unknown-previous", "an unknown previous_response_id is refused", tokens=_EXPECTED_TOKENS)
def unknown_previous(context: ProbeContext) -> None:
    """The documents give no status: 400 as for any parameter, or 404 as for retrieve."""
    request = _request(context, {"previous_response_id": context.unknown_id})
    context.expect_refusal(request, "REQ-001", "an unknown previous_response_id", (400, 404))


@probe("output-without-call", "the output of a call that was never made is refused", tokens=_EXPECTED_TOKENS)
def output_without_call(context: ProbeContext) -> None:
    items = [{"type": "function_call_output", "call_id": "call_of_nobody", "output": "1"}]
    context.expect_refusal(
        LiveRequest(context.create_body(items), expected_tokens=_EXPECTED_TOKENS),
        "REQ-007",
        "the output of a call that was never made",
    )


@probe("wrong-key", "a wrong key is refused", tokens=_EXPECTED_TOKENS)
def wrong_key(context: ProbeContext) -> None:
    body = context.create_body(f"Say hello in one word. ({context.nonce})")
    request = LiveRequest(body, api_key=f"wrong-key-{context.nonce}", expected_tokens=_EXPECTED_TOKENS)
    context.expect_refusal(request, "LIV-005", "a wrong key", (401,))


@probe("no-key", "a request without a key is refused", tokens=_EXPECTED_TOKENS)
def no_key(context: ProbeContext) -> None:
    body = context.create_body(f"Say hello in one word. ({context.nonce})")
    context.expect_refusal(
        LiveRequest(body, api_key=None, expected_tokens=_EXPECTED_TOKENS),
        "LIV-005",
        "a request without a key",
        (401,),
    )


def _requires_dependent_tool(profile: Profile) -> str | None:
    has = any(tool.needs_tool for tool in profile.tools.values())
    return None if has else f"{profile.name} has no tool that needs another"


@probe(
    "tool-alone",
    "a tool that needs another is refused without it",
    tokens=_EXPECTED_TOKENS,
    skip_reason=_requires_dependent_tool,
)
def tool_alone(context: ProbeContext) -> None:
    tool_type = next(name for name, tool in context.profile.tools.items() if tool.needs_tool)
    request = _request(context, {"tools": [{"type": tool_type}], "enable_thinking": True})
    context.expect_refusal(request, "REQ-003", f"{tool_type} without the tool it needs")


def _requires_thinking_tool(profile: Profile) -> str | None:
    has = any(tool.needs_thinking_message for tool in profile.tools.values())
    return None if has else f"{profile.name} has no tool that needs thinking"


@probe(
    "tool-without-thinking",
    "a tool that needs thinking is refused without it",
    requests=2,
    tokens=2 * _EXPECTED_TOKENS,
    skip_reason=_requires_thinking_tool,
)
def tool_without_thinking(context: ProbeContext) -> None:
    tools = context.profile.tools
    tool_type = next(name for name, tool in tools.items() if tool.needs_thinking_message)
    declared = [{"type": each} for each in (tools[tool_type].needs_tool, tool_type) if each]
    for streamed in _REPLY_AND_STREAM:
        request = _request(context, {**streamed, "tools": declared, "enable_thinking": False})
        context.expect_refusal(request, "REQ-004", f"{tool_type} without thinking")


def _requires_exclusive_parameters(profile: Profile) -> str | None:
    return None if profile.exclusive else f"{profile.name} has no parameters that exclude each other"


@probe(
    "exclusive-parameters",
    "parameters that exclude each other are refused together",
    tokens=_EXPECTED_TOKENS,
    skip_reason=_requires_exclusive_parameters,
)
def exclusive_parameters(context: ProbeContext) -> None:
    both = {name: f"{name}_{context.nonce}" for name in context.profile.exclusive}
    context.expect_refusal(_request(context, both), "REQ-010", "parameters that exclude each other")


def _requires_max_output_tokens(profile: Profile) -> str | None:
    has = "max_output_tokens" in profile.parameters
    return None if has else f"{profile.name} has no max_output_tokens"


@probe(
    "few-tokens",
    "max_output_tokens below the minimum is refused",
    tokens=_EXPECTED_TOKENS,
    skip_reason=_requires_max_output_tokens,
)
def few_tokens(context: ProbeContext) -> None:
    context.expect_refusal(
        _request(context, {"max_output_tokens": 15}), "REQ-001", "a max_output_tokens of 15 (too small)"
    )
