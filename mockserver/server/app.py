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
from mockserver.contract.chat.schemas import CHAT_PATHS
from mockserver.contract.operations import operations
from mockserver.errors import ConfigurationError
from mockserver.profiles import Profile, load_profile, profile_names
from mockserver.server.chat.door import chat_completions
from mockserver.server.chat.words import in_chat_words
from mockserver.server.directory import PREFIX
from mockserver.server.endpoint import Handler, Request, Services, create_response, drawn_id, guarded
from mockserver.server.envelopes import ApiError, Misdirected
from mockserver.server.handlers import HANDLERS
from mockserver.server.transmit import send_body
from mockserver.wire import json

__all__ = ["App"]


#: Key in the scope under which the name of a session stands that the path began with.
_NAMED = "mockserver.session"


class App:
    """An ASGI application that answers in the service's place.

    The hot endpoint is looked up by method and path before anything else: no middleware, no routing. What is
    asked elsewhere is routed as in the age that the request's session plays.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._ages: dict[str, _Age] = {}
        self._hot = self._age(services.session.profile).hot

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (scope["method"], scope["path"]) in self._hot:
            await guarded(create_response, self._services, scope, receive, send)
        elif scope["type"] == "http":
            await self._route(scope, receive, send)

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if path.startswith(PREFIX):
            name, _, rest = path.removeprefix(PREFIX).partition("/")
            if name:
                scope["path"], scope[_NAMED] = f"/{rest}", name
        age = self._age(self._profile_for(scope))
        if _NAMED in scope and (scope["method"], scope["path"]) in age.hot:
            await guarded(create_response, self._services, scope, receive, send, scope[_NAMED])
        else:
            await age(scope, receive, send)

    def _profile_for(self, scope: Scope) -> Profile:
        """The age of the session that a request names; the server's where there is none yet, or never."""
        sessions = self._services.sessions
        headers = dict(scope["headers"])
        by_header = self._services.allows_header(headers)
        try:
            named = sessions.get(sessions.name_of(headers, scope.get(_NAMED, ""), by_header=by_header))
        except ConfigurationError:  # which is told once the request is looked at
            named = None
        return (named or sessions.first).profile

    def _age(self, profile: Profile) -> _Age:
        if profile.name not in self._ages:
            self._ages[profile.name] = _Age(profile, self._services)
        return self._ages[profile.name]


class _Age(Starlette):
    """The paths of one age."""

    def __init__(self, profile: Profile, services: Services) -> None:
        self._profile = profile
        self._services = services
        own = [f"{base}/responses" for base in _bases(profile)]
        self.hot = frozenset(("POST", path) for path in own)
        self._elsewhere = _paths_of_other_ages(profile, own)
        super().__init__(
            routes=[
                Route("/health", self._operation(health), methods=["GET"]),
                Route("/openapi.json", self._operation(openapi), methods=["GET"]),
                *self._routes(profile),
                *self._chat_routes(),
                *(self._admin_routes() if services.admin_token else ()),
            ],
            exception_handlers={404: self._nothing_there, 405: self._wrong_method},
        )
        self.router.redirect_slashes = False

    def _routes(self, profile: Profile) -> Iterator[Route]:
        for base in _bases(profile):
            methods: dict[str, dict[str, Handler]] = {}
            for each in operations(profile):
                methods.setdefault(base + each.path, {})[each.method] = HANDLERS[each.name]
            for path, handlers in methods.items():
                yield Route(path, self._operation(by_method(handlers)), methods=list(handlers))

    def _chat_routes(self) -> Iterator[Route]:
        """Chat Completions, whatever the profile; all methods, for it refuses in words of its own."""
        for path in CHAT_PATHS:
            yield Route(path, _Operation(chat_completions, self._services, in_chat_words))

    def _admin_routes(self) -> Iterator[Route]:
        from mockserver.server.admin import ADMIN

        for path, handlers in ADMIN.items():
            yield Route(path, self._operation(by_method(handlers)), methods=list(handlers))

    def _operation(self, handler: Handler) -> _Operation:
        return _Operation(handler, self._services)

    def _nothing_there(self, request: StarletteRequest, _: Exception) -> Response:
        path = request.url.path
        other = self._elsewhere.get(path) or _profile_of(path, self._profile)
        if other is not None:
            message = f"{path} belongs to the profile {other}."
        elif path.endswith("/chat/completions"):
            served = " and ".join(CHAT_PATHS)
            message = f"There is nothing at {path}. Chat Completions is asked at {served}."
        else:
            served = ", ".join(sorted({path for _, path in self.hot}))
            message = f"There is nothing at {path}. Requests are answered at {served}."
        return self._refusal(Misdirected(404, "NotFound", message))

    def _wrong_method(self, request: StarletteRequest, error: Exception) -> Response:
        allowed: Mapping[str, str] = getattr(error, "headers", None) or {}
        # Text of the vendor's error-code page (2026).
        message = f"Request method '{request.method}' is not supported."
        headers = ((b"allow", allowed.get("Allow", "").encode()),)
        return self._refusal(Misdirected(405, "InvalidParameter", message, headers=headers))

    def _refusal(self, error: ApiError) -> Response:
        async def refuse(_: Request) -> None:
            raise error

        return self._operation(refuse)


def by_method(handlers: Mapping[str, Handler]) -> Handler:
    """One handler for a path: a HEAD is answered as the GET that it stands for."""
    get = handlers.get("GET")

    async def handle(request: Request) -> None:
        method = request.scope["method"]
        await (get if method == "HEAD" and get is not None else handlers[method])(request)

    return handle


class _Operation(Response):
    """A handler as an ASGI application, and as the response to an error of the router's."""

    def __init__(
        self,
        handler: Handler,
        services: Services,
        worded: Callable[[ApiError], ApiError] | None = None,
    ) -> None:
        self._handler = handler
        self._services = services
        self._worded = worded

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        prefix = scope.get(_NAMED, "")
        await guarded(self._handler, self._services, scope, receive, send, prefix, self._worded)


async def health(request: Request) -> None:
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
        (b"x-request-id", drawn_id(request, "200").encode()),
        (b"date", request.services.date(request.session)),
    ]
    await send_body(request.send, 200, head, json.dumps(about))


async def openapi(request: Request) -> None:
    """`GET /openapi.json`: the OpenAPI document of the session's profile, `?version=3.1` or 3.2.

    The admin API is in it where there is one.
    Needs no key: generators and testers read it before they have one.
    """
    from mockserver.contract.openapi import openapi_document

    asked = parse_qs(request.scope["query_string"].decode("latin-1")).get("version", ["3.2"])
    models = request.session.models
    try:
        document = openapi_document(
            request.session.profile, asked[-1], models if isinstance(models, Collection) else ()
        )
        if request.services.admin_token:
            from mockserver.server.admin.document import with_admin

            document = with_admin(document)
    except ConfigurationError as error:
        raise ApiError(400, "InvalidParameter", f"version: {error}") from None
    head = [
        (b"content-type", b"application/json"),
        (b"x-request-id", drawn_id(request, "200").encode()),
        (b"date", request.services.date(request.session)),
    ]
    await send_body(request.send, 200, head, json.dumps(document))


def _bases(profile: Profile) -> Iterable[str]:
    return (profile.base_path, *profile.aliases)


def _profile_of(path: str, own: Profile) -> str | None:
    """Another profile that has an operation at `path`, whose own age has none there."""
    for name in profile_names():
        other = load_profile(name)
        for base in _bases(other) if name != own.name else ():
            if path.startswith(f"{base}/") and any(
                each.matches(path.removeprefix(base)) for each in operations(other)
            ):
                return name
    return None


def _paths_of_other_ages(profile: Profile, own: Iterable[str]) -> dict[str, str]:
    """Endpoints of the other profiles that this one does not have, each with the profile's name."""
    others = [load_profile(name) for name in profile_names() if name != profile.name]
    paths = {f"{base}/responses": other.name for other in others for base in _bases(other)}
    return {path: name for path, name in paths.items() if path not in set(own)}
