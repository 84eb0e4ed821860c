"""The rules about retries: when a client sends a request again, how often, and whether it should.

A retry is a request with the same method, path, body and key as one that has failed. Requests that are sent
again after a success are none. If equal requests run in parallel, only a client that counts its retries
(`x-stainless-retry-count`) can be checked: nobody knows which of the others repeats which failure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from mockserver.contract.conduct.attempts import Attempt
from mockserver.contract.findings import Finding, NumberedFinding
from mockserver.contract.rules import make_conduct_finding

__all__ = ["check_retries"]

#: The longest Retry-After of RTY-001; older versions of the official SDKs ignore longer ones.
_MAX_RETRY_AFTER_SECONDS = 60.0
#: How much earlier than Retry-After a retry may come: clocks differ. Seconds, and a share of Retry-After.
_TOLERANCE_SECONDS, _TOLERANCE_SHARE = 0.05, 0.05
#: A wait that is no back-off. The official SDKs wait at least 0.375 seconds.
_HOT_SECONDS = 0.1
_MAX_HOT_RETRIES = 3
_MAX_RETRIES = 10
#: A client that waits as long does no harm. It is the longest wait of the official SDKs.
_LONG_WAIT_SECONDS = 8.0


def check_retries(attempts: Iterable[Attempt]) -> Iterator[NumberedFinding]:
    """The findings about the retries of a session, whose attempts are in the order of their arrival."""
    groups: dict[tuple[str, str, bytes], list[Attempt]] = {}
    for each in attempts:
        if each.method == "POST" and each.body:
            groups.setdefault((each.client, each.path, each.body), []).append(each)
    for group in groups.values():
        if any(each.has_failed for each in group):
            chains = _chains_of_counting_client(group) if _is_parallel(group) else _chains(group)
            for chain in chains:
                yield from _check_chain(chain)


def _is_parallel(group: Sequence[Attempt]) -> bool:
    """Whether equal requests overlap in time, or come over connections that are open at the same time."""
    for earlier, later in pairwise(group):
        if earlier.end is None or earlier.end > later.at:
            return True
    connections = {each.connection for each in group if each.connection is not None}
    ordered = sorted(connections, key=lambda each: each.opened_at)
    return any(
        earlier.closed_at is None or earlier.closed_at > later.opened_at
        for earlier, later in pairwise(ordered)
    )


def _chains(group: Sequence[Attempt]) -> Iterator[list[Attempt]]:
    """Split attempts that follow each other: each chain ends with a success."""
    chain: list[Attempt] = []
    for each in group:
        if chain and each.at < chain[-1].at:  # the session's clock was reset, and with it the test
            yield chain
            chain = []
        chain.append(each)
        if not each.has_failed:
            yield chain
            chain = []
    if chain:
        yield chain


def _chains_of_counting_client(group: Sequence[Attempt]) -> list[list[Attempt]]:
    """Assign each attempt that is a retry by its own count to the chain that has waited longest for it."""
    chains: list[list[Attempt]] = []
    for each in group:
        if each.retry_count is None:
            continue
        waiting = [
            chain
            for chain in chains
            if each.retry_count == len(chain) and chain[-1].has_failed and _has_ended(chain[-1], each)
        ]
        if each.retry_count and waiting:
            min(waiting, key=lambda chain: chain[-1].finished_at).append(each)
        elif not each.retry_count:
            chains.append([each])
    return [chain for chain in chains if len(chain) > 1]


def _has_ended(earlier: Attempt, later: Attempt) -> bool:
    return earlier.end is not None and earlier.end <= later.at


def _check_chain(chain: Sequence[Attempt]) -> Iterator[NumberedFinding]:
    """The findings about one request and its retries, each rule once."""
    reported: set[str] = set()
    hot_retries = hasty_retries = 0
    for failed, retry in pairwise(chain):
        finding = _check_retry(failed, retry)
        if finding is None:
            wait = retry.waited_since(failed)
            hot_retries = hot_retries + 1 if wait < _HOT_SECONDS else 0
            hasty_retries += wait < _LONG_WAIT_SECONDS and failed.retry_after is None
            finding = _check_counts(hot_retries, hasty_retries, wait)
        if finding is not None and finding.rule not in reported:
            reported.add(finding.rule)
            if finding.rule == "RTY-004":
                reported.add("RTY-005")  # one cause, one finding
            yield NumberedFinding(retry.number, finding)
    # A client that has left may not have got as far as the failure.
    if len(chain) == 1 and chain[0].has_failed_response and chain[0].left_at is None:
        message = "the response failed, with HTTP status 200, and the client did not send the request again"
        yield NumberedFinding(chain[0].number, make_conduct_finding("RTY-007", message))


def _check_retry(failed: Attempt, retry: Attempt) -> Finding | None:
    """The finding about one retry, whatever came before the failure; None if there is none."""
    wait, retry_after = retry.waited_since(failed), failed.retry_after
    if failed.reply_headers.get("x-should-retry") == "false":
        message = f"request {failed.number} was answered with {failed.status} and x-should-retry: false"
        return make_conduct_finding("RTY-006", message)
    if failed.is_rejection:
        message = f"the same request was rejected with {failed.status} before, as request {failed.number}"
        return make_conduct_finding("RTY-003", message, got=failed.status)
    if retry_after is None:
        return None
    tolerance = max(_TOLERANCE_SECONDS, _TOLERANCE_SHARE * retry_after)
    if wait < retry_after - tolerance:
        rule = "RTY-001" if retry_after <= _MAX_RETRY_AFTER_SECONDS else "RTY-002"
        demand = f"the reply to request {failed.number} asks to wait {retry_after:g} s"
        return make_conduct_finding(rule, f"{demand}; the retry came after {wait:.2f} s")
    return None


def _check_counts(hot_retries: int, hasty_retries: int, wait: float) -> Finding | None:
    if hot_retries > _MAX_HOT_RETRIES:
        message = f"retry {hot_retries} in a row without back-off: {wait:.2f} s after the failure"
        return make_conduct_finding("RTY-004", message)
    if hasty_retries > _MAX_RETRIES:
        return make_conduct_finding("RTY-005", f"retry {hasty_retries} of the same request")
    return None
