"""Access control: the API keys, and the host names that the server answers to."""

from __future__ import annotations

import re
from collections.abc import Iterable
from hmac import compare_digest

from mockserver.errors import ConfigurationError
from mockserver.server.delivery.faults import find_service_fault
from mockserver.server.errors import NotAnApiRequest

__all__ = ["AllowedHosts", "ApiKeys", "parse_bearer_key", "require_sendable_key"]

_BEARER = re.compile(rb"[Bb]earer +([!-~]+) *")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?")
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://([^/]*)", re.IGNORECASE)
#: Valid headers that are remembered, so that they are not checked again.
_MAX_REMEMBERED = 1000

_LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})


class ApiKeys:
    """The accepted API keys; without any, every key is accepted, but a request must have one."""

    def __init__(self, keys: Iterable[str] = ()) -> None:
        self._keys = tuple(key.encode() for key in keys)
        self._session_keys: tuple[bytes, ...] = ()
        self._verified: set[bytes | None] = set()

    def __repr__(self) -> str:
        return f"<ApiKeys: {len(self._keys) or 'any'}>"

    @property
    def accepts_any(self) -> bool:
        """Whether every key is accepted."""
        return not self._keys

    @property
    def secrets(self) -> tuple[str, ...]:
        """All keys, including those of sessions, for redaction."""
        return tuple(key.decode() for key in (*self._keys, *self._session_keys))

    def set_session_keys(self, keys: Iterable[str]) -> None:
        """Replace the keys of sessions, which are accepted as well."""
        self._session_keys = tuple(key.encode() for key in keys)
        self._verified.clear()

    def check(self, authorization: bytes | None, wrong_key_fault: str) -> None:
        """Raise ApiError 401 if an `Authorization` header has no key or a wrong one.

        `wrong_key_fault` names the service fault that answers a wrong key.
        """
        if authorization in self._verified:
            return
        match = _BEARER.fullmatch(authorization or b"")
        if match is None and not (authorization or b"").strip().removeprefix(b"Bearer"):
            raise find_service_fault("no-api-key").to_api_error(requested=False, error_class=NotAnApiRequest)
        if match is None or not self._is_accepted(match[1]):
            raise find_service_fault(wrong_key_fault).to_api_error(
                requested=False, error_class=NotAnApiRequest
            )
        if len(self._verified) < _MAX_REMEMBERED:
            self._verified.add(authorization)

    def _is_accepted(self, key: bytes) -> bool:
        # Compare every key, to take the same time whichever matches.
        return (
            self.accepts_any
            or sum(compare_digest(key, each) for each in (*self._keys, *self._session_keys)) > 0
        )


class AllowedHosts:
    """The names allowed in `Host` and `Origin`, to keep pages of other sites from reaching a local server."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._names = _LOOPBACK_HOSTS | {name.lower() for name in names}
        self._verified: set[bytes] = set()

    def check(self, host: bytes | None, origin: bytes | None) -> None:
        """Raise ApiError 403 if a request names another host or comes from a page of another site."""
        if origin is None and host in self._verified:
            return
        name = _hostname(host or b"")
        if name not in self._names:
            shown = (host or b"").decode("latin-1")
            raise NotAnApiRequest(
                403,
                "AccessDenied",
                f"The host {shown!r} is not allowed. Add it with --allow-host NAME.",
            )
        if origin is not None and not self._is_allowed_origin(origin):
            raise NotAnApiRequest(
                403, "AccessDenied", "Requests from pages of another origin are not allowed."
            )
        if len(self._verified) < _MAX_REMEMBERED and host is not None:
            self._verified.add(host)

    def _is_allowed_origin(self, origin: bytes) -> bool:
        match = _ORIGIN.fullmatch(origin.decode("latin-1"))
        return match is not None and _hostname(match[1].encode("latin-1")) in self._names


def parse_bearer_key(authorization: bytes | None) -> str:
    """The key in an `Authorization` header, or ""."""
    match = _BEARER.fullmatch(authorization or b"")
    return match[1].decode() if match else ""


def require_sendable_key(key: str) -> str:
    """The key; ConfigurationError if no client could send it in a header."""
    if not (key and key.isascii() and key.isprintable() and " " not in key):
        raise ConfigurationError("an API key must be printable ASCII without spaces")
    return key


def _hostname(host: bytes) -> str | None:
    match = _HOST.fullmatch(host.decode("latin-1"))
    return match[1].lower() if match else None
