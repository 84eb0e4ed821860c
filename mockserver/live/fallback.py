"""The fallback of a mock server: a live endpoint that answers what no stub answers, through a relay."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from dataclasses import dataclass, field, replace
from typing import Any

from starlette.types import Message, Receive, Scope

from mockserver.contract.chat.service import CHAT_BASE_PATHS
from mockserver.live.budgeted_client import Budget
from mockserver.live.client import Timeouts
from mockserver.live.endpoint import Endpoint
from mockserver.live.pass_through import PassThroughExchange
from mockserver.live.relay import Relay, RelayOptions
from mockserver.profiles import Profile
from mockserver.server.delivery.options import DEFAULT_DELIVERY, Delivery
from mockserver.server.engine.rendered_replies import RenderedReply
from mockserver.server.errors import ApiError, NotAnApiRequest, UnmatchedRequest
from mockserver.server.http.reply_steps import delay_as_requested, send_delivered
from mockserver.server.http.requests import HttpRequest, json_object
from mockserver.server.http.services import Services
from mockserver.server.http.transmission import ENTRY_SCOPE_KEY
from mockserver.server.large_bodies import run_beside_loop
from mockserver.server.mock_headers import DELAY_HEADER
from mockserver.server.state.journal import FALLBACK, Entry, EntryDetails, Journal, RequestHead, SendTimes
from mockserver.wire.sse import split_blocks

__all__ = ["LiveFallback"]

#: Key in the scope of a relay for what its journal entry needs.
_CONTEXT_KEY = "mockserver.fallback"

#: Headers of a request that describe its body as the client sent it, before it was read.
_BODY_HEADERS = (b"content-encoding", b"content-length")


@dataclass(slots=True)
class _Context:
    """A request on its way through a relay."""

    request: HttpRequest
    arrived_at: float
    checked: asyncio.Future[Entry] | None = None
    """Gets the journal entry of a reply that will be changed before it is sent; None: it is sent as it arrives."""
    entry: Entry | None = None
    """Its journal entry, once it has ended; without findings until it is checked."""


@dataclass(slots=True)
class _CollectedReply:
    """A reply of a relay, collected before it is sent."""

    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    pieces: list[bytes] = field(default_factory=list)
    is_complete: bool = False

    async def collect(self, message: MutableMapping[str, Any]) -> None:
        """Take a message of the relay, in place of the server."""
        if message["type"] == "http.response.start":
            self.headers = list(message["headers"])
            return
        self.pieces.append(message.get("body", b""))
        self.is_complete = not message.get("more_body", False)


class LiveFallback:
    """Passes requests on to an endpoint as `mockserver record` does; the session's journal gets each of them."""

    def __init__(
        self,
        endpoint: Endpoint,
        budget: Budget,
        extra_headers: frozenset[bytes] = frozenset(),
        budget_options: str = "",
    ) -> None:
        """`extra_headers` pass too, in lower case; `budget_options` are the options that raise the budget."""
        self._endpoint = endpoint
        self._budget = budget
        self._options = RelayOptions(
            forward_redirects=True,
            forward_unread=True,
            extra_headers=extra_headers,
            budget_options=budget_options,
        )
        self._relays: dict[str, Relay] = {}

    @property
    def secrets(self) -> tuple[str, ...]:
        """The endpoint's key, and the password of the proxy."""
        return self._endpoint.secrets

    def serve(self, services: Services) -> None:
        """Answer the unmatched requests to a server from now on, in all its sessions."""
        services.fallback = self
        services.default_session.has_fallback = True
        services.update_secrets()
        self._relay_for(services, services.default_session.profile).warm_up()

    async def answer(self, request: HttpRequest, error: ApiError) -> None:
        """Pass a request on. Raises ApiError if it cannot be a request to the endpoint."""
        services, session = request.services, request.session
        delivery, error.delivery = error.delivery or DEFAULT_DELIVERY, None
        services.keys.check(request.headers.get(b"authorization"), session.profile.wrong_key)
        relay = self._relay_for(services, session.profile)
        if relay.relative_path(request.scope) is None:
            raise error
        await _require_turn_of_endpoint(request, error)
        if services.mock_headers and DELAY_HEADER in request.headers:
            await delay_as_requested(request)
        # The body of what is not an API request has not been read.
        context = request.scope[_CONTEXT_KEY] = _Context(request, session.clock.now())
        scope, receive = (
            (request.scope, request.receive)
            if isinstance(error, NotAnApiRequest)
            else _with_read_body(request)
        )
        if delivery.is_immediate:
            request.response_started = True
            await relay(scope, receive, request.send)
        else:
            context.checked = asyncio.get_running_loop().create_future()
            await _send_changed(relay, scope, receive, context.checked, delivery)

    def on_request(self, pass_through: PassThroughExchange) -> None:
        """Do nothing: the journal gets an exchange when it ends."""

    def on_complete(self, pass_through: PassThroughExchange) -> None:
        """Add an exchange to the journal, in the order in which exchanges end; it is checked later."""
        context: _Context = pass_through.scope[_CONTEXT_KEY]
        context.entry = _build_entry(pass_through, context)
        if context.checked is None:
            context.request.scope[ENTRY_SCOPE_KEY] = context.entry
            context.request.session.journal.add(context.entry)

    async def wait_until_idle(self) -> None:
        """Wait until all replies are checked and in the journals, but not for ever."""
        for relay in self._relays.values():
            await relay.wait_until_idle()

    async def close(self) -> None:
        """Close the connections to the endpoint."""
        for relay in self._relays.values():
            await relay.close()

    def _relay_for(self, services: Services, profile: Profile) -> Relay:
        """The relay that checks by this profile; all of them share the budget."""
        relay = self._relays.get(profile.name)
        if relay is None:
            bases = (*profile.base_paths, *CHAT_BASE_PATHS)
            options = replace(
                self._options, base_path=bases[0], other_base_paths=bases[1:], max_body=services.max_body
            )
            # The server has checked the client's key; its hosts are checked twice.
            relay = self._relays[profile.name] = Relay(
                self._endpoint,
                profile,
                (),
                self._budget,
                Timeouts(600, 300),
                Journal(),
                options=options,
                hosts=services.hosts,
            )
            relay.listener = self
            relay.on_entry = _complete_entry
        return relay


async def _require_turn_of_endpoint(request: HttpRequest, error: ApiError) -> None:
    """Raise ApiError if the request continues a response of this server, which the endpoint does not know."""
    body = await run_beside_loop(json_object, request.body)
    previous = body.get("previous_response_id") if body is not None else None
    if not isinstance(previous, str):
        return
    if await request.services.store.get(request.session.name, previous) is None:
        return
    if isinstance(error, UnmatchedRequest):
        message = f"{previous} is a response of this server, which the fallback does not know."
        raise UnmatchedRequest(400, error.code, f"{message} {error.message}", detail=error.detail)
    raise error


def _with_read_body(request: HttpRequest) -> tuple[Scope, Receive]:
    """A scope and a `receive` with the request's body, which the server has read and decoded."""
    headers = [each for each in request.scope["headers"] if each[0] not in _BODY_HEADERS]
    headers.append((b"content-length", b"%d" % len(request.body)))
    bodies = [request.body]

    async def receive() -> Message:
        if bodies:
            return {"type": "http.request", "body": bodies.pop(), "more_body": False}
        return await request.receive()

    return {**request.scope, "headers": headers}, receive


async def _send_changed(
    relay: Relay, scope: Scope, receive: Receive, checked: asyncio.Future[Entry], delivery: Delivery
) -> None:
    """Send the endpoint's whole reply with a fault, or at another pace; its journal entry has what was sent."""
    request: HttpRequest = scope[_CONTEXT_KEY].request
    reply = _CollectedReply()
    await relay(scope, receive, reply.collect)
    entry = await checked
    if not reply.is_complete:  # the client left, or the endpoint cut its reply: the connection is closed
        request.session.journal.add(entry)
        request.services.access_log.add(entry)
        return
    if entry.status != 200:
        delivery = replace(delivery, fault=None)
    body = b"".join(reply.pieces)
    pieces = split_blocks(body) if entry.stream else (body,)
    head = [each for each in reply.headers if each[0] != b"content-length"]
    rendered = RenderedReply(entry.request_id, entry.details, pieces, entry.stream, entry.status)
    await send_delivered(request, rendered, head, delivery)


def _build_entry(pass_through: PassThroughExchange, context: _Context) -> Entry:
    """The journal entry of an exchange that is not checked yet, by the session's clock."""
    request, scope, at = context.request, pass_through.scope, context.arrived_at
    head = RequestHead(
        *(scope["method"], scope["path"], scope["headers"]),
        request.headers.get(b"authorization", b""),
        request.services.secrets,
        request.session.name,
    )
    reply = pass_through.reply_body
    entry = Entry(
        at,
        head,
        pass_through.request_body,
        pass_through.status,
        split_blocks(reply) if pass_through.is_stream else (reply,),
        pass_through.is_stream,
        pass_through.request_id,
        EntryDetails(stub_name=FALLBACK, is_checked=False),
    )
    first_byte = at + pass_through.chunk_times[0] if pass_through.chunk_times else None
    entry.send_times = SendTimes(first_byte, at + pass_through.end_time)
    if pass_through.client_disconnected:
        entry.left_at = entry.end
    return entry


def _complete_entry(pass_through: PassThroughExchange, checked: Entry | None) -> None:
    """Complete the journal entry of an exchange by what the check has found; None: it failed."""
    context: _Context = pass_through.scope[_CONTEXT_KEY]
    if context.entry is None:
        raise RuntimeError("an exchange is checked after its end")
    if checked is not None:
        context.entry.details = checked.details._replace(stub_name=FALLBACK)
    if context.checked is None:
        context.request.services.access_log.add(context.entry)
    else:
        context.checked.set_result(context.entry)
