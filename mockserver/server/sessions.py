"""Sessions: all mutable state but the store, so that tests side by side do not meet."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field

from mockserver.clock import Clock, SteppedClock, SystemClock
from mockserver.contract.requests import AnyModel, RequestJudge
from mockserver.errors import ConfigurationError
from mockserver.exchanges import Exchange, packaged_exchanges
from mockserver.ids import IdSource, request_digest
from mockserver.profiles import Profile, load_profile
from mockserver.replies.renderings import load_rendering
from mockserver.replies.script import Script, require_servable, script_from
from mockserver.server.delivery import PLAIN, Delivery
from mockserver.server.faults import AskedFault, parse_fault
from mockserver.server.journal import Journal
from mockserver.server.limits import Limiter
from mockserver.server.matching import Matcher
from mockserver.server.stubs import Stubs

__all__ = ["COUNTED", "AnyModel", "Session", "delivery_from", "open_session", "use_exchanges"]

#: Requests whose occurrences are counted, the least recent forgotten first: more than the store keeps, so
#: that an id can come again only when its first bearer is long forgotten.
COUNTED = 20_000


@dataclass(slots=True)
class Session:
    """One conversation partner: a profile, its rendering, and what happened so far."""

    name: str
    profile: Profile
    rendering: str
    models: Container[str]
    ids: IdSource
    clock: Clock
    judge: RequestJudge
    matcher: Matcher
    scripts: Mapping[str, Script]
    """Scripts of those exchanges whose reply is one, by the exchange's name."""
    own: Matcher
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
    delivery: Delivery = PLAIN
    """How answers go out where nothing else was said."""
    deliveries: Mapping[str, Delivery] = field(default_factory=dict)
    """How those of exchanges go out, by the exchange's name."""
    counted: int = COUNTED
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
    name: str = "default",
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
        judge=RequestJudge(about, accepted),
        matcher=Matcher((), about),
        scripts={},
        own=Matcher((), about),
        counted=counted,
    )
    use_exchanges(session, packaged_exchanges(profile) if exchanges is None else exchanges, own)
    return session


def use_exchanges(session: Session, exchanges: Iterable[Exchange], own: Iterable[Exchange] = ()) -> None:
    """Answer from these from now on, all at once or, where one can not be served, not at all.

    ConfigurationError says which and why.
    """
    own, about = tuple(own), session.profile
    # The first of a name stands: a file of the user's own takes the place of a documented sample's.
    known = tuple({each.name: each for each in reversed((*own, *exchanges))}.values())[::-1]
    scripts = {each.name: script_from(each.reply["script"]) for each in known if "script" in each.reply}
    for script in scripts.values():
        require_servable(script, about)
    deliveries = {each.name: _delivery_of(each) for each in known if each.delivery}
    session.scripts, session.deliveries = scripts, deliveries
    session.matcher, session.own = Matcher(known, about), Matcher(own, about)


def _delivery_of(exchange: Exchange) -> Delivery:
    try:
        return delivery_from(exchange.delivery or {})
    except ConfigurationError as error:
        raise ConfigurationError(f"the exchange {exchange.name}, /delivery: {error}") from None


def delivery_from(data: Mapping[str, str]) -> Delivery:
    """What `{"fault"?, "pace"?, "chunking"?}` says; ConfigurationError."""
    fault = parse_fault(data["fault"]) if "fault" in data else None
    return Delivery(fault, data.get("pace"), data.get("chunking"))
