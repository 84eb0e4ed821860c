"""Garbage collection while a command starts, and while it serves. Does not import click."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["collect_seldom", "paused_collection"]

#: New objects after which a server collects garbage.
_NEW_OBJECTS = 20_000


@contextmanager
def paused_collection() -> Iterator[None]:
    """Collect no garbage meanwhile; what was created, such as modules, stays, so no later collection examines it."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def collect_seldom() -> None:
    """Collect garbage after many requests: most of what one leaves is dropped from the journal before that."""
    gc.set_threshold(_NEW_OBJECTS, *gc.get_threshold()[1:])
