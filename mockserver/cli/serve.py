"""`mockserver serve`: run the mock server. Imports the server only when the command runs."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mockserver.cli.credentials import admin_token_source, new_api_key, read_api_keys
from mockserver.cli.errors import exit_with_problems, problem_lines
from mockserver.cli.garbage_collection import collect_seldom, paused_collection
from mockserver.cli.listener import (
    open_listeners,
    other_url_notes,
    require_key,
    require_standard_input,
    require_writable_url_file,
    stop_when_input_ends,
    write_admin_token_file,
    write_url_file,
)
from mockserver.cli.name_completions import complete_faults, complete_profiles
from mockserver.cli.option_sections import SectionedCommand
from mockserver.cli.options import (
    Choice,
    IntegerRange,
    key_options,
    mask_option,
    max_body_option,
    network_options,
    option,
    port_and_url_file_options,
    upstream_options,
)
from mockserver.cli.services import build_services, choose_log_format
from mockserver.cli.shared_state import (
    MAX_WORKERS,
    choose_store,
    choose_worker_count,
    removed_by_last_worker,
    share_metrics,
    store_lines,
)
from mockserver.errors import MockServerError
from mockserver.network import no_proxy_exports
from mockserver.profiles import DEFAULT_PROFILE
from mockserver.replies.token_counts import TOKEN_COUNTS

if TYPE_CHECKING:
    import socket

    from starlette.types import ASGIApp

    from mockserver.server.http.services import Services
    from mockserver.server.http.workers import InstallStop

__all__ = ["serve"]


@click.command(cls=SectionedCommand)
@network_options
@port_and_url_file_options
@option(
    "--profile",
    default=DEFAULT_PROFILE,
    shell_complete=complete_profiles,
    help="The profile to serve; latest: the newest.",
)
@option(
    "--rendering", default="wire", help="wire: as the service sends it; documented: as its guide prints it."
)
@key_options
@option(
    "--model",
    multiple=True,
    metavar="NAME",
    help="A model to accept, or 'any'; default: the profile's models.",
)
@option(
    "--seed", type=int, help="Make replies repeatable to the byte: seeds ids and texts, and steps the clock."
)
@option(
    "--workers",
    type=IntegerRange(1, MAX_WORKERS),
    show_default=False,
    help="Number of processes that serve; they share a store. Default: 1; with --load one for each core.",
)
@option(
    "--store",
    metavar="STORE",
    show_default=False,
    help="Where responses and conversations are: memory, sqlite:PATH, or redis://HOST[:PORT]/DB (also rediss://, "
    "unix://). Default: memory; with --workers a temporary SQLite file.",
)
@option(
    "--store-size",
    type=IntegerRange(1),
    show_default=False,
    help="Maximum number of stored responses; default: 10000 in memory, 100000 in SQLite.",
)
@max_body_option
@option(
    "--exchanges",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Serve the exchange files in this folder; they are reloaded when they change.",
)
@option(
    "--stream-errors",
    type=Choice(["http", "inband"]),
    help="Errors before a stream: http: an HTTP status; inband: 200 and an error event. Default: as the profile.",
)
@option(
    "--structured-output",
    type=Choice(["ignore", "obey"]),
    help="Whether messages follow text.format. Default: as the profile; the Qwen service ignores it.",
)
@option(
    "--function-arguments",
    default="deltas",
    type=Choice(["deltas", "whole"]),
    help="How a stream sends function arguments: in delta events, or whole with the item.",
)
@option(
    "--fault",
    multiple=True,
    metavar="NAME[:PROBABILITY]",
    shell_complete=complete_faults,
    show_default=False,
    help="Inject a fault into every request, or into some; see `mockserver faults`.",
)
@option(
    "--pace",
    default="none",
    help="Streaming speed: none, fixed:MS, model:TTFT,TPS[,JITTER] or model:ttft=D,tps=D with distributions.",
)
@option(
    "--output-tokens",
    default="usual",
    metavar="LENGTH",
    help="Length of generated messages: N, a distribution such as normal(200,50), or max: exactly the"
    " max_output_tokens of the request.",
)
@option(
    "--limit",
    multiple=True,
    metavar="NAME=N",
    show_default=False,
    help="Rate limit: requests=N or tokens=N per minute, burst=N per second, concurrency=N, context=N tokens,"
    " context-error.",
)
@option(
    "--chunking",
    show_default=False,
    help="How bodies are cut: event, coalesced, bytes:N or random. Default: event; with --load coalesced.",
)
@option(
    "--load",
    is_flag=True,
    help="For load tests: keep no journal, log no requests, send each stream in one write unless there is a --pace or"
    " --chunking, and run a worker for each core unless there is --workers.",
)
@option(
    "--allow-mock-headers",
    is_flag=True,
    help="Honor the request headers x-mock-fault, x-mock-delay, x-mock-scenario and x-mock-session.",
)
@option(
    "--admin",
    is_flag=True,
    help="Serve the admin API for stubs, faults, journal and reset; prints its token, and writes it to the file"
    " of --url-file with .admin-token appended.",
)
@option(
    "--admin-token-env",
    metavar="NAME",
    show_default=False,
    help="Serve the admin API with the token in this environment variable.",
)
@option(
    "--admin-token-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    show_default=False,
    help="Serve the admin API with the token in this file.",
)
@option(
    "--strict",
    is_flag=True,
    help="Reject every request that no stub and no file of --exchanges answers, instead of generating a reply.",
)
@option(
    "--token-counts",
    default=TOKEN_COUNTS[0],
    type=Choice(TOKEN_COUNTS),
    help="How tokens are counted: estimate, or by the vendor's vocabulary, which requires the extra 'tokenizer'.",
)
@option(
    "--fallback",
    metavar="URL",
    show_default=False,
    help="Pass requests that no stub and no file of --exchanges answers on to this endpoint, and check both"
    " directions; needs --upstream-key-env. See docs/record.md.",
)
@upstream_options
@option(
    "--console",
    is_flag=True,
    help="Serve a page that shows each request as it arrives, and controls the server; prints its link.",
)
@option(
    "--metrics",
    is_flag=True,
    help="Serve metrics for Prometheus at /metrics; requires the extra 'metrics'.",
)
@option(
    "--report",
    multiple=True,
    metavar="FORMAT=FILE",
    show_default=False,
    help="Write a report of all requests (html, text, json, junit, github) when the server stops.",
)
@option(
    "--verbose", is_flag=True, help="Print the findings and both bodies of each request too, without keys."
)
@option(
    "--log-format",
    default="text",
    type=Choice(["text", "json"]),
    help="Format of the log: text, or a JSON object in each line.",
)
@option("--quiet", is_flag=True, help="Do not print a line for each request.")
@option(
    "--stop-with-stdin",
    is_flag=True,
    help="Stop when standard input ends, as it does when the program that holds its other end dies.",
)
@mask_option
def serve(
    host: str, port: int, url_file: Path | None, quiet: bool, report: tuple[str, ...], **settings: Any
) -> None:
    """Run the mock server in the foreground. See docs/scripting.md for stubs, faults and limits."""
    targets = _parse_report_targets(report)
    temporary_folders: list[Path] = []
    with ExitStack() as stack:
        try:
            keys = read_api_keys(settings["api_key"], settings["api_key_env"])
            if settings["fallback"] and not keys:
                keys = (new_api_key(),)
            require_key(host, has_key=bool(keys), remedy="add --api-key or --api-key-env")
            settings["workers"] = choose_worker_count({**settings, "report": report})
            if settings["stop_with_stdin"]:
                require_standard_input(settings["workers"])
            store = stack.enter_context(choose_store(settings, temporary_folders))
            stack.enter_context(share_metrics(settings, temporary_folders))
            with paused_collection():
                services = build_services(
                    keys, quiet, host=host, report=report, **{**settings, "store": store}
                )
        except (MockServerError, OSError) as error:
            exit_with_problems(problem_lines(error), 2)
        require_writable_url_file(url_file)
        listeners = open_listeners(host, port)
        write_reports = _collect_reports(services, targets)
        lines = store_lines(store, settings["workers"], is_temporary=settings["store"] is None)
        try:
            options = {**settings, "quiet": quiet, "temporary_folders": temporary_folders}
            announce = partial(_announce, services, listeners, url_file, options, lines)
            status = _run_server(services, listeners, options, announce)
        finally:
            write_reports()
    if status:
        raise SystemExit(status)


def _parse_report_targets(options: tuple[str, ...]) -> list[tuple[str, Path]]:
    if not options:
        return []
    from mockserver.cli.output.report_files import parse_report_targets, require_writable_reports
    from mockserver.cli.output.report_formats import REPORT_FORMATS

    targets = parse_report_targets(options, REPORT_FORMATS)
    require_writable_reports(targets)
    return targets


def _collect_reports(services: Services, targets: list[tuple[str, Path]]) -> Callable[[], None]:
    """Collect the requests for reports; the returned function writes the reports."""
    if not targets:
        return lambda: None
    from mockserver.cli.output.checked_input import failing_severities
    from mockserver.cli.output.report_files import replace_report
    from mockserver.cli.output.request_summary import RequestCollector

    profile = services.default_session.profile.name
    wants_page = any(name == "html" for name, _ in targets)
    collector = services.access_log = RequestCollector(
        profile, keep_exchanges=wants_page, access_log=services.access_log
    )

    def write_reports() -> None:
        summary = collector.summary()
        for form, target in targets:
            text = summary.to_report(form, failing_severities("error"), profile, "mockserver serve")
            replace_report(target, text)

    return write_reports


def _run_server(
    services: Services,
    listeners: Sequence[socket.socket],
    settings: Mapping[str, Any],
    announce: Callable[[], None],
) -> int:
    """Serve until a signal; return the exit status. `announce` runs once the server accepts connections."""
    with paused_collection():
        from mockserver.server.http.app import App
        from mockserver.server.http.cors import allow_origins
        from mockserver.server.http.uvicorn_server.server import run_forever

    def run(on_start: Callable[[], None], install_stop: InstallStop | None = None) -> None:
        app: ASGIApp = App(services)
        if settings["metrics"]:
            from mockserver.server.http.metrics import MeasuredApp

            app = MeasuredApp(app, services)
        app, on_tick = allow_origins(app, services.hosts), _exchange_reloader(services)
        try:
            on_stop, log = partial(_end_services, services), services.access_log.add
            run_forever(app, listeners, on_start, on_tick, on_stop, install_stop, log=log)
        finally:
            services.access_log.close()

    collect_seldom()
    if settings["workers"] > 1:
        return _run_workers(services, settings, run, announce)
    run(announce)
    return 0


def _run_workers(
    services: Services,
    settings: Mapping[str, Any],
    run: Callable[[Callable[[], None], InstallStop], None],
    announce: Callable[[], None],
) -> int:
    """Run a server in each worker; return the exit status."""
    from mockserver.ids import IdSource
    from mockserver.server.http.access_log import open_access_log
    from mockserver.server.http.background_stream import background_output, require_written
    from mockserver.server.http.workers import run_workers

    def run_worker(
        number: int,
        on_start: Callable[[], None],
        install_stop: InstallStop,
        was_parent_killed: Callable[[], bool],
    ) -> None:
        if settings["seed"] is None:
            services.default_session.ids = IdSource()  # random: two workers must not draw the same ids
        if not (settings["quiet"] or settings["load"]):
            services.access_log = open_access_log(sys.stderr, choose_log_format(settings, number))
        with removed_by_last_worker(settings["temporary_folders"], was_parent_killed):
            run(on_start, install_stop)

    def announce_workers() -> None:
        with background_output():  # the banner, too, waits for no reader
            announce()
            require_written(sys.stdout)

    return run_workers(settings["workers"], run_worker, announce_workers, partial(_log_line, settings))


def _exchange_reloader(services: Services) -> Callable[[], None] | None:
    """A function that reloads changed exchange files and logs it."""
    folder = services.exchange_folder
    if folder is None:
        return None

    from mockserver.server.stubs.exchange_folder import ExchangeReloader

    prepare, use = services.sessions.prepare_exchanges, services.sessions.use_prepared_exchanges
    return ExchangeReloader(folder, prepare, use, services.access_log.add).start


async def _end_services(services: Services) -> None:
    """Wait for the checks of what the fallback answered, for the log and the report, and close the store."""
    if services.fallback is not None:
        await services.fallback.wait_until_idle()
    await services.store.close()


def _log_line(settings: Mapping[str, Any], line: str) -> None:
    """Write a line of the process that runs the workers to the log."""
    from mockserver.server.http.access_log import format_lines
    from mockserver.server.http.background_stream import write_or_give_up

    to_texts = choose_log_format(settings) or format_lines
    write_or_give_up(sys.stderr, f"{to_texts([line], time.time())[0]}\n")


def _announce(
    services: Services,
    listeners: Sequence[socket.socket],
    url_file: Path | None,
    settings: Mapping[str, Any],
    store_notes: Sequence[str],
) -> None:
    """Print the banner, which has the lines `store_notes`, and write the URL file."""
    from mockserver.server.http.banner import startup_banner
    from mockserver.server.http.listeners import listener_url

    url, session = listener_url(listeners[0]), services.default_session
    notes = [
        *other_url_notes(listeners),
        *_unusual_settings(services, settings),
        *store_notes,
        *_admin_notes(services, url, settings),
    ]
    if services.console is not None:
        notes.append(f"console    {services.console.link(url)}")
    print(
        startup_banner(
            url,
            session.profile,
            session.rendering,
            settings["api_key_env"],
            services.keys.accepts_any,
            _own_key(services, settings),
            notes,
            no_proxy_exports(os.environ, url),
        ),
        flush=True,
    )
    if url_file is not None:
        if services.admin_token and admin_token_source(settings) is None:
            write_admin_token_file(url_file, services.admin_token)
        write_url_file(url_file, url + session.profile.base_path)
    if settings["stop_with_stdin"]:
        stop_when_input_ends()


def _unusual_settings(services: Services, settings: Mapping[str, Any]) -> list[str]:
    """Lines of the banner: what answers unmatched requests and counts tokens, if it is not the server itself."""
    notes = []
    if services.fallback is not None:
        notes.append(f"fallback   {settings['fallback']}, key from {settings['upstream_key_env']}")
    if settings["token_counts"] != TOKEN_COUNTS[0]:
        notes.append("tokens     counted by the vendor's vocabulary")
    return notes


def _own_key(services: Services, settings: Mapping[str, Any]) -> str:
    """The key that the server made for its clients; "" if there is none."""
    has_own_key = services.fallback is not None and not (settings["api_key"] or settings["api_key_env"])
    return services.keys.secrets[0] if has_own_key else ""


def _admin_notes(services: Services, url: str, settings: Mapping[str, Any]) -> list[str]:
    """Lines of the banner: where the admin API is, and its token only if it is a new one."""
    token = services.admin_token
    if not token:
        return []
    if source := admin_token_source(settings):
        return [f"admin      {url}/_mock/  x-mock-admin-token: as in {source}"]
    command = f"curl {url}/_mock/stubs -H 'x-mock-admin-token: {token}' -d '{{\"reply\": \"Hello\"}}'"
    return [f"admin      {url}/_mock/  x-mock-admin-token: {token}", f"           try {command}"]
