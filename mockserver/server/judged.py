"""What the operations beside the hot one share: a body that is read and judged, and ids."""

from __future__ import annotations

from typing import Any

from mockserver.contract.check import check_body
from mockserver.contract.findings import Severity
from mockserver.errors import InvalidJSON
from mockserver.ids import request_digest
from mockserver.server.bodies import read_body
from mockserver.server.endpoint import HttpRequest, require_json_content_type
from mockserver.server.envelopes import ApiError, error_from_finding
from mockserver.wire import json

__all__ = ["drawn_digits", "judged_body"]


async def judged_body(request: HttpRequest, kind: str) -> dict[str, Any]:
    """The body, judged by its schema; ApiError 400 where the contract refuses it. None at all is `{}`."""
    require_json_content_type(request.headers.get(b"content-type"))
    request.body = await read_body(request.receive, request.headers.get(b"content-length"))
    try:
        body = json.loads(request.body or b"{}")
    except InvalidJSON as error:
        message = (
            f"Required body invalid, please check the request body format. The body is not JSON: {error}."
        )
        raise ApiError(400, "InvalidParameter", message) from None
    findings = tuple(check_body(body, kind, request.session.profile))
    for finding in findings:
        if finding.severity is Severity.ERROR:
            raise error_from_finding(finding, findings)
    known: dict[str, Any] = body
    return known


def drawn_digits(request: HttpRequest, count: int) -> list[str]:
    """32 hex digits for each of so many ids, from what is asked."""
    asked = f"{request.scope['method']} {request.scope['path']}\n".encode(errors="replace")
    digest = request_digest(asked + request.body)
    return request.session.ids.draw(digest, request.session.occurrence(digest), count)
