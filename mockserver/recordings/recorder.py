"""The recorder: what passes a relay becomes files, each written when its answer is over.

Judging and writing go on in a thread of their own, so that no answer waits for those before it.
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from mockserver.contract.findings import Finding
from mockserver.errors import InvalidExchange
from mockserver.live.passages import Passage, Witness
from mockserver.profiles import Profile
from mockserver.recordings import folder
from mockserver.recordings.writing import Ticket, exchange_of, ticket_of, unrecorded
from mockserver.server.journal import Entry

__all__ = ["Recorder", "Told"]


#: Characters that are told of what is wrong with an exchange.
_REASON = 120


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
    """Takes what passes a relay; neither of its methods keeps the relay waiting."""

    def __init__(
        self,
        target: Path,
        upstream: str,
        profile: Profile,
        masks: Sequence[str] = (),
        tell: Callable[[Told], None] = lambda told: None,
        secrets: Sequence[str] = (),
    ) -> None:
        """`tell` is called in the recorder's thread, for one request after another.

        `secrets` must not be written, beside the keys that requests bring along.
        """
        self._target = target
        self._upstream = upstream
        self._profile = profile
        self._masks = tuple(masks)
        self._tell = tell
        self._secrets = tuple(secrets)
        self._witness = Witness(profile)
        # What follows is the thread's own. It does one thing after another, so that the first that comes is
        # the first that is counted.
        self._thread = ThreadPoolExecutor(1, "recorder")
        self._tickets: dict[Passage, Ticket] = {}
        self._numbers: Counter[str] = Counter()
        self.defects: list[str] = []
        """Errors of our own, by type and place."""

    def arrived(self, passage: Passage) -> None:
        """A request goes on to the endpoint: its number is its own from now on."""
        self._thread.submit(self._guarded, self._arrive, passage)

    def done(self, passage: Passage) -> None:
        """It was answered, or was not."""
        self._thread.submit(self._guarded, self._take, passage)

    def close(self) -> None:
        """Wait until all is written."""
        self._thread.shutdown(wait=True)

    def _guarded(self, work: Callable[[Passage], None], passage: Passage) -> None:
        try:
            work(passage)
        except Exception as error:  # noqa: BLE001 (the last resort: a recording that is missing must be told)
            frame = traceback.extract_tb(error.__traceback__)[-1]
            self.defects.append(f"{type(error).__name__} in {frame.name}:{frame.lineno}")

    def _arrive(self, passage: Passage) -> None:
        ticket = ticket_of(passage, self._masks, 0, self._secrets)
        if ticket.stem not in self._numbers:
            self._numbers[ticket.stem] = folder.highest(self._target, ticket.stem)
        self._numbers[ticket.stem] += 1
        self._tickets[passage] = replace(ticket, number=self._numbers[ticket.stem])

    def _take(self, passage: Passage) -> None:
        ticket = self._tickets.pop(passage, None)
        entry = self._witness.entry(passage, (passage.key, *self._secrets) if passage.key else self._secrets)
        told = Told(passage, entry)
        if entry.method == "POST" and entry.body and passage.creates:
            told.findings = list(entry.findings)
        told.findings += entry.answered
        told.trouble = _trouble(passage, ticket)
        if ticket is not None and not unrecorded(passage):
            try:
                exchange = exchange_of(passage, ticket, self._upstream, self._profile.name)
                told.file = folder.add(self._target, ticket.stem, ticket.number, exchange)
            except OSError as error:
                told.trouble = f"not recorded: {error.strerror or error}"
            except InvalidExchange as error:
                told.trouble = f"not recorded: {error.reason[:_REASON]}"
        self._tell(told)


def _trouble(passage: Passage, ticket: Ticket | None) -> str:
    if ticket is None:
        return "refused: not sent on"
    if why := unrecorded(passage):
        return f"not recorded: {why}"
    if passage.left:
        return "the client went away before the end"
    return "" if passage.complete else "the endpoint broke off"
