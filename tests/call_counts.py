"""How many functions a function calls: its time, but the same on a busy machine."""

from __future__ import annotations

import sys
from collections.abc import Callable

__all__ = ["count_calls"]


def count_calls(function: Callable[[], object]) -> int:
    """How many functions, those of C included, a function calls."""
    calls = 0

    def count(_: object, event: str, __: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        function()
    finally:
        sys.setprofile(before)
    return calls
