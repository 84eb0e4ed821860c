"""A live endpoint: its base URL and the API key for it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote_to_bytes, urlsplit

from mockserver.errors import ConfigurationError
from mockserver.live.connections import ConnectionOptions
from mockserver.network import is_loopback, split_url
from mockserver.wire.redaction import redact, redact_body, redact_keys, require_maskable_key

__all__ = ["Endpoint", "api_key_from_env", "parse_endpoint", "stays_below_base_path"]

#: How often a path may be percent-encoded over; more is an attempt to hide something.
_MAX_ENCODINGS = 4


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A base URL and its API key. The key is sent nowhere else and appears in no message, file or repr."""

    base_url: str
    """Without a trailing slash; requests go to `{base_url}/responses`."""
    api_key: str = field(repr=False)
    api_key_env: str = "DASHSCOPE_API_KEY"
    """The environment variable that holds the key; curl commands in reports name it instead of the key."""
    connection: ConnectionOptions = field(default_factory=ConnectionOptions)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The key, and the password of the proxy."""
        return tuple(each for each in (self.api_key, self.connection.proxy_password) if each)

    def redact(self, text: str) -> str:
        """`text` without the key, the proxy's password, or anything that looks like a key."""
        return redact(text, self.secrets)

    def redact_body(self, text: str) -> str:
        """A body without the key, however it is written there, and without other credentials."""
        return redact_body(text, self.secrets)

    def redact_page(self, text: str) -> str:
        """A rendered report without the key or anything that looks like one."""
        return redact_keys(text, self.secrets)


def parse_endpoint(
    base_url: str,
    api_key: str,
    api_key_env: str = "DASHSCOPE_API_KEY",
    allow_http: Collection[str] = (),
    connection: ConnectionOptions | None = None,
) -> Endpoint:
    """Parse a base URL. Raises ConfigurationError if the key must not be sent there.

    Accepts https, http to a loopback address, and http to a host in `allow_http`.
    """
    url, connection = (
        split_url(base_url) or SplitResult("", "", "", "", ""),
        connection or ConnectionOptions(),
    )
    host = url.hostname
    if url.scheme not in ("http", "https") or not host:
        raise ConfigurationError(
            f"{_display_url(base_url)} is not a base URL: it must start with https:// and name a host"
        )
    if url.username is not None or url.query or url.fragment:
        raise ConfigurationError(
            f"{_display_url(base_url)}: a base URL must not contain a user, a query or a fragment"
        )
    if url.scheme == "http" and not is_loopback(host) and host not in allow_http:
        raise ConfigurationError(
            f"{_display_url(base_url)}: keys are only sent over https or to this machine; "
            f"use --allow-http {host} to send it anyway"
        )
    proxy_host = urlsplit(connection.proxy).hostname
    if url.scheme == "http" and proxy_host and not is_loopback(proxy_host) and host not in allow_http:
        raise ConfigurationError(
            f"{_display_url(base_url)}: the key would reach the proxy {proxy_host} unencrypted; "
            f"use https, or --allow-http {host} to send it anyway"
        )
    return Endpoint(base_url.rstrip("/"), api_key, api_key_env, connection)


def api_key_from_env(environment: Mapping[str, str], name: str) -> str:
    """Read the API key from a variable. Raises ConfigurationError if it is missing or cannot be sent."""
    key = environment.get(name, "")
    if not key:
        raise ConfigurationError(
            f"{name} is not set: set it to the API key, or name another variable with --api-key-env"
        )
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise ConfigurationError(f"{name} is not an API key: a key is printable ASCII without spaces")
    return require_maskable_key(key, name)


def stays_below_base_path(path: str) -> bool:
    """Whether every server reads `path`, which follows a base path, as one below it; a query does not count.

    Servers and proxies differ: some decode a path twice, take a backslash for a slash, or drop a parameter
    such as that in `..;x`. A path that one of them could read as `..` does not stay.
    """
    decoded, before = path.partition("?")[0].encode(errors="replace"), b""
    for _ in range(_MAX_ENCODINGS):
        before, decoded = decoded, unquote_to_bytes(decoded)
    has_overlong_character = b"\xc0" in decoded or b"\xc1" in decoded  # in no valid UTF-8 (RFC 3629)
    if decoded != before or has_overlong_character or decoded.startswith(b"//"):
        return False
    if any(each < 0x20 or each == 0x7F for each in decoded):
        return False
    segments = (each.partition(b";")[0] for each in decoded.replace(b"\\", b"/").split(b"/"))
    return not any(each in (b".", b"..") for each in segments)


def _display_url(base_url: str) -> str:
    """The URL without its user part, which could be a password."""
    scheme, _, rest = redact(base_url).partition("//")
    return ascii(f"{scheme}//{rest.rpartition('@')[2]}" if rest else scheme)
