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
from mockserver.server.conditions import ANY_REQUEST, IncomingRequest, Matcher
from mockserver.server.delivery import DEFAULT_DELIVERY, Delivery
from mockserver.server.faults import AskedFault, Fault

__all__ = ["Plan", "Said", "Stub", "Stubs"]

#: Characters of a text that tell one planned reply from another.
_SHOWN = 60
#: Stubs that are listed where all are told, the latest.
_LISTED = 5
#: Stubs that are looked at for the nearest to a request that none is for, the latest.
_LOOKED_AT = 1000

Said: TypeAlias = Script | AskedFault | Fault | Mapping[str, Any] | Callable[[IncomingRequest], Script] | None
"""A script, an error of the service, an exchange's reply of another kind, a function of the request; None:
what would answer anyhow."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a stub was told: what it answers with, to whom, how, and how often; None: as often as asked."""

    script: Said
    times: int | None = 1
    condition: Matcher = ANY_REQUEST
    delivery: Delivery = DEFAULT_DELIVERY
    name: str = ""
    """What later turns and the journal call it."""
    scenario: str = ""
    """The scenario that it is a step of: then it answers those requests alone that name the scenario."""


class Stub:
    """One planned reply; it answers once unless told otherwise."""

    __slots__ = ("_line", "_times", "after", "given", "more", "place", "plan")

    def __init__(self, line: Stubs, place: int, plan: Plan) -> None:
        self._line = line
        self._times = plan.times  # what is looked at for each request is kept together
        self.place = place
        """Among all that are planned: the earlier answers."""
        self.more = _beside_prompt(plan)
        """What a request must be like beside its prompt, by which stubs are looked up; None: anything."""
        self.after: Stub | None = None
        """The next one that is looked up in the same way."""
        self.plan = plan
        self.given = 0
        """How often it has answered."""

    def planned(self, times: int | None) -> None:
        """Answer so often from now on: the line's own way of planning it anew."""
        self.plan = replace(self.plan, times=times)
        self._times = times

    @property
    def name(self) -> str:
        """What later turns (`after=`) and the journal call it."""
        return self.plan.name

    def times(self, count: int) -> Self:
        """Answer `count` requests in a row; ConfigurationError where that is no number from 1 on."""
        if type(count) is not int or count < 1:
            raise ConfigurationError(f"times() takes a number from 1 on, not {count!r}")
        self._line.alter(self, count)
        return self

    def once(self) -> Self:
        """Answer one request, which is what it does unless told otherwise."""
        return self.times(1)

    def always(self) -> Self:
        """Answer every request from here on, none included."""
        self._line.alter(self, None)
        return self

    @property
    def spent(self) -> bool:
        """Whether it has answered as often as planned."""
        return self._times is not None and self.given >= self._times

    @property
    def owing(self) -> bool:
        """Whether it was to answer more often than it did."""
        return self.plan.times is not None and self.given < self.plan.times

    def __str__(self) -> str:
        planned = "always" if self.plan.times is None else f"{self.plan.times} times"
        planned = "once" if self.plan.times == 1 else planned
        given = "not given" if self.given == 0 else f"given {self.given} times"
        when = f" when {self.plan.condition}" if self.plan.condition is not ANY_REQUEST else ""
        when = f" in the scenario {self.plan.scenario}" if self.plan.scenario else when
        about = f"{_gist(self.plan)}{when}"
        return f"{about} (planned {planned}, {'given once' if self.given == 1 else given})"

    def __repr__(self) -> str:
        return f"<Stub {self}>"


_Stub = TypeVar("_Stub", bound=Stub)


class _Row:
    """Stubs in the order in which they were planned, those at its beginning that are spent left out.

    They are chained, not listed: of many rows with one stub each, only the row and the stub are touched.
    """

    __slots__ = ("_begin", "_end", "_next")

    def __init__(self) -> None:
        self._begin: Stub | None = None
        self._next: Stub | None = None
        self._end: Stub | None = None

    def add(self, stub: Stub) -> None:
        if self._end is None:
            self._begin = stub
        else:
            self._end.after = stub
        self._end = stub
        if self._next is None:
            self._next = stub

    def again(self) -> None:
        """Look at all once more: one of them has something to give again."""
        self._next = self._begin

    def first(self, request: IncomingRequest | None) -> Stub | None:
        """The first that is not spent and fits."""
        stub = self._next
        while stub is not None and stub.spent:
            stub = self._next = stub.after
        while stub is not None:
            more = stub.more
            if not stub.spent and (more is None or (request is not None and more.matches(request))):
                return stub
            stub = stub.after
        return None


class Stubs:
    """The stubs of a session, first come first; those for an exact prompt are looked up by it."""

    def __init__(self) -> None:
        self._all: list[Stub] = []
        self._by_prompt: dict[str, _Row] = {}
        self._folded: dict[str, _Row] = {}
        self._other = _Row()
        self._scenarios: dict[str, _Row] = {}
        self._names: dict[str, Stub] = {}
        self._scripts: dict[Script, Script] = {}
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._all)

    def __str__(self) -> str:
        left_out = len(self._all) - _LISTED
        told = [f"{left_out} earlier ones"] if left_out > 0 else []
        return "; ".join([*told, *map(str, self._all[-_LISTED:])])

    @property
    def all(self) -> tuple[Stub, ...]:
        """Every stub since the last reset, spent ones too."""
        return tuple(self._all)

    @property
    def owing(self) -> list[Stub]:
        """Those that were to answer more often than they did."""
        return [stub for stub in self.all if stub.owing]

    def add(self, script: Said, **plan: Any) -> Stub:
        """Plan one more reply, behind the others; `plan` has the members of `Plan`. ConfigurationError."""
        return self.make(Stub, script, **plan)

    def make(self, kind: type[_Stub], script: Said, **plan: Any) -> _Stub:
        """As `add`, for a kind of stub that can do more."""
        with self._lock:
            place = len(self._all)
            if isinstance(script, Script):
                # The same words are one script: its template is found at once where it is the very same.
                script = self._scripts.setdefault(script, script)
            name = plan.pop("name", "") or f"stub-{place + 1}"
            if name in self._names:
                raise ConfigurationError(f"another reply has the name {name!r}")
            stub = self._names[name] = kind(self, place, Plan(script, name=name, **plan))
            self._all.append(stub)
            self._row(stub, create=True).add(stub)
        return stub

    def take(self, request: IncomingRequest | None = None) -> Stub | None:
        """The stub that answers a request, which counts it; None where nothing planned is for it."""
        if not self._all:
            return None
        with self._lock:
            chosen = self._other.first(request)
            if request is not None:
                prompt = request.facts.prompt
                chosen = _earlier(chosen, self._by_prompt.get(prompt), request)
                if self._folded:
                    chosen = _earlier(chosen, self._folded.get(prompt.casefold()), request)
            if chosen is not None:
                chosen.given += 1
            return chosen

    @property
    def scenarios(self) -> set[str]:
        """Names that a request may ask for: of plans, and of scenarios."""
        return {*self._names, *self._scenarios}

    def step(self, name: str) -> Stub | None:
        """The stub of that name, or the scenario's next step, which counts it; None where none is left."""
        with self._lock:
            row, stub = self._scenarios.get(name), self._names.get(name)
            if row is not None:
                stub = row.first(None)
            if stub is None or stub.spent:
                return None
            stub.given += 1
            return stub

    def nearest(self, request: IncomingRequest) -> tuple[Stub, list[str]] | None:
        """The stub that lacks least of being for a request, and what it lacks; a spent one lacks that."""
        asked_for = [stub for stub in self._all[-_LOOKED_AT:] if not stub.plan.scenario]
        told = [(stub, list(_lacking(stub, request))) for stub in asked_for]
        return min(told, key=lambda each: len(each[1]), default=None)

    def alter(self, stub: Stub, times: int | None) -> None:
        """Plan a stub anew; one that had nothing left to give has its place again."""
        with self._lock:
            if times is not None and stub.given > times:
                raise ConfigurationError(f"it has answered {stub.given} times, which is more than {times}")
            stub.planned(times)
            if stub.place < len(self._all) and self._all[stub.place] is stub:
                self._row(stub).again()

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._all = []
            self._by_prompt, self._folded, self._other = {}, {}, _Row()
            self._scenarios, self._names, self._scripts = {}, {}, {}

    def _row(self, stub: Stub, *, create: bool = False) -> _Row:
        condition, scenario = stub.plan.condition, stub.plan.scenario
        if condition.prompt is None and not scenario:
            return self._other
        rows, key = self._by_prompt, condition.prompt or ""
        if scenario:
            rows, key = self._scenarios, scenario
        elif condition.ignore_case:
            rows, key = self._folded, key.casefold()
        return rows.setdefault(key, _Row()) if create else rows[key]


def _earlier(chosen: Stub | None, row: _Row | None, request: IncomingRequest) -> Stub | None:
    """The stub that was chosen, or an earlier one of a row."""
    found = None if row is None else row.first(request)
    return chosen if found is None or (chosen is not None and chosen.place < found.place) else found


def _beside_prompt(plan: Plan) -> Matcher | None:
    """What a request must be like for a plan beside its prompt, by which it is looked up; None: anything."""
    exact = Matcher(prompt=plan.condition.prompt, ignore_case=plan.condition.ignore_case)
    return None if plan.scenario or plan.condition in (ANY_REQUEST, exact) else plan.condition


def _lacking(stub: Stub, request: IncomingRequest) -> Iterable[str]:
    spent = [f"it has answered as often as planned ({stub.plan.times})"] if stub.spent else []
    return chain(spent, stub.plan.condition.differences(request))


def _gist(plan: Plan) -> str:
    """What is answered, in a few words."""
    script, fault = plan.script, plan.delivery.fault
    broken = f", with the fault {fault}" if fault is not None else ""
    if script is None:
        return f"whatever answers{broken}"
    if isinstance(script, Fault | AskedFault):
        return f"the error {script.name}"
    if isinstance(script, Mapping):
        return f"a reply as {next(iter(script))}{broken}"
    if not isinstance(script, Script):
        return f"what {getattr(script, '__name__', 'a function')} says{broken}"
    told = []
    for item in script.items:
        if isinstance(item, Message | Reasoning):
            text = item.text if len(item.text) <= _SHOWN else item.text[:_SHOWN] + "…"
            told.append(repr(text) if isinstance(item, Message) else "a thought")
        else:
            told.append(f"a call of {item.name}" if isinstance(item, FunctionCall) else f"a {item.kind}")
    return (", ".join(told) or "nothing") + broken
