"""`mockserver replay`: serve recordings with the same bytes, at once or at the recorded pace."""

from __future__ import annotations

import os
import sys
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mockserver.cli.credentials import read_api_keys
from mockserver.cli.errors import exit_with_problems, problem_lines
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
    IntegerRange,
    key_options,
    mask_option,
    max_body_option,
    network_options,
    option,
    port_and_url_file_options,
    read_only_console_option,
)
from mockserver.cli.output.terminal import with_progress
from mockserver.errors import MockServerError
from mockserver.network import no_proxy_exports
from mockserver.profiles import load_profile, resolve_profile_name
from mockserver.settings import parse_body_size
from mockserver.wire.masks import configured_masks
from mockserver.wire.terminal import escape_unprintable

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping, Sequence

    from mockserver.exchanges import Exchange
    from mockserver.profiles import Profile
    from mockserver.recordings.playback_queue import PlaybackQueue
    from mockserver.recordings.replay import RecordingPlayer
    from mockserver.server.http.access_log import AccessLog

__all__ = ["replay"]

AUTO = "auto"


@click.command()
@click.argument("recordings", type=click.Path(exists=True, path_type=Path), metavar="DIR")
@option("--speed", default="instant", help="realtime, instant, or a factor: 2x is twice as fast as recorded.")
@network_options
@key_options
@port_and_url_file_options
@option(
    "--profile",
    default=AUTO,
    shell_complete=complete_profiles,
    help="Profile to check requests against; auto: that of the recordings.",
)
@option("--once", is_flag=True, help="Play each recording once; otherwise the last of a request repeats.")
@option("--max-age", default=30, type=IntegerRange(0), metavar="DAYS", help="Warn about older recordings.")
@mask_option
@max_body_option
@read_only_console_option
@option("--quiet", is_flag=True, help="Print no line for each request.")
def replay(recordings: Path, port: int, url_file: Path | None, **options: Any) -> None:
    """Serve recordings with the same bytes, at once or at the recorded pace.

    DIR is a folder that `mockserver record` wrote, or one of its files. The n-th occurrence of a request gets
    its n-th recording. A request that was not recorded gets an error that names the nearest recording. Any
    API key is accepted unless you name one.
    """
    from mockserver.recordings.recording_folder import load_recordings

    try:
        keys = read_api_keys(options["api_key"], options["api_key_env"])
        require_key(options["host"], has_key=bool(keys), remedy="add --api-key or --api-key-env")
        options["hosts"] = allowed_hosts(options, is_controllable=options["console"])
        options["max_body"] = parse_body_size(options["max_body"])
        exchanges = load_recordings(recordings, partial(with_progress, verb="reading"))
        profile = _choose_profile(exchanges, options["profile"])
        player = _build_player(exchanges, options)
    except MockServerError as error:
        exit_with_problems(problem_lines(error), 2)
    require_writable_url_file(url_file)
    _print_warnings(exchanges, profile, options["max_age"])
    _run_replay(player, profile, keys, open_listeners(options["host"], port), url_file, options)
    _report_unplayed(player.queue)


def _choose_profile(recordings: Sequence[Exchange], option: str) -> Profile:
    """The profile of --profile, or that of most recordings."""
    if option != AUTO:
        return load_profile(resolve_profile_name(option))
    counts = Counter(each.profile for each in recordings if each.profile)
    return load_profile(counts.most_common(1)[0][0]) if counts else load_profile()


def _build_player(recordings: Sequence[Exchange], options: Mapping[str, Any]) -> RecordingPlayer:
    from mockserver.recordings.playback_queue import PlaybackQueue
    from mockserver.recordings.replay import RecordingPlayer, parse_speed

    queue = PlaybackQueue(recordings, once=options["once"], masks=configured_masks())
    return RecordingPlayer(queue, parse_speed(options["speed"]))


def _print_warnings(recordings: Sequence[Exchange], profile: Profile, max_age: int) -> None:
    from mockserver.recordings.recording_warnings import recording_warnings

    for line in recording_warnings(recordings, profile.name, max_age):
        print(f"mockserver: warning: {escape_unprintable(line)}", file=sys.stderr, flush=True)


def _run_replay(
    player: RecordingPlayer,
    profile: Profile,
    keys: tuple[str, ...],
    listeners: Sequence[socket.socket],
    url_file: Path | None,
    options: Mapping[str, Any],
) -> None:
    """Serve until a signal."""
    from mockserver.recordings.replay import client_base_paths
    from mockserver.server.http.access_log import AccessLog, open_access_log
    from mockserver.server.http.cors import allow_origins
    from mockserver.server.http.listeners import listener_url
    from mockserver.server.http.uvicorn_server.server import run_forever

    recordings = player.queue.recordings
    base_paths = client_base_paths(recordings, profile)
    access_log = AccessLog() if options["quiet"] else open_access_log(sys.stderr)
    app = _build_app(player, profile, base_paths, keys, access_log, options)

    def announce() -> None:
        url, notes = listener_url(listeners[0]), other_url_notes(listeners)
        if options["console"]:
            notes.append(f"console    {app.access.link(url)}")
        description = f"{len(recordings)} recordings ({options['speed']}), profile {profile.name}"
        print(_banner(url + base_paths[0], description, notes, accepts_any_key=not keys), flush=True)
        if url_file is not None:
            write_url_file(url_file, url + base_paths[0])

    try:
        run_forever(allow_origins(app, options["hosts"]), listeners, announce, log=access_log.add)
    finally:
        access_log.close()


def _build_app(
    player: RecordingPlayer,
    profile: Profile,
    base_paths: Sequence[str],
    keys: tuple[str, ...],
    access_log: AccessLog,
    options: Mapping[str, Any],
) -> Any:
    """The application that plays recordings, with the console if it is asked for."""
    from mockserver.recordings.replay import ReplayApp
    from mockserver.server.access import ApiKeys
    from mockserver.server.state.journal import Journal

    journal, hosts = Journal(), options["hosts"]
    app = ReplayApp(
        player,
        profile,
        base_paths,
        journal,
        keys=ApiKeys(keys),
        hosts=hosts,
        on_entry=access_log.add,
        max_body=options["max_body"],
    )
    if not options["console"]:
        return app
    from mockserver.server.console.observed_app import ObservedApp

    return ObservedApp(app, journal, profile, hosts)


def _report_unplayed(queue: PlaybackQueue) -> None:
    """Print how many recordings were not played, if there are any."""
    from mockserver.server.http.background_stream import write_or_give_up

    if count := len(queue.unplayed):
        line = f"mockserver: {count} of {len(queue.recordings)} recordings were not played\n"
        write_or_give_up(sys.stderr, line)


def _banner(base_url: str, description: str, notes: Sequence[str], *, accepts_any_key: bool) -> str:
    lines = [
        f"Replaying {description}",
        f"  base URL   {base_url}",
        *(f"  {note}" for note in notes),
        "",
        f"  export OPENAI_API_KEY={'sk-mock' if accepts_any_key else '…    # a key that you named'}",
        f"  export OPENAI_BASE_URL={base_url}",
        *(f"  {line}" for line in no_proxy_exports(os.environ, base_url)),
        "",
        "Press Ctrl-C to stop.",
    ]
    return "\n".join(lines)
