"""The operations on sessions: opening and closing them, their faults and their clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from mockserver.clock import SteppedClock
from mockserver.errors import ConfigurationError
from mockserver.profiles import load_profile, resolve_profile_name
from mockserver.server.admin.operations import OperationFunction, require_parts
from mockserver.server.delivery.chunking import parse_chunking
from mockserver.server.delivery.faults import RequestedFault, parse_fault
from mockserver.server.delivery.pacing import parse_pace
from mockserver.server.errors import ApiError
from mockserver.server.http.requests import HttpRequest
from mockserver.server.large_bodies import run_in_worker
from mockserver.server.state.rate_limits import parse_limits
from mockserver.server.state.session_registry import (
    SESSION_PATH_PREFIX,
    SessionOverrides,
    require_session_name,
)
from mockserver.server.state.sessions import DEFAULT_SESSION_NAME, Session

__all__ = ["SESSION_OPERATIONS", "existing_session"]


async def _list_faults(request: HttpRequest, _: Any) -> Any:
    return {"faults": [each.spec for each in request.session.faults]}


async def _set_faults(request: HttpRequest, value: Any) -> Any:
    request.session.faults = await run_in_worker(_parse_faults, value)
    return await _list_faults(request, None)


def _parse_faults(names: Sequence[str]) -> tuple[RequestedFault, ...]:
    """Raises InvalidExchange with all errors."""
    require_parts((f"/{index}", parse_fault, each) for index, each in enumerate(names))
    return tuple(map(parse_fault, names))


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
    return _session_object(existing_session(request))


def existing_session(request: HttpRequest) -> Session:
    """The session that the path names; ApiError if there is none."""
    name = _session_name(request)
    session = request.services.sessions.get(name)
    if session is None:
        raise ApiError(404, "NotFound", f"The session {name!r} does not exist.")
    return session


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


SESSION_OPERATIONS: Mapping[str, OperationFunction] = MappingProxyType(
    {
        "listFaults": _list_faults,
        "setFaults": _set_faults,
        "readClock": _read_clock,
        "advanceClock": _advance_clock,
        "resetSession": _reset_session,
        "listSessions": _list_sessions,
        "deleteSessions": _delete_sessions,
        "readSession": _read_session,
        "openSession": _open_session,
        "deleteSession": _delete_session,
    }
)
