"""The sessions of a server: the one it has to begin with, and those that come into being when they are named.

A request names its session by the header `x-mock-session`, else by its path, `/s/NAME/…`, else by a key that
belongs to one. A session begins with the settings of the server, and nothing that happens in it is seen in
another. When there are too many, the one that nobody has asked for longest is forgotten.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from mockserver.errors import ConfigurationError
from mockserver.exchanges import Exchange
from mockserver.profiles import resolve_profile_name
from mockserver.server.access import ApiKeys, parse_bearer_key, require_sendable_key
from mockserver.server.delivery.delivery import Delivery
from mockserver.server.delivery.faults import parse_fault
from mockserver.server.mock_headers import SESSION_HEADER
from mockserver.server.state.rate_limits import RateLimiter, parse_limits
from mockserver.server.state.sessions import DEFAULT_SESSION_NAME, Session, derive_session, open_session
from mockserver.server.state.store import Store

__all__ = [
    "MAX_NAMED_SESSIONS",
    "SESSION_PATH_PREFIX",
    "SessionOverrides",
    "SessionRegistry",
    "require_session_name",
]

SESSION_PATH_PREFIX = "/s/"
#: Sessions beside the first that are kept at once.
MAX_NAMED_SESSIONS = 1_000

_NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class SessionOverrides:
    """What is otherwise about a session than about its server; None: nothing."""

    profile: str | None = None
    rendering: str | None = None
    seed: int | None = None
    strict: bool | None = None
    fault: tuple[str, ...] | None = None
    limit: tuple[str, ...] | None = None
    pace: str | None = None
    chunking: str | None = None
    api_key: str | None = None
    """A key that belongs to the session: whoever presents it is in it."""

    def __repr__(self) -> str:
        shown = (name for name in self.__slots__ if name != "api_key" and getattr(self, name) is not None)
        return f"SessionOverrides({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"


def require_session_name(name: str) -> str:
    """The name; ConfigurationError where a session can not be called that."""
    if not _NAME_PATTERN.fullmatch(name):
        raise ConfigurationError(
            "a session's name is 1 to 64 letters, digits, '.', '_' and '-', a letter or digit first,"
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
        """Names of sessions by the keys that belong to them."""
        self.on_evicted: Callable[[str], None] = lambda _: None
        """Is told which session is forgotten for want of room."""
        self.on_keys_changed: Callable[[], None] = lambda: None
        """Is told when other keys belong to sessions."""
        self._store = store
        self._api_keys = api_keys
        self._max_sessions = max_sessions
        # What the server was started with: what is set in force later is the first session's own affair.
        self._initial_faults = default_session.faults
        self._user_exchanges: tuple[Exchange, ...] = default_session.user_exchange_index.exchanges
        self._named_sessions: OrderedDict[str, Session] = OrderedDict()

    def __iter__(self) -> Iterator[Session]:
        """The first, and then all that are named, those asked for last at the end."""
        return iter((self.default_session, *self._named_sessions.values()))

    def __len__(self) -> int:
        return 1 + len(self._named_sessions)

    def resolve_name(self, headers: Mapping[bytes, bytes], path_session: str, *, allow_header: bool) -> str:
        """Name of the session that a request is for; ConfigurationError where that can be none.

        `by_header`: the header may say it. `prefix` is what the path says, if anything.
        """
        said = headers.get(SESSION_HEADER) if allow_header else None
        if said is not None:
            return require_session_name(said.decode("latin-1"))
        if path_session:
            return require_session_name(path_session)
        return (
            self.names_by_key.get(parse_bearer_key(headers.get(b"authorization")), DEFAULT_SESSION_NAME)
            if self.names_by_key
            else DEFAULT_SESSION_NAME
        )

    def get(self, name: str) -> Session | None:
        """The session of a name, which has been asked for now; None where there is none (any more)."""
        if name == DEFAULT_SESSION_NAME:
            return self.default_session
        session = self._named_sessions.get(name)
        if session is not None:
            self._named_sessions.move_to_end(name)
        return session

    async def open(self, name: str, overrides: SessionOverrides | None = None) -> Session:
        """The session of a name, a new one where there is none, and also where terms are given.

        ConfigurationError where it can not be called that, or the terms can not be used.
        """
        if overrides is None and (known := self.get(name)) is not None:
            return known
        if require_session_name(name) == DEFAULT_SESSION_NAME:
            raise ConfigurationError(f"the session {DEFAULT_SESSION_NAME!r} is as its server was started")
        session = self._create_session(name, overrides or SessionOverrides())
        await self.close(name)
        # From here on whoever names it gets this one: nothing is waited for before.
        self._named_sessions[name] = session
        if overrides is not None and overrides.api_key is not None:
            self._set_session_keys({**self.names_by_key, overrides.api_key: name})
        while len(self._named_sessions) > self._max_sessions:
            oldest = next(iter(self._named_sessions))
            await self.close(oldest)
            self.on_evicted(
                f"session {oldest} is forgotten: {self._max_sessions} others were asked for since"
            )
        return session

    async def close(self, name: str) -> bool:
        """Forget a session with all that happened in it; whether there was one."""
        session = self._named_sessions.pop(name, None)
        if session is None:  # and nothing is waited for
            return False
        if name in self.names_by_key.values():
            self._set_session_keys({key: owner for key, owner in self.names_by_key.items() if owner != name})
        session.journal.close()
        await self._store.clear(name)
        return True

    async def close_all(self) -> int:
        """Forget every session but the first; how many there were."""
        names = [*self._named_sessions]
        for name in names:
            await self.close(name)
        return len(names)

    async def reset(self, session: Session) -> None:
        """Forget what happened in a session; its settings stay."""
        session.reset()
        await self._store.clear(session.name)

    def use_exchanges(self, user_exchanges: Iterable[Exchange]) -> None:
        """Answer from these of the user's from now on, in every session; InvalidExchange, and all stays."""
        user_exchanges = tuple(user_exchanges)
        fresh = {each.profile.name: each for each in self}
        made = {
            name: open_session(profile=name, rendering=each.rendering, user_exchanges=user_exchanges)
            for name, each in fresh.items()
        }
        for session in self:
            ready = made[session.profile.name]
            session.exchange_replies = ready.exchange_replies
            session.exchange_index, session.user_exchange_index = (
                ready.exchange_index.for_new_session(),
                ready.user_exchange_index.for_new_session(),
            )
        self._user_exchanges = user_exchanges

    def _create_session(self, name: str, overrides: SessionOverrides) -> Session:
        first = self.default_session
        profile = resolve_profile_name(overrides.profile or first.profile.name)
        rendering = overrides.rendering or first.rendering
        session = derive_session(first, name, overrides.seed)
        if (profile, rendering) != (first.profile.name, first.rendering):
            _switch_profile(session, profile, rendering, self._user_exchanges)
        session.faults = (
            self._initial_faults if overrides.fault is None else tuple(map(parse_fault, overrides.fault))
        )
        if overrides.limit is not None:
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


def _switch_profile(
    session: Session, profile: str, rendering: str, user_exchanges: tuple[Exchange, ...]
) -> None:
    """Put a session into another age or rendering: what depends on them is made anew."""
    usual = session.models is session.profile.models or session.profile.any_model
    models = None if usual else session.models
    made = open_session(
        session.name, profile=profile, rendering=rendering, models=models, user_exchanges=user_exchanges
    )
    session.profile, session.rendering, session.models = made.profile, made.rendering, made.models
    session.request_checker, session.exchange_index, session.user_exchange_index = (
        made.request_checker,
        made.exchange_index,
        made.user_exchange_index,
    )
    session.exchange_replies = made.exchange_replies
