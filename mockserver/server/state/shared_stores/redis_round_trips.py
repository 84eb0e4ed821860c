"""Round trips to Redis: the commands of requests that are handled at the same time share one.

In each, one MGET reads for all of them. Those that come while a round trip is under way share the next one. A server
that does not answer within the time limit fails the requests that wait for it; for a moment others fail at once, then
the next one tries again.

redis-py connects, authenticates, and reads replies. Its client and its pipelines are left out: for each command they
cost several times what our own part of it does.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any, TypeAlias

from mockserver.errors import ConfigurationError, optional_packages
from mockserver.server.state.shared_stores.documents import SCHEMA_VERSION
from mockserver.server.state.store import StoreUnavailable

with optional_packages():
    from redis.asyncio.connection import AbstractConnection, ConnectionPool
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
    from redis.exceptions import ConnectionError as ConnectionLost
    from redis.exceptions import ReadOnlyError, RedisError, ResponseError

__all__ = ["Command", "RoundTrips"]

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

Command: TypeAlias = tuple[bytes, ...]

#: Session, or None; what makes the command in a generation of the session; what gets the reply.
_Request: TypeAlias = tuple[str | None, Callable[[bytes], Command], asyncio.Future[Any]]


class RoundTrips:
    """Runs commands on a Redis server, each in the current generation of its session."""

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

    async def clear(self, session: str) -> None:
        """Begin a new generation of a session."""
        generation = await self.run_alone((b"INCR", _generation_key(session)))
        self._generations[session] = b"%d" % generation

    async def close(self) -> None:
        """Fail the commands that wait, and close all connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._disconnect_idle()
        self._idle.clear()

    async def _disconnect_idle(self) -> None:
        for connection in self._idle:
            await connection.disconnect()

    def run_alone(self, command: Command) -> asyncio.Future[Any]:
        """The reply to a command that belongs to no session."""
        return self.run(None, lambda _: command)

    def run(self, session: str | None, command: Callable[[bytes], Command]) -> asyncio.Future[Any]:
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

    def _generation(self, session: str | None) -> bytes:
        return b"0" if session is None else self._generations.get(session, b"0")

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


async def _exchange(connection: AbstractConnection, commands: Sequence[Command]) -> list[Any]:
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


def _encode_command(command: Command) -> bytes:
    return b"*%d\r\n%b" % (len(command), b"".join([b"$%d\r\n%b\r\n" % (len(each), each) for each in command]))


async def _run_batch(
    connection: AbstractConnection, commands: Sequence[Command], sessions: Sequence[str]
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


@lru_cache(maxsize=1024)
def _generation_key(session: str) -> bytes:
    return b"mockserver:%b:generation" % session.encode()
