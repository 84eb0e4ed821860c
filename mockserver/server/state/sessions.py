"""Sessions: all mutable state but the store, so that tests side by side do not meet.

A server has one to begin with; `directory` has those that are named.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from mockserver.clock import Clock, SteppedClock, SystemClock
from mockserver.contract.bodies.requests import AnyModel, RequestChecker
from mockserver.exchanges import Exchange, packaged_exchanges
from mockserver.ids import IdSource, request_digest
from mockserver.profiles import Profile, load_profile
from mockserver.replies.renderings import load_rendering
from mockserver.server.delivery.delivery import DEFAULT_DELIVERY, Delivery
from mockserver.server.delivery.faults import RequestedFault
from mockserver.server.delivery.timer import Timer
from mockserver.server.state.journal import Journal
from mockserver.server.state.rate_limits import RateLimiter
from mockserver.server.stubs.exchange_index import ExchangeIndex
from mockserver.server.stubs.exchange_replies import ReplyDefinition, prepare_delivery, prepare_reply
from mockserver.server.stubs.stubs import StubRegistry

__all__ = [
    "DEFAULT_SESSION_NAME",
    "MAX_COUNTED_REQUESTS",
    "AnyModel",
    "SelectedReply",
    "Session",
    "derive_session",
    "open_session",
    "use_exchanges",
]

#: Name of the session that a server has to begin with, and of what is for no session by name.
DEFAULT_SESSION_NAME = "default"

#: Requests whose occurrences are counted, the least recent forgotten first: more than the store keeps, so
#: that an id can come again only when its first bearer is long forgotten.
MAX_COUNTED_REQUESTS = 20_000


class SelectedReply(NamedTuple):
    """What answers a request."""

    stub_name: str | None
    """Of the exchange or the stub."""
    reply: ReplyDefinition
    delivery: Delivery = DEFAULT_DELIVERY


@dataclass(slots=True)
class Session:
    """One conversation partner: a profile, its rendering, and what happened so far."""

    name: str
    profile: Profile
    rendering: str
    models: Container[str]
    ids: IdSource
    clock: Clock
    request_checker: RequestChecker
    exchange_index: ExchangeIndex
    exchange_replies: Mapping[str, SelectedReply]
    """What the exchanges answer, by their names."""
    user_exchange_index: ExchangeIndex
    """Matches the user's own exchanges alone: what was planned as data."""
    stubs: StubRegistry = field(default_factory=StubRegistry)
    """Replies set from code; they answer before anything else does."""
    strict: bool = False
    """Whether, once a reply is set from code, a request that nothing was planned for is refused."""
    journal: Journal = field(default_factory=Journal)
    faults: tuple[RequestedFault, ...] = ()
    """The faults in force: each breaks a request by its probability."""
    limiter: RateLimiter | None = None
    """Counts what is asked, where there are limits."""
    delivery: Delivery = DEFAULT_DELIVERY
    """How answers go out where nothing else was said."""
    max_counted_requests: int = MAX_COUNTED_REQUESTS
    pauses_by_clock: bool = False
    """Whether the pauses of an answer end when the session's clock is moved, and not by themselves."""
    whole_arguments: bool = False
    """Whether the arguments of function calls come with their items, and not by events."""
    # Counts are kept in two halves, of which the older is dropped when the newer is full.
    _occurrences: dict[bytes, int] = field(default_factory=dict)
    _older_occurrences: dict[bytes, int] = field(default_factory=dict)

    def next_occurrence(self, digest: bytes) -> int:
        """How often a request with this digest came before."""
        count = self._occurrences.get(digest)
        if count is None:
            count = self._older_occurrences.get(digest, -1)
            if len(self._occurrences) >= self.max_counted_requests:
                self._older_occurrences, self._occurrences = self._occurrences, {}
        self._occurrences[digest] = count + 1
        return count + 1

    def new_timer(self) -> Timer:
        """What keeps the time of an answer."""
        return Timer(self.clock, by_clock=self.pauses_by_clock)

    def fault_for(self, path: str, body: bytes) -> RequestedFault | None:
        """The fault in force that breaks this request, the first whose turn it is."""
        return next((fault for fault in self.faults if self.fault_if_due(fault, path, body)), None)

    def fault_if_due(self, fault: RequestedFault, path: str, body: bytes) -> RequestedFault | None:
        """The fault, where it breaks this request: by its probability, and by how often that came before."""
        if fault.is_unconditional:
            return fault
        digest = request_digest(b"fault %b %b %b" % (fault.name.encode(), path.encode(), body))
        occurrence = self.next_occurrence(digest)
        drawn = self.ids.draw(digest, occurrence, 1)[0]
        return fault if fault.applies(occurrence, int(drawn[:12], 16) / (1 << 48)) else None

    def reset(self) -> None:
        """Forget everything that happened; the settings stay."""
        self.stubs.clear()
        self.journal.clear()
        self.exchange_index.reset()
        if self.limiter is not None:
            self.limiter.reset()
        self.user_exchange_index.reset()
        self._occurrences.clear()
        self._older_occurrences.clear()
        if isinstance(self.clock, SteppedClock):
            self.clock.reset()


def open_session(
    name: str = DEFAULT_SESSION_NAME,
    *,
    profile: str,
    rendering: str = "wire",
    seed: int | None = None,
    models: Container[str] | None = None,
    exchanges: Iterable[Exchange] | None = None,
    user_exchanges: Iterable[Exchange] = (),
    max_counted_requests: int = MAX_COUNTED_REQUESTS,
) -> Session:
    """A new session; a seed also starts a stepped clock. UnknownProfile, ConfigurationError.

    `exchanges` answer what no stub does, by default the documented ones; the user's `own` come before them.
    """
    about = load_profile(profile)
    load_rendering(profile, rendering)
    accepted = models if models is not None else AnyModel() if about.any_model else about.models
    session = Session(
        name=name,
        profile=about,
        rendering=rendering,
        models=accepted,
        ids=IdSource(seed, name),
        clock=SystemClock() if seed is None else SteppedClock(),
        request_checker=RequestChecker(about, accepted),
        exchange_index=ExchangeIndex((), about),
        exchange_replies={},
        user_exchange_index=ExchangeIndex((), about),
        max_counted_requests=max_counted_requests,
    )
    use_exchanges(session, packaged_exchanges(profile) if exchanges is None else exchanges, user_exchanges)
    return session


def derive_session(session: Session, name: str, seed: int | None = None) -> Session:
    """A new session with the settings of another, and ids of its own, from the same seed unless one is given.

    Exchanges are shared; nothing that happened in one is seen in the other.
    """
    stepped = seed is not None or isinstance(session.clock, SteppedClock)
    return Session(
        name=name,
        profile=session.profile,
        rendering=session.rendering,
        models=session.models,
        ids=session.ids.for_session(name) if seed is None else IdSource(seed, name),
        clock=SteppedClock() if stepped else SystemClock(),
        request_checker=session.request_checker,
        exchange_index=session.exchange_index.for_new_session(),
        exchange_replies=session.exchange_replies,
        user_exchange_index=session.user_exchange_index.for_new_session(),
        strict=session.strict,
        journal=session.journal.for_new_session(),
        faults=session.faults,
        limiter=RateLimiter(session.limiter.limits) if session.limiter else None,
        delivery=session.delivery,
        max_counted_requests=session.max_counted_requests,
        whole_arguments=session.whole_arguments,
        pauses_by_clock=session.pauses_by_clock,
    )


def use_exchanges(
    session: Session, exchanges: Iterable[Exchange], user_exchanges: Iterable[Exchange] = ()
) -> None:
    """Answer from these from now on, all at once or, where one can not be served, not at all.

    InvalidExchange says which, where and why. The user's `own` are held against the contract.
    """
    user_exchanges, about = tuple(user_exchanges), session.profile
    # The first of a name stands: a file of the user's own takes the place of a documented sample's.
    known = tuple({each.name: each for each in reversed((*user_exchanges, *exchanges))}.values())[::-1]
    served = [each for each in known if each.profile in (None, about.name)]
    mine = {id(each) for each in user_exchanges}
    session.exchange_replies = {
        each.name: SelectedReply(
            each.name,
            prepare_reply(each, about, session.rendering, check_contract=id(each) in mine),
            prepare_delivery(each),
        )
        for each in served
    }
    session.exchange_index, session.user_exchange_index = (
        ExchangeIndex(known, about),
        ExchangeIndex(user_exchanges, about),
    )
