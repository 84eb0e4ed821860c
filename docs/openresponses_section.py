"""What the profile of Open Responses plays, and what it does not: the last part of the page `profiles.md`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mockserver.contract.operations import profile_operations
from mockserver.contract.schema.registry import load_schemas
from mockserver.profiles import load_profile, load_profile_document
from mockserver.testing.strategies.openresponses_streams import VARIANT_EVENTS

__all__ = ["LLMPROBE_DEVIATIONS", "PROFILE", "UNSUPPORTED", "openresponses_lines"]

PROFILE = "openresponses-2026-04"

_HEAD = """
# Another service: Open Responses

`mockserver serve --profile openresponses-2026-04` plays a server of the vendor-neutral specification Open
Responses, version 2026-04-24; the judge, the strategies and the faults know the profile as well. Its schemas
are `schemas/openresponses`, made of the facts of the specification's OpenAPI document.

| fact | value | source |
|---|---|---|"""

_FACTS = {
    "base path": "base_path",
    "models": "models",
    "ids": "id_form",
    "last data of a stream": "done_marker",
    "status in `response.created`": "created_status",
    "thinks when nothing is said": "thinking",
    "levels of `reasoning.effort`": "efforts",
    "messages have a `phase`": "phases",
    "classes of errors": "error_types",
}

#: What the mock leaves out, and why.
UNSUPPORTED: Mapping[str, str] = {
    "the WebSocket transport": (
        "the OpenAPI document has the shapes of its messages alone. How turns follow each"
        " other, what becomes of a message that comes while a response is still being "
        "made, where state that is not stored is kept and for how long, which codes its "
        "errors have and how a connection ends is told in the prose of this version, of "
        "which only the change log, naming the subjects, could be read"
    ),
    "tools of other kinds than `function`": (
        "passed over, with a warning of the judge where they have no name and colon before them"
    ),
    "`background: true`": ("refused with 400: the document has no operation that would fetch the answer"),
    "form-encoded bodies": "refused with 400: the document lists them, its prose asks for JSON",
    "`include`, `stream_options`": (
        "taken and ignored: there are no probabilities, no encrypted thoughts, no padding"
    ),
    "a request without `model` or `input`": (
        "refused with 400: the document requires neither, its prose both"
    ),
    "what a compaction stands for": (
        "gone: its content is opaque, and a later turn that has it remembers nothing but its tokens"
    ),
}

#: What llmprobe 0.6.12 asks of this surface that the specification does not.
LLMPROBE_DEVIATIONS: Mapping[str, str] = {
    "`max_output_tokens: 1` ends as a cut answer, not as 400": (
        "the document's least is 16: its one MUST that fails, `responses-finish-present`"
    ),
    "`max_output_tokens: 8` is kept": "the same; it takes the refusal for a pass with a warning",
    "temperature 0, or `top_p` next to 0, gives the same text again, streamed or not": ("the mock does so"),
    "thoughts count against `max_output_tokens`": "the mock counts them",
    "a turn that goes on by `previous_response_id` knows the name said before": (
        "a mock says what it is told to say: the test plans that answer"
    ),
    "`background: true` comes back queued": "refused, which llmprobe counts as not supported",
    "with `--full`: a repeated prompt reports `cached_tokens`": (
        "the mock has no such cache: two MUSTs fail, `responses-cache-hit` and `responses-cache-prefix-hit`"
    ),
    "two tools are called at once": "the mock calls one function there, so this is inconclusive",
    "`x-ratelimit-*` headers": "there are none, which llmprobe counts as not supported",
}


def openresponses_lines() -> Iterator[str]:
    """The lines about Open Responses."""
    about, facts, known = (
        load_profile(PROFILE),
        load_profile_document(PROFILE)["facts"],
        load_schemas(PROFILE),
    )
    yield _HEAD
    for words, fact in _FACTS.items():
        yield f"| {words} | {_fact_text(getattr(about, fact))} | {facts[fact]['source']} |"
    yield (
        "\nEndpoints: "
        + ", ".join(f"`{each.method} {each.path}`" for each in profile_operations(about))
        + ".\n"
    )
    yield f"Parameters: {', '.join(f'`{name}`' for name in about.parameters)}; others are ignored.\n"
    sent = (each for each in known.event_types if each not in VARIANT_EVENTS)
    yield f"Events that the mock sends: {_code_list(sent)}.\n"
    yield f"Events that only the judge takes and the strategies draw: {_code_list(VARIANT_EVENTS)};"
    yield "so are, of the items, `compaction` in a response and `function_call_output`. Types of items,"
    yield "events and tools with a name before them (`acme:search`) are extensions: legal, and unknown.\n"
    yield "## What is left out\n"
    yield from (f"- {what}: {why}." for what, why in UNSUPPORTED.items())
    yield "\n## What llmprobe asks beyond the specification\n"
    yield "llmprobe 0.6.12 is run in a test; what it asks that the specification does not:\n"
    yield from (f"- {what}: {why}." for what, why in LLMPROBE_DEVIATIONS.items())


def _code_list(names: Iterator[str] | Mapping[str, object]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _fact_text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{status} `{kind}`" for status, kind in value.items())
    return ", ".join(f"`{each}`" for each in ([value] if isinstance(value, str) else list(value)))  # type: ignore[call-overload]
