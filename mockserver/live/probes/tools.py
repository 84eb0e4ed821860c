"""Probes of tools: functions that the client runs, and built-in tools that the service runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mockserver.live.client import Interaction
from mockserver.live.probes.context import TEST_IMAGE, ProbeContext, ProbeInconclusive, ProbeSkipped
from mockserver.live.probes.registry import probe
from mockserver.profiles import Profile

__all__: list[str] = []

_WEATHER_TOOL = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather in a city. Always use it when asked for the weather.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string", "description": "Name of the city."}},
        "required": ["city"],
    },
}

_QUESTIONS = {
    "web_search": "What is in the news today? Search the web.",
    "web_extractor": "Search the web for the Alibaba Cloud website and extract what it offers.",
    "code_interpreter": "Compute 2 to the power of 100 with code.",
    "web_search_image": "Find a picture of the Great Wall.",
    "image_search": "Find pictures like this one.",
    "file_search": "What do the files say? Search them.",
    "mcp": "Use the tools of the server to answer: what can it do?",
}

#: Tools that need a resource of the user: its name, and the reason to skip the probe without it.
_USER_RESOURCES = {
    "file_search": ("vector_store", "needs a vector store: --vector-store ID"),
    "mcp": ("mcp_server", "needs an MCP server: --mcp-server URL"),
}

#: Tools that run another tool first.
_TOOLS_TOGETHER = {"web_extractor": ("web_search", "web_extractor")}


@probe(
    "function-loop",
    "a function is called, and its output gets a response",
    requests=2,
    tokens=1200,
    input_tokens=600,
)
def function_loop(context: ProbeContext) -> None:
    question = {"role": "user", "content": f"What is the weather in Paris? ({context.nonce})"}
    first = context.create_response([question], {"tools": [_WEATHER_TOOL]}, expected_tokens=600)
    call = _function_call(first)
    outputs = [
        call,
        {"type": "function_call_output", "call_id": call.get("call_id"), "output": '{"sky":"clear"}'},
    ]
    context.create_response([question, *outputs], {"tools": [_WEATHER_TOOL]}, expected_tokens=600)


@probe("function-stream", "a function call is streamed", tokens=600, input_tokens=300)
def function_stream(context: ProbeContext) -> None:
    question = f"What is the weather in Rome? ({context.nonce})"
    _function_call(
        context.create_response(question, {"tools": [_WEATHER_TOOL], "stream": True}, expected_tokens=600)
    )


def _function_call(interaction: Interaction) -> dict[str, Any]:
    call = next((item for item in interaction.output if item.get("type") == "function_call"), None)
    if call is None:
        raise ProbeInconclusive("the model did not call the function")
    members = ("type", "name", "arguments", "call_id", "id", "status")
    return {name: value for name, value in call.items() if name in members}


def _register_tool_probe(tool_type: str, expected_tokens: int, output_tokens: int) -> None:
    """Register the probe of a built-in tool."""

    @probe(
        f"tool-{tool_type.replace('_', '-')}",
        f"{tool_type} runs, as a reply and as a stream",
        requests=2,
        tokens=2 * expected_tokens,
        input_tokens=2 * (expected_tokens - output_tokens),
        tool_calls=dict.fromkeys(_TOOLS_TOGETHER.get(tool_type, (tool_type,)), 2),
        skip_reason=_requires_tool(tool_type),
    )
    def run(context: ProbeContext) -> None:
        tool = context.profile.tools[tool_type]
        if tool_type in _USER_RESOURCES and not context.user_resources.get(_USER_RESOURCES[tool_type][0]):
            raise ProbeSkipped(_USER_RESOURCES[tool_type][1])
        base: dict[str, Any] = {
            "tools": [_tool_declaration(each, context) for each in (tool.needs_tool, tool_type) if each]
        }
        if tool.needs_thinking_message:
            base["enable_thinking"] = True
        for parameters in (base, {**base, "stream": True}):
            try:
                interaction = context.create_response(
                    _tool_question(tool_type, context), parameters, expected_tokens=expected_tokens
                )
            except ProbeInconclusive:
                _allow_refusal(context, tool_type)
                raise
            if not any(item.get("type") == tool.item for item in interaction.output):
                raise ProbeInconclusive(f"the model did not use {tool_type}")


def _allow_refusal(context: ProbeContext, tool_type: str) -> None:
    """ProbeInconclusive instead of a finding if a profile of many services does not promise the tool."""
    status = context.interactions[-1].status
    if context.profile.models or status is None or not 400 <= status < 500:
        return
    context.findings = [each for each in context.findings if each.finding.rule != "LIV-002"]
    raise ProbeInconclusive(
        f"the endpoint refuses {tool_type}; {context.profile.name} does not say which tools it runs"
    )


def _tool_declaration(tool_type: str, context: ProbeContext) -> dict[str, Any]:
    if tool_type == "file_search":
        return {"type": tool_type, "vector_store_ids": [context.user_resources["vector_store"]]}
    if tool_type == "mcp":
        server = {
            "server_protocol": "sse",
            "server_label": "probe",
            "server_url": context.user_resources["mcp_server"],
        }
        return {"type": tool_type, **server}
    return {"type": tool_type}


def _tool_question(tool_type: str, context: ProbeContext) -> Any:
    text = f"{_QUESTIONS[tool_type]} ({context.nonce})"
    if tool_type != "image_search":
        return text
    parts = [{"type": "input_text", "text": text}, {"type": "input_image", "image_url": TEST_IMAGE}]
    return [{"role": "user", "content": parts}]


def _requires_tool(tool_type: str) -> Callable[[Profile], str | None]:
    def skip_reason(profile: Profile) -> str | None:
        return None if tool_type in profile.tools else f"{profile.name} has no {tool_type}"

    return skip_reason


# Roughly the cost of the documented samples, and the output of it: a search reads about ten pages (guide,
# 27 January 2026: 40,836 input and 2,106 output tokens).
for _tool_type, _tokens, _output_tokens in (
    ("code_interpreter", 3_000, 1_000),
    ("web_search_image", 5_000, 500),
    ("image_search", 5_000, 500),
    ("file_search", 5_000, 500),
    ("mcp", 5_000, 500),
    ("web_search", 12_000, 1_000),
    ("web_extractor", 42_000, 2_000),
):
    _register_tool_probe(_tool_type, _tokens, _output_tokens)
