"""`mockserver health`: whether a server is ready, for the health check of a container without curl."""

from __future__ import annotations

from http.client import HTTPConnection, HTTPException, HTTPSConnection

import click

from mockserver.cli.errors import exit_with_error
from mockserver.cli.options import FiniteRange, IntegerRange, option
from mockserver.network import split_url

__all__ = ["READY_PATH", "health", "why_unhealthy"]

READY_PATH = "/ready"
#: The paths that a URL may name; with any other, such as that of a base URL, the server's own is asked.
_HEALTH_PATHS = ("/health", READY_PATH)


@click.command()
@option(
    "--url",
    metavar="URL",
    show_default=False,
    help="URL of the server; default: port --port of this machine.",
)
@option("--port", default=8080, type=IntegerRange(1, 65535), help="Port of the server, if there is no --url.")
@option("--timeout", default=5.0, type=FiniteRange(0.1), help="Seconds that the reply may take.")
def health(url: str | None, port: int, timeout: float) -> None:
    """Exit with status 0 if a server is ready, else with 1 and the reason."""
    scheme, host, given_port, path = _parse_url(url or f"http://127.0.0.1:{port}")
    if reason := why_unhealthy(scheme, host, given_port, path, timeout):
        shown = f"[{host}]" if ":" in host else host
        shown += "" if given_port is None else f":{given_port}"
        exit_with_error(f"{scheme}://{shown} is not ready: {reason}", 1)


def _parse_url(url: str) -> tuple[str, str, int | None, str]:
    """(scheme, host, port, path of the check), without the user and the password that a URL may have."""
    parts = split_url(url)
    if parts is None:
        exit_with_error("--url is not a URL", 2)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        exit_with_error("--url must begin with http:// or https:// and a host", 2)
    path = parts.path if parts.path.endswith(_HEALTH_PATHS) else READY_PATH
    return parts.scheme, parts.hostname, parts.port, path


def why_unhealthy(scheme: str, host: str, port: int | None, path: str, timeout: float) -> str:
    """Why a server is not ready; empty if it is."""
    connect = HTTPSConnection if scheme == "https" else HTTPConnection
    connection = connect(host, port, timeout=timeout)
    try:
        connection.request("GET", path)
        status = connection.getresponse().status
    except ConnectionRefusedError as error:
        return f"{error.strerror}; start it with `mockserver serve`, or name another with --port or --url"
    except (OSError, HTTPException, ValueError) as error:
        return str(error) or type(error).__name__
    finally:
        connection.close()
    return "" if status == 200 else f"status {status}"
