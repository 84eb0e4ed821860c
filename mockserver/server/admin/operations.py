"""What the admin API can be asked, by method and path; each with the schemas of what it takes and gives."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["EXCHANGE", "OPERATIONS", "Operation"]

#: The one schema that is a file of its own.
EXCHANGE = "exchange"


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that can be asked."""

    name: str
    """Its `operationId`."""
    method: str
    path: str
    summary: str
    reply: str
    """The schema of the body of a 200, by its name in `schemas/admin.json`."""
    request: str | None = None
    """The schema of the request's body, or `EXCHANGE`; None: it has none."""
    pages: bool = False
    """Whether it takes `after` and `limit`."""


OPERATIONS = (
    Operation("listStubs", "GET", "/_mock/stubs", "What is planned, and how often each was given.", "stubs"),
    Operation(
        "planReply", "POST", "/_mock/stubs",
        "Plan a reply behind the others: an exchange as in a file, once unless it says `times`.",
        "planned", EXCHANGE,
    ),
    Operation("deleteStubs", "DELETE", "/_mock/stubs", "Forget what is planned.", "deleted"),
    Operation("listFaults", "GET", "/_mock/faults", "The faults in force.", "faults"),
    Operation(
        "setFaults", "PUT", "/_mock/faults", "Put faults in force in place of those that were.",
        "faults", "fault_names",
    ),
    Operation(
        "readJournal", "GET", "/_mock/journal", "What was asked and answered, without keys.",
        "journal", pages=True,
    ),
    Operation("readClock", "GET", "/_mock/clock", "The session's time.", "clock"),
    Operation("advanceClock", "POST", "/_mock/clock", "Let time pass.", "clock", "advance"),
    Operation("resetSession", "POST", "/_mock/reset", "Forget what happened.", "reset", "nothing"),
    Operation("listSessions", "GET", "/_mock/sessions", "The sessions.", "sessions"),
    Operation("deleteSessions", "DELETE", "/_mock/sessions", "Forget all but the first.", "deleted"),
    Operation("readSession", "GET", "/_mock/sessions/{session}", "A session.", "session"),
    Operation(
        "openSession", "PUT", "/_mock/sessions/{session}",
        "Begin a session anew, with settings of its own.", "session", "terms",
    ),
    Operation("deleteSession", "DELETE", "/_mock/sessions/{session}", "Forget a session.", "deleted"),
)  # fmt: skip
