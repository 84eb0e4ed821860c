"""Stubs from Python and the admin API, and the registry that selects the one to answer a request.

A test adds stubs in its own thread while the server takes them in another, so both hold one lock.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, count
from threading import Lock
from typing import Any, Self, TypeAlias, TypeVar

from mockserver.errors import ConfigurationError
from mockserver.replies.script import FunctionCall, Message, Reasoning, Script
from mockserver.server.delivery.faults import RequestedFault, ServiceFault
from mockserver.server.delivery.options import DEFAULT_DELIVERY, Delivery
from mockserver.server.stubs.matchers import ANY_REQUEST, IncomingRequest, Matcher
from mockserver.suggestions import choose_from

__all__ = ["Stub", "StubDefinition", "StubRegistry", "StubReply"]

#: Characters of a reply's text to show.
_MAX_SHOWN_TEXT = 60
#: Stubs to list in a message, the latest ones.
_MAX_LISTED = 5
#: Stubs to compare with an unmatched request, the latest ones.
_MAX_COMPARED = 1000

StubReply: TypeAlias = (
    Script | RequestedFault | ServiceFault | Mapping[str, Any] | Callable[[IncomingRequest], Script] | None
)
"""A script, an error of the service, the `error`, `body` or `http` reply of an exchange, or a function of the
request. None: whatever answers without the stub, for stubs that only add a fault."""


@dataclass(frozen=True, slots=True)
class StubDefinition:
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
    document: Mapping[str, Any] | None = field(default=None, compare=False, repr=False)
    """The exchange that it was made from; None for a stub from Python."""


class Stub:
    """A configured reply; by default it answers once."""

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
        self._times = definition.times  # a copy, because every request reads it
        self.position = position
        """Among all stubs: the first that matches answers."""
        self.extra_matcher = _build_extra_matcher(definition)
        """The conditions beside the prompt, by which stubs are looked up; None: no condition."""
        self.next_in_queue: Stub | None = None
        self.definition = definition
        self.call_count = 0
        """How often it has answered."""

    def move_to(self, registry: StubRegistry) -> Self:
        """Belong to another registry, which then adds it in the place of another stub."""
        self._registry = registry
        return self

    def set_times(self, times: int | None) -> None:
        """Set how often it answers; only the registry, which holds the lock, may call this."""
        self.definition = replace(self.definition, times=times)
        self._times = times

    @property
    def name(self) -> str:
        """Its name in `after=` and in the journal."""
        return self.definition.name

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


class _StubQueue:
    """Stubs in the order in which they were added; a cursor skips the exhausted ones at the front.

    A linked list, not a Python list: most queues hold one stub, and a test may have thousands of them.
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
        """Start from the front again, because an exhausted stub may answer again."""
        self._cursor = self._head

    def first_match(self, request: IncomingRequest | None) -> Stub | None:
        """Return the first stub that is not exhausted and matches."""
        stub = self._cursor
        while stub is not None and stub.is_exhausted:
            stub = self._cursor = stub.next_in_queue
        while stub is not None:
            matcher = stub.extra_matcher
            if not stub.is_exhausted and (
                matcher is None or (request is not None and matcher.matches(request))
            ):
                return stub
            stub = stub.next_in_queue
        return None


class StubRegistry:
    """The stubs of a session. The first that matches answers; stubs for an exact prompt are indexed by it."""

    def __init__(self) -> None:
        self._all: list[Stub] = []
        self._by_prompt: dict[str, _StubQueue] = {}
        self._by_folded_prompt: dict[str, _StubQueue] = {}
        self._without_prompt = _StubQueue()
        self._scenarios: dict[str, _StubQueue] = {}
        self._by_name: dict[str, Stub] = {}
        self._scripts: dict[Script, Script] = {}
        self._lock = Lock()
        self.version = 0
        """Changes whenever a stub is added, removed, replaced, moved or may answer more or less often."""

    def __len__(self) -> int:
        return len(self._all)

    def __str__(self) -> str:
        omitted = len(self._all) - _MAX_LISTED
        prefix = [f"{omitted} earlier stubs"] if omitted > 0 else []
        return "; ".join([*prefix, *map(str, self._all[-_MAX_LISTED:])])

    @property
    def is_empty(self) -> bool:
        """Whether there are no stubs, exhausted ones included."""
        return not self._all

    @property
    def all(self) -> tuple[Stub, ...]:
        """Every stub since the last reset, exhausted ones included."""
        return tuple(self._all)

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
            if name in self._by_name:
                raise ConfigurationError(f"another stub has the name {name!r}")
            return self._append(stub_class, StubDefinition(self._shared(reply), name=name, **members))

    def add_all(self, definitions: Sequence[StubDefinition]) -> list[Stub]:
        """Add stubs, all or none. Raises ConfigurationError for a duplicate name."""
        with self._lock:
            names: set[str] = set()
            for each in definitions:
                if each.name in names or each.name in self._by_name:
                    raise ConfigurationError(f"another stub has the name {each.name!r}")
                names.update([each.name] if each.name else [])
            return [
                self._append(
                    Stub,
                    replace(each, reply=self._shared(each.reply), name=each.name or self._free_name(names)),
                )
                for each in definitions
            ]

    def _shared(self, reply: StubReply) -> StubReply:
        # Equal scripts become one object, which makes the cache of templates faster.
        return self._scripts.setdefault(reply, reply) if isinstance(reply, Script) else reply

    def _append(self, stub_class: type[_Stub], definition: StubDefinition) -> _Stub:
        stub = self._by_name[definition.name] = stub_class(self, len(self._all), definition)
        self._all.append(stub)
        self._queue_for(stub, create=True).add(stub)
        self.version += 1
        return stub

    def take(self, request: IncomingRequest | None = None) -> Stub | None:
        """Take the stub that answers a request, and count the call; None if no stub matches."""
        if not self._all:
            return None
        with self._lock:
            stub = self._without_prompt.first_match(request)
            if request is not None:
                prompt = request.facts.prompt
                stub = _earlier_match(stub, self._by_prompt.get(prompt), request)
                if self._by_folded_prompt:
                    stub = _earlier_match(stub, self._by_folded_prompt.get(prompt.casefold()), request)
            if stub is not None:
                stub.call_count += 1
            return stub

    @property
    def selectable_names(self) -> set[str]:
        """Names that `x-mock-scenario` can select: of stubs and of scenarios."""
        return {*self._by_name, *self._scenarios}

    def take_by_name(self, name: str) -> Stub | None:
        """Take the stub of this name, or the scenario's next step; None if it is exhausted."""
        with self._lock:
            queue, stub = self._scenarios.get(name), self._by_name.get(name)
            if queue is not None:
                stub = queue.first_match(None)
            if stub is None or stub.is_exhausted:
                return None
            stub.call_count += 1
            return stub

    def nearest_miss(self, request: IncomingRequest) -> tuple[Stub, list[str]] | None:
        """Return the stub with the fewest differences from a request, and those differences."""
        candidates = [stub for stub in self._all[-_MAX_COMPARED:] if not stub.definition.scenario]
        compared = [(stub, list(_differences(stub, request))) for stub in candidates]
        return min(compared, key=lambda each: len(each[1]), default=None)

    def change_times(self, stub: Stub, times: int | None) -> None:
        """Change how often a stub answers; an exhausted stub may answer again, in its old position."""
        with self._lock:
            if times is not None and stub.call_count > times:
                raise ConfigurationError(
                    f"the stub has already answered {stub.call_count} times, more than {times}"
                )
            stub.set_times(times)
            self.version += 1
            if stub.position < len(self._all) and self._all[stub.position] is stub:
                self._queue_for(stub).rewind()

    def get(self, name: str) -> Stub | None:
        """The stub of this name."""
        return self._by_name.get(name)

    def remove(self, name: str) -> None:
        """Remove a stub. Raises ConfigurationError if there is none of this name."""
        with self._lock:
            removed = self._require(name)
            self._reindex([stub for stub in self._all if stub is not removed])

    def reorder(self, names: Sequence[str]) -> None:
        """Put the stubs in this order. Raises ConfigurationError unless each is named once."""
        with self._lock:
            if sorted(names) != sorted(self._by_name):
                known = ", ".join(stub.name for stub in self._all) or "none"
                raise ConfigurationError(f"the order must name each stub once; there are: {known}")
            self._reindex([self._by_name[name] for name in names])

    def replace(self, name: str, new: Stub) -> None:
        """Put a stub that was added in the place of another one, and remove that one."""
        with self._lock:
            old = self._require(name)
            others = [stub for stub in self._all if stub is not new]
            self._reindex([new if stub is old else stub for stub in others])

    def _free_name(self, reserved: Container[str] = ()) -> str:
        """`stub-N` for the next N that is free: stubs can be removed, and named by their users."""
        names = (f"stub-{number}" for number in count(len(self._all) + 1))
        return next(name for name in names if name not in self._by_name and name not in reserved)

    def _require(self, name: str) -> Stub:
        if name not in self._by_name:
            raise ConfigurationError(f"there is no stub {name!r}{choose_from(name, sorted(self._by_name))}")
        return self._by_name[name]

    def _reindex(self, stubs: list[Stub]) -> None:
        self.version += 1
        self._all = stubs
        self._by_prompt, self._by_folded_prompt, self._without_prompt = {}, {}, _StubQueue()
        self._scenarios, self._by_name = {}, {stub.name: stub for stub in stubs}
        for position, stub in enumerate(stubs):
            stub.position, stub.next_in_queue = position, None
            self._queue_for(stub, create=True).add(stub)

    def clear(self) -> None:
        """Remove all stubs."""
        with self._lock:
            self.version += 1
            self._all = []
            self._by_prompt, self._by_folded_prompt, self._without_prompt = {}, {}, _StubQueue()
            self._scenarios, self._by_name, self._scripts = {}, {}, {}

    def _queue_for(self, stub: Stub, *, create: bool = False) -> _StubQueue:
        matcher, scenario = stub.definition.matcher, stub.definition.scenario
        if matcher.prompt is None and not scenario:
            return self._without_prompt
        queues, key = self._by_prompt, matcher.prompt or ""
        if scenario:
            queues, key = self._scenarios, scenario
        elif matcher.ignore_case:
            queues, key = self._by_folded_prompt, key.casefold()
        return queues.setdefault(key, _StubQueue()) if create else queues[key]


def _earlier_match(stub: Stub | None, queue: _StubQueue | None, request: IncomingRequest) -> Stub | None:
    """Return `stub` or the first match in a queue, whichever was added first."""
    match = None if queue is None else queue.first_match(request)
    return stub if match is None or (stub is not None and stub.position < match.position) else match


def _build_extra_matcher(definition: StubDefinition) -> Matcher | None:
    prompt_only = Matcher(prompt=definition.matcher.prompt, ignore_case=definition.matcher.ignore_case)
    if definition.scenario or definition.matcher in (ANY_REQUEST, prompt_only):
        return None
    return definition.matcher


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
