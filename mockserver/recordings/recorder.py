"""The recorder: writes every exchange of a relay to a file at the end of its reply, then checks it.

Writing and checking have a thread each. No reply waits for an earlier one, and no file for a check: the check
of an odd reply takes long.
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from mockserver.contract.detection import ProfileChoice, detect_endpoint_profile
from mockserver.contract.findings import Finding
from mockserver.contract.formatting import redact_finding
from mockserver.errors import InvalidExchange
from mockserver.live.background import BackgroundWorker
from mockserver.live.pass_through import PassThroughExchange
from mockserver.live.pass_through_checks import PassThroughChecker
from mockserver.profiles import Profile, load_profile
from mockserver.recordings import recording_folder
from mockserver.recordings.recorded_exchanges import (
    PendingRecording,
    build_exchange,
    pending_recording,
    unreadable_request_reason,
    unrecorded_reason,
)
from mockserver.server.state.journal import Entry, request_secrets
from mockserver.wire.masks import parse_masks
from mockserver.wire.redaction import redact

__all__ = ["Recorder", "RecorderOptions", "RecordingResult"]

#: Maximum length of the reason why an exchange is invalid.
_MAX_REASON_CHARS = 120

#: Bytes of exchanges that may wait for their check; later ones are recorded and not checked.
_MAX_UNCHECKED_BYTES = 256 << 20

#: HTTP statuses that say nothing about a request: a wrong key, the rate limit, a broken service.
_ACCESS_STATUSES = frozenset({401, 403, 408, 429, *range(500, 600)})


@dataclass(frozen=True, slots=True)
class RecorderOptions:
    """Settings of a recorder."""

    masks: Sequence[str] = ()
    """JSON pointers to members of requests, and patterns."""
    secrets: Sequence[str] = ()
    """Texts that are never written, in addition to the keys that requests carry."""
    detect_profile: bool = False
    """Whether the first successful reply decides the profile."""
    record_errors: bool = False
    """Whether to record errors of access although the request has a good recording."""


class RecordingResult:
    """The result of one request, for the log and the summary."""

    def __init__(self, pass_through: PassThroughExchange, secrets: tuple[str, ...]) -> None:
        authorization = dict(pass_through.scope["headers"]).get(b"authorization", b"")
        keys = (pass_through.endpoint_key, *secrets) if pass_through.endpoint_key else secrets
        self.secrets = request_secrets(authorization, keys)
        self.method: str = pass_through.scope["method"]
        self.path = pass_through.path.partition("?")[0] or redact(pass_through.scope["path"], self.secrets)
        self.status = pass_through.status
        self.duration = pass_through.end_time
        self.time_to_first_byte = pass_through.chunk_times[0] if pass_through.chunk_times else None
        self.file: Path | None = None
        self.problem = ""
        """Why it was not recorded, or how its end was unusual."""
        self.refusal = ""
        """Why the request was not forwarded, as its client was told."""
        self.is_lost = False
        """Whether it was not recorded although it should be."""
        self.unchecked_reason = ""
        """Why it was not checked; empty if it was."""
        self.findings: list[Finding] = []
        """Those of the request, then those of the reply."""


_DEFAULT_OPTIONS = RecorderOptions()


class Recorder:
    """Records the exchanges of a relay; its methods do not block the relay."""

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

        Both are called in the recorder's threads and must not block.
        """
        self._folder = folder
        self._upstream = upstream
        self._profile = profile
        self._options = options
        self._is_profile_open = options.detect_profile
        self._on_result = on_result
        self._on_profile = on_profile
        self.on_entry: Callable[[Entry], None] | None = None
        """Called with the journal entry of each checked exchange, in the thread that checks."""
        self._secrets = tuple(options.secrets)
        self._masks = parse_masks(options.masks)
        self._checker, self._checker_profile = PassThroughChecker(profile), profile
        # Only the writer uses what follows. It runs one task at a time, so requests get their numbers in the
        # order of arrival.
        self._writer = BackgroundWorker("recorder")
        self._checks = BackgroundWorker("recorder checks")
        self._pending: dict[PassThroughExchange, PendingRecording] = {}
        self._last_numbers: Counter[str] = Counter()
        self._numbering_errors: dict[PassThroughExchange, str] = {}
        # The thread that removes an exchange from these reports it: `dict.pop` is atomic.
        self._unwritten: dict[PassThroughExchange, RecordingResult] = {}
        self._unchecked: dict[PassThroughExchange, RecordingResult] = {}

    @property
    def unchecked_count(self) -> int:
        """Exchanges that wait for their check."""
        return len({*self._unwritten, *self._unchecked})

    def on_request(self, pass_through: PassThroughExchange) -> None:
        """Number a request that is forwarded to the endpoint."""
        self._writer.submit(partial(self._number_request, pass_through))

    def on_complete(self, pass_through: PassThroughExchange) -> None:
        """Write the recording of an exchange, and have it checked."""
        self._unwritten[pass_through] = RecordingResult(pass_through, self._secrets)
        self._writer.submit(partial(self._record, pass_through))

    def close(self, check_seconds: float | None = None) -> None:
        """Wait until everything is written, and up to `check_seconds` until it is checked."""
        self._writer.wait()
        self._checks.wait(check_seconds)
        self.abandon("the checks took too long")

    def abandon(self, reason: str) -> None:
        """Leave what is not written or checked, and report it."""
        self._writer.close()
        self._checks.close()
        for pass_through in list(self._unwritten):
            result = self._unwritten.pop(pass_through, None)
            if result is not None:
                result.problem, result.is_lost = f"not recorded: {reason}", True
                result.unchecked_reason = reason
                self._on_result(result)
        for pass_through in list(self._unchecked):
            self._report_unchecked(pass_through, reason)

    def _number_request(self, pass_through: PassThroughExchange) -> None:
        try:
            if unreadable_request_reason(pass_through, self._masks):
                return
            pending = pending_recording(pass_through, self._masks, 0, self._secrets)
            if pending.stem not in self._last_numbers:
                self._last_numbers[pending.stem] = recording_folder.highest_number(self._folder, pending.stem)
        except Exception as error:  # noqa: BLE001 (`_record` reports that the recording is lost)
            self._numbering_errors[pass_through] = _internal_error(error)
            return
        self._last_numbers[pending.stem] += 1
        self._pending[pass_through] = replace(pending, number=self._last_numbers[pending.stem])

    def _record(self, pass_through: PassThroughExchange) -> None:
        result = self._unwritten.get(pass_through)
        if result is None:
            return
        try:
            self._write_recording(pass_through, result)
        except Exception as error:  # noqa: BLE001 (a lost recording must be reported, whatever the cause)
            result.problem, result.is_lost = f"not recorded: {_internal_error(error)}", True
        self._unchecked[pass_through] = result
        if self._unwritten.pop(pass_through, None) is None:
            del self._unchecked[pass_through]
            return
        if pass_through.kept_bytes + self._checks.pending_bytes > _MAX_UNCHECKED_BYTES:
            self._report_unchecked(pass_through, "too many replies wait for their check")
        else:
            self._checks.submit(
                partial(self._check, pass_through, result, self._profile), pass_through.kept_bytes
            )

    def _write_recording(self, pass_through: PassThroughExchange, result: RecordingResult) -> None:
        pending = self._pending.pop(pass_through, None)
        self._detect_profile(pass_through)
        skipped = self._skipped_error(pass_through, pending)
        reason = skipped or unrecorded_reason(pass_through, self._masks)
        reason = reason or self._numbering_errors.pop(pass_through, "")
        result.problem = _problem(pass_through, reason)
        result.refusal = "" if pass_through.forwarded else pass_through.failure.reason
        result.is_lost = bool(reason) and not skipped and _has_reply(pass_through)
        if pending is None or reason:
            return
        try:
            exchange = build_exchange(pass_through, pending, self._upstream, self._profile.name)
            result.file = recording_folder.add_recording(self._folder, pending.stem, pending.number, exchange)
        except OSError as error:
            result.problem, result.is_lost = f"not recorded: {error.strerror or error}", True
        except InvalidExchange as error:
            result.problem, result.is_lost = f"not recorded: {error.reason[:_MAX_REASON_CHARS]}", True

    def _check(self, pass_through: PassThroughExchange, result: RecordingResult, profile: Profile) -> None:
        if profile is not self._checker_profile:
            self._checker, self._checker_profile = PassThroughChecker(profile), profile
        keys = (pass_through.endpoint_key, *self._secrets) if pass_through.endpoint_key else self._secrets
        try:
            entry = self._checker.journal_entry(pass_through, keys)
            found = [*(entry.findings if entry.is_checked else ()), *entry.reply_findings]
            findings = [redact_finding(each, entry.secrets) for each in found]
            if self.on_entry is not None:
                self.on_entry(entry)
        except Exception as error:  # noqa: BLE001 (an unchecked reply must be reported, whatever the cause)
            self._report_unchecked(pass_through, _internal_error(error))
            return
        if self._unchecked.pop(pass_through, None) is not None:
            result.findings = findings
            self._on_result(result)

    def _report_unchecked(self, pass_through: PassThroughExchange, reason: str) -> None:
        result = self._unchecked.pop(pass_through, None)
        if result is not None:
            result.unchecked_reason = reason
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


def _has_reply(pass_through: PassThroughExchange) -> bool:
    """Whether there is something to record."""
    return pass_through.forwarded and not pass_through.refused and bool(pass_through.status)


def _problem(pass_through: PassThroughExchange, reason: str) -> str:
    if not pass_through.forwarded:
        return "refused: not forwarded"
    if reason:
        return f"not recorded: {reason}"
    if pass_through.client_disconnected:
        return "the client disconnected before the end"
    return "" if pass_through.complete else "the endpoint cut the reply"


def _internal_error(error: Exception) -> str:
    """An unexpected error, by its type and source location; its message could contain a key."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"internal error: {type(error).__name__} in {frame.name}:{frame.lineno}"
