"""Imports that take long: a server does them in a worker thread, so that no request holds up the others.

A function that needs such a module, and that few requests run, calls `require_import` before its `import` statement.
On a server's event loop that raises `ImportPending`, if its caller can call it again in a worker
thread (`server/large_bodies.py`). Everywhere else it does nothing, and the statement imports the module.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable

__all__ = ["ImportPending", "defer_imports", "require_import"]


class ImportPending(Exception):
    """A function has to be called again in another thread, because it imports something that takes long."""


class _Thread(threading.local):
    """The current thread."""

    defers_imports: Callable[[], bool] | None = None


_thread = _Thread()


def defer_imports(is_deferring: Callable[[], bool]) -> None:
    """Let `require_import` ask this function, in the current thread, whether its caller handles ImportPending."""
    _thread.defers_imports = is_deferring


def require_import(*names: str) -> None:
    """Raise ImportPending if a module is not imported yet and has to be in another thread."""
    if _thread.defers_imports is not None and not all(map(_is_imported, names)) and _thread.defers_imports():
        raise ImportPending


def _is_imported(name: str) -> bool:
    module = sys.modules.get(name)
    # A module that another thread imports is there before it is complete, and an `import` would wait for it.
    return module is not None and not getattr(module.__spec__, "_initializing", False)
