"""The recorder: writes every exchange of a relay to a file at the end of its reply.

Checking and writing happen in a thread of their own, so that no reply waits for an earlier one.
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from mockserver.contract.detection import ProfileChoice, detect_endpoint_profile
from mockserver.contract.findings import Finding
from mockserver.errors import InvalidExchange
from mockserver.live.pass_through import PassThroughChecker, PassThroughExchange
from mockserver.profiles import Profile, load_profile
from mockserver.recordings import recording_folder
from mockserver.recordings.recorded_exchanges import (
    PendingRecording,
    build_exchange,
    pending_recording,
    unreadable_request_reason,
    unrecorded_reason,
)
from mockserver.server.state.journal import Entry

__all__ = ["Recorder", "RecorderOptions", "RecordingResult"]

#: Maximum length of the reason reason an exchange is invalid.
_MAX_REASON_CHARS = 120


#: HTTP statuses that say nothing about a request: a wrong key, the rate limit, a broken service.
_ACCESS_STATUSES = frozenset({401, 403, 408, 429, *range(500, 600)})


@dataclass(frozen=True, slots=True)
class RecorderOptions:
    """Settings of a recorder."""

    masks: Sequence[str] = ()
    """JSON pointers to members of requests."""
    secrets: Sequence[str] = ()
    """Texts that are never written, in addition to the keys that requests carry."""
    detect_profile: bool = False
    """Whether the first successful reply decides the profile."""
    record_errors: bool = False
    """Whether to record errors of access although the request has a good recording."""


class RecordingResult:
    """The result of one request, for the log and the summary."""

    def __init__(self, pass_through: PassThroughExchange, entry: Entry) -> None:
        self.method = entry.method
        self.path = pass_through.path.partition("?")[0] or entry.path
        self.status = entry.status
        self.duration = pass_through.end_time
        self.time_to_first_byte = pass_through.chunk_times[0] if pass_through.chunk_times else None
        self.file: Path | None = None
        self.problem = ""
        """Why it was not recorded, or how its end was unusual."""
        self.findings: list[Finding] = []
        """Those of the request, then those of the reply."""
        self.secrets: tuple[str, ...] = entry.secrets


_DEFAULT_OPTIONS = RecorderOptions()


class Recorder:
    """Records the exchanges of a relay; its methods never block the relay."""

    def __init__(
        self,
        folder: Path,
        upstream: str,
        profile: Profile,
        options: RecorderOptions = _DEFAULT_OPTIONS,
        on_result: Callable[[RecordingResult], None] = lambda result: None,
        on_profile: Callable[[ProfileChoice], None] = lambda choice: None,
    ) -> None:
        """`on_result` is called once for each request, and `on_profile` once the profile is detected.

        Both are called in the recorder's thread.
        """
        self._folder = folder
        self._upstream = upstream
        self._profile = profile
        self._options = options
        self._is_profile_open = options.detect_profile
        self._on_result = on_result
        self._on_profile = on_profile
        self._secrets = tuple(options.secrets)
        self._checker = PassThroughChecker(profile)
        # Only the recorder's thread uses what follows. It runs one task at a time, so requests get their
        # numbers in the order of arrival.
        self._executor = ThreadPoolExecutor(1, "recorder")
        self._pending: dict[PassThroughExchange, PendingRecording] = {}
        self._last_numbers: Counter[str] = Counter()
        self.internal_errors: list[str] = []
        """Unexpected errors, by type and source location."""

    def on_request(self, pass_through: PassThroughExchange) -> None:
        """Number a request that is forwarded to the endpoint."""
        self._executor.submit(self._run_guarded, self._number_request, pass_through)

    def on_complete(self, pass_through: PassThroughExchange) -> None:
        """Check the exchange and write its recording."""
        self._executor.submit(self._run_guarded, self._write_recording, pass_through)

    def close(self) -> None:
        """Wait until everything is written."""
        self._executor.shutdown(wait=True)

    def _run_guarded(
        self, work: Callable[[PassThroughExchange], None], pass_through: PassThroughExchange
    ) -> None:
        try:
            work(pass_through)
        except Exception as error:  # noqa: BLE001 (a lost recording must be reported, whatever the cause)
            frame = traceback.extract_tb(error.__traceback__)[-1]
            self.internal_errors.append(f"{type(error).__name__} in {frame.name}:{frame.lineno}")

    def _number_request(self, pass_through: PassThroughExchange) -> None:
        if unreadable_request_reason(pass_through, self._options.masks):
            return
        pending = pending_recording(pass_through, self._options.masks, 0, self._secrets)
        if pending.stem not in self._last_numbers:
            self._last_numbers[pending.stem] = recording_folder.highest_number(self._folder, pending.stem)
        self._last_numbers[pending.stem] += 1
        self._pending[pass_through] = replace(pending, number=self._last_numbers[pending.stem])

    def _write_recording(self, pass_through: PassThroughExchange) -> None:
        pending = self._pending.pop(pass_through, None)
        self._detect_profile(pass_through)
        entry = self._checker.journal_entry(
            pass_through,
            (pass_through.endpoint_key, *self._secrets) if pass_through.endpoint_key else self._secrets,
        )
        result = RecordingResult(pass_through, entry)
        if entry.is_checked:
            result.findings = list(entry.findings)
        result.findings += entry.reply_findings
        reason = unrecorded_reason(pass_through, self._options.masks) or self._skipped_error(
            pass_through, pending
        )
        result.problem = _problem(pass_through, reason)
        if pending is not None and not reason:
            try:
                exchange = build_exchange(pass_through, pending, self._upstream, self._profile.name)
                result.file = recording_folder.add_recording(
                    self._folder, pending.stem, pending.number, exchange
                )
            except OSError as error:
                result.problem = f"not recorded: {error.strerror or error}"
            except InvalidExchange as error:
                result.problem = f"not recorded: {error.reason[:_MAX_REASON_CHARS]}"
        self._on_result(result)

    def _detect_profile(self, pass_through: PassThroughExchange) -> None:
        """Check against the profile of the first response; recordings before it are errors."""
        if self._is_profile_open and pass_through.is_create_request and pass_through.status == 200:
            choice = detect_endpoint_profile(self._upstream, pass_through.reply_body)
            self._profile = load_profile(choice.profile)
            self._checker = PassThroughChecker(self._profile)
            self._is_profile_open = False
            self._on_profile(choice)

    def _skipped_error(self, pass_through: PassThroughExchange, pending: PendingRecording | None) -> str:
        """Why an error is not recorded: played after a good recording, it would take its place."""
        if self._options.record_errors or pending is None or pass_through.status not in _ACCESS_STATUSES:
            return ""
        statuses = recording_folder.recorded_statuses(self._folder, pending.stem)
        if all(each in _ACCESS_STATUSES for each in statuses):
            return ""
        return (
            f"HTTP status {pass_through.status}, and the request has a good recording; "
            "--record-errors records it"
        )


def _problem(pass_through: PassThroughExchange, reason: str) -> str:
    if not pass_through.forwarded:
        return "refused: not forwarded"
    if reason:
        return f"not recorded: {reason}"
    if pass_through.client_disconnected:
        return "the client disconnected before the end"
    return "" if pass_through.complete else "the endpoint cut the reply"
