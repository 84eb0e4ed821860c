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
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from math import ceil
from secrets import token_hex
from typing import TYPE_CHECKING

from mockserver.server.state.shared_stores.documents import (
    read_conversation,
    read_record,
    write_conversation,
    write_items,
    write_record,
)
from mockserver.server.state.shared_stores.redis_round_trips import Command, RoundTrips
from mockserver.server.state.store import Conversation, ResponseRecord

if TYPE_CHECKING:
    from mockserver.server.state.quotas import Quota

__all__ = ["RedisStore"]

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


class RedisStore:
    """A store in Redis."""

    is_shared = True

    def __init__(self, url: str) -> None:
        """Raises ConfigurationError if the URL is invalid."""
        self._redis = RoundTrips(url)

    async def put(self, record: ResponseRecord) -> None:
        document = write_record(record)
        seconds = b"%d" % max(1, ceil(record.expires_at - record.created_at))

        def set_record(generation: bytes) -> Command:
            key = _key(record.session, generation, b"response", record.id)
            return b"SET", key, document, b"EX", seconds

        await self._redis.run(record.session, set_record)

    async def get(self, session: str, response_id: str) -> ResponseRecord | None:
        def get(generation: bytes) -> Command:
            return b"GET", _key(session, generation, b"response", response_id)

        document = await self._redis.run(session, get)
        return None if document is None else read_record(document)

    async def get_chain(self, last: ResponseRecord) -> list[ResponseRecord]:
        chain = [last]

        def follow_parents(generation: bytes) -> Command:
            prefix = _key_prefix(last.session, generation, b"response")
            parent_id = (chain[-1].parent_id or "").encode()
            return b"EVAL", _FOLLOW_PARENTS, b"0", prefix, parent_id, _TURNS_AT_ONCE

        while chain[-1].parent_id is not None:
            documents = await self._redis.run(last.session, follow_parents)
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

        def read(generation: bytes) -> Command:
            keys = _conversation_keys(session, generation, conversation_id)
            return (b"EVAL", _READ_CONVERSATION, b"0", *keys) if with_items else (b"GET", keys[0])

        reply = await self._redis.run(session, read)
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

        def set_if_unchanged(generation: bytes) -> Command:
            keys = _conversation_keys(conversation.session, generation, conversation.id)
            return b"EVAL", _CHANGE_CONVERSATION, b"0", *keys, *documents

        return bool(await self._redis.run(conversation.session, set_if_unchanged))

    async def delete_conversation(self, session: str, conversation_id: str) -> bool:
        def delete(generation: bytes) -> Command:
            return b"DEL", *_conversation_keys(session, generation, conversation_id)

        return bool(await self._redis.run(session, delete))

    async def count(self, session: str, name: bytes) -> int:
        def count(generation: bytes) -> Command:
            return b"EVAL", _COUNT, b"0", _key(session, generation, b"count", name.hex()), _COUNT_SECONDS

        return int(await self._redis.run(session, count)) - 1

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

        def admit(generation: bytes) -> Command:
            usage = _key(session, generation, b"usage", f"{name.hex()}:")
            return b"EVAL", _ADMIT, b"0", usage, repr(now).encode(), b"%d" % tokens, _USAGE_SECONDS, *limits

        index = int(await self._redis.run(session, admit))
        return None if index < 0 else index

    async def take(self, session: str, counts: Sequence[tuple[bytes, int]]) -> int | None:
        limits = [argument for name, limit in counts for argument in (name.hex().encode(), b"%d" % limit)]

        def take(generation: bytes) -> Command:
            prefix = _key(session, generation, b"taken", "")
            return b"EVAL", _TAKE, b"0", prefix, _TAKEN_SECONDS, *limits

        index = int(await self._redis.run(session, take))
        return None if index < 0 else index

    async def taken(self, session: str, names: Sequence[bytes]) -> list[int]:
        if not names:
            return []

        def get(generation: bytes) -> Command:
            return b"MGET", *(_key(session, generation, b"taken", name.hex()) for name in names)

        return [int(count or 0) for count in await self._redis.run(session, get)]

    async def add_tokens(self, session: str, name: bytes, quotas: Sequence[Quota], tokens: int) -> None:
        times = [b"%d" % seconds for seconds in sorted({quota.seconds for quota in quotas})]

        def add(generation: bytes) -> Command:
            usage = _key(session, generation, b"usage", f"{name.hex()}:")
            return b"EVAL", _ADD_TOKENS, b"0", usage, b"%d" % tokens, *times

        await self._redis.run(session, add)

    async def clear(self, session: str) -> None:
        await self._redis.clear(session)

    async def ready(self) -> None:
        await self._redis.run_alone((b"PING",))

    async def close(self) -> None:
        await self._redis.close()

    async def _delete(self, session: str, kind: bytes, object_id: str) -> bool:
        def delete(generation: bytes) -> Command:
            return b"DEL", _key(session, generation, kind, object_id)

        return bool(await self._redis.run(session, delete))


def _number_or_empty(number: int | None) -> bytes:
    return b"" if number is None else b"%d" % number


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
