"""Stores that several servers share, so that a conversation that begins on one continues on any other.

Sessions, stubs and the journal stay in each server: only what a store keeps is shared.
"""

from __future__ import annotations

from mockserver.errors import ConfigurationError
from mockserver.server.state.store import SharedStore

__all__ = ["DEFAULT_SQLITE_SIZE", "describe_store", "open_shared_store"]

#: Responses that an SQLite store keeps if nothing else is said: about 500 MB of short ones.
DEFAULT_SQLITE_SIZE = 100_000

_SQLITE_SCHEME = "sqlite:"
_REDIS_SCHEMES = ("redis://", "rediss://", "unix://")


def open_shared_store(url: str, size: int | None = None) -> SharedStore:
    """The store of a URL; it connects when it is first used.

    `size` limits the responses of an SQLite store. Raises ConfigurationError or MissingPackage.
    """
    if url.startswith(_SQLITE_SCHEME) and url != _SQLITE_SCHEME:
        from mockserver.server.state.shared_stores.sqlite_store import SqliteStore

        return SqliteStore(url.removeprefix(_SQLITE_SCHEME), size or DEFAULT_SQLITE_SIZE)
    if not url.startswith(_REDIS_SCHEMES):
        # Without its value, which may have a password.
        raise ConfigurationError(
            "--store is memory, sqlite:PATH, redis://HOST[:PORT]/DB, rediss://… or unix:///PATH?db=DB"
        )
    if size is not None:
        raise ConfigurationError("--store-size has no effect on Redis: set its maxmemory")
    from mockserver.server.state.shared_stores.redis_store import RedisStore

    return RedisStore(url)


def describe_store(url: str) -> str:
    """The URL of a store without user, password and parameters."""
    if url.startswith(_SQLITE_SCHEME):
        return url
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('?')[0].rpartition('@')[2]}"
