"""Stubs: replies planned from code, in the order in which they are given.

A test plans in its own thread while the server takes in another, so both go through one lock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from threading import Lock
from typing import Any, Self, TypeAlias, TypeVar

from mockserver.errors import ConfigurationError
from mockserver.replies.script import FunctionCall, Message, Reasoning, Script
from mockserver.server.delivery.delivery import DEFAULT_DELIVERY, Delivery
from mockserver.server.delivery.faults import RequestedFault, ServiceFault
from mockserver.server.stubs.matchers import ANY_REQUEST, IncomingRequest, Matcher

__all__ = ["Stub", "StubDefinition", "StubRegistry", "StubReply"]

#: Characters of a text that tell one planned reply from another.
_MAX_SHOWN_TEXT = 60
#: Stubs that are listed where all are told, the latest.
_MAX_LISTED = 5
#: Stubs that are looked at for the nearest to a request that none is for, the latest.
_MAX_COMPARED = 1000

StubReply: TypeAlias = (
    Script | RequestedFault | ServiceFault | Mapping[str, Any] | Callable[[IncomingRequest], Script] | None
)
"""A script, an error of the service, an exchange's reply of another kind, a function of the request; None:
what would answer anyhow."""


@dataclass(frozen=True, slots=True)
class StubDefinition:
    """What a stub was told: what it answers with, to whom, how, and how often; None: as often as asked."""

    reply: StubReply
    times: int | None = 1
    matcher: Matcher = ANY_REQUEST
    delivery: Delivery = DEFAULT_DELIVERY
    name: str = ""
    """What later turns and the journal call it."""
    scenario: str = ""
    """The scenario that it is a step of: then it answers those requests alone that name the scenario."""


class Stub:
    """One planned reply; it answers once unless told otherwise."""

    __slots__ = (
        "_registry",
        "_times",
        "call_count",
        "definition",
        "extra_matcher",
        "next_in_queue",
        "position",
    )

    def __init__(self, registry: StubRegistry, position: int, definition: StubDefinition) -> None:
        self._registry = registry
        self._times = definition.times  # what is looked at for each request is kept together
        self.position = position
        """Among all that are planned: the earlier answers."""
        self.extra_matcher = _build_extra_matcher(definition)
        """What a request must be like beside its prompt, by which stubs are looked up; None: anything."""
        self.next_in_queue: Stub | None = None
        """The next one that is looked up in the same way."""
        self.definition = definition
        self.call_count = 0
        """How often it has answered."""

    def set_times(self, times: int | None) -> None:
        """Answer so often from now on: the line's own way of planning it anew."""
        self.definition = replace(self.definition, times=times)
        self._times = times

    @property
    def name(self) -> str:
        """What later turns (`after=`) and the journal call it."""
        return self.definition.name

    def times(self, count: int) -> Self:
        """Answer `count` requests in a row; ConfigurationError where that is no number from 1 on."""
        if type(count) is not int or count < 1:
            raise ConfigurationError(f"times() takes a number from 1 on, not {count!r}")
        self._registry.change_times(self, count)
        return self

    def once(self) -> Self:
        """Answer one request, which is what it does unless told otherwise."""
        return self.times(1)

    def always(self) -> Self:
        """Answer every request from here on, none included."""
        self._registry.change_times(self, None)
        return self

    @property
    def is_exhausted(self) -> bool:
        """Whether it has answered as often as planned."""
        return self._times is not None and self.call_count >= self._times

    @property
    def is_pending(self) -> bool:
        """Whether it was to answer more often than it did."""
        return self.definition.times is not None and self.call_count < self.definition.times

    def __str__(self) -> str:
        planned = "always" if self.definition.times is None else f"{self.definition.times} times"
        planned = "once" if self.definition.times == 1 else planned
        given = "not given" if self.call_count == 0 else f"given {self.call_count} times"
        when = f" when {self.definition.matcher}" if self.definition.matcher is not ANY_REQUEST else ""
        when = f" in the scenario {self.definition.scenario}" if self.definition.scenario else when
        about = f"{_describe_reply(self.definition)}{when}"
        return f"{about} (planned {planned}, {'given once' if self.call_count == 1 else given})"

    def __repr__(self) -> str:
        return f"<Stub {self}>"


_Stub = TypeVar("_Stub", bound=Stub)


class _StubQueue:
    """Stubs in the order in which they were planned, those at its beginning that are spent left out.

    They are chained, not listed: of many rows with one stub each, only the row and the stub are touched.
    """

    __slots__ = ("_cursor", "_head", "_tail")

    def __init__(self) -> None:
        self._head: Stub | None = None
        self._cursor: Stub | None = None
        self._tail: Stub | None = None

    def add(self, stub: Stub) -> None:
        if self._tail is None:
            self._head = stub
        else:
            self._tail.next_in_queue = stub
        self._tail = stub
        if self._cursor is None:
            self._cursor = stub

    def rewind(self) -> None:
        """Look at all once more: one of them has something to give again."""
        self._cursor = self._head

    def first_match(self, request: IncomingRequest | None) -> Stub | None:
        """The first that is not spent and fits."""
        stub = self._cursor
        while stub is not None and stub.is_exhausted:
            stub = self._cursor = stub.next_in_queue
        while stub is not None:
            more = stub.extra_matcher
            if not stub.is_exhausted and (more is None or (request is not None and more.matches(request))):
                return stub
            stub = stub.next_in_queue
        return None


class StubRegistry:
    """The stubs of a session, first come first; those for an exact prompt are looked up by it."""

    def __init__(self) -> None:
        self._all: list[Stub] = []
        self._by_prompt: dict[str, _StubQueue] = {}
        self._by_folded_prompt: dict[str, _StubQueue] = {}
        self._without_prompt = _StubQueue()
        self._scenarios: dict[str, _StubQueue] = {}
        self._by_name: dict[str, Stub] = {}
        self._scripts: dict[Script, Script] = {}
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._all)

    def __str__(self) -> str:
        left_out = len(self._all) - _MAX_LISTED
        told = [f"{left_out} earlier ones"] if left_out > 0 else []
        return "; ".join([*told, *map(str, self._all[-_MAX_LISTED:])])

    @property
    def all(self) -> tuple[Stub, ...]:
        """Every stub since the last reset, spent ones too."""
        return tuple(self._all)

    @property
    def pending(self) -> list[Stub]:
        """Those that were to answer more often than they did."""
        return [stub for stub in self.all if stub.is_pending]

    def add(self, reply: StubReply, **members: Any) -> Stub:
        """Plan one more reply, behind the others; `plan` has the members of `Plan`. ConfigurationError."""
        return self.add_as(Stub, reply, **members)

    def add_as(self, stub_class: type[_Stub], reply: StubReply, **members: Any) -> _Stub:
        """As `add`, for a kind of stub that can do more."""
        with self._lock:
            place = len(self._all)
            if isinstance(reply, Script):
                # The same words are one script: its template is found at once where it is the very same.
                reply = self._scripts.setdefault(reply, reply)
            name = members.pop("name", "") or f"stub-{place + 1}"
            if name in self._by_name:
                raise ConfigurationError(f"another reply has the name {name!r}")
            stub = self._by_name[name] = stub_class(self, place, StubDefinition(reply, name=name, **members))
            self._all.append(stub)
            self._queue_for(stub, create=True).add(stub)
        return stub

    def take(self, request: IncomingRequest | None = None) -> Stub | None:
        """The stub that answers a request, which counts it; None where nothing planned is for it."""
        if not self._all:
            return None
        with self._lock:
            chosen = self._without_prompt.first_match(request)
            if request is not None:
                prompt = request.facts.prompt
                chosen = _earlier_match(chosen, self._by_prompt.get(prompt), request)
                if self._by_folded_prompt:
                    chosen = _earlier_match(chosen, self._by_folded_prompt.get(prompt.casefold()), request)
            if chosen is not None:
                chosen.call_count += 1
            return chosen

    @property
    def selectable_names(self) -> set[str]:
        """Names that a request may ask for: of plans, and of scenarios."""
        return {*self._by_name, *self._scenarios}

    def take_by_name(self, name: str) -> Stub | None:
        """The stub of that name, or the scenario's next step, which counts it; None where none is left."""
        with self._lock:
            row, stub = self._scenarios.get(name), self._by_name.get(name)
            if row is not None:
                stub = row.first_match(None)
            if stub is None or stub.is_exhausted:
                return None
            stub.call_count += 1
            return stub

    def nearest_miss(self, request: IncomingRequest) -> tuple[Stub, list[str]] | None:
        """The stub that lacks least of being for a request, and what it lacks; a spent one lacks that."""
        asked_for = [stub for stub in self._all[-_MAX_COMPARED:] if not stub.definition.scenario]
        told = [(stub, list(_differences(stub, request))) for stub in asked_for]
        return min(told, key=lambda each: len(each[1]), default=None)

    def change_times(self, stub: Stub, times: int | None) -> None:
        """Plan a stub anew; one that had nothing left to give has its place again."""
        with self._lock:
            if times is not None and stub.call_count > times:
                raise ConfigurationError(
                    f"it has answered {stub.call_count} times, which is more than {times}"
                )
            stub.set_times(times)
            if stub.position < len(self._all) and self._all[stub.position] is stub:
                self._queue_for(stub).rewind()

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._all = []
            self._by_prompt, self._by_folded_prompt, self._without_prompt = {}, {}, _StubQueue()
            self._scenarios, self._by_name, self._scripts = {}, {}, {}

    def _queue_for(self, stub: Stub, *, create: bool = False) -> _StubQueue:
        condition, scenario = stub.definition.matcher, stub.definition.scenario
        if condition.prompt is None and not scenario:
            return self._without_prompt
        rows, key = self._by_prompt, condition.prompt or ""
        if scenario:
            rows, key = self._scenarios, scenario
        elif condition.ignore_case:
            rows, key = self._by_folded_prompt, key.casefold()
        return rows.setdefault(key, _StubQueue()) if create else rows[key]


def _earlier_match(chosen: Stub | None, queue: _StubQueue | None, request: IncomingRequest) -> Stub | None:
    """The stub that was chosen, or an earlier one of a row."""
    found = None if queue is None else queue.first_match(request)
    return chosen if found is None or (chosen is not None and chosen.position < found.position) else found


def _build_extra_matcher(definition: StubDefinition) -> Matcher | None:
    """What a request must be like for a plan beside its prompt, by which it is looked up; None: anything."""
    exact = Matcher(prompt=definition.matcher.prompt, ignore_case=definition.matcher.ignore_case)
    return None if definition.scenario or definition.matcher in (ANY_REQUEST, exact) else definition.matcher


def _differences(stub: Stub, request: IncomingRequest) -> Iterable[str]:
    spent = [f"it has answered as often as planned ({stub.definition.times})"] if stub.is_exhausted else []
    return chain(spent, stub.definition.matcher.differences(request))


def _describe_reply(definition: StubDefinition) -> str:
    """What is answered, in a few words."""
    script, fault = definition.reply, definition.delivery.fault
    broken = f", with the fault {fault}" if fault is not None else ""
    if script is None:
        return f"whatever answers{broken}"
    if isinstance(script, ServiceFault | RequestedFault):
        return f"the error {script.name}"
    if isinstance(script, Mapping):
        return f"a reply as {next(iter(script))}{broken}"
    if not isinstance(script, Script):
        return f"what {getattr(script, '__name__', 'a function')} says{broken}"
    told = []
    for item in script.items:
        if isinstance(item, Message | Reasoning):
            text = item.text if len(item.text) <= _MAX_SHOWN_TEXT else item.text[:_MAX_SHOWN_TEXT] + "…"
            told.append(repr(text) if isinstance(item, Message) else "a thought")
        else:
            told.append(f"a call of {item.name}" if isinstance(item, FunctionCall) else f"a {item.kind}")
    return (", ".join(told) or "nothing") + broken
