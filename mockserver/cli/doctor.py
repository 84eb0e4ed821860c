"""`mockserver doctor`: what may keep the mock from working here."""

from __future__ import annotations

import os
import platform
import re
import socket
import sys
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import click

from mockserver import __version__, installation
from mockserver.cli.health import READY_PATH, why_unhealthy
from mockserver.cli.options import IntegerRange, option
from mockserver.cli.output.terminal import colour_report
from mockserver.errors import MockServerError
from mockserver.network import proxy_note, proxy_variables
from mockserver.settings import ENV_PREFIX, SETTING_NAMES
from mockserver.wire.terminal import escape_unprintable

__all__ = ["doctor"]

_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)[^;]*(?:;(.*))?")
#: Seconds in which the server that has a port may say that it is ready.
_READY_SECONDS = 2
#: Changed files to name.
_MAX_SHOWN = 5


class _Finding(NamedTuple):
    subject: str
    text: str
    is_problem: bool = False


@click.command()
@option("--port", default=8080, type=IntegerRange(1, 65535), help="The port that a server will use.")
@option(
    "--store",
    metavar="STORE",
    show_default=False,
    help="The store that servers will share, as in `mockserver serve`; an SQLite file is created.",
)
def doctor(port: int, store: str | None) -> None:
    """Report versions, other owners of the module, variables, ports and the store."""
    findings = [
        *_versions(),
        _module(),
        _data(),
        *_variables(os.environ),
        *_ports(port),
        _store(store),
    ]
    for each in findings:
        mark = "PROBLEM: " if each.is_problem else ""
        line = f"{each.subject:10} {mark}{escape_unprintable(each.text)}"
        print(colour_report(line, sys.stdout))
    raise SystemExit(int(any(each.is_problem for each in findings)))


def _versions() -> Iterator[_Finding]:
    folder = Path(installation.__file__).parent
    yield _Finding("version", f"{installation.DISTRIBUTION} {__version__} in {folder}")
    yield _Finding("python", f"{platform.python_version()} on {platform.platform()}")
    try:
        requirements = metadata.requires(installation.DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        yield _Finding("packages", "not installed, only imported: its dependencies are unknown")
        return
    required: list[str] = []
    optional: list[str] = []
    for requirement in requirements:
        match = _REQUIREMENT.match(requirement)
        name, condition = (match[1], match[2] or "") if match else (requirement, "")
        (optional if condition else required).append(name)
    missing = [name for name in required if _version_of(name) is None]
    if missing:
        yield _Finding("packages", f"not installed: {', '.join(missing)}", is_problem=True)
    for subject, names in (("packages", required), ("optional", optional)):
        yield _Finding(subject, ", ".join(f"{name} {_version_of(name) or '-'}" for name in sorted({*names})))


def _version_of(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _module() -> _Finding:
    owners = installation.other_owners()
    if owners:
        return _Finding("module", installation.owners_note(owners), is_problem=True)
    return _Finding("module", "no other distribution installs files in the module 'mockserver'")


def _data() -> _Finding:
    """Whether the files are those that were installed, and the data can be read."""
    changed = [*installation.changed_files()]
    if changed:
        more = f" and {len(changed) - _MAX_SHOWN} more" if len(changed) > _MAX_SHOWN else ""
        names = ", ".join(changed[:_MAX_SHOWN])
        return _Finding("files", f"differ from those that were installed: {names}{more}", is_problem=True)
    try:
        profiles, exchanges = _read_data()
    except Exception as error:  # noqa: BLE001 (whatever is wrong with them, they are unusable)
        return _Finding("files", f"the data cannot be read: {type(error).__name__}: {error}", is_problem=True)
    return _Finding("files", f"intact: {profiles} profiles, {exchanges} documented exchanges")


def _read_data() -> tuple[int, int]:
    from mockserver.contract.schema.registry import load_schemas
    from mockserver.exchanges import packaged_exchanges
    from mockserver.profiles import load_profile, profile_names

    names = profile_names()
    for name in names:
        load_profile(name)
        load_schemas(name)
    return len(names), sum(len(packaged_exchanges(name)) for name in names)


def _variables(environment: Mapping[str, str]) -> Iterator[_Finding]:
    proxies = proxy_variables(environment)
    yield _Finding(
        "proxy", proxy_note(environment).removeprefix("; ") if proxies else "no variable sets a proxy"
    )
    ours = sorted(name for name in environment if name.startswith(ENV_PREFIX))
    for name in ours:
        setting = name.removeprefix(ENV_PREFIX).lower()
        effect = f"sets --{setting.replace('_', '-')}" if setting in SETTING_NAMES else "is no option"
        shared = "; mockserver-client reads it too" if setting in ("host", "port") else ""
        yield _Finding("variable", f"{name} {effect}{shared}")


def _ports(port: int) -> Iterator[_Finding]:
    reason = _why_unavailable(0)
    if reason:
        yield _Finding("port", f"cannot listen on 127.0.0.1: {reason}", is_problem=True)
        return
    reason = _why_unavailable(port)
    if not reason:
        yield _Finding("port", f"{port} is free")
        return
    is_ready = not why_unhealthy("http", "127.0.0.1", port, READY_PATH, _READY_SECONDS)
    owner = " (a server is ready there)" if is_ready else ""
    yield _Finding("port", f"{port} cannot be used: {reason}{owner}; serve on another with --port")


def _store(url: str | None) -> _Finding:
    from mockserver.cli.shared_state import MEMORY, open_checked_store
    from mockserver.server.state.shared_stores import describe_store

    if url is None or url == MEMORY:
        return _Finding("store", "memory: each server has its own")
    try:
        open_checked_store(url, None)
    except MockServerError as error:
        return _Finding("store", str(error), is_problem=True)
    return _Finding("store", f"{describe_store(url)} can be used")


def _why_unavailable(port: int) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        if os.name == "posix":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
            listener.listen()
        except OSError as error:
            return error.strerror or str(error)
    return ""
