"""`mockserver record`: pass on what clients ask an endpoint, judge it, and keep it as files."""

from __future__ import annotations

import os
import socket
import sys
from collections import Counter
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from mockserver.cli.listening import listen, url_written
from mockserver.cli.options import option
from mockserver.cli.settings import give_up
from mockserver.contract.findings import Severity
from mockserver.contract.words import lines_of, plain
from mockserver.errors import ConfigurationError, MockServerError
from mockserver.wire.redaction import redact

if TYPE_CHECKING:
    from mockserver.live.origin import Origin
    from mockserver.profiles import Profile
    from mockserver.recordings.recorder import Told

__all__ = ["record"]

AUTO = "auto"

#: Seconds after which a thread makes room for another.
_SWITCH_SECONDS = 0.0005


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
    from mockserver.live.origin import origin, required_key

    try:
        name = options["upstream_key_env"]
        key = required_key(os.environ, name) if name else ""
        place = origin(upstream, key, name or "DASHSCOPE_API_KEY", options["allow_http"])
        profile = _profile(place, options["profile"])
        listener = listen("127.0.0.1", port)
        raise SystemExit(_record(place, profile, out, listener, url_file, options))
    except MockServerError as error:
        give_up(str(error), 2)


def _profile(place: Origin, asked: str) -> Profile:
    from mockserver.live.verify import profile_of_path
    from mockserver.profiles import DEFAULT_PROFILE, LATEST, latest_profile, load_profile

    if asked != AUTO:
        return load_profile(latest_profile() if asked == LATEST else asked)
    found = profile_of_path(place.base_url)
    return found[-1] if found else load_profile(DEFAULT_PROFILE)


def _record(
    place: Origin,
    profile: Profile,
    out: Path,
    listener: socket.socket,
    url_file: Path | None,
    options: dict[str, Any],
) -> int:
    from mockserver.live.asking import Budget
    from mockserver.live.client import Limits
    from mockserver.live.relay import Door, Relay
    from mockserver.recordings.cleaning import parse_mask
    from mockserver.recordings.folder import made
    from mockserver.recordings.recorder import Recorder
    from mockserver.server.journal import Journal
    from mockserver.server.runner import run_forever, url_of

    masks = [parse_mask(each) for each in options["mask"]]
    keys = options["api_key"] or (f"record-{token_hex(16)}",)
    made(out)
    summary = _Summary(out, quiet=options["quiet"])
    door = Door(
        urlsplit(place.base_url).path,
        passes_keys=not place.key,
        passes_redirects=True,
        headers=_names(options["allow_header"]),
        judges=False,
    )
    relay = Relay(
        place, profile, keys, Budget(sys.maxsize, sys.maxsize), Limits(600, 300), Journal(), door=door
    )
    relay.taker = recorder = Recorder(
        out, place.base_url, profile, masks, summary.tell, () if door.passes_keys else keys
    )

    relay.warm()
    # Judging goes on beside the answers: what waits to be passed on is not to wait long for its turn.
    sys.setswitchinterval(_SWITCH_SECONDS)

    def announce() -> None:
        base_url = url_of(listener) + (door.base_path or "")
        print(_banner(base_url, place, profile, out, None if door.passes_keys else keys[0]), flush=True)
        if url_file is not None:
            url_written(url_file, base_url)

    try:
        run_forever(relay, listener, announce)
    finally:
        recorder.close()
    sys.stderr.write(summary.text())
    if recorder.defects:
        give_up(f"internal errors, and as many recordings less: {', '.join(recorder.defects)}", 2)
    return int(summary.breaks(options["fail_on"]))


def _names(given: tuple[str, ...]) -> frozenset[bytes]:
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
    names = {each.strip().lower() for each in given}
    for name in sorted(names):
        if name in never or not name.replace("-", "").isalnum() or not name.isascii():
            raise ConfigurationError(f"--allow-header {name!a}: no header that can be passed on")
    return frozenset(name.encode() for name in names)


def _banner(base_url: str, place: Origin, profile: Profile, out: Path, key: str | None) -> str:
    lines = [
        f"Recording {place.base_url} to {out}, judged as {profile.name}",
        f"  base URL   {base_url}",
        f"  keys       {'of clients, passed on' if key is None else f'that of {place.key_name}, added'}",
        "",
        f"  export OPENAI_BASE_URL={base_url}",
    ]
    if key is not None:
        lines.append(f"  export OPENAI_API_KEY={key}")
    return "\n".join([*lines, "", "Ctrl-C stops it."])


class _Summary:
    """A line for each request as it is over, and what all came to."""

    def __init__(self, out: Path, *, quiet: bool) -> None:
        self._out = out
        self._quiet = quiet
        self._count = 0
        self._files = 0
        self._found: Counter[tuple[str, str, str]] = Counter()
        self._troubles: Counter[str] = Counter()
        self._severities: Counter[Severity] = Counter()

    def tell(self, told: Told) -> None:
        """Take note of a request, and print what was found."""
        self._count += 1
        self._files += told.file is not None
        if told.trouble:
            self._troubles[told.trouble] += 1
        for finding in told.findings:
            self._severities[finding.severity] += 1
            message = redact(finding.message, told.secrets)
            self._found[finding.severity.value, finding.rule, message] += 1
        if self._quiet:
            return
        name = told.file.name if told.file else "-"
        first = "" if told.first is None else f" first byte {told.first * 1000:.0f} ms,"
        line = f"{told.method} {told.path} {told.status or '-'}{first} {told.seconds * 1000:.0f} ms  {name}"
        lines = [line + (f"  ({told.trouble})" if told.trouble else "")]
        for finding in told.findings:
            if finding.severity is not Severity.INFO:
                lines += lines_of(finding)
        print(*(redact(plain(each), told.secrets) for each in lines), sep="\n", file=sys.stderr, flush=True)

    def text(self) -> str:
        """What all requests came to."""
        lines = [f"mockserver: {self._count} requests, {self._files} recordings in {self._out}"]
        lines += [f"  {what}: {count}" for what, count in sorted(self._troubles.items())]
        order = [each.value for each in Severity]
        found = sorted(self._found.items(), key=lambda each: (order.index(each[0][0]), each[0]))
        lines += [f"  {severity} {rule}: {plain(text)} ({count})" for (severity, rule, text), count in found]
        return "".join(f"{line}\n" for line in lines)

    def breaks(self, fail_on: str) -> bool:
        """Whether something was found that is bad enough."""
        if fail_on == "never":
            return False
        failing = list(Severity)[: list(Severity).index(Severity(fail_on)) + 1]
        return any(self._severities[each] for each in failing)
