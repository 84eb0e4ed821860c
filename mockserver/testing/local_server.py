"""One server of a test: an application in a thread, and its session."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine, Iterable, Mapping
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from mockserver.errors import ConfigurationError, StartError
from mockserver.network import is_loopback
from mockserver.profiles import resolve_profile_name
from mockserver.replies.token_counts import require_token_counts
from mockserver.server.access import ApiKeys, listener_hosts
from mockserver.server.delivery.faults import parse_fault
from mockserver.server.delivery.options import Delivery
from mockserver.server.http.app import App
from mockserver.server.http.cors import allow_origins
from mockserver.server.http.services import Services
from mockserver.server.http.threaded_server import ThreadedServer
from mockserver.server.output_lengths import parse_output_tokens
from mockserver.server.state.rate_limits import RateLimiter, parse_limits
from mockserver.server.state.session_registry import SessionOverrides, SessionRegistry
from mockserver.server.state.sessions import (
    MAX_COUNTED_REQUESTS,
    AnyModel,
    Session,
    open_session,
    set_structured_output,
)
from mockserver.server.state.store import MemoryStore
from mockserver.server.stubs.document_problems import problem_finder
from mockserver.server.stubs.exchange_folder import ExchangeFolder, ExchangeReloader
from mockserver.server.stubs.spellings import PYTHON
from mockserver.settings import MAX_BODY_BYTES, parse_body_size
from mockserver.testing.server_settings import (
    DEFAULT_API_KEY,
    ServerSettings,
    as_tuple,
    existing_folder,
)

if TYPE_CHECKING:
    from mockserver.exchanges import Exchange
    from mockserver.live.fallback import LiveFallback
    from mockserver.server.interception import Interception

__all__ = ["GRACE_SECONDS", "LocalServer", "create_mock_server", "open_fallback"]

#: Seconds that open requests get when a server stops: their clients belong to the same test, which is over.
GRACE_SECONDS = 0.01

T = TypeVar("T")

AsyncCallback: TypeAlias = Callable[[], Coroutine[Any, Any, None]]


async def _do_nothing() -> None:
    pass


class LocalServer:
    """An application that runs in a thread, and its default session."""

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
        interception: Interception | None = None,
    ) -> None:
        """`on_stop` runs before the server stops; `registry` holds the named sessions, if there are any."""
        self.session = session
        self.api_key = api_key
        self.model = model
        self._threaded_server = server
        self._registry = registry
        self._interception = interception
        self._wait_until_idle = wait_until_idle
        self._on_stop = on_stop

    @property
    def base_url(self) -> str:
        """The base URL for clients; "" until the server has started."""
        return self._threaded_server.url and self._threaded_server.url + self.session.profile.base_path

    @property
    def url(self) -> str:
        """`http://host:port`; "" until the server has started."""
        return self._threaded_server.url

    @property
    def sessions(self) -> tuple[Session, ...]:
        """The default session, and the named sessions since the last reset."""
        return (self.session,) if self._registry is None else tuple(self._registry)

    def open_session(self, name: str, overrides: SessionOverrides | None = None) -> Session:
        """The session of that name; `overrides` reset it. ConfigurationError if there can be none."""
        if self._registry is None:
            raise ConfigurationError("a live endpoint has no sessions")
        known = self._registry.get(name) if overrides is None else None
        return known or self._run(self._registry.open(name, overrides))

    def key_for_session(self, name: str) -> str:
        """A key that selects the session, or the server's key if it has none of its own."""
        keys = {} if self._registry is None else self._registry.names_by_key
        return next((key for key, owner in keys.items() if owner == name), self.api_key)

    def close_session(self, name: str) -> bool:
        """Delete a named session; whether it existed."""
        return self._registry is not None and self._run(self._registry.close(name))

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` in the server's event loop, or in a new one if the server is not running."""
        return self._threaded_server.run(work) if self.is_running else asyncio.run(work)

    @property
    def is_running(self) -> bool:
        return self._threaded_server.is_running

    @property
    def crash_reason(self) -> str | None:
        """Why the server ended without being stopped; None if it did not."""
        return self._threaded_server.crash_reason

    def start(self) -> None:
        if self._interception is not None:
            self._interception.open()
        try:
            self._threaded_server.start()
        except StartError:
            self._close_interception()
            raise

    def stop(self) -> None:
        try:
            if self.is_running:
                self._threaded_server.run(self._on_stop())
            self._threaded_server.stop()
        finally:
            self._close_interception()

    def _close_interception(self) -> None:
        if self._interception is not None:
            self._interception.close()

    @property
    def intercept_env(self) -> Mapping[str, str]:
        """Variables that lead a client's requests for the service here; ConfigurationError if nothing does."""
        if self._interception is None:
            raise ConfigurationError("the server intercepts no requests: pass intercept=True")
        return self._interception.client_variables(self.url)

    def raise_if_crashed(self) -> None:
        """Raise StartError if the server has crashed."""
        if self.crash_reason is not None:
            raise StartError(f"the mock server crashed: {self.crash_reason}")

    def reset(self) -> None:
        """Delete stubs, journal, stored responses and named sessions, and reset the clock."""
        self.wait_until_idle()
        self.session.reset()
        if self._registry is not None:
            self._threaded_server.run(self._close_named_sessions(self._registry))

    async def _close_named_sessions(self, registry: SessionRegistry) -> None:
        await registry.close_all()
        await registry.reset(self.session)

    def reset_session(self, session: Session) -> None:
        """Reset one session."""
        if self._registry is None:
            session.reset()
        else:
            self._run(self._registry.reset(session))

    def wait_until_idle(self) -> None:
        """Wait until every reply is in the journal."""
        if self._wait_until_idle is not _do_nothing and self.is_running:
            self._threaded_server.run(self._wait_until_idle())


def open_fallback(url: str, key_env: str) -> LiveFallback:
    """A live endpoint that answers unmatched requests. ConfigurationError."""
    from mockserver.live.budgeted_client import Budget
    from mockserver.live.endpoint import api_key_from_env, parse_endpoint
    from mockserver.live.fallback import LiveFallback

    endpoint = parse_endpoint(url, api_key_from_env(os.environ, key_env), key_env)
    return LiveFallback(endpoint, Budget(sys.maxsize, sys.maxsize))


def create_mock_server(
    settings: ServerSettings, *, strict: bool = True, fallback: LiveFallback | None = None
) -> LocalServer:
    """A mock server, not started yet; UnknownProfile, InvalidExchange, ConfigurationError.

    With a fallback it has a key of its own by default, so that no other program can spend tokens.
    """
    if "token_counts" in settings:
        require_token_counts(settings["token_counts"])
    host = settings.get("host", "127.0.0.1")
    keys = _choose_keys(settings, host, has_fallback=fallback is not None)
    exchanges, folder = settings.get("exchanges", ()), None
    if isinstance(exchanges, str | Path):
        folder = _open_exchange_folder(settings, exchanges)
        exchanges = folder.exchanges
    session = _open_default_session(settings, exchanges)
    session.strict, session.spelling = strict, PYTHON
    services = _build_services(settings, session, host, keys)
    if fallback is not None:
        fallback.serve(services)
    interception = _create_interception(settings, services)
    models = as_tuple(settings.get("model", ()))
    return LocalServer(
        session,
        ThreadedServer(
            allow_origins(App(services), services.hosts),
            host,
            port=settings.get("port", 0),
            grace_seconds=GRACE_SECONDS,
            on_tick=None if folder is None else _exchange_reloader(folder, services),
            gateway=interception,
        ),
        api_key=keys[0],
        model=models[0] if models and "any" not in models else session.profile.models[0],
        wait_until_idle=_do_nothing if fallback is None else fallback.wait_until_idle,
        on_stop=_do_nothing if fallback is None else fallback.close,
        registry=services.sessions,
        interception=interception,
    )


def _choose_keys(settings: ServerSettings, host: str, *, has_fallback: bool) -> tuple[str, ...]:
    """The keys to accept; ConfigurationError if other machines could send requests with the well-known key."""
    default_key = f"{DEFAULT_API_KEY}-{token_hex(12)}" if has_fallback else DEFAULT_API_KEY
    keys = as_tuple(settings.get("api_key", default_key)) or (default_key,)
    if keys == (DEFAULT_API_KEY,) and not is_loopback(host):
        raise ConfigurationError(f"listening on {host} requires an API key: pass api_key")
    return keys


def _open_exchange_folder(settings: ServerSettings, folder: str | Path) -> ExchangeFolder:
    profile, rendering = resolve_profile_name(settings.get("profile")), settings.get("rendering", "wire")
    return ExchangeFolder(existing_folder(folder), problem_finder(profile, rendering))


def _open_default_session(settings: ServerSettings, exchanges: Iterable[Exchange]) -> Session:
    models = as_tuple(settings.get("model", ()))
    session = open_session(
        profile=resolve_profile_name(settings.get("profile")),
        rendering=settings.get("rendering", "wire"),
        seed=settings.get("seed", 0),
        models=AnyModel() if "any" in models else frozenset(models) or None,
        user_exchanges=exchanges,
        max_counted_requests=max(MAX_COUNTED_REQUESTS, 2 * _store_size(settings)),
    )
    set_structured_output(session, settings.get("structured_output", ""))
    session.whole_arguments = settings.get("function_arguments") == "whole"
    session.pauses_by_clock = settings.get("pauses") == "clock"
    if session.pauses_by_clock and settings.get("seed", 0) is None:
        raise ConfigurationError(
            "pauses='clock' needs a seed: without one the server uses the system's clock"
        )
    session.faults = tuple(parse_fault(each) for each in as_tuple(settings.get("fault", ())))
    limits = parse_limits(as_tuple(settings.get("limit", ())))
    session.limiter = RateLimiter(limits) if limits else None
    session.delivery = Delivery(pace=settings.get("pace"), chunking=settings.get("chunking"))
    session.output_length = parse_output_tokens(str(settings.get("output_tokens", "usual")))
    return session


def _store_size(settings: ServerSettings) -> int:
    return settings.get("store_size", 10_000)


def _build_services(settings: ServerSettings, session: Session, host: str, keys: tuple[str, ...]) -> Services:
    hosts = listener_hosts(
        host,
        (*as_tuple(settings.get("allow_host", ())), *_intercepted_hosts(settings, host)),
        as_tuple(settings.get("allow_origin", ())),
        any_origin=settings.get("unsafe_any_origin", False),
    )
    return Services(
        default_session=session,
        store=MemoryStore(_store_size(settings)),
        keys=ApiKeys(keys),
        hosts=hosts,
        mock_headers=True,
        max_body=parse_body_size(settings.get("max_body", MAX_BODY_BYTES)),
        stream_errors=settings.get("stream_errors", ""),
    )


def _intercepted_hosts(settings: ServerSettings, host: str) -> tuple[str, ...]:
    if not settings.get("intercept"):
        return ()
    from mockserver.server.interception import intercepted_hosts

    return intercepted_hosts(host)


def _create_interception(settings: ServerSettings, services: Services) -> Interception | None:
    if not settings.get("intercept"):
        return None
    from mockserver.server.interception import Interception

    return Interception(services, as_tuple(settings.get("allow_connect", ())))


def _exchange_reloader(folder: ExchangeFolder, services: Services) -> Callable[[], None]:
    """A function that reloads changed exchange files; if one is invalid, all exchanges stay as they are."""
    sessions = services.sessions
    return ExchangeReloader(
        folder, sessions.prepare_exchanges, sessions.use_prepared_exchanges, lambda _: None
    ).start
