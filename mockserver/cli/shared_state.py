"""`serve --store` and `serve --workers`: where responses are stored, and what several servers cannot share."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from importlib import import_module
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from mockserver.errors import ConfigurationError, optional_packages

if TYPE_CHECKING:
    from mockserver.server.state.store import SharedStore

__all__ = [
    "MAX_WORKERS",
    "MEMORY",
    "choose_store",
    "choose_worker_count",
    "open_checked_store",
    "removed_by_last_worker",
    "require_shareable",
    "share_metrics",
    "shares_store",
    "store_lines",
]

#: A worker's number is a byte.
MAX_WORKERS = 255

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


def choose_worker_count(settings: Mapping[str, Any]) -> int:
    """The number of workers: by default one, and with --load one for each core, unless an option needs one process."""
    count: int | None = settings["workers"]
    if count is not None:
        return count
    is_alone = (
        settings["store"] == MEMORY
        or settings.get("stop_with_stdin")
        or not hasattr(os, "fork")
        or _unshared_option(settings) is not None
    )
    return 1 if is_alone or not settings["load"] else min(_core_count(), MAX_WORKERS)


def _core_count() -> int:
    if hasattr(os, "sched_getaffinity"):  # the cores that this process may use
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def shares_store(settings: Mapping[str, Any]) -> bool:
    """Whether other processes use the same store."""
    return (settings.get("workers") or 1) > 1 or settings.get("store") not in (None, MEMORY)


@contextmanager
def choose_store(settings: Mapping[str, Any], temporary_folders: list[Path]) -> Iterator[str]:
    """The URL of the store; for several workers by default an SQLite file in a folder that is removed at the end.

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
    with _temporary_folder("mockserver-") as folder:
        temporary_folders.append(folder)
        yield f"sqlite:{folder / 'store.sqlite'}"


@contextmanager
def _temporary_folder(prefix: str) -> Iterator[Path]:
    """A private folder that is removed at the end, also if a signal ends the command while it is made."""
    folder = Path(tempfile.gettempdir(), prefix + token_hex(16))
    try:
        folder.mkdir(mode=0o700)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def removed_by_last_worker(folders: Sequence[Path], was_killed: Callable[[], bool]) -> Iterator[None]:
    """Remove temporary folders with the last worker that ends, if the process that has to do it was killed."""
    if not folders:
        yield
        return
    import fcntl  # not on Windows, which has no workers either

    with (folders[0] / "workers").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        try:
            yield
        finally:
            if was_killed():
                with suppress(BlockingIOError):  # others still run
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    for each in folders:
                        shutil.rmtree(each, ignore_errors=True)


@contextmanager
def share_metrics(settings: Mapping[str, Any], temporary_folders: list[Path]) -> Iterator[None]:
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
            temporary_folders.append(stack.enter_context(_temporary_folder("mockserver-metrics-")))
            os.environ[METRICS_FOLDER] = str(temporary_folders[-1])
            stack.callback(os.environ.pop, METRICS_FOLDER)
        with optional_packages():
            import_module("prometheus_client")  # it reads the variable, once
        yield


def require_shareable(settings: Mapping[str, Any]) -> None:
    """Raise ConfigurationError if an option has state that is not in the store."""
    option = _unshared_option(settings)
    if option is not None:
        name, state = option
        with_ = "--workers" if (settings["workers"] or 1) > 1 else "a shared --store"
        raise ConfigurationError(f"{name} does not work with {with_}: each process has {state} of its own")


def _unshared_option(settings: Mapping[str, Any]) -> tuple[str, str] | None:
    """An option with state that is not in the store, and what this state is; None: there is none."""
    for name, state in _UNSHARED_OPTIONS.items():
        if settings.get(name):
            return f"--{name.replace('_', '-')}", state
    limits = (each for each in settings.get("limit") or () if each.startswith("concurrency"))
    return next(((f"--limit {each}", "open requests") for each in limits), None)


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

    lines = [f"workers    {workers}"] if workers > 1 else []
    if url != MEMORY:
        note = " (temporary: removed at the end)" if is_temporary else ""
        lines.append(f"store      {describe_store(url)}{note}")
    return lines
