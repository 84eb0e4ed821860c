"""Where live requests go: one origin, with the one key that belongs to it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import urlsplit

from mockserver.errors import ConfigurationError
from mockserver.wire.redaction import redact

__all__ = ["Endpoint", "api_key_from_env", "parse_endpoint"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A base URL and the key for it; the key goes nowhere else, and no text of ours shows it."""

    base_url: str
    """Without a slash at its end; `{base_url}/responses` is the endpoint."""
    api_key: str = field(repr=False)
    api_key_env: str = "DASHSCOPE_API_KEY"
    """The variable that the key came from: what a command to paste names in its place."""

    def redact(self, text: str) -> str:
        """`text` without the key, or anything that has the form of one."""
        return redact(text, (self.api_key,))


def parse_endpoint(
    base_url: str, api_key: str, api_key_env: str = "DASHSCOPE_API_KEY", allow_http: Collection[str] = ()
) -> Endpoint:
    """The origin of a base URL; ConfigurationError where a key must not be sent there.

    Taken: https; http to a loopback address; http to a host that `allow_http` names.
    """
    url = urlsplit(base_url)
    host = url.hostname
    if url.scheme not in ("http", "https") or not host:
        raise ConfigurationError(
            f"{_display_url(base_url)} is no base URL: it must begin with https:// and name a host"
        )
    if url.username is not None or url.query or url.fragment:
        raise ConfigurationError(
            f"{_display_url(base_url)}: a base URL has neither a user nor a query nor a fragment"
        )
    if url.scheme == "http" and not _is_loopback(host) and host not in allow_http:
        raise ConfigurationError(
            f"{_display_url(base_url)}: a key is sent over https, or to this machine; "
            f"--allow-http {host} allows it all the same"
        )
    return Endpoint(base_url.rstrip("/"), api_key, api_key_env)


def api_key_from_env(environment: Mapping[str, str], name: str) -> str:
    """The key that a variable holds; ConfigurationError where it holds none that can be sent."""
    key = environment.get(name, "")
    if not key:
        raise ConfigurationError(
            f"{name} is not set: it is to hold the API key; --api-key-env names another variable"
        )
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise ConfigurationError(f"{name} holds no API key: a key is printable ASCII without spaces")
    return key


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _display_url(base_url: str) -> str:
    """The URL without what may stand before an @: it could be a password."""
    scheme, _, rest = redact(base_url).partition("//")
    return ascii(f"{scheme}//{rest.rpartition('@')[2]}" if rest else scheme)
