"""A thread that runs tasks one after another, and that never keeps the program from ending."""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable

__all__ = ["BackgroundWorker"]


class BackgroundWorker:
    """A daemon thread that starts with the first task; an exception in one of them is printed.

    An executor of the standard library waits for its tasks at the end of the program, so a task that takes
    long would make Ctrl-C useless.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._tasks: deque[tuple[Callable[[], None], int]] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._is_closing = False
        self._pending_count = 0
        """Tasks that are not finished, the running one included."""
        self._pending_bytes = 0

    @property
    def pending_bytes(self) -> int:
        """Size of the tasks that are not finished."""
        return self._pending_bytes

    def submit(self, task: Callable[[], None], size: int = 0) -> None:
        """Run `task` after the earlier ones; `size` is the number of bytes that it keeps in memory."""
        with self._changed:
            if self._is_closing:
                return
            self._tasks.append((task, size))
            self._pending_count += 1
            self._pending_bytes += size
            self._changed.notify_all()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until all tasks are finished, at most for `timeout` seconds; whether they are."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._pending_count, timeout)

    def close(self) -> None:
        """Accept no further task, and drop those that have not begun."""
        with self._changed:
            self._is_closing = True
            self._pending_count -= len(self._tasks)
            self._pending_bytes -= sum(size for _, size in self._tasks)
            self._tasks.clear()
            self._changed.notify_all()

    def _run(self) -> None:
        while self._run_next():
            pass

    def _run_next(self) -> bool:
        """Wait for a task and run it; False at the end."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._tasks) or self._is_closing)
            if not self._tasks:
                return False
            task, size = self._tasks.popleft()
        try:
            task()
        except Exception:  # noqa: BLE001 (later tasks must run)
            threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), threading.current_thread())))
        finally:
            with self._changed:
                self._pending_count -= 1
                self._pending_bytes -= size
                self._changed.notify_all()
        return True
