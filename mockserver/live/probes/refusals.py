"""Probes that are to be refused: what the documents call an error, as far as it costs nothing to ask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mockserver.contract.check import check_request
from mockserver.live.client import Ask
from mockserver.live.probes.registry import probe
from mockserver.live.talk import NO_MORE, Talk
from mockserver.profiles import Profile

__all__: list[str] = []

#: An answer that comes all the same costs about so much.
_TOKENS = 200

#: Once as a reply, once as a stream.
_BOTH: tuple[Mapping[str, Any], ...] = ({}, {"stream": True})


def _ask(talk: Talk, parameters: Mapping[str, Any] = NO_MORE, without: str = "") -> Ask:
    body = talk.body(f"Say hello in one word. ({talk.nonce})", parameters)
    body.pop(without, None)
    return Ask(body, tokens=_TOKENS)


@probe("no-model", "a request without a model is refused", tokens=_TOKENS)
def no_model(talk: Talk) -> None:
    talk.refused(_ask(talk, without="model"), "REQ-001", "a request without a model")


@probe("no-input", "a request without an input is refused", tokens=_TOKENS)
def no_input(talk: Talk) -> None:
    talk.refused(_ask(talk, without="input"), "REQ-001", "a request without an input")


def _any_model(profile: Profile) -> str | None:
    return f"{profile.name} takes any name of a model" if profile.any_model else None


@probe(
    "unknown-model",
    "a model that does not exist is refused",
    requests=2,
    tokens=2 * _TOKENS,
    lacks=_any_model,
)
def unknown_model(talk: Talk) -> None:
    """400 by the documents; 404 where the error catalogue's ModelNotFound is used (2026)."""
    for streamed in _BOTH:
        ask = _ask(talk, {**streamed, "model": f"no-such-model-{talk.nonce}"})
        talk.refused(ask, "REQ-005", "a model that does not exist", (400, 404))


@probe("not-json", "a body that is not JSON is refused", tokens=_TOKENS)
def not_json(talk: Talk) -> None:
    talk.refused(Ask(b'{"model": ', tokens=_TOKENS), "SCH-006", "a body that is not JSON")


def _other_ranges(profile: Profile) -> str | None:
    body = {"model": "x", "input": "x", "temperature": 2.0}
    refused = any(each.pointer == "/temperature" for each in check_request(body, profile))
    return None if refused else f"{profile.name} has other ranges"


@probe("wrong-method", "a method that the endpoint does not have is refused")
def wrong_method(talk: Talk) -> None:
    """The error catalogue lists it under 400; 405 is HTTP's own (error catalogue, 2026; RFC 9110)."""
    talk.refused(Ask(method="PUT"), "LIV-003", "a PUT", (400, 404, 405))


@probe("ranges", "values out of range are refused", requests=2, tokens=2 * _TOKENS, lacks=_other_ranges)
def ranges(talk: Talk) -> None:
    talk.refused(_ask(talk, {"temperature": 2.0}), "REQ-001", "a temperature of 2, which is out of range")
    talk.refused(_ask(talk, {"top_p": 0}), "REQ-001", "a top_p of 0, which is out of range")


@probe("unknown-previous", "a previous_response_id that nobody knows is refused", tokens=_TOKENS)
def unknown_previous(talk: Talk) -> None:
    """The documents give the refusal no status: 400 as for any parameter, or 404 as for retrieve."""
    ask = _ask(talk, {"previous_response_id": talk.unknown_id})
    talk.refused(ask, "REQ-001", "a previous_response_id that nobody knows", (400, 404))


@probe("output-without-call", "the output of a call that was not made is refused", tokens=_TOKENS)
def output_without_call(talk: Talk) -> None:
    items = [{"type": "function_call_output", "call_id": "call_of_nobody", "output": "1"}]
    talk.refused(Ask(talk.body(items), tokens=_TOKENS), "REQ-007", "the output of a call that was not made")


@probe("wrong-key", "a wrong key is refused", tokens=_TOKENS)
def wrong_key(talk: Talk) -> None:
    body = talk.body(f"Say hello in one word. ({talk.nonce})")
    ask = Ask(body, key=f"wrong-key-{talk.nonce}", tokens=_TOKENS)
    talk.refused(ask, "LIV-005", "a wrong key", (401,))


@probe("no-key", "a request without a key is refused", tokens=_TOKENS)
def no_key(talk: Talk) -> None:
    body = talk.body(f"Say hello in one word. ({talk.nonce})")
    talk.refused(Ask(body, key=None, tokens=_TOKENS), "LIV-005", "a request without a key", (401,))


def _needy(profile: Profile) -> str | None:
    has = any(tool.needs_tool for tool in profile.tools.values())
    return None if has else f"{profile.name} has no tool that needs another"


@probe("tool-alone", "a tool that needs another is refused without it", tokens=_TOKENS, lacks=_needy)
def tool_alone(talk: Talk) -> None:
    kind = next(kind for kind, tool in talk.profile.tools.items() if tool.needs_tool)
    ask = _ask(talk, {"tools": [{"type": kind}], "enable_thinking": True})
    talk.refused(ask, "REQ-003", f"{kind} without the tool it needs")


def _thinking(profile: Profile) -> str | None:
    has = any(tool.needs_thinking_message for tool in profile.tools.values())
    return None if has else f"{profile.name} has no tool that needs thinking"


@probe(
    "tool-without-thinking",
    "a tool that needs thinking is refused without it",
    requests=2,
    tokens=2 * _TOKENS,
    lacks=_thinking,
)
def tool_without_thinking(talk: Talk) -> None:
    tools = talk.profile.tools
    kind = next(kind for kind, tool in tools.items() if tool.needs_thinking_message)
    declared = [{"type": each} for each in (tools[kind].needs_tool, kind) if each]
    for streamed in _BOTH:
        ask = _ask(talk, {**streamed, "tools": declared, "enable_thinking": False})
        talk.refused(ask, "REQ-004", f"{kind} without thinking")


def _exclusive(profile: Profile) -> str | None:
    return None if profile.exclusive else f"{profile.name} has no parameters that exclude each other"


@probe(
    "exclusive-parameters",
    "parameters that exclude each other are refused together",
    tokens=_TOKENS,
    lacks=_exclusive,
)
def exclusive_parameters(talk: Talk) -> None:
    both = {name: f"{name}_{talk.nonce}" for name in talk.profile.exclusive}
    talk.refused(_ask(talk, both), "REQ-010", "parameters that exclude each other")


def _limits_output(profile: Profile) -> str | None:
    has = "max_output_tokens" in profile.parameters
    return None if has else f"{profile.name} has no max_output_tokens"


@probe("few-tokens", "max_output_tokens under its least is refused", tokens=_TOKENS, lacks=_limits_output)
def few_tokens(talk: Talk) -> None:
    talk.refused(
        _ask(talk, {"max_output_tokens": 15}), "REQ-001", "a max_output_tokens of 15, which is too few"
    )
