"""Errors as the API sends them: status, code, message, in one of its three envelopes.

Nearly all are flat, `{request_id, code, message}` (API reference and OpenAPI document, 2026). The gateway
wraps its own as Chat does, `{error: {message, type, param, code}, request_id}` (live probes, 2026), and what
retrieve and delete do not find comes bare, `{error: {message, type}}` (their pages, May 2026). Codes and texts follow the vendor's error-code page where it has one for the case; the
rest are the judge's own and name the field.
"""

from __future__ import annotations

from mockserver.contract.findings import Finding
from mockserver.wire import json

__all__ = ["ApiError", "envelope", "from_finding"]


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
        envelope: str = "flat",
        kind: str = "invalid_request_error",
        streamed: bool = False,
        hex_id: bool = False,
        findings: tuple[Finding, ...] = (),
    ) -> None:
        super().__init__(f"{status} {code}")
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers
        self.detail = detail
        self.envelope = envelope
        """"flat", "wrapped" (the gateway's, as Chat has it), or "bare" (that of retrieve and delete)."""
        self.kind = kind
        """`type` in the latter two."""
        self.streamed = streamed
        """Whether a stream was asked for."""
        self.hex_id = hex_id
        """Whether the request id is written without dashes, as the page of input_items shows it."""
        self.findings = findings

    def __repr__(self) -> str:
        return f"ApiError({self.status}, {self.code!r})"


def envelope(error: ApiError, request_id: str) -> bytes:
    """The body of an error reply."""
    if error.envelope == "bare":
        return json.dumps({"error": {"message": error.message, "type": error.kind}})
    if error.envelope == "wrapped":
        inner = {"message": error.message, "type": error.kind, "param": None, "code": error.code}
        return json.dumps({"error": inner, "request_id": request_id})
    return json.dumps({"code": error.code, "message": error.message, "request_id": request_id})


def from_finding(finding: Finding, findings: tuple[Finding, ...], *, streamed: bool = False) -> ApiError:
    """The service's answer to a request the contract refuses: its first error decides."""
    message = finding.message
    if message.startswith("Missing required parameter"):
        # The one shape error whose whole text is documented (OpenAPI document, August 2026).
        message = f"[400] missing_required_parameter: {message}"
    return ApiError(400, "InvalidParameter", message, findings=findings, streamed=streamed)
