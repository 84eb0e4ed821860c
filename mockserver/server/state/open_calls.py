"""Function calls that wait for their output when a request continues a stored turn.

The checker of a single request cannot know the earlier turn; the server does. An output must follow its call
(API reference, 2026), and Chat Completions rejects a tool message without a call with the text below (recorded
live, 2026). That the Responses API uses the same text, and that it rejects a missing and a repeated output
with status 400 as well, is inferred.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from mockserver.contract.bodies.call_outputs import CallHistory, check_call_outputs, read_call_history
from mockserver.contract.findings import Finding, errors
from mockserver.profiles import Profile
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
    history = read_call_history(items)
    return {call_id: history.item_ids[call_id] or "" for call_id in history.open_calls}


def check_function_outputs(
    request: Mapping[str, Any], calls: Mapping[str, str], profile: Profile
) -> Iterator[Finding]:
    """The errors in the function outputs of a request, if `calls` are open in the turn that it continues."""
    history = CallHistory(calls, tuple(calls))
    for finding in errors(check_call_outputs(request, profile, history)):
        yield replace(finding, service_message=f"{_VENDOR_TEXT} {finding.message}")
