"""The handlers of the admin API. Each acts on the session that the request selects."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qs

from anyio import move_on_after, sleep

from mockserver.clock import SteppedClock
from mockserver.contract.findings import NumberedFinding
from mockserver.contract.formatting import format_location, redact_finding
from mockserver.contract.operations import Operation
from mockserver.errors import ConfigurationError, MockServerError
from mockserver.profiles import load_profile, resolve_profile_name
from mockserver.server.admin.operations import (
    EXCHANGE_SCHEMA,
    OPERATIONS,
    OPTIONAL_BODIES,
    STUBS_SCHEMA,
    parse_value,
    require_parts,
)
from mockserver.server.admin.stub_documents import (
    add_stubs,
    define_stubs,
    parse_stub,
    parse_stubs,
)
from mockserver.server.delivery.chunking import parse_chunking
from mockserver.server.delivery.faults import RequestedFault, parse_fault
from mockserver.server.delivery.pacing import parse_pace
from mockserver.server.errors import ApiError, NotAnApiRequest
from mockserver.server.http.request_body import read_body
from mockserver.server.http.requests import Handler, HttpRequest, derive_request_id
from mockserver.server.http.transmission import send_body
from mockserver.server.large_bodies import is_large, run_beside_loop, run_in_worker
from mockserver.server.state.journal import Entry, Journal
from mockserver.server.state.rate_limits import parse_limits
from mockserver.server.state.session_registry import (
    SESSION_PATH_PREFIX,
    SessionOverrides,
    require_session_name,
)
from mockserver.server.state.sessions import DEFAULT_SESSION_NAME, Session
from mockserver.server.stubs.stubs import Stub, StubRegistry
from mockserver.server.verdicts import FailurePolicy, judge_session, violation_line
from mockserver.wire import json
from mockserver.wire.redaction import redact, redact_body

__all__ = ["ADMIN_HANDLERS"]


#: Entries on a page of the journal: the default and the maximum.
_DEFAULT_PAGE_SIZE, _MAX_PAGE_SIZE = 100, 1_000
#: Seconds between two looks at whether a client has left.
_POLL_SECONDS = 0.01

OperationFunction = Callable[[HttpRequest, Any], Awaitable[Any]]


async def _list_stubs(request: HttpRequest, _: Any) -> Any:
    return {"stubs": await run_in_worker(_stub_objects, request.session.stubs.all)}


def _stub_objects(stubs: Iterable[Stub]) -> list[dict[str, Any]]:
    return [
        {
            "name": each.name,
            "times": each.definition.times,
            "given": each.call_count,
            "scenario": each.definition.scenario or None,
            "says": redact(str(each)),
        }
        for each in stubs
    ]


async def _add_stubs(request: HttpRequest, _: Any) -> Any:
    documents = await run_beside_loop(parse_stubs, request.body)
    definitions = await run_in_worker(define_stubs, request.session, documents)
    names = [each.name for each in await add_stubs(request.session.stubs, definitions)]
    return {"names": names} if documents.is_list else {"name": names[0]}


async def _read_stub(request: HttpRequest, _: Any) -> Any:
    stub = _find_stub(request)
    document = stub.definition.document
    secrets = request.services.secrets
    text = None if document is None else redact_body(json.dumps(document).decode(), secrets)
    return {"name": stub.name, "document": None if text is None else json.loads(text.encode())}


async def _replace_stub(request: HttpRequest, _: Any) -> Any:
    """Replace a stub in its place; if the new one is invalid, the old one stays. Without a name it keeps the old."""
    documents = await run_beside_loop(parse_stub, request.body)
    session, name = request.session, _find_stub(request).name
    definitions = await run_in_worker(
        define_stubs, session, documents.with_default_name(name), StubRegistry()
    )
    old = _find_stub(request)
    (new,) = StubRegistry().add_all(definitions)
    if new.name != old.name and session.stubs.get(new.name) is not None:
        raise ConfigurationError(f"another stub has the name {new.name!r}")
    session.stubs.replace(old.name, new.move_to(session.stubs))
    return {"name": new.name}


async def _delete_stub(request: HttpRequest, _: Any) -> Any:
    request.session.stubs.remove(_find_stub(request).name)
    return {"deleted": 1}


async def _order_stubs(request: HttpRequest, value: Any) -> Any:
    request.session.stubs.reorder(value)
    return await _list_stubs(request, None)


def _find_stub(request: HttpRequest) -> Stub:
    name = request.scope["path_params"]["stub"]
    stub = request.session.stubs.get(name)
    if stub is None:
        raise ApiError(404, "NotFound", f"There is no stub {name!r}.")
    return stub


async def _delete_stubs(request: HttpRequest, _: Any) -> Any:
    count = len(request.session.stubs)
    request.session.stubs.clear()
    return {"deleted": count}


async def _list_faults(request: HttpRequest, _: Any) -> Any:
    return {"faults": [each.spec for each in request.session.faults]}


async def _set_faults(request: HttpRequest, value: Any) -> Any:
    request.session.faults = await run_in_worker(_parse_faults, value)
    return await _list_faults(request, None)


def _parse_faults(names: Sequence[str]) -> tuple[RequestedFault, ...]:
    """Raises InvalidExchange with all errors."""
    require_parts((f"/{index}", parse_fault, each) for index, each in enumerate(names))
    return tuple(map(parse_fault, names))


async def _read_journal(request: HttpRequest, _: Any) -> Any:
    query = _parse_query(request)
    after = _parse_number(query, "after", 0, (0, 1 << 53))
    limit = _parse_number(query, "limit", _DEFAULT_PAGE_SIZE, (1, _MAX_PAGE_SIZE))
    await _wait_for_fallback(request)
    journal = _enabled_journal(request.session)
    numbered = list(enumerate(journal, start=journal.dropped_count + 1))
    remaining = [(number, entry) for number, entry in numbered if number > after]
    page = remaining[:limit]
    return {
        "entries": await run_in_worker(_entry_objects, page),
        "first": page[0][0] if page else None,
        "last": page[-1][0] if page else None,
        "has_more": len(remaining) > len(page),
    }


def _enabled_journal(session: Session) -> Journal:
    if not session.journal.is_enabled:
        raise ConfigurationError("the server keeps no journal: it was started with --load")
    return session.journal


def _parse_query(request: HttpRequest) -> Mapping[str, list[str]]:
    return parse_qs(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)


def _parse_boolean(query: Mapping[str, list[str]], name: str) -> bool:
    text = query.get(name, ["false"])[-1]
    if text not in ("true", "false"):
        raise ConfigurationError(f"{name} must be true or false, not {text[:40]!r}")
    return text == "true"


def _parse_number(query: Mapping[str, list[str]], name: str, default: int, bounds: tuple[int, int]) -> int:
    if name not in query:
        return default
    text, (minimum, maximum) = query[name][-1], bounds
    if not (
        text.isascii()
        and text.isdigit()
        and len(text) <= len(str(maximum))
        and minimum <= int(text) <= maximum
    ):
        raise ConfigurationError(f"{name} must be an integer from {minimum} to {maximum}, not {text[:40]!r}")
    return int(text)


async def _read_clock(request: HttpRequest, _: Any) -> Any:
    return {"now": request.session.clock.now()}


async def _advance_clock(request: HttpRequest, value: Any) -> Any:
    clock = request.session.clock
    if not isinstance(clock, SteppedClock):
        raise ConfigurationError(
            "without a seed the session uses the system's clock, which cannot be advanced"
        )
    clock.advance(value["advance"])
    return {"now": clock.now()}


async def _reset_session(request: HttpRequest, _: Any) -> Any:
    await request.services.sessions.reset(request.session)
    return {"reset": True}


async def _list_sessions(request: HttpRequest, _: Any) -> Any:
    return {"sessions": [_session_object(each) for each in request.services.sessions]}


async def _delete_sessions(request: HttpRequest, _: Any) -> Any:
    return {"deleted": await request.services.sessions.close_all()}


async def _read_session(request: HttpRequest, _: Any) -> Any:
    return _session_object(_existing_session(request))


def _existing_session(request: HttpRequest) -> Session:
    name = _session_name(request)
    session = request.services.sessions.get(name)
    if session is None:
        raise ApiError(404, "NotFound", f"The session {name!r} does not exist.")
    return session


async def _wait_for_fallback(request: HttpRequest) -> None:
    """Wait for the journal's entries of what a live endpoint answered: they are checked after the reply."""
    if request.services.fallback is not None:
        await request.services.fallback.wait_until_idle()


async def _read_verdict(request: HttpRequest, _: Any) -> Any:
    session = _existing_session(request)
    await _wait_for_fallback(request)
    conduct = _parse_boolean(_parse_query(request), "conduct")
    policy = FailurePolicy(strict=session.strict, conduct=conduct)
    verdict = await run_in_worker(judge_session, session, policy)
    return {
        "session": session.name,
        "verdict": verdict.name,
        "requests": verdict.request_count,
        "violations": _violation_objects(verdict.violations),
        "unused": list(verdict.unused_stubs),
        "unchecked": list(verdict.unchecked),
        **({"conduct": _violation_objects(verdict.conduct)} if conduct else {}),
    }


def _violation_objects(numbered: Iterable[NumberedFinding]) -> list[dict[str, Any]]:
    return [
        {
            "request": number or None,
            "rule": finding.rule,
            "severity": finding.severity.value,
            "location": format_location(finding),
            "message": violation_line(finding),
        }
        for number, finding in numbered
    ]


async def _stop_client(request: HttpRequest, value: Any) -> Any:
    session = _existing_session(request)
    journal, now = _enabled_journal(session), session.clock.now()
    newest = journal.dropped_count + len(journal)
    number = value.get("request", newest)
    if number == 0:
        return {"request": None, "stopped_at": now, "end": None, "left_at": None}
    if not journal.dropped_count < number <= newest:
        raise ConfigurationError(f"the journal of the session {session.name!r} has no request {number}")
    entry = journal[number - journal.dropped_count - 1]
    entry.stopped_at = now
    await _wait_until_left(entry, value.get("timeout", 0))
    return {"request": number, "stopped_at": now, "end": entry.end, "left_at": entry.left_at}


async def _wait_until_left(entry: Entry, seconds: float) -> None:
    """Wait until the client of a request has disconnected, but at most `seconds`."""
    with move_on_after(seconds):
        # An entry tells nobody that its client has left.
        while not (entry.left and entry.end is not None):  # noqa: ASYNC110
            await sleep(_POLL_SECONDS)


async def _open_session(request: HttpRequest, value: Any) -> Any:
    await run_in_worker(lambda: require_parts(_session_parts(value)))
    lists = {name: tuple(value[name]) for name in ("fault", "limit") if name in value}
    return _session_object(
        await request.services.sessions.open(_session_name(request), SessionOverrides(**{**value, **lists}))
    )


def _session_parts(value: Mapping[str, Any]) -> Iterator[tuple[str, Callable[[Any], object], Any]]:
    for name, parse in (
        ("profile", lambda name: load_profile(resolve_profile_name(name))),
        ("limit", parse_limits),
        ("pace", parse_pace),
        ("chunking", parse_chunking),
    ):
        if value.get(name) is not None:
            yield f"/{name}", parse, value[name]
    for index, each in enumerate(value.get("fault") or ()):
        yield f"/fault/{index}", parse_fault, each


async def _delete_session(request: HttpRequest, _: Any) -> Any:
    name = _session_name(request)
    if name == DEFAULT_SESSION_NAME:
        raise ConfigurationError(f"the session {DEFAULT_SESSION_NAME!r} cannot be deleted; reset it instead")
    return {"deleted": int(await request.services.sessions.close(name))}


def _session_name(request: HttpRequest) -> str:
    return require_session_name(request.scope["path_params"]["session"])


def _session_object(session: Session) -> dict[str, Any]:
    prefix = "" if session.name == DEFAULT_SESSION_NAME else f"{SESSION_PATH_PREFIX}{session.name}"
    return {
        "name": session.name,
        "profile": session.profile.name,
        "rendering": session.rendering,
        "strict": session.strict,
        "requests": len(session.journal),
        "planned": len(session.stubs),
        "now": session.clock.now(),
        "path": prefix + session.profile.base_path,
    }


def _entry_objects(page: list[tuple[int, Entry]]) -> list[dict[str, Any]]:
    return [_entry_object(number, entry) for number, entry in page]


def _entry_object(number: int, entry: Entry) -> dict[str, Any]:
    """Return a journal entry without keys."""
    secrets = entry.secrets
    return {
        "number": number,
        "session": entry.session,
        "at": entry.at,
        "first_byte": entry.first_byte,
        "end": entry.end,
        "method": entry.method,
        "path": entry.path,
        "headers": entry.headers,
        "body": redact_body(entry.body.decode(errors="replace"), secrets),
        "status": entry.status,
        "stream": entry.stream,
        "reply": redact_body(b"".join(entry.reply).decode(errors="replace"), secrets),
        "left_out": entry.left_out,
        "request_id": entry.request_id,
        "model": redact(entry.model, secrets),
        "prompt": redact(entry.unmasked_prompt, secrets),
        "exchange": entry.exchange,
        "ignored": [redact(name, secrets) for name in entry.ignored],
        "findings": [str(redact_finding(each, secrets)) for each in entry.findings],
        "reply_findings": [str(redact_finding(each, secrets)) for each in entry.reply_findings],
        "checked": entry.is_checked,
        "refusal": entry.refusal,
        "detail": entry.detail,
        "left": entry.left,
        "left_at": entry.left_at,
    }


def _require_token(operation: Operation, function: OperationFunction) -> Handler:
    """Return a handler that requires the token and reports errors in the API's envelope."""

    async def handle(request: HttpRequest) -> None:
        if not request.services.is_admin(request.headers):
            raise NotAnApiRequest(
                401, "InvalidApiKey", "The admin API requires its token in x-mock-admin-token."
            )
        try:
            body = json.dumps(await function(request, await _read_value(request, operation)))
        except MockServerError as error:
            request.body = b""  # it may contain a key, which the journal must not keep
            raise ApiError(400, "InvalidParameter", str(error)) from None
        head = [
            (b"content-type", b"application/json"),
            (b"x-request-id", (await derive_request_id(request, "200")).encode()),
            (b"date", request.services.date_header(request.session)),
        ]
        await send_body(request.send, 200, head, body)

    return handle


async def _read_value(request: HttpRequest, operation: Operation) -> Any:
    """Read the request's body as its schema requires."""
    if operation.request_schema is None:
        return None
    # Any content type: `curl -d` sends that of a form. Other sites cannot send the headers of `is_admin`.
    request.body = await read_body(request.scope, request.receive, request.headers, request.services.max_body)
    if is_large(request.body):
        await request.examine_large_body()
    if operation.request_schema in OPTIONAL_BODIES and not request.body:
        return {}
    if operation.request_schema in (EXCHANGE_SCHEMA, STUBS_SCHEMA):
        return None  # `stub_documents` reads it
    return await run_beside_loop(parse_value, request.body, operation.request_schema)


_OPERATION_FUNCTIONS: Mapping[str, OperationFunction] = {
    "listStubs": _list_stubs,
    "planReply": _add_stubs,
    "deleteStubs": _delete_stubs,
    "orderStubs": _order_stubs,
    "readStub": _read_stub,
    "replaceStub": _replace_stub,
    "deleteStub": _delete_stub,
    "listFaults": _list_faults,
    "setFaults": _set_faults,
    "readJournal": _read_journal,
    "readClock": _read_clock,
    "advanceClock": _advance_clock,
    "resetSession": _reset_session,
    "listSessions": _list_sessions,
    "deleteSessions": _delete_sessions,
    "readSession": _read_session,
    "readVerdict": _read_verdict,
    "stopClient": _stop_client,
    "openSession": _open_session,
    "deleteSession": _delete_session,
}


def _handlers_by_path() -> Mapping[str, Mapping[str, Handler]]:
    handlers: dict[str, dict[str, Handler]] = {}
    for each in OPERATIONS:
        handlers.setdefault(each.path, {})[each.method] = _require_token(
            each, _OPERATION_FUNCTIONS[each.name]
        )
    return handlers


ADMIN_HANDLERS: Mapping[str, Mapping[str, Handler]] = MappingProxyType(dict(_handlers_by_path()))
"""Handlers by path and method."""
