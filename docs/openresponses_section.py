"""The section about Open Responses in `profiles.md`: what the mock server supports, and what it does not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mockserver.contract.operations import profile_operations
from mockserver.contract.schema.registry import load_schemas
from mockserver.profiles import ThinkingModels, load_profile, load_profile_document
from mockserver.testing.strategies.openresponses_streams import VARIANT_EVENTS

__all__ = ["LLMPROBE_DEVIATIONS", "PROFILE", "UNSUPPORTED", "openresponses_lines"]

PROFILE = "openresponses-2026-04"

_HEAD = """
## Another service: Open Responses

`mockserver serve --profile openresponses-2026-04` serves the vendor-neutral specification Open Responses,
version 2026-04-24. Checks, strategies and faults support the profile as well. Its schemas are in
`schemas/openresponses` and follow the specification's OpenAPI document.

| fact | value | source |
|---|---|---|"""

_FACTS = {
    "base path": "base_path",
    "models": "models",
    "ids": "id_form",
    "last data of a stream": "done_marker",
    "status in `response.created`": "created_status",
    "thinks by default": "thinking",
    "levels of `reasoning.effort`": "efforts",
    "messages have a `phase`": "phases",
    "classes of errors": "error_types",
}

#: Unsupported features, with reasons.
UNSUPPORTED: Mapping[str, str] = {
    "the WebSocket transport": (
        "the OpenAPI document only has the schemas of its messages. The prose of this version describes the "
        "order of turns, messages that arrive while a response is in progress, where and how long state that "
        "is not stored is kept, error codes, and how a connection ends. Of that prose only the change log "
        "could be read, which names these subjects"
    ),
    "tools of other kinds than `function`": (
        "ignored; a check warns about types without a name and colon before them"
    ),
    "`background: true`": "refused with 400: the document has no operation that retrieves the response",
    "form-encoded bodies": "refused with 400: the document lists them, but the prose requires JSON",
    "`include`, `stream_options`": (
        "accepted and ignored: there are no probabilities, no encrypted reasoning and no padding"
    ),
    "a request without `model` or `input`": (
        "refused with 400: the document requires neither, but the prose requires both"
    ),
    "the content of a compaction": (
        "lost: it is opaque, and a later turn that includes it only counts its tokens"
    ),
}

#: What llmprobe 0.6.12 expects beyond the specification.
LLMPROBE_DEVIATIONS: Mapping[str, str] = {
    "`max_output_tokens: 1` ends with a truncated response, not with 400": (
        "the document's minimum is 16: the one MUST that fails, `responses-finish-present`"
    ),
    "`max_output_tokens: 8` is accepted": "as above; llmprobe counts the error as a pass with a warning",
    "temperature 0, or `top_p` near 0, repeats the text, streamed or not": "the mock does so",
    "reasoning counts against `max_output_tokens`": "the mock counts it",
    "a turn with `previous_response_id` remembers the name from an earlier turn": (
        "the mock only knows configured replies: the test stubs that reply"
    ),
    "`background: true` returns a queued response": "refused, which llmprobe counts as not supported",
    "with `--full`: a repeated prompt reports `cached_tokens`": (
        "the mock has no such cache: two MUSTs fail, `responses-cache-hit` and `responses-cache-prefix-hit`"
    ),
    "parallel calls of two tools": "the mock calls one function there, so this is inconclusive",
    "`x-ratelimit-*` headers": "there are none, which llmprobe counts as not supported",
}


def openresponses_lines() -> Iterator[str]:
    """The lines about Open Responses."""
    profile, facts, schemas = (
        load_profile(PROFILE),
        load_profile_document(PROFILE)["facts"],
        load_schemas(PROFILE),
    )
    yield _HEAD
    for title, fact in _FACTS.items():
        yield f"| {title} | {_fact_text(getattr(profile, fact))} | {facts[fact]['source']} |"
    yield (
        "\nEndpoints: "
        + ", ".join(f"`{each.method} {each.path}`" for each in profile_operations(profile))
        + ".\n"
    )
    yield f"Parameters: {', '.join(f'`{name}`' for name in profile.parameters)}; others are ignored.\n"
    sent = (each for each in schemas.event_types if each not in VARIANT_EVENTS)
    yield f"Events that the mock sends: {_code_list(sent)}.\n"
    yield f"Events that only checks accept and strategies draw: {_code_list(VARIANT_EVENTS)}."
    yield "The same holds for the items `compaction` in a response and `function_call_output`. Types of items,"
    yield "events and tools with a prefix (`acme:search`) are extensions: valid, with unknown content.\n"
    yield "### Unsupported features\n"
    yield from (f"- {feature}: {reason}." for feature, reason in UNSUPPORTED.items())
    yield "\n## What llmprobe expects beyond the specification\n"
    yield "A test runs llmprobe 0.6.12. It expects this, which the specification does not demand:\n"
    yield from (f"- {feature}: {result}." for feature, result in LLMPROBE_DEVIATIONS.items())


def _code_list(names: Iterator[str] | Mapping[str, object]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def thinking_text(models: ThinkingModels) -> str:
    """Which models think by default: "yes", "no", or the patterns of both."""
    words = {"on": "yes", "off": "no", "always": "always"}
    default = words[models.patterns["*"]]
    others = {mode: [p for p, each in models.patterns.items() if each == mode and p != "*"] for mode in words}
    exceptions = [
        f"{words[mode]}: {', '.join(f'`{pattern}`' for pattern in patterns)}"
        for mode, patterns in others.items()
        if patterns
    ]
    return "; ".join([*exceptions, f"others: {default}"]) if exceptions else default


def _fact_text(value: object) -> str:
    if isinstance(value, ThinkingModels):
        return thinking_text(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{status} `{kind}`" for status, kind in value.items())
    return ", ".join(f"`{each}`" for each in ([value] if isinstance(value, str) else list(value)))  # type: ignore[call-overload]
