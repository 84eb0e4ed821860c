"""Errors as the API sends them: status, code, message, in one of its three envelopes.

Nearly all are flat, `{request_id, code, message}` (API reference and OpenAPI document, 2026). The gateway
wraps its own as Chat does, `{error: {message, type, param, code}, request_id}` (live probes, 2026), and
what retrieve and delete do not find comes bare, `{error: {message, type}}` (their pages, May 2026). Codes
and texts follow the vendor's error-code page where it has one for the case; the rest are the judge's own
and name the field.

A profile with `error_types` has one form for all, `{error: {message, type, param, code}}` (Open Responses
specification, April 2026): the type goes by the status, the code is the same word in small letters.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from mockserver.contract.findings import Finding
from mockserver.profiles import Profile
from mockserver.wire import json

__all__ = [
    "BARE_ENVELOPE",
    "FLAT_ENVELOPE",
    "ApiError",
    "ErrorEnvelope",
    "NotAnApiRequest",
    "UnmatchedRequest",
    "error_from_finding",
    "render_error",
]


class ErrorEnvelope(NamedTuple):
    """The form of an error's body."""

    form: str
    """"flat", "wrapped" (the gateway's, as Chat has it), or "bare" (that of retrieve and delete)."""
    type: str = "InvalidParameter"
    """`type` in the latter two."""
    undashed_request_id: bool = False
    """Whether the request id is written without dashes, as the page of input_items shows it."""


#: What the service puts before some of its texts: "[400] missing_required_parameter: …".
_CODE_PREFIX = re.compile(r"(?:\[\d+\]|<\d+>) (?P<code>[\w.]+): ")
_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

FLAT_ENVELOPE = ErrorEnvelope("flat")
BARE_ENVELOPE = ErrorEnvelope("bare")


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
        envelope: ErrorEnvelope = FLAT_ENVELOPE,
        stream_requested: bool = False,
        findings: tuple[Finding, ...] = (),
    ) -> None:
        super().__init__(f"{status} {code}")
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers
        self.detail = detail
        self.envelope = envelope
        self.stream_requested = stream_requested
        """Whether a stream was asked for."""
        self.findings = findings
        self.param: str | None = None
        """The parameter at fault, where that is told."""
        self.unified_code: str | None = None
        """The code in the form that is common to all errors, where it is not the same word."""
        self.exchange: str | None = None
        """Name of what planned it."""
        self.delivery: Any = None
        """How it was planned to go out, a `delivery.Delivery`; None: as all errors do."""

    def with_parameter(self, param: str | None, code: str | None = None) -> ApiError:
        """This error, with what the common form alone tells: the parameter at fault, and its own code."""
        self.param, self.unified_code = param, code
        return self

    def __repr__(self) -> str:
        return f"ApiError({self.status}, {self.code!r})"


class NotAnApiRequest(ApiError):
    """A request that is no call of the API: another path or method, no good key, a body that is none."""


class UnmatchedRequest(ApiError):
    """A request that came when only planned ones were to come."""


def render_error(error: ApiError, request_id: str, profile: Profile | None = None) -> bytes:
    """The body of an error reply, in the profile's one form or in the service's."""
    if profile is not None and profile.error_types:
        return json.dumps({"error": _unified_error(error, profile)})
    form, kind, _ = error.envelope
    if form == "bare":
        return json.dumps({"error": {"message": error.message, "type": kind}})
    if form == "wrapped":
        inner = {"message": error.message, "type": kind, "param": None, "code": error.code}
        return json.dumps({"error": inner, "request_id": request_id})
    return json.dumps({"code": error.code, "message": error.message, "request_id": request_id})


def _unified_error(error: ApiError, profile: Profile) -> dict[str, str | None]:
    """An error in the form that all have in common."""
    otherwise = "server_error" if error.status >= 500 else "invalid_request"
    prefix = _CODE_PREFIX.match(error.message)
    code = prefix["code"].rpartition(".")[2] if prefix else error.code
    return {
        "code": error.unified_code or _WORD_START.sub("_", code).replace(".", "_").replace(" ", "_").lower(),
        "message": error.message[prefix.end() :] if prefix else error.message,
        "param": error.param,
        "type": profile.error_types.get(str(error.status), otherwise),
    }


def error_from_finding(
    finding: Finding, findings: tuple[Finding, ...], *, stream_requested: bool = False
) -> ApiError:
    """The service's answer to a request the contract refuses: its first error decides."""
    message = finding.message
    if message.startswith("Missing required parameter"):
        # The one shape error whose whole text is documented (OpenAPI document, August 2026).
        message = f"[400] missing_required_parameter: {message}"
    error = ApiError(400, "InvalidParameter", message, findings=findings, stream_requested=stream_requested)
    return error.with_parameter(_parameter_name(finding.pointer))


def _parameter_name(pointer: str) -> str | None:
    """A JSON pointer as the name of a parameter, "input[0].role"; None where it is to the whole body."""
    steps = (f"[{step}]" if step.isdigit() else f".{step}" for step in pointer.split("/")[1:])
    return "".join(steps).removeprefix(".") or None
