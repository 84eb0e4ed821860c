"""Probes that are to be answered: texts, streams, turns, thoughts, and what a client may leave open."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mockserver.contract.check import check_request
from mockserver.contract.rules import load_rules
from mockserver.live.client import Interaction
from mockserver.live.probes.context import TEST_IMAGE, ProbeContext, ProbeInconclusive
from mockserver.live.probes.registry import probe
from mockserver.profiles import Profile

__all__: list[str] = []

#: A first turn so long that a second, short one counts fewer tokens unless the context goes on.
_LONG_PROMPT = "Remember these words: " + ", ".join(
    f"{word} {number}" for number in range(12) for word in ("apple", "river", "stone", "cloud", "lamp")
)


@probe("basic", "a text is answered", tokens=200)
def basic(context: ProbeContext) -> None:
    context.create_response(f"Say hello in one word. ({context.nonce})")


@probe("stream", "a text is answered by a stream of events", tokens=200)
def stream(context: ProbeContext) -> None:
    context.create_response(f"Say hello in three words. ({context.nonce})", {"stream": True})


@probe("message-array", "messages with roles are answered", tokens=200)
def message_array(context: ProbeContext) -> None:
    context.create_response(
        [
            {"role": "system", "content": "You answer in one word."},
            {"role": "user", "content": "Say yes."},
            {"role": "assistant", "content": "Yes."},
            {"role": "user", "content": f"Again. ({context.nonce})"},
        ]
    )


@probe("two-turns", "a turn with previous_response_id goes on with the context", requests=2, tokens=900)
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
        raise ProbeInconclusive("an answer has no usage to count the context by")
    if after <= before:
        message = "the second turn counts fewer tokens than the first, so the context has not gone on"
        context.add_finding("LIV-007", second, message, expected=f"more than {before}", got=after)


def _requires_parameter(name: str) -> Callable[[Profile], str | None]:
    def skip_reason(profile: Profile) -> str | None:
        return None if name in profile.parameters else f"{profile.name} has no {name}"

    return skip_reason


@probe(
    "thinking",
    "thoughts come as an item of their own",
    requests=2,
    tokens=2000,
    skip_reason=_requires_parameter("enable_thinking"),
)
def thinking(context: ProbeContext) -> None:
    for streamed in (False, True):
        asked = {"enable_thinking": True, **({"stream": True} if streamed else {})}
        crossing = context.create_response(
            f"What is 17 times 3? ({context.nonce})", asked, expected_tokens=1000
        )
        if not any(item.get("type") == "reasoning" for item in crossing.output):
            raise ProbeInconclusive("the model has not thought")


def _requires_ignored_parameters(profile: Profile) -> str | None:
    ignores = load_rules()["REQ-002"].applies_to(profile.name)
    return None if ignores else f"{profile.name} does not say what becomes of them"


@probe(
    "ignored-parameters",
    "parameters that the service does not process are ignored",
    tokens=200,
    skip_reason=_requires_ignored_parameters,
)
def ignored_parameters(context: ProbeContext) -> None:
    """What the reference does not list is ignored, not refused (API reference, 27 January 2026)."""
    unlisted = {
        "metadata": {"probe": "ignored"},
        "truncation": "auto",
        "service_tier": "auto",
        "user": "mockserver",
        "x_mockserver": {"any": "value"},
    }
    asked = {name: value for name, value in unlisted.items() if name not in context.profile.parameters}
    context.create_response(f"Say hello in one word. ({context.nonce})", asked)


@probe("bounds", "the bounds of ranges are in them", tokens=200)
def bounds(context: ProbeContext) -> None:
    context.create_response(f"Say hello in one word. ({context.nonce})", {"temperature": 0, "top_p": 1.0})


@probe("nulls", "a null for an optional parameter stands for its absence", tokens=200)
def nulls(context: ProbeContext) -> None:
    """Explicit nulls are what LlamaIndex sends (recorded November 2026)."""
    absent = dict.fromkeys(("previous_response_id", "temperature", "top_p", "metadata", "user"))
    context.create_response(f"Say hello in one word. ({context.nonce})", absent)


@probe("text-format", "text.format asks for JSON, and is honoured, ignored or refused", tokens=300)
def text_format(context: ProbeContext) -> None:
    """No document says which; nothing that is answered or refused in form is a fault."""
    answer = {"type": "object", "properties": {"hello": {"type": "string"}}, "required": ["hello"]}
    form = {"type": "json_schema", "name": "greeting", "schema": {**answer, "additionalProperties": False}}
    _answered_or_refused(context, f"Say hello as JSON. ({context.nonce})", {"text": {"format": form}})


@probe("include", "include is honoured, ignored or refused", tokens=200)
def include(context: ProbeContext) -> None:
    asked = {"include": ["reasoning.encrypted_content"]}
    _answered_or_refused(context, f"Say hello in one word. ({context.nonce})", asked)


def _answered_or_refused(context: ProbeContext, question: Any, parameters: Mapping[str, Any]) -> None:
    before = len(context.findings)
    try:
        context.create_response(question, parameters, expected_tokens=300)
    except ProbeInconclusive:
        refusal = context.interactions[-1].status
        if refusal is None or not 400 <= refusal < 500:
            raise
        context.findings[before:] = [
            each for each in context.findings[before:] if each.finding.rule != "LIV-002"
        ]


@probe("cancel", "a client that hangs up in mid-stream does no harm", requests=2, tokens=1200)
def cancel(context: ProbeContext) -> None:
    context.create_response(
        f"Count from 1 to 200. ({context.nonce})", {"stream": True}, expected_tokens=1000, stop_after_events=5
    )
    context.create_response(f"Say hello in one word. ({context.nonce})")


@probe(
    "incomplete",
    "an answer cut by max_output_tokens is incomplete",
    tokens=200,
    skip_reason=_requires_parameter("max_output_tokens"),
)
def incomplete(context: ProbeContext) -> None:
    crossing = context.create_response(f"Count from 1 to 500. ({context.nonce})", {"max_output_tokens": 16})
    status = (crossing.response or {}).get("status")
    if status != "incomplete":
        raise ProbeInconclusive(f"the answer has the status {status!r}")


def _requires_image_input(profile: Profile) -> str | None:
    found = check_request(
        {"model": profile.models[0] if profile.models else "x", "input": _image_inputs()[0]}, profile
    )
    return f"{profile.name} reads no images" if found else None


def _image_inputs() -> list[list[dict[str, Any]]]:
    """One question about a picture, in each of the spellings that the documents have."""
    question = {"type": "input_text", "text": "Which colour is it? One word."}
    parts: list[dict[str, Any]] = [
        {"type": "input_image", "image_url": TEST_IMAGE},
        {"type": "image_url", "image_url": TEST_IMAGE},
        {"type": "image_url", "image_url": {"url": TEST_IMAGE}},
    ]
    return [[{"role": "user", "content": [question, part]}] for part in parts]


@probe(
    "image-spellings",
    "a picture is read; how it may be spelled is a fact",
    requests=3,
    tokens=1200,
    skip_reason=_requires_image_input,
)
def image_spellings(context: ProbeContext) -> None:
    """The pages of March and August 2026 have three spellings of an image part."""
    for picture in _image_inputs():
        _answered_or_refused(context, picture, {})


def _requires_session_cache(profile: Profile) -> str | None:
    return None if profile.cache_min_tokens else f"{profile.name} has no session cache"


@probe(
    "session-cache",
    "the session cache is told of in usage",
    requests=2,
    tokens=5000,
    skip_reason=_requires_session_cache,
)
def session_cache(context: ProbeContext) -> None:
    """What exactly is cached the documents tell in two ways (API reference, September 2026): a fact."""
    enable = {"x-dashscope-session-cache": "enable"}
    words = " ".join(f"{context.nonce}{number}" for number in range(context.profile.cache_min_tokens))
    first = context.create_response(f"Say yes. {words}", expected_tokens=2500, headers=enable)
    previous = {"previous_response_id": (first.response or {}).get("id")}
    context.create_response("Once more.", previous, expected_tokens=2500, headers=enable)


def _input_tokens(interaction: Interaction) -> int | None:
    usage = (interaction.response or {}).get("usage")
    tokens = usage.get("input_tokens") if isinstance(usage, dict) else None
    return tokens if isinstance(tokens, int) else None
