"""What a run observes where the documents are silent or contradict each other. Never a finding."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from mockserver.live.budgeted_client import is_rate_limited
from mockserver.live.client import Interaction, ReplyEnd
from mockserver.wire import json, sse

__all__ = ["OPEN_QUESTIONS", "OpenQuestion", "observed_answers"]

Observe: TypeAlias = Callable[[Interaction], str | Iterable[str] | None]

_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


@dataclass(frozen=True, slots=True)
class OpenQuestion:
    """A question that the documents leave open or answer in more than one way."""

    id: str
    question: str
    observe: Observe
    """The answer that one interaction gives, or several that are counted apart; None if it gives none."""
    probes: tuple[str, ...] = ()
    """The probes to observe; empty: all."""


def observed_answers(interactions: Mapping[str, Iterable[Interaction]]) -> dict[str, str | None]:
    """The answers by question id, from the interactions of each probe; None if no interaction gives one.

    If the endpoint behaves in several ways, the answer lists them all, most frequent first.
    """
    return {each.id: _observed_answer(each, interactions) for each in OPEN_QUESTIONS}


def _observed_answer(question: OpenQuestion, interactions: Mapping[str, Iterable[Interaction]]) -> str | None:
    counted: dict[str, int] = {}
    for name, each in interactions.items():
        if not question.probes or name in question.probes:
            for interaction in each:
                answer = question.observe(interaction) or ()
                for one in (answer,) if isinstance(answer, str) else answer:
                    counted[one] = counted.get(one, 0) + 1
    ranked = sorted(counted, key=lambda answer: (-counted[answer], answer))
    return "; ".join(ranked) or None


def _successful_response(interaction: Interaction) -> dict[str, Any] | None:
    response = interaction.response
    return response if response is not None and response.get("status") != "failed" else None


def _created_at_type(interaction: Interaction) -> str | None:
    value = (_successful_response(interaction) or {}).get("created_at")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return "an integer" if isinstance(value, int) else "a number with a fraction"


def _response_id_form(interaction: Interaction) -> str | None:
    value = (_successful_response(interaction) or {}).get("id")
    return _describe_id_form(value) if isinstance(value, str) else None


def _describe_id_form(value: str) -> str:
    if re.fullmatch(_UUID, value):
        return "a UUID"
    prefix, _, rest = value.rpartition("_")
    if prefix and re.fullmatch(_UUID, rest):
        return f"{prefix}_ and a UUID"
    if prefix and re.fullmatch(r"[0-9a-f]+", rest):
        return f"{prefix}_ and {len(rest)} hexadecimal digits"
    return f"{prefix}_ and something else" if prefix else "something else"


def _item_id_forms(interaction: Interaction) -> set[str]:
    return {
        f"{item.get('type')}: {_describe_id_form(item['id'])}"
        for item in interaction.output
        if isinstance(item.get("id"), str)
    }


def _null_members(interaction: Interaction) -> str | None:
    response = _successful_response(interaction)
    if response is None:
        return None
    names = sorted(name for name, value in response.items() if value is None)
    return f"null: {', '.join(names)}" if names else "members without a value are left out"


def _framing(interaction: Interaction) -> str | None:
    if not interaction.is_stream or not interaction.frames:
        return None
    frames = [frame for frame in interaction.frames if frame.data is not None]
    fields = sorted({name for frame in frames for name in frame.fields})
    comments = sorted({each for frame in frames for each in frame.comments})
    space = "a space" if re.search(rb"^data: ", interaction.body, re.MULTILINE) else "no space"
    commented = f"comments {', '.join(comments)[:60]}" if comments else "no comments"
    return f"{', '.join(fields)}; {space} after the colon; {commented}"


def _event_lines(interaction: Interaction) -> str | None:
    frames = [frame for frame in interaction.frames if frame.data is not None]
    if not interaction.is_stream or not frames:
        return None
    named = sum("event" in frame.fields for frame in frames)
    return "every event" if named == len(frames) else "no event" if not named else "some events"


def _end_of_stream(interaction: Interaction) -> str | None:
    """Whether and where the end marker comes; None for a stream that did not come to its end."""
    if not interaction.is_stream or interaction.end is not ReplyEnd.COMPLETE:
        return None
    texts = [frame.data.strip() for frame in interaction.frames if frame.data is not None]
    count = texts.count(sse.DONE_DATA)
    if not count:
        return f"terminal event, no {sse.DONE_DATA}"
    if count > 1:
        return f"{sse.DONE_DATA} {count} times"
    is_last = texts[-1] == sse.DONE_DATA
    return f"terminal event, then {sse.DONE_DATA}" if is_last else f"{sse.DONE_DATA} before the last event"


def _created_status(interaction: Interaction) -> str | None:
    first = interaction.events[0] if interaction.is_stream and interaction.events else None
    response = first.get("response") if isinstance(first, dict) else None
    return str(response.get("status")) if isinstance(response, dict) else None


def _reasoning_events(interaction: Interaction) -> str | None:
    kinds = {kind for kind in _event_types(interaction) if "reasoning" in kind}
    return ", ".join(sorted(kinds)) or None


def _argument_events(interaction: Interaction) -> str | None:
    if not interaction.is_stream or not any(
        item.get("type") == "function_call" for item in interaction.output
    ):
        return None
    kinds = set(_event_types(interaction))
    deltas = "response.function_call_arguments.delta" in kinds
    return "in deltas" if deltas else "in the item, in one piece"


def _event_types(interaction: Interaction) -> Iterator[str]:
    for event in interaction.events:
        if isinstance(event, dict) and isinstance(event.get("type"), str):
            yield event["type"]


def _member_value(name: str) -> Observe:
    def observe(interaction: Interaction) -> str | None:
        response = _successful_response(interaction)
        if response is None:
            return None
        return json.dumps(response[name]).decode() if name in response else "absent"

    return observe


def _tools_echo(interaction: Interaction) -> str | None:
    response, request = _successful_response(interaction), interaction.request.body
    if response is None or not isinstance(request, dict) or not request.get("tools"):
        return None
    form = "a stream" if interaction.is_stream else "a reply"
    echo = response.get("tools")
    return f"in {form}: {'absent' if echo is None else 'empty' if echo == [] else 'echoed'}"


def _search_action_members(interaction: Interaction) -> str | None:
    actions = [item.get("action") for item in interaction.output if item.get("type") == "web_search_call"]
    members = {name for action in actions if isinstance(action, dict) for name in action}
    return " and ".join(sorted(members & {"query", "queries"})) or ("neither" if actions else None)


def _refusal(interaction: Interaction) -> str | None:
    """Status and envelope of a refusal: "401, wrapped in error: invalid_api_key"."""
    value = interaction.value
    if isinstance(value, dict) and (interaction.status or 0) >= 400:
        wrapped = isinstance(value.get("error"), dict)
        inner = value["error"] if wrapped else value
        code = inner.get("code") or inner.get("type")
        return f"{interaction.status}, {'wrapped in error' if wrapped else 'flat'}: {code}"
    if interaction.status == 200:
        response = interaction.response
        if response is not None and response.get("status") == "failed":
            return f"200, a failed response: {_error_code(response)}"
        if any(
            isinstance(each, dict) and "type" not in each and "code" in each for each in interaction.events
        ):
            return "200, an untyped payload in the stream"
        return "200, accepted"
    return None if interaction.status is None else str(interaction.status)


def _error_code(response: Mapping[str, Any]) -> Any:
    error = response.get("error")
    return error.get("code") if isinstance(error, dict) else None


def _refusal_with_message(interaction: Interaction) -> str | None:
    refusal, value = _refusal(interaction), interaction.value
    inner = value.get("error", value) if isinstance(value, dict) else None
    text = inner.get("message") if isinstance(inner, dict) else None
    return f"{refusal}: {text[:120]}" if refusal and isinstance(text, str) else refusal


def _streamed_refusal(interaction: Interaction) -> str | None:
    return _refusal(interaction) if interaction.request.streamed else None


def _text_format_handling(interaction: Interaction) -> str | None:
    response = _successful_response(interaction)
    if response is None:
        return _refusal(interaction)
    parts = [
        part for item in interaction.output for part in item.get("content") or () if isinstance(part, dict)
    ]
    text = "".join(str(part.get("text", "")) for part in parts)
    return "obeyed" if re.fullmatch(r'\s*\{\s*"hello"\s*:\s*".*"\s*\}\s*', text, re.DOTALL) else "ignored"


def _image_spelling(interaction: Interaction) -> str | None:
    """The form of an image part, and whether it was accepted."""
    body = interaction.request.body
    content = (
        body["input"][0]["content"] if isinstance(body, dict) and isinstance(body["input"], list) else []
    )
    part = next((each for each in content if "image_url" in each), None)
    if part is None:
        return None
    form = "an object" if isinstance(part["image_url"], dict) else "a string"
    return f"{part['type']} with {form}: {_accepted_or_refused(interaction)}"


def _cached_tokens(interaction: Interaction) -> str | None:
    usage = (interaction.response or {}).get("usage")
    details = usage.get("input_tokens_details") if isinstance(usage, dict) else None
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    if cached is None:
        return None
    turn = "second turn" if "previous_response_id" in interaction.request.body else "first turn"
    return f"{turn}: {cached} of {(usage or {}).get('input_tokens')} tokens"


def _not_found_refusal(interaction: Interaction) -> str | None:
    return (
        _refusal(interaction)
        if interaction.request.method == "GET" and interaction.request.path.startswith("/responses/")
        else None
    )


def _accepted_or_refused(interaction: Interaction) -> str | None:
    return "accepted" if _successful_response(interaction) is not None else _refusal(interaction)


def _failed_members(interaction: Interaction) -> str | None:
    response = interaction.response
    if response is None or response.get("status") != "failed":
        return None
    return ", ".join(sorted(response))


def _rate_limit_refusal(interaction: Interaction) -> str | None:
    return _refusal(interaction) if is_rate_limited(interaction) else None


OPEN_QUESTIONS: tuple[OpenQuestion, ...] = (
    OpenQuestion("created-at", "type of created_at", _created_at_type),
    OpenQuestion("response-id", "form of response ids", _response_id_form),
    OpenQuestion("item-ids", "form of item ids", _item_id_forms),
    OpenQuestion("nulls", "members without a value", _null_members),
    OpenQuestion("framing", "framing of events", _framing),
    OpenQuestion("event-lines", "event: lines", _event_lines),
    OpenQuestion("done-marker", "end of stream", _end_of_stream),
    OpenQuestion("created-status", "status in response.created", _created_status),
    OpenQuestion("reasoning-events", "events of thinking", _reasoning_events),
    OpenQuestion("function-arguments", "function arguments in a stream", _argument_events),
    OpenQuestion("parallel-tool-calls", "value of parallel_tool_calls", _member_value("parallel_tool_calls")),
    OpenQuestion("tools-echo", "echo of the request's tools", _tools_echo),
    OpenQuestion("search-action", "members of a search action", _search_action_members),
    OpenQuestion("text-format", "handling of text.format", _text_format_handling, ("text-format",)),
    OpenQuestion("include", "handling of include", _accepted_or_refused, ("include",)),
    OpenQuestion("wrong-key", "error for a wrong key", _refusal, ("wrong-key",)),
    OpenQuestion("no-key", "error for a missing key", _refusal, ("no-key",)),
    OpenQuestion(
        "unknown-previous",
        "error for an unknown previous_response_id",
        _refusal_with_message,
        ("unknown-previous",),
    ),
    OpenQuestion(
        "not-found",
        "error for an unknown response",
        _not_found_refusal,
        ("unknown-response", "delete", "not-stored"),
    ),
    OpenQuestion("image-spelling", "forms of an image part", _image_spelling, ("image-spellings",)),
    OpenQuestion("session-cache", "tokens from the session cache", _cached_tokens, ("session-cache",)),
    OpenQuestion("unknown-model", "error for an unknown model", _refusal, ("unknown-model",)),
    OpenQuestion(
        "refusal-in-stream",
        "error for a streamed request",
        _streamed_refusal,
        ("unknown-model", "tool-without-thinking"),
    ),
    OpenQuestion("failed-members", "members of a failed response", _failed_members),
    OpenQuestion("rate-limit", "error for too many requests", _rate_limit_refusal),
)
"""Every open question, in the order of the report."""
