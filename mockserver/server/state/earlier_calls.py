"""Function calls of the stored turns that a request continues.

The checker of a single request cannot know the earlier turns; the server does. `contract.bodies.call_outputs`
has the rules and their sources.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mockserver.contract.bodies.call_outputs import (
    NO_HISTORY,
    CallHistory,
    Turn,
    check_call_outputs,
    select_call_items,
)
from mockserver.contract.findings import Finding
from mockserver.profiles import Profile
from mockserver.server.state.store import ResponseRecord
from mockserver.wire import json

__all__ = ["calls_after_response", "calls_before_reply", "check_outputs_of_calls"]

_CALL_TYPE = b'"function_call"'


def calls_after_response(record: ResponseRecord) -> Turn | CallHistory | None:
    """The calls up to and including a stored response; None if there are none."""
    if record.response_body.find(_CALL_TYPE) < 0:  # not `in`, which is slow for bytes
        return record.calls
    turn = record.calls if isinstance(record.calls, Turn) else Turn(before=record.calls)
    return turn.add_items(json.loads(record.response_body)["output"])


def calls_before_reply(earlier: Turn | CallHistory | None, input_value: Any) -> Turn | None:
    """The calls of the earlier turns and of a request's input; None if there are none."""
    items = () if input_value.__class__ is str else select_call_items(input_value)
    return Turn(items, earlier) if items or earlier is not None else None


def check_outputs_of_calls(
    request: Mapping[str, Any], calls: Turn | CallHistory | None, profile: Profile
) -> list[Finding]:
    """The findings in the outputs of a request, if `calls` are those of the turns that it continues."""
    return check_call_outputs(request, profile, NO_HISTORY if calls is None else calls.call_history())
