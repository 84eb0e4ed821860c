"""Settings of a test: from the project, the ini file, a fixture, the command line and the test's marker."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from mockserver.contract.rules import load_conduct_rules, load_rules
from mockserver.errors import ConfigurationError, InvalidExchange
from mockserver.exchange_files import load_exchange_folder
from mockserver.exchanges import Exchange
from mockserver.profiles import DEFAULT_PROFILE, load_profile, resolve_profile_name
from mockserver.replies.renderings import load_rendering
from mockserver.server.journal_entries import REFUSED, UNPLANNED
from mockserver.server.verdicts import UNUSED, FailurePolicy
from mockserver.settings import SETTING_NAMES, load_project_settings
from mockserver.suggestions import choose_from, did_you_mean
from mockserver.testing.pytest_plugin import options
from mockserver.testing.server_settings import ServerSettings, existing_folder, validate_settings
from mockserver.wire.masks import Masks, masks_from_settings

__all__ = [
    "BUDGET",
    "DRIFTED",
    "UNCHECKED",
    "UNREACHABLE",
    "UNRECORDED",
    "failure_policy",
    "load_run_settings",
    "settings_for_test",
]

#: Reasons to fail a test that are not rules of the contract; `allow` takes these names too.
DRIFTED = "drifted"
#: A request in record mode `verify` that has no recording to compare its reply with.
UNRECORDED = "unrecorded"
#: Reasons why a live endpoint did not answer a request; REFUSED is another.
UNREACHABLE, BUDGET = "unreachable", "budget"
#: The check of a live endpoint's reply takes too long.
UNCHECKED = "unchecked"
_ALLOWABLE_NAMES = (UNPLANNED, UNUSED, REFUSED, DRIFTED, UNRECORDED, UNREACHABLE, BUDGET, UNCHECKED)

_SERVER_SETTING_NAMES = frozenset(ServerSettings.__annotations__)


def failure_policy(item: pytest.Item) -> FailurePolicy:
    """The policy for a test; UsageError if its marker is invalid."""
    config, arguments = item.config, options.marker_arguments(item)
    strict = arguments.get("strict", options.boolean_option(config, "strict"))
    conduct = arguments.get("conduct", options.boolean_option(config, "conduct"))
    for name, value in (("strict", strict), ("conduct", conduct)):
        if not isinstance(value, bool):
            raise pytest.UsageError(f"{item.nodeid}: {name} must be True or False, not {value!r}")
    for name in ("recorded", "record_errors"):
        if arguments.get(name) not in (None, True, False):
            raise pytest.UsageError(f"{item.nodeid}: {name} must be True or False, not {arguments[name]!r}")
    fail_on = arguments.get("fail_on", options.option_value(config, "fail-on"))
    if fail_on not in options.SEVERITIES:
        raise pytest.UsageError(
            f"{item.nodeid}: fail_on must be {' or '.join(options.SEVERITIES)}, not {fail_on!r}"
        )
    allow = frozenset(arguments.get("allow", ()))
    if allow:
        rules = {**load_rules(), **load_conduct_rules()}
        unknown = sorted(allow - rules.keys() - {*_ALLOWABLE_NAMES})
        if unknown:
            suggestion = did_you_mean(unknown[0], (*_ALLOWABLE_NAMES, *rules)) or ";"
            raise pytest.UsageError(
                f"{item.nodeid}: allow: no rule {unknown[0]!r}{suggestion} `mockserver rules` lists the rules; "
                f"the other names are: {', '.join(_ALLOWABLE_NAMES)}"
            )
    return FailurePolicy(
        strict,
        options.option_value(config, "unused"),
        options.option_value(config, "ignored"),
        fail_on,
        allow,
        conduct,
    )


def load_run_settings(config: pytest.Config, fixture_settings: Mapping[str, Any]) -> ServerSettings:
    """The run's settings from pyproject.toml, the ini file, the fixture and the command line; the last wins.

    Raises UsageError if one is invalid. A relative exchange folder is relative to the project's root.
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


def load_masks(config: pytest.Config) -> Masks:
    """The masks in `[tool.mockserver]`; UsageError."""
    try:
        return masks_from_settings(load_project_settings(config.rootpath))
    except ConfigurationError as error:
        raise pytest.UsageError(str(error)) from None


def _project_settings(config: pytest.Config) -> ServerSettings:
    """The server settings in `[tool.mockserver]`, except host and port, which are for the commands."""
    table, source = load_project_settings(config.rootpath), "pyproject.toml, [tool.mockserver]"
    unknown = sorted(table.keys() - SETTING_NAMES)
    if unknown:
        known = choose_from(unknown[0], sorted(SETTING_NAMES))
        raise ConfigurationError(f"{source}: no setting {unknown[0]!r}{known}")
    values = {
        name: value for name, value in table.items() if name in _SERVER_SETTING_NAMES - {"host", "port"}
    }
    return validate_settings(values, source)


def settings_for_test(item: pytest.Item, run_settings: ServerSettings) -> ServerSettings:
    """The run's settings with the changes of the test's marker; UsageError."""
    names = ("profile", "rendering", "exchanges")
    values = {name: value for name, value in options.marker_arguments(item).items() if name in names}
    if not values:
        return run_settings
    try:
        changes = validate_settings(values, f"{item.nodeid}: the marker responses")
        return _resolve_settings(item.config, {**run_settings, **changes})
    except (ConfigurationError, InvalidExchange, LookupError) as error:
        raise pytest.UsageError(str(error)) from None


def _option_settings(config: pytest.Config, *, from_ini: bool) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for name in ("profile", "rendering", "seed"):
        value = (
            str(config.getini(f"responses_{name}")) if from_ini else options.command_line_value(config, name)
        )
        if value:
            settings[name] = value
    if "seed" in settings:
        try:
            settings["seed"] = int(settings["seed"])
        except ValueError:
            raise ConfigurationError(
                f"responses_seed must be a whole number, not {settings['seed']!r}"
            ) from None
    return settings


def _resolve_settings(config: pytest.Config, settings: Mapping[str, Any]) -> ServerSettings:
    """Check that profile and rendering exist, and load the exchanges."""
    resolved = dict(settings)
    if "profile" in resolved:
        resolved["profile"] = resolve_profile_name(resolved["profile"])
    profile = load_profile(resolved.get("profile", DEFAULT_PROFILE))
    load_rendering(profile.name, resolved.get("rendering", "wire"))
    folder = resolved.get("exchanges")
    if isinstance(folder, str | Path):
        rendering = resolved.get("rendering", "wire")
        resolved["exchanges"] = _cached_exchanges(config.rootpath / folder, profile.name, rendering)
    return validate_settings(resolved, "settings")


@cache
def _cached_exchanges(folder: Path, profile: str, rendering: str) -> tuple[Exchange, ...]:
    from mockserver.server.stubs.document_problems import problem_finder  # imports how replies are rendered

    return load_exchange_folder(existing_folder(folder), problem_finder(profile, rendering))
