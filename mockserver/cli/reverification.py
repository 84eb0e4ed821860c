"""`mockserver verify --replay`: send recorded requests again and report what changed."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from mockserver.cli.errors import EXIT_INCOMPLETE, exit_with_error
from mockserver.cli.output.report_files import replace_report, require_writable_reports
from mockserver.cli.output.terminal import with_progress
from mockserver.errors import ConfigurationError
from mockserver.exchanges import Exchange
from mockserver.live.budgeted_client import Budget, BudgetedClient, EndpointUnreachable
from mockserver.live.client import Client, Timeouts, unreachable_message, unreachable_reason
from mockserver.live.endpoint import Endpoint
from mockserver.profiles import load_profile, resolve_profile_name
from mockserver.recordings.diff.changes import Change
from mockserver.recordings.diff.formats import changes_json, changes_text, reaches_severity
from mockserver.recordings.diff.recordings import recording_profile
from mockserver.recordings.recording_folder import load_recordings
from mockserver.recordings.recording_warnings import recording_warnings
from mockserver.recordings.reverification import (
    ReverificationResult,
    expected_tokens,
    reverification_changes,
    reverify,
)
from mockserver.wire.terminal import escape_unprintable

__all__ = ["require_reachable", "reverify_recordings"]

_FAIL_ON_SEVERITIES = {"drift": "warning", "fail": "breaking"}


def require_reachable(endpoint: Endpoint) -> None:
    """Exit with one line if no connection to the endpoint is possible."""
    if reason := unreachable_reason(endpoint):
        exit_with_error(unreachable_message(endpoint, reason), 2)


def reverify_recordings(
    endpoint: Endpoint, targets: Sequence[tuple[str, Path]], options: dict[str, Any], *, dry_run: bool
) -> int:
    """Send the requests, print the changes, write the reports, and return the exit status."""
    for form, _ in targets:
        if form not in ("text", "json"):
            raise ConfigurationError(f"--report {form}=…: the formats with --replay are text and json")
    recordings = load_recordings(options["replay"], partial(with_progress, verb="reading"))
    profile = (
        recording_profile(recordings[0])
        if options["profile"] == "auto"
        else load_profile(resolve_profile_name(options["profile"]))
    )
    if not dry_run:
        require_writable_reports(targets)
        require_reachable(endpoint)
    _print_plan(recordings, endpoint, profile.name, options)
    if dry_run:
        return 0
    client = Client(endpoint, Timeouts(options["timeout"], options["stall"]))
    try:
        budget = Budget(options["max_requests"], options["max_tokens"])
        budgeted_client = BudgetedClient(client, budget, options["rate"])
        results = [*_with_progress(reverify(recordings, budgeted_client, profile), len(recordings))]
    except EndpointUnreachable as error:
        exit_with_error(unreachable_message(endpoint, str(error)), 2)
    finally:
        client.close()
    changes = reverification_changes(results)
    _write_changes(changes, endpoint, targets, options)
    return _exit_status(results, changes, options)


def _print_plan(
    recordings: Sequence[Exchange], endpoint: Endpoint, profile: str, options: dict[str, Any]
) -> None:
    tokens = sum(map(expected_tokens, recordings))
    lines = [
        f"{len(recordings)} recorded requests, about {tokens} tokens, to {endpoint.base_url}, profile {profile}"
    ]
    lines += [f"warning: {line}" for line in recording_warnings(recordings, profile)]
    if len(recordings) > options["max_requests"] or tokens > options["max_tokens"]:
        lines.append(
            "warning: more than --max-requests or --max-tokens allow: the last requests are not sent"
        )
    print(
        *(f"mockserver: {escape_unprintable(line)}" for line in lines), sep="\n", file=sys.stderr, flush=True
    )


def _with_progress(results: Iterator[ReverificationResult], total: int) -> Iterator[ReverificationResult]:
    for number, each in enumerate(results, start=1):
        severity = min(
            (change.severity for change in each.changes),
            key=["breaking", "warning", "info"].index,
            default="",
        )
        verdict = f"not sent: {each.skip_reason}" if each.skip_reason else severity or "no change"
        print(
            f"[{number}/{total}] {escape_unprintable(f'{each.exchange.name}: {verdict}')}",
            file=sys.stderr,
            flush=True,
        )
        yield each


def _write_changes(
    changes: Sequence[Change],
    endpoint: Endpoint,
    targets: Sequence[tuple[str, Path]],
    options: dict[str, Any],
) -> None:
    texts = {
        "text": endpoint.redact(changes_text(changes)),
        "json": endpoint.redact(changes_json(changes, str(options["replay"]), endpoint.base_url, "replay")),
    }
    sys.stdout.write(texts["text"])
    sys.stdout.flush()
    for form, target in targets:
        replace_report(target, texts[form])


def _exit_status(
    results: Sequence[ReverificationResult], changes: Sequence[Change], options: dict[str, Any]
) -> int:
    skipped = Counter(each.skip_reason for each in results if each.skip_reason)
    if skipped:
        sent = len(results) - skipped.total()
        print(
            f"mockserver: incomplete: {sent} of {len(results)} recorded requests were sent", file=sys.stderr
        )
    for reason, count in skipped.items():
        print(f"mockserver: {count} not sent: {escape_unprintable(reason)}", file=sys.stderr)
    if reaches_severity(changes, _FAIL_ON_SEVERITIES[options["fail_on"]]):
        return 1
    if skipped.total() == len(results) and not any(each.is_cut_off for each in results):
        return 2
    return EXIT_INCOMPLETE if skipped and not options["allow_incomplete"] else 0
