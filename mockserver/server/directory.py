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
from mockserver.profiles import LATEST, latest_profile
from mockserver.server.access import ApiKeys, parse_bearer_key, require_sendable_key
from mockserver.server.delivery import Delivery
from mockserver.server.faults import parse_fault
from mockserver.server.limits import Limiter, parse_limits
from mockserver.server.sessions import FIRST, Session, open_session, sibling
from mockserver.server.store import Store

__all__ = ["MOST", "PREFIX", "SESSION_HEADER", "Directory", "Terms", "require_name"]

SESSION_HEADER = b"x-mock-session"
PREFIX = "/s/"
#: Sessions beside the first that are kept at once.
MOST = 1_000

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Terms:
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
        return f"Terms({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"


def require_name(name: str) -> str:
    """The name; ConfigurationError where a session can not be called that."""
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            "a session's name is 1 to 64 letters, digits, '.', '_' and '-', a letter or digit first,"
            f" not {name[:40]!r}"
        )
    return name


class Directory:
    """Sessions by name."""

    def __init__(self, first: Session, store: Store, keys: ApiKeys, most: int = MOST) -> None:
        self.first = first
        self.keys: dict[str, str] = {}
        """Names of sessions by the keys that belong to them."""
        self.told: Callable[[str], None] = lambda _: None
        """Is told which session is forgotten for want of room."""
        self.lent: Callable[[], None] = lambda: None
        """Is told when other keys belong to sessions."""
        self._store = store
        self._accepted = keys
        self._most = most
        # What the server was started with: what is set in force later is the first session's own affair.
        self._faults = first.faults
        self._own: tuple[Exchange, ...] = first.own.exchanges
        self._named: OrderedDict[str, Session] = OrderedDict()

    def __iter__(self) -> Iterator[Session]:
        """The first, and then all that are named, those asked for last at the end."""
        return iter((self.first, *self._named.values()))

    def __len__(self) -> int:
        return 1 + len(self._named)

    def name_of(self, headers: Mapping[bytes, bytes], prefix: str, *, by_header: bool) -> str:
        """Name of the session that a request is for; ConfigurationError where that can be none.

        `by_header`: the header may say it. `prefix` is what the path says, if anything.
        """
        said = headers.get(SESSION_HEADER) if by_header else None
        if said is not None:
            return require_name(said.decode("latin-1"))
        if prefix:
            return require_name(prefix)
        return self.keys.get(parse_bearer_key(headers.get(b"authorization")), FIRST) if self.keys else FIRST

    def get(self, name: str) -> Session | None:
        """The session of a name, which has been asked for now; None where there is none (any more)."""
        if name == FIRST:
            return self.first
        session = self._named.get(name)
        if session is not None:
            self._named.move_to_end(name)
        return session

    async def open(self, name: str, terms: Terms | None = None) -> Session:
        """The session of a name, a new one where there is none, and also where terms are given.

        ConfigurationError where it can not be called that, or the terms can not be used.
        """
        if terms is None and (known := self.get(name)) is not None:
            return known
        if require_name(name) == FIRST:
            raise ConfigurationError(f"the session {FIRST!r} is as its server was started")
        session = self._made(name, terms or Terms())
        await self.close(name)
        # From here on whoever names it gets this one: nothing is waited for before.
        self._named[name] = session
        if terms is not None and terms.api_key is not None:
            self._lend({**self.keys, terms.api_key: name})
        while len(self._named) > self._most:
            oldest = next(iter(self._named))
            await self.close(oldest)
            self.told(f"session {oldest} is forgotten: {self._most} others were asked for since")
        return session

    async def close(self, name: str) -> bool:
        """Forget a session with all that happened in it; whether there was one."""
        session = self._named.pop(name, None)
        if session is None:  # and nothing is waited for
            return False
        if name in self.keys.values():
            self._lend({key: owner for key, owner in self.keys.items() if owner != name})
        session.journal.close()
        await self._store.clear(name)
        return True

    async def close_all(self) -> int:
        """Forget every session but the first; how many there were."""
        names = [*self._named]
        for name in names:
            await self.close(name)
        return len(names)

    async def reset(self, session: Session) -> None:
        """Forget what happened in a session; its settings stay."""
        session.reset()
        await self._store.clear(session.name)

    def use_exchanges(self, own: Iterable[Exchange]) -> None:
        """Answer from these of the user's from now on, in every session; InvalidExchange, and all stays."""
        own = tuple(own)
        fresh = {each.profile.name: each for each in self}
        made = {
            name: open_session(profile=name, rendering=each.rendering, own=own)
            for name, each in fresh.items()
        }
        for session in self:
            ready = made[session.profile.name]
            session.replies = ready.replies
            session.matcher, session.own = ready.matcher.again(), ready.own.again()
        self._own = own

    def _made(self, name: str, terms: Terms) -> Session:
        first = self.first
        profile = latest_profile() if terms.profile == LATEST else terms.profile or first.profile.name
        rendering = terms.rendering or first.rendering
        session = sibling(first, name, terms.seed)
        if (profile, rendering) != (first.profile.name, first.rendering):
            _made_anew(session, profile, rendering, self._own)
        session.faults = self._faults if terms.fault is None else tuple(map(parse_fault, terms.fault))
        if terms.limit is not None:
            limits = parse_limits(terms.limit)
            session.limiter = Limiter(limits) if limits else None
        if terms.strict is not None:
            session.strict = terms.strict
        session.delivery = Delivery(pace=terms.pace, chunking=terms.chunking).with_defaults(session.delivery)
        if terms.api_key is not None and self.keys.get(require_sendable_key(terms.api_key), name) != name:
            raise ConfigurationError("that key belongs to another session")
        return session

    def _lend(self, keys: dict[str, str]) -> None:
        self.keys = keys
        self._accepted.set_session_keys(keys)
        self.lent()


def _made_anew(session: Session, profile: str, rendering: str, own: tuple[Exchange, ...]) -> None:
    """Put a session into another age or rendering: what depends on them is made anew."""
    usual = session.models is session.profile.models or session.profile.any_model
    models = None if usual else session.models
    made = open_session(session.name, profile=profile, rendering=rendering, models=models, own=own)
    session.profile, session.rendering, session.models = made.profile, made.rendering, made.models
    session.judge, session.matcher, session.own = made.judge, made.matcher, made.own
    session.replies = made.replies
