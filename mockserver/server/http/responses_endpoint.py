"""The hot endpoint, `POST …/responses`, and what it shares with Chat Completions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeAlias

from mockserver.contract.bodies.requests import ignored_parameters
from mockserver.contract.findings import Finding
from mockserver.profiles import Profile
from mockserver.server.delivery.faults import RequestedFault, ServiceFault
from mockserver.server.delivery.options import DEFAULT_DELIVERY, Delivery
from mockserver.server.engine.pipeline import check_in_context, respond
from mockserver.server.engine.rendered_replies import RenderedReply, render_in_band_error, respond_with_fault
from mockserver.server.errors import ApiError
from mockserver.server.http.reply_delivery import send_reply
from mockserver.server.http.request_body import read_rest, simple_body
from mockserver.server.http.requests import (
    Handler,
    HttpRequest,
    fault_for_request,
    requested_scenario,
    require_json_content_type,
)
from mockserver.server.large_bodies import LARGE_BODY_BYTES, run_beside_loop
from mockserver.wire import json

__all__ = [
    "OUTCOME_SCOPE_KEY",
    "SESSION_CACHE_HEADER",
    "create_response",
    "delivery_of_passed_on",
    "reply_handler",
]

SESSION_CACHE_HEADER = b"x-dashscope-session-cache"

#: Key in the scope for what `respond` has returned or raised already.
OUTCOME_SCOPE_KEY = "mockserver.outcome"

ReplyMaker: TypeAlias = Callable[[HttpRequest], Awaitable[RenderedReply]]


#: The findings in a request's body, and the parameters that the profile ignores.
RequestProblems: TypeAlias = tuple[tuple[Finding, ...], tuple[str, ...]]
RequestCheck: TypeAlias = Callable[[HttpRequest, Any], Awaitable[RequestProblems]]


async def check_create_request(request: HttpRequest, body: Any) -> RequestProblems:
    """Check the body of a create request for the journal."""
    session = request.session
    findings = await check_in_context(session, request.services.store, request.body, body)
    ignored = ignored_parameters(body, session.profile) if isinstance(body, dict) and findings else ()
    return tuple(findings), tuple(ignored)


def reply_handler(make_reply: ReplyMaker, check_request: RequestCheck) -> Handler:
    """The handler of an endpoint that replies to a JSON body: checks key and type, reads, limits, sends.

    An error, whatever its reason, does not excuse the request: the journal has the findings in its body.
    """

    async def create(request: HttpRequest) -> None:
        headers, services = request.headers, request.services
        services.keys.check(headers.get(b"authorization"), request.session.profile.wrong_key)
        require_json_content_type(headers.get(b"content-type"))
        message = await request.receive()
        body = simple_body(message, headers, services.max_body)
        if body is None:
            body = await read_rest(request.scope, request.receive, headers, services.max_body, message)
        request.body = body
        if len(request.body) > LARGE_BODY_BYTES:
            await request.examine_large_body()
        limiter = request.session.limiter
        try:
            if limiter is None:
                await send_reply(request, await make_reply(request))
                return
            key = headers.get(b"authorization", b"")
            limiter.begin_request(key)
            try:
                await send_reply(request, await make_reply(request))
            finally:
                limiter.end_request(key)
        except ApiError as error:
            if not request.services.passes_on(error):
                await _add_request_findings(error, request, check_request)
            raise

    return create


async def _add_request_findings(error: ApiError, request: HttpRequest, check_request: RequestCheck) -> None:
    request.findings = ()
    if not error.findings:  # else the check has been the reason
        error.findings, error.ignored = await _check_body(request, check_request)


async def _check_body(request: HttpRequest, check_request: RequestCheck) -> RequestProblems:
    body = await run_beside_loop(json.loads_or_none, request.body)
    return ((), ()) if body is None else await check_request(request, body)


async def _make_reply(request: HttpRequest) -> RenderedReply:
    services, session, path = request.services, request.session, request.scope["path"]
    fault = await fault_for_request(request) if services.mock_headers or session.faults else None
    if fault is not None and isinstance(fault.definition, ServiceFault):
        reply = await respond_with_fault(session, path, request.body, fault)
        findings, ignored = await _check_body(request, check_create_request)
        details = reply.details._replace(request_findings=findings, ignored=ignored)
        return reply._replace(details=details)
    try:
        reply = await _respond(request)
    except ApiError as error:
        if services.passes_on(error):
            error.delivery = await delivery_of_passed_on(request, error.delivery, fault)
            raise
        if error.stream_requested and _is_in_band(error, services.stream_errors, session.profile):
            await _add_request_findings(error, request, check_create_request)
            return await render_in_band_error(session, path, request.body, error)
        raise
    stub_fault = reply.delivery.fault
    if fault is None and (stub_fault is None or await session.fault_if_due(stub_fault, path, request.body)):
        return reply
    return reply._replace(delivery=replace(reply.delivery, fault=fault))


async def _respond(request: HttpRequest) -> RenderedReply:
    outcome: RenderedReply | Exception | None = request.scope.get(OUTCOME_SCOPE_KEY)
    if isinstance(outcome, Exception):
        raise outcome
    return outcome or await respond(
        request.session,
        request.services.store,
        request.scope["path"],
        request.body,
        session_cache=request.headers.get(SESSION_CACHE_HEADER) == b"enable",
        headers=request.headers,
        scenario=requested_scenario(request),
    )


async def delivery_of_passed_on(
    request: HttpRequest, stub_delivery: Delivery | None, fault: RequestedFault | None
) -> Delivery:
    """How the fallback's reply is delivered: with the fault of the request or session, else as a stub says."""
    delivery = stub_delivery or DEFAULT_DELIVERY
    if fault is None and delivery.fault is not None:
        fault = await request.session.fault_if_due(delivery.fault, request.scope["path"], request.body)
    return replace(delivery, fault=fault)


def _is_in_band(error: ApiError, stream_errors: str, profile: Profile) -> bool:
    """Whether a stream reports this error with HTTP 200."""
    if stream_errors:
        return stream_errors == "inband"
    return bool(error.findings) and error.findings[0].rule in profile.in_band_rules


create_response: Handler = reply_handler(_make_reply, check_create_request)
"""`POST …/responses`."""
