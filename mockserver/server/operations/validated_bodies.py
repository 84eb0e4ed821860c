"""Read and validate the body of an operation, and derive ids from its request."""

from __future__ import annotations

from typing import Any

from mockserver.contract.check import check_body
from mockserver.contract.findings import Finding, Severity
from mockserver.errors import InvalidJSON
from mockserver.ids import request_digest
from mockserver.profiles import Profile
from mockserver.server.errors import ApiError, error_from_finding
from mockserver.server.http.request_body import read_body
from mockserver.server.http.requests import HttpRequest, require_json_content_type
from mockserver.server.large_bodies import is_large, run_beside_loop
from mockserver.wire import json

__all__ = ["derive_id_digits", "read_validated_body"]


async def read_validated_body(request: HttpRequest, schema_name: str) -> dict[str, Any]:
    """Read the body and check it against its schema; no body means `{}`. Raises ApiError 400."""
    require_json_content_type(request.headers.get(b"content-type"))
    request.body = await read_body(request.scope, request.receive, request.headers, request.services.max_body)
    if is_large(request.body):
        await request.examine_large_body()
    request.findings = ()
    body, findings = await run_beside_loop(_check, request.body, schema_name, request.session.profile)
    request.findings = findings
    for finding in findings:
        if finding.severity is Severity.ERROR:
            raise error_from_finding(finding, findings)
    valid: dict[str, Any] = body
    return valid


def _check(raw_body: bytes, schema_name: str, profile: Profile) -> tuple[Any, tuple[Finding, ...]]:
    try:
        body = json.loads(raw_body or b"{}")
    except InvalidJSON as error:
        message = (
            f"Required body invalid, please check the request body format. The body is not JSON: {error}."
        )
        raise ApiError(400, "InvalidParameter", message) from None
    return body, tuple(check_body(body, schema_name, profile))


async def derive_id_digits(request: HttpRequest, count: int) -> list[str]:
    """Draw the digits of `count` ids, 32 hex digits each, from method, path and body of a request."""
    request_line = f"{request.scope['method']} {request.scope['path']}\n".encode(errors="replace")
    digest = request_digest(request_line + request.body_or_digest)
    return request.session.ids.draw(digest, await request.session.next_shared_occurrence(digest), count)
