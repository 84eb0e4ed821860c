"""Probes that expect a response: texts, streams, turns, thinking, and optional parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mockserver.contract.check import check_request
from mockserver.contract.rules import load_rules
from mockserver.live.client import Interaction, LiveRequest
from mockserver.live.probes.context import TEST_IMAGE, ProbeContext, ProbeInconclusive
from mockserver.live.probes.registry import probe
from mockserver.profiles import Profile

__all__ = ["hello_request"]

#: A first turn so long that a short second turn has fewer input tokens unless the context is kept.
_LONG_PROMPT = "Remember these words: " + ", ".join(
    f"{word} {number}" for number in range(12) for word in ("apple", "river", "stone", "cloud", "lamp")
)


def hello_request(model: str, nonce: str, *, streamed: bool) -> LiveRequest:
    """The request of the probe `stream` or `basic`.

    A stream is asked to think: how it sends reasoning tells the dated profiles apart.
    """
    prompt = f"Say hello in {'three words' if streamed else 'one word'}. ({nonce})"
    body = {
        "model": model,
        "input": prompt,
        **({"stream": True, "enable_thinking": True} if streamed else {}),
    }
    return LiveRequest(body, expected_tokens=1000 if streamed else 200)


@probe("basic", "a prompt gets a response", tokens=200)
def basic(context: ProbeContext) -> None:
    context.check_response(hello_request(context.model, context.nonce, streamed=False))


@probe("stream", "a prompt gets a stream of events", tokens=1000)
def stream(context: ProbeContext) -> None:
    context.check_response(hello_request(context.model, context.nonce, streamed=True))


@probe("message-array", "an array of messages with roles is accepted", tokens=200)
def message_array(context: ProbeContext) -> None:
    context.create_response(
        [
            {"role": "system", "content": "You answer in one word."},
            {"role": "user", "content": "Say yes."},
            {"role": "assistant", "content": "Yes."},
            {"role": "user", "content": f"Again. ({context.nonce})"},
        ]
    )


@probe("two-turns", "previous_response_id continues the context", requests=2, tokens=900, input_tokens=750)
def two_turns(context: ProbeContext) -> None:
    first = context.create_response(
        f"{_LONG_PROMPT} ({context.nonce}). Answer with one word.", expected_tokens=450
    )
    response = first.response or {}
    before = _input_tokens(first)
    second = context.create_response(
        "And now?", {"previous_response_id": response.get("id")}, expected_tokens=450
    )
    after = _input_tokens(second)
    if before is None or after is None:
        raise ProbeInconclusive("a response has no usage, so the context cannot be counted")
    if after <= before:
        message = "the second turn has fewer input tokens than the first, so the context is lost"
        context.add_finding("LIV-007", second, message, expected=f"more than {before}", got=after)


def _requires_parameter(name: str) -> Callable[[Profile], str | None]:
    def skip_reason(profile: Profile) -> str | None:
        return None if name in profile.parameters else f"{profile.name} has no {name}"

    return skip_reason


@probe(
    "thinking",
    "thinking comes as an item of its own",
    requests=2,
    tokens=2000,
    skip_reason=_requires_parameter("enable_thinking"),
)
def thinking(context: ProbeContext) -> None:
    for streamed in (False, True):
        parameters = {"enable_thinking": True, **({"stream": True} if streamed else {})}
        interaction = context.create_response(
            f"What is 17 times 3? ({context.nonce})", parameters, expected_tokens=1000
        )
        if not any(item.get("type") == "reasoning" for item in interaction.output):
            raise ProbeInconclusive("the model did not think")


def _requires_ignored_parameters(profile: Profile) -> str | None:
    ignores = load_rules()["REQ-002"].applies_to(profile.name)
    return None if ignores else f"{profile.name} does not say how they are handled"


@probe(
    "ignored-parameters",
    "parameters that the service does not process are ignored",
    tokens=200,
    skip_reason=_requires_ignored_parameters,
)
def ignored_parameters(context: ProbeContext) -> None:
    """Parameters that the reference does not list are ignored, not refused (API reference, 27 January 2026)."""
    unlisted = {
        "metadata": {"probe": "ignored"},
        "truncation": "auto",
        "service_tier": "auto",
        "user": "mockserver",
        "x_mockserver": {"any": "value"},
    }
    parameters = {name: value for name, value in unlisted.items() if name not in context.profile.parameters}
    context.create_response(f"Say hello in one word. ({context.nonce})", parameters)


@probe("bounds", "the bounds of ranges are allowed", tokens=200)
def bounds(context: ProbeContext) -> None:
    context.create_response(f"Say hello in one word. ({context.nonce})", {"temperature": 0, "top_p": 1.0})


@probe("nulls", "null for an optional parameter means that it is absent", tokens=200)
def nulls(context: ProbeContext) -> None:
    """LlamaIndex sends explicit nulls (recorded November 2026)."""
    absent = dict.fromkeys(("previous_response_id", "temperature", "top_p", "metadata", "user"))
    context.create_response(f"Say hello in one word. ({context.nonce})", absent)


@probe("text-format", "text.format is obeyed, ignored or refused", tokens=300)
def text_format(context: ProbeContext) -> None:
    """The documents do not say which: any valid response or refusal passes."""
    answer = {"type": "object", "properties": {"hello": {"type": "string"}}, "required": ["hello"]}
    form = {"type": "json_schema", "name": "greeting", "schema": {**answer, "additionalProperties": False}}
    _accept_or_refuse(context, f"Say hello as JSON. ({context.nonce})", {"text": {"format": form}})


@probe("include", "include is obeyed, ignored or refused", tokens=200)
def include(context: ProbeContext) -> None:
    parameters = {"include": ["reasoning.encrypted_content"]}
    _accept_or_refuse(context, f"Say hello in one word. ({context.nonce})", parameters)


def _accept_or_refuse(context: ProbeContext, prompt: Any, parameters: Mapping[str, Any]) -> None:
    before = len(context.findings)
    try:
        context.create_response(prompt, parameters, expected_tokens=300)
    except ProbeInconclusive:
        status = context.interactions[-1].status
        if status is None or not 400 <= status < 500:
            raise
        context.findings[before:] = [
            each for each in context.findings[before:] if each.finding.rule != "LIV-002"
        ]


@probe("cancel", "a client may disconnect in mid-stream", requests=2, tokens=1200)
def cancel(context: ProbeContext) -> None:
    context.create_response(
        f"Count from 1 to 200. ({context.nonce})", {"stream": True}, expected_tokens=1000, stop_after_events=5
    )
    context.create_response(f"Say hello in one word. ({context.nonce})")


@probe(
    "incomplete",
    "a response cut by max_output_tokens is incomplete",
    tokens=200,
    skip_reason=_requires_parameter("max_output_tokens"),
)
def incomplete(context: ProbeContext) -> None:
    interaction = context.create_response(
        f"Count from 1 to 500. ({context.nonce})", {"max_output_tokens": 16}
    )
    status = (interaction.response or {}).get("status")
    if status != "incomplete":
        raise ProbeInconclusive(f"the response has the status {status!r}")


def _requires_image_input(profile: Profile) -> str | None:
    body = {"model": profile.models[0] if profile.models else "x", "input": _image_inputs()[0]}
    return f"{profile.name} accepts no images" if check_request(body, profile) else None


def _image_inputs() -> list[list[dict[str, Any]]]:
    """A question about an image, in each of the documented forms."""
    question = {"type": "input_text", "text": "Which colour is it? One word."}
    parts: list[dict[str, Any]] = [
        {"type": "input_image", "image_url": TEST_IMAGE},
        {"type": "image_url", "image_url": TEST_IMAGE},
        {"type": "image_url", "image_url": {"url": TEST_IMAGE}},
    ]
    return [[{"role": "user", "content": [question, part]}] for part in parts]


@probe(
    "image-spellings",
    "an image is accepted; its accepted forms are observed",
    requests=3,
    tokens=1200,
    input_tokens=900,
    skip_reason=_requires_image_input,
)
def image_spellings(context: ProbeContext) -> None:
    """The pages of March and August 2026 have three forms of an image part."""
    for image_input in _image_inputs():
        _accept_or_refuse(context, image_input, {})


def _requires_session_cache(profile: Profile) -> str | None:
    return None if profile.cache_min_tokens else f"{profile.name} has no session cache"


@probe(
    "session-cache",
    "usage reports tokens from the session cache",
    requests=2,
    tokens=5000,
    input_tokens=4800,
    skip_reason=_requires_session_cache,
)
def session_cache(context: ProbeContext) -> None:
    """The documents contradict each other about what is cached (API reference, September 2026): observed."""
    enable = {"x-dashscope-session-cache": "enable"}
    words = " ".join(f"{context.nonce}{number}" for number in range(context.profile.cache_min_tokens))
    first = context.create_response(f"Say yes. {words}", expected_tokens=2500, headers=enable)
    previous = {"previous_response_id": (first.response or {}).get("id")}
    context.create_response("Once more.", previous, expected_tokens=2500, headers=enable)


def _input_tokens(interaction: Interaction) -> int | None:
    usage = (interaction.response or {}).get("usage")
    tokens = usage.get("input_tokens") if isinstance(usage, dict) else None
    return tokens if isinstance(tokens, int) else None
