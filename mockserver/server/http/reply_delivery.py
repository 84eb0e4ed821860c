"""Sending a rendered reply: its headers and its journal entry. `reply_steps` sends what has a fault or takes time."""

from __future__ import annotations

from mockserver.server.delivery.options import DEFAULT_DELIVERY
from mockserver.server.engine.rendered_replies import RenderedReply
from mockserver.server.http.requests import HttpRequest, derive_request_id
from mockserver.server.http.transmission import REPLY_MESSAGE, Headers, send_body
from mockserver.server.large_bodies import load_module
from mockserver.server.mock_headers import DELAY_HEADER, FAULT_HEADER
from mockserver.wire import json

__all__ = [
    "EVENT_STREAM_CONTENT_TYPE",
    "JSON_CONTENT_TYPE",
    "json_headers",
    "load_reply_steps",
    "send_json",
    "send_reply",
]

JSON_CONTENT_TYPE = (b"content-type", b"application/json")
#: As recorded on the service's hosts (2026).
EVENT_STREAM_CONTENT_TYPE = (b"content-type", b"text/event-stream;charset=UTF-8")


def json_headers(request: HttpRequest, request_id: str) -> Headers:
    """The headers of a JSON body."""
    return [
        JSON_CONTENT_TYPE,
        (b"x-request-id", request_id.encode()),
        (b"date", request.services.date_header(request.session)),
    ]


async def load_reply_steps() -> None:
    """Import `reply_steps`, which most servers never need, beside the event loop."""
    await load_module("mockserver.server.http.reply_steps")


async def send_json(request: HttpRequest, value: object) -> None:
    """Send a JSON value with status 200, without a journal entry."""
    head = json_headers(request, await derive_request_id(request, "200"))
    await send_body(request.send, 200, head, json.dumps(value))


async def send_reply(request: HttpRequest, reply: RenderedReply) -> None:
    """Send a reply as its stub, or else the session, delivers it."""
    services, session = request.services, request.session
    if services.mock_headers and DELAY_HEADER in request.headers:
        await load_reply_steps()
        from mockserver.server.http.reply_steps import delay_as_requested

        await delay_as_requested(request)
    head = [
        EVENT_STREAM_CONTENT_TYPE if reply.stream else JSON_CONTENT_TYPE,
        (b"x-request-id", reply.request_id.encode()),
        (b"date", services.date_header(session)),
    ]
    if reply.fault_name:
        head.append((FAULT_HEADER, reply.fault_name.encode()))
    delivery = (
        session.delivery
        if reply.delivery is DEFAULT_DELIVERY
        else reply.delivery.with_defaults(session.delivery)
    )
    if delivery is not DEFAULT_DELIVERY and (
        not delivery.is_immediate or (reply.steps and delivery.chunking == "coalesced")
    ):
        await load_reply_steps()
        from mockserver.server.http.reply_steps import send_delivered

        await send_delivered(request, reply, head, delivery)
        return
    if reply.steps:
        await load_reply_steps()
        from mockserver.server.http.reply_steps import send_with_entry

        own = [*reply.headers, *head[1:]] if reply.headers else head
        await send_with_entry(request, reply._replace(headers=tuple(own)), reply.steps)
        return
    request.record(reply.status, reply.pieces, reply.stream, reply.request_id, reply.details)
    request.response_started = True
    pieces = reply.pieces
    if not reply.stream:
        head.append((b"content-length", b"%d" % len(pieces[0])))
    elif delivery.chunking == "coalesced":
        pieces = (b"".join(pieces),)
    await request.send({"type": REPLY_MESSAGE, "status": reply.status, "headers": head, "pieces": pieces})
