"""The operations of the admin API, and the validation of their request bodies."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

import jsonschema_rs

from mockserver import resources
from mockserver.contract.operations import Operation
from mockserver.documents.problems import find_problems
from mockserver.errors import InvalidExchange, InvalidJSON, MockServerError
from mockserver.wire import json

if TYPE_CHECKING:
    from mockserver.server.http.requests import HttpRequest

__all__ = [
    "EXCHANGE_SCHEMA",
    "OPERATIONS",
    "OPTIONAL_BODIES",
    "STUBS_SCHEMA",
    "OperationFunction",
    "admin_schemas",
    "parse_value",
    "require_parts",
]

#: The schema in a separate file, `schemas/exchange.json`.
EXCHANGE_SCHEMA = "exchange"
#: One of these, or a list of them.
STUBS_SCHEMA = "new_stubs"
#: Schemas of bodies that may be left out.
OPTIONAL_BODIES = ("nothing", "stop")

OperationFunction: TypeAlias = "Callable[[HttpRequest, Any], Awaitable[Any]]"
"""Does what an operation says with the value of the request's body, and returns the reply's."""

#: Complete paths; the schemas of requests and replies are those in `schemas/admin.json`, or EXCHANGE_SCHEMA.
OPERATIONS = (
    Operation("listStubs", "GET", "/_mock/stubs", "List the stubs and how often each has answered.", "stubs"),
    Operation(
        "planReply", "POST", "/_mock/stubs",
        'Add a stub: `{"reply": "Hello"}`, or any exchange as in a file; for one request unless it has `times`. '
        "A list adds several, all or none.",
        "added_stubs", STUBS_SCHEMA,
    ),
    Operation("deleteStubs", "DELETE", "/_mock/stubs", "Remove all stubs.", "deleted"),
    Operation("orderStubs", "PUT", "/_mock/stubs", "Put the stubs in this order.", "stubs", "stub_names"),
    Operation("readStub", "GET", "/_mock/stubs/{stub}", "Read a stub as it was written.", "stub_document"),
    Operation(
        "replaceStub", "PUT", "/_mock/stubs/{stub}",
        "Replace a stub, in its place, with an exchange as in a file.",
        "planned", EXCHANGE_SCHEMA,
    ),
    Operation("deleteStub", "DELETE", "/_mock/stubs/{stub}", "Remove a stub.", "deleted"),
    Operation("listFaults", "GET", "/_mock/faults", "List the session's faults.", "faults"),
    Operation(
        "setFaults", "PUT", "/_mock/faults", "Replace the session's faults.",
        "faults", "fault_names",
    ),
    Operation(
        "readJournal", "GET", "/_mock/journal", "Read the request journal, without keys.",
        "journal", paginated=True,
    ),
    Operation("readClock", "GET", "/_mock/clock", "Read the session's clock.", "clock"),
    Operation("advanceClock", "POST", "/_mock/clock", "Advance the session's clock.", "clock", "advance"),
    Operation(
        "resetSession", "POST", "/_mock/reset", "Clear stubs, journal and stored responses.",
        "reset", "nothing",
    ),
    Operation("listSessions", "GET", "/_mock/sessions", "List the sessions.", "sessions"),
    Operation(
        "deleteSessions", "DELETE", "/_mock/sessions", "Delete all sessions but the first.", "deleted"
    ),
    Operation("readSession", "GET", "/_mock/sessions/{session}", "Read a session.", "session"),
    Operation(
        "readVerdict", "GET", "/_mock/sessions/{session}/verdict",
        "Read the verdict on the requests of a session.", "verdict",
    ),
    Operation(
        "stopClient", "POST", "/_mock/sessions/{session}/stopped",
        "Record that the client of a request was told to stop, for the verdict on its conduct.",
        "stopped", "stop",
    ),
    Operation(
        "openSession", "PUT", "/_mock/sessions/{session}",
        "Create or replace a session, with its own settings.", "session", "terms",
    ),
    Operation("deleteSession", "DELETE", "/_mock/sessions/{session}", "Delete a session.", "deleted"),
)  # fmt: skip


def parse_value(data: bytes, schema_name: str) -> Any:
    """Parse and validate a body by a schema of `schemas/admin.json`.

    Raises InvalidExchange with every problem.
    """
    try:
        value = json.loads(data)
    except InvalidJSON as error:
        raise InvalidExchange("body", "", f"not JSON: {error}") from None
    validator = _validator(schema_name)
    if not validator.is_valid(value):
        problems = find_problems(validator, _schema(schema_name), value)
        raise InvalidExchange.combine([InvalidExchange("body", *each) for each in problems])
    return value


def require_parts(parts: Iterable[tuple[str, Callable[[Any], object], Any]]) -> None:
    """Check parts of a body, each a JSON Pointer, a check and a value. Raises InvalidExchange with all errors."""
    errors: list[InvalidExchange] = []
    for pointer, check, value in parts:
        try:
            check(value)
        except MockServerError as error:
            errors.append(InvalidExchange("body", pointer, str(error)))
    if errors:
        raise InvalidExchange.combine(errors)


@cache
def admin_schemas() -> dict[str, Any]:
    """Load the schemas by name."""
    document = json.loads((resources.data_folder("schemas") / "admin.json").read_bytes())
    schemas: dict[str, Any] = document["$defs"]
    return schemas


@cache
def _validator(name: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(_schema(name))


def _schema(name: str) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{name}", "$defs": admin_schemas()}
