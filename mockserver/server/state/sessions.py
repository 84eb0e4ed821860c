"""Sessions: isolated state, all of it but the store, so that tests can share a server.

A server starts with one session; `session_registry` manages the named ones.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mockserver.clock import Clock, SteppedClock, SystemClock
from mockserver.contract.bodies.requests import AnyModel, RequestChecker
from mockserver.errors import InvalidExchange
from mockserver.exchanges import Exchange, packaged_exchanges
from mockserver.ids import IdSource, request_digest
from mockserver.profiles import Profile, load_profile
from mockserver.replies.renderings import load_rendering
from mockserver.server.delivery.faults import RequestedFault
from mockserver.server.delivery.options import DEFAULT_DELIVERY, Delivery
from mockserver.server.delivery.timer import Timer
from mockserver.server.output_lengths import OutputLength
from mockserver.server.state.journal import Journal
from mockserver.server.state.request_cache import RequestCache
from mockserver.server.state.store import SharedStore
from mockserver.server.stubs.document_problems import explain_exchange
from mockserver.server.stubs.exchange_index import ExchangeIndex
from mockserver.server.stubs.exchange_replies import (
    ScriptCaches,
    SelectedReply,
    prepare_delivery,
    prepare_reply,
    require_known_profile,
)
from mockserver.server.stubs.spellings import JSON, Spelling
from mockserver.server.stubs.stubs import StubRegistry

if TYPE_CHECKING:
    from mockserver.server.state.rate_limits import RateLimiter

__all__ = [
    "DEFAULT_SESSION_NAME",
    "MAX_COUNTED_REQUESTS",
    "AnyModel",
    "Session",
    "derive_session",
    "open_session",
    "set_structured_output",
    "use_exchanges",
]

#: Name of the session for requests that do not name one.
DEFAULT_SESSION_NAME = "default"

#: Requests whose occurrences are counted; the least recent are dropped first. There are more of them than
#: records in the store, so an id can repeat only after its first response has been evicted.
MAX_COUNTED_REQUESTS = 20_000


@dataclass(slots=True, eq=False, repr=False)
class Session:
    """Isolated state on a server: its settings, stubs, faults, journal, clock and ids."""

    name: str
    profile: Profile
    rendering: str
    models: Container[str]
    ids: IdSource
    clock: Clock
    request_checker: RequestChecker
    exchange_index: ExchangeIndex
    exchange_replies: Mapping[str, SelectedReply]
    """Replies by exchange name."""
    user_exchange_index: ExchangeIndex
    """The user's own exchanges, without the documented samples."""
    stubs: StubRegistry = field(default_factory=StubRegistry)
    """Stubs from Python or the admin API; they answer before exchanges do."""
    strict: bool = False
    """Whether unmatched requests are rejected once there is a stub."""
    journal: Journal = field(default_factory=Journal)
    faults: tuple[RequestedFault, ...] = ()
    """Faults that apply to every request, each with its probability."""
    limiter: RateLimiter | None = None
    """None: no limits."""
    delivery: Delivery = DEFAULT_DELIVERY
    """The default delivery of replies."""
    max_counted_requests: int = MAX_COUNTED_REQUESTS
    strict_from_start: bool = False
    """Whether a strict session rejects unmatched requests also before there is a stub."""
    has_fallback: bool = False
    """Whether a live endpoint answers unmatched requests; documented samples and generated replies do not."""
    spelling: Spelling = JSON
    """How messages to clients spell what they suggest."""
    pauses_by_clock: bool = False
    """Whether pauses end when a test advances the session's clock, instead of in real time."""
    structured_output: str = ""
    """"ignore" or "obey" for `text.format`; if empty, the profile decides."""
    whole_arguments: bool = False
    """Whether function call items carry their arguments, instead of delta events."""
    output_length: OutputLength | None = None
    """How many tokens generated replies have; None: as the texts come."""
    shared_store: SharedStore | None = None
    """Counts what all servers with this session have to count together; None: it is this server's own."""
    shares_seed: bool = False
    """Whether other servers give the same ids to the same requests, so that they count equal requests together."""
    plans: RequestCache[Any] = field(default_factory=RequestCache)
    """The engine's plans of requests, valid for one version of the settings and of the stubs."""
    forms: RequestCache[Any] = field(default_factory=RequestCache)
    """The engine's forms of requests, by what is around their texts; valid as long as the plans."""
    version: int = field(default=0, init=False)
    """Changes whenever an attribute is set."""
    # Two generations of counts: the older is dropped when the newer is full.
    _occurrences: dict[bytes, int] = field(default_factory=dict)
    _older_occurrences: dict[bytes, int] = field(default_factory=dict)

    def __setattr__(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)
        if name != "version":
            object.__setattr__(self, "version", getattr(self, "version", 0) + 1)

    def share_store(self, store: SharedStore, *, shares_seed: bool) -> None:
        """Count in a store of several servers what they count together."""
        self.shared_store, self.shares_seed = store, shares_seed
        self.set_exchanges(self.exchange_replies, self.exchange_index, self.user_exchange_index)

    def set_exchanges(
        self,
        replies: Mapping[str, SelectedReply],
        exchange_index: ExchangeIndex,
        user_exchange_index: ExchangeIndex,
    ) -> None:
        """Replace the exchanges, and what they have counted."""
        for each in (exchange_index, user_exchange_index):
            each.counts_for_itself = self.shared_store is None
        self.exchange_replies = replies
        self.exchange_index, self.user_exchange_index = exchange_index, user_exchange_index

    def next_occurrence(self, digest: bytes) -> int:
        """Count a request and return how often one with this digest came before."""
        occurrence = self.occurrence_of(digest)
        self.count_occurrence(digest, occurrence)
        return occurrence

    def occurrence_of(self, digest: bytes) -> int:
        """Return how often a request with this digest was counted."""
        latest = self._occurrences.get(digest)
        return (self._older_occurrences.get(digest, -1) if latest is None else latest) + 1

    def count_occurrence(self, digest: bytes, occurrence: int) -> None:
        """Count a request with this digest, before which there were so many."""
        if len(self._occurrences) >= self.max_counted_requests and digest not in self._occurrences:
            self._older_occurrences, self._occurrences = self._occurrences, {}
        self._occurrences[digest] = occurrence

    async def next_shared_occurrence(self, digest: bytes, *, by_all_servers: bool = False) -> int:
        """Like `next_occurrence`, but of all servers if they share the seed or `by_all_servers` says so."""
        if self.shared_store is not None and (self.shares_seed or by_all_servers):
            return await self.shared_store.count(self.name, digest)
        return self.next_occurrence(digest)

    def new_timer(self, arrived_at: float) -> Timer:
        """What keeps the time of the answer to a request that arrived then, by the loop's clock."""
        return Timer(self.clock, by_clock=self.pauses_by_clock, arrived_at=arrived_at)

    async def fault_for(self, path: str, body: bytes) -> RequestedFault | None:
        """Return the first of the session's faults that applies to this request."""
        for fault in self.faults:
            if await self.fault_if_due(fault, path, body) is not None:
                return fault
        return None

    async def fault_if_due(self, fault: RequestedFault, path: str, body: bytes) -> RequestedFault | None:
        """Return the fault if it applies to this request, by its probability and `first`; else None."""
        if fault.is_unconditional:
            return fault
        digest = request_digest(b"fault %b %b %b" % (fault.name.encode(), path.encode(), body))
        occurrence = await self.next_shared_occurrence(digest, by_all_servers=fault.first is not None)
        drawn = self.ids.draw(digest, occurrence, 1)[0]
        return fault if fault.applies(occurrence, int(drawn[:12], 16) / (1 << 48)) else None

    def reset(self) -> None:
        """Clear stubs, journal, counters and clock; the settings stay."""
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
    """Create a session; with a seed it has a stepped clock. Raises UnknownProfile or ConfigurationError.

    `user_exchanges` answer before `exchanges`, which are by default the profile's documented samples.
    """
    loaded = load_profile(profile)
    load_rendering(profile, rendering)
    accepted = models if models is not None else AnyModel() if loaded.any_model else loaded.models
    session = Session(
        name=name,
        profile=loaded,
        rendering=rendering,
        models=accepted,
        ids=IdSource(seed, name),
        clock=SystemClock() if seed is None else SteppedClock(),
        request_checker=RequestChecker(loaded, accepted),
        exchange_index=ExchangeIndex((), loaded),
        exchange_replies={},
        user_exchange_index=ExchangeIndex((), loaded),
        max_counted_requests=max_counted_requests,
    )
    use_exchanges(session, packaged_exchanges(profile) if exchanges is None else exchanges, user_exchanges)
    return session


def set_structured_output(session: Session, structured_output: str) -> None:
    """Make a session "ignore" or "obey" `text.format`; if empty, as its profile does."""
    session.structured_output = structured_output
    if structured_output:
        session.profile = session.profile._replace(ignores_text_format=structured_output == "ignore")
        session.request_checker = RequestChecker(session.profile, session.models)


def derive_session(session: Session, name: str, seed: int | None = None) -> Session:
    """Create a session with another's settings and exchanges, and its own ids and state.

    The ids follow from the other's seed and the new name, unless `seed` is given.
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
        limiter=session.limiter.for_new_session() if session.limiter else None,
        delivery=session.delivery,
        max_counted_requests=session.max_counted_requests,
        structured_output=session.structured_output,
        whole_arguments=session.whole_arguments,
        output_length=session.output_length,
        shared_store=session.shared_store,
        shares_seed=session.shares_seed,
        pauses_by_clock=session.pauses_by_clock,
        strict_from_start=session.strict_from_start,
        has_fallback=session.has_fallback,
        spelling=session.spelling,
    )


def use_exchanges(
    session: Session, exchanges: Iterable[Exchange], user_exchanges: Iterable[Exchange] = ()
) -> None:
    """Replace a session's exchanges. Raises InvalidExchange, and then changes nothing.

    Of two exchanges with the same name the user's answers. The user's are also checked against the contract.
    """
    user_exchanges, profile = tuple(user_exchanges), session.profile
    unique = tuple({each.name: each for each in reversed((*user_exchanges, *exchanges))}.values())[::-1]
    user_ids = {id(each) for each in user_exchanges}
    replies: dict[str, SelectedReply] = {}
    caches = ScriptCaches()
    errors: list[InvalidExchange] = []
    for each in unique:
        try:
            require_known_profile(each)
            if each.profile in (None, profile.name):
                reply = prepare_reply(each, profile, session.rendering, check_contract=id(each) in user_ids)
                replies[each.name] = SelectedReply(
                    each.name, reply, prepare_delivery(each), caches.cache_of(reply)
                )
        except InvalidExchange as error:
            errors.append(explain_exchange(error, each, profile, session.rendering))
    if errors:
        raise InvalidExchange.combine(errors)
    session.set_exchanges(replies, ExchangeIndex(unique, profile), ExchangeIndex(user_exchanges, profile))
