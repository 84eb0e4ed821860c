"""A passage: one request and its answer between a client and an endpoint, and what is noted of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from starlette.types import Receive, Scope, Send

from mockserver.contract.check import check_body, check_error, check_response, check_stream
from mockserver.contract.findings import Finding
from mockserver.contract.operations import find_operation
from mockserver.contract.requests import RequestJudge, ignored_parameters
from mockserver.live.client import MAX_BYTES
from mockserver.profiles import Profile
from mockserver.server.envelopes import ApiError, envelope
from mockserver.server.journal import About, Entry, Sent
from mockserver.server.sessions import AnyModel
from mockserver.wire import json

__all__ = ["Passage", "Witness", "path_below", "unless_gone"]

#: What a path or a query may have in it as it stands (RFC 3986); all else is written in hexadecimal digits.
_PLAIN = "%/?:@!$&'()*+,;=~-._[]|{}^"

#: Rules that a stream breaks when its reader hangs up.
_OF_THE_END = frozenset({"SEQ-006", "SSE-003", "SSE-006"})


class Passage:
    """One request and its answer on their way through."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self.scope = scope
        self._send = send
        self.at = time.time()
        self._begun = time.perf_counter()
        self.path = ""
        """Behind the base path, with the query."""
        self.body = b""
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        """Of the answer, as they were passed on."""
        self.pieces: list[bytes] = []
        self.times: list[float] = []
        """Seconds from the request to each piece."""
        self.head_at = 0.0
        self.ended_at = 0.0
        self.key = ""
        """The key that the endpoint was asked with: not to be written down."""
        self.sent = False
        """Whether the endpoint was asked."""
        self.refused = False
        """Whether the answer is one in the endpoint's place."""
        self.complete = False
        self.left = False
        """Whether the client went away before the end."""
        self._size = 0
        self.is_stream = False
        self.request_id = str(uuid4())
        self.exchange: str | None = None
        """Name of the recording that answered."""

    @property
    def overflowed(self) -> bool:
        """Whether there was more than is kept."""
        return self._size > MAX_BYTES

    @property
    def creates(self) -> bool:
        """Whether it is a create request."""
        return self.scope["method"] == "POST" and str(self.scope["path"]).endswith("/responses")

    @property
    def value(self) -> Any:
        """The request's JSON value; None where it has none."""
        return json.value_or_none(self.body)

    @property
    def reply(self) -> bytes:
        """The answer's body so far."""
        return b"".join(self.pieces)

    def ask(self) -> None:
        """The request is whole and goes on: times are counted from now."""
        self.sent, self.at, self._begun = True, time.time(), time.perf_counter()

    async def begin(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """Send the head of the answer."""
        names = dict(headers)
        self.status, self.headers, self.head_at = status, headers, self._elapsed()
        self.is_stream = names.get(b"content-type", b"").startswith(b"text/event-stream")
        self.request_id = names.get(b"x-request-id", self.request_id.encode()).decode("latin-1")
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def go_on(self, pieces: AsyncIterator[bytes]) -> None:
        """Send each piece as it comes."""
        async for piece in pieces:
            await self.piece(piece)
        self.complete = True

    async def piece(self, piece: bytes) -> None:
        """Send a piece of the body."""
        self._size += len(piece)
        if self._size <= MAX_BYTES:
            self.pieces.append(piece)
            self.times.append(self._elapsed())
        await self._send({"type": "http.response.body", "body": piece, "more_body": True})

    async def flush(self) -> None:
        """Let the head go before there is a piece to send with it."""
        await self._send({"type": "http.response.body", "body": b"", "more_body": True})

    async def end(self) -> None:
        """End the answer as the endpoint has ended it: whole, or cut."""
        self.ended_at = self._elapsed()
        if self.complete:
            await self._send({"type": "http.response.body", "body": b""})
        else:
            self.scope["extensions"]["mockserver.connection"].close()

    async def refuse(self, error: ApiError) -> None:
        """Answer in the endpoint's place."""
        body = envelope(error, self.request_id)
        self.status, self.pieces, self.complete, self.refused = error.status, [body], True, True
        head = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"x-request-id", self.request_id.encode()),
            *error.headers,
        ]
        await self._send({"type": "http.response.start", "status": error.status, "headers": head})
        await self._send({"type": "http.response.body", "body": body})

    def _elapsed(self) -> float:
        return time.perf_counter() - self._begun


def path_below(scope: Scope, base: str) -> str | None:
    """What is asked for behind a base path, with the query, as it was written; None where it is elsewhere."""
    path: str = scope["path"]
    if not path.startswith(f"{base}/"):
        return None
    raw = scope.get("raw_path", b"").decode("latin-1")
    below = raw.removeprefix(base) if raw.startswith(f"{base}/") else path.removeprefix(base)
    query = scope["query_string"].decode("latin-1")
    return quote(f"{below}?{query}" if query else below, safe=_PLAIN, encoding="latin-1", errors="replace")


async def unless_gone(passage: Passage, work: Coroutine[Any, Any, None], receive: Receive) -> None:
    """Do the work, unless the client goes away before it is done."""
    doing, going = asyncio.ensure_future(work), asyncio.ensure_future(_gone(receive))
    await asyncio.wait({doing, going}, return_when=asyncio.FIRST_COMPLETED)
    passage.left = not doing.done()
    for each in (doing, going):
        each.cancel()
    await asyncio.wait({doing, going})
    if not doing.cancelled():
        doing.result()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class Witness:
    """Says what the contract says of passages, as entries of a journal."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._judge = RequestJudge(profile, AnyModel())

    def warm(self) -> None:
        """Load what judging needs, so that the first request does not wait for it."""
        check_stream(b"", self._profile)
        check_response({}, self._profile)
        self._judge.findings({})

    def entry(self, passage: Passage, keys: tuple[str, ...]) -> Entry:
        """The entry of a passage, `keys` being those that are not to be written down."""
        body = passage.value
        judged, ignored = self._judged(passage, body)
        model, asked = (body.get("model"), body.get("input")) if isinstance(body, dict) else (None, None)
        about = About(
            passage.request_id,
            model if isinstance(model, str) else "",
            asked if isinstance(asked, str) else "",
            passage.exchange,
            judged=judged,
            ignored=ignored,
            answered=tuple(self._answer_findings(passage, body)) if passage.sent else (),
        )
        scope = passage.scope
        authorization = dict(scope["headers"]).get(b"authorization", b"")
        sent = Sent(scope["method"], scope["path"], scope["headers"], authorization, keys)
        entry = Entry(
            passage.at, sent, passage.body, passage.status, tuple(passage.pieces), passage.is_stream, about
        )
        entry.left = passage.left
        return entry

    def _judged(self, passage: Passage, body: Any) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
        if not passage.creates or body is None:
            return (), ()
        ignored = ignored_parameters(body, self._profile) if isinstance(body, dict) else ()
        return tuple(self._judge.findings(body)), tuple(ignored)

    def _answer_findings(self, passage: Passage, body: Any) -> list[Finding]:
        reply, profile = passage.reply, self._profile.name
        operation = find_operation(
            self._profile, passage.scope["method"], self._profile.base_path + passage.path.partition("?")[0]
        )
        if operation is None or not passage.status or passage.refused:
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
