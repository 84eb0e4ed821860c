"""Options of the commands: each can also be set as a variable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

__all__ = ["ENV_PREFIX", "option"]

#: What the names of our variables begin with.
ENV_PREFIX = "MOCKSERVER_"

_Command = TypeVar("_Command", bound=Callable[..., Any])


def option(*names: str, **attributes: Any) -> Callable[[_Command], _Command]:
    """An option that can also be set as a MOCKSERVER_… variable."""
    variable = ENV_PREFIX + names[-1].lstrip("-").replace("-", "_").upper()
    return click.option(
        *names, envvar=variable, show_default=attributes.pop("show_default", True), **attributes
    )
