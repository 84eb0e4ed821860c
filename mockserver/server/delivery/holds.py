"""Holds: replies that wait until a test lets them go, at once or event by event.

The test calls from its own thread, while the replies wait in the server's event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from threading import Condition

from mockserver.server.delivery.steps import Await, Step, Wait

__all__ = ["Hold"]


class Hold:
    """Keeps the replies of a stub back: the result of `hold()`.

    Nothing of a reply is sent, neither its status nor its headers, before its first step.
    """

    def __init__(self) -> None:
        self._changed = Condition()
        self._waiting: list[asyncio.Future[None]] = []
        self._is_released = False

    def wait_until_held(self, timeout: float = 5.0) -> None:
        """Wait until a reply is held, before its first event or the next one.

        `timeout` is in seconds; AssertionError if it ends first. It blocks: in an async test use
        `await asyncio.to_thread(held.wait_until_held)`.
        """
        __tracebackhide__ = True
        with self._changed:
            self._require_held(timeout)

    def step(self, timeout: float = 5.0) -> None:
        """Send the next event of the reply that waits longest; of a reply that is no stream, all of it.

        If none is held, it waits for one as `wait_until_held` does.
        """
        __tracebackhide__ = True
        with self._changed:
            self._require_held(timeout)
            turn = self._waiting.pop(0)
            turn.get_loop().call_soon_threadsafe(_end, turn)

    def release(self) -> None:
        """Send what is held, and hold no further reply."""
        with self._changed:
            self._is_released = True
            for turn in self._waiting:
                turn.get_loop().call_soon_threadsafe(_end, turn)
            self._waiting.clear()
            self._changed.notify_all()

    def apply(self, steps: Iterable[Step]) -> Iterator[Step]:
        """Insert a pause before everything that is sent or done, but the first, for which the head waits."""
        is_first = True
        for step in steps:
            if not isinstance(step, Wait):
                if not is_first:
                    yield Await(self.left_while_held)
                is_first = False
            yield step

    def _require_held(self, timeout: float) -> None:
        __tracebackhide__ = True
        if not self._changed.wait_for(lambda: self._waiting or self._is_released, timeout):
            raise AssertionError(f"no reply was held within {timeout:g} s")
        if not self._waiting:
            raise AssertionError("no reply is held: the hold has been released")

    async def left_while_held(self, disconnect: asyncio.Future[bool]) -> bool:
        """Wait for the turn of a reply; whether the client disconnects before."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        with self._changed:
            if self._is_released:
                return disconnect.done() and disconnect.result()
            self._waiting.append(turn)
            self._changed.notify_all()
        try:
            await asyncio.wait((turn, disconnect), return_when=asyncio.FIRST_COMPLETED)
        finally:
            with self._changed:
                if turn in self._waiting:
                    self._waiting.remove(turn)
        if not disconnect.done():
            disconnect.set_result(False)
        return disconnect.result()


def _end(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_result(None)
