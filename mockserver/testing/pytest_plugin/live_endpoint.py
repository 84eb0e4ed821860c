"""The same tests against a live endpoint: a judging pass-through stands where the mock would.

Nothing of this happens without `--responses-live`, a URL and a key. What a test scripts is the mock's alone,
so a test that scripts anything is skipped, and says so.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from secrets import token_hex
from typing import Any

import pytest

from mockserver.errors import ConfigurationError
from mockserver.live.budgeted_client import Budget
from mockserver.live.client import Timeouts
from mockserver.live.endpoint import Endpoint, api_key_from_env, parse_endpoint
from mockserver.live.relay import Relay
from mockserver.live.verification import profiles_for_path
from mockserver.profiles import DEFAULT_PROFILE, load_profile
from mockserver.server.http.threaded_server import ThreadedServer
from mockserver.server.state.sessions import open_session
from mockserver.testing.local_server import GRACE_SECONDS, LocalServer
from mockserver.testing.pytest_plugin import options

__all__ = ["LiveSettings", "create_live_server", "load_live_settings", "skip_if_scripted"]

#: Arguments of the marker that say how the mock is to behave.
_MOCK_ONLY_ARGUMENTS = ("exchanges", "rendering", "fault", "limit", "pace", "chunking", "pauses")


@dataclass(frozen=True, slots=True)
class LiveSettings:
    """Which endpoint is asked, and what it may cost."""

    endpoint: Endpoint
    profile: str
    model: str
    max_requests: int
    max_tokens: int


def load_live_settings(config: pytest.Config) -> LiveSettings | None:
    """What the options say; None where they ask for no endpoint. UsageError where they can not be used.

    Under pytest-xdist each worker may spend its share.
    """
    if not options.is_live(config):
        return None
    try:
        return _parse_options(config)
    except (ConfigurationError, LookupError) as error:
        raise pytest.UsageError(str(error)) from None


def _parse_options(config: pytest.Config) -> LiveSettings:
    url, key_name = options.option_value(config, "live-url"), options.option_value(config, "live-api-key-env")
    if not url:
        raise ConfigurationError("--responses-live needs the endpoint: --responses-live-url URL")
    place = parse_endpoint(url, api_key_from_env(os.environ, key_name), key_name)
    found = [each.name for each in profiles_for_path(url)]
    profile = load_profile(options.option_value(config, "live-profile") or (found or [DEFAULT_PROFILE])[-1])
    model = options.option_value(config, "live-model") or next(iter(profile.models), "")
    if not model:
        raise ConfigurationError(f"{profile.name} names no model: --responses-live-model NAME")
    workers = getattr(config, "workerinput", {}).get("workercount", 1)
    requests, tokens = (
        _whole_number(config, name) // workers for name in ("live-max-requests", "live-max-tokens")
    )
    return LiveSettings(place, profile.name, model, requests, tokens)


def _whole_number(config: pytest.Config, name: str) -> int:
    value = options.option_value(config, name)
    if not value.isdecimal():
        raise ConfigurationError(f"--responses-{name} is a whole number, not {value!r}")
    return int(value)


def create_live_server(settings: LiveSettings) -> tuple[LocalServer, Relay]:
    """The pass-through to the endpoint, in the mock's place, and what it serves."""
    session = open_session("live", profile=settings.profile)
    key = f"relay-{token_hex(16)}"
    budget = Budget(settings.max_requests, settings.max_tokens)
    relay = Relay(settings.endpoint, session.profile, key, budget, Timeouts(), session.journal)
    server = ThreadedServer(relay, grace_seconds=GRACE_SECONDS)
    served = LocalServer(
        session,
        server,
        api_key=key,
        model=settings.model,
        wait_until_idle=relay.wait_until_idle,
        on_stop=relay.close,
    )
    return served, relay


def skip_if_scripted(item: pytest.Item) -> None:
    """Skip a test whose marker scripts the mock."""
    marked = options.marker_arguments(item)
    scripted = [name for name in _MOCK_ONLY_ARGUMENTS if marked.get(name) is not None]
    if scripted:
        options.skip_when_live(f"its marker sets {scripted[0]}")
    plan = load_live_settings(item.config)
    asked: Any = marked.get("profile")
    if plan is not None and asked not in (None, plan.profile):
        told = f"its marker asks for the profile {asked}, and the endpoint is judged as {plan.profile}"
        options.skip_when_live(told)
