"""`mockserver diff`: what changed in the contract between two recordings, reports or profiles."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mockserver.cli.errors import exit_with_error
from mockserver.cli.options import option
from mockserver.errors import ConfigurationError, InvalidJSON, MockServerError
from mockserver.profiles import LATEST, profile_names, resolve_profile_name
from mockserver.suggestions import choose_from
from mockserver.wire import json

if TYPE_CHECKING:
    from mockserver.recordings.diff.changes import Change

__all__ = ["diff"]


@click.command()
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
@option("style", "--format", type=click.Choice(["text", "json"]), default="text", help="Output format.")
@option(
    "--fail-on",
    type=click.Choice(["breaking", "warning", "info"]),
    default="breaking",
    help="Mildest change that causes exit status 1.",
)
def diff(before: str, after: str, style: str, fail_on: str) -> None:
    """Show what changed in the contract between two recordings, reports or profiles.

    A and B are both folders or files of recordings, both JSON reports of `mockserver verify`, or both names
    of profiles. Compares structure, types, order, id forms, statuses, rules and tools, but not texts.

    Exit status: 0 no change at or above --fail-on; 1 at least one; 2 unusable arguments.
    """
    from mockserver.recordings.diff.formats import changes_json, changes_text, reaches_severity

    try:
        compared, changes = _compare(before, after)
    except MockServerError as error:
        exit_with_error(str(error), 2)
    text = changes_text(changes) if style == "text" else changes_json(changes, before, after, compared)
    sys.stdout.buffer.write(text.encode(sys.stdout.encoding or "utf-8", "backslashreplace"))
    sys.stdout.flush()
    raise SystemExit(int(reaches_severity(changes, fail_on)))


def _compare(before: str, after: str) -> tuple[str, list[Change]]:
    kinds = [_argument_kind(each) for each in (before, after)]
    if kinds[0] != kinds[1]:
        raise ConfigurationError(f"cannot compare {before} ({kinds[0]}) with {after} ({kinds[1]})")
    if kinds[0] == "a profile":
        from mockserver.recordings.diff.profiles import profile_changes

        return "profiles", profile_changes(resolve_profile_name(before), resolve_profile_name(after))
    if kinds[0] == "a report":
        from mockserver.recordings.diff.verification_reports import read_verification_report, report_changes

        return "reports", report_changes(
            read_verification_report(Path(before)), read_verification_report(Path(after))
        )
    from mockserver.recordings.diff.recordings import recording_changes
    from mockserver.recordings.recording_folder import load_recordings

    return "recordings", recording_changes(load_recordings(Path(before)), load_recordings(Path(after)))


def _argument_kind(name: str) -> str:
    """What an argument names; a file or folder wins over a profile of the same name."""
    from mockserver.recordings.diff.verification_reports import is_verification_report

    path = Path(name)
    if path.is_dir():
        return "a recording"
    if not path.exists():
        if name == LATEST or name in profile_names():
            return "a profile"
        raise ConfigurationError(
            f"{name} is neither a file nor a profile{choose_from(name, (LATEST, *profile_names()))}"
        )
    try:
        return "a report" if is_verification_report(json.loads(path.read_bytes())) else "a recording"
    except (OSError, InvalidJSON) as error:
        raise ConfigurationError(f"cannot read {name}: {error}") from None
