"""Access control: the API keys, and the host names that the server answers to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from hmac import compare_digest
from ipaddress import ip_address
from typing import TYPE_CHECKING

from mockserver.errors import ConfigurationError
from mockserver.network import is_loopback
from mockserver.server.delivery.faults import find_service_fault
from mockserver.server.errors import NotAnApiRequest

if TYPE_CHECKING:
    from starlette.types import Scope

__all__ = [
    "ANY_ORIGIN",
    "HEALTH_PATHS",
    "READY_PATH",
    "AllowedHosts",
    "ApiKeys",
    "HostPatterns",
    "listener_hosts",
    "parse_bearer_key",
    "require_sendable_key",
]

#: A scheme's name is case-insensitive (RFC 9110, section 11.1).
_BEARER = re.compile(rb"(?i:bearer) +([!-~]+) *")
_BEARER_WITHOUT_KEY = rb" *(?i:bearer)? *"
#: A `Host` header, with or without a port.
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?")
_ORIGIN = r"(?i)[a-z][a-z0-9+.-]*://([^/]*)"
_HOST_PATTERN = re.compile(r"(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?")
#: What browsers send: lower case, no path.
_ORIGIN_PATTERN = r"([a-z][a-z0-9+.-]*)://(?:[a-z0-9._-]+|\[[0-9a-f:]+\])(?::([0-9]{1,5}))?"
_DEFAULT_PORTS = {"http": "80", "https": "443"}
#: Valid headers that are remembered, so that they are not checked again.
_MAX_REMEMBERED = 1000

#: Path of the probe that also asks the store.
READY_PATH = "/ready"
#: Paths that answer any `Host`: the probes of a container use its address.
HEALTH_PATHS = ("/health", READY_PATH)

#: Allows pages of every origin.
ANY_ORIGIN = "*"

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
        if match is None and re.fullmatch(_BEARER_WITHOUT_KEY, authorization or b""):
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


class HostPatterns:
    """Names of hosts, and patterns like `*.example.com` for all names below one: `name in patterns`."""

    def __init__(self, patterns: Iterable[str]) -> None:
        """ConfigurationError if a pattern can match nothing."""
        self.patterns = tuple(_parse_host_pattern(each) for each in patterns)
        self._names = frozenset(each for each in self.patterns if not each.startswith("*"))
        self._suffixes = tuple(each[1:] for each in self.patterns if each.startswith("*"))

    def __contains__(self, name: str) -> bool:
        """Whether a name in lower case, as `Host` has it, is one of these."""
        return name in self._names or name.endswith(self._suffixes)


class AllowedHosts:
    """The names allowed in `Host` and `Origin`, to keep pages of other sites from reaching a local server."""

    def __init__(
        self, names: Iterable[str] = (), origins: Iterable[str] = (), *, allow_addresses: bool = False
    ) -> None:
        """ConfigurationError if a name or an origin can match nothing.

        A name `*.example.com` allows all names below it. `origins` are those of pages that may send requests;
        `*` allows every page. `allow_addresses` allows every IP address in `Host`: a page that reaches a server
        by a name of its own (DNS rebinding) sends that name.
        """
        self._names = HostPatterns([*_LOOPBACK_HOSTS, *names])
        self._allow_addresses = allow_addresses
        self.origins = tuple(_parse_origin(origin) for origin in origins)
        self.remedy = "Add it with --allow-host NAME."
        """What the error for another host suggests."""
        self._verified: set[bytes] = set()

    def check(self, headers: Mapping[bytes, bytes], scope: Scope) -> None:
        """Raise ApiError if a request names another host, or comes from a page of another site.

        `headers` has the last header of each name in the scope.
        """
        host, origin = headers.get(b"host"), headers.get(b"origin")
        if origin is None and host in self._verified and len(headers) == len(scope["headers"]):
            return
        _require_single_host(scope["headers"])
        if origin is not None and not self.allows_origin(origin, host):
            raise NotAnApiRequest(
                403,
                "AccessDenied",
                "Requests from pages of another origin are not allowed. Add it with --allow-origin ORIGIN.",
            )
        if scope["path"] in HEALTH_PATHS:
            return
        if not self._allows_host(_hostname(host or b"")):
            shown = (host or b"").decode("latin-1")
            raise NotAnApiRequest(
                403,
                "AccessDenied",
                f"The host {shown!r} is not allowed. {self.remedy}",
            )
        if len(self._verified) < _MAX_REMEMBERED and host is not None:
            self._verified.add(host)

    def _allows_host(self, name: str | None) -> bool:
        if name is None:
            return False
        return name in self._names or (self._allow_addresses and _is_address(name))

    def lists_origin(self, origin: bytes) -> bool:
        """Whether an origin is one of `origins`, whose pages may read replies too."""
        return bool(origin) and (origin.decode("latin-1") in self.origins or ANY_ORIGIN in self.origins)

    def allows_origin(self, origin: bytes, host: bytes | None) -> bool:
        """Whether pages of an origin may send requests; those of this server may, whose authority is `host`."""
        if self.lists_origin(origin):
            return True
        match = re.fullmatch(_ORIGIN, origin.decode("latin-1"))
        if match is not None and match[1].encode("latin-1") == host:
            return True
        name = None if match is None else _hostname(match[1].encode("latin-1"))
        return name is not None and name in self._names


def listener_hosts(
    host: str, names: Iterable[str], origins: Iterable[str] = (), *, any_origin: bool = False
) -> AllowedHosts:
    """The allowed hosts of a server that listens on `host`. ConfigurationError.

    `any_origin` permits the origin `*`.
    """
    allowed_hosts = AllowedHosts([host, *names], origins, allow_addresses=not is_loopback(host))
    if ANY_ORIGIN in allowed_hosts.origins and not any_origin:
        raise ConfigurationError(
            "the origin * lets every web page send requests: name the origins, or add --unsafe-any-origin"
        )
    return allowed_hosts


def parse_bearer_key(authorization: bytes | None) -> str:
    """The key in an `Authorization` header, or ""."""
    match = _BEARER.fullmatch(authorization or b"")
    return match[1].decode() if match else ""


def require_sendable_key(key: str) -> str:
    """The key; ConfigurationError if no client could send it in a header."""
    if not (key and key.isascii() and key.isprintable() and " " not in key):
        raise ConfigurationError("an API key must be printable ASCII without spaces")
    return key


def _require_single_host(header_list: Iterable[tuple[bytes, bytes]]) -> None:
    """ApiError 400 if there is more than one `Host` (RFC 9112, section 3.2)."""
    if sum(name == b"host" for name, _ in header_list) > 1:
        raise NotAnApiRequest(400, "InvalidParameter", "The request has more than one Host header.")


def _parse_host_pattern(text: str) -> str:
    """A name, an address or `*.name` as `Host` has it; ConfigurationError if no `Host` can match."""
    name = text.strip("[]") if _is_address(text) else text
    if _is_address(name):
        return f"[{ip_address(name)}]" if ":" in name else name
    if _HOST_PATTERN.fullmatch(text):
        return text.lower()
    reason = "give a name like mock.local, *.mock.local or an IP address"
    if "/" in text:
        reason = "give the name alone, without http:// and path"
    elif _HOST.fullmatch(text) and re.search(r":[0-9]+$", text):
        reason = "give the name without the port"
    elif text == "*":
        reason = "it would let every web page reach this server; give a name or *.SUFFIX"
    raise ConfigurationError(f"the host {text!a} cannot match: {reason}")


def _parse_origin(text: str) -> str:
    """An origin as browsers send it; ConfigurationError if none sends this one."""
    if text == ANY_ORIGIN:
        return text
    match = re.fullmatch(_ORIGIN_PATTERN, text.lower())
    if match is None:
        raise ConfigurationError(
            f"the origin {text!a} cannot match: give scheme, host and port, like http://localhost:5173"
        )
    if match[2] == _DEFAULT_PORTS.get(match[1]):
        raise ConfigurationError(
            f"the origin {text!a} cannot match: browsers leave out the port {match[2]} of {match[1]}"
        )
    return match[0]


def _is_address(name: str) -> bool:
    try:
        ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def _hostname(host: bytes) -> str | None:
    match = _HOST.fullmatch(host.decode("latin-1"))
    return match[1].lower() if match else None
