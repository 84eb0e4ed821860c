"""How `mockserver check` runs, without click.

Exit status: 0 where nothing was found at or above `--fail-on`, 1 where something was, 2 where an argument
can not be used or a file not be read.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from mockserver.cli.errors import exit_with_error, project_settings
from mockserver.cli.output.checked_input import CheckedInput
from mockserver.cli.output.report_formats import REPORT_FORMATS
from mockserver.contract.files import AUTO, CheckResult, check_file
from mockserver.contract.findings import Severity
from mockserver.contract.rules import load_rules
from mockserver.errors import ConfigurationError, InvalidJSON
from mockserver.profiles import profile_names
from mockserver.wire import json

__all__ = ["KINDS", "parse_report_target", "require_known_rules", "run_check", "run_without_click"]

KINDS = (
    AUTO, "request", "response", "stream", "error", "chat_request", "chat_completion", "chat_stream"
)  # fmt: skip


def run_without_click(arguments: Sequence[str]) -> None:
    """Run and end the process where there is nothing but files and no setting at all; else return."""
    is_plain = arguments and all(each == "-" or not each.startswith("-") for each in arguments)
    try:
        is_set = any(name.startswith("MOCKSERVER_") for name in os.environ) or project_settings()
    except ConfigurationError:
        return  # click's way says so
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
    """Judge the files and write the reports; the exit status."""
    _require_known_profile(profile)
    require_known_rules(ignore)
    targets = [parse_report_target(each) for each in report]
    failing = list(Severity)[: list(Severity).index(Severity(fail_on)) + 1]
    troubles: list[str] = []
    judged: list[CheckedInput] = []
    for file in files:
        try:
            data = _read_input(file)
        except OSError as error:
            troubles.append(f"can not read {file}: {error.strerror or error}")
            continue
        for place, part in _split_exchanges(data) if kind == AUTO else [("", data)]:
            judged.append(_checked_input(file, place, part, check_file(part, profile, kind), ignore))
    _write_stdout(REPORT_FORMATS[style](judged, failing))
    for name, target in targets:
        try:
            target.write_text(REPORT_FORMATS[name](judged, failing), encoding="utf-8")
        except OSError as error:
            troubles.append(f"can not write {target}: {error.strerror or error}")
    for line in troubles:
        print(f"mockserver: {line}", file=sys.stderr)
    if troubles:
        return 2
    return int(any(each.severity in failing for one in judged for each in one.findings))


def _require_known_profile(profile: str) -> None:
    if profile != AUTO and profile not in profile_names():
        known = ", ".join((AUTO, *profile_names()))
        exit_with_error(f"--profile {profile}: there is no such profile; there are: {known}", 2)


def require_known_rules(rules: Sequence[str]) -> None:
    """End where a rule of `--ignore` is none."""
    for rule in rules:
        if rule not in load_rules():
            exit_with_error(f"--ignore {rule}: there is no such rule; `mockserver rules` lists them", 2)


def parse_report_target(option: str) -> tuple[str, Path]:
    """Format and file of a `--report`; ends where it is none."""
    name, equals, file = option.partition("=")
    if not equals or not file or name not in REPORT_FORMATS:
        exit_with_error(
            f"--report {option}: must be FORMAT=FILE, with a format of {', '.join(REPORT_FORMATS)}", 2
        )
    return name, Path(file)


def _read_input(file: str) -> bytes:
    return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()


def _split_exchanges(data: bytes) -> Iterator[tuple[str, bytes]]:
    """(place, content) of each exchange in a file of several, as recordings of tests are; else the file."""
    value = None
    if data.lstrip()[:1] == b"[" and b'"reply"' in data:
        with suppress(InvalidJSON):
            value = json.loads(data)
    if isinstance(value, list) and all(isinstance(each, dict) and "reply" in each for each in value):
        yield from ((f"#/{number}", json.dumps(each)) for number, each in enumerate(value))
    else:
        yield "", data


def _checked_input(
    file: str, fragment: str, data: bytes, result: CheckResult, ignored: Sequence[str]
) -> CheckedInput:
    kept = tuple(each for each in result.findings if each.rule not in ignored)
    return CheckedInput(f"{'standard input' if file == '-' else file}{fragment}", result, kept, data)


def _write_stdout(text: str) -> None:
    # Whatever the terminal's encoding is, a report must come out.
    try:
        sys.stdout.buffer.write(text.encode(sys.stdout.encoding or "utf-8", "backslashreplace"))
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read has read enough; without this the interpreter complains once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
