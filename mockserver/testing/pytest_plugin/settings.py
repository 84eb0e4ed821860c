"""What a test is held to, and which server it gets: from the project, the run and the test's own marker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from mockserver.contract.rules import load_rules
from mockserver.errors import ConfigurationError, InvalidExchange
from mockserver.exchanges import Exchange
from mockserver.profiles import DEFAULT_PROFILE, load_profile, resolve_profile_name
from mockserver.replies.renderings import load_rendering
from mockserver.settings import SETTING_NAMES, load_project_settings
from mockserver.testing.local_server import ServerSettings, load_exchanges, validate_settings
from mockserver.testing.pytest_plugin import options

__all__ = [
    "DRIFTED",
    "REFUSED",
    "UNPLANNED",
    "UNUSED",
    "FailurePolicy",
    "failure_policy",
    "load_run_settings",
    "settings_for_test",
]

#: What a test can fail for beside the rules of the contract, by names that `allow` takes like theirs.
UNPLANNED, UNUSED, REFUSED, DRIFTED = "unplanned", "unused", "refused", "drifted"
_ALLOWABLE_NAMES = (UNPLANNED, UNUSED, REFUSED, DRIFTED)

_SERVER_SETTING_NAMES = frozenset(ServerSettings.__annotations__)


@dataclass(frozen=True, slots=True)
class FailurePolicy:
    """What a test is held to."""

    strict: bool = True
    """Whether a request has to be planned, once one is."""
    unused_stubs: str = "error"
    """What comes of planned replies that nobody asked for: error, warn or off."""
    ignored_parameters: str = "warn"
    """What comes of parameters that the service ignores: error, warn or off."""
    allowed_rules: frozenset[str] = frozenset()
    """Rules that may be broken."""


def failure_policy(item: pytest.Item) -> FailurePolicy:
    """The policy for a test; UsageError where its marker names something unknown."""
    config, marked = item.config, options.marker_arguments(item)
    strict = marked.get("strict", options.boolean_option(config, "strict"))
    if not isinstance(strict, bool):
        raise pytest.UsageError(f"{item.nodeid}: strict is True or False, not {strict!r}")
    if marked.get("recorded") not in (None, True, False):
        raise pytest.UsageError(f"{item.nodeid}: recorded is True or False, not {marked['recorded']!r}")
    allow = frozenset(marked.get("allow", ()))
    if allow:
        unknown = sorted(allow - load_rules().keys() - {*_ALLOWABLE_NAMES})
        if unknown:
            raise pytest.UsageError(
                f"{item.nodeid}: there is no rule {unknown[0]!r} to allow; `mockserver rules` lists them; "
                f"beside them there are: {', '.join(_ALLOWABLE_NAMES)}"
            )
    return FailurePolicy(
        strict, options.option_value(config, "unused"), options.option_value(config, "ignored"), allow
    )


def load_run_settings(config: pytest.Config, fixture_settings: Mapping[str, Any]) -> ServerSettings:
    """Settings of the run's servers: pyproject.toml, ini file, the fixture's, command line; the last wins.

    UsageError where one can not be used. A folder of exchanges is one below the project's root.
    """
    try:
        merged: dict[str, Any] = {
            **_project_settings(config),
            **_option_settings(config, from_ini=True),
            **validate_settings(fixture_settings, "responses_config"),
            **_option_settings(config, from_ini=False),
        }
        return _resolve_settings(config, merged)
    except (ConfigurationError, InvalidExchange, LookupError) as error:
        raise pytest.UsageError(str(error)) from None


def _project_settings(config: pytest.Config) -> ServerSettings:
    """What `[tool.mockserver]` says about servers, but for the port: one of `mockserver serve`."""
    table, where = load_project_settings(config.rootpath), "pyproject.toml, [tool.mockserver]"
    unknown = sorted(table.keys() - SETTING_NAMES)
    if unknown:
        known = ", ".join(sorted(SETTING_NAMES))
        raise ConfigurationError(f"{where}: there is no setting {unknown[0]!r}; there are: {known}")
    ours = {name: value for name, value in table.items() if name in _SERVER_SETTING_NAMES - {"port"}}
    return validate_settings(ours, where)


def settings_for_test(item: pytest.Item, run_settings: ServerSettings) -> ServerSettings:
    """The run's settings as a test's marker changes them; UsageError."""
    names = ("profile", "rendering", "exchanges")
    marked = {name: value for name, value in options.marker_arguments(item).items() if name in names}
    if not marked:
        return run_settings
    try:
        own = validate_settings(marked, f"{item.nodeid}: the marker responses")
        return _resolve_settings(item.config, {**run_settings, **own})
    except (ConfigurationError, InvalidExchange, LookupError) as error:
        raise pytest.UsageError(str(error)) from None


def _option_settings(config: pytest.Config, *, from_ini: bool) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for name in ("profile", "rendering", "seed"):
        value = (
            str(config.getini(f"responses_{name}")) if from_ini else options.command_line_value(config, name)
        )
        if value:
            told[name] = value
    if "seed" in told:
        try:
            told["seed"] = int(told["seed"])
        except ValueError:
            raise ConfigurationError(
                f"the seed of responses is a whole number, not {told['seed']!r}"
            ) from None
    return told


def _resolve_settings(config: pytest.Config, settings: Mapping[str, Any]) -> ServerSettings:
    """Settings with exchanges that are read, of a profile and rendering that exist."""
    found = dict(settings)
    if "profile" in found:
        found["profile"] = resolve_profile_name(found["profile"])
    profile = load_profile(found.get("profile", DEFAULT_PROFILE))
    load_rendering(profile.name, found.get("rendering", "wire"))
    folder = found.get("exchanges")
    if isinstance(folder, str | Path):
        found["exchanges"] = _cached_exchanges(config.rootpath / folder)
    return validate_settings(found, "settings")


@cache
def _cached_exchanges(folder: Path) -> tuple[Exchange, ...]:
    """The exchanges in a folder, read once in a run."""
    return load_exchanges(folder)
