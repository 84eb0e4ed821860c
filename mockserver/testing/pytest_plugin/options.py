"""The plugin's command-line options, ini options and marker. Imports only pytest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import pytest

__all__ = [
    "MARKER_DESCRIPTION",
    "RECORDINGS_FOLDER",
    "RECORD_MODES",
    "SEVERITIES",
    "RecordMode",
    "add_options",
    "boolean_option",
    "command_line_value",
    "is_live",
    "marker_arguments",
    "option_value",
    "record_mode",
    "report_path",
    "require_endpoint_for_recording",
    "require_writable_reports",
    "skip_when_live",
]

MARKER_DESCRIPTION = (
    "responses(profile=None, rendering=None, exchanges=None, strict=None, fail_on=None, conduct=None, allow=[], "
    "recorded=None, record_errors=False): "
    "configure the mock servers of this test; conduct=True: what its client does over several requests is checked "
    "too; allow: rule ids, 'unplanned', 'unused', 'refused', 'drifted', "
    "'unrecorded', 'unreachable' or 'budget', which do not fail it; recorded=True: it requires recordings, "
    "False: it never uses them; record_errors=True: error replies are recorded too."
)

_MARKER_ARGUMENTS = (
    "profile",
    "rendering",
    "exchanges",
    "strict",
    "fail_on",
    "allow",
    "recorded",
    "record_errors",
    "conduct",
)


class RecordMode(NamedTuple):
    """What a record mode does with a test's recordings."""

    name: str
    needs_endpoint: bool
    """Whether it requires `--responses-live`."""
    replays: bool = False
    """Whether existing recordings answer requests."""
    records: bool = False
    keeps: str = "all"
    """The recordings that survive a new one: "all", "others" (those of other requests) or "none"."""
    compares: bool = False
    """Whether the endpoint's replies are compared with the recordings."""


#: The values of `--responses-record-mode`: those of vcrpy and pytest-recording, and `verify`.
RECORD_MODES: Mapping[str, RecordMode] = {
    mode.name: mode
    for mode in (
        RecordMode("none", needs_endpoint=False, replays=True),
        RecordMode("once", needs_endpoint=False, replays=True, records=True),
        RecordMode("new_episodes", needs_endpoint=True, replays=True, records=True),
        RecordMode("all", needs_endpoint=True, records=True, keeps="others"),
        RecordMode("rewrite", needs_endpoint=True, records=True, keeps="none"),
        RecordMode("verify", needs_endpoint=True, compares=True),
    )
}

#: The folder beside a test module that holds its recordings.
RECORDINGS_FOLDER = "recordings"

#: The values of `--responses-fail-on`.
SEVERITIES = ("error", "warning")

_BOOLEANS = {"true": True, "false": False}

# name -> (help, metavar, choices, default)
_OPTIONS: Mapping[str, tuple[str, str | None, tuple[str, ...] | None, str]] = {
    "profile": ("Profile of the mock server.", "NAME", None, ""),
    "rendering": ("Rendering of the replies: wire or documented.", "NAME", None, ""),
    "seed": ("Seed of generated ids and texts (default: 0).", "N", None, ""),
    "strict": (
        "Reject requests that no stub matches once a test has configured a stub (default: true).",
        None,
        tuple(_BOOLEANS),
        "true",
    ),
    "unused": (
        "Unused stubs of strict tests: fail the test, list them at the end, or ignore them (default: error).",
        None,
        ("error", "warn", "off"),
        "error",
    ),
    "fail-on": (
        "The lowest severity of findings that fail a test; warnings are listed at the end (default: error).",
        None,
        SEVERITIES,
        "error",
    ),
    "conduct": (
        "Check also what a client does over several requests: retries, aborts, context (default: false).",
        None,
        tuple(_BOOLEANS),
        "false",
    ),
    "ignored": (
        "Parameters that the service ignores: list them at the end, fail the test, or ignore them (default: warn).",
        None,
        ("warn", "error", "off"),
        "warn",
    ),
    "live-url": ("Base URL of the endpoint for --responses-live, as a client takes it.", "URL", None, ""),
    "live-api-key-env": (
        "Environment variable with its API key (default: DASHSCOPE_API_KEY).",
        "NAME",
        None,
        "DASHSCOPE_API_KEY",
    ),
    "live-ca-file": (
        "PEM file of the certificate authorities to trust there (default: SSL_CERT_FILE, else certifi's).",
        "FILE",
        None,
        "",
    ),
    "live-proxy": (
        "Connect to it through this proxy; variables such as HTTPS_PROXY have no effect.",
        "URL",
        None,
        "",
    ),
    "live-model": ("Model to use there (default: the profile's first model).", "NAME", None, ""),
    "live-profile": (
        "Profile to check it against (default: detected from the URL's path or one reply).",
        "NAME",
        None,
        "",
    ),
    "live-max-requests": ("Maximum number of requests to send there (default: 100).", "N", None, "100"),
    "live-max-tokens": ("Maximum number of tokens to spend there (default: 100000).", "N", None, "100000"),
    "html": ("Write an HTML report with the requests of all tests.", "FILE", None, ""),
    "record-mode": (
        "none replays recordings; once, new_episodes, all and rewrite record; verify compares (default: none).",
        None,
        tuple(RECORD_MODES),
        "none",
    ),
    "report": ("Write a JSON report with the requests of all tests.", "FILE", None, ""),
}


def add_options(parser: pytest.Parser) -> None:
    """`--responses-NAME` and `responses_NAME` for each option."""
    group = parser.getgroup("responses", "mock server of the Responses API")
    live = "Run the tests against a live endpoint; tests that configure the mock are skipped."
    group.addoption("--responses-live", dest="responses_live", action="store_true", default=False, help=live)
    parser.addini("responses_live", "As --responses-live.", type="bool", default=False)
    for name, (description, metavar, choices, _) in _OPTIONS.items():
        values: dict[str, Any] = {"choices": choices} if choices else {"metavar": metavar}
        group.addoption(f"--responses-{name}", dest=_ini_name(name), default=None, help=description, **values)
        parser.addini(_ini_name(name), f"As --responses-{name}.", default="")


def _ini_name(name: str) -> str:
    return f"responses_{name.replace('-', '_')}"


def is_live(config: pytest.Config) -> bool:
    """Whether the tests run against a live endpoint."""
    return bool(config.getoption("responses_live") or config.getini("responses_live"))


def require_endpoint_for_recording(config: pytest.Config) -> None:
    """Raise UsageError if the record mode needs an endpoint and the run has none."""
    mode = record_mode(config)
    if mode.needs_endpoint and not is_live(config):
        raise pytest.UsageError(
            f"--responses-record-mode={mode.name} needs an endpoint: "
            "add --responses-live and --responses-live-url URL"
        )


def record_mode(config: pytest.Config) -> RecordMode:
    """The record mode of the run."""
    return RECORD_MODES[option_value(config, "record-mode")]


def command_line_value(config: pytest.Config, name: str) -> str:
    """The value on the command line, "" if there is none."""
    return str(config.getoption(_ini_name(name)) or "")


def option_value(config: pytest.Config, name: str) -> str:
    """The value on the command line, else in the ini file, else the default; UsageError if it is invalid."""
    _, _, choices, default = _OPTIONS[name]
    value = command_line_value(config, name) or str(config.getini(_ini_name(name))) or default
    if choices and value not in choices:
        from mockserver.suggestions import choose_from

        raise pytest.UsageError(f"{_ini_name(name)} cannot be {value!r}{choose_from(value, choices)}")
    return value


def boolean_option(config: pytest.Config, name: str) -> bool:
    return _BOOLEANS[option_value(config, name)]


def report_path(config: pytest.Config, name: str = "report") -> Path | None:
    """Path of a report: relative to the working directory, or to the root if the ini file names it."""
    if path := command_line_value(config, name):
        return config.invocation_params.dir / path
    path = option_value(config, name)
    return config.rootpath / path if path else None


def require_writable_reports(config: pytest.Config) -> None:
    """Create the folders of the reports. Raises UsageError if one cannot be written, before any test runs."""
    for name in ("report", "html"):
        file = report_path(config, name)
        if file is None:
            continue
        from mockserver.regular_files import require_writable

        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            require_writable(file)
        except OSError as error:
            reason = error.strerror or error
            raise pytest.UsageError(f"responses_{name}: cannot write {file}: {reason}") from None


def marker_arguments(item: pytest.Item) -> dict[str, Any]:
    """Arguments of an item's markers; the closest marker wins, except that `allow` adds up. UsageError."""
    merged: dict[str, Any] = {}
    allowed: list[str] = []
    for mark in item.iter_markers("responses"):
        if mark.args:
            raise pytest.UsageError(f"{item.nodeid}: the marker responses takes keyword arguments only")
        for name, value in mark.kwargs.items():
            if name not in _MARKER_ARGUMENTS:
                from mockserver.suggestions import choose_from

                known = choose_from(name, _MARKER_ARGUMENTS)
                raise pytest.UsageError(
                    f"{item.nodeid}: the marker responses has no argument {name!r}{known}"
                )
            if name == "allow":
                allowed += [value] if isinstance(value, str) else value
            elif value is not None:
                merged.setdefault(name, value)
    return {**merged, "allow": allowed} if merged or allowed else {}


def skip_when_live(reason: str) -> NoReturn:
    """Skip the running test because only the mock can do what it needs."""
    pytest.skip(f"not against a live endpoint: {reason}")
