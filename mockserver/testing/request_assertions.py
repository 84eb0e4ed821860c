"""`assert_requested`: assertions about the requests in a journal, with readable failures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mockserver.profiles import Profile
from mockserver.server.journal_entries import incoming_request
from mockserver.server.state.journal import Entry, Journal
from mockserver.server.stubs.matchers import IncomingRequest, Matcher, build_matcher
from mockserver.wire.redaction import redact

__all__ = ["assert_requested"]

#: Nearest requests that a failure lists.
_MAX_SHOWN_REQUESTS = 5


def assert_requested(
    journal: Journal, profile: Profile, times: int | None, conditions: Mapping[str, Any]
) -> list[Entry]:
    """The matching entries; AssertionError if their number is wrong, or unknown.

    The number is unknown if the journal has dropped requests or bodies.
    """
    matcher = build_matcher(**conditions)
    requests = [(entry, incoming_request(entry, profile)) for entry in journal if entry.method == "POST"]
    matches = [entry for entry, request in requests if request is not None and matcher.matches(request)]
    unexamined = _describe_unexamined(journal)
    if (times is None and matches) or (len(matches) == times and not unexamined):
        return matches
    lines = [*_describe_mismatch(matcher, requests, len(matches), times), *unexamined]
    raise AssertionError("\n".join(lines))


def _describe_unexamined(journal: Journal) -> list[str]:
    """Describe the requests that may match, but that the journal no longer has."""
    lines = []
    if journal.dropped_count:
        lines.append(
            f"  not examined: the {journal.dropped_count} oldest requests, which the journal has dropped"
        )
    omitted = sum(bool(entry.left_out) for entry in journal)
    if omitted:
        lines.append(f"  not examined: {omitted} requests whose bodies were too large for the journal")
    return lines


def _describe_mismatch(
    matcher: Matcher,
    requests: list[tuple[Entry, IncomingRequest | None]],
    match_count: int,
    times: int | None,
) -> Iterator[str]:
    expected = "at least one request" if times is None else f"{times} request{'' if times == 1 else 's'}"
    yield f"expected {expected} with {str(matcher) or 'any content'}; {match_count} of {len(requests)} match"
    compared = [
        (list(matcher.differences(request)) if request else ["not an API request"], number, entry)
        for number, (entry, request) in enumerate(requests, start=1)
    ]
    nearest = sorted(compared, key=lambda each: (len(each[0]), each[1]))[:_MAX_SHOWN_REQUESTS]
    for differences, number, entry in nearest:
        head = f"  {number}. {entry.method} {entry.path} -> {entry.status}"
        yield redact(f"{head} {entry.prompt[:200]!r}", entry.secrets)
        for each in differences:
            yield redact(f"     {each}", entry.secrets)
        if not differences:
            yield "     matches"
