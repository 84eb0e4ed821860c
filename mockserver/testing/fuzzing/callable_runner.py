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

__all__ = ["CallableRunner"]

#: What a client says.
CLIENT_PROMPT = "Say something."
FOLLOW_UP_PROMPT = "And now?"


@dataclass(slots=True)
class CallableRunner:
    """Plays a case by a call."""

    client: Callable[..., Any]
    server: CaseServer
    timeout: float
    accepted_arguments: frozenset[str] = field(init=False)
    """Names of what the callable takes beside base URL and key."""

    def __post_init__(self) -> None:
        parameters = inspect.signature(self.client).parameters.values()
        if any(each.kind is each.VAR_KEYWORD for each in parameters):
            self.accepted_arguments = frozenset(_OPTIONAL_ARGUMENTS)
        else:
            self.accepted_arguments = frozenset(each.name for each in parameters) & frozenset(
                _OPTIONAL_ARGUMENTS
            )

    def __call__(self, plan: CasePlan, time_limit: float | None = None) -> Outcome:
        """Call once; ConfigurationError where what comes back is no answer."""
        return self._run_case(plan, lambda case: _result_text(self._call_client(case)), time_limit)

    def run_follow_up(self, plan: CasePlan) -> Outcome:
        """Call once, with something to say next."""
        return self._run_case(plan, lambda case: _result_text(self._call_client(case, FOLLOW_UP_PROMPT)))

    def cancel_stream(self, plan: CasePlan) -> Outcome | None:
        """Leave a stream that never ends at its first piece; None where the call returns no iterator.

        Accepted is what makes the client hang up.
        """
        pieces: list[bool] = []
        with self.server.open_case(plan) as case:
            ended = _run_with_timeout(
                lambda: pieces.append(_read_one_and_close(self._call_client(case))), self.timeout
            )
            if pieces == [False] or (isinstance(ended, BaseException) and not pieces):
                return None
            if ended is _TIMED_OUT:
                return _build_outcome(
                    case, False, False, None, "nothing comes before the answer is whole", 0.0
                )
            hung_up = case.client_disconnected.wait(self.timeout)
            how = "a stream that is left is closed" if hung_up else "a stream that is left stays open"
            return _build_outcome(case, True, hung_up, None, how, 0.0)

    def _run_case(
        self, plan: CasePlan, work: Callable[[CaseRun], str | None], time_limit: float | None = None
    ) -> Outcome:
        limit = self.timeout if time_limit is None else min(time_limit, self.timeout)
        begun = time.monotonic()
        with self.server.open_case(plan) as case:
            result = _run_with_timeout(lambda: work(case), limit)
            took = time.monotonic() - begun
            if isinstance(result, ConfigurationError):
                raise result
            if result is _TIMED_OUT:
                return _build_outcome(case, False, False, None, f"still going on after {took:.1f} s", took)
            if isinstance(result, BaseException):
                first = redact((str(result).splitlines() or [""])[0], [self.server.api_key])
                return _build_outcome(
                    case, True, False, None, f"{type(result).__name__}: {first}"[:300], took
                )
            return _build_outcome(case, True, True, result, "it returned an answer", took)

    def _call_client(self, case: CaseRun, follow_up: str | None = None) -> Any:
        given = {
            "model": self.server.context.profile.models[0],
            "input": CLIENT_PROMPT,
            "stream": case.plan.stream,
            "timeout": self.timeout / 2,
            "follow_up": follow_up,
        }
        named = {name: value for name, value in given.items() if name in self.accepted_arguments}
        return self.client(case.base_url, self.server.api_key, **named)


_OPTIONAL_ARGUMENTS = ("model", "input", "stream", "timeout", "follow_up")


class _TimedOut:
    """What comes of a call that takes too long."""


_TIMED_OUT = _TimedOut()


def _build_outcome(
    case: CaseRun, finished: bool, accepted: bool, text: Any, end_reason: str, duration: float
) -> Outcome:
    return Outcome(tuple(case.requests), finished, accepted, text, end_reason, duration=duration)


def _run_with_timeout(work: Callable[[], Any], timeout: float) -> Any:
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
    thread.join(timeout)
    return results[0] if results else _TIMED_OUT


def _result_text(result: Any) -> str | None:
    """The text of what a client returned; None where it returned none."""
    if inspect.isawaitable(result):
        return _result_text(asyncio.run(_await_result(result)))
    if isinstance(result, AsyncIterator):
        return "".join(asyncio.run(_collect_chunks(result)))
    if isinstance(result, Iterator):
        return "".join(result)
    text = getattr(result, "output_text", result)
    if text is None or isinstance(text, str):
        return text
    raise ConfigurationError(
        f"the client returned a {type(result).__name__}, which is no text, has no `output_text`, and is no"
        " iterator over pieces of text"
    )


async def _await_result(result: Any) -> Any:
    value = await result
    return "".join(await _collect_chunks(value)) if isinstance(value, AsyncIterator) else value


async def _collect_chunks(chunks: AsyncIterator[str]) -> list[str]:
    return [piece async for piece in chunks]


def _read_one_and_close(result: Any) -> bool:
    """Take one piece and close; whether there was something to take it of."""
    if isinstance(result, AsyncIterator):
        asyncio.run(_read_one_and_aclose(result))
        return True
    if not isinstance(result, Iterator):
        if inspect.iscoroutine(result):
            result.close()
        return False
    next(result)
    getattr(result, "close", lambda: None)()
    return True


async def _read_one_and_aclose(chunks: AsyncIterator[str]) -> None:
    await anext(chunks)
    close = getattr(chunks, "aclose", None)
    if close is not None:
        await close()
