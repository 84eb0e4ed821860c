"""How to connect to an endpoint: which certificate authorities to trust, and through which proxy."""

from __future__ import annotations

import http.client
import os
import socket
import ssl
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from mockserver.errors import ConfigurationError
from mockserver.network import proxy_variables, split_url
from mockserver.wire.redaction import redact

__all__ = ["CONNECT_TIMEOUT", "ConnectionOptions", "parse_connection_options"]

#: Seconds to connect to the endpoint.
CONNECT_TIMEOUT = 10.0

_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class ConnectionOptions:
    """Certificate authorities and a proxy. Proxy variables of the environment have no effect."""

    ca_file: str | None = None
    ca_folder: str | None = None
    """Without file and folder, the authorities that certifi lists are trusted."""
    proxy: str = field(default="", repr=False)
    """The proxy's URL, which may contain a password; "": no proxy."""

    @property
    def proxy_password(self) -> str:
        """The password in the proxy's URL, or ""."""
        return unquote(urlsplit(self.proxy).password or "")

    def ssl_context(self) -> ssl.SSLContext:
        """A context that trusts the authorities. Raises OSError if they cannot be read."""
        if self.ca_file is None and self.ca_folder is None:
            import httpx

            return httpx.create_ssl_context(trust_env=False)
        return ssl.create_default_context(cafile=self.ca_file, capath=self.ca_folder)

    def httpx_options(self) -> dict[str, Any]:
        """Arguments for a client of httpx."""
        import httpx

        context = self.ssl_context()
        is_tls = self.proxy.startswith("https:")
        proxy = httpx.Proxy(self.proxy, ssl_context=context if is_tls else None) if self.proxy else None
        return {"trust_env": False, "verify": context, "proxy": proxy, "follow_redirects": False}

    def try_connection(self, url: SplitResult) -> None:
        """Connect to the host of `url` without sending a request. Raises OSError.

        Through a proxy with https it connects to the proxy alone.
        """
        port = url.port or _DEFAULT_PORTS[url.scheme]
        with self._open_socket(url.hostname or "", port, url.scheme) as connection:
            if url.scheme == "https" and urlsplit(self.proxy).scheme != "https":
                self.ssl_context().wrap_socket(connection, server_hostname=url.hostname).close()

    def _open_socket(self, host: str, port: int, scheme: str) -> socket.socket:
        if not self.proxy:
            return socket.create_connection((host, port), CONNECT_TIMEOUT)
        proxy = urlsplit(self.proxy)
        connection = http.client.HTTPConnection(
            proxy.hostname or "", proxy.port or _DEFAULT_PORTS[proxy.scheme], timeout=CONNECT_TIMEOUT
        )
        if scheme == "https" and proxy.scheme == "http":
            connection.set_tunnel(host, port, self._proxy_headers(proxy))
        connection.connect()
        opened: socket.socket = connection.sock
        return opened

    def _proxy_headers(self, proxy: SplitResult) -> dict[str, str]:
        if proxy.username is None:
            return {}
        user = f"{unquote(proxy.username)}:{self.proxy_password}"
        return {"Proxy-Authorization": f"Basic {b64encode(user.encode()).decode()}"}

    def hint(self, reason: str) -> str:
        """What may help if a connection fails for that reason, as `; …`, or ""."""
        if "CERTIFICATE_VERIFY_FAILED" in reason or "certificate verify failed" in reason:
            return "; if a proxy replaces the certificates of this network, name its authority with --ca-file"
        if self.proxy:
            return "; check --proxy"
        names = proxy_variables(os.environ)
        if not names:
            return ""
        verb = "is set but has" if len(names) == 1 else "are set but have"
        return f"; {', '.join(names)} {verb} no effect: name the proxy with --proxy"


def parse_connection_options(
    ca_file: Path | str | None = None,
    proxy: str | None = None,
    environment: Mapping[str, str] = os.environ,
    *,
    prefix: str = "--",
) -> ConnectionOptions:
    """The connection options; `SSL_CERT_FILE` and `SSL_CERT_DIR` apply without a CA file.

    Raises ConfigurationError. `prefix` begins the options' names in its messages.
    """
    proxy = _parse_proxy(proxy or "", f"{prefix}proxy")
    if ca_file:
        return _require_authorities(ConnectionOptions(str(ca_file), None, proxy), f"{prefix}ca-file")
    folder = environment.get("SSL_CERT_DIR") or None
    if folder and not any(Path(each).is_dir() for each in folder.split(os.pathsep)):
        raise ConfigurationError(f"SSL_CERT_DIR: cannot use {folder}: not a folder")
    options = ConnectionOptions(environment.get("SSL_CERT_FILE") or None, folder, proxy)
    return _require_authorities(options, "SSL_CERT_FILE")


def _require_authorities(options: ConnectionOptions, source: str) -> ConnectionOptions:
    """The options; ConfigurationError if their file cannot be used."""
    if options.ca_file is not None:
        if Path(options.ca_file).is_fifo():  # it is read when it is checked, and when a connection is opened
            raise ConfigurationError(f"{source}: cannot use {options.ca_file}: a pipe cannot be read twice")
        try:
            options.ssl_context()
        except OSError as error:
            reason = (
                "it has no certificate in PEM form" if isinstance(error, ssl.SSLError) else error.strerror
            )
            raise ConfigurationError(f"{source}: cannot use {options.ca_file}: {reason or error}") from None
    return options


def _parse_proxy(text: str, name: str) -> str:
    """The URL of a proxy; ConfigurationError, without its password, if it is none."""
    if not text:
        return ""
    url = split_url(text)
    if url is None or url.scheme not in ("http", "https") or not url.hostname:
        raise ConfigurationError(f"{name} must be a URL like http://proxy.example:3128")
    if url.path.strip("/") or url.query or url.fragment:
        raise ConfigurationError(f"{name} {redact(url.hostname)}: a proxy's URL has no path and no query")
    return url._replace(path="").geturl()
