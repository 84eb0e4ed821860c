"""Options of the plugin, each with a twin in pytest's ini file, and the marker. Imports only pytest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

__all__ = ["MARKER", "add_options", "chosen", "given", "marked", "report_file", "switched"]

MARKER = (
    "responses(profile=None, rendering=None, exchanges=None, strict=None, allow=[]): "
    "how the servers of this test behave, and what its requests may break (ids of rules, or 'unplanned', "
    "'unused', 'refused')."
)

_MARKED = ("profile", "rendering", "exchanges", "strict", "allow")

_TRUTH = {"true": True, "false": False}

# name -> (help, metavar, choices, default)
_OPTIONS: Mapping[str, tuple[str, str | None, tuple[str, ...] | None, str]] = {
    "profile": ("The age of the service to play.", "NAME", None, ""),
    "rendering": ("How replies look: wire or documented.", "NAME", None, ""),
    "seed": ("Seed of ids and texts (0).", "N", None, ""),
    "strict": (
        "Whether a test that planned a reply fails for a request that it planned none for (true).",
        None,
        tuple(_TRUTH),
        "true",
    ),
    "unused": (
        "What comes of planned replies that nobody asked for, where tests are strict (error).",
        None,
        ("error", "warn", "off"),
        "error",
    ),
    "ignored": (
        "What comes of parameters that the service ignores (warn: one line at the end).",
        None,
        ("warn", "error", "off"),
        "warn",
    ),
    "report": ("Write what the requests of all tests came to, as JSON.", "FILE", None, ""),
}


def add_options(parser: pytest.Parser) -> None:
    """`--responses-NAME` and `responses_NAME` for each option."""
    group = parser.getgroup("responses", "mock server of the Responses API")
    for name, (about, metavar, choices, _) in _OPTIONS.items():
        shown: dict[str, Any] = {"choices": choices} if choices else {"metavar": metavar}
        group.addoption(f"--responses-{name}", dest=f"responses_{name}", default=None, help=about, **shown)
        parser.addini(f"responses_{name}", f"As --responses-{name}.", default="")


def given(config: pytest.Config, name: str) -> str:
    """What the command line says; empty: nothing."""
    return str(config.getoption(f"responses_{name}") or "")


def chosen(config: pytest.Config, name: str) -> str:
    """What the command line says, else the ini file, else the default; UsageError for what is no choice."""
    _, _, choices, default = _OPTIONS[name]
    value = given(config, name) or str(config.getini(f"responses_{name}")) or default
    if choices and value not in choices:
        raise pytest.UsageError(f"responses_{name} is {value!r}; it can be: {', '.join(choices)}")
    return value


def switched(config: pytest.Config, name: str) -> bool:
    """A choice between true and false."""
    return _TRUTH[chosen(config, name)]


def report_file(config: pytest.Config) -> Path | None:
    """Where the report goes: below the folder pytest was started in; by the ini file, below the root."""
    if told := given(config, "report"):
        return config.invocation_params.dir / told
    told = chosen(config, "report")
    return config.rootpath / told if told else None


def marked(item: pytest.Item) -> dict[str, Any]:
    """Arguments of an item's markers, the closest first; what they allow is added up. UsageError."""
    merged: dict[str, Any] = {}
    allowed: list[str] = []
    for mark in item.iter_markers("responses"):
        if mark.args:
            raise pytest.UsageError(f"{item.nodeid}: the marker responses takes its arguments by name")
        for name, value in mark.kwargs.items():
            if name not in _MARKED:
                known = ", ".join(_MARKED)
                raise pytest.UsageError(
                    f"{item.nodeid}: the marker responses has no argument {name!r}; it has: {known}"
                )
            if name == "allow":
                allowed += [value] if isinstance(value, str) else value
            elif value is not None:
                merged.setdefault(name, value)
    return {**merged, "allow": allowed} if merged or allowed else {}
