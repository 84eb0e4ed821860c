"""Facts about hosts, and about the proxy variables of the environment."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

__all__ = [
    "is_loopback",
    "machine_addresses",
    "no_proxy_exports",
    "no_proxy_variables",
    "proxy_note",
    "proxy_variables",
    "split_url",
]

_PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_NO_PROXY_VARIABLES = ("NO_PROXY", "no_proxy")
_LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")


def is_loopback(host: str) -> bool:
    """Whether a host can only be this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def split_url(text: str) -> SplitResult | None:
    """The parts of a URL; None if its host or port is invalid, or if it has a space or a control character.

    `urlsplit` would drop some of these, so that a client connects to another host than the text names.
    """
    if not text.isprintable() or " " in text:
        return None
    try:
        url = urlsplit(text)
        _ = url.port
    except ValueError:
        return None
    return url


def machine_addresses() -> list[str]:
    """This machine's main addresses in its networks. Sends nothing: it asks which one a datagram would have."""
    found = []
    for family, documentation_address in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((documentation_address, 9))
                found.append(probe.getsockname()[0])
        except OSError:  # no such network
            continue
    return found


def proxy_variables(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The names of the variables that tell clients to use a proxy, such as `HTTP_PROXY`."""
    names = (name for upper in _PROXY_VARIABLES for name in (upper, upper.lower()))
    return tuple(name for name in names if environment.get(name))


def proxy_note(environment: Mapping[str, str]) -> str:
    """Why a client may send nothing to the mock: `; HTTP_PROXY is set …`; empty if no such variable is set."""
    names = proxy_variables(environment)
    if not names:
        return ""
    verb = "is" if len(names) == 1 else "are"
    return f"; {', '.join(names)} {verb} set: a client that ignores NO_PROXY sends its requests to that proxy"


def no_proxy_variables(environment: Mapping[str, str], url: str) -> dict[str, str]:
    """`NO_PROXY` and `no_proxy` with the hosts they already have, those of loopback and that of `url`.

    Some clients read one of the two, some the other.
    """
    inherited = ",".join(environment.get(name, "") for name in _NO_PROXY_VARIABLES).split(",")
    hosts = (*(each.strip() for each in inherited), *_LOOPBACK_HOSTS, urlsplit(url).hostname or "")
    value = ",".join(dict.fromkeys(each for each in hosts if each))
    return dict.fromkeys(_NO_PROXY_VARIABLES, value)


def no_proxy_exports(environment: Mapping[str, str], url: str) -> list[str]:
    """The line of a shell that keeps clients from asking a proxy for `url`; none if they ask no proxy for it."""
    exempt = {host.strip() for name in _NO_PROXY_VARIABLES for host in environment.get(name, "").split(",")}
    if not proxy_variables(environment) or exempt & {"*", urlsplit(url).hostname or ""}:
        return []
    from shlex import quote

    value = no_proxy_variables(environment, url)[_NO_PROXY_VARIABLES[0]]
    return [f'export NO_PROXY={quote(value)} no_proxy="$NO_PROXY"']
