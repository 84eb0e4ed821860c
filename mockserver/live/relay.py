"""A judging pass-through: asks an endpoint what a client asks, and passes on what comes as it comes.

The client never has the endpoint's key: it has one of the relay's own, so that nobody else on this machine
can spend with it. Nothing is buffered, followed or repeated; requests and answers are judged.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from starlette.types import Receive, Scope, Send

from mockserver.contract.check import check_body, check_error, check_response, check_stream
from mockserver.contract.findings import Finding
from mockserver.contract.operations import find_operation
from mockserver.contract.requests import RequestJudge, ignored_parameters
from mockserver.errors import InvalidJSON
from mockserver.live.asking import Budget
from mockserver.live.client import MAX_BYTES, Limits
from mockserver.live.origin import Origin
from mockserver.profiles import Profile
from mockserver.server.access import Hosts, Keys
from mockserver.server.bodies import Disconnected, read_body
from mockserver.server.envelopes import ApiError, envelope
from mockserver.server.journal import About, Entry, Journal, Sent
from mockserver.server.sessions import AnyModel
from mockserver.wire import json

if TYPE_CHECKING:
    import httpx

__all__ = ["Relay"]

#: Headers that belong to a connection, and are the next one's own affair (RFC 9110, section 7.6.1).
_HOP_BY_HOP = frozenset(
    {
        *(b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection"),
        *(b"te", b"trailer", b"transfer-encoding", b"upgrade"),
    }
)
#: Request headers that the relay writes itself, or that are for it alone.
_OWN = _HOP_BY_HOP | {b"authorization", b"host", b"content-length", b"accept-encoding", b"cookie"}

#: Refusals of the relay's own are not to be tried again.
_FINAL = ((b"x-should-retry", b"false"),)

#: Seconds that open answers get to end when all is to be settled.
_SETTLE_SECONDS = 10.0


class Relay:
    """An ASGI application between a client and an endpoint.

    `journal` gets each request with its answer, and what the contract says of both.
    """

    def __init__(
        self, origin: Origin, profile: Profile, key: str, budget: Budget, limits: Limits, journal: Journal
    ) -> None:
        """`key` is what clients have to present; the endpoint's own is the origin's."""
        self._origin = origin
        self._profile = profile
        self._keys = Keys([key])
        self._hosts = Hosts()
        self._judge = RequestJudge(profile, AnyModel())
        self._limits = limits
        self._http: httpx.AsyncClient | None = None
        self._open = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self.budget = budget
        self.journal = journal

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
        passage = _Passage(scope, send)
        try:
            await self._pass(passage, receive)
        except Disconnected:
            return
        except ApiError as error:
            await passage.refuse(error)
        finally:
            self._note(passage)
            self._open -= 1
            if not self._open:
                self._idle.set()

    async def _pass(self, passage: _Passage, receive: Receive) -> None:
        headers = dict(passage.scope["headers"])
        self._hosts.check(headers.get(b"host"), headers.get(b"origin"))
        self._keys.check(headers.get(b"authorization"), self._profile.wrong_key)
        path = passage.scope["path"]
        if not path.startswith(self._profile.base_path + "/"):
            raise ApiError(
                404, "NotFound", f"There is nothing at {path}. Requests go to {self._profile.base_path}."
            )
        passage.body = await read_body(receive, headers.get(b"content-length"))
        if (
            self.budget.spent_requests >= self.budget.requests
            or self.budget.spent_tokens >= self.budget.tokens
        ):
            spent = f"{self.budget.spent_requests} requests and {self.budget.spent_tokens} tokens are spent"
            message = f"{spent}: no further request is sent (--responses-live-max-requests, -max-tokens)."
            raise ApiError(403, "BudgetSpent", message, headers=_FINAL)
        self.budget.spent_requests += 1
        passage.sent = True
        await self._ask(passage, path.removeprefix(self._profile.base_path), receive)

    async def _ask(self, passage: _Passage, path: str, receive: Receive) -> None:
        import httpx

        query = passage.scope["query_string"].decode("latin-1")
        request = self._client().build_request(
            passage.scope["method"],
            f"{self._origin.base_url}{path}{f'?{query}' if query else ''}",
            headers=self._headers(passage),
            content=passage.body or None,
            extensions={
                "timeout": {"connect": 10.0, "read": self._limits.whole, "write": 30.0, "pool": 30.0}
            },
        )
        try:
            response = await self._client().send(request, stream=True)
        except httpx.HTTPError as error:
            message = (
                f"The endpoint gave no answer: {self._origin.cleaned(str(error)) or type(error).__name__}"
            )
            raise ApiError(502, "BadGateway", message, headers=_FINAL) from None
        try:
            if response.is_redirect:
                raise ApiError(
                    502, "BadGateway", "The endpoint redirects, which is not followed.", headers=_FINAL
                )
            request.extensions["timeout"]["read"] = self._limits.stall
            await passage.begin(response.status_code, self._answer_headers(response.headers.raw))
            with suppress(httpx.HTTPError):
                await _unless_gone(passage.go_on(self._cleaned(response.aiter_raw())), receive)
        finally:
            await response.aclose()
        await passage.end()

    def _client(self) -> httpx.AsyncClient:
        if self._http is None:
            import httpx

            self._http = httpx.AsyncClient(follow_redirects=False, trust_env=False)
        return self._http

    def _headers(self, passage: _Passage) -> list[tuple[bytes, bytes]]:
        kept = [(name, value) for name, value in passage.scope["headers"] if name not in _OWN]
        key = (b"authorization", f"Bearer {self._origin.key}".encode())
        return [*kept, key, (b"accept-encoding", b"identity")]

    async def _cleaned(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The pieces without the endpoint's key, should it send that back."""
        key = self._origin.key.encode()
        async for piece in pieces:
            yield piece.replace(key, b"[redacted]") if key in piece else piece

    def _answer_headers(self, raw: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        key = self._origin.key.encode()
        kept = ((name.lower(), value) for name, value in raw if name.lower() not in _HOP_BY_HOP)
        return [(name, value) for name, value in kept if name != b"set-cookie" and key not in value]

    def _note(self, passage: _Passage) -> None:
        """Into the journal, with what the contract says of the request and of the answer."""
        body = passage.value
        judged, ignored = self._judged(passage, body)
        model, asked = (body.get("model"), body.get("input")) if isinstance(body, dict) else (None, None)
        about = About(
            passage.request_id,
            model if isinstance(model, str) else "",
            asked if isinstance(asked, str) else "",
            judged=judged,
            ignored=ignored,
            answered=tuple(self._answer_findings(passage, body)) if passage.sent else (),
        )
        scope = passage.scope
        authorization = dict(scope["headers"]).get(b"authorization", b"")
        secrets = (*self._keys.secrets, self._origin.key)
        sent = Sent(scope["method"], scope["path"], scope["headers"], authorization, secrets)
        key = self._origin.key.encode()
        whole = (passage.reply.replace(key, b"[redacted]"),)
        pieces = whole if key in passage.reply else tuple(passage.pieces)
        entry = Entry(passage.at, sent, passage.body, passage.status, pieces, passage.is_stream, about)
        if passage.sent:
            self.budget.spent_tokens += _tokens(passage.reply)
        self.journal.add(entry)

    def _judged(self, passage: _Passage, body: Any) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
        if not passage.creates or body is None:
            return (), ()
        ignored = ignored_parameters(body, self._profile) if isinstance(body, dict) else ()
        return tuple(self._judge.findings(body)), tuple(ignored)

    def _answer_findings(self, passage: _Passage, body: Any) -> list[Finding]:
        reply, profile = passage.reply, self._profile.name
        operation = find_operation(self._profile, passage.scope["method"], passage.scope["path"])
        if operation is None or not passage.status:
            return []
        if passage.status != 200:
            return check_error(reply, profile, passage.status)
        if operation.name != "createResponse":
            return check_body(reply, operation.reply, profile) if passage.complete else []
        if isinstance(body, dict) and body.get("stream") is True:
            found = check_stream(reply, profile, body)
            # Whoever hangs up has seen no end, and there may be none.
            return found if passage.complete else [each for each in found if each.rule not in _OF_THE_END]
        return check_response(reply, profile, body) if passage.complete else []


#: Rules that a stream breaks when its reader hangs up.
_OF_THE_END = frozenset({"SEQ-006", "SSE-003", "SSE-006"})


async def _unless_gone(work: Coroutine[Any, Any, None], receive: Receive) -> None:
    """Do the work, unless the client goes away before it is done."""
    doing, going = asyncio.ensure_future(work), asyncio.ensure_future(_gone(receive))
    await asyncio.wait({doing, going}, return_when=asyncio.FIRST_COMPLETED)
    for each in (doing, going):
        each.cancel()
    await asyncio.wait({doing, going})
    if not doing.cancelled():
        doing.result()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class _Passage:
    """One request and its answer on their way through."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self.scope = scope
        self._send = send
        self.at = time.time()
        self.body = b""
        self.status = 0
        self.pieces: list[bytes] = []
        self.sent = False
        """Whether the endpoint was asked."""
        self.complete = False
        self.is_stream = False
        self.request_id = str(uuid4())

    @property
    def creates(self) -> bool:
        """Whether it is a create request."""
        return self.scope["method"] == "POST" and str(self.scope["path"]).endswith("/responses")

    @property
    def value(self) -> Any:
        """The request's JSON value; None where it has none."""
        try:
            return json.loads(self.body)
        except InvalidJSON:
            return None

    @property
    def reply(self) -> bytes:
        """The answer's body so far."""
        return b"".join(self.pieces)

    async def begin(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """Send the head of the answer."""
        names = dict(headers)
        self.status = status
        self.is_stream = names.get(b"content-type", b"").startswith(b"text/event-stream")
        self.request_id = names.get(b"x-request-id", self.request_id.encode()).decode("latin-1")
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def go_on(self, pieces: AsyncIterator[bytes]) -> None:
        """Send each piece as it comes."""
        size = 0
        async for piece in pieces:
            size += len(piece)
            if size <= MAX_BYTES:
                self.pieces.append(piece)
            await self._send({"type": "http.response.body", "body": piece, "more_body": True})
        self.complete = True

    async def end(self) -> None:
        """End the answer as the endpoint has ended it: whole, or cut."""
        if self.complete:
            await self._send({"type": "http.response.body", "body": b""})
        else:
            self.scope["extensions"]["mockserver.connection"].close()

    async def refuse(self, error: ApiError) -> None:
        """Answer in the endpoint's place."""
        body = envelope(error, self.request_id)
        self.status, self.pieces, self.complete = error.status, [body], True
        head = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"x-request-id", self.request_id.encode()),
            *error.headers,
        ]
        await self._send({"type": "http.response.start", "status": error.status, "headers": head})
        await self._send({"type": "http.response.body", "body": body})


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
