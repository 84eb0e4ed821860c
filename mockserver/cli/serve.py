"""`mockserver serve`: run the mock server. Imports the server only when the command runs."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from secrets import token_hex, token_urlsafe
from typing import TYPE_CHECKING, Any

import click

from mockserver.cli.errors import exit_with_error, exit_with_problems, problem_lines
from mockserver.cli.garbage_collection import paused_collection
from mockserver.cli.listener import (
    allowed_hosts,
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
    mask_option,
    max_body_option,
    network_options,
    option,
    upstream_options,
)
from mockserver.cli.shared_state import (
    MAX_WORKERS,
    choose_store,
    choose_worker_count,
    open_checked_store,
    removed_by_last_worker,
    require_shareable,
    share_metrics,
    shares_store,
    store_lines,
)
from mockserver.cli.upstream import build_fallback
from mockserver.errors import ConfigurationError, MockServerError
from mockserver.network import no_proxy_exports
from mockserver.profiles import DEFAULT_PROFILE, load_profile, resolve_profile_name
from mockserver.regular_files import read_named_file
from mockserver.replies.token_counts import TOKEN_COUNTS, use_token_counts
from mockserver.settings import parse_body_size

if TYPE_CHECKING:
    import socket

    from starlette.types import ASGIApp

    from mockserver.server.console import ConsoleAccess
    from mockserver.server.http.access_log import LogFormat
    from mockserver.server.http.services import Services
    from mockserver.server.http.workers import InstallStop
    from mockserver.server.state.sessions import Session
    from mockserver.server.state.store import Store

__all__ = ["build_services", "new_api_key", "read_api_keys", "serve"]

#: Characters of an admin token.
_MIN_TOKEN_LENGTH = 8


@click.command(cls=SectionedCommand)
@network_options
@option("--port", default=8080, type=IntegerRange(0, 65535), help="Port to listen on; 0: any free port.")
@option(
    "--url-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the base URL to this file once the server runs.",
)
@option(
    "--profile",
    default=DEFAULT_PROFILE,
    shell_complete=complete_profiles,
    help="The profile to serve; latest: the newest.",
)
@option(
    "--rendering", default="wire", help="wire: as the service sends it; documented: as its guide prints it."
)
@option(
    "--api-key",
    multiple=True,
    show_default=False,
    help="An API key to accept; default: any key. Can be repeated.",
)
@option(
    "--api-key-env", multiple=True, metavar="NAME", help="An environment variable with an API key to accept."
)
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
            status = _run_server(services, listeners, url_file, options, lines)
        finally:
            write_reports()
    if status:
        raise SystemExit(status)


def new_api_key() -> str:
    """A key for clients of a server that must not accept every key."""
    return f"sk-mock-{token_hex(12)}"


def _parse_report_targets(options: tuple[str, ...]) -> list[tuple[str, Path]]:
    if not options:
        return []
    from mockserver.cli.check_runner import parse_report_target
    from mockserver.cli.output.report_files import require_writable_reports

    targets = [parse_report_target(each) for each in options]
    require_writable_reports(targets)
    return targets


def _collect_reports(services: Services, targets: list[tuple[str, Path]]) -> Callable[[], None]:
    """Collect the requests for reports; the returned function writes the reports."""
    if not targets:
        return lambda: None
    from mockserver.cli.output.checked_input import failing_severities
    from mockserver.cli.output.request_summary import RequestCollector

    profile = services.default_session.profile.name
    wants_page = any(name == "html" for name, _ in targets)
    collector = services.access_log = RequestCollector(
        profile, keep_exchanges=wants_page, access_log=services.access_log
    )

    def write_reports() -> None:
        summary = collector.summary()
        for name, target in targets:
            try:
                summary.write_report(name, target, failing_severities("error"), profile, "mockserver serve")
            except OSError as error:
                exit_with_error(f"cannot write {target}: {error.strerror or error}", 2)

    return write_reports


def read_api_keys(literal_keys: tuple[str, ...], variables: tuple[str, ...]) -> tuple[str, ...]:
    """Return the keys of `--api-key` and `--api-key-env`; ConfigurationError if one is unusable."""
    for name in variables:
        if not os.environ.get(name):
            raise ConfigurationError(f"--api-key-env {name}: the variable is not set")
    keys = (*literal_keys, *[os.environ[name] for name in variables])
    if not all(key and key.isascii() and key.isprintable() and " " not in key for key in keys):
        raise ConfigurationError("an API key must be printable ASCII without spaces")
    return keys


def _admin_token(settings: Mapping[str, Any]) -> str:
    """Return the token of the admin API; "": there is none. ConfigurationError if it is unusable."""
    variable, file = settings.get("admin_token_env"), settings.get("admin_token_file")
    if variable and file:
        raise ConfigurationError("use --admin-token-env or --admin-token-file, not both")
    if variable:
        if not os.environ.get(variable):
            raise ConfigurationError(f"--admin-token-env {variable}: the variable is not set")
        return _require_token(os.environ[variable], f"--admin-token-env {variable}")
    if file:
        try:
            return _require_token(read_named_file(file).decode().strip(), f"--admin-token-file {file}")
        except UnicodeDecodeError:
            raise ConfigurationError(f"--admin-token-file {file}: not a text") from None
    return token_urlsafe(24) if settings.get("admin") else ""


def _require_token(token: str, source: str) -> str:
    if len(token) < _MIN_TOKEN_LENGTH or not (token.isascii() and token.isprintable() and " " not in token):
        raise ConfigurationError(
            f"{source}: the token needs at least {_MIN_TOKEN_LENGTH} characters of printable ASCII without spaces"
        )
    return token


def _exchange_reloader(services: Services) -> Callable[[], None] | None:
    """A function that reloads changed exchange files and logs it."""
    folder = services.exchange_folder
    if folder is None:
        return None

    from mockserver.server.stubs.exchange_folder import ExchangeReloader

    sessions = services.sessions

    prepare, use = sessions.prepare_exchanges, sessions.use_prepared_exchanges
    return ExchangeReloader(folder, prepare, use, services.access_log.add).start


def build_services(keys: tuple[str, ...], quiet: bool, **settings: Any) -> Services:
    """Build the services that the options of `serve` describe; MockServerError if an option is unusable."""
    from mockserver.server.access import ApiKeys
    from mockserver.server.http.access_log import AccessLog, open_access_log
    from mockserver.server.http.services import Services
    from mockserver.server.state.journal import DisabledJournal
    from mockserver.server.state.sessions import (
        MAX_COUNTED_REQUESTS,
        AnyModel,
        open_session,
        set_structured_output,
    )
    from mockserver.server.state.store import MemoryStore
    from mockserver.server.stubs.document_problems import problem_finder
    from mockserver.server.stubs.exchange_folder import ExchangeFolder

    use_token_counts(settings.get("token_counts") or TOKEN_COUNTS[0])
    settings["profile"] = resolve_profile_name(settings["profile"])
    load_profile(settings["profile"])
    models, token, size = settings["model"], _admin_token(settings), settings["store_size"]
    find_problems = problem_finder(settings["profile"], settings["rendering"])
    folder = ExchangeFolder(settings["exchanges"], find_problems) if settings["exchanges"] else None
    session = open_session(
        profile=settings["profile"],
        rendering=settings["rendering"],
        seed=settings["seed"],
        models=AnyModel() if "any" in models else frozenset(models) or None,
        user_exchanges=folder.exchanges if folder else (),
        max_counted_requests=max(MAX_COUNTED_REQUESTS, 2 * (size or 0)),
    )
    set_structured_output(session, settings["structured_output"] or "")
    if settings.get("load"):
        _require_no_journal_options(settings)
        session.journal = DisabledJournal()
    session.strict = session.strict_from_start = bool(settings.get("strict"))
    session.whole_arguments = settings["function_arguments"] == "whole"
    _configure_delivery_and_limits(session, settings)
    if shares_store(settings):
        require_shareable(settings)
        session.share_store(
            open_checked_store(settings["store"], size), shares_seed=settings["seed"] is not None
        )
    store: Store = session.shared_store or (MemoryStore(size) if size else MemoryStore())
    services = Services(
        default_session=session,
        store=store,
        keys=ApiKeys(keys),
        hosts=allowed_hosts(settings, is_controllable=bool(token or settings.get("console"))),
        access_log=AccessLog()
        if quiet or settings.get("load")
        else open_access_log(sys.stderr, _choose_log_format(settings)),
        mock_headers=settings["allow_mock_headers"],
        max_body=parse_body_size(settings["max_body"]),
        stream_errors=settings["stream_errors"] or "",
        admin_token=token,
        console=build_console() if settings.get("console") else None,
        exchange_folder=folder,
    )
    if (fallback := build_fallback(settings)) is not None:
        fallback.serve(services)
    return services


def _choose_log_format(settings: Mapping[str, Any], worker: int | None = None) -> LogFormat | None:
    """The format of the log, with the number of the worker that writes it; None: the usual line."""
    from mockserver.server.http.access_log import number_lines

    if settings.get("log_format") != "json" and not settings.get("verbose"):
        return None if worker is None else number_lines(None, worker)
    from mockserver.server.http.log_formats import format_json, format_verbose

    if settings.get("log_format") == "json" and settings.get("verbose"):
        raise ConfigurationError("--verbose and --log-format json exclude each other")
    if settings.get("verbose"):
        return format_verbose if worker is None else number_lines(format_verbose, worker)
    return format_json if worker is None else partial(format_json, worker=worker)


def build_console() -> ConsoleAccess:
    """Access to a console, with a new link."""
    from mockserver.server.console import ConsoleAccess

    return ConsoleAccess()


def _configure_delivery_and_limits(session: Session, settings: Mapping[str, Any]) -> None:
    from mockserver.server.delivery.faults import parse_fault
    from mockserver.server.delivery.options import Delivery
    from mockserver.server.output_lengths import parse_output_tokens

    if settings.get("limit"):
        from mockserver.server.state.rate_limits import RateLimiter, parse_limits

        limits = parse_limits(settings["limit"])
        session.limiter = RateLimiter(limits) if limits else None
    session.faults = tuple(parse_fault(each) for each in settings.get("fault", ()))
    session.delivery = Delivery(pace=settings.get("pace"), chunking=_choose_chunking(settings))
    session.output_length = parse_output_tokens(settings.get("output_tokens") or "usual")


def _choose_chunking(settings: Mapping[str, Any]) -> str:
    if settings.get("chunking"):
        return str(settings["chunking"])
    # With a pace, a client measures when each event arrives.
    return "coalesced" if settings.get("load") and settings.get("pace") == "none" else "event"


def _require_no_journal_options(settings: Mapping[str, Any]) -> None:
    """Raise ConfigurationError for an option that shows or reports what --load does not keep."""
    for name in ("console", "fallback", "report", "verbose"):
        if settings.get(name):
            raise ConfigurationError(f"--load keeps no requests, which --{name} needs")


def _run_server(
    services: Services,
    listeners: Sequence[socket.socket],
    url_file: Path | None,
    settings: Mapping[str, Any],
    store_notes: Sequence[str],
) -> int:
    """Serve until a signal; return the exit status. `store_notes` are lines for the banner."""
    with paused_collection():
        from mockserver.ids import IdSource
        from mockserver.server.http.access_log import open_access_log
        from mockserver.server.http.app import App
        from mockserver.server.http.cors import allow_origins
        from mockserver.server.http.uvicorn_runner import run_forever

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

    def run_worker(
        number: int,
        on_start: Callable[[], None],
        install_stop: InstallStop,
        was_parent_killed: Callable[[], bool],
    ) -> None:
        if settings["seed"] is None:
            services.default_session.ids = IdSource()  # random: two workers must not draw the same ids
        if not (settings["quiet"] or settings["load"]):
            services.access_log = open_access_log(sys.stderr, _choose_log_format(settings, number))
        with removed_by_last_worker(settings["temporary_folders"], was_parent_killed):
            run(on_start, install_stop)

    def announce() -> None:
        _announce(services, listeners, url_file, settings, store_notes)

    if settings["workers"] == 1:
        run(announce)
        return 0
    from mockserver.server.http.background_stream import background_output, require_written
    from mockserver.server.http.workers import run_workers

    def announce_workers() -> None:
        with background_output():  # the banner, too, waits for no reader
            announce()
            require_written(sys.stdout)

    return run_workers(settings["workers"], run_worker, announce_workers, partial(_log_line, settings))


async def _end_services(services: Services) -> None:
    """Wait for the checks of what the fallback answered, for the log and the report, and close the store."""
    if services.fallback is not None:
        await services.fallback.wait_until_idle()
    await services.store.close()


def _log_line(settings: Mapping[str, Any], line: str) -> None:
    """Write a line of the process that runs the workers to the log."""
    from mockserver.server.http.access_log import format_lines
    from mockserver.server.http.background_stream import write_or_give_up

    to_texts = _choose_log_format(settings) or format_lines
    write_or_give_up(sys.stderr, f"{to_texts([line], time.time())[0]}\n")


def _announce(
    services: Services,
    listeners: Sequence[socket.socket],
    url_file: Path | None,
    settings: Mapping[str, Any],
    store_notes: Sequence[str],
) -> None:
    """Print the banner and write the URL file."""
    from mockserver.server.http.banner import startup_banner
    from mockserver.server.http.uvicorn_runner import listener_url

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
        if services.admin_token and _admin_token_source(settings) is None:
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


def _admin_token_source(settings: Mapping[str, Any]) -> str | None:
    """The variable or file that has the admin API's token; None if the token is a new one."""
    source = settings["admin_token_env"] or settings["admin_token_file"]
    return None if source is None else str(source)


def _admin_notes(services: Services, url: str, settings: Mapping[str, Any]) -> list[str]:
    """Lines of the banner: where the admin API is, and its token only if it is a new one."""
    token = services.admin_token
    if not token:
        return []
    if source := _admin_token_source(settings):
        return [f"admin      {url}/_mock/  x-mock-admin-token: as in {source}"]
    command = f"curl {url}/_mock/stubs -H 'x-mock-admin-token: {token}' -d '{{\"reply\": \"Hello\"}}'"
    return [f"admin      {url}/_mock/  x-mock-admin-token: {token}", f"           try {command}"]
