"""Worker processes that accept connections on the same listening sockets.

The parent forks them once everything is loaded, so that a new one starts at once and shares its memory. It serves
nothing itself: it replaces workers that end, and tells them to stop. It does so by closing pipes, not by signals:
a terminal or a service manager may send its signal to every process, and a second one would abort requests.
"""

from __future__ import annotations

import asyncio
import os
import select
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from types import FrameType
from typing import NoReturn

from mockserver.server.http.uvicorn_server.server import ABORT_TIMEOUT_SECONDS, SHUTDOWN_GRACE_SECONDS
from mockserver.stop_signals import stop_signals

__all__ = ["InstallStop", "RunWorker", "run_workers"]

#: A worker that lives no longer than this may fail for a reason that its successor has too.
QUICK_END_SECONDS = 5.0

#: How many workers in a row may end quickly.
MAX_QUICK_ENDS = 5

#: Seconds until the next worker starts, after the second quick end; doubled for each more.
_FIRST_PAUSE_SECONDS = 0.1

#: Seconds that workers get to stop, with the time to write their log, before they are killed.
_STOP_SECONDS = SHUTDOWN_GRACE_SECONDS + ABORT_TIMEOUT_SECONDS + 5

#: Connects what tells a worker to stop with the function to call; a second call aborts its connections.
InstallStop = Callable[[Callable[[], None]], None]

#: Runs the worker of this number, from 1: calls the first function once it serves. The last one tells, after it was
#: told to stop, whether the parent was killed.
RunWorker = Callable[[int, Callable[[], None], InstallStop, Callable[[], bool]], None]


def run_workers(
    count: int, run_worker: RunWorker, on_start: Callable[[], None], log: Callable[[str], None]
) -> int:
    """Run worker processes until a signal to stop; return the exit status.

    A second signal aborts open connections. `on_start` is called once all workers serve. A worker that ends is
    replaced; the status is 1 if too many end soon after their start. `log` gets a line about each that ends.
    """
    with _signal_pipe() as signals:
        supervisor = _Supervisor(count, run_worker, log, signals)
        try:
            return supervisor.run(on_start)
        finally:
            supervisor.kill()


@dataclass(slots=True)
class _Worker:
    number: int
    started_at: float


@dataclass(slots=True)
class _Broadcast:
    """A pipe that tells its readers something by being closed, also if the parent dies."""

    reader: int = -1
    writer: int = -1

    def __post_init__(self) -> None:
        self.reader, self.writer = os.pipe()

    def close_writer(self) -> None:
        if self.writer >= 0:
            os.close(self.writer)
            self.writer = -1


@dataclass(slots=True)
class _Supervisor:
    count: int
    run_worker: RunWorker
    log: Callable[[str], None]
    signals: int
    """Becomes readable with each signal."""
    workers: dict[int, _Worker] = field(default_factory=dict)
    """By process id."""
    starts: list[tuple[float, int]] = field(default_factory=list)
    """When to start which worker."""
    quick_ends: int = 0
    status: int = 0
    kill_at: float | None = None
    """When to kill the workers that have not stopped; None: they are not to stop."""
    stop: _Broadcast = field(default_factory=_Broadcast)
    abort: _Broadcast = field(default_factory=_Broadcast)
    was_told: bool = False
    """In a worker: whether the parent told it to stop."""
    was_killed: bool = False
    """In a worker: whether it stops because the parent died."""
    started: tuple[int, int] = field(default_factory=os.pipe)
    """A pipe with the number of each worker that serves, as a byte."""

    def run(self, on_start: Callable[[], None]) -> int:
        self.starts = [(0.0, number) for number in range(1, self.count + 1)]
        serving: set[int] = set()
        while self.workers or self.starts:
            self._start_due()
            for readable in self._wait():
                numbers = os.read(readable, 4096)
                if readable == self.signals:
                    self._handle_signals(numbers)
                elif len(serving) < self.count:
                    serving.update(numbers)
                    if len(serving) == self.count and self.kill_at is None:
                        on_start()
        return self.status

    def kill(self) -> None:
        """End the workers that are left, if the parent fails."""
        self.stop.close_writer()
        self.abort.close_writer()
        for pid in self.workers:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        for each in (self.stop.reader, self.abort.reader, *self.started):
            os.close(each)

    def _wait(self) -> list[int]:
        times = [start for start, _ in self.starts]
        if self.kill_at is not None:
            times.append(self.kill_at)
        timeout = max(0.0, min(times) - time.monotonic()) if times else None
        readable, _, _ = select.select([self.signals, self.started[0]], [], [], timeout)
        if self.kill_at is not None and time.monotonic() >= self.kill_at:
            for pid in self.workers:
                os.kill(pid, signal.SIGKILL)
            self.kill_at += 1
        return readable

    def _start_due(self) -> None:
        now = time.monotonic()
        for start in [each for each in self.starts if each[0] <= now]:
            self.starts.remove(start)
            number = start[1]
            pid = os.fork()
            if pid == 0:
                self._work(number)
            self.workers[pid] = _Worker(number, now)

    def _work(self, number: int) -> NoReturn:
        """Be the worker: never return into the parent's code, which would clean up after the parent."""
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for each in (signal.SIGINT, signal.SIGHUP):  # a terminal sends them to every process
                signal.signal(each, signal.SIG_IGN)  # the parent handles them
            self.stop.close_writer()
            self.abort.close_writer()
            on_start = partial(_write_number, self.started[1], number)
            self.run_worker(number, on_start, self._install_stop, lambda: self.was_killed)
            status = 0
        except SystemExit as error:
            status = error.code if isinstance(error.code, int) else 1
        except BaseException:  # noqa: BLE001 (the process ends)
            traceback.print_exc()
        finally:
            os._exit(status)

    def _install_stop(self, stop: Callable[[], None]) -> None:
        """Let the worker stop when the parent says so or has died, or at SIGTERM."""
        loop = asyncio.get_running_loop()
        is_stopping = False

        def stop_once() -> None:
            nonlocal is_stopping
            if not is_stopping:
                is_stopping = True
                stop()

        def on_closed(pipe: int, call: Callable[[], None]) -> None:
            loop.remove_reader(pipe)
            # A parent that lives writes a byte for each worker before it closes the first pipe.
            self.was_told = self.was_told or (pipe == self.stop.reader and bool(os.read(pipe, 1)))
            self.was_killed = not self.was_told
            call()

        loop.add_signal_handler(signal.SIGTERM, stop_once)
        loop.add_reader(self.stop.reader, on_closed, self.stop.reader, stop_once)
        loop.add_reader(self.abort.reader, on_closed, self.abort.reader, stop)

    def _handle_signals(self, numbers: bytes) -> None:
        for number in numbers:
            if number == signal.SIGCHLD:
                self._reap()
            else:
                self._stop()

    def _stop(self) -> None:
        """Tell the workers to stop; the second time, to abort their connections."""
        if self.kill_at is not None:
            self.abort.close_writer()
        self.kill_at = self.kill_at or time.monotonic() + _STOP_SECONDS
        self.starts.clear()
        if self.stop.writer >= 0:
            os.write(self.stop.writer, bytes(self.count))
        self.stop.close_writer()

    def _reap(self) -> None:
        while self.workers:
            pid, state = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            worker = self.workers.pop(pid, None)
            if worker is not None and self.kill_at is None:
                self._replace(worker, pid, state)

    def _replace(self, worker: _Worker, pid: int, state: int) -> None:
        now = time.monotonic()
        is_quick = now - worker.started_at < QUICK_END_SECONDS
        self.quick_ends = self.quick_ends + 1 if is_quick else 0
        line = f"worker {worker.number} (process {pid}) ended: {_describe_end(state)}"
        if self.quick_ends > MAX_QUICK_ENDS:
            self.log(f"{line}; giving up, because {self.quick_ends} in a row ended soon after their start")
            self.status = 1
            self._stop()
            return
        self.log(f"{line}; a new one takes its place")
        pause = _FIRST_PAUSE_SECONDS * 2 ** (self.quick_ends - 2) if self.quick_ends > 1 else 0.0
        self.starts.append((now + pause, worker.number))


def _write_number(pipe: int, number: int) -> None:
    os.write(pipe, bytes([number]))


def _describe_end(state: int) -> str:
    if os.WIFSIGNALED(state):
        return signal.Signals(os.WTERMSIG(state)).name
    return f"exit status {os.waitstatus_to_exitcode(state)}"


@contextmanager
def _signal_pipe() -> Iterator[int]:
    """A pipe with the number of each signal, as a byte, and the usual handlers at the end."""

    def ignore(_: int, __: FrameType | None) -> None:
        """Python writes to the pipe only if there is a handler."""

    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    handled = (*stop_signals(), signal.SIGCHLD)
    before = {number: signal.signal(number, ignore) for number in handled}
    wakeup = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    try:
        yield reader
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(reader)
        os.close(writer)
