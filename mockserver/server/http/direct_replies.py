"""Direct replies: plain requests are answered where they are read, without ASGI messages.

A request is plain if its head has the same bytes as that of an earlier one, so that it need not be parsed again, and
if neither it nor a setting asks for more than a reply. The application answers all others, by the same steps of the
engine. With the store in memory, a direct reply needs no task either; a shared store may let it wait.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from mockserver.named_tuples import NamedTuple, new_tuple
from mockserver.server.delivery.options import DEFAULT_DELIVERY
from mockserver.server.engine.pipeline import (
    can_respond_at_once,
    plan_at_once,
    respond,
    respond_at_once,
)
from mockserver.server.engine.rendered_replies import RenderedReply
from mockserver.server.errors import ApiError
from mockserver.server.http.reply_delivery import EVENT_STREAM_CONTENT_TYPE, JSON_CONTENT_TYPE
from mockserver.server.http.responses_endpoint import OUTCOME_SCOPE_KEY, SESSION_CACHE_HEADER
from mockserver.server.http.services import Services
from mockserver.server.large_bodies import is_large
from mockserver.server.state.journal import Entry, RequestHead
from mockserver.server.state.sessions import Session
from mockserver.server.state.store import MemoryStore
from mockserver.slow_imports import ImportPending

if TYPE_CHECKING:
    from starlette.types import Scope

__all__ = ["DirectReplies", "DirectReply", "KnownHead"]

#: Headers that ask for more than a reply, or say that the body is not what it seems.
_SPECIAL_HEADERS = frozenset(
    {b"content-encoding", b"expect", b"origin", b"transfer-encoding", b"upgrade", SESSION_CACHE_HEADER}
)
_SPECIAL_PREFIX = b"x-mock-"

#: Bytes of a head, and heads, that are remembered: most requests of a client begin with the same one.
_MAX_HEAD_BYTES = 4096
_MAX_HEADS = 512
#: Clients whose records of a head are remembered.
_MAX_CLIENTS = 64

#: In a head: the number by which the heads of a client differ.
_CONTENT_LENGTH = re.compile(rb"\r\n(?i:content-length): ?([0-9]{1,8})(?=\r\n|\Z)")


def _head_form(content_type: tuple[bytes, bytes], last: bytes) -> bytes:
    lines = b"HTTP/1.1 200 OK", b"%b: %b" % content_type, b"x-request-id: %b", b"date: %b", last
    return b"\r\n".join((*lines, b"", b""))


_REPLY_HEAD = _head_form(JSON_CONTENT_TYPE, b"content-length: %d")
_STREAM_HEAD = _head_form(EVENT_STREAM_CONTENT_TYPE, b"transfer-encoding: chunked")


LaterReply: TypeAlias = Coroutine[Any, Any, RenderedReply]
Responder: TypeAlias = Callable[
    [Session, str, Mapping[bytes, bytes], bytes], RenderedReply | LaterReply | None
]
"""Replies to headers and body for a path, at once or after waiting for a store.

None or ApiError, and nothing changed: the application replies.
"""


class KnownHead:
    """The head of plain requests."""

    __slots__ = ("_records", "body_size", "headers", "scope")

    def __init__(self, scope: Scope, headers: dict[bytes, bytes], body_size: int) -> None:
        self.scope = scope
        self.headers = headers
        self.body_size = body_size
        self._records: dict[tuple[Any, ...] | None, RequestHead] = {}
        """By client."""

    def with_length(self, length: bytes) -> KnownHead:
        """The head for a body of another length."""
        field = (b"content-length", length)
        header_list = [field if each[0] == field[0] else each for each in self.scope["headers"]]
        return KnownHead({**self.scope, "headers": header_list}, dict(header_list), int(length))

    def record(self, secrets: tuple[str, ...], session: str, client: tuple[Any, ...] | None) -> RequestHead:
        """The head for the journal; the requests of a connection share it."""
        record = self._records.get(client)
        if (
            record is None
            or record.client is not client
            or record.accepted_keys is not secrets
            or record.session is not session
        ):
            scope, authorization = self.scope, self.headers.get(b"authorization", b"")
            record = RequestHead(
                scope["method"], scope["path"], scope["headers"], authorization, secrets, session, client
            )
            if len(self._records) >= _MAX_CLIENTS:
                self._records.clear()
            self._records[client] = record
        return record


class DirectReply(NamedTuple):
    """A reply to be written, and its journal entry."""

    head: bytes
    pieces: Sequence[bytes]
    """The body, or the chunks of a stream."""
    is_chunked: bool
    entry: Entry


class DirectReplies:
    """The direct replies of an application."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._heads: dict[bytes, KnownHead] = {}
        self._heads_of_any_size: dict[bytes, KnownHead] = {}
        """By their bytes without the length of the body."""
        self._responders: dict[str, Responder] = {}
        self.add_responder(services.default_session.profile.create_paths, self._respond)

    def add_responder(self, paths: Iterable[str], respond: Responder) -> None:
        """Let a function reply to the POST requests for these paths."""
        self._responders.update(dict.fromkeys(paths, respond))

    def _respond(
        self, session: Session, path: str, headers: Mapping[bytes, bytes], body: bytes
    ) -> RenderedReply | LaterReply | None:
        store = self._services.store
        if type(store) is MemoryStore:
            return respond_at_once(session, store, path, headers, body)
        plan = plan_at_once(session, path, body)
        return respond(session, store, path, body, headers=headers, plan=plan)

    def find_head(self, head: bytes) -> KnownHead | None:
        """The head of these bytes; None if it was not added, not even with another length of the body."""
        known = self._heads.get(head)
        if known is None:
            key, length = _take_out_length(head)
            known = self._heads_of_any_size.get(key)
            if known is not None:
                known = known.with_length(length)
                _add_head(self._heads, head, known)
        return known

    def add_head(self, head: bytes, scope: Scope, body_size: int) -> None:
        """Remember the head of a whole request with a body of this size, if such requests may be plain."""
        headers = dict(scope["headers"])
        if (
            len(head) <= _MAX_HEAD_BYTES
            and scope["method"] == "POST"
            and scope["path"] in self._responders
            and not scope["query_string"]
            and scope["http_version"] == "1.1"
            and len(headers) == len(scope["headers"])
            and headers.get(b"content-type") == b"application/json"
            and headers.get(b"content-length") == b"%d" % body_size
            and _SPECIAL_HEADERS.isdisjoint(headers)
            and not any(name.startswith(_SPECIAL_PREFIX) for name in headers)
        ):
            own = {name: scope[name] for name in ("type", "method", "path", "headers")}
            known = KnownHead(own, headers, body_size)
            _add_head(self._heads, head, known)
            if key := _take_out_length(head)[0]:
                _add_head(self._heads_of_any_size, key, known)

    def reply_to(
        self, head: KnownHead, body: bytes, client: tuple[Any, ...] | None
    ) -> DirectReply | Coroutine[Any, Any, DirectReply | Scope] | None:
        """The reply to a request; None, and nothing has changed, if it is not plain.

        A coroutine waits for a shared store. It returns the reply, or, if that is an error or not plain, the scope with
        which the application sends it.
        """
        services, headers = self._services, head.headers
        session, path = services.default_session, head.scope["path"]
        delivery = session.delivery
        if (
            session.faults
            or services.mock_headers
            or services.sessions.names_by_key
            or not (delivery is DEFAULT_DELIVERY or delivery.is_immediate)
            or not can_respond_at_once(session)
            or is_large(body)
            or len(body) > services.max_body
        ):
            return None
        try:
            services.hosts.check(headers, head.scope)
            services.keys.check(headers.get(b"authorization"), session.profile.wrong_key)
            reply = self._responders[path](session, path, headers, body)
        except (ApiError, ImportPending):
            return None
        if reply is None:
            return None
        if not isinstance(reply, RenderedReply):
            return self._wait_for(reply, session, head, body, client)
        return self._record(reply, session, head, body, client)

    async def _wait_for(
        self,
        making: LaterReply,
        session: Session,
        head: KnownHead,
        body: bytes,
        client: tuple[Any, ...] | None,
    ) -> DirectReply | Scope:
        outcome: RenderedReply | Exception
        try:
            outcome = reply = await making
            if reply.delivery is DEFAULT_DELIVERY and not (reply.fault_name or reply.steps or reply.headers):
                return self._record(reply, session, head, body, client)
        except Exception as error:  # noqa: BLE001 (the application words it)
            outcome = error
        return {**head.scope, "query_string": b"", "client": client, OUTCOME_SCOPE_KEY: outcome}

    def _record(
        self,
        reply: RenderedReply,
        session: Session,
        head: KnownHead,
        body: bytes,
        client: tuple[Any, ...] | None,
    ) -> DirectReply:
        services, delivery, clock = self._services, session.delivery, session.clock
        request_id, details, pieces, stream, _, _, _, _, _ = reply
        recorded_head = head.record(services.secrets, session.name, client)
        entry = Entry(clock.now(), recorded_head, body, 200, pieces, stream, request_id, details)
        entry.clock = clock
        session.journal.add(entry)
        services.access_log.add(entry)
        date = services.date_header(session)
        if stream:
            if delivery.chunking == "coalesced":
                pieces = (b"".join(pieces),)
            return DirectReply(_STREAM_HEAD % (request_id.encode(), date), pieces, True, entry)
        values = request_id.encode(), date, len(pieces[0])
        return new_tuple(DirectReply, (_REPLY_HEAD % values, pieces, False, entry))


def _take_out_length(head: bytes) -> tuple[bytes, bytes]:
    """(a head without the length of the body, the length); nothing if it has none."""
    length = _CONTENT_LENGTH.search(head)
    return (b"", b"") if length is None else (head[: length.start(1)] + head[length.end(1) :], length[1])


def _add_head(heads: dict[bytes, KnownHead], key: bytes, known: KnownHead) -> None:
    if len(heads) >= _MAX_HEADS:
        heads.clear()
    heads[key] = known
