"""Signals that end a command as exceptions do, so that it removes its temporary files and stops what it has started."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

from mockserver.stop_signals import stop_signals

__all__ = ["signals_as_exit", "signals_as_interrupt"]


@contextmanager
def signals_as_exit() -> Iterator[None]:
    """Raise SystemExit on SIGTERM and SIGHUP, which would end Python at once; in the end they do.

    This holds until a command handles them itself. SIGINT raises KeyboardInterrupt anyway.
    """
    received: list[int] = []

    def stop(number: int, _: Any) -> NoReturn:
        received.append(number)
        raise SystemExit(128 + number)

    try:
        with _handled(stop, (each for each in stop_signals() if each is not signal.SIGINT)):
            yield
    except SystemExit:
        if received:  # a service manager tells it from a failure, which a status of its own would be
            _flush_output()
            signal.raise_signal(received[0])
        raise  # the first process of a container outlives it


def _flush_output() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()


@contextmanager
def signals_as_interrupt() -> Iterator[None]:
    """Raise KeyboardInterrupt on each signal to stop, also after an event loop that handled them itself.

    It is for commands that report what they have when they are stopped.
    """

    def stop(*_: Any) -> NoReturn:
        raise KeyboardInterrupt

    with _handled(stop, stop_signals()):
        yield


@contextmanager
def _handled(handler: Callable[[int, Any], None], signals: Iterable[int]) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in signals}
    try:
        yield
    finally:
        for number, earlier in before.items():
            if earlier is not None:  # None: it was not set from Python
                signal.signal(number, earlier)
