"""Recorded requests, sent again to an endpoint: what it says now, compared by meaning with what it said.

What an answer named (a response, a call) the endpoint knows no longer: requests that name it are sent with
what the new answer names in its place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mockserver.exchanges import Exchange
from mockserver.live.asking import Asker, OutOfBudget, Throttled
from mockserver.live.client import Ask, Crossing, End
from mockserver.profiles import Profile
from mockserver.recordings.cleaning import MASKED
from mockserver.recordings.deck import asked_by
from mockserver.recordings.diff.answers import answer_changes
from mockserver.recordings.diff.changes import Change, change, merged
from mockserver.recordings.diff.pictures import Answer, Picture, picture
from mockserver.recordings.diff.recordings import answer_of, by_chance
from mockserver.recordings.requests import Asked
from mockserver.wire import json
from mockserver.wire.redaction import REDACTED

__all__ = ["Again", "ask_again", "expected_tokens", "replay_changes"]

#: Tokens that a request is taken to cost where its recording does not say.
_TOKENS = 500


@dataclass(frozen=True, slots=True)
class Again:
    """One recorded request, sent again."""

    exchange: Exchange
    not_asked: str = ""
    """Why it was not sent."""
    before: Picture | None = None
    after: Picture | None = None
    changes: tuple[Change, ...] = ()


def ask_again(exchanges: Sequence[Exchange], asker: Asker, profile: Profile) -> Iterator[Again]:
    """Send the requests in the order in which they were recorded, and compare what comes.

    Unreachable where nobody is there; what the budget does not allow is not sent, and said.
    """
    names: dict[str, str | None] = {}
    for exchange in exchanges:
        request = asked_by(exchange)
        lacking = _lacking(request, names)
        if lacking:
            yield Again(exchange, lacking)
            _forget(answer_of(exchange), names)
            continue
        try:
            crossing = asker.ask(_ask(exchange, request, names), lambda _: None)
        except (OutOfBudget, Throttled) as error:
            yield Again(exchange, str(error))
            _forget(answer_of(exchange), names)
            continue
        yield _compared(exchange, crossing, profile)
        names |= _renamed(answer_of(exchange), _answer(crossing))


def replay_changes(outcomes: Sequence[Again]) -> list[Change]:
    """What changed, each once."""
    seen = [
        (each.before, each.after) for each in outcomes if each.before is not None and each.after is not None
    ]
    found = [replace(one, shown_by=(each.exchange.name,)) for each in outcomes for one in each.changes]
    return merged(by_chance(found, seen))


def expected_tokens(exchange: Exchange) -> int:
    """What a request is expected to cost: what it cost when it was recorded."""
    response = _response(answer_of(exchange))
    usage = response.get("usage")
    total = usage.get("total_tokens") if isinstance(usage, dict) else None
    return total if isinstance(total, int) and total >= 0 else _TOKENS


def _lacking(request: Asked, names: Mapping[str, str | None]) -> str:
    """Why a request can not be sent; empty: it can."""
    text = f"{request.path} {json.dumps(request.value).decode()}"
    if MASKED in text or REDACTED in text:
        return "a part of the request was masked when it was recorded"
    if any(name in text and new is None for name, new in names.items()):
        return "it goes on from an answer that was not given this time"
    return ""


def _forget(answer: Answer, names: dict[str, str | None]) -> None:
    names |= dict.fromkeys(_ids(answer))


def _ask(exchange: Exchange, request: Asked, names: Mapping[str, str | None]) -> Ask:
    known = {old: new for old, new in names.items() if new is not None}
    value = _with_names(request.value, known)
    path = request.path
    for old, new in known.items():
        path = path.replace(old, new)
    body = value.encode() if isinstance(value, str) else value
    headers = {
        name: each
        for name, each in (exchange.recorded.headers if exchange.recorded else {}).items()
        if name.startswith("x-dashscope-") or name == "content-type"
    }
    return Ask(body, request.method, path, headers=headers, tokens=expected_tokens(exchange))


def _with_names(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return names.get(value, value)
    if isinstance(value, list):
        return [_with_names(each, names) for each in value]
    if isinstance(value, dict):
        return {name: _with_names(each, names) for name, each in value.items()}
    return value


def _compared(exchange: Exchange, crossing: Crossing, profile: Profile) -> Again:
    before = picture(answer_of(exchange), profile)
    if crossing.status is None:
        told = change("end-changed", "answer", before.end, crossing.detail or crossing.end.value)
        return Again(exchange, changes=(told,))
    after = picture(_answer(crossing), profile)
    return Again(exchange, "", before, after, tuple(answer_changes(before, after)))


def _answer(crossing: Crossing) -> Answer:
    end = "complete" if crossing.end is End.COMPLETE else "cut"
    ask = crossing.ask
    return Answer(ask.method, ask.path, ask.body, crossing.status or 0, crossing.headers, crossing.body, end)


def _renamed(before: Answer, after: Answer) -> dict[str, str | None]:
    """What the old answer named, by what the new one names in its place; None: nothing is."""
    old, new = _response(before), _response(after)
    names: dict[str, str | None] = dict.fromkeys(_ids(before))
    if isinstance(old.get("id"), str) and isinstance(new.get("id"), str):
        names[old["id"]] = new["id"]
    items = [*_items(new)]
    for item in _items(old):
        same = next((each for each in items if _like(each) == _like(item)), None)
        if same is None:
            continue
        items.remove(same)
        for member in ("id", "call_id"):
            if isinstance(item.get(member), str) and isinstance(same.get(member), str):
                names[item[member]] = same[member]
    return names


def _like(item: Mapping[str, Any]) -> tuple[Any, Any]:
    return item.get("type"), item.get("name") if item.get("type") == "function_call" else None


def _ids(answer: Answer) -> Iterator[str]:
    response = _response(answer)
    for holder in (response, *_items(response)):
        yield from (
            holder[name] for name in ("id", "call_id") if isinstance(holder.get(name), str) and holder[name]
        )


def _items(response: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    output = response.get("output", response.get("data"))
    yield from (each for each in output if isinstance(each, dict)) if isinstance(output, list) else ()


def _response(answer: Answer) -> Mapping[str, Any]:
    """The final object of an answer, streamed or not."""
    if isinstance(answer.value, dict):
        return answer.value
    for event in reversed(answer.events):
        if isinstance(event.get("response"), dict):
            found: dict[str, Any] = event["response"]
            return found
    return {}
