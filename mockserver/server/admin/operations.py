"""What the admin API can be asked, by method and path; each with the schemas of what it takes and gives.

What the admin API is sent, held against its schemas; what is wrong is told with a pointer.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import jsonschema_rs

from mockserver import resources
from mockserver.contract.operations import Operation
from mockserver.errors import InvalidExchange, InvalidJSON
from mockserver.wire import json

__all__ = ["EXCHANGE_SCHEMA", "OPERATIONS", "admin_schemas", "parse_value"]

#: The one schema that is a file of its own.
EXCHANGE_SCHEMA = "exchange"

#: Paths are whole; replies and requests are named as in `schemas/admin.json`, or `EXCHANGE`.
OPERATIONS = (
    Operation("listStubs", "GET", "/_mock/stubs", "What is planned, and how often each was given.", "stubs"),
    Operation(
        "planReply", "POST", "/_mock/stubs",
        "Plan a reply behind the others: an exchange as in a file, once unless it says `times`.",
        "planned", EXCHANGE_SCHEMA,
    ),
    Operation("deleteStubs", "DELETE", "/_mock/stubs", "Forget what is planned.", "deleted"),
    Operation("listFaults", "GET", "/_mock/faults", "The faults in force.", "faults"),
    Operation(
        "setFaults", "PUT", "/_mock/faults", "Put faults in force in place of those that were.",
        "faults", "fault_names",
    ),
    Operation(
        "readJournal", "GET", "/_mock/journal", "What was asked and answered, without keys.",
        "journal", paginated=True,
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


def parse_value(data: bytes, schema_name: str) -> Any:
    """The value of a body, by a schema of `schemas/admin.json`; InvalidExchange says what is wrong."""
    try:
        value = json.loads(data)
    except InvalidJSON as error:
        raise InvalidExchange("body", "", f"not JSON: {error}") from None
    for problem in _validator(schema_name).iter_errors(value):
        pointer = json.format_pointer(problem.instance_path)
        raise InvalidExchange("body", pointer, problem.message)
    return value


@cache
def admin_schemas() -> dict[str, Any]:
    """The schemas by name."""
    document = json.loads((resources.data_folder("schemas") / "admin.json").read_bytes())
    found: dict[str, Any] = document["$defs"]
    return found


@cache
def _validator(name: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": admin_schemas()})
