"""One server of a test: its settings, its session, and the thread it runs in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias, TypedDict, TypeVar, cast

from mockserver.errors import ConfigurationError, StartError
from mockserver.exchanges import Exchange, load_exchange_folder
from mockserver.profiles import DEFAULT_PROFILE, LATEST, latest_profile_name
from mockserver.server.access import AllowedHosts, ApiKeys
from mockserver.server.delivery.delivery import Delivery
from mockserver.server.delivery.faults import parse_fault
from mockserver.server.http.app import App
from mockserver.server.http.responses_endpoint import Services
from mockserver.server.http.threaded_server import ThreadedServer
from mockserver.server.state.rate_limits import RateLimiter, parse_limits
from mockserver.server.state.session_registry import SessionOverrides, SessionRegistry
from mockserver.server.state.sessions import MAX_COUNTED_REQUESTS, AnyModel, Session, open_session
from mockserver.server.state.store import MemoryStore
from mockserver.server.stubs.exchange_folder import ExchangeFolder

__all__ = ["API_KEY", "GRACE_SECONDS", "Served", "Settings", "checked", "loaded", "serve_mock", "several"]

#: The key that is accepted where none is given.
API_KEY = "sk-mock"

#: Seconds that requests under way get when a server is stopped: whoever asked is in the same test, and over.
GRACE_SECONDS = 0.01

T = TypeVar("T")

Exchanges: TypeAlias = str | Path | Iterable[Exchange]


class Settings(TypedDict, total=False):
    """Settings of a server in a test, by the names they have in `[tool.mockserver]`."""

    profile: str
    rendering: str
    seed: int | None
    """None: ids and texts by chance, and the system's clock."""
    exchanges: Exchanges
    """A folder of exchange files, or exchanges: they answer before the documented ones."""
    model: str | Sequence[str]
    """Names of models to accept, or "any"."""
    api_key: str | Sequence[str]
    """Keys to accept; the first is the one that clients are given."""
    store_size: int
    allow_host: str | Sequence[str]
    port: int
    """0: a free one."""
    stream_errors: str
    """How a stream is refused: "http", with a status, or "inband", with 200 and an error within it."""
    function_arguments: str
    """How a stream tells the arguments of a call: in "deltas", or "whole" with its item."""
    fault: str | Sequence[str]
    """Faults in force, `NAME[,OPTION=VALUE…][:PROBABILITY]`."""
    limit: str | Sequence[str]
    """Limits, `NAME=N`: requests and tokens a minute, burst, concurrency, context (or `context-error`)."""
    pace: str
    """none, fixed:MS or model:TTFT,TPS[,JITTER]."""
    chunking: str
    """event, coalesced, bytes:N or random."""
    pauses: str
    """By which clock the pauses of an answer pass: the "machine"'s, or the server's own, which tests move."""


_KINDS: Mapping[str, tuple[type, ...]] = {
    "profile": (str,),
    "rendering": (str,),
    "seed": (int, type(None)),
    "exchanges": (str, Path, list, tuple),
    "model": (str, list, tuple),
    "api_key": (str, list, tuple),
    "store_size": (int,),
    "allow_host": (str, list, tuple),
    "port": (int,),
    "stream_errors": (str,),
    "function_arguments": (str,),
    "fault": (str, list, tuple),
    "limit": (str, list, tuple),
    "pace": (str,),
    "chunking": (str,),
    "pauses": (str,),
    "strict": (bool,),
}

_CHOICES: Mapping[str, tuple[str, ...]] = {
    "stream_errors": ("http", "inband"),
    "function_arguments": ("deltas", "whole"),
    "pauses": ("machine", "clock"),
}


def checked(given: Mapping[str, Any], where: str, known: Collection[str] | None = None) -> Settings:
    """`given` as settings; ConfigurationError names the first that is none, and `where` it stands.

    `known` are the names that can be given, where those are not all.
    """
    names = list(Settings.__annotations__) if known is None else sorted(known)
    for name, value in given.items():
        if name not in names:
            told = ", ".join(names)
            raise ConfigurationError(f"{where}: there is no setting {name!r} of a server; there are: {told}")
        if not isinstance(value, _KINDS[name]) or (isinstance(value, bool) and bool not in _KINDS[name]):
            raise ConfigurationError(f"{where}: {name} can not be {value!r}")
        if name in _CHOICES and value not in _CHOICES[name]:
            raise ConfigurationError(f"{where}: {name} is {' or '.join(_CHOICES[name])}, not {value!r}")
    return cast("Settings", dict(given))


Work: TypeAlias = Callable[[], Coroutine[Any, Any, None]]


async def _nothing() -> None:
    """Nothing is to be done."""


class Served:
    """An application that can be started and stopped in a thread, and the session it serves."""

    def __init__(
        self,
        session: Session,
        server: ThreadedServer,
        *,
        api_key: str,
        model: str,
        settled: Work = _nothing,
        leave: Work = _nothing,
        sessions: SessionRegistry | None = None,
    ) -> None:
        """`settled` waits for open answers, `leave` comes before the end.

        `sessions` are all that there are, where there can be others than `session`.
        """
        self.session = session
        self.api_key = api_key
        self.model = model
        self._server = server
        self._sessions = sessions
        self._settled = settled
        self._leave = leave

    @property
    def base_url(self) -> str:
        """Empty until it is started."""
        return self._server.url and self._server.url + self.session.profile.base_path

    @property
    def url(self) -> str:
        """`http://host:port`; empty until it is started."""
        return self._server.url

    @property
    def sessions(self) -> tuple[Session, ...]:
        """The session it has to begin with, and those that were named since the last reset."""
        return (self.session,) if self._sessions is None else tuple(self._sessions)

    def open(self, name: str, terms: SessionOverrides | None = None) -> Session:
        """The session of a name; with terms a new one. ConfigurationError."""
        if self._sessions is None:
            raise ConfigurationError("an endpoint that is asked through has no sessions")
        known = self._sessions.get(name) if terms is None else None
        return known or self._do(self._sessions.open(name, terms))

    def key_of(self, name: str) -> str:
        """A key for the session of a name: its own, or the first that is accepted."""
        keys = {} if self._sessions is None else self._sessions.names_by_key
        return next((key for key, owner in keys.items() if owner == name), self.api_key)

    def close(self, name: str) -> bool:
        """Forget the session of a name; whether there was one."""
        return self._sessions is not None and self._do(self._sessions.close(name))

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        """Run what belongs into the server's loop, or, where there is none (any more), here."""
        return self._server.run(work) if self.alive else asyncio.run(work)

    @property
    def alive(self) -> bool:
        """Whether it is serving."""
        return self._server.is_running

    @property
    def died(self) -> str | None:
        """Why it ended although nobody stopped it; None where it did not."""
        return self._server.crash_reason

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        if self.alive:
            self._server.run(self._leave())
        self._server.stop()

    def require_alive(self) -> None:
        """StartError where it has died."""
        if self.died is not None:
            raise StartError(f"the mock server died: {self.died}")

    def reset(self) -> None:
        """Forget replies, journal, stored responses and named sessions; the clock goes back to its start."""
        self.settle()
        self.session.reset()
        if self._sessions is not None:
            self._server.run(self._forget(self._sessions))

    async def _forget(self, sessions: SessionRegistry) -> None:
        await sessions.close_all()
        await sessions.reset(self.session)

    def reset_session(self, session: Session) -> None:
        """Forget what happened in one session."""
        if self._sessions is None:
            session.reset()
        else:
            self._do(self._sessions.reset(session))

    def settle(self) -> None:
        """Wait until every answer is in the journal."""
        if self._settled is not _nothing and self.alive:
            self._server.run(self._settled())


def serve_mock(settings: Settings, *, strict: bool = True) -> Served:
    """The mock with these settings; UnknownProfile, InvalidExchange, ConfigurationError."""
    keys = several(settings.get("api_key", API_KEY)) or (API_KEY,)
    models = several(settings.get("model", ()))
    size = settings.get("store_size", 10_000)
    profile = settings.get("profile", DEFAULT_PROFILE)
    exchanges = settings.get("exchanges", ())
    folder = ExchangeFolder(_existing(exchanges)) if isinstance(exchanges, str | Path) else None
    session = open_session(
        profile=latest_profile_name() if profile == LATEST else profile,
        rendering=settings.get("rendering", "wire"),
        seed=settings.get("seed", 0),
        models=AnyModel() if "any" in models else frozenset(models) or None,
        user_exchanges=loaded(exchanges) if folder is None else folder.exchanges,
        max_counted_requests=max(MAX_COUNTED_REQUESTS, 2 * size),
    )
    session.strict = strict
    session.whole_arguments = settings.get("function_arguments") == "whole"
    session.pauses_by_clock = settings.get("pauses") == "clock"
    if session.pauses_by_clock and settings.get("seed", 0) is None:
        raise ConfigurationError("pauses: a server without a seed has no clock of its own to pause by")
    session.faults = tuple(parse_fault(each) for each in several(settings.get("fault", ())))
    limits = parse_limits(several(settings.get("limit", ())))
    session.limiter = RateLimiter(limits) if limits else None
    session.delivery = Delivery(pace=settings.get("pace"), chunking=settings.get("chunking"))
    services = Services(
        default_session=session,
        store=MemoryStore(size),
        keys=ApiKeys(keys),
        hosts=AllowedHosts(several(settings.get("allow_host", ()))),
        mock_headers=True,
        stream_errors=settings.get("stream_errors", "http"),
    )
    return Served(
        session,
        ThreadedServer(
            App(services),
            port=settings.get("port", 0),
            grace_seconds=GRACE_SECONDS,
            on_tick=None if folder is None else lambda: _renew(folder, services),
        ),
        api_key=keys[0],
        model=models[0] if models and "any" not in models else session.profile.models[0],
        sessions=services.sessions,
    )


def _renew(folder: ExchangeFolder, services: Services) -> None:
    """Read the exchange files again where one has changed; where one can not be served, all stays."""
    folder.reload_if_changed(services.sessions.use_exchanges)


def several(value: str | Sequence[str]) -> tuple[str, ...]:
    """One text, or several."""
    return (value,) if isinstance(value, str) else tuple(value)


def loaded(exchanges: Exchanges) -> tuple[Exchange, ...]:
    """The exchanges of a folder, by file name, or those given; InvalidExchange, ConfigurationError."""
    if not isinstance(exchanges, str | Path):
        return tuple(exchanges)
    return load_exchange_folder(_existing(exchanges))


def _existing(exchanges: str | Path) -> Path:
    folder = Path(exchanges)
    if not folder.is_dir():
        raise ConfigurationError(f"exchanges: there is no folder {exchanges}")
    return folder
