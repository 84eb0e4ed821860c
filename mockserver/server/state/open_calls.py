"""Function calls that wait for their output when a request continues a stored turn.

The checker of a single request cannot know the earlier turn; the server does. An output must follow its call
(API reference, 2026), and Chat Completions rejects a tool message without a call with the text below (recorded
live, 2026). That the Responses API uses the same text, and that it rejects a missing and a repeated output
with status 400 as well, is inferred.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mockserver.contract.findings import Finding
from mockserver.contract.rules import make_finding
from mockserver.wire import json

__all__ = ["check_function_outputs", "open_calls_of_items", "open_calls_of_response"]

#: The vendor's text, its spelling included.
_VENDOR_TEXT = (
    "<400> InternalError.Algo.InvalidParameter: messages with role "
    '"tool" must be a response to a preceeding message with "tool_calls".'
)
_CALL_TYPE = b'"function_call"'


def open_calls_of_response(response_body: bytes) -> dict[str, str]:
    """The function calls in a stored response: call_id to item id."""
    if _CALL_TYPE not in response_body:
        return {}
    return _open_calls(json.loads(response_body)["output"])


def open_calls_of_items(item_bodies: Iterable[bytes]) -> dict[str, str]:
    """The function calls in a conversation's items that have no output: call_id to item id."""
    bodies = list(item_bodies)
    return _open_calls(map(json.loads, bodies)) if any(_CALL_TYPE in each for each in bodies) else {}


def _open_calls(items: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    calls: dict[str, str] = {}
    for item in items:
        kind = item.get("type")
        # The arguments of an incomplete call are cut short: a client cannot run it.
        if kind == "function_call" and item.get("status") != "incomplete":
            calls[item["call_id"]] = str(item.get("id"))
        elif kind == "function_call_output":
            calls.pop(item["call_id"], None)
    return calls


def check_function_outputs(items: str | list[Any], calls: Mapping[str, str]) -> Iterator[Finding]:
    """What is wrong with the function outputs in `input`, if `calls` are open in the turn before."""
    waiting, answered = dict(calls), set[str]()
    if isinstance(items, list):
        for index, item in enumerate(items):
            kind, call_id = item.get("type"), item.get("call_id")
            if kind == "item_reference":
                return  # it may stand for a call or an output
            if kind == "function_call":
                waiting[call_id] = str(item.get("id"))
            elif kind == "function_call_output" and call_id in waiting:
                answered.add(call_id)
                del waiting[call_id]
            elif kind == "function_call_output":
                reason = _reason(f"input[{index}].call_id", call_id, calls, answered)
                yield _finding(f"/input/{index}/call_id", reason, expected=list(calls), got=call_id)
    missing = [call_id for call_id in calls if call_id in waiting]
    if missing:
        names = ", ".join(repr(each) for each in missing)
        reason = f"The input has no output for {names}, which the turn before called."
        yield _finding("/input", reason, expected=list(calls), got=sorted(answered))


def _reason(where: str, call_id: str, calls: Mapping[str, str], answered: set[str]) -> str:
    if call_id in answered:
        return f"{where} repeats {call_id!r}: that call has an output."
    if call_id in calls.values():
        return f"{where} is the item's id {call_id!r}, not its call_id."
    if not calls:
        return f"{where} is {call_id!r}, but the turn before called no function."
    return f"{where} is {call_id!r}, which the turn before did not call."


def _finding(pointer: str, reason: str, *, expected: list[str], got: object) -> Finding:
    return make_finding("REQ-007", pointer, f"{_VENDOR_TEXT} {reason}", expected=expected, got=got)
