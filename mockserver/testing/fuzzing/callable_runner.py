"""Callables as clients: each case is one call, in a thread, with a time limit."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from mockserver.errors import ConfigurationError
from mockserver.testing.fuzzing.case_plan import CasePlan
from mockserver.testing.fuzzing.case_server import CaseRun, CaseServer
from mockserver.testing.fuzzing.command_runner import CLIENT_PROMPT
from mockserver.testing.fuzzing.outcomes import Outcome
from mockserver.wire.redaction import find_credentials, redact

__all__ = ["CallableRunner"]

FOLLOW_UP_PROMPT = "And now?"


@dataclass(slots=True)
class CallableRunner:
    """Plays a case by a call of the client."""

    client: Callable[..., Any]
    server: CaseServer
    timeout: float
    accepted_arguments: frozenset[str] = field(init=False)
    """Optional arguments that the callable accepts."""

    def __post_init__(self) -> None:
        parameters = inspect.signature(self.client).parameters.values()
        if any(each.kind is each.VAR_KEYWORD for each in parameters):
            self.accepted_arguments = frozenset(_OPTIONAL_ARGUMENTS)
        else:
            self.accepted_arguments = frozenset(each.name for each in parameters) & frozenset(
                _OPTIONAL_ARGUMENTS
            )

    def __call__(self, plan: CasePlan, time_limit: float | None = None) -> Outcome:
        """Play a case; ConfigurationError if the client returns no text."""
        return self._run_case(plan, self._call_client, time_limit)

    def run_follow_up(self, plan: CasePlan) -> Outcome:
        """Play a case with a second turn."""
        return self._run_case(plan, lambda case: self._call_client(case, FOLLOW_UP_PROMPT))

    def cancel_stream(self, plan: CasePlan) -> Outcome | None:
        """Stop reading an endless stream after its first piece; None if the client returns no iterator.

        The outcome is accepted if the client closes the connection.
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
                    case, False, False, None, "the client returns nothing before the end of the reply", 0.0
                )
            hung_up = case.client_disconnected.wait(self.timeout)
            reason = f"the connection of an abandoned stream {'is closed' if hung_up else 'stays open'}"
            return _build_outcome(case, True, hung_up, None, reason, 0.0)

    def _run_case(
        self, plan: CasePlan, call: Callable[[CaseRun], Any], time_limit: float | None = None
    ) -> Outcome:
        limit = self.timeout if time_limit is None else min(time_limit, self.timeout)
        started = time.monotonic()
        with self.server.open_case(plan) as case:
            shown = _ShownText()
            result = _run_with_timeout(lambda: _result_text(call(case), shown), limit)
            duration = time.monotonic() - started
            if isinstance(result, ConfigurationError):
                raise result
            if result is _TIMED_OUT:
                return _build_outcome(case, False, False, None, f"no result after {duration:.1f} s", duration)
            if isinstance(result, BaseException):
                secrets = [each for one in case.requests for each in find_credentials(one.body)]
                first_line = redact((str(result).splitlines() or [""])[0], [self.server.api_key, *secrets])
                outcome = _build_outcome(
                    case, True, False, None, f"{type(result).__name__}: {first_line}"[:300], duration
                )
                return replace(outcome, shown_text="".join((*shown.pieces, *_exception_texts(result))))
            outcome = _build_outcome(case, True, True, result, "the client returned a result", duration)
            return replace(outcome, reports_incomplete=shown.is_incomplete)

    def _call_client(self, case: CaseRun, follow_up: str | None = None) -> Any:
        arguments = {
            "model": self.server.context.profile.models[0],
            "input": CLIENT_PROMPT,
            "stream": case.plan.stream,
            "timeout": self.timeout / 2,
            "follow_up": follow_up,
        }
        accepted = {name: value for name, value in arguments.items() if name in self.accepted_arguments}
        return self.client(case.base_url, self.server.api_key, **accepted)


_OPTIONAL_ARGUMENTS = ("model", "input", "stream", "timeout", "follow_up")


class _TimedOut:
    """The result of a call that takes too long."""


_TIMED_OUT = _TimedOut()


def _build_outcome(
    case: CaseRun, finished: bool, accepted: bool, text: Any, end_reason: str, duration: float
) -> Outcome:
    requests, conduct = tuple(case.requests), case.check_conduct()
    return Outcome(requests, finished, accepted, text, end_reason, duration=duration, conduct=conduct)


def _run_with_timeout(work: Callable[[], Any], timeout: float) -> Any:
    """The value of `work()`, the exception that it raised, or `_TIMED_OUT`.

    A thread cannot be killed: one that is late goes on, as a daemon.
    """
    results: list[Any] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # noqa: BLE001 - whatever a client raises is its result
            results.append(error)

    thread = threading.Thread(target=run, name="client", daemon=True)
    thread.start()
    thread.join(timeout)
    return results[0] if results else _TIMED_OUT


@dataclass(slots=True)
class _ShownText:
    """What a client shows of a reply, also if it then raises."""

    pieces: list[str] = field(default_factory=list)
    is_incomplete: bool = False
    """Whether its result has the status incomplete, or `incomplete_details`."""


def _exception_texts(error: BaseException) -> Iterator[str]:
    """All texts that an exception carries: its arguments and attributes."""
    yield from (each for each in (*error.args, *vars(error).values()) if isinstance(each, str))


def _result_text(result: Any, shown: _ShownText) -> str | None:
    """The text that a client returned, or None."""
    if inspect.isawaitable(result):
        return _result_text(asyncio.run(_await_result(result, shown)), shown)
    if isinstance(result, AsyncIterator):
        asyncio.run(_collect_pieces(result, shown))
        return "".join(shown.pieces)
    if isinstance(result, Iterator):
        for piece in result:
            shown.pieces.append(piece)
        return "".join(shown.pieces)
    text = getattr(result, "output_text", result)
    if text is None or isinstance(text, str):
        status = getattr(result, "status", None)
        shown.is_incomplete = status == "incomplete" or bool(getattr(result, "incomplete_details", None))
        return text
    raise ConfigurationError(
        f"the client must return a text, an object with `output_text` or an iterator over texts,"
        f" not {type(result).__name__}"
    )


async def _await_result(result: Any, shown: _ShownText) -> Any:
    value = await result
    if not isinstance(value, AsyncIterator):
        return value
    await _collect_pieces(value, shown)
    return "".join(shown.pieces)


async def _collect_pieces(pieces: AsyncIterator[str], shown: _ShownText) -> None:
    async for piece in pieces:
        shown.pieces.append(piece)


def _read_one_and_close(result: Any) -> bool:
    """Read one piece and close the iterator; False if `result` is no iterator."""
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
