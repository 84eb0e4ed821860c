"""`mockserver record`: forward requests to an endpoint, check both directions, and save them as recordings."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from mockserver.cli.errors import EXIT_INCOMPLETE, exit_with_error
from mockserver.cli.interrupts import signals_as_interrupt
from mockserver.cli.listener import (
    allowed_hosts,
    open_listeners,
    other_url_notes,
    require_key,
    require_writable_url_file,
    write_url_file,
)
from mockserver.cli.name_completions import complete_profiles
from mockserver.cli.options import (
    Choice,
    mask_option,
    max_body_option,
    network_options,
    option,
    port_and_url_file_options,
    read_only_console_option,
    upstream_options,
)
from mockserver.cli.output.capture_log import CaptureLog
from mockserver.cli.upstream import BUDGET_OPTIONS, parse_budget, parse_header_names, parse_upstream
from mockserver.contract.findings import Severity
from mockserver.errors import MockServerError
from mockserver.network import no_proxy_exports
from mockserver.settings import parse_body_size
from mockserver.wire.masks import configured_masks
from mockserver.wire.redaction import require_maskable_key

if TYPE_CHECKING:
    from mockserver.live.endpoint import Endpoint
    from mockserver.live.relay import Relay
    from mockserver.profiles import Profile
    from mockserver.recordings.recorder import Recorder
    from mockserver.server.state.journal import Entry

__all__ = ["record"]

AUTO = "auto"

#: Switch interval between threads, in seconds.
_THREAD_SWITCH_SECONDS = 0.0005

#: Seconds that the checks get to finish when the command stops.
_CHECK_SECONDS = 10.0
#: Seconds that the summary gets to be printed, in case nobody reads it.
_PRINT_SECONDS = 2.0

_NEVER = "never"


@click.command()
@option("--upstream", required=True, metavar="URL", help="Base URL of the endpoint.")
@option(
    "--out",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder for the recordings.",
)
@network_options
@port_and_url_file_options
@option(
    "--profile",
    default=AUTO,
    shell_complete=complete_profiles,
    help="Profile to check against; auto: detected from the path or the first reply.",
)
@option(
    "--api-key", multiple=True, show_default=False, help="Key that clients send instead of the endpoint's."
)
@upstream_options
@mask_option
@max_body_option
@option(
    "--fail-on",
    type=Choice([_NEVER, *[each.value for each in Severity]]),
    default=_NEVER,
    help="Mildest finding that causes exit status 1.",
)
@option(
    "--record-errors",
    is_flag=True,
    help="Record 401, 403, rate limits and 5xx even beside a good recording of the request.",
)
@read_only_console_option
@option("--quiet", is_flag=True, help="Print no line for each request.")
def record(upstream: str, out: Path, port: int, url_file: Path | None, **options: Any) -> None:
    """Forward requests to an endpoint, check both directions, and save them as recordings.

    Point clients at the printed base URL. Nothing is buffered, retried or redirected. The API key goes to the
    endpoint and nowhere else: no file, log or error contains it. Play the recordings with `mockserver replay
    DIR`. Stop with Ctrl-C.
    """
    try:
        for each in options["api_key"]:
            require_maskable_key(each, "--api-key")
        endpoint = parse_upstream(upstream, options)
        profile, options["is_detected"] = _choose_profile(endpoint, options["profile"])
        require_writable_url_file(url_file)
        remedy = "add --upstream-key-env, so that clients send a key of the recorder's own"
        require_key(options["host"], has_key=bool(endpoint.api_key), remedy=remedy)
        options["hosts"] = allowed_hosts(options, is_controllable=options["console"])
        listeners = open_listeners(options["host"], port)
        raise SystemExit(_run_recorder(endpoint, profile, out, listeners, url_file, options))
    except MockServerError as error:
        exit_with_error(str(error), 2)


def _choose_profile(endpoint: Endpoint, option: str) -> tuple[Profile, bool]:
    """(the profile, whether the first reply decides it)."""
    from mockserver.contract.detection import profiles_for_path
    from mockserver.profiles import DEFAULT_PROFILE, load_profile, resolve_profile_name

    if option != AUTO:
        return load_profile(resolve_profile_name(option)), False
    candidates = profiles_for_path(endpoint.base_url)
    return candidates[-1] if candidates else load_profile(DEFAULT_PROFILE), len(candidates) != 1


def _run_recorder(
    endpoint: Endpoint,
    profile: Profile,
    folder: Path,
    listeners: Sequence[socket.socket],
    url_file: Path | None,
    options: dict[str, Any],
) -> int:
    from mockserver.recordings.recording_folder import create_folder
    from mockserver.server.http.cors import allow_origins
    from mockserver.server.http.listeners import listener_url
    from mockserver.server.http.uvicorn_server.server import run_forever

    keys = options["api_key"] or (f"record-{token_hex(16)}",)
    path = urlsplit(endpoint.base_url).path
    summary = CaptureLog(folder, quiet=options["quiet"])
    relay = _build_relay(endpoint, profile, keys, options)
    recorder = relay.listener = _build_recorder(endpoint, profile, folder, keys, summary, options)
    create_folder(folder)
    relay.warm_up()
    # The recorder checks replies in a thread of its own; a short interval keeps the relay responsive.
    sys.setswitchinterval(_THREAD_SWITCH_SECONDS)

    app: Any = relay
    if options["console"]:
        from mockserver.server.console.observed_app import ObservedApp

        app = ObservedApp(relay, relay.journal, profile, options["hosts"])

    def announce() -> None:
        base_url = listener_url(listeners[0]) + path
        name = "of the first reply" if options["is_detected"] else profile.name
        notes = other_url_notes(listeners)
        if options["console"]:
            _show_in_console(recorder, relay)
            notes.append(f"console    {app.access.link(listener_url(listeners[0]))}")
        key = keys[0] if endpoint.api_key else None
        print(_banner(base_url, endpoint, name, folder, key, notes), flush=True)
        if url_file is not None:
            write_url_file(url_file, base_url)

    try:
        run_forever(
            allow_origins(app, options["hosts"]),
            listeners,
            announce,
            log=lambda line: summary.write(f"mockserver: {line}\n"),
        )
    finally:
        _stop_recorder(recorder, summary)
    return _exit_status(summary, options["fail_on"])


def _show_in_console(recorder: Recorder, relay: Relay) -> None:
    """Add what the recorder checks, in its own thread, to the journal that the console shows."""
    loop = asyncio.get_running_loop()

    def add_entry(entry: Entry) -> None:
        # RuntimeError: the server has stopped, and the last replies are being checked.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(relay.journal.add, entry)

    recorder.on_entry = add_entry


def _stop_recorder(recorder: Recorder, capture_log: CaptureLog) -> None:
    """Write what is not written and print the summary; another Ctrl-C cuts it short."""
    try:
        with signals_as_interrupt():
            count = recorder.unchecked_count
            if count:
                capture_log.write(f"mockserver: checking the last {count} replies; Ctrl-C stops this\n")
            recorder.close(_CHECK_SECONDS)
    except KeyboardInterrupt:
        recorder.abandon("interrupted")
    capture_log.finish(_PRINT_SECONDS)


def _exit_status(capture_log: CaptureLog, fail_on: str) -> int:
    if capture_log.reaches_severity(fail_on):
        return 1
    is_incomplete = capture_log.lost_count or (capture_log.unchecked_count and fail_on != _NEVER)
    return EXIT_INCOMPLETE if is_incomplete else 0


def _build_relay(
    endpoint: Endpoint, profile: Profile, keys: tuple[str, ...], options: dict[str, Any]
) -> Relay:
    """The server that forwards requests; the recorder checks them. Raises ConfigurationError."""
    from mockserver.live.client import Timeouts
    from mockserver.live.relay import Relay, RelayOptions
    from mockserver.server.state.journal import Journal

    relay_options = RelayOptions(
        urlsplit(endpoint.base_url).path,
        forward_keys=not endpoint.api_key,
        forward_redirects=True,
        extra_headers=parse_header_names(options["allow_header"]),
        max_body=parse_body_size(options["max_body"]),
        forward_unread=True,
        check_traffic=False,
        budget_options=BUDGET_OPTIONS,
    )
    return Relay(
        endpoint,
        profile,
        keys,
        parse_budget(options),
        Timeouts(600, 300),
        Journal(),
        options=relay_options,
        hosts=options["hosts"],
    )


def _build_recorder(
    endpoint: Endpoint,
    profile: Profile,
    folder: Path,
    keys: tuple[str, ...],
    capture_log: CaptureLog,
    options: dict[str, Any],
) -> Recorder:
    from mockserver.recordings.recorder import Recorder, RecorderOptions

    secrets = keys if endpoint.api_key else ()
    return Recorder(
        folder,
        endpoint.base_url,
        profile,
        RecorderOptions(
            configured_masks().as_options, secrets, options["is_detected"], options["record_errors"]
        ),
        capture_log.add,
        lambda choice: capture_log.write(f"mockserver: profile {choice.profile}, {choice.reason}\n"),
    )


def _banner(
    base_url: str, endpoint: Endpoint, profile: str, folder: Path, key: str | None, notes: Sequence[str]
) -> str:
    lines = [
        f"Recording {endpoint.base_url} to {folder}, profile {profile}",
        f"  base URL   {base_url}",
        f"  API key    {'sent by clients' if key is None else f'from {endpoint.api_key_env}'}",
        *(f"  {note}" for note in notes),
        "",
        f"  export OPENAI_BASE_URL={base_url}",
    ]
    if key is not None:
        lines.append(f"  export OPENAI_API_KEY={key}")
    lines += [f"  {line}" for line in no_proxy_exports(os.environ, base_url)]
    return "\n".join([*lines, "", "Press Ctrl-C to stop."])
