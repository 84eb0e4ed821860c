"""Who may ask: keys, and the names this server answers to."""

from __future__ import annotations

import re
from collections.abc import Iterable
from hmac import compare_digest

from mockserver.errors import ConfigurationError
from mockserver.server.envelopes import Misdirected
from mockserver.server.faults import find_fault

__all__ = ["Hosts", "Keys", "key_of", "require_key"]

_BEARER = re.compile(rb"[Bb]earer +([!-~]+) *")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?")
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://([^/]*)", re.IGNORECASE)
#: Headers that were found good and need no second look.
_REMEMBERED = 1000

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})


class Keys:
    """The API keys that are accepted; none given: any key will do, but there must be one."""

    def __init__(self, keys: Iterable[str] = ()) -> None:
        self._keys = tuple(key.encode() for key in keys)
        self._lent: tuple[bytes, ...] = ()
        self._good: set[bytes | None] = set()

    def __repr__(self) -> str:
        return f"<Keys: {len(self._keys) or 'any'}>"

    @property
    def any(self) -> bool:
        """Whether every key is accepted."""
        return not self._keys

    @property
    def secrets(self) -> tuple[str, ...]:
        """The keys, those lent included, for redaction alone."""
        return tuple(key.decode() for key in (*self._keys, *self._lent))

    def lend(self, keys: Iterable[str]) -> None:
        """Accept these as well, and no others that were lent before: keys that belong to sessions."""
        self._lent = tuple(key.encode() for key in keys)
        self._good.clear()

    def check(self, authorization: bytes | None, wrong_key: str) -> None:
        """ApiError 401 where an `Authorization` header has no key, or a wrong one.

        `wrong_key` is what the profile answers a wrong one with, by its name in the catalogue of faults.
        """
        if authorization in self._good:
            return
        match = _BEARER.fullmatch(authorization or b"")
        if match is None and not (authorization or b"").strip().removeprefix(b"Bearer"):
            raise find_fault("no-api-key").refusal(asked_for=False, kind=Misdirected)
        if match is None or not self._known(match[1]):
            raise find_fault(wrong_key).refusal(asked_for=False, kind=Misdirected)
        if len(self._good) < _REMEMBERED:
            self._good.add(authorization)

    def _known(self, key: bytes) -> bool:
        # Every key is compared, so that the time taken tells nothing.
        return self.any or sum(compare_digest(key, each) for each in (*self._keys, *self._lent)) > 0


class Hosts:
    """Names that may stand in `Host` and `Origin`: a web page elsewhere must not reach a local server."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._names = _LOOPBACK | {name.lower() for name in names}
        self._good: set[bytes] = set()

    def check(self, host: bytes | None, origin: bytes | None) -> None:
        """ApiError 403 for a request that names another host, or comes from another site's page."""
        if origin is None and host in self._good:
            return
        name = _name_of(host or b"")
        if name not in self._names:
            shown = (host or b"").decode("latin-1")
            raise Misdirected(
                403,
                "AccessDenied",
                f"The host {shown!r} is not served here; --allow-host NAME adds a name.",
            )
        if origin is not None and not self._same_site(origin):
            raise Misdirected(
                403, "AccessDenied", "Requests from pages of another origin are not served here."
            )
        if len(self._good) < _REMEMBERED and host is not None:
            self._good.add(host)

    def _same_site(self, origin: bytes) -> bool:
        match = _ORIGIN.fullmatch(origin.decode("latin-1"))
        return match is not None and _name_of(match[1].encode("latin-1")) in self._names


def key_of(authorization: bytes | None) -> str:
    """The key in an `Authorization` header; empty where there is none."""
    match = _BEARER.fullmatch(authorization or b"")
    return match[1].decode() if match else ""


def require_key(key: str) -> str:
    """The key; ConfigurationError where no client could send it."""
    if not (key and key.isascii() and key.isprintable() and " " not in key):
        raise ConfigurationError("an API key must be printable ASCII without spaces")
    return key


def _name_of(host: bytes) -> str | None:
    match = _HOST.fullmatch(host.decode("latin-1"))
    return match[1].lower() if match else None
