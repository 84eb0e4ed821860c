"""The handlers of the admin API: each requires the token, and acts on the session that the request selects."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from mockserver.contract.operations import Operation
from mockserver.errors import MockServerError
from mockserver.server.admin.journal_handlers import JOURNAL_OPERATIONS
from mockserver.server.admin.operations import (
    EXCHANGE_SCHEMA,
    OPERATIONS,
    OPTIONAL_BODIES,
    STUBS_SCHEMA,
    OperationFunction,
    parse_value,
)
from mockserver.server.admin.session_handlers import SESSION_OPERATIONS
from mockserver.server.admin.stub_handlers import STUB_OPERATIONS
from mockserver.server.errors import ApiError, NotAnApiRequest
from mockserver.server.http.reply_delivery import send_json
from mockserver.server.http.request_body import read_body
from mockserver.server.http.requests import Handler, HttpRequest
from mockserver.server.large_bodies import is_large, run_beside_loop

__all__ = ["ADMIN_HANDLERS"]


def _require_token(operation: Operation, function: OperationFunction) -> Handler:
    """Return a handler that requires the token and reports errors in the API's envelope."""

    async def handle(request: HttpRequest) -> None:
        if not request.services.is_admin(request.headers):
            raise NotAnApiRequest(
                401, "InvalidApiKey", "The admin API requires its token in x-mock-admin-token."
            )
        try:
            value = await function(request, await _read_value(request, operation))
        except MockServerError as error:
            request.body = b""  # it may contain a key, which the journal must not keep
            raise ApiError(400, "InvalidParameter", str(error)) from None
        await send_json(request, value)

    return handle


async def _read_value(request: HttpRequest, operation: Operation) -> Any:
    """Read the request's body as its schema requires."""
    if operation.request_schema is None:
        return None
    # Any content type: `curl -d` sends that of a form. Other sites cannot send the headers of `is_admin`.
    request.body = await read_body(request.scope, request.receive, request.headers, request.services.max_body)
    if is_large(request.body):
        await request.examine_large_body()
    if operation.request_schema in OPTIONAL_BODIES and not request.body:
        return {}
    if operation.request_schema in (EXCHANGE_SCHEMA, STUBS_SCHEMA):
        return None  # `stub_documents` reads it
    return await run_beside_loop(parse_value, request.body, operation.request_schema)


_OPERATION_FUNCTIONS: Mapping[str, OperationFunction] = {
    **STUB_OPERATIONS,
    **JOURNAL_OPERATIONS,
    **SESSION_OPERATIONS,
}


def _handlers_by_path() -> Mapping[str, Mapping[str, Handler]]:
    handlers: dict[str, dict[str, Handler]] = {}
    for each in OPERATIONS:
        handlers.setdefault(each.path, {})[each.method] = _require_token(
            each, _OPERATION_FUNCTIONS[each.name]
        )
    return handlers


ADMIN_HANDLERS: Mapping[str, Mapping[str, Handler]] = MappingProxyType(dict(_handlers_by_path()))
"""Handlers by path and method."""
