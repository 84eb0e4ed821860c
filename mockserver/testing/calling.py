"""Callables as clients: each case is one call, in a thread of its own, and no longer than it may take."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from mockserver.errors import ConfigurationError
from mockserver.testing.fuzzing.case_plan import CasePlan
from mockserver.testing.fuzzing.case_server import CaseRun, CaseServer
from mockserver.testing.fuzzing.outcomes import Outcome
from mockserver.wire.redaction import redact

__all__ = ["CallablePlay"]

#: What a client says.
INPUT = "Say something."
FOLLOW_UP = "And now?"


@dataclass(slots=True)
class CallablePlay:
    """Plays a case by a call."""

    call: Callable[..., Any]
    door: CaseServer
    seconds: float
    takes: frozenset[str] = field(init=False)
    """Names of what the callable takes beside base URL and key."""

    def __post_init__(self) -> None:
        parameters = inspect.signature(self.call).parameters.values()
        if any(each.kind is each.VAR_KEYWORD for each in parameters):
            self.takes = frozenset(_EXTRAS)
        else:
            self.takes = frozenset(each.name for each in parameters) & frozenset(_EXTRAS)

    def __call__(self, plan: CasePlan, time_limit: float | None = None) -> Outcome:
        """Call once; ConfigurationError where what comes back is no answer."""
        return self._run(plan, lambda case: _text_of(self._called(case)), time_limit)

    def following(self, plan: CasePlan) -> Outcome:
        """Call once, with something to say next."""
        return self._run(plan, lambda case: _text_of(self._called(case, FOLLOW_UP)))

    def left(self, plan: CasePlan) -> Outcome | None:
        """Leave a stream that never ends at its first piece; None where the call returns no iterator.

        Accepted is what makes the client hang up.
        """
        pieces: list[bool] = []
        with self.door.open_case(plan) as case:
            ended = _in_time(lambda: pieces.append(_leave(self._called(case))), self.seconds)
            if pieces == [False] or (isinstance(ended, BaseException) and not pieces):
                return None
            if ended is _LATE:
                return _outcome(case, False, False, None, "nothing comes before the answer is whole", 0.0)
            hung_up = case.client_disconnected.wait(self.seconds)
            how = "a stream that is left is closed" if hung_up else "a stream that is left stays open"
            return _outcome(case, True, hung_up, None, how, 0.0)

    def _run(
        self, plan: CasePlan, work: Callable[[CaseRun], str | None], seconds: float | None = None
    ) -> Outcome:
        limit = self.seconds if seconds is None else min(seconds, self.seconds)
        begun = time.monotonic()
        with self.door.open_case(plan) as case:
            result = _in_time(lambda: work(case), limit)
            took = time.monotonic() - begun
            if isinstance(result, ConfigurationError):
                raise result
            if result is _LATE:
                return _outcome(case, False, False, None, f"still going on after {took:.1f} s", took)
            if isinstance(result, BaseException):
                first = redact((str(result).splitlines() or [""])[0], [self.door.api_key])
                return _outcome(case, True, False, None, f"{type(result).__name__}: {first}"[:300], took)
            return _outcome(case, True, True, result, "it returned an answer", took)

    def _called(self, case: CaseRun, follow_up: str | None = None) -> Any:
        given = {
            "model": self.door.context.profile.models[0],
            "input": INPUT,
            "stream": case.plan.stream,
            "timeout": self.seconds / 2,
            "follow_up": follow_up,
        }
        named = {name: value for name, value in given.items() if name in self.takes}
        return self.call(case.base_url, self.door.api_key, **named)


_EXTRAS = ("model", "input", "stream", "timeout", "follow_up")


class _Late:
    """What comes of a call that takes too long."""


_LATE = _Late()


def _outcome(case: CaseRun, ended: bool, accepted: bool, text: Any, how: str, seconds: float) -> Outcome:
    return Outcome(tuple(case.requests), ended, accepted, text, how, duration=seconds)


def _in_time(work: Callable[[], Any], seconds: float) -> Any:
    """What comes of some work: its value, the exception it raised, or that it takes too long.

    A thread can not be ended: one that is late is left to itself, and is no obstacle to the process's end.
    """
    results: list[Any] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # noqa: BLE001 - whatever a client raises is its answer
            results.append(error)

    thread = threading.Thread(target=run, name="client", daemon=True)
    thread.start()
    thread.join(seconds)
    return results[0] if results else _LATE


def _text_of(result: Any) -> str | None:
    """The text of what a client returned; None where it returned none."""
    if inspect.isawaitable(result):
        return _text_of(asyncio.run(_awaited(result)))
    if isinstance(result, AsyncIterator):
        return "".join(asyncio.run(_collected(result)))
    if isinstance(result, Iterator):
        return "".join(result)
    text = getattr(result, "output_text", result)
    if text is None or isinstance(text, str):
        return text
    raise ConfigurationError(
        f"the client returned a {type(result).__name__}, which is no text, has no `output_text`, and is no"
        " iterator over pieces of text"
    )


async def _awaited(result: Any) -> Any:
    value = await result
    return "".join(await _collected(value)) if isinstance(value, AsyncIterator) else value


async def _collected(pieces: AsyncIterator[str]) -> list[str]:
    return [piece async for piece in pieces]


def _leave(result: Any) -> bool:
    """Take one piece and close; whether there was something to take it of."""
    if isinstance(result, AsyncIterator):
        asyncio.run(_leave_later(result))
        return True
    if not isinstance(result, Iterator):
        if inspect.iscoroutine(result):
            result.close()
        return False
    next(result)
    getattr(result, "close", lambda: None)()
    return True


async def _leave_later(pieces: AsyncIterator[str]) -> None:
    await anext(pieces)
    close = getattr(pieces, "aclose", None)
    if close is not None:
        await close()
