"""`mockserver record`: pass on what clients ask an endpoint, judge it, and keep it as files."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from mockserver.cli.errors import exit_with_error
from mockserver.cli.listener import open_listener, require_writable_url_file, write_url_file
from mockserver.cli.options import option
from mockserver.cli.output.capture_log import CaptureLog
from mockserver.contract.findings import Severity
from mockserver.errors import ConfigurationError, MockServerError

if TYPE_CHECKING:
    from mockserver.live.endpoint import Endpoint
    from mockserver.live.relay import Relay
    from mockserver.profiles import Profile
    from mockserver.recordings.recorder import Recorder

__all__ = ["record"]

AUTO = "auto"

#: Seconds after which a thread makes room for another.
_THREAD_SWITCH_SECONDS = 0.0005


@click.command()
@option("--upstream", required=True, metavar="URL", help="The base URL of the endpoint to ask.")
@option(
    "--out",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="The folder that the recordings go to.",
)
@option("--port", default=8080, type=click.IntRange(0, 65535), help="Port to listen on; 0: a free one.")
@option(
    "--url-file", type=click.Path(dir_okay=False, path_type=Path), help="Write the base URL to this file."
)
@option("--profile", default=AUTO, help="The age to judge by; auto: as the path of the URL tells.")
@option(
    "--upstream-key-env",
    default=None,
    metavar="NAME",
    help="The variable that holds the endpoint's key; without it, clients have the key themselves.",
)
@option("--api-key", multiple=True, show_default=False, help="What clients present instead of that key.")
@option("--allow-http", multiple=True, metavar="HOST", help="A host that may be asked over plain http.")
@option("--allow-header", multiple=True, metavar="NAME", help="Another header that passes, both ways.")
@option("--mask", multiple=True, metavar="POINTER", help="A member of requests to mask, like /metadata/user.")
@option(
    "--fail-on",
    type=click.Choice(["never", *[each.value for each in Severity]]),
    default="never",
    help="The mildest finding that makes the exit status 1.",
)
@option("--quiet", is_flag=True, help="No line for each request.")
def record(upstream: str, out: Path, port: int, url_file: Path | None, **options: Any) -> None:
    """Pass on what clients ask an endpoint, judge it, and keep it as files.

    Nothing is buffered, repeated or followed. Clients are pointed at the base URL that is printed; their key
    goes to the endpoint, and nowhere else: no file, log or error has it. `mockserver replay DIR` plays the
    recordings. Ctrl-C ends it.

    Exit status: 0; 1 where something was found at or above --fail-on; 2 unusable options.
    """
    from mockserver.live.endpoint import api_key_from_env, parse_endpoint

    try:
        name = options["upstream_key_env"]
        key = api_key_from_env(os.environ, name) if name else ""
        place = parse_endpoint(upstream, key, name or "DASHSCOPE_API_KEY", options["allow_http"])
        profile = _choose_profile(place, options["profile"])
        require_writable_url_file(url_file)
        listener = open_listener("127.0.0.1", port)
        raise SystemExit(_run_recorder(place, profile, out, listener, url_file, options))
    except MockServerError as error:
        exit_with_error(str(error), 2)


def _choose_profile(endpoint: Endpoint, option: str) -> Profile:
    from mockserver.live.verification import profiles_for_path
    from mockserver.profiles import DEFAULT_PROFILE, load_profile, resolve_profile_name

    if option != AUTO:
        return load_profile(resolve_profile_name(option))
    found = profiles_for_path(endpoint.base_url)
    return found[-1] if found else load_profile(DEFAULT_PROFILE)


def _run_recorder(
    endpoint: Endpoint,
    profile: Profile,
    folder: Path,
    listener: socket.socket,
    url_file: Path | None,
    options: dict[str, Any],
) -> int:
    from mockserver.recordings.recording_folder import create_folder
    from mockserver.server.http.uvicorn_runner import listener_url, run_forever

    keys = options["api_key"] or (f"record-{token_hex(16)}",)
    path = urlsplit(endpoint.base_url).path
    summary = CaptureLog(folder, quiet=options["quiet"])
    relay, recorder = _build_relay(endpoint, profile, folder, keys, summary, options)
    create_folder(folder)
    relay.warm_up()
    # Judging goes on beside the answers: what waits to be passed on is not to wait long for its turn.
    sys.setswitchinterval(_THREAD_SWITCH_SECONDS)

    def announce() -> None:
        base_url = listener_url(listener) + path
        print(_banner(base_url, endpoint, profile, folder, keys[0] if endpoint.api_key else None), flush=True)
        if url_file is not None:
            write_url_file(url_file, base_url)

    try:
        run_forever(relay, listener, announce)
    finally:
        recorder.close()
    sys.stderr.write(summary.summary_text())
    if recorder.internal_errors:
        exit_with_error(
            f"internal errors, and as many recordings less: {', '.join(recorder.internal_errors)}", 2
        )
    return int(summary.reaches_severity(options["fail_on"]))


def _build_relay(
    endpoint: Endpoint,
    profile: Profile,
    folder: Path,
    keys: tuple[str, ...],
    capture_log: CaptureLog,
    options: dict[str, Any],
) -> tuple[Relay, Recorder]:
    """The pass-through, and what takes what passes; ConfigurationError."""
    from mockserver.live.budgeted_client import Budget
    from mockserver.live.client import Timeouts
    from mockserver.live.relay import Relay, RelayOptions
    from mockserver.recordings.canonical_requests import parse_mask
    from mockserver.recordings.recorder import Recorder
    from mockserver.server.state.journal import Journal

    door = RelayOptions(
        urlsplit(endpoint.base_url).path,
        forward_keys=not endpoint.api_key,
        forward_redirects=True,
        extra_headers=_parse_header_names(options["allow_header"]),
        check_traffic=False,
    )
    masks = [parse_mask(each) for each in options["mask"]]
    boundless = Budget(sys.maxsize, sys.maxsize)
    relay = Relay(endpoint, profile, keys, boundless, Timeouts(600, 300), Journal(), options=door)
    secrets = keys if endpoint.api_key else ()
    recorder = Recorder(folder, endpoint.base_url, profile, masks, capture_log.add, secrets)
    relay.listener = recorder
    return relay, recorder


def _parse_header_names(option_values: tuple[str, ...]) -> frozenset[bytes]:
    """Headers that pass, too; ConfigurationError for those that are written anew for each connection."""
    never = {
        "authorization",
        "host",
        "cookie",
        "set-cookie",
        "connection",
        "transfer-encoding",
        "te",
        "upgrade",
    }
    names = {each.strip().lower() for each in option_values}
    for name in sorted(names):
        if name in never or not name.replace("-", "").isalnum() or not name.isascii():
            raise ConfigurationError(f"--allow-header {name!a}: no header that can be passed on")
    return frozenset(name.encode() for name in names)


def _banner(base_url: str, endpoint: Endpoint, profile: Profile, folder: Path, key: str | None) -> str:
    lines = [
        f"Recording {endpoint.base_url} to {folder}, judged as {profile.name}",
        f"  base URL   {base_url}",
        f"  keys       {'of clients, passed on' if key is None else f'that of {endpoint.api_key_env}, added'}",
        "",
        f"  export OPENAI_BASE_URL={base_url}",
    ]
    if key is not None:
        lines.append(f"  export OPENAI_API_KEY={key}")
    return "\n".join([*lines, "", "Ctrl-C stops it."])
