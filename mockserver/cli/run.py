"""`mockserver run`: run a command against the mock, and judge every request it sends.

Exit status: the command's own (128 and its number where a signal ended it); 1 where the command ended well
and the contract was broken, or no request came at all; 2 where an option can not be used, 126 and 127, as a
shell has them, where the command can not be started.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import click

from mockserver.cli.asked import Asked, Tally
from mockserver.cli.checking import report_target, require_rules
from mockserver.cli.options import option
from mockserver.cli.reports import FORMATS
from mockserver.cli.serve import accepted_keys, open_services, serve
from mockserver.cli.settings import give_up
from mockserver.contract.findings import Severity
from mockserver.errors import MockServerError
from mockserver.testing.client_processes import client_environment

__all__ = ["run"]

_HOST = "127.0.0.1"

#: Options of `serve` that have no meaning where the server lives as long as a command.
_LEFT_OUT = {"admin", "host", "port", "url_file", "quiet", "allow_host"}


@click.command(context_settings={"allow_interspersed_args": False})
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND…")
@option(
    "--report", multiple=True, metavar="FORMAT=FILE", help="Also write a report to a file; may be repeated."
)
@option(
    "--fail-on",
    type=click.Choice([each.value for each in Severity]),
    default="error",
    help="The mildest finding that makes the exit status 1.",
)
@option("--ignore", multiple=True, metavar="RULE", help="Pass over a rule; may be repeated.")
def run(
    command: tuple[str, ...], report: tuple[str, ...], fail_on: str, ignore: tuple[str, ...], **settings: Any
) -> None:
    """Run a command against the mock and judge every request it sends.

    The command (`npm test`, `go test ./…`) gets OPENAI_BASE_URL, and a key of the mock's in OPENAI_API_KEY
    and DASHSCOPE_API_KEY. It is run as it is, by no shell; SIGINT and SIGTERM are passed on to it. What was
    found goes to standard error.

    Exit status: the command's own; 1 if only the contract broke, or if no request came; 2 unusable options.
    """
    require_rules(ignore)
    targets = [report_target(each) for each in report]
    try:
        keys = accepted_keys(settings["api_key"], settings["api_key_env"])
        services = open_services(_HOST, keys, True, **settings, allow_host=())
    except MockServerError as error:
        give_up(str(error), 2)
    tally = services.access_log = Tally(services.default_session.profile.name, ignore)
    key = keys[0] if keys else f"sk-mock-{secrets.token_hex(12)}"
    status = _run(command, services, key)
    asked = tally.asked()
    failing = list(Severity)[: list(Severity).index(Severity(fail_on)) + 1]
    sys.stderr.write(asked.text(FORMATS["text"], failing))
    for name, target in targets:
        try:
            target.write_text(FORMATS[name](asked.judged, failing), encoding="utf-8")
        except OSError as error:
            give_up(f"can not write {target}: {error.strerror or error}", status or 2)
    raise SystemExit(status or _broken(asked, failing))


run.params += [each for each in serve.params if each.name not in _LEFT_OUT]


def _broken(asked: Asked, failing: Sequence[Severity]) -> int:
    return int(not asked.requests or asked.breaks(failing))


def _run(command: Sequence[str], services: Any, key: str) -> int:
    """The exit status of the command, run while a server does."""
    from mockserver.server.http.app import App
    from mockserver.server.http.threaded_server import ThreadedServer

    server = ThreadedServer(App(services), _HOST)
    try:
        server.start()
        environment = client_environment(server.url + services.session.profile.base_path, key)
        try:
            return _to_its_end(command, environment)
        finally:
            server.stop()
    except MockServerError as error:
        give_up(str(error), 2)


def _to_its_end(command: Sequence[str], environment: dict[str, str]) -> int:
    with _signals_kept() as passed_on:
        try:
            child = subprocess.Popen(command, env=environment)  # noqa: S603 - it is what was asked for
        except OSError as error:
            status = 127 if isinstance(error, FileNotFoundError) else 126
            give_up(f"can not run {command[0]}: {error.strerror or error}", status)
        passed_on(child)
        status = child.wait()
    return 128 - status if status < 0 else status


@contextlib.contextmanager
def _signals_kept() -> Iterator[Any]:
    """SIGINT and SIGTERM go to the child that is named, those that come before it is, too."""
    children: list[subprocess.Popen[bytes]] = []
    early: list[int] = []

    def forward(number: int, _: Any) -> None:
        if number == signal.SIGINT and _from_the_terminal():
            return  # the child has it too
        if not children:
            early.append(number)
        for child in children:
            child.send_signal(number)

    def passed_on(child: subprocess.Popen[bytes]) -> None:
        children.append(child)
        for number in early:
            child.send_signal(number)

    before = {number: signal.signal(number, forward) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield passed_on
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _from_the_terminal() -> bool:
    """Whether Ctrl-C is typed at us: then it goes to the whole group of processes."""
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError, AttributeError):  # no terminal, no standard input, Windows
        return False
