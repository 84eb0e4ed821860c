"""`mockserver run`: run a command against the mock server, and check every request it sends.

Exit status: the command's own (128 plus the signal number if a signal ended it); 1 if the command succeeded
but violated the contract or sent no request; 2 if an option is unusable; 126 or 127, as in a shell, if the
command cannot be started.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from mockserver.cli.check_runner import require_known_rules
from mockserver.cli.credentials import new_api_key, read_api_keys
from mockserver.cli.errors import exit_with_error, exit_with_problems, problem_lines
from mockserver.cli.listener import warn_if_reachable
from mockserver.cli.name_completions import complete_rules
from mockserver.cli.option_sections import SectionedCommand
from mockserver.cli.options import finding_options, option
from mockserver.cli.output.checked_input import failing_severities
from mockserver.cli.output.report_files import parse_report_targets, replace_report, require_writable_reports
from mockserver.cli.output.report_formats import REPORT_FORMATS
from mockserver.cli.output.request_summary import RequestCollector
from mockserver.cli.output.terminal import colour_report
from mockserver.cli.serve import serve
from mockserver.cli.services import build_services
from mockserver.contract.rules import load_conduct_rules
from mockserver.errors import ConfigurationError, MockServerError
from mockserver.network import is_loopback
from mockserver.server.journal_entries import REFUSED
from mockserver.stop_signals import stop_signals
from mockserver.testing.client_processes import client_environment

if TYPE_CHECKING:
    from mockserver.server.http.services import Services
    from mockserver.server.interception import Interception

__all__ = ["run"]

#: Options of `serve` that have no meaning for a server that lives as long as a command.
_EXCLUDED_SERVE_OPTIONS = {
    "workers",
    "store",
    "admin",
    "admin_token_env",
    "admin_token_file",
    "port",
    "url_file",
    "quiet",
    "verbose",
    "load",
    "log_format",
    "metrics",
    "report",
    "stop_with_stdin",
}


@click.command(cls=SectionedCommand, context_settings={"allow_interspersed_args": False})
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND…")
@option(
    "--intercept",
    is_flag=True,
    help="Also answer requests to the service's own https addresses, and let the command reach no other host.",
)
@option(
    "--allow-connect",
    multiple=True,
    metavar="HOST",
    show_default=False,
    help="Let the command reach this host, or *.SUFFIX, with --intercept. Can be repeated.",
)
@finding_options
@option(
    "--ignore",
    multiple=True,
    metavar="RULE",
    shell_complete=complete_rules,
    help="Ignore a rule, or 'refused': requests that are not API requests. Can be repeated.",
)
@option(
    "--conduct",
    is_flag=True,
    help="Check also what the command does over several requests: retries, aborts, context.",
)
def run(
    command: tuple[str, ...],
    report: tuple[str, ...],
    fail_on: str,
    ignore: tuple[str, ...],
    conduct: bool,
    **settings: Any,
) -> None:
    """Run a command against the mock server and check every request it sends.

    The command (`npm test`, `go test ./…`) gets the server's URL in OPENAI_BASE_URL, and an API key in
    OPENAI_API_KEY and DASHSCOPE_API_KEY. It runs without a shell, and SIGINT, SIGTERM and SIGHUP are forwarded
    to it. With --intercept, its requests to the service's own https addresses reach the server too. Findings go
    to standard error. A request that the API does not have (a wrong path, method, key or content type) is a
    finding named 'refused', as is a connection that --intercept refuses.
    """
    require_known_rules(ignore, {REFUSED, *load_conduct_rules()})
    targets = parse_report_targets(report, REPORT_FORMATS)
    require_writable_reports(targets)
    try:
        key, accepted_keys = _choose_keys(settings)
        services, interception = _build_services(accepted_keys, settings)
    except MockServerError as error:
        exit_with_problems(problem_lines(error), 2)
    profile = services.default_session.profile.name
    collector = services.access_log = RequestCollector(
        profile,
        ignore,
        keep_exchanges=any(name == "html" for name, _ in targets),
        intercepts=interception is not None,
    )
    status = _run_against_mock(command, services, interception, settings["host"], key)
    if conduct:
        _check_conduct(services, collector)
    summary = collector.summary()
    failing = failing_severities(fail_on)
    sys.stderr.write(colour_report(summary.to_text(REPORT_FORMATS["text"], failing), sys.stderr))
    for form, target in targets:
        replace_report(target, summary.to_report(form, failing, profile, " ".join(command)), status or 2)
    raise SystemExit(status or int(not summary.request_count or summary.has_findings(failing)))


run.params += [each for each in serve.params if each.name not in _EXCLUDED_SERVE_OPTIONS]


def _choose_keys(settings: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """The key of the command, and all keys to accept; none: any key. Raises ConfigurationError."""
    keys = read_api_keys(settings["api_key"], settings["api_key_env"])
    key = keys[0] if keys else new_api_key()
    accepts_any = is_loopback(settings["host"]) and not settings["fallback"]
    return key, keys if keys or accepts_any else (key,)


def _build_services(keys: tuple[str, ...], settings: dict[str, Any]) -> tuple[Services, Interception | None]:
    """The services, and the interception if it is asked for; MockServerError if an option is unusable."""
    if not settings["intercept"]:
        source = click.get_current_context().get_parameter_source("allow_connect")
        if source is ParameterSource.COMMANDLINE:  # a project's settings serve its tests too
            raise ConfigurationError("--allow-connect needs --intercept")
        return build_services(keys, True, **settings), None
    from mockserver.server.interception import Interception, intercepted_hosts

    allowed = (*settings["allow_host"], *intercepted_hosts(settings["host"]))
    services = build_services(keys, True, **{**settings, "allow_host": allowed})
    return services, Interception(services, settings["allow_connect"])


def _check_conduct(services: Any, collector: RequestCollector) -> None:
    """Add the findings about what the command did over several requests, in each session."""
    from mockserver.server.conduct import check_entries

    for session in services.sessions:
        entries = dict(session.journal.numbered())
        for number, finding in check_entries(entries.items()):
            collector.add_conduct_finding(number, entries[number], finding)


def _run_against_mock(
    command: Sequence[str], services: Services, interception: Interception | None, host: str, key: str
) -> int:
    """Run the command with a server and return the command's exit status."""
    from mockserver.server.http.app import App
    from mockserver.server.http.cors import allow_origins
    from mockserver.server.http.threaded_server import ThreadedServer

    app = allow_origins(App(services), services.hosts)
    server = ThreadedServer(app, host, gateway=interception, log=_print_line)
    warn_if_reachable(host)
    try:
        with interception or nullcontext():
            server.start()
            if services.console is not None:
                _print_line(f"console {services.console.link(server.url)}")
            variables = {} if interception is None else interception.client_variables(server.url)
            base_url = server.url + services.default_session.profile.base_path
            try:
                return _run_command(command, client_environment(base_url, key, **variables))
            finally:
                if services.fallback is not None and server.is_running:
                    server.run(services.fallback.wait_until_idle())
                server.stop()
    except MockServerError as error:
        exit_with_error(str(error), 2)


def _print_line(line: str) -> None:
    print(f"mockserver: {line}", file=sys.stderr, flush=True)


def _run_command(command: Sequence[str], environment: dict[str, str]) -> int:
    with _forwarded_signals() as forward_to:
        try:
            child = subprocess.Popen(command, env=environment)  # noqa: S603 - running it is the purpose
        except OSError as error:
            status = 127 if isinstance(error, FileNotFoundError) else 126
            exit_with_error(f"cannot run {command[0]}: {error.strerror or error}", status)
        forward_to(child)
        status = child.wait()
    return 128 - status if status < 0 else status


@contextlib.contextmanager
def _forwarded_signals() -> Iterator[Any]:
    """Forward the signals to stop to the child passed to the yielded function, also those that came before."""
    children: list[subprocess.Popen[bytes]] = []
    early: list[int] = []

    def forward(signal_number: int, _: Any) -> None:
        if signal_number == signal.SIGINT and _is_terminal_foreground():
            return  # the terminal sent it to the child too
        if not children:
            early.append(signal_number)
        for child in children:
            child.send_signal(signal_number)

    def forward_to(child: subprocess.Popen[bytes]) -> None:
        children.append(child)
        for number in early:
            child.send_signal(number)

    before = {number: signal.signal(number, forward) for number in stop_signals()}
    try:
        yield forward_to
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _is_terminal_foreground() -> bool:
    """Whether a Ctrl-C goes to our whole process group, and so to the child."""
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError, AttributeError):  # no terminal, closed standard input, Windows
        return False
