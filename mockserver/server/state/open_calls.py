"""Function calls that wait for their output when a request continues a stored turn.

The checker of a single request cannot know the earlier turn; the server does. `contract.bodies.call_outputs`
has the rules and their sources.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mockserver.contract.bodies.call_outputs import CallHistory, check_call_outputs, read_call_history
from mockserver.contract.findings import Finding, errors
from mockserver.profiles import Profile
from mockserver.wire import json

__all__ = ["check_function_outputs", "open_calls_of_items", "open_calls_of_response"]

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
) -> list[Finding]:
    """The errors in the function outputs of a request, if `calls` are open in the turn that it continues."""
    history = CallHistory(calls, tuple(calls))
    return errors(check_call_outputs(request, profile, history))
