"""HTTP and SDK clients that are configured for a mock server, and closed at the end of a test."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

from mockserver.errors import optional_packages
from mockserver.network import no_proxy_variables

if TYPE_CHECKING:
    from httpx import Client
    from openai import AsyncOpenAI, OpenAI

__all__ = ["ClientFactory", "bypass_proxies"]

#: Asynchronous clients keep no connection: it would belong to an event loop that has ended by the time the
#: client is closed from outside.
_CLOSE_CONNECTION = {"Connection": "close"}


class _ClientTarget(Protocol):
    @property
    def base_url(self) -> str: ...

    @property
    def api_key(self) -> str: ...


class ClientFactory:
    """Creates clients and closes them."""

    def __init__(self) -> None:
        self._sync_clients: list[Any] = []
        self._async_clients: list[Any] = []

    def httpx(self, target: _ClientTarget, **options: Any) -> Client:
        """An `httpx.Client` with base URL and key, without a proxy."""
        import httpx

        headers = {"authorization": f"Bearer {target.api_key}", **options.pop("headers", {})}
        options = {"base_url": target.base_url, "trust_env": False, **options}
        client = httpx.Client(headers=headers, **options)
        self._sync_clients = [each for each in self._sync_clients if not _is_closed(each)]
        self._sync_clients.append(client)
        return client

    def openai(self, target: _ClientTarget, **options: Any) -> OpenAI:
        """An `openai.OpenAI` with base URL and key, without a proxy."""
        library = _import_openai()
        if "http_client" not in options:
            options["http_client"] = library.DefaultHttpxClient(trust_env=False)
        client = library.OpenAI(**{"base_url": target.base_url, "api_key": target.api_key, **options})
        self._sync_clients = [each for each in self._sync_clients if not _is_closed(each)]
        self._sync_clients.append(client)
        return client

    def async_openai(self, target: _ClientTarget, **options: Any) -> AsyncOpenAI:
        """An `openai.AsyncOpenAI` with base URL and key, without a proxy; it keeps no connection."""
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
        """Close every client that is still open."""
        while self._sync_clients:
            self._sync_clients.pop().close()
        if not self._async_clients:
            return
        # A new event loop: those of the clients may have ended.
        loop = asyncio.new_event_loop()
        try:
            while self._async_clients:
                # A reply that a test has not read to its end belongs to a loop that has ended.
                with contextlib.suppress(RuntimeError):
                    loop.run_until_complete(self._async_clients.pop().close())
        finally:
            loop.close()


@contextlib.contextmanager
def bypass_proxies(url: str) -> Iterator[None]:
    """Let clients in this process reach `url` without a proxy: set `NO_PROXY`, and restore it at the end."""
    variables = no_proxy_variables(os.environ, url)
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _is_closed(client: Any) -> bool:
    closed = client.is_closed  # a method of openai's clients, a property of httpx's
    return bool(closed() if callable(closed) else closed)


def _import_openai() -> Any:
    with optional_packages():
        import openai
    return openai
