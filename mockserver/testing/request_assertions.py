"""Asserting: what was asked of a server, with a readable account where it was otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mockserver.contract.chat.service import CHAT_PATHS
from mockserver.errors import InvalidJSON
from mockserver.profiles import Profile
from mockserver.server.chat.pipeline import incoming_chat_request
from mockserver.server.request_facts import parse_request
from mockserver.server.state.journal import Entry, Journal
from mockserver.server.stubs.matchers import IncomingRequest, Matcher, build_matcher
from mockserver.wire.redaction import redact

__all__ = ["assert_requested"]

#: Requests that a failure tells of, the nearest.
_MAX_SHOWN_REQUESTS = 5


def assert_requested(
    journal: Journal, profile: Profile, times: int | None, conditions: Mapping[str, Any]
) -> list[Entry]:
    """The entries that are like that; AssertionError where there are not as many as there must be."""
    wanted = build_matcher(**conditions)
    asked = [(entry, _parse_entry(entry, profile)) for entry in journal if entry.method == "POST"]
    found = [entry for entry, request in asked if request is not None and wanted.matches(request)]
    if len(found) == times or (times is None and found):
        return found
    raise AssertionError("\n".join(_describe_mismatch(wanted, asked, len(found), times)))


def _parse_entry(entry: Entry, profile: Profile) -> IncomingRequest | None:
    """The request of an entry, where it is one that the contract takes."""
    try:
        body = entry.json
        if entry.request_head.path in CHAT_PATHS:
            return _parse_chat_entry(entry, body, profile)
        ask = parse_request(body, profile)
    except (InvalidJSON, KeyError, TypeError, AttributeError):
        return None
    return IncomingRequest(
        body, ask, dict(entry.request_head.headers), entry.details.after, entry.details.turn
    )


def _parse_chat_entry(entry: Entry, body: Any, profile: Profile) -> IncomingRequest:
    """A chat request as its Responses form, which is what plans are made for."""
    request = incoming_chat_request(body, profile, dict(entry.request_head.headers))
    return request._replace(after=entry.details.after)


def _describe_mismatch(
    matcher: Matcher,
    requests: list[tuple[Entry, IncomingRequest | None]],
    match_count: int,
    times: int | None,
) -> Iterator[str]:
    must = "at least one request" if times is None else f"{times} request{'' if times == 1 else 's'}"
    yield f"{must} expected with {str(matcher) or 'anything'}; there were {match_count}, among {len(requests)} in all"
    told = [
        (list(matcher.differences(request)) if request else ["it is no request of the API"], number, entry)
        for number, (entry, request) in enumerate(requests, start=1)
    ]
    for lacking, number, entry in sorted(told, key=lambda each: (len(each[0]), each[1]))[
        :_MAX_SHOWN_REQUESTS
    ]:
        head = f"  {number}. {entry.method} {entry.path} -> {entry.status}"
        yield redact(f"{head} {entry.prompt[:200]!r}", entry.secrets)
        for each in lacking:
            yield redact(f"     {each}", entry.secrets)
        if not lacking:
            yield "     it is like that"
