"""The implementation of `mockserver check`, which works without click.

Exit status: 0 if there is no finding at or above `--fail-on`, 1 if there is one, 2 if an argument cannot be
used or a file cannot be read.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Container, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, NamedTuple

from mockserver.cli.errors import exit_with_error, project_settings
from mockserver.cli.output.checked_input import CheckedInput, failing_severities
from mockserver.cli.output.report_files import parse_report_targets
from mockserver.cli.output.report_formats import REPORT_FORMATS
from mockserver.cli.output.terminal import colour_report, with_progress, with_progress_in_bytes
from mockserver.contract.files import AUTO, HEAD_BYTES, CheckResult, check_file, is_long_stream
from mockserver.contract.findings import Severity
from mockserver.contract.formatting import redact_finding
from mockserver.contract.rules import load_rules
from mockserver.contract.turn_history import TurnHistory
from mockserver.errors import ConfigurationError, InvalidJSON
from mockserver.profiles import profile_names, resolve_profile_name
from mockserver.regular_files import open_named_file, replace_file
from mockserver.suggestions import choose_from, did_you_mean
from mockserver.wire import json
from mockserver.wire.redaction import find_credentials, redact, redact_value
from mockserver.wire.terminal import escape_unprintable

__all__ = [
    "KINDS",
    "require_known_rules",
    "run_check",
    "run_without_click",
]

KINDS = (
    AUTO, "request", "response", "stream", "error", "chat_request", "chat_completion", "chat_stream"
)  # fmt: skip

_PIECE_BYTES = 1 << 16


class _Input(NamedTuple):
    """A file, or one of the exchanges in it."""

    name: str
    data: bytes
    """All bytes, or the head of a long stream."""
    rest: Iterator[bytes] | None = None
    """The pieces after the head of a long stream, read when they are needed."""


def run_without_click(arguments: Sequence[str]) -> None:
    """Run and exit if there are only files and no settings; otherwise return."""
    is_plain = arguments and all(each == "-" or not each.startswith("-") for each in arguments)
    try:
        is_set = any(name.startswith("MOCKSERVER_") for name in os.environ) or project_settings()
    except ConfigurationError:
        return  # the click command reports it
    if is_plain and not is_set:
        sys.exit(run_check(arguments))


def run_check(
    files: Sequence[str],
    *,
    profile: str = AUTO,
    kind: str = AUTO,
    style: str = "text",
    report: Sequence[str] = (),
    fail_on: str = Severity.ERROR,
    ignore: Sequence[str] = (),
) -> int:
    """Check the files, write the reports and return the exit status."""
    profile = resolve_profile_name(profile)
    _require_known_profile(profile)
    require_known_rules(ignore)
    targets = parse_report_targets(report, REPORT_FORMATS)
    failing = failing_severities(fail_on)
    problems: list[str] = []
    inputs: list[_Input] = []
    # Only the HTML report shows the content of the files.
    is_shown = "html" in {style, *(name for name, _ in targets)}
    for file in with_progress(files, "reading"):
        try:
            inputs += _read_inputs(file, kind, whole=is_shown)
        except OSError as error:
            problems.append(f"cannot read {file}: {error.strerror or error}")
    checked = _check_inputs(inputs, profile, kind, ignore)
    text = REPORT_FORMATS[style](checked, failing)
    _write_stdout(colour_report(text, sys.stdout) if style == "text" else text)
    for name, target in targets:
        try:
            replace_file(target, REPORT_FORMATS[name](checked, failing))
        except OSError as error:
            problems.append(f"cannot write {target}: {error.strerror or error}")
    for line in problems:
        print(f"mockserver: {escape_unprintable(line)}", file=sys.stderr)
    if problems:
        return 2
    return int(any(finding.severity in failing for each in checked for finding in each.findings))


def _require_known_profile(profile: str) -> None:
    if profile != AUTO and profile not in profile_names():
        known = choose_from(profile, (AUTO, *profile_names()))
        exit_with_error(f"--profile {profile}: no such profile{known}", 2)


def require_known_rules(rules: Sequence[str], other_names: Container[str] = ()) -> None:
    """Exit if `--ignore` names neither a rule nor one of the other names."""
    for rule in rules:
        if rule not in load_rules() and rule not in other_names:
            suggestion = did_you_mean(rule, load_rules())
            exit_with_error(
                f"--ignore {rule}: no such rule{suggestion or ';'} `mockserver rules` lists all rules", 2
            )


def _read_inputs(file: str, kind: str, *, whole: bool) -> list[_Input]:
    """The exchanges in a file, or the file; of a long stream only the head, unless all of it is needed."""
    name = "standard input" if file == "-" else file
    with ExitStack() as opened:
        source = sys.stdin.buffer if file == "-" else opened.enter_context(open_named_file(Path(file)))
        head = source.read(HEAD_BYTES)
        if not whole and is_long_stream(head, kind):
            if file != "-" and source.seekable():  # of many files, each is open only while it is checked
                return [_Input(name, head, _read_file_from(file, len(head)))]
            return [_Input(name, head, _read_rest(source, opened.pop_all()))]
        data = head + source.read()
    parts = _split_exchanges(data) if kind == AUTO else [("", data)]
    return [_Input(name + fragment, part) for fragment, part in parts]


def _read_file_from(file: str, start: int) -> Iterator[bytes]:
    with Path(file).open("rb") as source:
        source.seek(start)
        yield from _read_pieces(source)


def _read_rest(source: BinaryIO, opened: ExitStack) -> Iterator[bytes]:
    with opened:
        yield from _read_pieces(source)


def _read_pieces(source: BinaryIO) -> Iterator[bytes]:
    pieces = iter(lambda: source.read(_PIECE_BYTES), b"")
    return with_progress_in_bytes(pieces, "checking a stream", HEAD_BYTES)


def _split_exchanges(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield (fragment, content) of each exchange in a JSON array, the form of test recordings; else the file."""
    value = None
    if data.lstrip()[:1] == b"[" and b'"reply"' in data:
        with suppress(InvalidJSON):
            value = json.loads(data)
    if isinstance(value, list) and all(isinstance(each, dict) and "reply" in each for each in value):
        yield from ((f"#/{number}", json.dumps(each)) for number, each in enumerate(value))
    else:
        yield "", data


def _check_inputs(
    inputs: Sequence[_Input], profile: str, kind: str, ignored: Sequence[str]
) -> list[CheckedInput]:
    """Check all inputs, those that continue a recorded turn after that turn; the order of results is theirs."""
    turns = TurnHistory()
    by_time = sorted(inputs, key=_recording_time) if len(inputs) > 1 else inputs
    results = {
        each.name: check_file(each.data, profile, kind, turns, each.rest)
        for each in with_progress(by_time, "checking")
    }
    return [_without_credentials(each, results[each.name], ignored) for each in inputs]


def _without_credentials(given: _Input, result: CheckResult, ignored: Sequence[str]) -> CheckedInput:
    """A file and its result, with everything redacted that a report prints."""
    secrets = find_credentials(given.data)
    findings = tuple(redact_finding(each, secrets) for each in result.findings if each.rule not in ignored)
    if (migration := result.migration) is not None:
        notes = (each._replace(message=redact(each.message, secrets)) for each in migration.notes)
        clean = replace(
            migration,
            body=redact_value(migration.body, secrets),
            notes=tuple(notes),
            findings=tuple(redact_finding(each, secrets) for each in migration.findings),
        )
        result = replace(result, migration=clean)
    return CheckedInput(given.name, result, findings, given.data)


def _recording_time(given: _Input) -> str:
    """When an exchange was recorded; empty for everything else."""
    value = json.loads_or_none(given.data) if b'"recorded"' in given.data else None
    recorded = value.get("recorded") if isinstance(value, dict) else None
    at = recorded.get("at") if isinstance(recorded, dict) else None
    return at if isinstance(at, str) else ""


def _write_stdout(text: str) -> None:
    # A report must come out in any terminal encoding.
    try:
        sys.stdout.buffer.write(text.encode(sys.stdout.encoding or "utf-8", "backslashreplace"))
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader closed the pipe; without this the interpreter reports the error again on exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
