"""What the documents leave open, and how this endpoint does it: facts learnt on the way, never faults."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from mockserver.live.asking import is_throttled
from mockserver.live.client import Crossing

__all__ = ["FACTS", "Fact", "learn"]

Look: TypeAlias = Callable[[Crossing], str | None]

_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


@dataclass(frozen=True, slots=True)
class Fact:
    """A question that the documents leave open or answer in two ways."""

    id: str
    question: str
    look: Look
    """The answer that one crossing gives; None where it says nothing."""
    probes: tuple[str, ...] = ()
    """The probes whose answers tell; none: all."""


def learn(crossings: Mapping[str, Iterable[Crossing]]) -> dict[str, str | None]:
    """The answers by the facts' ids, from the crossings of each probe; None where nothing came that tells.

    Where the endpoint does it in several ways, all of them, most frequent first.
    """
    return {fact.id: _answer(fact, crossings) for fact in FACTS}


def _answer(fact: Fact, crossings: Mapping[str, Iterable[Crossing]]) -> str | None:
    counted: dict[str, int] = {}
    for name, each in crossings.items():
        if not fact.probes or name in fact.probes:
            for crossing in each:
                answer = fact.look(crossing)
                if answer is not None:
                    counted[answer] = counted.get(answer, 0) + 1
    ranked = sorted(counted, key=lambda answer: (-counted[answer], answer))
    return "; ".join(ranked) or None


def _answered(crossing: Crossing) -> dict[str, Any] | None:
    response = crossing.response
    return response if response is not None and response.get("status") != "failed" else None


def _created_at(crossing: Crossing) -> str | None:
    value = (_answered(crossing) or {}).get("created_at")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return "an integer" if isinstance(value, int) else "a number with a fraction"


def _id_form(crossing: Crossing) -> str | None:
    value = (_answered(crossing) or {}).get("id")
    return _form(value) if isinstance(value, str) else None


def _form(value: str) -> str:
    if re.fullmatch(_UUID, value):
        return "a UUID"
    prefix, _, rest = value.rpartition("_")
    if prefix and re.fullmatch(_UUID, rest):
        return f"{prefix}_ and a UUID"
    if prefix and re.fullmatch(r"[0-9a-f]+", rest):
        return f"{prefix}_ and {len(rest)} hexadecimal digits"
    return f"{prefix}_ and something else" if prefix else "something else"


def _item_ids(crossing: Crossing) -> str | None:
    forms = {
        f"{item.get('type')}: {_form(item['id'])}"
        for item in crossing.output
        if isinstance(item.get("id"), str)
    }
    return ", ".join(sorted(forms)) or None


def _nulls(crossing: Crossing) -> str | None:
    response = _answered(crossing)
    if response is None:
        return None
    names = sorted(name for name, value in response.items() if value is None)
    return f"null: {', '.join(names)}" if names else "absent members are left out"


def _framing(crossing: Crossing) -> str | None:
    if not crossing.is_stream or not crossing.frames:
        return None
    frames = [frame for frame in crossing.frames if frame.data is not None]
    fields = sorted({name for frame in frames for name in frame.fields})
    comments = sorted({each for frame in frames for each in frame.comments})
    space = "a space" if re.search(rb"^data: ", crossing.body, re.MULTILINE) else "no space"
    commented = f"comments {', '.join(comments)[:60]}" if comments else "no comments"
    return f"{', '.join(fields)}; {space} behind the colon; {commented}"


def _event_lines(crossing: Crossing) -> str | None:
    frames = [frame for frame in crossing.frames if frame.data is not None]
    if not crossing.is_stream or not frames:
        return None
    named = sum("event" in frame.fields for frame in frames)
    return "every event" if named == len(frames) else "no event" if not named else "some events"


def _done_marker(crossing: Crossing) -> str | None:
    if not crossing.is_stream or crossing.ask.stop_after is not None:
        return None
    marked = any(frame.data is not None and frame.data.strip() == "[DONE]" for frame in crossing.frames)
    return "[DONE]" if marked else "the terminal event alone"


def _created_status(crossing: Crossing) -> str | None:
    first = crossing.events[0] if crossing.is_stream and crossing.events else None
    response = first.get("response") if isinstance(first, dict) else None
    return str(response.get("status")) if isinstance(response, dict) else None


def _reasoning_events(crossing: Crossing) -> str | None:
    kinds = {kind for kind in _kinds(crossing) if "reasoning" in kind}
    return ", ".join(sorted(kinds)) or None


def _argument_events(crossing: Crossing) -> str | None:
    if not crossing.is_stream or not any(item.get("type") == "function_call" for item in crossing.output):
        return None
    kinds = set(_kinds(crossing))
    deltas = "response.function_call_arguments.delta" in kinds
    return "in deltas" if deltas else "whole, in the item"


def _kinds(crossing: Crossing) -> Iterator[str]:
    for event in crossing.events:
        if isinstance(event, dict) and isinstance(event.get("type"), str):
            yield event["type"]


def _member(name: str) -> Look:
    def look(crossing: Crossing) -> str | None:
        response = _answered(crossing)
        if response is None:
            return None
        return repr(response[name]) if name in response else "absent"

    return look


def _tools_echo(crossing: Crossing) -> str | None:
    response, asked = _answered(crossing), crossing.ask.body
    if response is None or not isinstance(asked, dict) or not asked.get("tools"):
        return None
    where = "a stream" if crossing.is_stream else "a reply"
    told = response.get("tools")
    return f"in {where}: {'absent' if told is None else 'empty' if told == [] else 'echoed'}"


def _search_action(crossing: Crossing) -> str | None:
    actions = [item.get("action") for item in crossing.output if item.get("type") == "web_search_call"]
    members = {name for action in actions if isinstance(action, dict) for name in action}
    return " and ".join(sorted(members & {"query", "queries"})) or ("neither" if actions else None)


def _refusal(crossing: Crossing) -> str | None:
    """Status and envelope of a refusal: "401, wrapped in error: invalid_api_key"."""
    value = crossing.value
    if isinstance(value, dict) and (crossing.status or 0) >= 400:
        wrapped = isinstance(value.get("error"), dict)
        inner = value["error"] if wrapped else value
        code = inner.get("code") or inner.get("type")
        return f"{crossing.status}, {'wrapped in error' if wrapped else 'flat'}: {code}"
    if crossing.status == 200:
        response = crossing.response
        if response is not None and response.get("status") == "failed":
            return f"200, a failed response: {_code(response)}"
        if any(isinstance(each, dict) and "type" not in each and "code" in each for each in crossing.events):
            return "200, an untyped payload in the stream"
        return "200, answered"
    return None if crossing.status is None else str(crossing.status)


def _code(response: Mapping[str, Any]) -> Any:
    error = response.get("error")
    return error.get("code") if isinstance(error, dict) else None


def _refusal_text(crossing: Crossing) -> str | None:
    refusal, value = _refusal(crossing), crossing.value
    inner = value.get("error", value) if isinstance(value, dict) else None
    text = inner.get("message") if isinstance(inner, dict) else None
    return f"{refusal}: {text[:120]}" if refusal and isinstance(text, str) else refusal


def _streamed_refusal(crossing: Crossing) -> str | None:
    return _refusal(crossing) if crossing.ask.streamed else None


def _format(crossing: Crossing) -> str | None:
    response = _answered(crossing)
    if response is None:
        return _refusal(crossing)
    parts = [part for item in crossing.output for part in item.get("content") or () if isinstance(part, dict)]
    text = "".join(str(part.get("text", "")) for part in parts)
    return "honoured" if re.fullmatch(r'\s*\{\s*"hello"\s*:\s*".*"\s*\}\s*', text, re.DOTALL) else "ignored"


def _spelling(crossing: Crossing) -> str | None:
    """Which spelling of an image part came to what."""
    body = crossing.ask.body
    content = (
        body["input"][0]["content"] if isinstance(body, dict) and isinstance(body["input"], list) else []
    )
    part = next((each for each in content if "image_url" in each), None)
    if part is None:
        return None
    form = "an object" if isinstance(part["image_url"], dict) else "a string"
    return f"{part['type']} with {form}: {_accepted(crossing)}"


def _cached(crossing: Crossing) -> str | None:
    usage = (crossing.response or {}).get("usage")
    details = usage.get("input_tokens_details") if isinstance(usage, dict) else None
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    if cached is None:
        return None
    turn = "the turn after" if "previous_response_id" in crossing.ask.body else "the first turn"
    return f"{turn}: {cached} of {(usage or {}).get('input_tokens')} tokens"


def _missing(crossing: Crossing) -> str | None:
    return (
        _refusal(crossing)
        if crossing.ask.method == "GET" and crossing.ask.path.startswith("/responses/")
        else None
    )


def _accepted(crossing: Crossing) -> str | None:
    return "answered" if _answered(crossing) is not None else _refusal(crossing)


def _failed_members(crossing: Crossing) -> str | None:
    response = crossing.response
    if response is None or response.get("status") != "failed":
        return None
    return ", ".join(sorted(response))


def _limit(crossing: Crossing) -> str | None:
    return _refusal(crossing) if is_throttled(crossing) else None


FACTS: tuple[Fact, ...] = (
    Fact("created-at", "Is created_at an integer?", _created_at),
    Fact("response-id", "What form has a response's id?", _id_form),
    Fact("item-ids", "What form have the ids of items?", _item_ids),
    Fact("nulls", "Are members that have no value null, or left out?", _nulls),
    Fact("framing", "How are events framed?", _framing),
    Fact("event-lines", "Which events have an event: line?", _event_lines),
    Fact("done-marker", "What ends a stream?", _done_marker),
    Fact("created-status", "Which status has response.created?", _created_status),
    Fact("reasoning-events", "Which events bring thoughts?", _reasoning_events),
    Fact("function-arguments", "How do a function's arguments come in a stream?", _argument_events),
    Fact("parallel-tool-calls", "What is parallel_tool_calls?", _member("parallel_tool_calls")),
    Fact("tools-echo", "Are the request's tools echoed?", _tools_echo),
    Fact("search-action", "Has a search query or queries?", _search_action),
    Fact("text-format", "Is text.format honoured?", _format, ("text-format",)),
    Fact("include", "What becomes of include?", _accepted, ("include",)),
    Fact("wrong-key", "How is a wrong key refused?", _refusal, ("wrong-key",)),
    Fact("no-key", "How is a missing key refused?", _refusal, ("no-key",)),
    Fact(
        "unknown-previous",
        "How is an unknown previous_response_id refused?",
        _refusal_text,
        ("unknown-previous",),
    ),
    Fact(
        "not-found",
        "How is a response that is not there refused?",
        _missing,
        ("unknown-response", "delete", "not-stored"),
    ),
    Fact("image-spelling", "How may a picture be spelled?", _spelling, ("image-spellings",)),
    Fact("session-cache", "What does the session cache save?", _cached, ("session-cache",)),
    Fact("unknown-model", "How is an unknown model refused?", _refusal, ("unknown-model",)),
    Fact(
        "refusal-in-stream",
        "How is a stream refused?",
        _streamed_refusal,
        ("unknown-model", "tool-without-thinking"),
    ),
    Fact("failed-members", "Which members has a failed response?", _failed_members),
    Fact("rate-limit", "How are too many requests refused?", _limit),
)
"""Every open question, in the order of the report."""
