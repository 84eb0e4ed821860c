"""The session registry: a server's default session, and the named ones that requests create.

A request selects its session by the header `x-mock-session`, else by its path, `/s/NAME/…`, else by a key
that belongs to a session. A new session starts with the server's settings and is isolated from all others.
When there are too many, the least recently used one is removed.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial

from mockserver.errors import ConfigurationError
from mockserver.exchanges import Exchange
from mockserver.named_tuples import NamedTuple
from mockserver.profiles import resolve_profile_name
from mockserver.server.access import ApiKeys, parse_bearer_key, require_sendable_key
from mockserver.server.delivery.faults import parse_fault
from mockserver.server.delivery.options import Delivery
from mockserver.server.large_bodies import run_in_worker
from mockserver.server.mock_headers import SESSION_HEADER
from mockserver.server.state.sessions import (
    DEFAULT_SESSION_NAME,
    Session,
    derive_session,
    open_session,
    set_structured_output,
)
from mockserver.server.state.store import Store

__all__ = [
    "MAX_NAMED_SESSIONS",
    "SESSION_PATH_PREFIX",
    "SessionOverrides",
    "SessionRegistry",
    "require_session_name",
]

SESSION_PATH_PREFIX = "/s/"
#: Sessions that exist at once, beside the default one.
MAX_NAMED_SESSIONS = 1_000

_NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class SessionOverrides(NamedTuple):
    """Settings of a session that differ from the server's; None: no difference."""

    profile: str | None = None
    rendering: str | None = None
    seed: int | None = None
    strict: bool | None = None
    fault: tuple[str, ...] | None = None
    limit: tuple[str, ...] | None = None
    pace: str | None = None
    chunking: str | None = None
    api_key: str | None = None
    """A key that selects the session."""

    def __repr__(self) -> str:
        names = (name for name in self._fields if name != "api_key" and getattr(self, name) is not None)
        return f"SessionOverrides({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"


def require_session_name(name: str) -> str:
    """Return the name. Raises ConfigurationError if the name is invalid."""
    if not _NAME_PATTERN.fullmatch(name):
        raise ConfigurationError(
            "a session's name is 1 to 64 letters, digits, '.', '_' and '-', starting with a letter or digit,"
            f" not {name[:40]!r}"
        )
    return name


class SessionRegistry:
    """Sessions by name."""

    def __init__(
        self,
        default_session: Session,
        store: Store,
        api_keys: ApiKeys,
        max_sessions: int = MAX_NAMED_SESSIONS,
    ) -> None:
        self.default_session = default_session
        self.names_by_key: dict[str, str] = {}
        """Names of sessions by the keys that select them."""
        self.on_evicted: Callable[[str], None] = lambda _: None
        """Called with a message when a session is removed because there are too many."""
        self.on_keys_changed: Callable[[], None] = lambda: None
        """Called when the keys of sessions change."""
        self._store = store
        self._api_keys = api_keys
        self._max_sessions = max_sessions
        # Faults that are set later apply to the default session only.
        self._initial_faults = default_session.faults
        self._user_exchanges: tuple[Exchange, ...] = default_session.user_exchange_index.exchanges
        self._named_sessions: OrderedDict[str, Session] = OrderedDict()

    def __iter__(self) -> Iterator[Session]:
        """Yield the default session, then the named ones, the most recently used last."""
        return iter((self.default_session, *self._named_sessions.values()))

    def __len__(self) -> int:
        return 1 + len(self._named_sessions)

    def resolve_name(self, headers: Mapping[bytes, bytes], path_session: str, *, allow_header: bool) -> str:
        """Return the name of a request's session. Raises ConfigurationError if the name is invalid.

        `path_session` is the name in the path, or empty. `allow_header`: whether the header counts.
        """
        header = headers.get(SESSION_HEADER) if allow_header else None
        if header is not None:
            return require_session_name(header.decode("latin-1"))
        if path_session:
            return require_session_name(path_session)
        if not self.names_by_key:
            return DEFAULT_SESSION_NAME
        return self.names_by_key.get(parse_bearer_key(headers.get(b"authorization")), DEFAULT_SESSION_NAME)

    def get(self, name: str) -> Session | None:
        """Return the session of this name and mark it as used; None if it does not exist."""
        if name == DEFAULT_SESSION_NAME:
            return self.default_session
        session = self._named_sessions.get(name)
        if session is not None:
            self._named_sessions.move_to_end(name)
        return session

    async def open(self, name: str, overrides: SessionOverrides | None = None) -> Session:
        """Return the session of this name; create it if it does not exist, or if there are overrides.

        Raises ConfigurationError if the name or an override is invalid.
        """
        if overrides is None and (known := self.get(name)) is not None:
            return known
        if require_session_name(name) == DEFAULT_SESSION_NAME:
            raise ConfigurationError(f"the session {DEFAULT_SESSION_NAME!r} always has the server's settings")
        own = overrides or SessionOverrides()
        session = self._create_session(name, own, await self._open_profile(own))
        await self.close(name)
        # No await between closing the old session and this line: concurrent requests get the new one.
        self._named_sessions[name] = session
        if overrides is not None and overrides.api_key is not None:
            self._set_session_keys({**self.names_by_key, overrides.api_key: name})
        while len(self._named_sessions) > self._max_sessions:
            oldest = next(iter(self._named_sessions))
            await self._close(oldest, keeps_records=self._store.is_shared)
            self.on_evicted(
                f"session {oldest} is removed: {self._max_sessions} other sessions were used more recently"
            )
        return session

    async def close(self, name: str) -> bool:
        """Remove a session and everything in it; return whether it existed."""
        return await self._close(name)

    async def _close(self, name: str, *, keeps_records: bool = False) -> bool:
        session = self._named_sessions.pop(name, None)
        if session is None:  # without an await, as `open` requires
            return False
        if name in self.names_by_key.values():
            self._set_session_keys({key: owner for key, owner in self.names_by_key.items() if owner != name})
        session.stubs.clear()
        session.journal.close()
        if not keeps_records:
            await self._store.clear(name)
        return True

    async def close_all(self) -> int:
        """Remove every named session; return how many there were."""
        names = [*self._named_sessions]
        for name in names:
            await self.close(name)
        return len(names)

    async def reset(self, session: Session) -> None:
        """Clear a session's stubs, journal and stored responses; its settings stay."""
        session.reset()
        await self._store.clear(session.name)

    def use_exchanges(self, user_exchanges: Iterable[Exchange]) -> None:
        """Replace the user's exchanges in every session. Raises InvalidExchange and then changes nothing."""
        user_exchanges = tuple(user_exchanges)
        self.use_prepared_exchanges(user_exchanges, self.prepare_exchanges(user_exchanges))

    def prepare_exchanges(self, user_exchanges: tuple[Exchange, ...]) -> dict[str, Session]:
        """Return a session for each profile with the user's exchanges; may run in another thread.

        Raises InvalidExchange.
        """
        sessions_by_profile = {each.profile.name: each for each in self}
        return {
            name: open_session(profile=name, rendering=each.rendering, user_exchanges=user_exchanges)
            for name, each in sessions_by_profile.items()
        }

    def use_prepared_exchanges(
        self, user_exchanges: tuple[Exchange, ...], prepared: Mapping[str, Session]
    ) -> None:
        """Replace the user's exchanges in every session by what `prepare_exchanges` returned for them."""
        if not {each.profile.name for each in self} <= prepared.keys():  # opened in the meantime
            prepared = {**self.prepare_exchanges(user_exchanges), **prepared}
        for session in self:
            source = prepared[session.profile.name]
            session.set_exchanges(
                source.exchange_replies,
                source.exchange_index.for_new_session(),
                source.user_exchange_index.for_new_session(),
            )
        self._user_exchanges = user_exchanges

    async def _open_profile(self, overrides: SessionOverrides) -> Session | None:
        """A session with another profile or rendering than the first; None if the overrides have none.

        It is opened beside the event loop: the user may have thousands of exchanges.
        """
        first = self.default_session
        profile = resolve_profile_name(overrides.profile or first.profile.name)
        rendering = overrides.rendering or first.rendering
        if (profile, rendering) == (first.profile.name, first.rendering):
            return None
        has_default_models = first.models is first.profile.models or first.profile.any_model
        models = None if has_default_models else first.models
        while True:
            exchanges = self._user_exchanges
            opened = await run_in_worker(
                partial(
                    open_session,
                    profile=profile,
                    rendering=rendering,
                    models=models,
                    user_exchanges=exchanges,
                )
            )
            if exchanges is self._user_exchanges:  # else they were reloaded in the meantime
                return opened

    def _create_session(self, name: str, overrides: SessionOverrides, source: Session | None) -> Session:
        session = derive_session(self.default_session, name, overrides.seed)
        if source is not None:
            _switch_profile(session, source)
        session.faults = (
            self._initial_faults if overrides.fault is None else tuple(map(parse_fault, overrides.fault))
        )
        if overrides.limit is not None:
            from mockserver.server.state.rate_limits import RateLimiter, parse_limits

            limits = parse_limits(overrides.limit)
            session.limiter = RateLimiter(limits) if limits else None
        if overrides.strict is not None:
            session.strict = overrides.strict
        session.delivery = Delivery(pace=overrides.pace, chunking=overrides.chunking).with_defaults(
            session.delivery
        )
        if (
            overrides.api_key is not None
            and self.names_by_key.get(require_sendable_key(overrides.api_key), name) != name
        ):
            raise ConfigurationError("that key belongs to another session")
        return session

    def _set_session_keys(self, names_by_key: dict[str, str]) -> None:
        self.names_by_key = names_by_key
        self._api_keys.set_session_keys(names_by_key)
        self.on_keys_changed()


def _switch_profile(session: Session, source: Session) -> None:
    """Switch a session to the profile and the rendering of another one, and take over what depends on them."""
    set_structured_output(source, session.structured_output)
    session.profile, session.rendering, session.models = source.profile, source.rendering, source.models
    session.request_checker = source.request_checker
    session.set_exchanges(source.exchange_replies, source.exchange_index, source.user_exchange_index)
