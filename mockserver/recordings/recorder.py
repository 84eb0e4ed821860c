"""The recorder: what passes a relay becomes files, each written when its answer is over.

Judging and writing go on in a thread of their own, so that no answer waits for those before it.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mockserver.contract.findings import Finding
from mockserver.live.passages import Passage, Witness
from mockserver.profiles import Profile
from mockserver.recordings import folder
from mockserver.recordings.writing import Ticket, exchange_of, ticket_of
from mockserver.server.journal import Entry

__all__ = ["Recorder", "Told"]


class Told:
    """What came of one request: for the log, and for the summary."""

    def __init__(self, passage: Passage, entry: Entry) -> None:
        self.method = entry.method
        self.path = passage.path.partition("?")[0] or entry.path
        self.status = entry.status
        self.seconds = passage.ended_at
        self.first = passage.times[0] if passage.times else None
        self.file: Path | None = None
        self.trouble = ""
        """Why it was not recorded, or what is odd about it."""
        self.findings: list[Finding] = []
        """Of the request, then of the answer."""
        self.secrets: tuple[str, ...] = entry.secrets


class Recorder:
    """Takes what passes a relay; `done` of a passage returns at once."""

    def __init__(
        self,
        target: Path,
        upstream: str,
        profile: Profile,
        masks: Sequence[str] = (),
        tell: Callable[[Told], None] = lambda told: None,
    ) -> None:
        """`tell` is called in the recorder's thread, for one request after another."""
        self._target = target
        self._upstream = upstream
        self._profile = profile
        self._masks = tuple(masks)
        self._tell = tell
        self._witness = Witness(profile)
        self._tickets: dict[Passage, Ticket] = {}
        self._numbers: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._thread = ThreadPoolExecutor(1, "recorder")

    def arrived(self, passage: Passage) -> None:
        """A request goes on to the endpoint: its number is its own from now on."""
        ticket = ticket_of(passage, self._masks, 0)
        with self._lock:
            if ticket.stem not in self._numbers:
                self._numbers[ticket.stem] = folder.highest(self._target, ticket.stem)
            self._numbers[ticket.stem] += 1
            number = self._numbers[ticket.stem]
        self._tickets[passage] = Ticket(ticket.asked, number, ticket.secrets, ticket.masked)

    def done(self, passage: Passage) -> None:
        """It was answered, or was not."""
        self._thread.submit(self._take, passage, self._tickets.pop(passage, None))

    def close(self) -> None:
        """Wait until all is written."""
        self._thread.shutdown(wait=True)

    def _take(self, passage: Passage, ticket: Ticket | None) -> None:
        keys = (passage.key,) if passage.key else ()
        entry = self._witness.entry(passage, keys)
        told = Told(passage, entry)
        try:
            if entry.method == "POST" and entry.body and passage.creates:
                told.findings = list(entry.findings)
            told.findings += entry.answered
            told.trouble = _trouble(passage, ticket)
            if ticket is not None and not passage.refused and passage.status and not passage.overflowed:
                exchange = exchange_of(passage, ticket, self._upstream, self._profile.name)
                told.file = folder.add(self._target, ticket.stem, ticket.number, exchange)
        except OSError as error:
            told.trouble = f"not recorded: {error.strerror or error}"
        self._tell(told)


def _trouble(passage: Passage, ticket: Ticket | None) -> str:
    if ticket is None:
        return "refused: not sent on"
    if passage.refused or not passage.status:
        return "not recorded: the endpoint gave no answer"
    if passage.overflowed:
        return "not recorded: the answer is longer than 32 MiB"
    if passage.left:
        return "the client went away before the end"
    return "" if passage.complete else "the endpoint broke off"
