"""`assert_requested` and others: assertions about the requests in a journal, with readable failures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from time import monotonic, sleep
from typing import Any

from mockserver.contract.findings import Finding
from mockserver.contract.rules import load_conduct_rules, load_rules
from mockserver.errors import ConfigurationError, ContractError
from mockserver.profiles import Profile
from mockserver.server.journal_entries import REFUSED, UNPLANNED, incoming_request
from mockserver.server.state.journal import Entry, Journal
from mockserver.server.state.sessions import DEFAULT_SESSION_NAME, Session
from mockserver.server.stubs.matchers import IncomingRequest, Matcher, build_matcher
from mockserver.server.verdicts import UNUSED, FailurePolicy, judge_session, violation_line
from mockserver.suggestions import did_you_mean
from mockserver.wire.redaction import redact

__all__ = ["assert_left", "assert_requested", "check_sessions", "wait_for_requests"]

#: Requests that a failure of `wait_for_requests` lists.
_MAX_LISTED_REQUESTS = 20
#: What `allow` takes beside the ids of rules.
_ALLOWABLE_NAMES = frozenset({UNPLANNED, REFUSED, UNUSED})

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


#: Seconds between two looks at the journal.
_POLL_SECONDS = 0.005


def wait_for_requests(
    journal: Callable[[], Journal], count: int, timeout: float, raise_if_crashed: Callable[[], None]
) -> list[Entry]:
    """The entries of a journal once there are `count`; AssertionError after `timeout` seconds."""
    __tracebackhide__ = True
    if type(count) is not int or count < 1:
        raise ConfigurationError(f"wait_for_requests() takes an integer of at least 1, not {count!r}")
    end = monotonic() + timeout
    while (arrived := len(journal()) + journal().dropped_count) < count:
        raise_if_crashed()
        if monotonic() >= end:
            lines = [f"expected {count} requests within {timeout:g} s; {arrived} arrived"]
            lines += [f"  {number}. {entry!r}" for number, entry in enumerate(journal(), start=1)]
            raise AssertionError("\n".join(lines[: 1 + _MAX_LISTED_REQUESTS]))
        sleep(_POLL_SECONDS)
    return list(journal())


def assert_left(entry: Entry, timeout: float, raise_if_crashed: Callable[[], None]) -> Entry:
    """The entry once its client has left; AssertionError after `timeout` seconds, or if the reply is complete."""
    __tracebackhide__ = True
    end = monotonic() + timeout
    while not (entry.left and entry.end is not None):
        raise_if_crashed()
        if monotonic() >= end:
            state = "has read the reply to its end" if entry.end is not None else "is still connected"
            raise AssertionError(f"the client {state}, {timeout:g} s after it was told to stop: {entry!r}")
        sleep(_POLL_SECONDS)
    return entry


def check_sessions(sessions: Iterable[Session], policy: FailurePolicy, allow: Iterable[str]) -> None:
    """Raise ContractError with the violations of all sessions, a line each."""
    __tracebackhide__ = True
    names = frozenset((allow,) if isinstance(allow, str) else allow)
    rules = {**load_rules(), **load_conduct_rules()}
    if unknown := sorted(names - rules.keys() - _ALLOWABLE_NAMES):
        known = did_you_mean(unknown[0], (*_ALLOWABLE_NAMES, *rules))
        raise ConfigurationError(f"allow: no rule {unknown[0]!r}{known}")
    policy = replace(policy, allowed_rules=policy.allowed_rules | names)
    findings: list[Finding] = []
    lines: list[str] = []
    for session in sessions:
        verdict = judge_session(session, policy)
        prefix = "" if session.name == DEFAULT_SESSION_NAME else f"session {session.name}, "
        for number, finding in verdict.violations:
            findings.append(finding)
            where = f" [{prefix}request {number}]" if number else ""
            lines.append(violation_line(finding) + where)
        if verdict.dropped_count:
            lines.append(f"Not checked: {prefix}{verdict.unchecked[0]}")
    if lines:
        raise ContractError(findings, message="\n".join(lines))


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
        yield redact(f"{head} {entry.unmasked_prompt[:200]!r}", entry.secrets)
        for each in differences:
            yield redact(f"     {each}", entry.secrets)
        if not differences:
            yield "     matches"
