"""The mock server for tests: in a thread, on a free port, scripted from code, read through its journal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack

from mockserver.clock import SteppedClock
from mockserver.errors import ConfigurationError
from mockserver.replies.script import Message, Script, message, require_servable
from mockserver.server.faults import find_fault
from mockserver.server.journal import Journal
from mockserver.server.stubs import Stub
from mockserver.testing.clients import Clients
from mockserver.testing.serving import Settings, checked, serve_mock

if TYPE_CHECKING:
    from httpx import Client
    from openai import AsyncOpenAI, OpenAI

__all__ = ["MockServer"]


class MockServer:
    """A mock server on loopback, for `with`, `async with` or `start()` and `stop()`.

    The fixture `responses_server` is one too.

    >>> with MockServer(seed=1) as server:
    ...     planned = server.reply("Hi there!")
    ...     server.base_url.startswith("http://127.0.0.1:")
    True
    """

    def __init__(self, *, strict: bool = True, **settings: Unpack[Settings]) -> None:
        """Settings have the names and values of `[tool.mockserver]`, see `Settings`.

        `strict`: once a reply is planned, a request that none is planned for is refused (400).
        """
        self._served = serve_mock(checked(settings, "MockServer"), strict=strict)
        self._clients = Clients()

    def start(self) -> Self:
        """Start serving; StartError says why where it fails."""
        self._served.start()
        return self

    def stop(self) -> None:
        """Close the clients it gave and stop serving; harmless where it does not."""
        self._clients.close()
        self._served.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        from anyio.to_thread import run_sync

        return await run_sync(self.start)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        from anyio.to_thread import run_sync

        await run_sync(self.stop)

    def __repr__(self) -> str:
        return f"<MockServer {self._served.session.profile.name} {self._served.base_url or 'not started'}>"

    @property
    def base_url(self) -> str:
        """What goes into a client; `{base_url}/responses` is the endpoint."""
        return self._served.base_url

    @property
    def api_key(self) -> str:
        """A key that it accepts."""
        return self._served.api_key

    @property
    def profile(self) -> str:
        """Name of the age that it plays."""
        return self._served.session.profile.name

    @property
    def model(self) -> str:
        """A model that it accepts."""
        return self._served.model

    @property
    def journal(self) -> Journal:
        """What was asked and answered since the last reset: `len`, `[i]`, `.last`."""
        return self._served.session.journal

    @property
    def clock(self) -> SteppedClock:
        """The server's clock: `clock.advance(seconds)` lets time pass, `clock.now()` tells it.

        ConfigurationError where it has no clock of its own, but the system's: `seed=None`.
        """
        clock = self._served.session.clock
        if not isinstance(clock, SteppedClock):
            raise ConfigurationError("without a seed the server has the system's clock, which nobody moves")
        return clock

    def reply(self, text: str | Script | None = None, *, chunks: Iterable[str] | None = None) -> Stub:
        """Plan a reply: a text, a text in these chunks (one event each in a stream), or a script.

        Replies are given in the order in which they are planned, each once: `.times(n)` on what is returned
        makes it n times, `.always()` as often as it is asked. ConfigurationError where it can not be given,
        StartError where the server has died.
        """
        self._served.require_alive()
        script = _script(text, chunks)
        if script.status != "completed":
            raise ConfigurationError(f"a reply can not be {script.status!r} yet")
        require_servable(script, self._served.session.profile)
        return self._served.session.stubs.add(script)

    def fail(self, name: str) -> Stub:
        """Plan the service's error of that name, in line with the replies and returned like them.

        ConfigurationError lists the names, which `docs/profiles.md` explains.
        """
        self._served.require_alive()
        return self._served.session.stubs.add(find_fault(name))

    @property
    def planned(self) -> Sequence[Stub]:
        """The replies planned since the last reset, with how often each was given."""
        return self._served.session.stubs.all

    def httpx(self, **options: Any) -> Client:
        """An `httpx.Client` for this server; `options` are the client's own."""
        return self._clients.httpx(self, **options)

    def openai(self, **options: Any) -> OpenAI:
        """An `openai.OpenAI` for this server; ConfigurationError where openai is not installed."""
        return self._clients.openai(self, **options)

    def async_openai(self, **options: Any) -> AsyncOpenAI:
        """An `openai.AsyncOpenAI` for this server; ConfigurationError where openai is not installed."""
        return self._clients.async_openai(self, **options)

    def reset(self) -> None:
        """Forget replies, journal and stored responses; the clock goes back to its start."""
        self._served.reset()


def _script(text: str | Script | None, chunks: Iterable[str] | None) -> Script:
    if (text is None) == (chunks is None):
        raise ConfigurationError("a reply is a text, chunks or a script: exactly one of them")
    if isinstance(text, Script):
        return text
    if text is not None:
        if not isinstance(text, str):
            raise ConfigurationError(f"a reply is a text or a script, not a {type(text).__name__}")
        return message(text)
    pieces = (chunks,) if isinstance(chunks, str) else tuple(chunks or ())
    if not all(isinstance(each, str) for each in pieces):
        raise ConfigurationError("chunks are texts")
    return Script((Message(pieces),))
