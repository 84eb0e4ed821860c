"""Where tunnels lead: to the mock for the service's hosts, outside for allowed hosts, else nowhere."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

from starlette.types import Scope

from mockserver.errors import ConfigurationError
from mockserver.network import is_loopback
from mockserver.profiles import service_hosts
from mockserver.server.access import HostPatterns
from mockserver.server.errors import ApiError, NotAnApiRequest, render_error
from mockserver.server.http.requests import HttpRequest, derive_tunnel_id
from mockserver.server.http.services import Services
from mockserver.server.http.tunnels import Address
from mockserver.server.interception.certificates import CertificateAuthority
from mockserver.server.interception.client_variables import client_variables
from mockserver.server.state.journal import EntryDetails

__all__ = ["Interception", "intercepted_hosts"]


def intercepted_hosts(listening_host: str) -> tuple[str, ...]:
    """The hosts of the service, to be allowed in `Host` too; ConfigurationError beyond loopback."""
    if not is_loopback(listening_host):
        raise ConfigurationError(f"intercept requires a loopback host, not {listening_host}")
    return service_hosts()


class Interception:
    """Ends tunnels to the service's hosts in the mock; refuses others and records them in the journal.

    Between `open` and `close`, or in a `with` block, there is a certificate authority, with its files in a folder
    that only this user can read.
    """

    def __init__(self, services: Services, allowed_hosts: Iterable[str] = ()) -> None:
        """Tunnels to `allowed_hosts` (names, or `*.SUFFIX`) leave the machine. ConfigurationError."""
        self._services = services
        # Clients use the server as their proxy, so that requests to other http addresses come here.
        services.hosts.remedy = "To let clients reach an http address, name its host in NO_PROXY."
        self._intercepted = HostPatterns(service_hosts())
        self._allowed = HostPatterns(allowed_hosts)
        self._folder: TemporaryDirectory[str] | None = None
        self._authority: CertificateAuthority | None = None

    def open(self) -> None:
        """Make an authority. Clients that have trusted an earlier one do not trust it."""
        self._folder = TemporaryDirectory(prefix="mockserver-")
        try:
            self._authority = CertificateAuthority(Path(self._folder.name), os.environ)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Forget the authority, and remove its files."""
        self._authority = None
        if self._folder is not None:
            self._folder.cleanup()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def client_variables(self, url: str) -> dict[str, str]:
        """What to add to a client's environment; `url` is that of the server. {} unless it is open."""
        return {} if self._authority is None else client_variables(os.environ, url, self._authority)

    def route(self, target: bytes, client: tuple[Any, ...] | None) -> ssl.SSLContext | Address:
        host, separator, port = target.decode("latin-1").rpartition(":")
        name = host.lower()
        if not separator or not port.isdecimal() or int(port) > 65535:
            raise self._refuse(
                target, client, 400, "InvalidParameter", "The target of CONNECT must be HOST:PORT."
            )
        if name in self._intercepted and self._authority is not None:
            try:
                return self._authority.tls_for(name)
            except ValueError:  # as for a label of more than 63 characters
                raise self._refuse(
                    target, client, 400, "InvalidParameter", "The host has no valid name."
                ) from None
        if name in self._allowed:
            return Address(name.strip("[]"), int(port))
        bare_name = name.strip("[]")
        is_python = self._services.default_session.spelling.is_python
        setting = f'allow_connect="{bare_name}"' if is_python else f"--allow-connect {bare_name}"
        message = f"{bare_name} is not a host of the service. To let clients reach it, use {setting}."
        raise self._refuse(target, client, 403, "AccessDenied", message)

    def report_failure(self, target: bytes, client: tuple[Any, ...] | None, status: int, reason: str) -> None:
        self._refuse(target, client, status, "", reason)

    def _refuse(
        self, target: bytes, client: tuple[Any, ...] | None, status: int, code: str, message: str
    ) -> ApiError:
        """The error, which is in the journal. The headers of CONNECT are not: they may have a proxy's password."""
        error = NotAnApiRequest(status, code, message)
        scope: Scope = {
            "type": "http",
            "method": "CONNECT",
            "path": target.decode("latin-1"),
            "headers": [],
            "client": client,
        }
        request = HttpRequest(scope, _receive_nothing, _send_nothing, self._services)
        request_id = derive_tunnel_id(request, f"{status} {message}")
        details = EntryDetails(error_detail=message, refusal="refused", is_checked=False)
        request.record(status, (render_error(error, request_id),), False, request_id, details)
        return error


async def _receive_nothing() -> dict[str, object]:
    return {}


async def _send_nothing(_: object) -> None:
    pass
