"""Which profile a live endpoint is checked against: from one of its replies, then from its URL's path."""

from __future__ import annotations

from mockserver.contract.detection import ProfileChoice, detect_endpoint_profile, profiles_for_path
from mockserver.errors import LiveError
from mockserver.live.budgeted_client import (
    BudgetedClient,
    BudgetExceeded,
    EndpointUnreachable,
    RateLimited,
    error_message,
)
from mockserver.live.client import (
    LEAVE_OUT_RESPONSES,
    Interaction,
    LiveRequest,
    refused_key_message,
    unreachable_message,
)
from mockserver.live.endpoint import Endpoint
from mockserver.profiles import DEFAULT_PROFILE, load_profile

__all__ = ["detect_profile_of_endpoint", "model_for_path"]

_NAME_PROFILE = "name it with --profile, and a model with --model"


def model_for_path(base_url: str) -> str:
    """The model to name before the profile is known."""
    candidates = profiles_for_path(base_url)
    return (candidates[-1] if candidates else load_profile(DEFAULT_PROFILE)).models[0]


def detect_profile_of_endpoint(
    endpoint: Endpoint, client: BudgetedClient, request: LiveRequest
) -> ProfileChoice:
    """Choose the profile by the reply to a request, then by the URL's path.

    Raises LiveError if neither decides it, or if the endpoint cannot be reached.
    """
    reply, problem, interaction = b"", "", None
    try:
        interaction = client.prefetch(request)
        reply = interaction.body
        if interaction.status != 200:
            message = error_message(interaction).rstrip(".")
            problem = f"its first reply has HTTP status {interaction.status}{': ' * bool(message)}{message}"
    except EndpointUnreachable as error:
        raise LiveError(unreachable_message(endpoint, str(error))) from None
    except (BudgetExceeded, RateLimited) as error:
        problem = str(error)
    if problem and not profiles_for_path(endpoint.base_url):
        if interaction is not None and interaction.status == 401:
            raise LiveError(refused_key_message(endpoint))
        if endpoint.base_url.endswith("/responses"):
            raise LiveError(f"{endpoint.base_url} is not a base URL: {LEAVE_OUT_RESPONSES}")
        raise LiveError(
            f"cannot detect the profile of {endpoint.base_url}: {problem}; {_remedy(endpoint, interaction)}"
        )
    return detect_endpoint_profile(endpoint.base_url, reply)


def _remedy(endpoint: Endpoint, interaction: Interaction | None) -> str:
    if interaction is not None and interaction.status == 404:
        return f"{_NAME_PROFILE}, or check the path of --base-url"
    return _NAME_PROFILE
