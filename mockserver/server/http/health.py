"""`GET /health` and `GET /ready`: what the probes of containers request."""

from __future__ import annotations

from starlette.types import Scope, Send

from mockserver import __version__
from mockserver.server.access import HEALTH_PATHS, AllowedHosts
from mockserver.server.http.transmission import send_body
from mockserver.wire import json

__all__ = ["health_facts", "is_health_check", "send_health"]


def health_facts(profile: str, **facts: str) -> dict[str, str]:
    """The body of the reply."""
    return {"status": "ok", "version": __version__, "profile": profile, **facts}


def is_health_check(scope: Scope, hosts: AllowedHosts) -> bool:
    """Whether a request to a pass-through or a replay is one of these, from no page of another site."""
    if scope["path"] not in HEALTH_PATHS or scope["method"] not in ("GET", "HEAD"):
        return False
    headers = dict(scope["headers"])
    origin = headers.get(b"origin")
    return origin is None or hosts.allows_origin(origin, headers.get(b"host"))


async def send_health(send: Send, profile: str) -> None:
    """Reply to it."""
    headers = [(b"content-type", b"application/json")]
    await send_body(send, 200, headers, json.dumps(health_facts(profile)))
