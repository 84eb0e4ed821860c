"""A certificate authority that lives as long as the server, and the certificates that it issues.

The authority's key stays in memory. A host's key is in a file of a private folder while OpenSSL reads it.
"""

from __future__ import annotations

import os
import ssl
import warnings
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import certifi

from mockserver.errors import optional_packages

with optional_packages():
    import trustme
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12

__all__ = ["TRUST_STORE_PASSWORD", "CertificateAuthority"]

#: Java reads no trust store without a password. It protects nothing: certificates are public.
TRUST_STORE_PASSWORD = "changeit"  # noqa: S105

#: Hosts whose certificates are kept: every account of the service has hosts of its own.
_MAX_HOSTS = 100

#: Variables that name a file of certificate authorities which the user's clients trust.
_TRUST_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")

#: Where systems keep the certificate authorities that they trust, beside the file that OpenSSL names.
_SYSTEM_FILES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
)

_PEM_END = b"-----END CERTIFICATE-----"


class CertificateAuthority:
    """Issues certificates for hosts, and writes the files by which clients trust them."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        """`folder` must be private. `environment` names further authorities to trust."""
        self._ca = trustme.CA(organization_name="mockserver", organization_unit_name="one run")
        self._folder = folder
        trusted = _trusted_certificates(environment)
        self.bundle = folder / "ca-bundle.pem"
        """The authority and those of the system, as PEM."""
        self.bundle.write_bytes(self._ca.cert_pem.bytes() + b"\n" + trusted)
        self.trust_store = folder / "trust-store.p12"
        """The same for Java, as PKCS #12."""
        self.trust_store.write_bytes(_java_trust_store(self.bundle.read_bytes()))
        self.tls_for = lru_cache(_MAX_HOSTS)(self._issue)
        """TLS with a certificate for a host."""

    def _issue(self, host: str) -> ssl.SSLContext:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.minimum_version = ssl.TLSVersion.TLSv1_2
        tls.set_alpn_protocols(["http/1.1"])
        chain = self._ca.issue_cert(host).private_key_and_cert_chain_pem
        with chain.tempfile(dir=str(self._folder)) as file:
            tls.load_cert_chain(file)
        return tls


def _trusted_certificates(environment: Mapping[str, str]) -> bytes:
    """The authorities of the user's variables, and those of the system or of certifi, as PEM."""
    files = [Path(environment[name]) for name in _TRUST_VARIABLES if environment.get(name)]
    system_files = [Path(each) for each in (ssl.get_default_verify_paths().cafile, *_SYSTEM_FILES) if each]
    files.append(next((each for each in system_files if each.is_file()), Path(certifi.where())))
    distinct = dict.fromkeys(each.resolve() for each in files if each.is_file() and os.access(each, os.R_OK))
    return b"\n".join(each.read_bytes() for each in distinct)


def _java_trust_store(bundle: bytes) -> bytes:
    pieces = (piece[piece.find(b"-----BEGIN") :] + _PEM_END for piece in bundle.split(_PEM_END)[:-1])
    certificates = dict.fromkeys(filter(None, map(_parse_certificate, pieces)))
    entries = [pkcs12.PKCS12Certificate(each, b"%d" % number) for number, each in enumerate(certificates)]
    return pkcs12.serialize_java_truststore(entries, BestAvailableEncryption(TRUST_STORE_PASSWORD.encode()))


def _parse_certificate(pem: bytes) -> x509.Certificate | None:
    """The certificate; None if it is unusual in a way that a system's list may be, and this library is not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the same
        try:
            return x509.load_pem_x509_certificate(pem)
        except ValueError:
            return None
