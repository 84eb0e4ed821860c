"""The mock server for tests: in a thread, on a free port, scripted from code, read through its journal."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import Self

from mockserver.clock import Clock
from mockserver.errors import ConfigurationError
from mockserver.exchanges import Exchange, packaged_exchanges
from mockserver.profiles import DEFAULT_PROFILE, LATEST, latest_profile
from mockserver.replies.script import Script, message, require_servable
from mockserver.server.access import Keys
from mockserver.server.app import App
from mockserver.server.endpoint import Services
from mockserver.server.faults import find_fault
from mockserver.server.journal import Journal
from mockserver.server.runner import ThreadedServer
from mockserver.server.sessions import open_session

__all__ = ["MockServer"]


def choice(setting: str, given: str, known: tuple[str, ...]) -> str:
    """`given`, which is one of `known`; ConfigurationError where it is not."""
    if given not in known:
        raise ConfigurationError(f"{setting}={given!r} is not one of {', '.join(known)}")
    return given


class MockServer:
    """A mock server on loopback, for `with` or `start()` and `stop()`.

    >>> with MockServer(seed=1) as server:
    ...     server.reply("Hi there!")
    ...     server.base_url.startswith("http://127.0.0.1:")
    True
    """

    #: The one key it accepts.
    api_key = "sk-mock"

    def __init__(
        self,
        *,
        profile: str = DEFAULT_PROFILE,
        rendering: str = "wire",
        seed: int | None = 0,
        exchanges: Iterable[Exchange] = (),
        stream_errors: str = "http",
        function_arguments: str = "deltas",
    ) -> None:
        """Settings as those of `mockserver serve`; `exchanges` answer before the documented ones."""
        profile = latest_profile() if profile == LATEST else profile
        known = (*exchanges, *packaged_exchanges(profile))
        self._session = open_session(
            profile=profile,
            rendering=rendering,
            seed=seed,
            exchanges=known,
            whole_arguments=choice("function_arguments", function_arguments, ("deltas", "whole")) == "whole",
        )
        self._services = Services(
            session=self._session,
            keys=Keys([self.api_key]),
            mock_headers=True,
            stream_errors=choice("stream_errors", stream_errors, ("http", "inband")),
        )
        self._server = ThreadedServer(App(self._services))

    def start(self) -> Self:
        """Start serving; StartError says why where it fails."""
        self._server.start()
        return self

    def stop(self) -> None:
        """Stop serving; harmless where it does not."""
        self._server.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def base_url(self) -> str:
        """What goes into a client; `{base_url}/responses` is the endpoint."""
        return self._server.url + self._session.profile.base_path

    @property
    def profile(self) -> str:
        """Name of the age that it plays."""
        return self._session.profile.name

    @property
    def clock(self) -> Clock:
        """The clock of its session; with a seed one that `advance(seconds)` moves."""
        return self._session.clock

    @property
    def model(self) -> str:
        """A model that it accepts."""
        return self._session.profile.models[0]

    @property
    def journal(self) -> Journal:
        """What was asked and answered since the last reset."""
        return self._session.journal

    def reply(self, text: str | Script) -> None:
        """Answer the next request with this; several wait in line, each answers once."""
        script = text if isinstance(text, Script) else message(text)
        if script.status != "completed":
            raise ConfigurationError(f"a reply can not be {script.status!r} yet")
        require_servable(script, self._session.profile)
        self._session.stubs.append(script)

    def fail(self, name: str) -> None:
        """Answer the next request with the service's error of that name, in line with the replies.

        ConfigurationError lists the names, which `docs/profiles.md` explains.
        """
        self._session.stubs.append(find_fault(name))

    def reset(self) -> None:
        """Forget replies, journal and stored responses; the clock goes back to its start."""
        self._session.reset()
        self._server.run(self._services.store.clear(self._session.name))
