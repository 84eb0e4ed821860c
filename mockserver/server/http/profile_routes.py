"""The routes of one profile beside the hot endpoint, with Starlette's router."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from typing import Any, TypeAlias
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.requests import Request as StarletteRequest
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from mockserver.contract.chat.service import CHAT_PATHS
from mockserver.contract.operations import mock_extensions, profile_operations
from mockserver.errors import ConfigurationError
from mockserver.profiles import Profile, load_profile, profile_names
from mockserver.server.access import HEALTH_PATHS
from mockserver.server.chat.endpoint import chat_completions
from mockserver.server.chat.errors import to_chat_error
from mockserver.server.errors import ApiError, NotAnApiRequest
from mockserver.server.http.dispatch import HotRoutes, run_handler
from mockserver.server.http.health import health
from mockserver.server.http.reply_delivery import send_json
from mockserver.server.http.requests import SESSION_SCOPE_KEY, Handler, HttpRequest
from mockserver.server.http.services import Services
from mockserver.server.large_bodies import run_in_worker
from mockserver.server.operations.handlers import OPERATION_HANDLERS

__all__ = ["CHAT_ROUTES", "ProfileRoutes"]

#: How the path of a create request ends if the base URL names the endpoint already.
_DOUBLED_PATH = "/responses/responses"

#: Requests for completions, which every profile has, without the router.
CHAT_ROUTES: HotRoutes = {
    ("POST", path): partial(run_handler, chat_completions, translate_error=to_chat_error)
    for path in CHAT_PATHS
}

#: Handlers by path and method.
HandlersByPath: TypeAlias = Mapping[str, Mapping[str, Handler]]


class ProfileRoutes(Starlette):
    """The routes of one profile."""

    def __init__(self, profile: Profile, services: Services) -> None:
        self._profile = profile
        self._services = services
        self._endpoints_elsewhere = _endpoints_of_other_profiles(profile)
        super().__init__(
            routes=[
                *(Route(path, self._endpoint(health), methods=["GET"]) for path in HEALTH_PATHS),
                Route("/openapi.json", self._endpoint(openapi), methods=["GET"]),
                *self._routes(self._operation_handlers()),
                *self._chat_routes(),
                *self._routes(_control_handlers(services)),
            ],
            exception_handlers={404: self._not_found, 405: self._method_not_allowed},
        )
        self.router.redirect_slashes = False

    def _operation_handlers(self) -> HandlersByPath:
        has_fallback = self._services.fallback is not None
        handlers: dict[str, dict[str, Handler]] = {}
        for base in self._profile.base_paths:
            for each in profile_operations(self._profile):
                handler = OPERATION_HANDLERS[each.name]
                if has_fallback and each.name != "createResponse":
                    handler = _pass_on_unless_stored(handler)
                handlers.setdefault(base + each.path, {})[each.method] = handler
            for each in () if has_fallback else mock_extensions(self._profile):
                handlers.setdefault(base + each.path, {})[each.method] = OPERATION_HANDLERS[each.name]
        return handlers

    def _routes(self, handlers_by_path: HandlersByPath) -> Iterator[Route]:
        for path, handlers in handlers_by_path.items():
            yield Route(path, self._endpoint(dispatch_by_method(handlers)), methods=list(handlers))

    def _chat_routes(self) -> Iterator[Route]:
        """Chat Completions, in every profile; for all methods, because it words its own errors."""
        for path in CHAT_PATHS:
            yield Route(path, _HandlerEndpoint(chat_completions, self._services, to_chat_error))

    def _endpoint(self, handler: Handler) -> _HandlerEndpoint:
        return _HandlerEndpoint(handler, self._services)

    # Starlette would call plain functions in a thread.

    async def _not_found(self, request: StarletteRequest, _: Exception) -> Response:
        path = request.url.path
        other = self._endpoints_elsewhere.get(path) or _profile_serving(path, self._profile)
        if hint := _doubled_path_hint(request):
            message = f"There is nothing at {path}.{hint}"
        elif other is not None:
            message = f"{path} belongs to the profile {other}."
        elif path.endswith("/chat/completions"):
            served = " and ".join(CHAT_PATHS)
            message = f"There is nothing at {path}. Chat Completions is at {served}."
        else:
            served = ", ".join(sorted(self._profile.create_paths))
            message = f"There is nothing at {path}. The Responses API is at {served}."
        return self._error_response(NotAnApiRequest(404, "NotFound", message).passed_on())

    async def _method_not_allowed(self, request: StarletteRequest, error: Exception) -> Response:
        allowed: Mapping[str, str] = getattr(error, "headers", None) or {}
        # Text of the vendor's error-code page (2026).
        message = f"Request method '{request.method}' is not supported.{_doubled_path_hint(request)}"
        headers = ((b"allow", allowed.get("Allow", "").encode()),)
        error = NotAnApiRequest(405, "InvalidParameter", message, headers=headers)
        return self._error_response(error.passed_on())

    def _error_response(self, error: ApiError) -> Response:
        async def refuse(_: HttpRequest) -> None:
            raise error

        return self._endpoint(refuse)


def _control_handlers(services: Services) -> HandlersByPath:
    """The handlers of the admin API and of the console, if the server has them."""
    handlers: dict[str, Mapping[str, Handler]] = {}
    if services.admin_token or services.console:
        from mockserver.server.admin import ADMIN_HANDLERS

        handlers |= ADMIN_HANDLERS
    if services.console:
        from mockserver.server.console import CONSOLE_HANDLERS

        handlers |= CONSOLE_HANDLERS
    return handlers


def dispatch_by_method(handlers: Mapping[str, Handler]) -> Handler:
    """One handler for all methods of a path; HEAD is handled as GET."""
    get = handlers.get("GET")

    async def handle(request: HttpRequest) -> None:
        method = request.scope["method"]
        await (get if method == "HEAD" and get is not None else handlers[method])(request)

    return handle


def _pass_on_unless_stored(handler: Handler) -> Handler:
    """The handler of an operation, for the responses of this server; the fallback answers all other requests."""

    async def handle(request: HttpRequest) -> None:
        response_id = request.scope["path_params"].get("response_id")
        if response_id is None or await request.services.store.get(request.session.name, response_id) is None:
            message = "This server has no such response."
            raise NotAnApiRequest(404, "NotFound", message).passed_on()
        await handler(request)

    return handle


class _HandlerEndpoint(Response):
    """A handler as an ASGI application, and as the response to a routing error."""

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
        session = scope.get(SESSION_SCOPE_KEY, "")
        await run_handler(self._handler, self._services, scope, receive, send, session, self._translate_error)


async def openapi(request: HttpRequest) -> None:
    """`GET /openapi.json`: the OpenAPI document of the session's profile, `?version=3.1` or 3.2.

    It includes the admin API if that is enabled. It needs no key, because generators read it before they
    have one.
    """
    versions = parse_qs(request.scope["query_string"].decode("latin-1")).get("version", ["3.2"])
    models = request.session.models
    try:
        document = await run_in_worker(
            _build_openapi_document,
            request.session.profile,
            versions[-1],
            models if isinstance(models, Collection) else (),
            request.services.admin_token != "",
        )
    except ConfigurationError as error:
        raise ApiError(400, "InvalidParameter", f"version: {error}") from None
    await send_json(request, document)


def _build_openapi_document(
    profile: Profile, version: str, models: Collection[str], has_admin_api: bool
) -> dict[str, Any]:
    from mockserver.contract.openapi.document import openapi_document

    document = openapi_document(profile, version, models)
    if has_admin_api:
        from mockserver.server.admin.openapi import add_admin_api

        document = add_admin_api(document)
    return document


def _doubled_path_hint(request: StarletteRequest) -> str:
    """What to do about a base URL that ends in /responses; empty if it does not."""
    path = request.url.path
    if not path.endswith(_DOUBLED_PATH):
        return ""
    url = f"{request.url.scheme}://{request.url.netloc}{path.removesuffix(_DOUBLED_PATH)}"
    return f" Leave /responses out of the base URL: it is {url}."


def _profile_serving(path: str, served_profile: Profile) -> str | None:
    """The name of another profile that has an operation at `path`."""
    for name in profile_names():
        other = load_profile(name)
        for base in other.base_paths if name != served_profile.name else ():
            if path.startswith(f"{base}/") and any(
                each.matches(path.removeprefix(base)) for each in profile_operations(other)
            ):
                return name
    return None


def _endpoints_of_other_profiles(profile: Profile) -> dict[str, str]:
    """Paths of the create endpoint in other profiles but not in this one, each with the profile's name."""
    others = [load_profile(name) for name in profile_names() if name != profile.name]
    paths = {path: other.name for other in others for path in other.create_paths}
    return {path: name for path, name in paths.items() if path not in profile.create_paths}
