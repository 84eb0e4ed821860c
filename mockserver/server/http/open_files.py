"""How many files, of which each connection is one, the process may have open."""

from __future__ import annotations

import contextlib
import sys

__all__ = ["max_open_files", "raise_max_open_files"]

#: Open files that `run_forever` asks for: more than clients need, and fewer than what some systems allow.
_WANTED_FILES = 65_536

if sys.platform == "win32":  # has no limit that matters

    def max_open_files() -> int:
        return sys.maxsize

    def raise_max_open_files() -> None:
        pass

else:
    import resource

    def max_open_files() -> int:
        """How many files the process may have open."""
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return sys.maxsize if most == resource.RLIM_INFINITY else most

    def raise_max_open_files() -> None:
        """Allow as many open files as the system does: each connection is one."""
        current, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = _WANTED_FILES if most == resource.RLIM_INFINITY else min(most, _WANTED_FILES)
        if current != resource.RLIM_INFINITY and current < wanted:
            with contextlib.suppress(OSError, ValueError):  # macOS has a limit that it does not tell
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
