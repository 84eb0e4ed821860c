"""What was derived from requests that came before, by their bytes: load tests send the same ones again and again."""

from __future__ import annotations

from typing import Generic, TypeVar

__all__ = ["RequestCache"]

#: Bytes of a request that is kept; longer ones seldom come twice.
_MAX_CACHED_BYTES = 4096
_MAX_ENTRIES = 512

_T = TypeVar("_T")


class RequestCache(Generic[_T]):
    """Values for the requests that came at least twice, under one version of the settings."""

    __slots__ = ("_seen", "_values", "_version")

    def __init__(self) -> None:
        self._values: dict[tuple[str, bytes], _T] = {}
        self._seen: set[int] = set()
        self._version = -1

    def get(self, version: int, path: str, raw_body: bytes) -> _T | None:
        """The value for a request; None if there is none, or if the settings have changed since."""
        if self._version != version:
            self._version = version
            self._values.clear()
            self._seen.clear()
        return self._values.get((path, raw_body))

    def add(self, path: str, raw_body: bytes, value: _T) -> None:
        """Keep the value for a request, from the second time on; not for a large one."""
        if self.comes_again(path, raw_body):
            self.keep(path, raw_body, value)

    def comes_again(self, path: str, raw_body: bytes) -> bool:
        """Whether a request came before; remember that it came, if it is not large."""
        if len(raw_body) > _MAX_CACHED_BYTES:
            return False
        number = hash((path, raw_body))
        if number in self._seen:
            return True
        if len(self._seen) >= 8 * _MAX_ENTRIES:
            self._seen.clear()
        self._seen.add(number)
        return False

    def keep(self, path: str, raw_body: bytes, value: _T) -> None:
        """Keep the value for a request."""
        if len(self._values) >= _MAX_ENTRIES:
            self._values.clear()
        self._values[path, raw_body] = value
