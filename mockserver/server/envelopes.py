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

__all__ = ["BARE", "FLAT", "ApiError", "Envelope", "Misdirected", "Unplanned", "envelope", "from_finding"]


class Envelope(NamedTuple):
    """The form of an error's body."""

    form: str
    """"flat", "wrapped" (the gateway's, as Chat has it), or "bare" (that of retrieve and delete)."""
    type: str = "InvalidParameter"
    """`type` in the latter two."""
    hex_id: bool = False
    """Whether the request id is written without dashes, as the page of input_items shows it."""


#: What the service puts before some of its texts: "[400] missing_required_parameter: …".
_PREFIX = re.compile(r"(?:\[\d+\]|<\d+>) (?P<code>[\w.]+): ")
_WORD_BEGINS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

FLAT = Envelope("flat")
BARE = Envelope("bare")


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
        envelope: Envelope = FLAT,
        streamed: bool = False,
        findings: tuple[Finding, ...] = (),
    ) -> None:
        super().__init__(f"{status} {code}")
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers
        self.detail = detail
        self.envelope = envelope
        self.streamed = streamed
        """Whether a stream was asked for."""
        self.findings = findings
        self.param: str | None = None
        """The parameter at fault, where that is told."""
        self.common_code: str | None = None
        """The code in the form that is common to all errors, where it is not the same word."""
        self.exchange: str | None = None
        """Name of what planned it."""
        self.delivery: Any = None
        """How it was planned to go out, a `delivery.Delivery`; None: as all errors do."""

    def about(self, param: str | None, code: str | None = None) -> ApiError:
        """This error, with what the common form alone tells: the parameter at fault, and its own code."""
        self.param, self.common_code = param, code
        return self

    def __repr__(self) -> str:
        return f"ApiError({self.status}, {self.code!r})"


class Misdirected(ApiError):
    """A request that is no call of the API: another path or method, no good key, a body that is none."""


class Unplanned(ApiError):
    """A request that came when only planned ones were to come."""


def envelope(error: ApiError, request_id: str, profile: Profile | None = None) -> bytes:
    """The body of an error reply, in the profile's one form or in the service's."""
    if profile is not None and profile.error_types:
        return json.dumps({"error": _common(error, profile)})
    form, kind, _ = error.envelope
    if form == "bare":
        return json.dumps({"error": {"message": error.message, "type": kind}})
    if form == "wrapped":
        inner = {"message": error.message, "type": kind, "param": None, "code": error.code}
        return json.dumps({"error": inner, "request_id": request_id})
    return json.dumps({"code": error.code, "message": error.message, "request_id": request_id})


def _common(error: ApiError, profile: Profile) -> dict[str, str | None]:
    """An error in the form that all have in common."""
    otherwise = "server_error" if error.status >= 500 else "invalid_request"
    prefix = _PREFIX.match(error.message)
    code = prefix["code"].rpartition(".")[2] if prefix else error.code
    return {
        "code": error.common_code or _WORD_BEGINS.sub("_", code).replace(".", "_").replace(" ", "_").lower(),
        "message": error.message[prefix.end() :] if prefix else error.message,
        "param": error.param,
        "type": profile.error_types.get(str(error.status), otherwise),
    }


def from_finding(finding: Finding, findings: tuple[Finding, ...], *, streamed: bool = False) -> ApiError:
    """The service's answer to a request the contract refuses: its first error decides."""
    message = finding.message
    if message.startswith("Missing required parameter"):
        # The one shape error whose whole text is documented (OpenAPI document, August 2026).
        message = f"[400] missing_required_parameter: {message}"
    error = ApiError(400, "InvalidParameter", message, findings=findings, streamed=streamed)
    return error.about(_named(finding.pointer))


def _named(pointer: str) -> str | None:
    """A JSON pointer as the name of a parameter, "input[0].role"; None where it is to the whole body."""
    steps = (f"[{step}]" if step.isdigit() else f".{step}" for step in pointer.split("/")[1:])
    return "".join(steps).removeprefix(".") or None
