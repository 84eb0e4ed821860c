"""Errors of Chat Completions: its envelope, its codes, and the faults that it supports.

The envelope is `{error: {message, type, param, code}, request_id}`, as recorded live in 2025 and 2026. The
error-code page (September to November 2026) lists the codes of both APIs; a code that it does not list stays
as it is. Messages about parameters begin with `<400> InternalError.Algo.InvalidParameter:`: recorded for
several, inferred for the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from mockserver.contract.findings import Finding
from mockserver.server.delivery.faults import RequestedFault, ServiceFault
from mockserver.server.delivery.faults.rule_faults import RuleFault
from mockserver.server.errors import ApiError, ErrorEnvelope, NotAnApiRequest

__all__ = [
    "can_break_chat",
    "chat_error_from_fault",
    "chat_error_from_finding",
    "method_not_allowed",
    "to_chat_error",
]

_INVALID_REQUEST = "invalid_request_error"
_PARAMETER_ERROR_PREFIX = "<400> InternalError.Algo.InvalidParameter: "

#: (code, type) by the code that the Responses API uses.
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
#: The service's message for a wrong key (live probe, 2026), including the space at its end.
_WRONG_KEY_MESSAGE = "Incorrect API key provided. "


def to_chat_error(error: ApiError) -> ApiError:
    """The error as Chat words it; an error in the wrapped envelope stays as it is."""
    if error.envelope.form == "wrapped":
        return error
    code, kind = _CHAT_CODES.get(error.code, (error.code, error.code))
    message = _WRONG_KEY_MESSAGE if error.message == "Invalid API-key provided." else error.message
    message = message.replace("text.format", "response_format")
    chat_error = type(error)(
        error.status,
        code,
        message,
        headers=error.headers,
        detail=error.detail,
        envelope=ErrorEnvelope("wrapped", kind),
        findings=error.findings,
    )
    chat_error.stub_name, chat_error.delivery = error.stub_name, error.delivery
    chat_error.ignored = error.ignored
    return chat_error


def chat_error_from_finding(finding: Finding, findings: tuple[Finding, ...]) -> ApiError:
    """The reply to a request that breaks the contract, by its first error."""
    if finding.rule == "REQ-005":
        # Status, code and text of the error-code page (September to November 2026).
        return ApiError(404, "ModelNotFound", finding.service_message or finding.message, findings=findings)
    if finding.pointer == "/model":
        # Code and text of the error-code page (September to November 2026).
        return ApiError(400, _INVALID_REQUEST, finding.message, findings=findings)
    return ApiError(400, "InvalidParameter", _PARAMETER_ERROR_PREFIX + finding.message, findings=findings)


def method_not_allowed(method: str) -> ApiError:
    """The reply to a method other than POST."""
    # Text of the vendor's error-code page (2026).
    message = f"Request method '{method}' is not supported."
    return NotAnApiRequest(405, "InvalidParameter", message, headers=((b"allow", b"POST"),))


#: Faults that change events of the Responses API.
_RESPONSES_ONLY = frozenset(
    {
        "wrong-event-name",
        "huge-event",
        "error-event",
        "error-event-nested",
        "failed-event",
        "json-for-stream",
    }
)


def can_break_chat(requested_fault: RequestedFault) -> bool:
    """Whether a fault applies to replies of Chat Completions."""
    if isinstance(requested_fault.definition, RuleFault):
        return requested_fault.name.startswith("CHT-")
    return requested_fault.name not in _RESPONSES_ONLY


def chat_error_from_fault(requested_fault: RequestedFault) -> ApiError:
    """A service fault as Chat Completions reports it: always with an error status."""
    fault = requested_fault.definition
    if not isinstance(fault, ServiceFault):
        raise TypeError(f"not a service fault: {requested_fault.name}")
    error = fault.to_api_error(headers=requested_fault.headers)
    if fault.form == "failed":  # the rate limit, which Responses reports with HTTP 200
        error.status, error.code = 429, "Throttling.RateQuota"
    return error
