"""A gateway in front of a model: retries a busy model, and passes a reply on once it is complete."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

ATTEMPTS = 6
PASSED_ON = ("authorization", "content-type")


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    """One pool of connections for all requests."""
    async with httpx.AsyncClient(base_url=os.environ["UPSTREAM"], timeout=60, trust_env=False) as client:
        app.state.client = client
        yield


async def responses(request: Request) -> Response:
    """Forward a request, up to six times while the model is busy or its reply breaks off."""
    body = await request.body()
    headers = {name: request.headers[name] for name in PASSED_ON if name in request.headers}
    for attempt in range(ATTEMPTS):
        try:
            reply = await request.app.state.client.post("/v1/responses", content=body, headers=headers)
        except httpx.TransportError:
            continue
        if reply.status_code != 429:
            return Response(reply.content, reply.status_code, media_type=reply.headers["content-type"])
        await asyncio.sleep(0.01 * 2**attempt)
    return Response('{"message": "the model is busy"}', 503, media_type="application/json")


app = Starlette(routes=[Route("/v1/responses", responses, methods=["POST"])], lifespan=lifespan)
