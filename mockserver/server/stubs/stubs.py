"""Stubs from Python and the admin API, and the registry that selects the one to answer a request.

A test adds stubs in its own thread while the server takes them in another, so both hold one lock.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Awaitable, Callable, Collection, Container, Iterable, Mapping, Sequence
from itertools import chain, count, islice
from operator import attrgetter
from threading import Lock
from typing import Any, Self, TypeAlias, TypeVar

from mockserver.errors import ConfigurationError
from mockserver.named_tuples import NamedTuple
from mockserver.replies.script import FunctionCall, Message, Reasoning, Script
from mockserver.server.delivery.faults import RequestedFault, ServiceFault
from mockserver.server.delivery.options import DEFAULT_DELIVERY, Delivery
from mockserver.server.stubs.exchange_replies import ScriptCaches, SelectedReply
from mockserver.server.stubs.matcher_index import MatcherIndex
from mockserver.server.stubs.matchers import ANY_REQUEST, IncomingRequest, Matcher
from mockserver.suggestions import choose_from

__all__ = ["FunctionReply", "Stub", "StubDefinition", "StubRegistry", "StubReply"]

#: Characters of a reply's text to show.
_MAX_SHOWN_TEXT = 60
#: Stubs to list in a message, the latest ones.
_MAX_LISTED = 5
#: Stubs to compare with an unmatched request, the latest ones.
_MAX_COMPARED = 1000


class FunctionReply(NamedTuple):
    """The checked result of a reply function."""

    reply: Script | RequestedFault | Mapping[str, Any]
    delivery: Delivery


StubReply: TypeAlias = (
    Script
    | RequestedFault
    | ServiceFault
    | Mapping[str, Any]
    | Callable[[IncomingRequest], Awaitable[FunctionReply]]
    | None
)
"""A script, an error of the service, the `error`, `body` or `http` reply of an exchange, or a function of the
request. None: whatever answers without the stub, for stubs that only add a fault."""


class StubDefinition(NamedTuple):
    """The configuration of a stub."""

    reply: StubReply
    times: int | None = 1
    """How often it answers; None: always."""
    matcher: Matcher = ANY_REQUEST
    delivery: Delivery = DEFAULT_DELIVERY
    name: str = ""
    """Its name in `after=` and in the journal."""
    scenario: str = ""
    """The scenario this stub is a step of; it answers only requests that name the scenario."""
    document: Mapping[str, Any] | None = None
    """The exchange that it was made from; None for a stub from Python."""


class Stub:
    """A configured reply; by default it answers once."""

    __slots__ = (
        "_definition",
        "_registry",
        "_times",
        "call_count",
        "position",
        "selected",
    )

    def __init__(self, registry: StubRegistry, position: int, definition: StubDefinition) -> None:
        self._registry = registry
        self.position = position
        """Among all stubs: the first that matches answers."""
        self._set_definition(definition)
        self.call_count = 0
        """How often it has answered."""

    def move_to(self, registry: StubRegistry) -> Self:
        """Belong to another registry, which then adds it in the place of another stub."""
        self._registry = registry
        return self

    def change_definition(self, **members: Any) -> None:
        """Replace members of its definition; only the registry, which holds the lock, may call this."""
        self._set_definition(self._definition._replace(**members))

    def _set_definition(self, definition: StubDefinition) -> None:
        self._definition = definition
        # What every request reads, in few objects: among 10,000 stubs, each one more takes longer to fetch.
        self._times = definition.times
        name, reply, delivery = definition.name, definition.reply, definition.delivery
        self.selected = (
            SelectedReply(name, reply, delivery, self._registry.script_caches.cache_of(reply))
            if isinstance(reply, Script)
            else None
        )
        """Its reply, if that is a script."""

    @property
    def definition(self) -> StubDefinition:
        """Its configuration."""
        return self._definition

    @property
    def name(self) -> str:
        """Its name in `after=` and in the journal."""
        return self._definition.name

    def times(self, count: int) -> Self:
        """Answer `count` requests. Raises ConfigurationError if `count` is not a positive integer."""
        if type(count) is not int or count < 1:
            raise ConfigurationError(f"times() takes an integer of at least 1, not {count!r}")
        self._registry.change_times(self, count)
        return self

    def once(self) -> Self:
        """Answer one request, which is the default."""
        return self.times(1)

    def always(self) -> Self:
        """Answer any number of requests, including none."""
        self._registry.change_times(self, None)
        return self

    def release_replies(self) -> None:
        """Send the replies that it holds: its test is over, or it answers no longer."""
        hold = self.definition.delivery.hold
        if hold is not None:
            hold.release()

    @property
    def is_exhausted(self) -> bool:
        """Whether it has answered as often as configured."""
        return self._times is not None and self.call_count >= self._times

    @property
    def is_pending(self) -> bool:
        """Whether it has answered less often than configured."""
        return self.definition.times is not None and self.call_count < self.definition.times

    def __str__(self) -> str:
        times = self.definition.times
        expected = "any number of times" if times is None else _format_count(times)
        condition = f" when {self.definition.matcher}" if self.definition.matcher is not ANY_REQUEST else ""
        if self.definition.scenario:
            condition = f" in the scenario {self.definition.scenario}"
        used = f"used {_format_count(self.call_count)}" if self.call_count else "not used"
        return f"{_describe_reply(self.definition)}{condition} (expected {expected}, {used})"

    def __repr__(self) -> str:
        return f"<Stub {self}>"


_Stub = TypeVar("_Stub", bound=Stub)
_position_of = attrgetter("position")


class StubRegistry:
    """The stubs of a session. The first that matches answers.

    The indexes hold those that are not exhausted, so neither their number nor that of the others matters.
    """

    def __init__(self) -> None:
        self._stubs: dict[str, Stub] = {}
        self._index: MatcherIndex[Stub] = MatcherIndex()
        self._scenarios: dict[str, list[Stub]] = {}
        self._next_position = 0
        self._scripts: dict[Script, Script] = {}
        self.script_caches = ScriptCaches()
        self._lock = Lock()
        self._special: set[str] = set()
        """Names of the stubs that are not plain."""
        self._unrepeatable: set[str] = set()
        """Names of the stubs with a matcher that is not repeatable."""
        self.version = 0
        """Changes whenever a stub is added, removed, replaced, moved or may answer more or less often."""

    def __len__(self) -> int:
        return len(self._stubs)

    def __str__(self) -> str:
        omitted = len(self._stubs) - _MAX_LISTED
        prefix = [f"{omitted} earlier stubs"] if omitted > 0 else []
        return "; ".join([*prefix, *map(str, self._latest(_MAX_LISTED))])

    @property
    def is_empty(self) -> bool:
        """Whether there are no stubs, exhausted ones included."""
        return not self._stubs

    @property
    def are_plain(self) -> bool:
        """Whether all stubs answer any number of requests with a script, and call no code of a test to match."""
        return not self._special

    @property
    def are_repeatable(self) -> bool:
        """Whether the same stub answers the same body whenever it is sent as a first turn, if they are plain too."""
        return not self._unrepeatable

    @property
    def all(self) -> tuple[Stub, ...]:
        """Every stub since the last reset, exhausted ones included."""
        return tuple(self._stubs.values())

    @property
    def pending(self) -> list[Stub]:
        """The stubs that have answered less often than configured."""
        return [stub for stub in self.all if stub.is_pending]

    def add(self, reply: StubReply, **members: Any) -> Stub:
        """Add a stub with the members of `StubDefinition`. Raises ConfigurationError for a duplicate name."""
        return self.add_as(Stub, reply, **members)

    def add_as(self, stub_class: type[_Stub], reply: StubReply, **members: Any) -> _Stub:
        """Like `add`, for a subclass of `Stub`."""
        with self._lock:
            name = members.pop("name", "") or self._free_name()
            if name in self._stubs:
                raise ConfigurationError(f"another stub has the name {name!r}")
            return self._append(stub_class, StubDefinition(self._shared(reply), name=name, **members))

    def add_all(self, definitions: Sequence[StubDefinition], reserved: Collection[str] = ()) -> list[Stub]:
        """Add stubs, all or none. Raises ConfigurationError for a duplicate name.

        Those without a name get none of the reserved ones.
        """
        with self._lock:
            names: set[str] = set()
            for each in definitions:
                if each.name in names or each.name in self._stubs:
                    raise ConfigurationError(f"another stub has the name {each.name!r}")
                names.update([each.name] if each.name else [])
            names.update(reserved)
            return [
                self._append(
                    Stub,
                    each._replace(reply=self._shared(each.reply), name=each.name or self._free_name(names)),
                )
                for each in definitions
            ]

    def _shared(self, reply: StubReply) -> StubReply:
        # Equal scripts become one object, which makes the cache of templates faster.
        return self._scripts.setdefault(reply, reply) if isinstance(reply, Script) else reply

    def _append(self, stub_class: type[_Stub], definition: StubDefinition) -> _Stub:
        stub = self._stubs[definition.name] = stub_class(self, self._next_position, definition)
        self._next_position += 1
        self._index_stub(stub)
        self._note_if_special(stub)
        self.version += 1
        return stub

    def _note_if_special(self, stub: Stub) -> None:
        definition = stub.definition
        if (
            definition.times is None
            and isinstance(definition.reply, Script)
            and definition.delivery is DEFAULT_DELIVERY
            and definition.matcher.predicate is None
        ):
            self._special.discard(stub.name)
        else:
            self._special.add(stub.name)
        if definition.matcher.is_repeatable:
            self._unrepeatable.discard(stub.name)
        else:
            self._unrepeatable.add(stub.name)

    def _forget_if_special(self, name: str) -> None:
        self._special.discard(name)
        self._unrepeatable.discard(name)

    def take(self, request: IncomingRequest) -> Stub | None:
        """Take the stub that answers a request, and count the call; None if no stub matches."""
        if not self._stubs:
            return None
        with self._lock:
            return self._count_call(self._index.first_match(request))

    def find(self, request: IncomingRequest) -> Stub | None:
        """Like `take`, but without counting the call."""
        if not self._stubs:
            return None
        with self._lock:
            return self._index.first_match(request)

    def count_call(self, stub: Stub) -> None:
        """Count the call of a stub that was found."""
        with self._lock:
            self._count_call(stub)

    @property
    def selectable_names(self) -> set[str]:
        """Names that `x-mock-scenario` can select: of stubs and of scenarios."""
        return {*self._stubs, *self._scenarios}

    def take_by_name(self, name: str) -> Stub | None:
        """Take the stub of this name, or the scenario's next step; None if it is exhausted."""
        with self._lock:
            steps = self._scenarios.get(name)
            stub = self._stubs.get(name) if steps is None else next(iter(steps), None)
            return None if stub is None or stub.is_exhausted else self._count_call(stub)

    def near_misses(self, request: IncomingRequest) -> list[tuple[Stub, list[str]]]:
        """What each stub lacks to answer a request: the latest ones, without those of scenarios."""
        with self._lock:
            latest = self._latest(_MAX_COMPARED)
        candidates = [stub for stub in latest if not stub.definition.scenario]
        return [(stub, list(_differences(stub, request))) for stub in candidates]

    def change_times(self, stub: Stub, times: int | None) -> None:
        """Change how often a stub answers; an exhausted stub may answer again, in its old position."""
        with self._lock:
            if times is not None and stub.call_count > times:
                raise ConfigurationError(
                    f"the stub has already answered {stub.call_count} times, more than {times}"
                )
            was_exhausted = stub.is_exhausted
            stub.change_definition(times=times)
            if self._stubs.get(stub.name) is stub:
                self._note_if_special(stub)
            if stub.is_exhausted is not was_exhausted and self._stubs.get(stub.name) is stub:
                self._unindex(stub)
                self._index_stub(stub)
            self.version += 1

    def change_delivery(self, stub: Stub, delivery: Delivery) -> None:
        """Change how the replies of a stub are delivered."""
        with self._lock:
            stub.change_definition(delivery=delivery)
            if self._stubs.get(stub.name) is stub:
                self._note_if_special(stub)
            self.version += 1

    def get(self, name: str) -> Stub | None:
        """The stub of this name."""
        return self._stubs.get(name)

    def remove(self, name: str) -> None:
        """Remove a stub. Raises ConfigurationError if there is none of this name."""
        with self._lock:
            removed = self._require(name)
            removed.release_replies()
            self._unindex(removed)
            del self._stubs[name]
            self._forget_if_special(name)
            self._forget_scenario(removed.definition.scenario)
            self.version += 1

    def reorder(self, names: Sequence[str]) -> None:
        """Put the stubs in this order. Raises ConfigurationError unless each is named once."""
        with self._lock:
            if sorted(names) != sorted(self._stubs):
                known = ", ".join(self._stubs) or "none"
                raise ConfigurationError(f"the order must name each stub once; there are: {known}")
            self._stubs = {name: self._stubs[name] for name in names}
            for position, stub in enumerate(self._stubs.values()):
                stub.position = position
            self._next_position = len(self._stubs)
            self._index.reorder(_position_of)
            for steps in self._scenarios.values():
                steps.sort(key=_position_of)
            self.version += 1

    def replace(self, name: str, new: Stub) -> None:
        """Put a stub in the place of another one, and remove that one."""
        with self._lock:
            old = self._require(name)
            old.release_replies()
            stubs = [new if stub is old else stub for stub in self.all if stub is not new]
            self._unindex(old)
            if self._stubs.get(new.name) is new:
                self._unindex(new)
            self._forget_if_special(name)
            self._stubs = {stub.name: stub for stub in stubs}
            self._forget_scenario(old.definition.scenario)
            new.position = old.position
            self._index_stub(new)
            self._note_if_special(new)
            self.version += 1

    def clear(self) -> None:
        """Remove all stubs."""
        with self._lock:
            for stub in self._stubs.values():
                stub.release_replies()
            self._stubs, self._scenarios, self._scripts = {}, {}, {}
            self._special, self._unrepeatable = set(), set()
            self._index, self.script_caches = MatcherIndex(), ScriptCaches()
            self._next_position = 0
            self.version += 1

    def _free_name(self, reserved: Container[str] = ()) -> str:
        """`stub-N` for the next N that is free: stubs can be removed, and named by their users."""
        names = (f"stub-{number}" for number in count(len(self._stubs) + 1))
        return next(name for name in names if name not in self._stubs and name not in reserved)

    def _require(self, name: str) -> Stub:
        if name not in self._stubs:
            raise ConfigurationError(f"there is no stub {name!r}{choose_from(name, sorted(self._stubs))}")
        return self._stubs[name]

    def _latest(self, number: int) -> list[Stub]:
        return list(islice(reversed(self._stubs.values()), number))[::-1]

    def _forget_scenario(self, scenario: str) -> None:
        """Forget a scenario that has no stub any more."""
        if scenario and all(stub.definition.scenario != scenario for stub in self.all):
            del self._scenarios[scenario]

    def _count_call(self, stub: Stub | None) -> Stub | None:
        if stub is not None:
            stub.call_count += 1
            if stub.is_exhausted and self._stubs.get(stub.name) is stub:  # else it has been removed
                self._unindex(stub)
        return stub

    def _index_stub(self, stub: Stub) -> None:
        """Add a stub to the indexes, unless it is exhausted."""
        scenario = stub.definition.scenario
        steps = self._scenarios.setdefault(scenario, []) if scenario else None
        if stub.is_exhausted:
            return
        if steps is None:
            self._index.add(stub.position, stub.definition.matcher, stub)
        else:
            insort(steps, stub, key=_position_of)

    def _unindex(self, stub: Stub) -> None:
        steps = self._scenarios.get(stub.definition.scenario)
        if steps is None:
            self._index.discard(stub.position)
        elif stub in steps:
            steps.remove(stub)


def _differences(stub: Stub, request: IncomingRequest) -> Iterable[str]:
    exhausted = ["it is used up"] if stub.is_exhausted else []
    return chain(exhausted, stub.definition.matcher.differences(request))


def _format_count(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _describe_reply(definition: StubDefinition) -> str:
    reply, fault = definition.reply, definition.delivery.fault
    with_fault = f", with the fault {fault}" if fault is not None else ""
    if reply is None:
        return f"the default reply{with_fault}"
    if isinstance(reply, ServiceFault | RequestedFault):
        return f"the error {reply.name}"
    if isinstance(reply, Mapping):
        return f"a reply from {next(iter(reply))}{with_fault}"
    if not isinstance(reply, Script):
        return f"the result of {getattr(reply, '__name__', 'a function')}{with_fault}"
    descriptions = []
    for item in reply.items:
        if isinstance(item, Message):
            text = item.text if len(item.text) <= _MAX_SHOWN_TEXT else item.text[:_MAX_SHOWN_TEXT] + "…"
            descriptions.append(repr(text))
        elif isinstance(item, Reasoning):
            descriptions.append("reasoning")
        else:
            descriptions.append(
                f"a call of {item.name}" if isinstance(item, FunctionCall) else f"a {item.kind}"
            )
    return (", ".join(descriptions) or "nothing") + with_fault
