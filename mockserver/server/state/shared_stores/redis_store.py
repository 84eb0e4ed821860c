"""A store in Redis or Valkey, for servers on any number of machines.

Keys, with the number of times that the session was cleared as its generation:

    mockserver:schema                                   version of the documents
    mockserver:SESSION:generation
    mockserver:SESSION:GENERATION:response:ID           expires with the response
    mockserver:SESSION:GENERATION:conversation:ID       without its items
    mockserver:SESSION:GENERATION:items:ID              list of the conversation's items
    mockserver:SESSION:GENERATION:count:DIGEST          how often a request came; expires 7 days after the last one
    mockserver:SESSION:GENERATION:taken:NAME            replies of an exchange; expires 30 days after the last request
    mockserver:SESSION:GENERATION:usage:DIGEST:SECONDS  list of the requests of a key to a model, for rate limits

Requests that are handled at the same time share a round trip, in which one MGET reads for all of them, and so do those
that come while another one is under way. A server that
does not answer within the time limit fails the requests that wait for it; for a moment others fail at once, then the
next one tries again.

redis-py connects, authenticates, and reads replies. Its client and its pipelines are left out: for each command they
cost several times what our own part of it does.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache
from math import ceil
from secrets import token_hex
from typing import TYPE_CHECKING, Any, TypeAlias

from mockserver.errors import ConfigurationError, optional_packages
from mockserver.server.state.shared_stores.documents import (
    SCHEMA_VERSION,
    read_conversation,
    read_record,
    write_conversation,
    write_items,
    write_record,
)
from mockserver.server.state.store import Conversation, ResponseRecord, StoreUnavailable

with optional_packages():
    from redis.asyncio.connection import AbstractConnection, ConnectionPool
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
    from redis.exceptions import ConnectionError as ConnectionLost
    from redis.exceptions import ReadOnlyError, RedisError, ResponseError

if TYPE_CHECKING:
    from mockserver.server.state.quotas import Quota

__all__ = ["RedisStore"]

#: Seconds that a round trip may take, so that a client gets its 503 within a second.
_TIME_LIMIT = 0.8

#: Seconds after a failure in which requests fail without a new attempt.
_PAUSE_AFTER_FAILURE = 0.25

#: Seconds that requests wait for a round trip that is under way, to share the next one: under load that is cheaper for
#: each. Then they begin one beside it, so that a long document holds up no other request.
_SHARING_SECONDS = 0.01

#: Round trips at the same time.
_MAX_BATCHES = 4

_SCHEMA_KEY = b"mockserver:schema"

#: Returns up to ARGV[3] documents: that of the response ARGV[2], then that of its parent, and so on.
_FOLLOW_PARENTS = rb"""
local documents, id = {}, ARGV[2]
while id and #documents < tonumber(ARGV[3]) do
  local document = redis.call('GET', ARGV[1] .. id)
  if not document then break end
  documents[#documents + 1] = document
  id = string.match(document, '^{"bytes":%[[%d,]+%],"record":{"parent_id":"([^"]+)"')
end
return documents
"""

#: Turns of a chain that one call of the script returns, so that other servers need not wait for long.
_TURNS_AT_ONCE = b"64"

#: Returns the conversation ARGV[1], and its items ARGV[2].
_READ_CONVERSATION = rb"""
return {redis.call('GET', ARGV[1]), redis.call('LRANGE', ARGV[2], 0, -1)}
"""

#: Changes the conversation ARGV[1] from ARGV[3] (empty: from anything) to ARGV[4], unless another server has changed
#: it, and adds items to ARGV[2]. ARGV[5] says whether they replace the items there. A client that lost its connection
#: sends it again, so the change may be there already.
_CHANGE_CONVERSATION = rb"""
local current = redis.call('GET', ARGV[1])
if current == ARGV[4] then return 1 end
if ARGV[3] ~= '' and current ~= ARGV[3] then return 0 end
redis.call('SET', ARGV[1], ARGV[4])
if ARGV[5] == 'replace' then redis.call('DEL', ARGV[2]) end
for at = 6, #ARGV do redis.call('RPUSH', ARGV[2], ARGV[at]) end
return 1
"""

#: Counts a request at the time ARGV[2] with ARGV[3] tokens, unless it exceeds a quota, and returns which one: each
#: has four arguments, an empty one is no limit. For each time in seconds there is a list of the requests within it,
#: as "time tokens", and the sum of their tokens. `Quota.is_exceeded` is the same rule in Python.
_ADMIT = rb"""
local usage, now, tokens, expiry = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local function read(seconds)
  local list = usage .. seconds
  local first = redis.call('LINDEX', list, 0)
  while first do
    local time, used = string.match(first, '(%S+) (%S+)')
    if tonumber(time) > tonumber(now) - tonumber(seconds) then break end
    redis.call('LPOP', list)
    redis.call('DECRBY', list .. ':tokens', used)
    first = redis.call('LINDEX', list, 0)
  end
  return redis.call('LLEN', list), tonumber(redis.call('GET', list .. ':tokens') or 0)
end
local windows = {}
for at = 5, #ARGV, 4 do
  local seconds, max_requests, max_tokens = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local requests, used = read(seconds)
  if max_requests and requests >= max_requests then return (at - 5) / 4 end
  local is_free = ARGV[at + 3] == '1' and requests == 0
  if max_tokens and not is_free and used + tokens > max_tokens then return (at - 5) / 4 end
  windows[seconds] = true
end
for seconds in pairs(windows) do
  local list = usage .. seconds
  redis.call('RPUSH', list, now .. ' ' .. ARGV[3])
  redis.call('INCRBY', list .. ':tokens', ARGV[3])
  redis.call('EXPIRE', list, expiry)
  redis.call('EXPIRE', list .. ':tokens', expiry)
end
return -1
"""

#: Adds ARGV[2] tokens to the latest request in each list of ARGV[1], for the times in the other arguments.
_ADD_TOKENS = rb"""
for at = 3, #ARGV do
  local list = ARGV[1] .. ARGV[at]
  local last = redis.call('RPOP', list)
  if last then
    local time, used = string.match(last, '(%S+) (%S+)')
    redis.call('RPUSH', list, time .. ' ' .. string.format('%.0f', tonumber(used) + tonumber(ARGV[2])))
    redis.call('INCRBY', list .. ':tokens', ARGV[2])
  end
end
"""

#: Counts the request ARGV[1].
_COUNT = rb"""
local count = redis.call('INCR', ARGV[1])
redis.call('EXPIRE', ARGV[1], ARGV[2])
return count
"""

#: Counts the first of ARGV[3], ARGV[5], … that was counted less often than the number behind it, and returns which.
_TAKE = rb"""
for at = 3, #ARGV, 2 do
  local key = ARGV[1] .. ARGV[at]
  local is_left = tonumber(redis.call('GET', key) or 0) < tonumber(ARGV[at + 1])
  if is_left then redis.call('INCR', key) end
  redis.call('EXPIRE', key, ARGV[2])
  if is_left then return (at - 3) / 2 end
end
return -1
"""

#: Seconds for which `take` remembers a count: longer than responses, which volatile-ttl then drops before it.
_TAKEN_SECONDS = b"2592000"

#: Seconds for which a count is kept: as long as the responses with its ids.
_COUNT_SECONDS = b"604800"

#: Seconds for which the requests of a key are kept, whatever the clock says by which they are limited.
_USAGE_SECONDS = b"3600"

_Command: TypeAlias = tuple[bytes, ...]


#: Session, or None; what makes the command in a generation of the session; what gets the reply.
_Request: TypeAlias = tuple[str | None, Callable[[bytes], _Command], asyncio.Future[Any]]


class RedisStore:
    """A store in Redis."""

    is_shared = True

    _loop: asyncio.AbstractEventLoop
    """That of the commands that wait. To ask for it costs a system call in Python 3.11."""

    def __init__(self, url: str) -> None:
        """Raises ConfigurationError if the URL is invalid."""
        self._url = url
        self._idle: list[AbstractConnection] = []
        """Connections that no batch uses, open or not."""
        self._has_checked_schema = False
        self._retry_at = 0.0
        self._last_failure = ""
        self._waiting: list[_Request] = []
        self._tasks: set[asyncio.Task[None]] = set()
        """Round trips that are under way."""
        self._awaited: asyncio.Task[None] | None = None
        """The one that others wait for; None: they need not wait."""
        self._end_of_sharing: asyncio.TimerHandle | None = None
        self._generations: dict[str, bytes] = {}
        """Of the sessions that were cleared."""
        try:
            self._new_connection()
        except (ValueError, TypeError) as error:  # TypeError: an unknown parameter
            raise ConfigurationError(f"--store: {error}") from None

    async def put(self, record: ResponseRecord) -> None:
        document = write_record(record)
        seconds = b"%d" % max(1, ceil(record.expires_at - record.created_at))

        def set_record(generation: bytes) -> _Command:
            key = _key(record.session, generation, b"response", record.id)
            return b"SET", key, document, b"EX", seconds

        await self._run(record.session, set_record)

    async def get(self, session: str, response_id: str) -> ResponseRecord | None:
        def get(generation: bytes) -> _Command:
            return b"GET", _key(session, generation, b"response", response_id)

        document = await self._run(session, get)
        return None if document is None else read_record(document)

    async def get_chain(self, last: ResponseRecord) -> list[ResponseRecord]:
        chain = [last]
        prefix = _key(last.session, self._generation(last.session), b"response", "")
        while (parent_id := chain[-1].parent_id) is not None:
            command = (b"EVAL", _FOLLOW_PARENTS, b"0", prefix, parent_id.encode(), _TURNS_AT_ONCE)
            documents = await self._run_alone(command)
            if not documents:
                break
            chain += map(read_record, documents)
        return chain[::-1]

    async def was_evicted(self, session: str, object_id: str) -> bool:
        return False  # Redis does not tell

    async def delete(self, session: str, response_id: str) -> bool:
        return await self._delete(session, b"response", response_id)

    async def put_conversation(self, conversation: Conversation) -> None:
        await self._set_conversation(conversation, b"", b"replace")

    async def get_conversation(self, session: str, conversation_id: str) -> Conversation | None:
        found = await self._read_conversation(session, conversation_id, with_items=True)
        return None if found is None else found[1]

    async def get_conversation_summary(self, session: str, conversation_id: str) -> Conversation | None:
        found = await self._read_conversation(session, conversation_id, with_items=False)
        return None if found is None else found[1]

    async def update_conversation(
        self, session: str, conversation_id: str, change: Callable[[Conversation], Conversation]
    ) -> Conversation | None:
        return await self._change_conversation(session, conversation_id, change, replace_items=True)

    async def append_to_conversation(
        self, session: str, conversation_id: str, change: Callable[[Conversation], Conversation]
    ) -> Conversation | None:
        return await self._change_conversation(session, conversation_id, change, replace_items=False)

    async def _read_conversation(
        self, session: str, conversation_id: str, *, with_items: bool
    ) -> tuple[bytes, Conversation] | None:
        """A conversation's document, and the conversation."""

        def read(generation: bytes) -> _Command:
            keys = _conversation_keys(session, generation, conversation_id)
            return (b"EVAL", _READ_CONVERSATION, b"0", *keys) if with_items else (b"GET", keys[0])

        reply = await self._run(session, read)
        document, items = reply if with_items else (reply, ())
        return None if document is None else (document, read_conversation(document, items))

    async def _change_conversation(
        self,
        session: str,
        conversation_id: str,
        change: Callable[[Conversation], Conversation],
        *,
        replace_items: bool,
    ) -> Conversation | None:
        mode = b"replace" if replace_items else b"append"
        while found := await self._read_conversation(session, conversation_id, with_items=replace_items):
            document, before = found
            after = change(before)._replace(revision=token_hex(8))
            if await self._set_conversation(after, document, mode):
                return after
        return None

    async def _set_conversation(self, conversation: Conversation, before: bytes, mode: bytes) -> bool:
        """Set a conversation and its items, unless its document is no longer the one before."""
        documents = (before, write_conversation(conversation), mode, *write_items(conversation))

        def set_if_unchanged(generation: bytes) -> _Command:
            keys = _conversation_keys(conversation.session, generation, conversation.id)
            return b"EVAL", _CHANGE_CONVERSATION, b"0", *keys, *documents

        return bool(await self._run(conversation.session, set_if_unchanged))

    async def delete_conversation(self, session: str, conversation_id: str) -> bool:
        def delete(generation: bytes) -> _Command:
            return b"DEL", *_conversation_keys(session, generation, conversation_id)

        return bool(await self._run(session, delete))

    async def count(self, session: str, name: bytes) -> int:
        def count(generation: bytes) -> _Command:
            return b"EVAL", _COUNT, b"0", _key(session, generation, b"count", name.hex()), _COUNT_SECONDS

        return int(await self._run(session, count)) - 1

    async def admit(
        self, session: str, name: bytes, quotas: Sequence[Quota], tokens: int, now: float
    ) -> int | None:
        limits = [
            argument
            for quota in quotas
            for argument in (
                b"%d" % quota.seconds,
                _number_or_empty(quota.requests),
                _number_or_empty(quota.tokens),
                b"%d" % quota.admits_any_first,
            )
        ]

        def admit(generation: bytes) -> _Command:
            usage = _key(session, generation, b"usage", f"{name.hex()}:")
            return b"EVAL", _ADMIT, b"0", usage, repr(now).encode(), b"%d" % tokens, _USAGE_SECONDS, *limits

        index = int(await self._run(session, admit))
        return None if index < 0 else index

    async def take(self, session: str, counts: Sequence[tuple[bytes, int]]) -> int | None:
        limits = [argument for name, limit in counts for argument in (name.hex().encode(), b"%d" % limit)]

        def take(generation: bytes) -> _Command:
            prefix = _key(session, generation, b"taken", "")
            return b"EVAL", _TAKE, b"0", prefix, _TAKEN_SECONDS, *limits

        index = int(await self._run(session, take))
        return None if index < 0 else index

    async def taken(self, session: str, names: Sequence[bytes]) -> list[int]:
        if not names:
            return []

        def get(generation: bytes) -> _Command:
            return b"MGET", *(_key(session, generation, b"taken", name.hex()) for name in names)

        return [int(count or 0) for count in await self._run(session, get)]

    async def add_tokens(self, session: str, name: bytes, quotas: Sequence[Quota], tokens: int) -> None:
        times = [b"%d" % seconds for seconds in sorted({quota.seconds for quota in quotas})]

        def add(generation: bytes) -> _Command:
            usage = _key(session, generation, b"usage", f"{name.hex()}:")
            return b"EVAL", _ADD_TOKENS, b"0", usage, b"%d" % tokens, *times

        await self._run(session, add)

    async def clear(self, session: str) -> None:
        generation = await self._run_alone((b"INCR", _generation_key(session)))
        self._generations[session] = b"%d" % generation

    async def ready(self) -> None:
        await self._run_alone((b"PING",))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._disconnect_idle()
        self._idle.clear()

    async def _disconnect_idle(self) -> None:
        for connection in self._idle:
            await connection.disconnect()

    async def _delete(self, session: str, kind: bytes, object_id: str) -> bool:
        def delete(generation: bytes) -> _Command:
            return b"DEL", _key(session, generation, kind, object_id)

        return bool(await self._run(session, delete))

    def _generation(self, session: str | None) -> bytes:
        return b"0" if session is None else self._generations.get(session, b"0")

    def _run_alone(self, command: _Command) -> asyncio.Future[Any]:
        """The reply to a command that belongs to no session."""
        return self._run(None, lambda _: command)

    def _run(self, session: str | None, command: Callable[[bytes], _Command]) -> asyncio.Future[Any]:
        """The reply to a command in the session's generation, in a round trip with those that other requests run now.

        It is run again if another server has cleared the session.
        """
        if not self._waiting and self._awaited is None:
            self._loop = asyncio.get_running_loop()
            self._loop.call_soon(self._send_waiting)
        future: asyncio.Future[Any] = self._loop.create_future()
        self._waiting.append((session, command, future))
        return future

    def _send_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        if not waiting:  # the end of a round trip has sent them
            return
        task = self._awaited = self._loop.create_task(self._send(waiting))
        self._tasks.add(task)
        task.add_done_callback(self._end_batch)
        self._end_of_sharing = self._loop.call_later(_SHARING_SECONDS, self._end_sharing)

    def _end_batch(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task is self._awaited and self._end_of_sharing is not None:
            self._end_of_sharing.cancel()
            self._awaited = None
        if self._awaited is None:
            self._send_waiting()

    def _end_sharing(self) -> None:
        if len(self._tasks) < _MAX_BATCHES:
            self._awaited = None
            self._send_waiting()

    async def _send(self, waiting: list[_Request]) -> None:
        reason = "the connection is closed"
        try:
            generations = {session: self._generation(session) for session, _, _ in waiting}
            sessions = [each for each in generations if each is not None]
            commands = [command(generations[session]) for session, command, _ in waiting]
            async with self._connected() as connection:
                replies, current = await _run_batch(connection, commands, sessions)
                if any(isinstance(each, ReadOnlyError) for each in replies):
                    # It became a replica: its name may lead to another server by now.
                    await connection.disconnect()
                    await self._disconnect_idle()
            stale = {session for session, each in current.items() if each != generations[session]}
            self._generations.update((session, current[session]) for session in stale)
            for request, reply in zip(waiting, replies, strict=True):
                session, _, future = request
                if session in stale:
                    self._waiting.append(request)  # the end of this batch sends it
                else:
                    _settle(future, reply)
        except StoreUnavailable as error:
            reason = error.reason
        finally:
            for request in waiting:
                future = request[2]
                if not future.done() and request not in self._waiting:
                    future.set_exception(StoreUnavailable(reason))

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[AbstractConnection]:
        """A connection, for the time limit; whatever fails in the block is StoreUnavailable."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._retry_at:
            raise StoreUnavailable(self._last_failure)
        connection = self._idle.pop() if self._idle else self._new_connection()
        try:
            async with asyncio.timeout(_TIME_LIMIT):
                if not self._has_checked_schema:
                    await self._check_schema(connection)
                yield connection
        except ResponseError as error:  # it answers, but refuses this: it is full, or read-only
            raise StoreUnavailable(str(error)) from None
        except (RedisError, OSError) as error:  # also TimeoutError
            self._last_failure = str(error) or f"no reply within {_TIME_LIMIT} s"
            self._retry_at = loop.time() + _PAUSE_AFTER_FAILURE
            self._has_checked_schema = False
            raise StoreUnavailable(self._last_failure) from None
        finally:
            self._idle.append(connection)

    def _new_connection(self) -> AbstractConnection:
        """A connection, which is opened when it is first used."""
        pool = ConnectionPool.from_url(self._url, retry=Retry(NoBackoff(), 1))
        # Whatever the URL says. A batch has a time limit; one for each reply would cost more than the reply.
        pool.connection_kwargs.update(decode_responses=False, socket_timeout=None)
        return pool.connection_class(**pool.connection_kwargs)

    async def _check_schema(self, connection: AbstractConnection) -> None:
        """Mark the database as ours; StoreUnavailable if a server with other documents uses it."""
        own = b"%d" % SCHEMA_VERSION
        commands = [(b"SET", _SCHEMA_KEY, own, b"NX"), (b"GET", _SCHEMA_KEY)]
        for reply in await _exchange(connection, commands):
            if isinstance(reply, ResponseError):
                raise reply
            version = reply
        if version != own:
            shown = version.decode(errors="replace")[:20] if isinstance(version, bytes) else version
            raise StoreUnavailable(
                f"a mockserver of another version uses it (schema {shown}, not {SCHEMA_VERSION})"
            )
        self._has_checked_schema = True


async def _exchange(connection: AbstractConnection, commands: Sequence[_Command]) -> list[Any]:
    """The replies to commands, errors among them; RedisError if the connection fails."""
    request = b"".join(map(_encode_command, commands))
    was_open = connection.is_connected
    try:
        return await _send_and_read(connection, request, len(commands))
    except ConnectionLost:
        if not was_open:
            raise
    # The server has closed it since it was last used: try once more.
    return await _send_and_read(connection, request, len(commands))


async def _send_and_read(connection: AbstractConnection, request: bytes, count: int) -> list[Any]:
    replies: list[Any] = []
    try:
        await connection.send_packed_command(request, check_health=False)
        while len(replies) < count:
            try:
                replies.append(await connection.read_response())
            except ResponseError as error:
                replies.append(error)
    except BaseException:
        # A reply that comes too late must not be read as that to another command.
        await connection.disconnect(nowait=True)
        raise
    return replies


def _encode_command(command: _Command) -> bytes:
    return b"*%d\r\n%b" % (len(command), b"".join([b"$%d\r\n%b\r\n" % (len(each), each) for each in command]))


async def _run_batch(
    connection: AbstractConnection, commands: Sequence[_Command], sessions: Sequence[str]
) -> tuple[list[Any], dict[str, bytes]]:
    """The replies to commands, errors among them, and the generations of sessions after the commands.

    One MGET, after the others, replaces all GETs: most of what a command costs is its way through the client.
    """
    keys = dict.fromkeys(map(_generation_key, sessions))
    others = []
    for command in commands:
        if command[0] == b"GET":
            keys[command[1]] = None
        else:
            others.append(command)
    values: dict[bytes, Any] = {}
    if keys:
        *replies, found = await _exchange(connection, [*others, (b"MGET", *keys)])
        if isinstance(found, ResponseError):
            raise found
        values = dict(zip(keys, found, strict=True))
    else:
        replies = await _exchange(connection, others)
    following = iter(replies)
    return (
        [values[command[1]] if command[0] == b"GET" else next(following) for command in commands],
        {session: values[_generation_key(session)] or b"0" for session in sessions},
    )


def _settle(future: asyncio.Future[Any], reply: Any) -> None:
    """Give a request its reply, or StoreUnavailable if that is an error."""
    if future.done():  # its request has ended
        return
    if isinstance(reply, Exception):
        future.set_exception(StoreUnavailable(str(reply)))
    else:
        future.set_result(reply)


def _number_or_empty(number: int | None) -> bytes:
    return b"" if number is None else b"%d" % number


@lru_cache(maxsize=1024)
def _generation_key(session: str) -> bytes:
    return b"mockserver:%b:generation" % session.encode()


def _key(session: str, generation: bytes, kind: bytes, object_id: str) -> bytes:
    return _key_prefix(session, generation, kind) + object_id.encode()


@lru_cache(maxsize=1024)
def _key_prefix(session: str, generation: bytes, kind: bytes) -> bytes:
    return b"mockserver:%b:%b:%b:" % (session.encode(), generation, kind)


def _conversation_keys(session: str, generation: bytes, conversation_id: str) -> tuple[bytes, bytes]:
    """The keys of a conversation and of its items."""
    return (
        _key(session, generation, b"conversation", conversation_id),
        _key(session, generation, b"items", conversation_id),
    )
