"""Refusals in the words of Chat Completions: one envelope, and codes in small letters.

`{error: {message, type, param, code}, request_id}`, as recorded live in 2025 and 2026. The error-code page
(September to November 2026) pairs the names of both sides; a code without a pair stays as it is. That
messages about parameters begin with `<400> InternalError.Algo.InvalidParameter:` was recorded of several and
is inferred of the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from mockserver.contract.findings import Finding
from mockserver.server.envelopes import ApiError, ErrorEnvelope, NotAnApiRequest

__all__ = ["chat_error_from_finding", "to_chat_error", "method_not_allowed"]

_INVALID_REQUEST = "invalid_request_error"
_PARAMETER_ERROR_PREFIX = "<400> InternalError.Algo.InvalidParameter: "

#: (code, type) by the code of the other side.
_CHAT_CODES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "InvalidParameter": ("invalid_parameter_error", _INVALID_REQUEST),
        "InvalidApiKey": ("invalid_api_key", _INVALID_REQUEST),
        "DataInspectionFailed": ("data_inspection_failed", "data_inspection_failed"),
        "AccessDenied": ("access_denied", "access_denied"),
        "ModelNotFound": ("model_not_found", _INVALID_REQUEST),
        "NotFound": ("not_found", _INVALID_REQUEST),
        "Throttling": ("limit_requests", "limit_requests"),
        "Throttling.RateQuota": ("limit_requests", "limit_requests"),
        "LimitRequests": ("limit_requests", "limit_requests"),
        "Throttling.BurstRate": ("limit_burst_rate", "limit_burst_rate"),
        "Throttling.AllocationQuota": ("insufficient_quota", "insufficient_quota"),
        "InternalError": ("internal_error", "internal_error"),
        "UnplannedRequest": ("unplanned_request", _INVALID_REQUEST),
        "ReplyFunctionFailed": ("reply_function_failed", _INVALID_REQUEST),
    }
)
#: What the service says of a wrong key here (live probe, 2026), with the space at its end.
_WRONG_KEY_MESSAGE = "Incorrect API key provided. "


def to_chat_error(error: ApiError) -> ApiError:
    """The same refusal as Chat words it; one that is wrapped already stays as it is."""
    if error.envelope.form == "wrapped":
        return error
    code, kind = _CHAT_CODES.get(error.code, (error.code, error.code))
    message = _WRONG_KEY_MESSAGE if error.message == "Invalid API-key provided." else error.message
    message = message.replace("text.format", "response_format")
    told = type(error)(
        error.status,
        code,
        message,
        headers=error.headers,
        detail=error.detail,
        envelope=ErrorEnvelope("wrapped", kind),
        findings=error.findings,
    )
    told.exchange, told.delivery = error.exchange, error.delivery
    return told


def chat_error_from_finding(finding: Finding, findings: tuple[Finding, ...]) -> ApiError:
    """The answer to a request that the contract refuses: its first error decides."""
    if finding.rule == "REQ-005":
        # Status, code and text of the error-code page (September to November 2026).
        return ApiError(404, "ModelNotFound", finding.message, findings=findings)
    if finding.pointer == "/model":
        # Code and text of the error-code page (September to November 2026).
        return ApiError(400, _INVALID_REQUEST, finding.message, findings=findings)
    return ApiError(400, "InvalidParameter", _PARAMETER_ERROR_PREFIX + finding.message, findings=findings)


def method_not_allowed(method: str) -> ApiError:
    """The answer to any other method than POST."""
    # Text of the vendor's error-code page (2026).
    message = f"Request method '{method}' is not supported."
    return NotAnApiRequest(405, "InvalidParameter", message, headers=((b"allow", b"POST"),))
