"""Garbage collection while a command starts. Does not import click."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["paused_collection"]


@contextmanager
def paused_collection() -> Iterator[None]:
    """Collect no garbage meanwhile; what was created, such as modules, stays, so no later collection examines it."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
