"""Which profile a live endpoint is checked against: from its URL's path, and from one of its replies."""

from __future__ import annotations

from mockserver.contract.detection import detect_profile
from mockserver.errors import LiveError
from mockserver.live.budgeted_client import BudgetedClient, BudgetExceeded, EndpointUnreachable, RateLimited
from mockserver.live.client import LiveRequest
from mockserver.live.endpoint import Endpoint
from mockserver.profiles import DEFAULT_PROFILE, Profile, load_profile, profile_names

__all__ = ["profile_for_endpoint", "profiles_for_path"]


def profiles_for_path(base_url: str) -> list[Profile]:
    """The profiles with the base path that a URL ends with, oldest first; the longest base path wins.

    Profiles that cannot be played are left out.
    """
    playable = (load_profile(name) for name in profile_names())
    candidates = [each for each in playable if each.models and base_url.endswith(each.base_path)]
    longest = max((len(each.base_path) for each in candidates), default=0)
    return [each for each in candidates if len(each.base_path) == longest]


def profile_for_endpoint(endpoint: Endpoint, client: BudgetedClient) -> tuple[str, str]:
    """(profile, reason): from the URL's path, or from the signals of one reply if several share the path."""
    candidates = profiles_for_path(endpoint.base_url)
    if len(candidates) == 1:
        return candidates[0].name, "by its path"
    models = (candidates[-1:] or [load_profile(DEFAULT_PROFILE)])[0].models
    try:
        # A stream shows more than a reply: the profiles name the events of thinking differently.
        hello = {"model": models[0], "input": "Hello!", "stream": True}
        interaction = client.send(LiveRequest(hello, expected_tokens=500), lambda _: None)
    except (BudgetExceeded, RateLimited, EndpointUnreachable) as error:
        raise LiveError(
            f"cannot detect the profile of {endpoint.base_url}: {error}; name it with --profile"
        ) from None
    choice = detect_profile(interaction.body)
    if candidates and choice.profile not in [each.name for each in candidates]:
        return candidates[-1].name, "the newest with its path"
    return choice.profile, choice.reason
