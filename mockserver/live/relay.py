"""A judging pass-through: asks an endpoint what a client asks, and passes on what comes as it comes.

Where the relay has the endpoint's key, the client does not: it has one of the relay's own, so that nobody
else on this machine can spend with it. Nothing is buffered, followed or repeated; headers pass by a list;
requests and answers are judged.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from starlette.types import Receive, Scope, Send

from mockserver.errors import InvalidJSON
from mockserver.live.asking import Budget
from mockserver.live.client import Limits
from mockserver.live.headers import passed_down, passed_up
from mockserver.live.origin import Origin
from mockserver.live.passages import Passage, Witness, path_below, unless_gone
from mockserver.profiles import Profile
from mockserver.server.access import Hosts, Keys
from mockserver.server.bodies import Disconnected, read_body
from mockserver.server.envelopes import ApiError
from mockserver.server.journal import Journal
from mockserver.wire import json
from mockserver.wire.redaction import covered

if TYPE_CHECKING:
    import httpx

__all__ = ["Door", "Player", "Relay", "Taker"]

#: Refusals of the relay's own are not to be tried again.
_FINAL = ((b"x-should-retry", b"false"),)

#: Seconds that open answers get to end when all is to be settled.
_SETTLE_SECONDS = 10.0


class Taker(Protocol):
    """Takes what passes, to keep it."""

    def arrived(self, passage: Passage) -> None:
        """A request goes on to the endpoint."""

    def done(self, passage: Passage) -> None:
        """It was answered, or was not."""


class Player(Protocol):
    """Answers in the endpoint's place, where it can."""

    async def play(self, passage: Passage, receive: Receive) -> bool:
        """Whether it has answered; ApiError where the endpoint must not be asked either."""


@dataclass(frozen=True, slots=True)
class Door:
    """How a relay stands before its endpoint."""

    base_path: str | None = None
    """The path that clients put before what they ask for; None: the profile's."""
    passes_keys: bool = False
    """Whether the key that a client has is the endpoint's, and goes there."""
    passes_redirects: bool = False
    """Whether a redirect is passed on as an answer, without where it leads; else it is refused."""
    headers: frozenset[bytes] = frozenset()
    """Headers that pass beside those of the list."""
    judges: bool = True
    """Whether what passes is judged here, and counted; else whoever takes it does so, in its own time."""


#: What stands between tests and an endpoint.
_PLAIN = Door()


class Relay:
    """An ASGI application between a client and an endpoint.

    `journal` gets each request with its answer, and what the contract says of both.
    """

    def __init__(
        self,
        origin: Origin,
        profile: Profile,
        key: str | Collection[str],
        budget: Budget,
        limits: Limits,
        journal: Journal,
        *,
        door: Door = _PLAIN,
    ) -> None:
        """`key` is what clients have to present, or several; the endpoint's own is the origin's."""
        self._origin = origin
        self._profile = profile
        self._keys = Keys(() if door.passes_keys else [key] if isinstance(key, str) else key)
        self._hosts = Hosts()
        self._witness = Witness(profile)
        self._limits = limits
        self._door = door
        self._base = profile.base_path if door.base_path is None else door.base_path
        self._http: httpx.AsyncClient | None = None
        self._open = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self.budget = budget
        self.journal = journal
        self.taker: Taker | None = None
        self.player: Player | None = None

    def warm(self) -> None:
        """Load what the first request needs, so that it does not wait for it."""
        self._client()
        self._witness.warm()

    async def settled(self) -> None:
        """Wait until no answer is under way, so that all of them have been judged."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_SETTLE_SECONDS):
                await self._idle.wait()

    async def close(self) -> None:
        """Close the connections to the endpoint."""
        if self._http is not None:
            await self._http.aclose()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._open += 1
        self._idle.clear()
        passage = Passage(scope, send)
        try:
            await self._pass(passage, receive)
        except Disconnected:
            return
        except ApiError as error:
            await passage.refuse(error)
        except asyncio.CancelledError:
            passage.left = True  # the relay stops: it is not the endpoint that breaks off
            raise
        finally:
            self._note(passage)
            self._open -= 1
            if not self._open:
                self._idle.set()

    async def _pass(self, passage: Passage, receive: Receive) -> None:
        headers = dict(passage.scope["headers"])
        self._hosts.check(headers.get(b"host"), headers.get(b"origin"))
        self._keys.check(headers.get(b"authorization"), self._profile.wrong_key)
        below = path_below(passage.scope, self._base)
        if below is None:
            message = f"There is nothing at {passage.scope['path']}. Requests go to {self._base or '/'}."
            raise ApiError(404, "NotFound", message)
        passage.path = below
        passage.body = await read_body(receive, headers.get(b"content-length"))
        if self.player is not None and await self.player.play(passage, receive):
            return
        self._require_budget()
        self.budget.spent_requests += 1
        passage.key = self._origin.key
        if self._door.passes_keys:
            passage.key = headers[b"authorization"].decode("latin-1").strip().rpartition(" ")[2]
        passage.ask()
        if self.taker is not None:
            self.taker.arrived(passage)
        await self._ask(passage, receive)

    def _require_budget(self) -> None:
        budget = self.budget
        if budget.spent_requests >= budget.requests or budget.spent_tokens >= budget.tokens:
            spent = f"{budget.spent_requests} requests and {budget.spent_tokens} tokens are spent"
            message = f"{spent}: no further request is sent (--responses-live-max-requests, -max-tokens)."
            raise ApiError(403, "BudgetSpent", message, headers=_FINAL)

    async def _ask(self, passage: Passage, receive: Receive) -> None:
        import httpx

        request = self._client().build_request(
            passage.scope["method"],
            f"{self._origin.base_url}{passage.path}",
            headers=self._headers(passage),
            content=passage.body or None,
            extensions={
                "timeout": {"connect": 10.0, "read": self._limits.whole, "write": 30.0, "pool": 30.0}
            },
        )
        try:
            response = await self._client().send(request, stream=True)
        except httpx.HTTPError as error:
            told = replace(self._origin, key=passage.key).cleaned(str(error)) or type(error).__name__
            message = f"The endpoint gave no answer: {told}"
            raise ApiError(502, "BadGateway", message, headers=_FINAL) from None
        try:
            if response.is_redirect and not self._door.passes_redirects:
                raise ApiError(
                    502, "BadGateway", "The endpoint redirects, which is not followed.", headers=_FINAL
                )
            request.extensions["timeout"]["read"] = self._limits.stall
            await passage.begin(response.status_code, self._answer_headers(response, passage))
            with suppress(httpx.HTTPError):
                pieces = _cleaned(response.aiter_raw(), passage.key.encode())
                await unless_gone(passage, passage.go_on(pieces), receive)
        finally:
            await response.aclose()
        await passage.end()

    def _client(self) -> httpx.AsyncClient:
        if self._http is None:
            import httpx

            self._http = httpx.AsyncClient(follow_redirects=False, trust_env=False)
        return self._http

    def _headers(self, passage: Passage) -> list[tuple[bytes, bytes]]:
        kept = passed_up(passage.scope["headers"], self._door.headers)
        key = (b"authorization", f"Bearer {passage.key}".encode())
        return [*kept, key, (b"accept-encoding", b"identity")]

    def _answer_headers(self, response: httpx.Response, passage: Passage) -> list[tuple[bytes, bytes]]:
        key = passage.key.encode()
        kept = passed_down(response.headers.raw, self._door.headers)
        return [(name, value) for name, value in kept if key not in value]

    def _note(self, passage: Passage) -> None:
        """Into the journal, with what the contract says of the request and of the answer."""
        if passage.key:
            passage.pieces = covered(passage.pieces, (passage.key.encode(),))
        if self._door.judges:
            secrets = (*self._keys.secrets, *([passage.key] if passage.key else []))
            if passage.sent:
                self.budget.spent_tokens += _tokens(passage.reply)
            self.journal.add(self._witness.entry(passage, secrets))
        if self.taker is not None:
            self.taker.done(passage)


async def _cleaned(pieces: AsyncIterator[bytes], key: bytes) -> AsyncIterator[bytes]:
    """The pieces without the key, should the endpoint send it back."""
    async for piece in pieces:
        yield covered((piece,), (key,))[0] if key in piece else piece


def _tokens(reply: bytes) -> int:
    """What an answer says it has cost, streamed or not."""
    found = 0
    for piece in reply.split(b"\n") if b'"usage"' in reply else ():
        text = piece.partition(b":")[2] if piece.startswith(b"data:") else piece
        with suppress(InvalidJSON):
            found = max(found, _total(json.loads(text)))
    with suppress(InvalidJSON):
        found = max(found, _total(json.loads(reply)))
    return found


def _total(value: Any) -> int:
    holder: Any = value.get("response", value) if isinstance(value, Mapping) else None
    usage = holder.get("usage") if isinstance(holder, Mapping) else None
    total = usage.get("total_tokens") if isinstance(usage, Mapping) else None
    return total if isinstance(total, int) else 0
