"""The signals that ask a command to stop."""

from __future__ import annotations

import signal
import sys

__all__ = ["stop_signals"]


def stop_signals() -> tuple[signal.Signals, ...]:
    """SIGINT and SIGTERM; also SIGHUP, which a closed terminal sends, unless it is ignored as under `nohup`."""
    if sys.platform == "win32" or signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        return (signal.SIGINT, signal.SIGTERM)
    return (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
