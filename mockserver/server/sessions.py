"""Sessions: all mutable state but the store, so that tests side by side do not meet.

A server has one to begin with; `directory` has those that are named.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from mockserver.clock import Clock, SteppedClock, SystemClock
from mockserver.contract.requests import AnyModel, RequestChecker
from mockserver.exchanges import Exchange, packaged_exchanges
from mockserver.ids import IdSource, request_digest
from mockserver.profiles import Profile, load_profile
from mockserver.replies.renderings import load_rendering
from mockserver.server.delivery import DEFAULT_DELIVERY, Delivery
from mockserver.server.faults import AskedFault
from mockserver.server.journal import Journal
from mockserver.server.limits import Limiter
from mockserver.server.matching import ExchangeMatcher
from mockserver.server.saying import Reply, ready_delivery, ready_reply
from mockserver.server.stubs import Stubs
from mockserver.server.timing import Timer

__all__ = ["COUNTED", "FIRST", "AnyModel", "Chosen", "Session", "open_session", "sibling", "use_exchanges"]

#: Name of the session that a server has to begin with, and of what is for no session by name.
FIRST = "default"

#: Requests whose occurrences are counted, the least recent forgotten first: more than the store keeps, so
#: that an id can come again only when its first bearer is long forgotten.
COUNTED = 20_000


class Chosen(NamedTuple):
    """What answers a request."""

    name: str | None
    """Of the exchange or the stub."""
    reply: Reply
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
    judge: RequestChecker
    matcher: ExchangeMatcher
    replies: Mapping[str, Chosen]
    """What the exchanges answer, by their names."""
    own: ExchangeMatcher
    """Matches the user's own exchanges alone: what was planned as data."""
    stubs: Stubs = field(default_factory=Stubs)
    """Replies set from code; they answer before anything else does."""
    strict: bool = False
    """Whether, once a reply is set from code, a request that nothing was planned for is refused."""
    journal: Journal = field(default_factory=Journal)
    faults: tuple[AskedFault, ...] = ()
    """The faults in force: each breaks a request by its probability."""
    limiter: Limiter | None = None
    """Counts what is asked, where there are limits."""
    delivery: Delivery = DEFAULT_DELIVERY
    """How answers go out where nothing else was said."""
    counted: int = COUNTED
    pauses_by_clock: bool = False
    """Whether the pauses of an answer end when the session's clock is moved, and not by themselves."""
    whole_arguments: bool = False
    """Whether the arguments of function calls come with their items, and not by events."""
    # Counts are kept in two halves, of which the older is dropped when the newer is full.
    _seen: dict[bytes, int] = field(default_factory=dict)
    _seen_before: dict[bytes, int] = field(default_factory=dict)

    def occurrence(self, digest: bytes) -> int:
        """How often a request with this digest came before."""
        count = self._seen.get(digest)
        if count is None:
            count = self._seen_before.get(digest, -1)
            if len(self._seen) >= self.counted:
                self._seen_before, self._seen = self._seen, {}
        self._seen[digest] = count + 1
        return count + 1

    def timer(self) -> Timer:
        """What keeps the time of an answer."""
        return Timer(self.clock, by_clock=self.pauses_by_clock)

    def struck(self, path: str, body: bytes) -> AskedFault | None:
        """The fault in force that breaks this request, the first whose turn it is."""
        return next((fault for fault in self.faults if self.struck_by(fault, path, body)), None)

    def struck_by(self, fault: AskedFault, path: str, body: bytes) -> AskedFault | None:
        """The fault, where it breaks this request: by its probability, and by how often that came before."""
        if fault.always:
            return fault
        digest = request_digest(b"fault %b %b %b" % (fault.name.encode(), path.encode(), body))
        occurrence = self.occurrence(digest)
        drawn = self.ids.draw(digest, occurrence, 1)[0]
        return fault if fault.strikes(occurrence, int(drawn[:12], 16) / (1 << 48)) else None

    def reset(self) -> None:
        """Forget everything that happened; the settings stay."""
        self.stubs.clear()
        self.journal.clear()
        self.matcher.reset()
        if self.limiter is not None:
            self.limiter.reset()
        self.own.reset()
        self._seen.clear()
        self._seen_before.clear()
        if isinstance(self.clock, SteppedClock):
            self.clock.reset()


def open_session(
    name: str = FIRST,
    *,
    profile: str,
    rendering: str = "wire",
    seed: int | None = None,
    models: Container[str] | None = None,
    exchanges: Iterable[Exchange] | None = None,
    own: Iterable[Exchange] = (),
    counted: int = COUNTED,
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
        judge=RequestChecker(about, accepted),
        matcher=ExchangeMatcher((), about),
        replies={},
        own=ExchangeMatcher((), about),
        counted=counted,
    )
    use_exchanges(session, packaged_exchanges(profile) if exchanges is None else exchanges, own)
    return session


def sibling(session: Session, name: str, seed: int | None = None) -> Session:
    """A new session with the settings of another, and ids of its own, from the same seed unless one is given.

    Exchanges are shared; nothing that happened in one is seen in the other.
    """
    stepped = seed is not None or isinstance(session.clock, SteppedClock)
    return Session(
        name=name,
        profile=session.profile,
        rendering=session.rendering,
        models=session.models,
        ids=session.ids.named(name) if seed is None else IdSource(seed, name),
        clock=SteppedClock() if stepped else SystemClock(),
        judge=session.judge,
        matcher=session.matcher.again(),
        replies=session.replies,
        own=session.own.again(),
        strict=session.strict,
        journal=session.journal.again(),
        faults=session.faults,
        limiter=Limiter(session.limiter.limits) if session.limiter else None,
        delivery=session.delivery,
        counted=session.counted,
        whole_arguments=session.whole_arguments,
        pauses_by_clock=session.pauses_by_clock,
    )


def use_exchanges(session: Session, exchanges: Iterable[Exchange], own: Iterable[Exchange] = ()) -> None:
    """Answer from these from now on, all at once or, where one can not be served, not at all.

    InvalidExchange says which, where and why. The user's `own` are held against the contract.
    """
    own, about = tuple(own), session.profile
    # The first of a name stands: a file of the user's own takes the place of a documented sample's.
    known = tuple({each.name: each for each in reversed((*own, *exchanges))}.values())[::-1]
    served = [each for each in known if each.profile in (None, about.name)]
    mine = {id(each) for each in own}
    session.replies = {
        each.name: Chosen(
            each.name,
            ready_reply(each, about, session.rendering, judged=id(each) in mine),
            ready_delivery(each),
        )
        for each in served
    }
    session.matcher, session.own = ExchangeMatcher(known, about), ExchangeMatcher(own, about)
