"""The application: a front door for the hot endpoint, Starlette's router for everything else."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.requests import Request as StarletteRequest
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from mockserver import __version__
from mockserver.contract.chat.service import CHAT_PATHS
from mockserver.contract.operations import profile_operations
from mockserver.errors import ConfigurationError
from mockserver.profiles import Profile, load_profile, profile_names
from mockserver.server.chat.endpoint import chat_completions
from mockserver.server.chat.errors import to_chat_error
from mockserver.server.errors import ApiError, NotAnApiRequest
from mockserver.server.http.responses_endpoint import (
    Handler,
    HttpRequest,
    Services,
    create_response,
    derive_request_id,
    run_handler,
)
from mockserver.server.http.transmission import send_body
from mockserver.server.operations.handlers import OPERATION_HANDLERS
from mockserver.server.state.session_registry import SESSION_PATH_PREFIX
from mockserver.wire import json

__all__ = ["App"]


#: Key in the scope under which the name of a session stands that the path began with.
SESSION_SCOPE_KEY = "mockserver.session"


class App:
    """An ASGI application that answers in the service's place.

    The hot endpoint is looked up by method and path before anything else: no middleware, no routing. What is
    asked elsewhere is routed as in the age that the request's session plays.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._profile_apps: dict[str, _ProfileApp] = {}
        self._hot_routes = self._app_for(services.default_session.profile).hot_routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (scope["method"], scope["path"]) in self._hot_routes:
            await run_handler(create_response, self._services, scope, receive, send)
        elif scope["type"] == "http":
            await self._route(scope, receive, send)

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if path.startswith(SESSION_PATH_PREFIX):
            name, _, rest = path.removeprefix(SESSION_PATH_PREFIX).partition("/")
            if name:
                scope["path"], scope[SESSION_SCOPE_KEY] = f"/{rest}", name
        age = self._app_for(self._profile_for(scope))
        if SESSION_SCOPE_KEY in scope and (scope["method"], scope["path"]) in age.hot_routes:
            await run_handler(create_response, self._services, scope, receive, send, scope[SESSION_SCOPE_KEY])
        else:
            await age(scope, receive, send)

    def _profile_for(self, scope: Scope) -> Profile:
        """The age of the session that a request names; the server's where there is none yet, or never."""
        sessions = self._services.sessions
        headers = dict(scope["headers"])
        by_header = self._services.allows_session_header(headers)
        try:
            named = sessions.get(
                sessions.resolve_name(headers, scope.get(SESSION_SCOPE_KEY, ""), allow_header=by_header)
            )
        except ConfigurationError:  # which is told once the request is looked at
            named = None
        return (named or sessions.default_session).profile

    def _app_for(self, profile: Profile) -> _ProfileApp:
        if profile.name not in self._profile_apps:
            self._profile_apps[profile.name] = _ProfileApp(profile, self._services)
        return self._profile_apps[profile.name]


class _ProfileApp(Starlette):
    """The paths of one age."""

    def __init__(self, profile: Profile, services: Services) -> None:
        self._profile = profile
        self._services = services
        own = [f"{base}/responses" for base in profile.base_paths]
        self.hot_routes = frozenset(("POST", path) for path in own)
        self._endpoints_elsewhere = _endpoints_of_other_profiles(profile, own)
        super().__init__(
            routes=[
                Route("/health", self._endpoint(health), methods=["GET"]),
                Route("/openapi.json", self._endpoint(openapi), methods=["GET"]),
                *self._routes(profile),
                *self._chat_routes(),
                *(self._admin_routes() if services.admin_token else ()),
            ],
            exception_handlers={404: self._not_found, 405: self._method_not_allowed},
        )
        self.router.redirect_slashes = False

    def _routes(self, profile: Profile) -> Iterator[Route]:
        for base in profile.base_paths:
            methods: dict[str, dict[str, Handler]] = {}
            for each in profile_operations(profile):
                methods.setdefault(base + each.path, {})[each.method] = OPERATION_HANDLERS[each.name]
            for path, handlers in methods.items():
                yield Route(path, self._endpoint(dispatch_by_method(handlers)), methods=list(handlers))

    def _chat_routes(self) -> Iterator[Route]:
        """Chat Completions, whatever the profile; all methods, for it refuses in words of its own."""
        for path in CHAT_PATHS:
            yield Route(path, _HandlerEndpoint(chat_completions, self._services, to_chat_error))

    def _admin_routes(self) -> Iterator[Route]:
        from mockserver.server.admin import ADMIN_HANDLERS

        for path, handlers in ADMIN_HANDLERS.items():
            yield Route(path, self._endpoint(dispatch_by_method(handlers)), methods=list(handlers))

    def _endpoint(self, handler: Handler) -> _HandlerEndpoint:
        return _HandlerEndpoint(handler, self._services)

    def _not_found(self, request: StarletteRequest, _: Exception) -> Response:
        path = request.url.path
        other = self._endpoints_elsewhere.get(path) or _profile_serving(path, self._profile)
        if other is not None:
            message = f"{path} belongs to the profile {other}."
        elif path.endswith("/chat/completions"):
            served = " and ".join(CHAT_PATHS)
            message = f"There is nothing at {path}. Chat Completions is asked at {served}."
        else:
            served = ", ".join(sorted({path for _, path in self.hot_routes}))
            message = f"There is nothing at {path}. Requests are answered at {served}."
        return self._error_response(NotAnApiRequest(404, "NotFound", message))

    def _method_not_allowed(self, request: StarletteRequest, error: Exception) -> Response:
        allowed: Mapping[str, str] = getattr(error, "headers", None) or {}
        # Text of the vendor's error-code page (2026).
        message = f"Request method '{request.method}' is not supported."
        headers = ((b"allow", allowed.get("Allow", "").encode()),)
        return self._error_response(NotAnApiRequest(405, "InvalidParameter", message, headers=headers))

    def _error_response(self, error: ApiError) -> Response:
        async def refuse(_: HttpRequest) -> None:
            raise error

        return self._endpoint(refuse)


def dispatch_by_method(handlers: Mapping[str, Handler]) -> Handler:
    """One handler for a path: a HEAD is answered as the GET that it stands for."""
    get = handlers.get("GET")

    async def handle(request: HttpRequest) -> None:
        method = request.scope["method"]
        await (get if method == "HEAD" and get is not None else handlers[method])(request)

    return handle


class _HandlerEndpoint(Response):
    """A handler as an ASGI application, and as the response to an error of the router's."""

    def __init__(
        self,
        handler: Handler,
        services: Services,
        translate_error: Callable[[ApiError], ApiError] | None = None,
    ) -> None:
        self._handler = handler
        self._services = services
        self._translate_error = translate_error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        prefix = scope.get(SESSION_SCOPE_KEY, "")
        await run_handler(self._handler, self._services, scope, receive, send, prefix, self._translate_error)


async def health(request: HttpRequest) -> None:
    """`GET /health`: what is running; needs no key."""
    session = request.session
    about = {
        "status": "ok",
        "version": __version__,
        "profile": session.profile.name,
        "rendering": session.rendering,
    }
    head = [
        (b"content-type", b"application/json"),
        (b"x-request-id", derive_request_id(request, "200").encode()),
        (b"date", request.services.date_header(request.session)),
    ]
    await send_body(request.send, 200, head, json.dumps(about))


async def openapi(request: HttpRequest) -> None:
    """`GET /openapi.json`: the OpenAPI document of the session's profile, `?version=3.1` or 3.2.

    The admin API is in it where there is one.
    Needs no key: generators and testers read it before they have one.
    """
    from mockserver.contract.openapi.document import openapi_document

    asked = parse_qs(request.scope["query_string"].decode("latin-1")).get("version", ["3.2"])
    models = request.session.models
    try:
        document = openapi_document(
            request.session.profile, asked[-1], models if isinstance(models, Collection) else ()
        )
        if request.services.admin_token:
            from mockserver.server.admin.openapi import add_admin_api

            document = add_admin_api(document)
    except ConfigurationError as error:
        raise ApiError(400, "InvalidParameter", f"version: {error}") from None
    head = [
        (b"content-type", b"application/json"),
        (b"x-request-id", derive_request_id(request, "200").encode()),
        (b"date", request.services.date_header(request.session)),
    ]
    await send_body(request.send, 200, head, json.dumps(document))


def _profile_serving(path: str, served_profile: Profile) -> str | None:
    """Another profile that has an operation at `path`, whose own age has none there."""
    for name in profile_names():
        other = load_profile(name)
        for base in other.base_paths if name != served_profile.name else ():
            if path.startswith(f"{base}/") and any(
                each.matches(path.removeprefix(base)) for each in profile_operations(other)
            ):
                return name
    return None


def _endpoints_of_other_profiles(profile: Profile, own_paths: Iterable[str]) -> dict[str, str]:
    """Endpoints of the other profiles that this one does not have, each with the profile's name."""
    others = [load_profile(name) for name in profile_names() if name != profile.name]
    paths = {f"{base}/responses": other.name for other in others for base in other.base_paths}
    return {path: name for path, name in paths.items() if path not in set(own_paths)}
