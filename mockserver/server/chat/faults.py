"""Faults of Chat Completions: those of the wire that it has too, and its own rules broken by their ids."""

from __future__ import annotations

from mockserver.server.envelopes import ApiError
from mockserver.server.faults import AskedFault, Fault, Violation

__all__ = ["can_break_chat", "chat_error_from_fault"]

#: Faults that are about events of Responses.
_RESPONSES_ONLY = frozenset(
    {
        "wrong-event-name",
        "huge-event",
        "error-event",
        "error-event-nested",
        "failed-event",
        "json-for-stream",
    }
)


def can_break_chat(requested_fault: AskedFault) -> bool:
    """Whether a fault can break an answer of Chat Completions."""
    if isinstance(requested_fault.what, Violation):
        return requested_fault.name.startswith("CHT-")
    return requested_fault.name not in _RESPONSES_ONLY


def chat_error_from_fault(requested_fault: AskedFault) -> ApiError:
    """An error of the service as it comes here: always with a status of its own."""
    fault = requested_fault.what
    if not isinstance(fault, Fault):
        raise TypeError("no error of the service")
    error = fault.refusal(headers=requested_fault.headers)
    if fault.form == "failed":  # a response with HTTP 200 on the other side: the limit of requests
        error.status, error.code = 429, "Throttling.RateQuota"
    return error
