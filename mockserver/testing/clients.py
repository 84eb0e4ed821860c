"""Clients that are set up for a mock server, and closed when their test is over."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Protocol

from mockserver.errors import ConfigurationError

if TYPE_CHECKING:
    from httpx import Client
    from openai import AsyncOpenAI, OpenAI

__all__ = ["Clients"]

#: Said by asynchronous clients with each request: a connection that is kept belongs to an event loop, which
#: is gone by the time the client can be closed from outside.
_CLOSE = {"Connection": "close"}


class _Place(Protocol):
    """What a client has to know."""

    @property
    def base_url(self) -> str: ...

    @property
    def api_key(self) -> str: ...


class Clients:
    """Makes clients, and remembers those that have to be closed."""

    def __init__(self) -> None:
        self._open: list[Any] = []
        self._open_async: list[Any] = []

    def httpx(self, place: _Place, **options: Any) -> Client:
        """An `httpx.Client` with base URL and key; no proxy is used."""
        import httpx

        headers = {"authorization": f"Bearer {place.api_key}", **options.pop("headers", {})}
        options = {"base_url": place.base_url, "trust_env": False, **options}
        client = httpx.Client(headers=headers, **options)
        self._open = [each for each in self._open if not _is_closed(each)]
        self._open.append(client)
        return client

    def openai(self, place: _Place, **options: Any) -> OpenAI:
        """An `openai.OpenAI` with base URL and key; no proxy is used."""
        library = _openai()
        if "http_client" not in options:
            options["http_client"] = library.DefaultHttpxClient(trust_env=False)
        client = library.OpenAI(**{"base_url": place.base_url, "api_key": place.api_key, **options})
        self._open = [each for each in self._open if not _is_closed(each)]
        self._open.append(client)
        return client

    def async_openai(self, place: _Place, **options: Any) -> AsyncOpenAI:
        """An `openai.AsyncOpenAI` with base URL and key; no proxy is used and no connection kept."""
        library = _openai()
        if "http_client" not in options:
            options["http_client"] = library.DefaultAsyncHttpxClient(trust_env=False)
        headers = {**_CLOSE, **(options.pop("default_headers", None) or {})}
        options = {"base_url": place.base_url, "api_key": place.api_key, **options}
        client = library.AsyncOpenAI(default_headers=headers, **options)
        self._open_async = [each for each in self._open_async if not _is_closed(each)]
        self._open_async.append(client)
        return client

    def close(self) -> None:
        """Close every client; harmless for those that are closed."""
        while self._open:
            self._open.pop().close()
        if not self._open_async:
            return
        # A loop of its own, which is nobody's current one: their own may be over.
        loop = asyncio.new_event_loop()
        try:
            while self._open_async:
                # What a test left half read belongs to a loop that is over: it is left to that.
                with contextlib.suppress(RuntimeError):
                    loop.run_until_complete(self._open_async.pop().close())
        finally:
            loop.close()


def _is_closed(client: Any) -> bool:
    """Whether a client is closed: openai's is asked, httpx's says so."""
    closed = client.is_closed
    return bool(closed() if callable(closed) else closed)


def _openai() -> Any:
    try:
        import openai
    except ImportError as error:
        raise ConfigurationError(f"openai is not installed here ({error}): pip install openai") from None
    return openai
