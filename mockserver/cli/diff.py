"""`mockserver diff`: what changed in the contract between two recordings, reports or profiles."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from mockserver.cli.errors import exit_with_error, exit_with_problems, problem_lines
from mockserver.cli.name_completions import complete_diff_arguments
from mockserver.cli.options import Choice, mask_option, option
from mockserver.cli.output.terminal import with_progress
from mockserver.errors import ConfigurationError, InvalidJSON, MockServerError
from mockserver.profiles import LATEST, profile_names, resolve_profile_name
from mockserver.regular_files import read_named_file
from mockserver.suggestions import choose_from
from mockserver.wire import json
from mockserver.wire.text_files import to_utf8

if TYPE_CHECKING:
    from mockserver.exchanges import Exchange
    from mockserver.recordings.diff.changes import Change

__all__ = ["diff"]


@click.command()
@click.argument("before", metavar="A", shell_complete=complete_diff_arguments)
@click.argument("after", metavar="B", shell_complete=complete_diff_arguments)
@option("style", "--format", type=Choice(["text", "json"]), default="text", help="Output format.")
@option(
    "--fail-on",
    type=Choice(["breaking", "warning", "info"]),
    default="breaking",
    help="Mildest change that causes exit status 1.",
)
@mask_option
def diff(before: str, after: str, style: str, fail_on: str) -> None:
    """Show what changed in the contract between two recordings, reports or profiles.

    A and B are both folders or files of recordings, both JSON reports of `mockserver verify`, or both names
    of profiles. Compares structure, types, order, id forms, statuses, rules and tools, but not texts.
    """
    from mockserver.recordings.diff.formats import changes_json, changes_text, reaches_severity

    try:
        comparison = _compare(before, after)
    except MockServerError as error:
        exit_with_problems(problem_lines(error), 2)
    changes = comparison.changes
    text = (
        changes_text(changes)
        if style == "text"
        else changes_json(changes, before, after, comparison.compared)
    )
    sys.stdout.buffer.write(text.encode(sys.stdout.encoding or "utf-8", "backslashreplace"))
    sys.stdout.flush()
    if not comparison.has_pairs:
        exit_with_error(f"nothing was compared: no request is in both {before} and {after}", 2)
    raise SystemExit(int(reaches_severity(changes, fail_on)))


class _Comparison(NamedTuple):
    compared: str
    """What was compared: profiles, reports or recordings."""
    changes: list[Change]
    has_pairs: bool = True
    """Whether anything on one side has a counterpart on the other."""


class _Argument(NamedTuple):
    """A or B."""

    name: str
    kind: str
    """What it names: "a profile", "a report" or "a recording"."""
    data: bytes | None = None
    """The content of a file, which is read once: it may be a pipe, such as `<(command)`."""


def _compare(before: str, after: str) -> _Comparison:
    first, second = _read_argument(before), _read_argument(after)
    if first.kind != second.kind:
        raise ConfigurationError(f"cannot compare {before} ({first.kind}) with {after} ({second.kind})")
    if first.kind == "a profile":
        from mockserver.recordings.diff.profiles import profile_changes

        names = resolve_profile_name(before), resolve_profile_name(after)
        return _Comparison("profiles", profile_changes(*names))
    if first.data is not None and second.data is not None and first.kind == "a report":
        from mockserver.recordings.diff.verification_reports import parse_verification_report, report_changes

        reports = (
            parse_verification_report(first.data, before),
            parse_verification_report(second.data, after),
        )
        return _Comparison("reports", report_changes(*reports))
    from mockserver.recordings.diff.recordings import changes_in_pairs, pair_recordings

    pairs = pair_recordings(_recordings(first), _recordings(second))
    return _Comparison(
        "recordings",
        changes_in_pairs(with_progress(pairs, "comparing")),
        any(None not in each for each in pairs),
    )


def _recordings(argument: _Argument) -> tuple[Exchange, ...]:
    from mockserver.recordings.recording_folder import load_recordings, parse_recordings

    if argument.data is None:
        return load_recordings(Path(argument.name), partial(with_progress, verb="reading"))
    return parse_recordings(argument.data, argument.name)


def _read_argument(name: str) -> _Argument:
    """What an argument names; a file or folder wins over a profile of the same name."""
    from mockserver.recordings.diff.verification_reports import is_verification_report

    path = Path(name)
    if path.is_dir():
        return _Argument(name, "a recording")
    if not path.exists():
        if name == LATEST or name in profile_names():
            return _Argument(name, "a profile")
        raise ConfigurationError(
            f"{name} is neither a file nor a profile{choose_from(name, (LATEST, *profile_names()))}"
        )
    try:
        data = read_named_file(path)
        kind = "a report" if is_verification_report(json.loads(to_utf8(data))) else "a recording"
    except (OSError, InvalidJSON) as error:
        raise ConfigurationError(f"cannot read {name}: {error}") from None
    return _Argument(name, kind, data)
