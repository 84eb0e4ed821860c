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
from mockserver.live.pass_through import PassThroughChecker, PassThroughExchange
from mockserver.profiles import Profile
from mockserver.recordings import recording_folder
from mockserver.recordings.recorded_exchanges import (
    PendingRecording,
    build_exchange,
    pending_recording,
    unrecorded_reason,
)
from mockserver.server.state.journal import Entry

__all__ = ["Recorder", "RecordingResult"]


#: Characters that are told of what is wrong with an exchange.
_MAX_REASON_CHARS = 120


class RecordingResult:
    """What came of one request: for the log, and for the summary."""

    def __init__(self, pass_through: PassThroughExchange, entry: Entry) -> None:
        self.method = entry.method
        self.path = pass_through.path.partition("?")[0] or entry.path
        self.status = entry.status
        self.duration = pass_through.end_time
        self.time_to_first_byte = pass_through.chunk_times[0] if pass_through.chunk_times else None
        self.file: Path | None = None
        self.problem = ""
        """Why it was not recorded, or what is odd about it."""
        self.findings: list[Finding] = []
        """Of the request, then of the answer."""
        self.secrets: tuple[str, ...] = entry.secrets


class Recorder:
    """Takes what passes a relay; neither of its methods keeps the relay waiting."""

    def __init__(
        self,
        folder: Path,
        upstream: str,
        profile: Profile,
        masks: Sequence[str] = (),
        on_result: Callable[[RecordingResult], None] = lambda told: None,
        secrets: Sequence[str] = (),
    ) -> None:
        """`tell` is called in the recorder's thread, for one request after another.

        `secrets` must not be written, beside the keys that requests bring along.
        """
        self._folder = folder
        self._upstream = upstream
        self._profile = profile
        self._masks = tuple(masks)
        self._on_result = on_result
        self._secrets = tuple(secrets)
        self._checker = PassThroughChecker(profile)
        # What follows is the thread's own. It does one thing after another, so that the first that comes is
        # the first that is counted.
        self._executor = ThreadPoolExecutor(1, "recorder")
        self._pending: dict[PassThroughExchange, PendingRecording] = {}
        self._last_numbers: Counter[str] = Counter()
        self.internal_errors: list[str] = []
        """Errors of our own, by type and place."""

    def on_request(self, pass_through: PassThroughExchange) -> None:
        """A request goes on to the endpoint: its number is its own from now on."""
        self._executor.submit(self._run_guarded, self._number_request, pass_through)

    def on_complete(self, pass_through: PassThroughExchange) -> None:
        """It was answered, or was not."""
        self._executor.submit(self._run_guarded, self._write_recording, pass_through)

    def close(self) -> None:
        """Wait until all is written."""
        self._executor.shutdown(wait=True)

    def _run_guarded(
        self, work: Callable[[PassThroughExchange], None], pass_through: PassThroughExchange
    ) -> None:
        try:
            work(pass_through)
        except Exception as error:  # noqa: BLE001 (the last resort: a recording that is missing must be told)
            frame = traceback.extract_tb(error.__traceback__)[-1]
            self.internal_errors.append(f"{type(error).__name__} in {frame.name}:{frame.lineno}")

    def _number_request(self, pass_through: PassThroughExchange) -> None:
        ticket = pending_recording(pass_through, self._masks, 0, self._secrets)
        if ticket.stem not in self._last_numbers:
            self._last_numbers[ticket.stem] = recording_folder.highest_number(self._folder, ticket.stem)
        self._last_numbers[ticket.stem] += 1
        self._pending[pass_through] = replace(ticket, number=self._last_numbers[ticket.stem])

    def _write_recording(self, pass_through: PassThroughExchange) -> None:
        ticket = self._pending.pop(pass_through, None)
        entry = self._checker.journal_entry(
            pass_through,
            (pass_through.endpoint_key, *self._secrets) if pass_through.endpoint_key else self._secrets,
        )
        told = RecordingResult(pass_through, entry)
        if entry.method == "POST" and entry.body and pass_through.is_create_request:
            told.findings = list(entry.findings)
        told.findings += entry.reply_findings
        told.problem = _problem(pass_through, ticket)
        if ticket is not None and not unrecorded_reason(pass_through):
            try:
                exchange = build_exchange(pass_through, ticket, self._upstream, self._profile.name)
                told.file = recording_folder.add_recording(self._folder, ticket.stem, ticket.number, exchange)
            except OSError as error:
                told.problem = f"not recorded: {error.strerror or error}"
            except InvalidExchange as error:
                told.problem = f"not recorded: {error.reason[:_MAX_REASON_CHARS]}"
        self._on_result(told)


def _problem(pass_through: PassThroughExchange, pending: PendingRecording | None) -> str:
    if pending is None:
        return "refused: not sent on"
    if why := unrecorded_reason(pass_through):
        return f"not recorded: {why}"
    if pass_through.client_disconnected:
        return "the client went away before the end"
    return "" if pass_through.complete else "the endpoint broke off"
