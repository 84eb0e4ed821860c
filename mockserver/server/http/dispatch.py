"""Running a handler: what every request goes through, whatever its path.

Host check, session, and the error envelope, also for an internal error of the mock itself.
"""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias

from mockserver.errors import ConfigurationError
from mockserver.server.engine.rendered_replies import RenderedReply
from mockserver.server.errors import ApiError, NotAnApiRequest, UnmatchedRequest, render_error
from mockserver.server.http.reply_delivery import json_headers, load_reply_steps
from mockserver.server.http.request_body import ClientDisconnected
from mockserver.server.http.requests import Handler, HttpRequest, derive_request_id, json_object
from mockserver.server.http.services import Services
from mockserver.server.http.transmission import CONNECTION_EXTENSION, send_body
from mockserver.server.large_bodies import LARGE_BODY_BYTES, run_beside_loop, run_in_worker
from mockserver.server.mock_headers import ADMIN_PATH_PREFIX, ADMIN_TOKEN_HEADER, SESSION_HEADER
from mockserver.server.state.journal import EntryDetails, request_secrets
from mockserver.server.state.session_registry import SESSION_PATH_PREFIX
from mockserver.wire.redaction import redact_keys

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

__all__ = ["HotRoutes", "run_handler"]

#: `run_handler` with its handler, by method and path: requests that need no router.
HotRoutes: TypeAlias = Mapping[tuple[str, str], Callable[..., Awaitable[None]]]


async def run_handler(
    handler: Handler,
    services: Services,
    scope: Scope,
    receive: Receive,
    send: Send,
    path_session: str = "",
    translate_error: Callable[[ApiError], ApiError] | None = None,
    *,
    hot: bool = False,
) -> None:
    """Run a handler; answer its ApiError, and any other exception, in the API's envelope.

    `path_session` is the session that the path names. `translate_error` words an error as another API does.
    `hot`: the application found the handler without routing, in the paths of the default session's profile.
    """
    request = HttpRequest(scope, receive, send, services)
    try:
        services.hosts.check(request.headers, scope)
        if SESSION_HEADER in request.headers or path_session or services.sessions.names_by_key:
            await _enter_session(request, path_session, hot=hot)
        try:
            await handler(request)
        except ApiError as error:
            if services.fallback is None or not error.may_pass_on:
                raise
            _release_frames(error)
            await services.fallback.answer(request, error)
    except ClientDisconnected:
        return
    except ApiError as error:
        _release_frames(error)
        await _send_error(request, translate_error(error) if translate_error else error)
    except Exception as error:  # noqa: BLE001 (an internal error must not look like a hang)
        services.access_log.add(_describe_internal_error(error))
        _release_frames(error)
        if request.response_started:
            scope["extensions"][CONNECTION_EXTENSION].close()
            return
        internal = ApiError(500, "InternalError", "An internal error of the mock server.")
        await _send_error(request, translate_error(internal) if translate_error else internal)


def _release_frames(error: Exception) -> None:
    """Forget where an error was raised: a frame with the error as a variable would keep the request in memory."""
    error.__traceback__ = error.__context__ = None


async def _enter_session(request: HttpRequest, path_session: str, *, hot: bool) -> None:
    """Put a request into the session that it names; ApiError if the name is invalid."""
    services, headers = request.services, request.headers
    try:
        name = services.sessions.resolve_name(
            headers, path_session, allow_header=services.allows_session_header(headers)
        )
    except ConfigurationError as error:
        where = SESSION_HEADER.decode() if SESSION_HEADER in headers else f"{SESSION_PATH_PREFIX}NAME/"
        raise NotAnApiRequest(400, "InvalidParameter", f"{where}: {error}") from None
    session = services.sessions.get(name)
    if session is None:
        if not services.is_admin_token(headers.get(ADMIN_TOKEN_HEADER, b"")):
            # Creating a session requires a valid key, so an unauthenticated client cannot evict sessions.
            services.keys.check(headers.get(b"authorization"), services.default_session.profile.wrong_key)
        session = await services.sessions.open(name)
    request.session = session
    path, own = request.scope["path"], session.profile.base_paths
    if hot and not any(path == f"{base}/responses" for base in own):
        message = f"{path} belongs to the profile {services.default_session.profile.name}."
        raise NotAnApiRequest(404, "NotFound", f"{message} The session {name} plays {session.profile.name}.")


async def _send_error(request: HttpRequest, error: ApiError) -> None:
    request_id = await derive_request_id(request, f"{error.status} {error.message}")
    if error.envelope.undashed_request_id:
        request_id = request_id.replace("-", "")
    details = await _error_details(request, error)
    error.message = await _without_keys(error.message, request)
    body = render_error(error, request_id, request.session.profile)
    head = [*json_headers(request, request_id), *error.headers]
    if error.delivery is not None:
        await load_reply_steps()
        from mockserver.server.http.reply_steps import send_delivered

        reply = RenderedReply(request_id, details, (body,), False, error.status)
        await send_delivered(request, reply, head, error.delivery)
        return
    in_journal = not _is_admin_call(request)
    request.record(error.status, (body,), False, request_id, details, in_journal=in_journal)
    await send_body(request.send, error.status, head, body)


async def _error_details(request: HttpRequest, error: ApiError) -> EntryDetails:
    """What the journal says about a rejected request."""
    model, prompt = await run_beside_loop(_model_and_prompt, request.body)
    refusal = "refused" if isinstance(error, NotAnApiRequest) else ""
    refusal = "unplanned" if isinstance(error, UnmatchedRequest) else refusal
    return EntryDetails(
        model,
        prompt,
        error.stub_name,
        error.findings or request.findings or (),
        error.ignored,
        error_detail=error.detail or error.message,
        refusal=refusal,
        is_checked=request.findings is not None or bool(error.findings),
        reply_headers=error.headers,
    )


async def _without_keys(message: str, request: HttpRequest) -> str:
    """The message of an error without keys that it quotes."""
    secrets = request_secrets(request.headers.get(b"authorization", b""), request.services.secrets)
    if len(message) > LARGE_BODY_BYTES:  # it has the problems of thousands of stubs
        return await run_in_worker(redact_keys, message, secrets)
    return redact_keys(message, secrets)


def _is_admin_call(request: HttpRequest) -> bool:
    """Whether a request is for the admin API or the console, which the journal leaves out."""
    has_admin_api = bool(request.services.admin_token) or request.services.console is not None
    return has_admin_api and request.scope["path"].startswith(ADMIN_PATH_PREFIX)


def _model_and_prompt(body: bytes) -> tuple[str, str]:
    """(model, prompt) of a rejected request, if its body has them as strings."""
    value = json_object(body) or {}
    model, content = value.get("model"), value.get("input")
    return model if isinstance(model, str) else "", content if isinstance(content, str) else ""


def _describe_internal_error(error: Exception) -> str:
    """Type and stack of an exception, without any values: they may hold a key."""
    frames = traceback.extract_tb(error.__traceback__)
    where = " < ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(frames[-5:]))
    return f"internal error: {type(error).__name__} in {where}"
