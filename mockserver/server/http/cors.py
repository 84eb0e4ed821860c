"""Cross-origin requests: what browsers need before a page of another origin may read a reply (Fetch standard)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mockserver.server.access import AllowedHosts
from mockserver.server.http.transmission import with_standard_messages

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["allow_origins"]

_METHODS = ("DELETE", "GET", "HEAD", "POST")


def allow_origins(app: ASGIApp, hosts: AllowedHosts) -> ASGIApp:
    """The application, with CORS if pages of other origins may use it; otherwise it costs nothing."""
    return _CrossOriginApp(app, hosts) if hosts.origins else app


class _CrossOriginApp:
    """Answers the pre-flights of allowed origins, and adds CORS headers to replies to them.

    The application itself refuses the others, in its own envelope.
    """

    def __init__(self, app: ASGIApp, hosts: AllowedHosts) -> None:
        from starlette.middleware.cors import CORSMiddleware

        self._app = app
        self._hosts = hosts
        self._with_cors = CORSMiddleware(
            with_standard_messages(app),
            allow_origins=hosts.origins,
            allow_methods=_METHODS,
            allow_headers=("*",),
            expose_headers=("*",),
            allow_private_network=True,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        origin = dict(scope["headers"]).get(b"origin", b"")
        app = self._with_cors if self._hosts.lists_origin(origin) else self._app
        await app(scope, receive, send)
