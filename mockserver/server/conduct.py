"""Journal entries as attempts of a client, to check its conduct.

Imports the checks when a test asks for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mockserver.contract.conduct.attempts import Attempt, ConnectionTimes
from mockserver.contract.conduct.check import check_conduct
from mockserver.contract.findings import NumberedFinding
from mockserver.contract.formatting import redact_finding
from mockserver.ids import request_digest
from mockserver.server.state.journal import ClientAddress, Entry, Journal

__all__ = ["check_entries", "check_journal"]


def check_entries(numbered: Iterable[tuple[int, Entry]]) -> list[NumberedFinding]:
    """The findings about the conduct of a client, from the numbered entries of a session."""
    entries = dict(numbered)
    connections: dict[int, ConnectionTimes] = {}
    attempts = [_attempt(number, entry, connections) for number, entry in entries.items()]
    return [
        NumberedFinding(number, redact_finding(finding, entries[number].secrets))
        for number, finding in check_conduct(attempts)
    ]


def check_journal(journal: Journal) -> list[NumberedFinding]:
    """The findings about the conduct of a client, from a session's journal."""
    return check_entries(journal.numbered())


def _attempt(number: int, entry: Entry, connections: dict[int, ConnectionTimes]) -> Attempt:
    headers = dict(entry.request_head.headers)
    times = entry.send_times
    retry_count = headers.get(b"x-stainless-retry-count", b"")
    return Attempt(
        number,
        entry.at,
        entry.request_head.path,
        entry.body,
        entry.status,
        b"".join(entry.reply),
        entry.end,
        entry.method,
        _client(headers),
        _reply_headers(entry),
        int(retry_count) if retry_count.isdigit() and len(retry_count) < 10 else None,
        entry.recorded_at,
        entry.recorded_at if times is None or times.real_end is None else times.real_end,
        _connection(entry.request_head.client, connections),
        entry.left_at,
        entry.stopped_at,
    )


def _client(headers: Mapping[bytes, bytes]) -> str:
    """The host that a client addresses, and a digest of its key."""
    key = headers.get(b"authorization", b"")
    return f"{headers.get(b'host', b'').decode('latin-1')} {request_digest(key).hex()}"


def _reply_headers(entry: Entry) -> dict[str, str]:
    return {
        name.decode("latin-1").lower(): value.decode("latin-1").strip()
        for name, value in entry.details.reply_headers
    }


def _connection(
    client: tuple[object, ...] | None, connections: dict[int, ConnectionTimes]
) -> ConnectionTimes | None:
    """The connection of an address: one object for all requests on it."""
    if not isinstance(client, ClientAddress):
        return None
    return connections.setdefault(id(client), ConnectionTimes(client.opened_at, client.closed_at))
