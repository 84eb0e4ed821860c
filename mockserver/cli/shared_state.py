"""`serve --store` and `serve --workers`: where responses are stored, and what several servers cannot share."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from mockserver.errors import ConfigurationError, optional_packages

if TYPE_CHECKING:
    from mockserver.server.state.sessions import Session
    from mockserver.server.state.store import SharedStore

__all__ = [
    "MEMORY",
    "choose_store",
    "open_checked_store",
    "require_shareable",
    "require_shareable_exchanges",
    "share_metrics",
    "shares_store",
    "store_lines",
]

MEMORY = "memory"
#: Variable of prometheus-client: the folder in which processes keep their metrics, so that each reports all.
METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"

#: Options with state that each process would have for itself, and what that state is.
_UNSHARED_OPTIONS = {
    "admin": "stubs, faults and the journal",
    "admin_token_env": "stubs, faults and the journal",
    "admin_token_file": "stubs, faults and the journal",
    "console": "the journal",
    "report": "the journal",
    "fallback": "a budget",
}


def shares_store(settings: Mapping[str, Any]) -> bool:
    """Whether other processes use the same store."""
    return settings.get("workers", 1) > 1 or settings.get("store") not in (None, MEMORY)


@contextmanager
def choose_store(settings: Mapping[str, Any]) -> Iterator[str]:
    """The URL of the store; for several workers by default a temporary SQLite file, which is removed at the end.

    Raises ConfigurationError.
    """
    url = settings["store"]
    if settings["workers"] > 1 and not hasattr(os, "fork"):
        raise ConfigurationError(
            "--workers does not work on this system: start several servers with one --store"
        )
    if settings["workers"] == 1 or url not in (None, MEMORY):
        yield url or MEMORY
        return
    if url == MEMORY:
        raise ConfigurationError(
            "--store memory is of one process, so a response could be continued only on the worker that created it:"
            " leave --store out, or use sqlite:PATH or redis://HOST/DB"
        )
    folder = tempfile.mkdtemp(prefix="mockserver-")
    try:
        yield f"sqlite:{Path(folder) / 'store.sqlite'}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def share_metrics(settings: Mapping[str, Any]) -> Iterator[None]:
    """Give workers a folder for their metrics, which is removed at the end, unless the environment names one.

    Raises ConfigurationError, and MissingPackage.
    """
    if not settings["metrics"]:
        yield
        return
    folder = os.environ.get(METRICS_FOLDER)
    if folder is not None and not Path(folder).is_dir():
        raise ConfigurationError(f"--metrics: {METRICS_FOLDER} is not a folder: {folder}")
    with ExitStack() as stack:
        if folder is None and settings["workers"] > 1:
            os.environ[METRICS_FOLDER] = stack.enter_context(TemporaryDirectory(prefix="mockserver-metrics-"))
            stack.callback(os.environ.pop, METRICS_FOLDER)
        with optional_packages():
            import_module("prometheus_client")  # it reads the variable, once
        yield


def require_shareable(settings: Mapping[str, Any], session: Session) -> None:
    """Raise ConfigurationError if an option has state that is not in the store."""
    with_ = "--workers" if settings["workers"] > 1 else "a shared --store"
    for name, state in _UNSHARED_OPTIONS.items():
        value = settings.get(name)
        if value is not None and value is not False and value != ():  # but 0 is a seed
            raise ConfigurationError(
                f"--{name.replace('_', '-')} does not work with {with_}: each process has {state} of its own"
            )
    for limit in settings.get("limit") or ():
        if limit.startswith("concurrency"):
            raise ConfigurationError(
                f"--limit {limit} does not work with {with_}: each process counts its own open requests"
            )
    require_shareable_exchanges(session)


def require_shareable_exchanges(session: Session) -> None:
    """Raise ConfigurationError if one of a session's exchanges counts, which each process does for itself."""
    for each in session.user_exchange_index.exchanges:
        counted = {"times": each.times is not None, "scenario": each.scenario is not None}
        for name in (name for name, is_counted in counted.items() if is_counted):
            raise ConfigurationError(
                f"exchange {each.name!r}: its {name!r} does not work with --workers or a shared --store: each process"
                " counts for itself"
            )


def open_checked_store(url: str, size: int | None) -> SharedStore:
    """A shared store that is ready; ConfigurationError if it is not."""
    from mockserver.server.state.shared_stores import describe_store, open_shared_store
    from mockserver.server.state.store import StoreUnavailable

    store = open_shared_store(url, size)

    async def check() -> None:
        try:
            await store.ready()
        finally:
            await store.close()  # the workers open connections of their own

    try:
        asyncio.run(check())
    except StoreUnavailable as error:
        raise ConfigurationError(f"--store {describe_store(url)} cannot be used: {error.reason}") from None
    return store


def store_lines(url: str, workers: int, *, is_temporary: bool) -> list[str]:
    """The lines of the banner about workers and their store."""
    from mockserver.server.state.shared_stores import describe_store

    lines = [f"  workers    {workers}"] if workers > 1 else []
    if url != MEMORY:
        note = " (temporary: removed at the end)" if is_temporary else ""
        lines.append(f"  store      {describe_store(url)}{note}")
    return lines
