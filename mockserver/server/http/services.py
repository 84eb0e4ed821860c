"""What all requests to one server share: sessions, store, keys, hosts, and the access log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from hmac import compare_digest
from typing import TYPE_CHECKING, Any, Protocol

from mockserver.server.access import AllowedHosts, ApiKeys
from mockserver.server.errors import ApiError
from mockserver.server.http.access_log import AccessLog
from mockserver.server.mock_headers import ADMIN_TOKEN_HEADER
from mockserver.server.state.session_registry import SessionRegistry
from mockserver.server.state.sessions import Session
from mockserver.server.state.store import MemoryStore, Store
from mockserver.settings import MAX_BODY_BYTES

if TYPE_CHECKING:
    from mockserver.server.console.access import ConsoleAccess
    from mockserver.server.stubs.exchange_folder import ExchangeFolder

__all__ = ["Fallback", "Services"]


class Fallback(Protocol):
    """Answers requests in place of this server."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """Keys of its own, for redaction."""

    async def answer(self, request: Any, error: ApiError) -> None:
        """Answer an `HttpRequest` that this server would answer with `error`. Raises ApiError if it cannot."""

    async def wait_until_idle(self) -> None:
        """Wait until all that it answered is checked and in the journals, but not for ever."""


@dataclass(slots=True, eq=False, repr=False)  # a repr would show secrets
class Services:
    """What all requests to one server share."""

    default_session: Session
    store: Store = field(default_factory=MemoryStore)
    keys: ApiKeys = field(default_factory=ApiKeys)
    hosts: AllowedHosts = field(default_factory=AllowedHosts)
    access_log: AccessLog = field(default_factory=AccessLog)
    secrets: tuple[str, ...] = ()
    """The accepted keys and the admin token, for redaction."""
    mock_headers: bool = False
    """Whether requests may control the mock with `x-mock-…` headers."""
    admin_token: str = ""
    """The token of the admin API; if empty, there is no admin API."""
    console: ConsoleAccess | None = None
    """Access to the console; None: there is no console."""
    fallback: Fallback | None = None
    """Answers unmatched requests; None: they get generated replies."""
    exchange_folder: ExchangeFolder | None = None
    """The folder of the user's exchange files, which is reloaded when it changes."""
    max_body: int = MAX_BODY_BYTES
    """Bytes that the body of a request may have."""
    stream_errors: str = ""
    """How a streamed request is rejected: "http" with an error status, "inband" with 200 and an event.

    If empty, the profile decides by the broken rule.
    """
    sessions: SessionRegistry = field(init=False)
    """All sessions: `default_session` and the named ones."""
    _date_cache: tuple[int, bytes] = (0, b"")

    def __post_init__(self) -> None:
        self.sessions = SessionRegistry(self.default_session, self.store, self.keys)
        # A lambda, because `access_log` may be replaced later.
        self.sessions.on_evicted = lambda line: self.access_log.add(line)  # noqa: PLW0108
        self.sessions.on_keys_changed = self.update_secrets
        self.update_secrets()

    def update_secrets(self) -> None:
        """Collect `secrets` again, after a change of keys, token or fallback."""
        console = self.console.secrets if self.console is not None else ()
        fallback = self.fallback.secrets if self.fallback is not None else ()
        token = [self.admin_token] if self.admin_token else []
        self.secrets = (*self.keys.secrets, *token, *console, *fallback)

    def passes_on(self, error: ApiError) -> bool:
        """Whether the fallback answers a request in place of this error."""
        return error.may_pass_on and self.fallback is not None

    def is_admin_token(self, token: bytes) -> bool:
        """Whether this is the admin API's token."""
        return self.admin_token != "" and compare_digest(token, self.admin_token.encode())

    def is_admin(self, headers: Mapping[bytes, bytes]) -> bool:
        """Whether a request may use the admin API: it has the token, or comes from the console."""
        if self.console is not None and self.console.may_change(headers):
            return True
        return self.is_admin_token(headers.get(ADMIN_TOKEN_HEADER, b""))

    def allows_session_header(self, headers: Mapping[bytes, bytes]) -> bool:
        """Whether a request may name its session in a header: mock headers are on, or it has the token."""
        return self.mock_headers or self.is_admin_token(headers.get(ADMIN_TOKEN_HEADER, b""))

    def date_header(self, session: Session | None = None) -> bytes:
        """The `Date` header, by the session's clock."""
        now = int((session or self.default_session).clock.now())
        if self._date_cache[0] != now:
            self._date_cache = (now, formatdate(now, usegmt=True).encode())
        return self._date_cache[1]
