"""`GET /health` and `GET /ready`: what the probes of containers request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mockserver import __version__
from mockserver.replies.token_counts import token_counts_in_force
from mockserver.server.access import HEALTH_PATHS, READY_PATH, AllowedHosts
from mockserver.server.http.reply_delivery import send_json
from mockserver.server.http.requests import HttpRequest
from mockserver.server.http.transmission import send_body
from mockserver.wire import json

if TYPE_CHECKING:
    from starlette.types import Scope, Send

__all__ = ["HEALTH_REQUESTS", "health", "health_facts", "is_health_check", "send_health"]

#: Method and path of each.
HEALTH_REQUESTS = frozenset((method, path) for method in ("GET", "HEAD") for path in HEALTH_PATHS)


def health_facts(profile: str, **facts: str) -> dict[str, str]:
    """The body of the reply."""
    return {"status": "ok", "version": __version__, "profile": profile, **facts}


async def health(request: HttpRequest) -> None:
    """`GET /health` and `GET /ready`: version, profile, rendering and token counts; `/ready` is 503 without its store.

    It needs no key, and the probes of a container may use any `Host`.
    """
    session = request.session
    if request.scope["path"] == READY_PATH:
        await request.services.store.ready()
    facts = {"rendering": session.rendering, "token_counts": token_counts_in_force()}
    await send_json(request, health_facts(session.profile.name, **facts))


def is_health_check(scope: Scope, hosts: AllowedHosts) -> bool:
    """Whether a request to a pass-through or a replay is one of these, from no page of another site."""
    if (scope["method"], scope["path"]) not in HEALTH_REQUESTS:
        return False
    headers = dict(scope["headers"])
    origin = headers.get(b"origin")
    return origin is None or hosts.allows_origin(origin, headers.get(b"host"))


async def send_health(send: Send, profile: str) -> None:
    """Reply to it."""
    headers = [(b"content-type", b"application/json")]
    await send_body(send, 200, headers, json.dumps(health_facts(profile)))
