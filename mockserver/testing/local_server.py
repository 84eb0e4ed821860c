"""One server of a test: its settings, its session, and the thread it runs in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias, TypedDict, TypeVar, cast

from mockserver.errors import ConfigurationError, StartError
from mockserver.exchanges import Exchange, load_exchange_folder
from mockserver.profiles import resolve_profile_name
from mockserver.server.access import AllowedHosts, ApiKeys
from mockserver.server.delivery.delivery import Delivery
from mockserver.server.delivery.faults import parse_fault
from mockserver.server.http.app import App
from mockserver.server.http.services import Services
from mockserver.server.http.threaded_server import ThreadedServer
from mockserver.server.state.rate_limits import RateLimiter, parse_limits
from mockserver.server.state.session_registry import SessionOverrides, SessionRegistry
from mockserver.server.state.sessions import MAX_COUNTED_REQUESTS, AnyModel, Session, open_session
from mockserver.server.state.store import MemoryStore
from mockserver.server.stubs.exchange_folder import ExchangeFolder

__all__ = [
    "DEFAULT_API_KEY",
    "GRACE_SECONDS",
    "LocalServer",
    "ServerSettings",
    "as_tuple",
    "create_mock_server",
    "load_exchanges",
    "validate_settings",
]

#: The key that is accepted where none is given.
DEFAULT_API_KEY = "sk-mock"

#: Seconds that requests under way get when a server is stopped: whoever asked is in the same test, and over.
GRACE_SECONDS = 0.01

T = TypeVar("T")

ExchangeSource: TypeAlias = str | Path | Iterable[Exchange]


class ServerSettings(TypedDict, total=False):
    """Settings of a server in a test, by the names they have in `[tool.mockserver]`."""

    profile: str
    rendering: str
    seed: int | None
    """None: ids and texts by chance, and the system's clock."""
    exchanges: ExchangeSource
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


_SETTING_TYPES: Mapping[str, tuple[type, ...]] = {
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

_SETTING_CHOICES: Mapping[str, tuple[str, ...]] = {
    "stream_errors": ("http", "inband"),
    "function_arguments": ("deltas", "whole"),
    "pauses": ("machine", "clock"),
}


def validate_settings(
    values: Mapping[str, Any], source: str, allowed_names: Collection[str] | None = None
) -> ServerSettings:
    """`given` as settings; ConfigurationError names the first that is none, and `where` it stands.

    `known` are the names that can be given, where those are not all.
    """
    names = list(ServerSettings.__annotations__) if allowed_names is None else sorted(allowed_names)
    for name, value in values.items():
        if name not in names:
            told = ", ".join(names)
            raise ConfigurationError(f"{source}: there is no setting {name!r} of a server; there are: {told}")
        if not isinstance(value, _SETTING_TYPES[name]) or (
            isinstance(value, bool) and bool not in _SETTING_TYPES[name]
        ):
            raise ConfigurationError(f"{source}: {name} can not be {value!r}")
        if name in _SETTING_CHOICES and value not in _SETTING_CHOICES[name]:
            raise ConfigurationError(
                f"{source}: {name} is {' or '.join(_SETTING_CHOICES[name])}, not {value!r}"
            )
    return cast("ServerSettings", dict(values))


AsyncCallback: TypeAlias = Callable[[], Coroutine[Any, Any, None]]


async def _do_nothing() -> None:
    """Nothing is to be done."""


class LocalServer:
    """An application that can be started and stopped in a thread, and the session it serves."""

    def __init__(
        self,
        session: Session,
        server: ThreadedServer,
        *,
        api_key: str,
        model: str,
        wait_until_idle: AsyncCallback = _do_nothing,
        on_stop: AsyncCallback = _do_nothing,
        registry: SessionRegistry | None = None,
    ) -> None:
        """`settled` waits for open answers, `leave` comes before the end.

        `sessions` are all that there are, where there can be others than `session`.
        """
        self.session = session
        self.api_key = api_key
        self.model = model
        self._threaded_server = server
        self._registry = registry
        self._wait_until_idle = wait_until_idle
        self._on_stop = on_stop

    @property
    def base_url(self) -> str:
        """Empty until it is started."""
        return self._threaded_server.url and self._threaded_server.url + self.session.profile.base_path

    @property
    def url(self) -> str:
        """`http://host:port`; empty until it is started."""
        return self._threaded_server.url

    @property
    def sessions(self) -> tuple[Session, ...]:
        """The session it has to begin with, and those that were named since the last reset."""
        return (self.session,) if self._registry is None else tuple(self._registry)

    def open_session(self, name: str, overrides: SessionOverrides | None = None) -> Session:
        """The session of a name; with terms a new one. ConfigurationError."""
        if self._registry is None:
            raise ConfigurationError("an endpoint that is asked through has no sessions")
        known = self._registry.get(name) if overrides is None else None
        return known or self._run(self._registry.open(name, overrides))

    def key_for_session(self, name: str) -> str:
        """A key for the session of a name: its own, or the first that is accepted."""
        keys = {} if self._registry is None else self._registry.names_by_key
        return next((key for key, owner in keys.items() if owner == name), self.api_key)

    def close_session(self, name: str) -> bool:
        """Forget the session of a name; whether there was one."""
        return self._registry is not None and self._run(self._registry.close(name))

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run what belongs into the server's loop, or, where there is none (any more), here."""
        return self._threaded_server.run(work) if self.is_running else asyncio.run(work)

    @property
    def is_running(self) -> bool:
        """Whether it is serving."""
        return self._threaded_server.is_running

    @property
    def crash_reason(self) -> str | None:
        """Why it ended although nobody stopped it; None where it did not."""
        return self._threaded_server.crash_reason

    def start(self) -> None:
        self._threaded_server.start()

    def stop(self) -> None:
        if self.is_running:
            self._threaded_server.run(self._on_stop())
        self._threaded_server.stop()

    def raise_if_crashed(self) -> None:
        """StartError where it has died."""
        if self.crash_reason is not None:
            raise StartError(f"the mock server died: {self.crash_reason}")

    def reset(self) -> None:
        """Forget replies, journal, stored responses and named sessions; the clock goes back to its start."""
        self.wait_until_idle()
        self.session.reset()
        if self._registry is not None:
            self._threaded_server.run(self._close_named_sessions(self._registry))

    async def _close_named_sessions(self, registry: SessionRegistry) -> None:
        await registry.close_all()
        await registry.reset(self.session)

    def reset_session(self, session: Session) -> None:
        """Forget what happened in one session."""
        if self._registry is None:
            session.reset()
        else:
            self._run(self._registry.reset(session))

    def wait_until_idle(self) -> None:
        """Wait until every answer is in the journal."""
        if self._wait_until_idle is not _do_nothing and self.is_running:
            self._threaded_server.run(self._wait_until_idle())


def create_mock_server(settings: ServerSettings, *, strict: bool = True) -> LocalServer:
    """The mock with these settings; UnknownProfile, InvalidExchange, ConfigurationError."""
    keys = as_tuple(settings.get("api_key", DEFAULT_API_KEY)) or (DEFAULT_API_KEY,)
    models = as_tuple(settings.get("model", ()))
    size = settings.get("store_size", 10_000)
    exchanges = settings.get("exchanges", ())
    folder = ExchangeFolder(_existing_folder(exchanges)) if isinstance(exchanges, str | Path) else None
    session = open_session(
        profile=resolve_profile_name(settings.get("profile")),
        rendering=settings.get("rendering", "wire"),
        seed=settings.get("seed", 0),
        models=AnyModel() if "any" in models else frozenset(models) or None,
        user_exchanges=load_exchanges(exchanges) if folder is None else folder.exchanges,
        max_counted_requests=max(MAX_COUNTED_REQUESTS, 2 * size),
    )
    session.strict = strict
    session.whole_arguments = settings.get("function_arguments") == "whole"
    session.pauses_by_clock = settings.get("pauses") == "clock"
    if session.pauses_by_clock and settings.get("seed", 0) is None:
        raise ConfigurationError("pauses: a server without a seed has no clock of its own to pause by")
    session.faults = tuple(parse_fault(each) for each in as_tuple(settings.get("fault", ())))
    limits = parse_limits(as_tuple(settings.get("limit", ())))
    session.limiter = RateLimiter(limits) if limits else None
    session.delivery = Delivery(pace=settings.get("pace"), chunking=settings.get("chunking"))
    services = Services(
        default_session=session,
        store=MemoryStore(size),
        keys=ApiKeys(keys),
        hosts=AllowedHosts(as_tuple(settings.get("allow_host", ()))),
        mock_headers=True,
        stream_errors=settings.get("stream_errors", "http"),
    )
    return LocalServer(
        session,
        ThreadedServer(
            App(services),
            port=settings.get("port", 0),
            grace_seconds=GRACE_SECONDS,
            on_tick=None if folder is None else lambda: _reload_exchanges(folder, services),
        ),
        api_key=keys[0],
        model=models[0] if models and "any" not in models else session.profile.models[0],
        registry=services.sessions,
    )


def _reload_exchanges(folder: ExchangeFolder, services: Services) -> None:
    """Read the exchange files again where one has changed; where one can not be served, all stays."""
    folder.reload_if_changed(services.sessions.use_exchanges)


def as_tuple(value: str | Sequence[str]) -> tuple[str, ...]:
    """One text, or several."""
    return (value,) if isinstance(value, str) else tuple(value)


def load_exchanges(exchanges: ExchangeSource) -> tuple[Exchange, ...]:
    """The exchanges of a folder, by file name, or those given; InvalidExchange, ConfigurationError."""
    if not isinstance(exchanges, str | Path):
        return tuple(exchanges)
    return load_exchange_folder(_existing_folder(exchanges))


def _existing_folder(exchanges: str | Path) -> Path:
    folder = Path(exchanges)
    if not folder.is_dir():
        raise ConfigurationError(f"exchanges: there is no folder {exchanges}")
    return folder
