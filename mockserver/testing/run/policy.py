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
from mockserver.profiles import LATEST, latest_profile_name, load_profile
from mockserver.replies.renderings import load_rendering
from mockserver.settings import SETTING_NAMES, load_project_settings
from mockserver.testing.run import options
from mockserver.testing.serving import Settings, checked, loaded

__all__ = ["DRIFTED", "REFUSED", "UNPLANNED", "UNUSED", "Policy", "policy_of", "run_settings", "settings_of"]

#: What a test can fail for beside the rules of the contract, by names that `allow` takes like theirs.
UNPLANNED, UNUSED, REFUSED, DRIFTED = "unplanned", "unused", "refused", "drifted"
_NAMES = (UNPLANNED, UNUSED, REFUSED, DRIFTED)

_OF_SERVER = frozenset(Settings.__annotations__)


@dataclass(frozen=True, slots=True)
class Policy:
    """What a test is held to."""

    strict: bool = True
    """Whether a request has to be planned, once one is."""
    unused: str = "error"
    """What comes of planned replies that nobody asked for: error, warn or off."""
    ignored: str = "warn"
    """What comes of parameters that the service ignores: error, warn or off."""
    allow: frozenset[str] = frozenset()
    """Rules that may be broken."""


def policy_of(item: pytest.Item) -> Policy:
    """The policy for a test; UsageError where its marker names something unknown."""
    config, marked = item.config, options.marked(item)
    strict = marked.get("strict", options.switched(config, "strict"))
    if not isinstance(strict, bool):
        raise pytest.UsageError(f"{item.nodeid}: strict is True or False, not {strict!r}")
    if marked.get("recorded") not in (None, True, False):
        raise pytest.UsageError(f"{item.nodeid}: recorded is True or False, not {marked['recorded']!r}")
    allow = frozenset(marked.get("allow", ()))
    if allow:
        unknown = sorted(allow - load_rules().keys() - {*_NAMES})
        if unknown:
            raise pytest.UsageError(
                f"{item.nodeid}: there is no rule {unknown[0]!r} to allow; `mockserver rules` lists them; "
                f"beside them there are: {', '.join(_NAMES)}"
            )
    return Policy(strict, options.chosen(config, "unused"), options.chosen(config, "ignored"), allow)


def run_settings(config: pytest.Config, given: Mapping[str, Any]) -> Settings:
    """Settings of the run's servers: pyproject.toml, ini file, the fixture's, command line; the last wins.

    UsageError where one can not be used. A folder of exchanges is one below the project's root.
    """
    try:
        merged: dict[str, Any] = {
            **_of_project(config),
            **_options(config, ini=True),
            **checked(given, "responses_config"),
            **_options(config, ini=False),
        }
        return _usable(config, merged)
    except (ConfigurationError, InvalidExchange, LookupError) as error:
        raise pytest.UsageError(str(error)) from None


def _of_project(config: pytest.Config) -> Settings:
    """What `[tool.mockserver]` says about servers, but for the port: one of `mockserver serve`."""
    table, where = load_project_settings(config.rootpath), "pyproject.toml, [tool.mockserver]"
    unknown = sorted(table.keys() - SETTING_NAMES)
    if unknown:
        known = ", ".join(sorted(SETTING_NAMES))
        raise ConfigurationError(f"{where}: there is no setting {unknown[0]!r}; there are: {known}")
    ours = {name: value for name, value in table.items() if name in _OF_SERVER - {"port"}}
    return checked(ours, where)


def settings_of(item: pytest.Item, run: Settings) -> Settings:
    """The run's settings as a test's marker changes them; UsageError."""
    names = ("profile", "rendering", "exchanges")
    marked = {name: value for name, value in options.marked(item).items() if name in names}
    if not marked:
        return run
    try:
        own = checked(marked, f"{item.nodeid}: the marker responses")
        return _usable(item.config, {**run, **own})
    except (ConfigurationError, InvalidExchange, LookupError) as error:
        raise pytest.UsageError(str(error)) from None


def _options(config: pytest.Config, *, ini: bool) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for name in ("profile", "rendering", "seed"):
        value = str(config.getini(f"responses_{name}")) if ini else options.given(config, name)
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


def _usable(config: pytest.Config, settings: Mapping[str, Any]) -> Settings:
    """Settings with exchanges that are read, of a profile and rendering that exist."""
    found = dict(settings)
    if found.get("profile") == LATEST:
        found["profile"] = latest_profile_name()
    profile = load_profile(**{"name": found["profile"]} if "profile" in found else {})
    load_rendering(profile.name, found.get("rendering", "wire"))
    folder = found.get("exchanges")
    if isinstance(folder, str | Path):
        found["exchanges"] = _exchanges(config.rootpath / folder)
    return checked(found, "settings")


@cache
def _exchanges(folder: Path) -> tuple[Exchange, ...]:
    """The exchanges in a folder, read once in a run."""
    return loaded(folder)
