"""The ASGI application: the hot endpoints and health checks without routing, a router for everything else."""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING

from mockserver.errors import ConfigurationError
from mockserver.profiles import Profile, load_profile
from mockserver.server.http.direct_replies import DirectReplies
from mockserver.server.http.dispatch import HotRoutes, run_handler
from mockserver.server.http.health import HEALTH_REQUESTS, health
from mockserver.server.http.requests import SESSION_SCOPE_KEY
from mockserver.server.http.responses_endpoint import create_response
from mockserver.server.http.services import Services
from mockserver.server.large_bodies import run_in_worker
from mockserver.server.state.session_registry import SESSION_PATH_PREFIX

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from mockserver.server.http.profile_routes import ProfileRoutes

__all__ = ["App"]


class App:
    """An ASGI application that answers in place of the service.

    It finds the hot endpoints by method and path, without middleware or routing: creating a response, and Chat
    Completions once a request has loaded it. It routes other requests by the profile of their session.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self.direct_replies = DirectReplies(services)
        """Answers what it can without being called; for the server that runs the application."""
        self._routes: dict[str, ProfileRoutes] = {}
        self._chat_routes: HotRoutes = {}
        self._hot_routes = _create_routes(services.default_session.profile.name)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        route = self._hot_routes.get((scope["method"], scope["path"]))
        if route is not None:
            await route(self._services, scope, receive, send)
        else:
            await self._route(scope, receive, send)

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if path.startswith(SESSION_PATH_PREFIX):
            name, _, rest = path.removeprefix(SESSION_PATH_PREFIX).partition("/")
            if name:
                scope["path"], scope[SESSION_SCOPE_KEY] = f"/{rest}", name
        request_line, session = (scope["method"], scope["path"]), scope.get(SESSION_SCOPE_KEY, "")
        if request_line in HEALTH_REQUESTS:
            await run_handler(health, self._services, scope, receive, send, session)
            return
        profile = self._profile_for(scope)
        route = _create_routes(profile.name).get(request_line) or self._chat_routes.get(request_line)
        if session and route is not None:
            await route(self._services, scope, receive, send, session)
        else:
            routes = self._routes.get(profile.name) or await self._load_routes(profile)
            await routes(scope, receive, send)

    def _profile_for(self, scope: Scope) -> Profile:
        """The profile of the session that a request names, else of the default session."""
        sessions = self._services.sessions
        headers = dict(scope["headers"])
        allow_header = self._services.allows_session_header(headers)
        try:
            session = sessions.get(
                sessions.resolve_name(headers, scope.get(SESSION_SCOPE_KEY, ""), allow_header=allow_header)
            )
        except ConfigurationError:  # the handler reports it
            session = None
        return (session or sessions.default_session).profile

    async def _load_routes(self, profile: Profile) -> ProfileRoutes:
        """Load the routes of a profile, and Chat Completions, beside the event loop."""
        routes = await run_in_worker(_import_routes, profile, self._services)
        from mockserver.contract.chat.service import CHAT_PATHS
        from mockserver.server.chat.pipeline import respond_chat_at_once
        from mockserver.server.http.profile_routes import CHAT_ROUTES

        self.direct_replies.add_responder(CHAT_PATHS, respond_chat_at_once)
        self._chat_routes = CHAT_ROUTES
        self._hot_routes = {**self._hot_routes, **CHAT_ROUTES}
        return self._routes.setdefault(profile.name, routes)


def _import_routes(profile: Profile, services: Services) -> ProfileRoutes:
    # Starlette, Chat Completions and the operations double the time of a start: only if they are used.
    from mockserver.server.http.profile_routes import ProfileRoutes

    return ProfileRoutes(profile, services)


@cache
def _create_routes(profile_name: str) -> HotRoutes:
    """The routes of a profile that create a response."""
    create = partial(run_handler, create_response, hot=True)
    return {("POST", path): create for path in load_profile(profile_name).create_paths}
