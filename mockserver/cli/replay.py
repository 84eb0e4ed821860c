"""`mockserver replay`: serve recordings, the same bytes at the same pace or at once."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mockserver.cli.errors import exit_with_error
from mockserver.cli.listener import open_listener, require_writable_url_file, write_url_file
from mockserver.cli.options import option
from mockserver.errors import MockServerError
from mockserver.profiles import load_profile, resolve_profile_name

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from mockserver.exchanges import Exchange
    from mockserver.profiles import Profile
    from mockserver.recordings.replay import RecordingPlayer

__all__ = ["replay"]

AUTO = "auto"


@click.command()
@click.argument("recordings", type=click.Path(exists=True, path_type=Path), metavar="DIR")
@option("--speed", default="instant", help="realtime, instant, or a factor: 2x is twice as fast as it came.")
@option("--port", default=8080, type=click.IntRange(0, 65535), help="Port to listen on; 0: a free one.")
@option(
    "--url-file", type=click.Path(dir_okay=False, path_type=Path), help="Write the base URL to this file."
)
@option("--profile", default=AUTO, help="The age to judge requests by; auto: that of the recordings.")
@option("--once", is_flag=True, help="Give each recording once; else the last of a request is repeated.")
@option("--max-age", default=30, type=click.IntRange(0), metavar="DAYS", help="Warn of older recordings.")
@option("--quiet", is_flag=True, help="No line for each request.")
def replay(recordings: Path, port: int, url_file: Path | None, quiet: bool, **options: Any) -> None:
    """Serve recordings: the same bytes, at the same pace or at once.

    DIR is a folder that `mockserver record` wrote, or one of its files. The n-th of the same request gets
    the n-th recording of it; one that was not recorded is refused, and told what the nearest was. Any key
    will do.
    """
    from mockserver.recordings.playback_queue import PlaybackQueue
    from mockserver.recordings.recording_folder import load_recordings
    from mockserver.recordings.recording_warnings import recording_warnings
    from mockserver.recordings.replay import RecordingPlayer, client_base_paths, parse_speed

    try:
        found = load_recordings(recordings)
        age = _choose_profile(found, options["profile"])
        playback = RecordingPlayer(PlaybackQueue(found, once=options["once"]), parse_speed(options["speed"]))
    except MockServerError as error:
        exit_with_error(str(error), 2)
    require_writable_url_file(url_file)
    for line in recording_warnings(found, age.name, options["max_age"]):
        print(f"mockserver: warning: {line}", file=sys.stderr, flush=True)
    bases = client_base_paths(found, age)
    told = f"{len(found)} recordings ({options['speed']}), judged as {age.name}"
    _serve_recordings(
        playback,
        age,
        bases,
        open_listener("127.0.0.1", port),
        lambda url: _announce(url, told, url_file),
        quiet,
    )
    if unplayed := len(playback.queue.unplayed):
        print(f"mockserver: {unplayed} of {len(found)} recordings were not asked for", file=sys.stderr)


def _serve_recordings(
    player: RecordingPlayer,
    profile: Profile,
    base_paths: tuple[str, ...],
    listener: socket.socket,
    announce: Callable[[str], None],
    quiet: bool,
) -> None:
    from mockserver.recordings.replay import ReplayApp
    from mockserver.server.http.access_log import AccessLog
    from mockserver.server.http.uvicorn_runner import listener_url, run_forever
    from mockserver.server.state.journal import Journal

    logbook = AccessLog(None if quiet else sys.stderr)
    app = ReplayApp(player, profile, base_paths, Journal(), on_entry=logbook.add)
    try:
        run_forever(app, listener, lambda: announce(listener_url(listener) + base_paths[0]))
    finally:
        logbook.flush()


def _choose_profile(recordings: Sequence[Exchange], option: str) -> Profile:
    """The profile that is asked for, else that of most recordings."""
    if option != AUTO:
        return load_profile(resolve_profile_name(option))
    named = Counter(each.profile for each in recordings if each.profile)
    return load_profile(named.most_common(1)[0][0]) if named else load_profile()


def _announce(base_url: str, description: str, url_file: Path | None) -> None:
    lines = [
        f"Replaying {description}",
        f"  base URL   {base_url}",
        "",
        "  export OPENAI_API_KEY=sk-mock",
        f"  export OPENAI_BASE_URL={base_url}",
        "",
        "Ctrl-C stops it.",
    ]
    print("\n".join(lines), flush=True)
    if url_file is not None:
        write_url_file(url_file, base_url)
