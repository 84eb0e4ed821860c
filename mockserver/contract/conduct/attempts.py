"""Attempts: requests and how they were answered, as far as a client's conduct depends on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any

from mockserver.wire import json, sse

__all__ = ["Attempt", "ConnectionTimes"]

_TERMINAL_EVENTS = frozenset({"response.completed", "response.incomplete", "response.failed"})


@dataclass(frozen=True, slots=True, eq=False)
class ConnectionTimes:
    """A connection, with seconds of a clock that never stands still."""

    opened_at: float
    closed_at: float | None = None
    """None: it is open."""


@dataclass(frozen=True, eq=False)
class Attempt:
    """One request and its reply.

    Times are in seconds by the session's clock, which may stand still. `received_at` and `finished_at` are by
    a clock that does not.
    """

    number: int
    """The number of the request in the journal, from 1."""
    at: float
    path: str
    body: bytes
    status: int
    reply: bytes = b""
    end: float | None = None
    """When the reply ended, complete or not; None: it has not."""
    method: str = "POST"
    client: str = ""
    """What tells recipients and senders of equal bodies apart: host and key, or their digest."""
    reply_headers: Mapping[str, str] = field(default_factory=dict)
    """The reply's own headers, with names in lower case."""
    retry_count: int | None = None
    """How many retries came before, if the client says so (`x-stainless-retry-count`)."""
    received_at: float = 0.0
    finished_at: float = 0.0
    connection: ConnectionTimes | None = None
    """None: unknown."""
    left_at: float | None = None
    """When the client disconnected before it had the whole reply."""
    stopped_at: float | None = None
    """When a test told the client to stop."""

    @cached_property
    def request(self) -> dict[str, Any]:
        """The body as a JSON object; empty if it is none."""
        value = json.loads_or_none(self.body)
        return value if isinstance(value, dict) else {}

    @cached_property
    def response(self) -> dict[str, Any]:
        """The response object of the reply, whatever its status; empty if there is none."""
        if self.status != 200:
            return {}
        value = json.loads_or_none(self.reply)
        if value is not None:
            return value if isinstance(value, dict) else {}
        for frame in reversed(sse.decode_frames(self.reply)):
            event = json.loads_or_none(frame.data or "")
            if isinstance(event, dict) and event.get("type") in _TERMINAL_EVENTS:
                response = event.get("response")
                return response if isinstance(response, dict) else {}
            if isinstance(event, dict) and "code" in event:  # an error in mid-stream, typed or not
                return {"status": "failed", "error": event}
        return {}

    @property
    def has_failed_response(self) -> bool:
        """Whether the answer is a failed response with HTTP status 200."""
        return self.response.get("status") == "failed"

    @property
    def has_failed(self) -> bool:
        """Whether the answer is a failure that a client could react to by a retry."""
        return self.status >= 400 or self.has_failed_response

    @property
    def is_rejection(self) -> bool:
        """Whether the answer says that the request itself is wrong."""
        return (
            self.status in (400, 401, 403, 404, 413, 422)
            and self.reply_headers.get("x-should-retry") != "true"
        )

    @cached_property
    def retry_after(self) -> float | None:
        """Seconds that the reply asks the client to wait; None: it does not ask, or not in a valid form."""
        milliseconds = _number(self.reply_headers.get("retry-after-ms", ""))
        if milliseconds is not None:
            return milliseconds / 1000
        text = self.reply_headers.get("retry-after", "")
        seconds = _number(text)
        if seconds is not None or not text:
            return seconds
        try:
            return parsedate_to_datetime(text).timestamp() - self.at
        except (ValueError, OverflowError):
            return None

    def waited_since(self, earlier: Attempt) -> float:
        """Seconds from the end of an earlier attempt to this one, by the clock that has advanced more."""
        end = earlier.at if earlier.end is None else earlier.end
        return max(self.at - end, self.received_at - earlier.finished_at, 0.0)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value < float("inf") else None
