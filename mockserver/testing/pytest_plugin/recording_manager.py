"""The recordings of the running test: which mode applies, and their use in the report.

It loads `recordings` only if a test has recordings or makes some.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from mockserver.errors import MockServerError
from mockserver.testing.pytest_plugin import options
from mockserver.testing.pytest_plugin.recording_files import recording_file

if TYPE_CHECKING:
    from mockserver.testing.local_server import LocalServer
    from mockserver.testing.pytest_plugin.findings import FindingCollector
    from mockserver.testing.pytest_plugin.live_endpoint import LiveSettings
    from mockserver.testing.pytest_plugin.recordings import Recording, RecordingLibrary

__all__ = ["RecordingManager", "RecordingResult"]


@dataclass(frozen=True)
class RecordingResult:
    """What happened to a test's recordings."""

    report_data: dict[str, Any] = field(default_factory=dict)
    """For the JSON report."""
    notes: str = ""
    """For the transcript."""
    error: str = ""
    """Why the recordings could not be written."""


class RecordingManager:
    """Opens, replays and saves the recording of the running test."""

    def __init__(self, config: pytest.Config, live_settings: LiveSettings | None, max_body: int) -> None:
        self._config = config
        self._mode = options.record_mode(config)
        self._live_settings = live_settings
        self._max_body = max_body
        self._library: RecordingLibrary | None = None
        self.recording: Recording | None = None
        self.error = ""
        """Why the recordings of the running test cannot be used; that test fails."""

    @property
    def is_replaying(self) -> bool:
        """Whether only recordings answer the test."""
        return self.recording is not None and self.recording.is_replay_only

    def begin_test(self, item: pytest.Item) -> None:
        """Open the recording of a test that has or makes one."""
        self.recording, self.error = None, ""
        arguments = options.marker_arguments(item)
        wanted = arguments.get("recorded")
        if wanted is False or "responses_server" not in getattr(item, "fixturenames", ()):
            return
        file = recording_file(item)
        if self._live_settings is None and not wanted and not file.exists():
            return
        if self._live_settings is not None and not self._mode.needs_endpoint and not self._mode.records:
            return  # the endpoint answers, and nothing is recorded
        try:
            self.recording = self._load_library().open_recording(
                file, required=wanted is True, records_errors=arguments.get("record_errors") is True
            )
        except MockServerError as error:
            self.error = str(error)

    def _load_library(self) -> RecordingLibrary:
        if self._library is None:
            from mockserver.testing.pytest_plugin.recordings import RecordingLibrary

            self._library = RecordingLibrary(self._config, self._mode, self._live_settings, self._max_body)
        return self._library

    def replay_server(self) -> LocalServer | None:
        """The server that replays the test's recordings; None if something else answers."""
        if self.recording is None or not self.recording.is_replay_only:
            return None
        return self._load_library().replay_server(self.recording)

    def forbid_scripting(self, action: str) -> NoReturn:
        """Fail a test that configures the mock although it replays recordings."""
        file = self.recording.file if self.recording is not None else ""
        pytest.fail(f"{action}, but the test replays {file}: remove the stub or the recording")

    @property
    def servers(self) -> list[LocalServer]:
        """The replay servers."""
        return self._library.servers if self._library is not None else []

    def rewind(self) -> None:
        """Replay from the start, for another example of a property."""
        if self.recording is not None:
            self.recording.queue.reset()

    def end_test(self, collector: FindingCollector, *, passed: bool) -> RecordingResult:
        """Compare or save the test's recording; a failed test leaves it unchanged."""
        recording = self.recording
        if recording is None:
            return RecordingResult()
        from mockserver.testing.pytest_plugin.recordings import (
            breaking_changes,
            save_recording,
            unrecorded_requests,
        )

        changes = recording.changes() if recording.mode.compares and passed else []
        collector.add_drift(breaking_changes(changes))
        collector.add_unrecorded(unrecorded_requests(changes))
        succeeded = passed and not collector.has_violations
        written, error = save_recording(recording) if succeeded else (0, "")
        notes = [f"recordings: {recording.file}"]
        if not succeeded and recording.new_exchanges and recording.mode.records:
            notes.append("the test failed: its recordings are unchanged")
        elif succeeded and recording.failed_request and recording.mode.records:
            notes.append("the endpoint did not answer every request: the recordings are unchanged")
        notes += [
            f"{each.severity} {each.kind} {each.location}: {each.before} -> {each.after}" for each in changes
        ]
        unplayed = recording.queue.unplayed
        report_data = {
            "file": _relative_path(self._config, recording),
            "played": len(recording.exchanges) - len(unplayed) if recording.mode.replays else 0,
            "written": written,
            "unplayed": [each.name for each in unplayed] if recording.is_replay_only else [],
            "changes": [f"{each.severity} {each.kind} {each.location}" for each in changes],
        }
        return RecordingResult({"recordings": report_data}, "\n".join(notes), error)

    def stop(self) -> None:
        """Stop the replay servers."""
        if self._library is not None:
            self._library.stop()


def _relative_path(config: pytest.Config, recording: Recording) -> str:
    try:
        return recording.file.relative_to(config.rootpath).as_posix()
    except ValueError:
        return str(recording.file)
