"""Error replies: status, code and message, in one of the API's envelopes.

Most errors are flat, `{request_id, code, message}` (API reference and OpenAPI document, 2026). The gateway
wraps its own as Chat does, `{error: {message, type, param, code}, request_id}` (live probes, 2026). Retrieve
and delete report a missing response bare, `{error: {message, type}}` (their pages, May 2026). Codes and texts
follow the vendor's error-code page where it covers the case; the others are ours and name the field.

A profile with `error_types` has a single form, `{error: {message, type, param, code}}` (Open Responses
specification, April 2026): the status decides the type, and the code is in snake case.
"""

from __future__ import annotations

import re
from typing import Any, Self

from mockserver.contract.findings import Finding
from mockserver.errors import InvalidJSON
from mockserver.named_tuples import NamedTuple
from mockserver.profiles import Profile
from mockserver.slow_imports import require_import
from mockserver.wire import json

__all__ = [
    "BARE_ENVELOPE",
    "FLAT_ENVELOPE",
    "ApiError",
    "ErrorEnvelope",
    "NotAnApiRequest",
    "UnmatchedRequest",
    "error_from_finding",
    "error_from_invalid_json",
    "render_error",
]


class ErrorEnvelope(NamedTuple):
    """The form of an error's body."""

    form: str
    """"flat", "wrapped" (the gateway's and Chat's) or "bare" (of retrieve and delete)."""
    type: str = "InvalidParameter"
    """`type` in the wrapped and the bare form."""
    undashed_request_id: bool = False
    """Whether the request id has no dashes, as the page of input_items shows it."""


#: The service's prefix of some messages: "[400] missing_required_parameter: …".
_CODE_PREFIX = r"(?:\[\d+\]|<\d+>) (?P<code>[\w.]+): "
_WORD_START = r"(?<=[a-z0-9])(?=[A-Z])"

FLAT_ENVELOPE = ErrorEnvelope("flat")
BARE_ENVELOPE = ErrorEnvelope("bare")


class ApiError(Exception):
    """A request that is answered with an error; `detail` goes to the log, never to the client."""

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
        """Whether the request asked for a stream."""
        self.findings = findings
        self.ignored: tuple[str, ...] = ()
        """Parameters of the request that the profile ignores."""
        self.param: str | None = None
        """The invalid parameter, for profiles that report it."""
        self.unified_code: str | None = None
        """The code in the single form of a profile with `error_types`, if it is not `code` in snake case."""
        self.stub_name: str | None = None
        """Name of the stub that replies with this error."""
        self.delivery: Any = None
        """The delivery options of the stub; None: sent at once."""
        self.may_pass_on = False
        """Whether the fallback answers the request instead, if the server has one."""

    def passed_on(self) -> Self:
        """This error, of a request that the fallback answers if the server has one."""
        self.may_pass_on = True
        return self

    def with_parameter(self, param: str | None, code: str | None = None) -> ApiError:
        """This error, with the parameter and the code that only a profile with `error_types` reports."""
        self.param, self.unified_code = param, code
        return self

    def __repr__(self) -> str:
        return f"ApiError({self.status}, {self.code!r})"


class NotAnApiRequest(ApiError):
    """Not an API request: unknown path or method, no valid key, or a body that cannot be read."""


class UnmatchedRequest(ApiError):
    """A request that no stub matches while the server is strict."""


def render_error(error: ApiError, request_id: str, profile: Profile | None = None) -> bytes:
    """The body of an error reply, in the profile's single form if it has one."""
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
    default_type = "server_error" if error.status >= 500 else "invalid_request"
    prefix = re.match(_CODE_PREFIX, error.message)
    code = prefix["code"].rpartition(".")[2] if prefix else error.code
    return {
        "code": error.unified_code
        or re.sub(_WORD_START, "_", code).replace(".", "_").replace(" ", "_").lower(),
        "message": error.message[prefix.end() :] if prefix else error.message,
        "param": error.param,
        "type": profile.error_types.get(str(error.status), default_type),
    }


def error_from_invalid_json(error: InvalidJSON, body: bytes) -> ApiError:
    """The service's reply to a body that is not JSON.

    The text is from the vendor's error-code page (2026); the reason is ours. An empty body has its finding here,
    because the journal cannot tell it from a body that was not read.
    """
    # The whole checker: only for a body that is not JSON.
    require_import("mockserver.contract.check")
    from mockserver.contract.check import check_json_text

    message = f"Required body invalid, please check the request body format. The body is not JSON: {error}."
    findings = () if body else tuple(check_json_text(body))
    return ApiError(400, "InvalidParameter", message, findings=findings).passed_on()


def error_from_finding(
    finding: Finding, findings: tuple[Finding, ...], *, stream_requested: bool = False
) -> ApiError:
    """The service's reply to a request that breaks the contract, by its first error."""
    message = finding.service_message or finding.message
    if message.startswith("Missing required parameter"):
        # The only schema error whose whole text is documented (OpenAPI document, August 2026).
        message = f"[400] missing_required_parameter: {message}"
    detail = finding.message.removeprefix(finding.service_message).strip() if finding.service_message else ""
    error = ApiError(
        400, "InvalidParameter", message, detail=detail, findings=findings, stream_requested=stream_requested
    )
    return error.with_parameter(_parameter_name(finding.pointer)).passed_on()


def _parameter_name(pointer: str) -> str | None:
    """A JSON pointer as a parameter name, "input[0].role"; None for the whole body."""
    steps = (f"[{step}]" if step.isdigit() else f".{step}" for step in pointer.split("/")[1:])
    return "".join(steps).removeprefix(".") or None
