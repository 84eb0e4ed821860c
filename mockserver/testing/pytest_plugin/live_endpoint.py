"""`pytest --responses-live`: a checking pass-through to an endpoint takes the place of the mock.

It needs the option, a URL and a key. A test that configures the mock is skipped, with the reason.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from secrets import token_hex
from typing import Any

import pytest

from mockserver.contract.detection import profiles_for_path
from mockserver.errors import ConfigurationError, LiveError
from mockserver.live.budgeted_client import Budget, BudgetedClient
from mockserver.live.client import Client, Timeouts
from mockserver.live.connections import parse_connection_options
from mockserver.live.endpoint import Endpoint, api_key_from_env, parse_endpoint
from mockserver.live.probes.replies import hello_request
from mockserver.live.profile_choice import detect_profile_of_endpoint, model_for_path
from mockserver.live.relay import Relay, RelayOptions
from mockserver.profiles import DEFAULT_PROFILE, load_profile
from mockserver.server.http.threaded_server import ThreadedServer
from mockserver.server.state.sessions import open_session
from mockserver.testing.local_server import GRACE_SECONDS, LocalServer
from mockserver.testing.pytest_plugin import options

__all__ = ["LiveSettings", "create_live_server", "load_live_settings", "skip_if_scripted"]

#: Arguments of the marker that configure the mock.
_MOCK_ONLY_ARGUMENTS = (
    *("exchanges", "rendering", "fault", "limit", "output_tokens", "pace", "chunking", "pauses"),
)


@dataclass(frozen=True, slots=True)
class LiveSettings:
    """The endpoint and the budget."""

    endpoint: Endpoint
    profile: str
    model: str
    max_requests: int
    max_tokens: int
    spent_requests: int = 0
    """Those of the profile detection."""
    spent_tokens: int = 0


#: Settings whose profile was detected, so that a run asks only once.
_DETECTED: pytest.StashKey[LiveSettings] = pytest.StashKey()


def load_live_settings(config: pytest.Config, *, detect: bool = True) -> LiveSettings | None:
    """Read the options; None without `--responses-live`. UsageError if one is missing or invalid.

    If neither an option nor the URL's path decides the profile, and unless `detect` is off, one request to the
    endpoint does. Under pytest-xdist each worker gets its share of the budget.
    """
    if not options.is_live(config):
        return None
    if _DETECTED in config.stash:
        return config.stash[_DETECTED]
    try:
        settings = _parse_options(config)
    except (ConfigurationError, LookupError) as error:
        raise pytest.UsageError(str(error)) from None
    if detect:
        settings = config.stash[_DETECTED] = _detect_profile(config, settings)
    return settings


def _parse_options(config: pytest.Config) -> LiveSettings:
    url, key_name = options.option_value(config, "live-url"), options.option_value(config, "live-api-key-env")
    if not url:
        raise ConfigurationError("--responses-live needs an endpoint: add --responses-live-url URL")
    if not os.environ.get(key_name):
        raise ConfigurationError(
            f"{key_name} is not set: set it to the API key, or name another variable with "
            "--responses-live-api-key-env"
        )
    connection = parse_connection_options(
        options.option_value(config, "live-ca-file"),
        options.option_value(config, "live-proxy"),
        prefix="--responses-live-",
    )
    endpoint = parse_endpoint(url, api_key_from_env(os.environ, key_name), key_name, connection=connection)
    candidates = [each.name for each in profiles_for_path(url)] or [DEFAULT_PROFILE]
    profile = load_profile(options.option_value(config, "live-profile") or candidates[-1])
    model = options.option_value(config, "live-model") or next(iter(profile.models), "")
    if not model:
        raise ConfigurationError(f"{profile.name} lists no model: add --responses-live-model NAME")
    workers = getattr(config, "workerinput", {}).get("workercount", 1)
    requests, tokens = (
        _whole_number(config, name) // workers for name in ("live-max-requests", "live-max-tokens")
    )
    return LiveSettings(endpoint, profile.name, model, requests, tokens)


def _detect_profile(config: pytest.Config, settings: LiveSettings) -> LiveSettings:
    """The settings with the profile of the endpoint's first reply; unchanged if there is none."""
    endpoint = settings.endpoint
    if options.option_value(config, "live-profile") or len(profiles_for_path(endpoint.base_url)) == 1:
        return settings
    client = Client(endpoint, Timeouts())
    try:
        budget = Budget(settings.max_requests, settings.max_tokens)
        budgeted_client = BudgetedClient(client, budget, retry_waits=())
        model = options.option_value(config, "live-model") or model_for_path(endpoint.base_url)
        request = hello_request(model, token_hex(3), streamed=True)
        choice = detect_profile_of_endpoint(endpoint, budgeted_client, request)
    except LiveError:  # the first test then fails with the reason
        return settings
    finally:
        client.close()
    profile = load_profile(choice.profile)
    accepts_model = profile.any_model or model in profile.models or not profile.models
    return replace(
        settings,
        profile=profile.name,
        model=model if accepts_model else profile.models[0],
        spent_requests=budget.spent_requests,
        spent_tokens=budget.spent_tokens,
    )


def _whole_number(config: pytest.Config, name: str) -> int:
    value = options.option_value(config, name)
    if not value.isdecimal():
        raise ConfigurationError(f"--responses-{name} must be a whole number, not {value!r}")
    return int(value)


def create_live_server(settings: LiveSettings, max_body: int) -> tuple[LocalServer, Relay]:
    """The pass-through to the endpoint, not started yet, and its application."""
    session = open_session("live", profile=settings.profile)
    key = f"relay-{token_hex(16)}"
    budget = Budget(
        settings.max_requests, settings.max_tokens, settings.spent_requests, settings.spent_tokens
    )
    relay = Relay(
        settings.endpoint,
        session.profile,
        key,
        budget,
        Timeouts(),
        session.journal,
        options=RelayOptions(max_body=max_body),
    )
    server = ThreadedServer(relay, grace_seconds=GRACE_SECONDS)
    local_server = LocalServer(
        session,
        server,
        api_key=key,
        model=settings.model,
        wait_until_idle=relay.wait_until_idle,
        on_stop=relay.close,
    )
    return local_server, relay


def skip_if_scripted(item: pytest.Item) -> None:
    """Skip a test whose marker configures the mock."""
    arguments = options.marker_arguments(item)
    for name in _MOCK_ONLY_ARGUMENTS:
        if arguments.get(name) is not None:
            options.skip_when_live(f"its marker sets {name}")
    settings = load_live_settings(item.config)
    profile: Any = arguments.get("profile")
    if settings is not None and profile not in (None, settings.profile):
        options.skip_when_live(
            f"its marker sets profile {profile}, and the endpoint is checked as {settings.profile}"
        )
