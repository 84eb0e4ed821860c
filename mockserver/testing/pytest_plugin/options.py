"""Options of the plugin, each with a twin in pytest's ini file, and the marker. Imports only pytest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import pytest

__all__ = [
    "MARKER_DESCRIPTION",
    "RECORDINGS_FOLDER",
    "RECORD_MODES",
    "add_options",
    "boolean_option",
    "command_line_value",
    "is_live",
    "marker_arguments",
    "option_value",
    "report_path",
    "require_endpoint_for_recording",
    "skip_when_live",
]

MARKER_DESCRIPTION = (
    "responses(profile=None, rendering=None, exchanges=None, strict=None, allow=[], recorded=None): "
    "how the servers of this test behave, and what its requests may break (ids of rules, or 'unplanned', "
    "'unused', 'refused', 'drifted'); recorded=True: it needs recordings, False: it has none."
)

_MARKER_ARGUMENTS = ("profile", "rendering", "exchanges", "strict", "allow", "recorded")

#: What `--responses-record-mode` can be, as in vcrpy and pytest-recording, and one more.
RECORD_MODES = ("none", "once", "new_episodes", "all", "rewrite", "verify")

#: The folder beside a test's module that its recordings are in.
RECORDINGS_FOLDER = "recordings"

_BOOLEANS = {"true": True, "false": False}

# name -> (help, metavar, choices, default)
_OPTIONS: Mapping[str, tuple[str, str | None, tuple[str, ...] | None, str]] = {
    "profile": ("The age of the service to play.", "NAME", None, ""),
    "rendering": ("How replies look: wire or documented.", "NAME", None, ""),
    "seed": ("Seed of ids and texts (0).", "N", None, ""),
    "strict": (
        "Whether a test that planned a reply fails for a request that it planned none for (true).",
        None,
        tuple(_BOOLEANS),
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
    "live-url": ("The endpoint for --responses-live: what goes into a client.", "URL", None, ""),
    "live-api-key-env": ("The variable that holds its key.", "NAME", None, "DASHSCOPE_API_KEY"),
    "live-model": ("The model to ask there; default: the profile's first.", "NAME", None, ""),
    "live-profile": ("The age to judge it by; default: as its path tells.", "NAME", None, ""),
    "live-max-requests": ("Requests to send there at the most (100).", "N", None, "100"),
    "live-max-tokens": ("No request is sent once so many tokens are spent (100000).", "N", None, "100000"),
    "html": ("Write what the requests of all tests came to, as a page to look at.", "FILE", None, ""),
    "record-mode": (
        "none plays recordings; once, new_episodes, all and rewrite make them; verify compares (none).",
        None,
        RECORD_MODES,
        "none",
    ),
    "report": ("Write what the requests of all tests came to, as JSON.", "FILE", None, ""),
}


def add_options(parser: pytest.Parser) -> None:
    """`--responses-NAME` and `responses_NAME` for each option."""
    group = parser.getgroup("responses", "mock server of the Responses API")
    live = "Run the tests against a live endpoint; those that script replies are skipped."
    group.addoption("--responses-live", dest="responses_live", action="store_true", default=False, help=live)
    parser.addini("responses_live", "As --responses-live.", type="bool", default=False)
    for name, (about, metavar, choices, _) in _OPTIONS.items():
        shown: dict[str, Any] = {"choices": choices} if choices else {"metavar": metavar}
        group.addoption(f"--responses-{name}", dest=_ini_name(name), default=None, help=about, **shown)
        parser.addini(_ini_name(name), f"As --responses-{name}.", default="")


def _ini_name(name: str) -> str:
    """The name in pytest's ini file."""
    return f"responses_{name.replace('-', '_')}"


def is_live(config: pytest.Config) -> bool:
    """Whether the tests are to talk to a live endpoint."""
    return bool(config.getoption("responses_live") or config.getini("responses_live"))


def require_endpoint_for_recording(config: pytest.Config) -> None:
    """UsageError where recordings are to be made or compared, and no endpoint is named for it."""
    mode = option_value(config, "record-mode")
    if mode not in ("none", "once") and not is_live(config):
        raise pytest.UsageError(
            f"--responses-record-mode={mode} asks an endpoint: "
            "it needs --responses-live and --responses-live-url"
        )


def command_line_value(config: pytest.Config, name: str) -> str:
    """What the command line says; empty: nothing."""
    return str(config.getoption(_ini_name(name)) or "")


def option_value(config: pytest.Config, name: str) -> str:
    """What the command line says, else the ini file, else the default; UsageError for what is no choice."""
    _, _, choices, default = _OPTIONS[name]
    value = command_line_value(config, name) or str(config.getini(_ini_name(name))) or default
    if choices and value not in choices:
        raise pytest.UsageError(f"responses_{name} is {value!r}; it can be: {', '.join(choices)}")
    return value


def boolean_option(config: pytest.Config, name: str) -> bool:
    """A choice between true and false."""
    return _BOOLEANS[option_value(config, name)]


def report_path(config: pytest.Config, name: str = "report") -> Path | None:
    """Where a report goes: below the folder pytest was started in; by the ini file, below the root."""
    if told := command_line_value(config, name):
        return config.invocation_params.dir / told
    told = option_value(config, name)
    return config.rootpath / told if told else None


def marker_arguments(item: pytest.Item) -> dict[str, Any]:
    """Arguments of an item's markers, the closest first; what they allow is added up. UsageError."""
    merged: dict[str, Any] = {}
    allowed: list[str] = []
    for mark in item.iter_markers("responses"):
        if mark.args:
            raise pytest.UsageError(f"{item.nodeid}: the marker responses takes its arguments by name")
        for name, value in mark.kwargs.items():
            if name not in _MARKER_ARGUMENTS:
                known = ", ".join(_MARKER_ARGUMENTS)
                raise pytest.UsageError(
                    f"{item.nodeid}: the marker responses has no argument {name!r}; it has: {known}"
                )
            if name == "allow":
                allowed += [value] if isinstance(value, str) else value
            elif value is not None:
                merged.setdefault(name, value)
    return {**merged, "allow": allowed} if merged or allowed else {}


def skip_when_live(reason: str) -> NoReturn:
    """Skip the test that runs: what it does is the mock's alone."""
    pytest.skip(f"not against a live endpoint: {reason}")
