"""The console in front of an application that has only a journal: the recorder, or the replay server."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from mockserver.profiles import Profile
from mockserver.server.access import AllowedHosts
from mockserver.server.console.access import ConsoleAccess
from mockserver.server.http.app import App
from mockserver.server.http.services import Services
from mockserver.server.state.journal import Journal
from mockserver.server.state.sessions import open_session

__all__ = ["ObservedApp"]

_OWN_PATHS = "/_mock/"


class ObservedApp:
    """Sends requests under `/_mock/` to the console, and all others to the application.

    The console shows the application's journal and changes nothing.
    """

    def __init__(
        self, app: ASGIApp, journal: Journal, profile: Profile, hosts: AllowedHosts | None = None
    ) -> None:
        session = open_session(profile=profile.name, exchanges=())
        session.journal = journal
        self.access = ConsoleAccess(can_change=False)
        self._app = app
        self._console = App(
            Services(default_session=session, console=self.access, hosts=hosts or AllowedHosts())
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_own = scope["type"] == "http" and scope["path"].startswith(_OWN_PATHS)
        await (self._console if is_own else self._app)(scope, receive, send)
