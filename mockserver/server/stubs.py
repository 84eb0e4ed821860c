"""Stubs: replies planned from code, in the order in which they are given.

A test plans in its own thread while the server takes in another, so both go through one lock.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from threading import Lock
from typing import Self

from mockserver.errors import ConfigurationError
from mockserver.replies.script import FunctionCall, Message, Reasoning, Script
from mockserver.server.faults import Fault

__all__ = ["Plan", "Stub", "Stubs"]

#: Characters of a text that tell one planned reply from another.
_SHOWN = 60
#: Stubs that are listed where all are told, the latest.
_LISTED = 5


@dataclass(frozen=True, slots=True)
class Plan:
    """What a stub was told: what it answers with, and how often; None: as often as it is asked."""

    script: Script | Fault
    times: int | None = 1


class Stub:
    """One planned reply; it answers once unless told otherwise."""

    __slots__ = ("_line", "_place", "given", "plan")

    def __init__(self, line: Stubs, place: int, plan: Plan) -> None:
        self._line = line
        self._place = place
        self.plan = plan
        self.given = 0
        """How often it has answered."""

    def times(self, count: int) -> Self:
        """Answer `count` requests in a row; ConfigurationError where that is no number from 1 on."""
        if type(count) is not int or count < 1:
            raise ConfigurationError(f"times() takes a number from 1 on, not {count!r}")
        self._line.alter(self, self._place, count)
        return self

    def always(self) -> Self:
        """Answer every request from here on, none included."""
        self._line.alter(self, self._place, None)
        return self

    @property
    def spent(self) -> bool:
        """Whether it has answered as often as planned."""
        return self.plan.times is not None and self.given >= self.plan.times

    @property
    def owing(self) -> bool:
        """Whether it was to answer more often than it did."""
        return self.plan.times is not None and self.given < self.plan.times

    def __str__(self) -> str:
        planned = "always" if self.plan.times is None else f"{self.plan.times} times"
        planned = "once" if self.plan.times == 1 else planned
        given = "not given" if self.given == 0 else f"given {self.given} times"
        return f"{_gist(self.plan.script)} (planned {planned}, {'given once' if self.given == 1 else given})"

    def __repr__(self) -> str:
        return f"<Stub {self}>"


class Stubs:
    """The stubs of a session, first come first."""

    def __init__(self) -> None:
        self._all: list[Stub] = []
        self._next = 0
        """Place of the first that may have something left to give."""
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

    def add(self, script: Script | Fault) -> Stub:
        """Plan one more reply, behind the others."""
        with self._lock:
            stub = Stub(self, len(self._all), Plan(script))
            self._all.append(stub)
        return stub

    def take(self) -> Script | Fault | None:
        """The script that answers now; None where nothing planned is left."""
        if not self._all:
            return None
        with self._lock:
            while self._next < len(self._all):
                stub = self._all[self._next]
                if not stub.spent:
                    stub.given += 1
                    return stub.plan.script
                self._next += 1
        return None

    def alter(self, stub: Stub, place: int, times: int | None) -> None:
        """Plan a stub anew; one that had nothing left to give has its place again."""
        with self._lock:
            if times is not None and stub.given > times:
                raise ConfigurationError(f"it has answered {stub.given} times, which is more than {times}")
            stub.plan = replace(stub.plan, times=times)
            if place < len(self._all) and self._all[place] is stub:
                self._next = min(self._next, place)

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._all = []
            self._next = 0


def _gist(script: Script | Fault) -> str:
    """What is answered, in a few words."""
    if isinstance(script, Fault):
        return f"the error {script.name}"
    told = []
    for item in script.items:
        if isinstance(item, Message | Reasoning):
            text = item.text if len(item.text) <= _SHOWN else item.text[:_SHOWN] + "…"
            told.append(repr(text) if isinstance(item, Message) else "a thought")
        else:
            told.append(f"a call of {item.name}" if isinstance(item, FunctionCall) else f"a {item.kind}")
    return ", ".join(told) or "nothing"
