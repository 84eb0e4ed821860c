"""Faults of Chat Completions: those of the wire that it has too, and its own rules broken by their ids."""

from __future__ import annotations

from mockserver.server.envelopes import ApiError
from mockserver.server.faults import AskedFault, Fault, Violation

__all__ = ["fits_chat", "refusal_of"]

#: Faults that are about events of Responses.
_RESPONSES_ALONE = frozenset(
    {
        "wrong-event-name",
        "huge-event",
        "error-event",
        "error-event-nested",
        "failed-event",
        "json-for-stream",
    }
)


def fits_chat(asked: AskedFault) -> bool:
    """Whether a fault can break an answer of Chat Completions."""
    if isinstance(asked.what, Violation):
        return asked.name.startswith("CHT-")
    return asked.name not in _RESPONSES_ALONE


def refusal_of(asked: AskedFault) -> ApiError:
    """An error of the service as it comes here: always with a status of its own."""
    fault = asked.what
    if not isinstance(fault, Fault):
        raise TypeError("no error of the service")
    error = fault.refusal(headers=asked.headers)
    if fault.form == "failed":  # a response with HTTP 200 on the other side: the limit of requests
        error.status, error.code = 429, "Throttling.RateQuota"
    return error
