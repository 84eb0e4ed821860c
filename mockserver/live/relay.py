"""The pass-through server: forwards requests to an endpoint and checks both directions.

`forwarding` says what passes. If the relay holds the endpoint's key, clients authenticate with a key of the
relay's own, so that no other program on this machine can spend tokens.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from starlette.types import Receive, Scope, Send

from mockserver.errors import ConfigurationError, InvalidJSON
from mockserver.live.background import BackgroundWorker
from mockserver.live.budgeted_client import Budget
from mockserver.live.client import Timeouts
from mockserver.live.endpoint import Endpoint
from mockserver.live.forwarding import NO_RETRY, Forwarder
from mockserver.live.pass_through import Failure, PassThroughExchange, relative_path
from mockserver.live.pass_through_checks import PassThroughChecker
from mockserver.profiles import Profile
from mockserver.server.access import AllowedHosts, ApiKeys
from mockserver.server.errors import ApiError
from mockserver.server.http.health import is_health_check, send_health
from mockserver.server.http.request_body import (
    ClientDisconnected,
    finish_body,
    read_body_start,
)
from mockserver.server.state.journal import Entry, Journal
from mockserver.settings import MAX_BODY_BYTES
from mockserver.wire import json
from mockserver.wire.redaction import require_maskable_key

__all__ = ["PassThroughListener", "Player", "Relay", "RelayOptions"]

#: Seconds that `wait_until_idle` waits for open replies and checks.
_IDLE_TIMEOUT = 5.0


class PassThroughListener(Protocol):
    """Receives every exchange, for example to record it."""

    def on_request(self, pass_through: PassThroughExchange) -> None:
        """Called when a request is forwarded to the endpoint."""

    def on_complete(self, pass_through: PassThroughExchange) -> None:
        """Called at the end of every exchange, with or without a reply."""


class Player(Protocol):
    """Answers requests from recordings before the endpoint is asked."""

    async def play(self, pass_through: PassThroughExchange, receive: Receive) -> bool:
        """Whether it answered. Raises ApiError if the request must not be forwarded."""


@dataclass(frozen=True, slots=True)
class RelayOptions:
    """Settings of a relay."""

    base_path: str | None = None
    """The base path of clients; None: the profile's."""
    other_base_paths: tuple[str, ...] = ()
    """More base paths of clients."""
    forward_keys: bool = False
    """Whether clients send the endpoint's key, which is forwarded."""
    forward_redirects: bool = False
    """Whether a redirect is passed on, without its location; otherwise it is an error."""
    extra_headers: frozenset[bytes] = frozenset()
    """More headers that pass, in lower case."""
    max_body: int = MAX_BODY_BYTES
    """Bytes of a request's body that are kept and checked."""
    forward_unread: bool = False
    """Whether a body that is too large, or that cannot be decoded, is passed on; otherwise it is an error."""
    check_traffic: bool = True
    """Whether the relay itself checks and counts exchanges; otherwise its listener does."""
    budget_options: str = "--responses-live-max-requests, -max-tokens"
    """The options that raise the budget."""


_DEFAULT_OPTIONS = RelayOptions()


class Relay:
    """An ASGI application between a client and an endpoint; `journal` gets every exchange with its findings."""

    def __init__(
        self,
        endpoint: Endpoint,
        profile: Profile,
        client_keys: str | Collection[str],
        budget: Budget,
        timeouts: Timeouts,
        journal: Journal,
        *,
        options: RelayOptions = _DEFAULT_OPTIONS,
        hosts: AllowedHosts | None = None,
    ) -> None:
        """`client_keys` are the keys that clients must present; the endpoint has its own."""
        self._endpoint = endpoint
        self._profile = profile
        self._keys = ApiKeys(
            () if options.forward_keys else [client_keys] if isinstance(client_keys, str) else client_keys
        )
        self._hosts = hosts or AllowedHosts()
        self._checker = PassThroughChecker(profile)
        self._options = options
        base_path = profile.base_path if options.base_path is None else options.base_path
        self._base_paths = (base_path, *options.other_base_paths)
        self._forwarder = Forwarder(
            endpoint,
            timeouts,
            clients_have_key=options.forward_keys,
            pass_redirects=options.forward_redirects,
            extra_headers=options.extra_headers,
        )
        self._open_exchanges = 0
        self._unchecked_exchanges = 0
        self._checks = BackgroundWorker("checks")
        self._idle = asyncio.Event()
        self._idle.set()
        self.budget = budget
        self.journal = journal
        self.on_entry: Callable[[PassThroughExchange, Entry | None], None] = self._add_to_journal
        """Called with the journal entry of each exchange, once it is checked; None: the check failed."""
        self.reached = False
        """Whether the endpoint has answered a request."""
        self.failure = Failure()
        """The last failure of a request that was meant for the endpoint."""
        self.listener: PassThroughListener | None = None
        self.player: Player | None = None

    def warm_up(self) -> None:
        """Load what the first request needs, so that it does not wait."""
        self._forwarder.warm_up()
        self._checker.warm_up()

    async def wait_until_idle(self) -> None:
        """Wait until no reply is under way and all of them are checked, but not for ever."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_IDLE_TIMEOUT):
                await self._idle.wait()

    @property
    def has_open_exchanges(self) -> bool:
        """Whether a request is still without its whole reply."""
        return self._open_exchanges > 0

    @property
    def has_unchecked_exchanges(self) -> bool:
        """Whether the check of an exchange is not finished."""
        return self._unchecked_exchanges > 0

    async def close(self) -> None:
        """Close the connections to the endpoint, and leave what is not checked unchecked."""
        self._checks.close()
        await self._forwarder.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if is_health_check(scope, self._hosts):
            await send_health(send, self._profile.name)
            return
        self._open_exchanges += 1
        self._idle.clear()
        pass_through = PassThroughExchange(scope, send)
        try:
            await self._handle(pass_through, receive)
        except ClientDisconnected:
            pass_through.client_disconnected = True
        except ApiError as error:
            await pass_through.send_error(error)
        except asyncio.CancelledError:
            pass_through.client_disconnected = True  # the relay stops; the endpoint did not cut the reply
            raise
        finally:
            self._record_exchange(pass_through)
            self._open_exchanges -= 1
            self._set_idle()

    async def _handle(self, pass_through: PassThroughExchange, receive: Receive) -> None:
        headers = dict(pass_through.scope["headers"])
        self._hosts.check(headers, pass_through.scope)
        self._keys.check(headers.get(b"authorization"), self._profile.wrong_key)
        path = self.relative_path(pass_through.scope)
        if path is None:
            base = self._base_paths[0] or "/"
            message = f"There is nothing at {pass_through.scope['path']}. The base path is {base}."
            raise ApiError(404, "NotFound", message)
        pass_through.path = path
        await self._read_body(pass_through, receive, headers)
        if self.player is not None and await self.player.play(pass_through, receive):
            return
        self._require_budget(pass_through)
        self.budget.spent_requests += 1
        pass_through.endpoint_key = self._endpoint.api_key
        if self._options.forward_keys:
            pass_through.endpoint_key = _forwarded_key(headers[b"authorization"])
        pass_through.mark_forwarded()
        if self.listener is not None:
            self.listener.on_request(pass_through)
        await self._forwarder.forward(pass_through, receive)

    def relative_path(self, scope: Scope) -> str | None:
        """The path behind the base path of clients, with the query; None if it is not below one."""
        paths = (relative_path(scope, each) for each in self._base_paths)
        return next((each for each in paths if each is not None), None)

    async def _read_body(
        self, pass_through: PassThroughExchange, receive: Receive, headers: Mapping[bytes, bytes]
    ) -> None:
        """Read the body; ApiError if it is too large or cannot be decoded, unless such bodies are passed on."""
        limit = self._options.max_body
        start = pass_through.body_start = await read_body_start(receive, headers, limit)
        if start.is_too_large and self._options.forward_unread:
            pass_through.unread_reason = f"the request's body has more than {limit} bytes (--max-body)"
            return
        try:
            pass_through.request_body = await finish_body(pass_through.scope, receive, start, limit)
        except ApiError as error:
            if not self._options.forward_unread:
                raise
            pass_through.unread_reason, pass_through.body_findings = error.detail, error.findings

    def _require_budget(self, pass_through: PassThroughExchange) -> None:
        budget = self.budget
        if budget.spent_requests >= budget.max_requests or budget.spent_tokens >= budget.max_tokens:
            spent = f"{budget.spent_requests} requests and {budget.spent_tokens} tokens are spent"
            message = f"{spent}: no further request is sent ({self._options.budget_options})."
            pass_through.failure = Failure("budget", message)
            raise ApiError(403, "BudgetSpent", message, headers=NO_RETRY)

    def _record_exchange(self, pass_through: PassThroughExchange) -> None:
        """Count the exchange, call the listener, and have it checked for the journal."""
        pass_through.settle_failure(self._profile)
        if pass_through.forwarded and pass_through.exchange_name is None:
            self.reached |= bool(pass_through.status) and not pass_through.failure.name
        if pass_through.forwarded or pass_through.failure.name == "budget":
            self.failure = pass_through.failure
        if pass_through.forwarded and self.budget.max_tokens < sys.maxsize:
            self.budget.spent_tokens += _total_tokens(pass_through.reply_body)
        if self._options.check_traffic:
            secrets = (
                *self._keys.secrets,
                *([pass_through.endpoint_key] if pass_through.endpoint_key else []),
            )
            self._check_in_background(pass_through, secrets)
        if self.listener is not None:
            self.listener.on_complete(pass_through)

    def _check_in_background(self, pass_through: PassThroughExchange, secrets: tuple[str, ...]) -> None:
        """Check the exchange in a thread, since an odd reply takes long, and add it to the journal."""
        loop = asyncio.get_running_loop()
        self._unchecked_exchanges += 1

        def check() -> None:
            entry = None
            try:
                entry = self._checker.journal_entry(pass_through, secrets)
            finally:
                with suppress(RuntimeError):  # the server has stopped
                    loop.call_soon_threadsafe(self._add_entry, pass_through, entry)

        self._checks.submit(check)

    def _add_to_journal(self, _: PassThroughExchange, entry: Entry | None) -> None:
        if entry is not None:
            self.journal.add(entry)

    def _add_entry(self, pass_through: PassThroughExchange, entry: Entry | None) -> None:
        self._unchecked_exchanges -= 1
        self.on_entry(pass_through, entry)
        self._set_idle()

    def _set_idle(self) -> None:
        if not (self.has_open_exchanges or self.has_unchecked_exchanges):
            self._idle.set()


def _forwarded_key(authorization: bytes) -> str:
    """The endpoint's key, which a client sent. Raises ApiError if recordings could not be kept free of it."""
    key = authorization.decode("latin-1").strip().rpartition(" ")[2]
    try:
        return require_maskable_key(key, "The API key")
    except ConfigurationError as error:
        raise ApiError(401, "InvalidApiKey", f"{error}.", headers=NO_RETRY) from None


def _total_tokens(reply: bytes) -> int:
    """The total tokens in a reply's usage, streamed or not."""
    total = 0
    for line in reply.split(b"\n") if b'"usage"' in reply else ():
        if b'"usage"' not in line:
            continue
        text = line.partition(b":")[2] if line.startswith(b"data:") else line
        with suppress(InvalidJSON):
            total = max(total, _usage_total(json.loads(text)))
    with suppress(InvalidJSON):
        total = max(total, _usage_total(json.loads(reply)))
    return total


def _usage_total(value: Any) -> int:
    holder: Any = value.get("response", value) if isinstance(value, Mapping) else None
    usage = holder.get("usage") if isinstance(holder, Mapping) else None
    total = usage.get("total_tokens") if isinstance(usage, Mapping) else None
    return total if isinstance(total, int) else 0
