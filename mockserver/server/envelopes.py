"""Errors as the API sends them: status, code, message, in the envelope of the profile.

January 2026 uses the flat envelope `{request_id, code, message}` throughout (API reference and OpenAPI
document, 2026). Codes and texts follow the vendor's error-code page where it has one for the case; the
rest are the judge's own and name the field.
"""

from __future__ import annotations

from mockserver.contract.findings import Finding
from mockserver.wire import json

__all__ = ["ApiError", "Misdirected", "Unplanned", "envelope", "from_finding"]


class ApiError(Exception):
    """A request that is answered with an error; `detail` is for the log, never for the client."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        headers: tuple[tuple[bytes, bytes], ...] = (),
        detail: str = "",
        findings: tuple[Finding, ...] = (),
    ) -> None:
        super().__init__(f"{status} {code}")
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers
        self.detail = detail
        self.findings = findings

    def __repr__(self) -> str:
        return f"ApiError({self.status}, {self.code!r})"


class Misdirected(ApiError):
    """A request that is no call of the API: another path or method, no good key, a body that is none."""


class Unplanned(ApiError):
    """A request that came when only planned ones were to come."""


def envelope(error: ApiError, request_id: str) -> bytes:
    """The body of an error reply."""
    return json.dumps({"code": error.code, "message": error.message, "request_id": request_id})


def from_finding(finding: Finding, findings: tuple[Finding, ...]) -> ApiError:
    """The service's answer to a request the contract refuses: its first error decides."""
    message = finding.message
    if message.startswith("Missing required parameter"):
        # The one shape error whose whole text is documented (OpenAPI document, August 2026).
        message = f"[400] missing_required_parameter: {message}"
    return ApiError(400, "InvalidParameter", message, findings=findings)
