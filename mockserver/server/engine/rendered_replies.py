"""Replies as bytes: what the engine hands to the HTTP layer, and replies that are not made from a script."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mockserver.exchanges import recorded_chunks
from mockserver.ids import request_digest
from mockserver.named_tuples import NamedTuple
from mockserver.replies.framing import encode_error_payload
from mockserver.replies.templates import render_failed_reply, render_failed_stream
from mockserver.server.delivery.faults import RequestedFault, ServiceFault
from mockserver.server.delivery.options import DEFAULT_DELIVERY, INVALID_CONTENT, Delivery
from mockserver.server.engine.template_values import ReplySeed
from mockserver.server.errors import ApiError
from mockserver.server.large_bodies import digest_request, run_beside_loop
from mockserver.server.state.journal import EntryDetails
from mockserver.server.state.sessions import Session
from mockserver.wire import json

if TYPE_CHECKING:
    from mockserver.server.delivery.steps import Step

__all__ = [
    "RenderedReply",
    "mark_invalid",
    "mark_stub_error",
    "render_exchange_reply",
    "render_fault",
    "render_in_band_error",
    "respond_with_fault",
]

#: Headers of a recording that belong to its connection, or that the server writes itself.
_CONNECTION_HEADERS = (
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "date",
    "x-request-id",
)


class RenderedReply(NamedTuple):
    """A reply, ready to be sent."""

    request_id: str
    details: EntryDetails
    pieces: Sequence[bytes]
    """The body; for a stream one frame per event."""
    stream: bool
    status: int = 200
    headers: tuple[tuple[bytes, bytes], ...] = ()
    """Headers of a recording; empty: the usual ones."""
    steps: tuple[Step, ...] = ()
    """How to send a recording; empty: piece by piece."""
    fault_name: str = ""
    """Name of the fault in `x-mock-fault`, if it is in the bytes already."""
    delivery: Delivery = DEFAULT_DELIVERY
    """The stub's delivery."""


def mark_invalid(details: EntryDetails) -> EntryDetails:
    """The details of a reply whose content is invalid on purpose."""
    return details._replace(error_detail=f"fault {INVALID_CONTENT}")


def mark_stub_error(error: ApiError, stub_name: str | None, delivery: Delivery) -> ApiError:
    """An error that a stub replies with, with the stub's name and delivery."""
    error.stub_name, error.delivery = stub_name, None if delivery.is_immediate else delivery
    return error


async def respond_with_fault(
    session: Session, path: str, raw_body: bytes, fault: RequestedFault
) -> RenderedReply:
    """The reply to a create request that asks for a service fault; only `stream` of its body matters."""
    stream, digest = await run_beside_loop(_stream_and_digest, raw_body, path)
    reply_seed = ReplySeed(session.ids, digest, await session.next_shared_occurrence(digest))
    return render_fault(session, fault, reply_seed, EntryDetails(), stream=stream)


def _stream_and_digest(raw_body: bytes, path: str) -> tuple[bool, bytes]:
    """(whether a request asks for a stream, its digest)."""
    body = json.loads_or_none(raw_body)
    if body is None:
        return False, request_digest(b"%b %b" % (path.encode(), raw_body))
    stream = isinstance(body, dict) and body.get("stream") is True
    return stream, digest_request(path, body, len(raw_body))


def render_fault(
    session: Session,
    requested_fault: RequestedFault,
    reply_seed: ReplySeed,
    details: EntryDetails,
    *,
    stream: bool,
    delivery: Delivery = DEFAULT_DELIVERY,
) -> RenderedReply:
    """A service fault that is reported with HTTP 200; ApiError if it has an error status."""
    fault = requested_fault.definition
    if not isinstance(fault, ServiceFault):
        raise TypeError(f"not a service fault: {requested_fault.name}")
    form = fault.in_band_form(stream=stream)
    if form is None:
        raise mark_stub_error(
            fault.to_api_error(headers=requested_fault.headers), details.stub_name, delivery
        )
    code = (fault.stream_code if stream else None) or fault.code
    pieces = _in_band_pieces(session, reply_seed, form, code, fault.message, stream=stream)
    details = details._replace(error_detail=f"fault {fault.name}")
    request_id = reply_seed.request_id
    return RenderedReply(request_id, details, pieces, stream, fault_name=fault.name, delivery=delivery)


async def render_in_band_error(
    session: Session, path: str, raw_body: bytes, error: ApiError
) -> RenderedReply:
    """The rejection of a streamed request as a stream with HTTP 200 (live recordings, 2026).

    It is a lone `response.failed`, except that an unsupported model was reported by a payload without a type
    before the live probe of 27 September 2026.
    """
    digest = request_digest(b"%b %b" % (path.encode(), raw_body))
    reply_seed = ReplySeed(session.ids, digest, await session.next_shared_occurrence(digest))
    rule = error.findings[0].rule if error.findings else ""
    form = "payload" if rule == "REQ-005" and rule not in session.profile.in_band_rules else "failed"
    pieces = _in_band_pieces(session, reply_seed, form, error.code, error.message, stream=True)
    details = EntryDetails(
        request_findings=error.findings,
        ignored=error.ignored,
        error_detail=error.detail or error.message,
    )
    return RenderedReply(reply_seed.request_id, details, pieces, True)


def _in_band_pieces(
    session: Session, reply_seed: ReplySeed, form: str, code: str, message: str, *, stream: bool
) -> tuple[bytes, ...]:
    profile = session.profile
    if form == "payload" and not profile.error_types:
        return (encode_error_payload(code, message, reply_seed.request_id, profile),)
    created = session.clock.reply_timestamp(session.clock.now(), reply_seed.occurrence)
    error = {"code": code, "message": message}
    response = (reply_seed.response_id(profile), created, error, profile.name, session.rendering)
    return render_failed_stream(*response) if stream else (json.dumps(render_failed_reply(*response)),)


def render_exchange_reply(
    reply: Mapping[str, Any], request_id: str, details: EntryDetails, delivery: Delivery
) -> RenderedReply:
    """The reply of an exchange that has no script but an error, a body or a recording."""
    if "error" in reply:
        definition = reply["error"]
        error = ApiError(definition["status"], definition["code"], definition["message"])
        raise mark_stub_error(error, details.stub_name, delivery)
    fault_name = INVALID_CONTENT if delivery.invalid else ""
    if "body" in reply:
        body = json.dumps(reply["body"])
        return RenderedReply(request_id, details, (body,), False, fault_name=fault_name, delivery=delivery)
    from mockserver.server.delivery.pacing import recorded_steps
    from mockserver.server.delivery.steps import Send

    http = reply["http"]
    chunks = tuple(recorded_chunks(http))
    return RenderedReply(
        request_id,
        details,
        tuple(data for _, data in chunks),
        False,
        status=http["status"],
        headers=_without_connection_headers(http.get("headers", {}).items()),
        steps=tuple(recorded_steps(chunks)) or (Send(b""),),
        fault_name=fault_name,
        delivery=delivery,
    )


def _without_connection_headers(headers: Iterable[tuple[str, str]]) -> tuple[tuple[bytes, bytes], ...]:
    return tuple(
        (name.lower().encode(), value.encode())
        for name, value in headers
        if name.lower() not in _CONNECTION_HEADERS
    )
