"""Clients that are set up for a mock server, and closed when their test is over."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Protocol

from mockserver.errors import ConfigurationError

if TYPE_CHECKING:
    from httpx import Client
    from openai import AsyncOpenAI, OpenAI

__all__ = ["ClientFactory"]

#: Said by asynchronous clients with each request: a connection that is kept belongs to an event loop, which
#: is gone by the time the client can be closed from outside.
_CLOSE_CONNECTION = {"Connection": "close"}


class _ClientTarget(Protocol):
    """What a client has to know."""

    @property
    def base_url(self) -> str: ...

    @property
    def api_key(self) -> str: ...


class ClientFactory:
    """Makes clients, and remembers those that have to be closed."""

    def __init__(self) -> None:
        self._sync_clients: list[Any] = []
        self._async_clients: list[Any] = []

    def httpx(self, target: _ClientTarget, **options: Any) -> Client:
        """An `httpx.Client` with base URL and key; no proxy is used."""
        import httpx

        headers = {"authorization": f"Bearer {target.api_key}", **options.pop("headers", {})}
        options = {"base_url": target.base_url, "trust_env": False, **options}
        client = httpx.Client(headers=headers, **options)
        self._sync_clients = [each for each in self._sync_clients if not _is_closed(each)]
        self._sync_clients.append(client)
        return client

    def openai(self, target: _ClientTarget, **options: Any) -> OpenAI:
        """An `openai.OpenAI` with base URL and key; no proxy is used."""
        library = _import_openai()
        if "http_client" not in options:
            options["http_client"] = library.DefaultHttpxClient(trust_env=False)
        client = library.OpenAI(**{"base_url": target.base_url, "api_key": target.api_key, **options})
        self._sync_clients = [each for each in self._sync_clients if not _is_closed(each)]
        self._sync_clients.append(client)
        return client

    def async_openai(self, target: _ClientTarget, **options: Any) -> AsyncOpenAI:
        """An `openai.AsyncOpenAI` with base URL and key; no proxy is used and no connection kept."""
        library = _import_openai()
        if "http_client" not in options:
            options["http_client"] = library.DefaultAsyncHttpxClient(trust_env=False)
        headers = {**_CLOSE_CONNECTION, **(options.pop("default_headers", None) or {})}
        options = {"base_url": target.base_url, "api_key": target.api_key, **options}
        client = library.AsyncOpenAI(default_headers=headers, **options)
        self._async_clients = [each for each in self._async_clients if not _is_closed(each)]
        self._async_clients.append(client)
        return client

    def close(self) -> None:
        """Close every client; harmless for those that are closed."""
        while self._sync_clients:
            self._sync_clients.pop().close()
        if not self._async_clients:
            return
        # A loop of its own, which is nobody's current one: their own may be over.
        loop = asyncio.new_event_loop()
        try:
            while self._async_clients:
                # What a test left half read belongs to a loop that is over: it is left to that.
                with contextlib.suppress(RuntimeError):
                    loop.run_until_complete(self._async_clients.pop().close())
        finally:
            loop.close()


def _is_closed(client: Any) -> bool:
    """Whether a client is closed: openai's is asked, httpx's says so."""
    closed = client.is_closed
    return bool(closed() if callable(closed) else closed)


def _import_openai() -> Any:
    try:
        import openai
    except ImportError as error:
        raise ConfigurationError(f"openai is not installed here ({error}): pip install openai") from None
    return openai
