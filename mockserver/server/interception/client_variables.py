"""Environment variables that lead a client's requests for the service to the mock."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from mockserver.network import no_proxy_variables
from mockserver.profiles import service_hosts
from mockserver.server.interception.certificates import TRUST_STORE_PASSWORD, CertificateAuthority

__all__ = ["client_variables"]

#: Which proxy to use, for most clients. curl reads `http_proxy` in lower case only.
_PROXY_VARIABLES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")

#: Which authorities to trust: OpenSSL (Python, Ruby, Go on Linux), requests, curl, and Node.
_BUNDLE_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")

#: Node reads no proxy variable before version 24, and later ones only if they are told to.
_NODE_PRELOAD = Path(__file__).with_name("node_proxy.cjs")


def client_variables(
    environment: Mapping[str, str], url: str, authority: CertificateAuthority
) -> dict[str, str]:
    """What to add to a client's environment; `url` is that of the mock.

    What the user has set stays in force, except for another proxy, and for hosts of the service in `NO_PROXY`.
    """
    direct = {
        name: ",".join(each for each in environment.get(name, "").split(",") if not _excludes_service(each))
        for name in ("NO_PROXY", "no_proxy")
    }
    return {
        **dict.fromkeys(_PROXY_VARIABLES, url),
        **dict.fromkeys(_BUNDLE_VARIABLES, str(authority.bundle)),
        **no_proxy_variables(direct, url),
        "NODE_OPTIONS": _append(environment.get("NODE_OPTIONS"), f"--require {_quoted(_NODE_PRELOAD)}"),
        "JAVA_TOOL_OPTIONS": _append(environment.get("JAVA_TOOL_OPTIONS"), _java_options(url, authority)),
    }


def _excludes_service(entry: str) -> bool:
    """Whether an entry of `NO_PROXY` covers a host of the service, or is one."""
    name = entry.strip().lower().partition(":")[0].removeprefix("*").removeprefix(".")
    if not name:
        return "*" in entry
    hosts = [each.removeprefix("*.") for each in service_hosts()]
    return any(f".{host}".endswith(f".{name}") or f".{name}".endswith(f".{host}") for host in hosts)


def _java_options(url: str, authority: CertificateAuthority) -> str:
    parts = urlsplit(url)
    options = {
        "https.proxyHost": parts.hostname,
        "https.proxyPort": parts.port,
        "http.proxyHost": parts.hostname,
        "http.proxyPort": parts.port,
        "javax.net.ssl.trustStore": _quoted(authority.trust_store),
        "javax.net.ssl.trustStoreType": "PKCS12",
        "javax.net.ssl.trustStorePassword": TRUST_STORE_PASSWORD,
    }
    return " ".join(f"-D{name}={value}" for name, value in options.items())


def _quoted(file: Path) -> str:
    """A path as Node and Java read it in a list of options."""
    text = str(file).replace("\\", "\\\\") if " " in str(file) else str(file)
    return f'"{text}"' if " " in text else text


def _append(before: str | None, options: str) -> str:
    return f"{before} {options}" if before else options
