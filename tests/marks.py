"""Marks for parameters: the default suite runs one of many similar cases, `make test-all` runs the others.

Of several parameters `make test-all` runs each pair of values, such as every rule in every profile and in every
rendering. All combinations are left to `make soak`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

import pytest


def slow_except(defaults: Collection[Any], values: Iterable[Any]) -> list[Any]:
    """Return the values as parameters; those that are not among the defaults are marked slow."""
    return [value if value in defaults else pytest.param(value, marks=pytest.mark.slow) for value in values]


def soak_except(defaults: Collection[Any], values: Iterable[Any]) -> list[Any]:
    """Return the values as parameters; those that are not among the defaults are left to `make soak`."""
    return [value if value in defaults else pytest.param(value, marks=pytest.mark.soak) for value in values]


def slow_except_where(
    is_default: Callable[..., bool],
    rows: Iterable[tuple[Any, ...]],
    *,
    is_soak: Callable[..., bool] = lambda *_: False,
) -> list[Any]:
    """Return rows of several parameters; those for which `is_default(*row)` is false are marked slow, or soak."""
    return [
        row if is_default(*row) else pytest.param(*row, marks=_mark_of(is_soak=is_soak(*row))) for row in rows
    ]


def _mark_of(*, is_soak: bool) -> pytest.MarkDecorator:
    return pytest.mark.soak if is_soak else pytest.mark.slow
