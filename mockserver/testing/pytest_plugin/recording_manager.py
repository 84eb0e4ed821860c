"""Taping: which recordings the test that runs has, plays or makes, and what came of them.

Nothing of recordings is loaded where there are none and none are to be made.
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
    """What came of a test's recordings."""

    report_data: dict[str, Any] = field(default_factory=dict)
    """For the report."""
    notes: str = ""
    """For its section."""
    error: str = ""
    """Why the recordings could not be written."""


class RecordingManager:
    """The tape of the test that runs."""

    def __init__(self, config: pytest.Config, live_settings: LiveSettings | None) -> None:
        self._config = config
        self._mode = options.option_value(config, "record-mode")
        self._live_settings = live_settings
        self._library: RecordingLibrary | None = None
        self.recording: Recording | None = None
        self.error = ""
        """Why the test that runs can not have its recordings: it fails of that, and no other does."""

    @property
    def is_replaying(self) -> bool:
        """Whether recordings alone answer the test."""
        return self.recording is not None and self.recording.is_replay_only

    def begin_test(self, item: pytest.Item) -> None:
        """Take up the tape of a test, if it has one or makes one."""
        self.recording, self.error = None, ""
        wanted = options.marker_arguments(item).get("recorded")
        if wanted is False or "responses_server" not in getattr(item, "fixturenames", ()):
            return
        file = recording_file(item)
        if self._live_settings is None and not wanted and not file.exists():
            return
        if self._live_settings is not None and self._mode == "none":
            return  # the endpoint answers, and nothing is kept
        try:
            self.recording = self._load_library().open_recording(file, required=wanted is True)
        except MockServerError as error:
            self.error = str(error)

    def _load_library(self) -> RecordingLibrary:
        if self._library is None:
            from mockserver.testing.pytest_plugin.recordings import RecordingLibrary

            self._library = RecordingLibrary(self._config, self._mode, self._live_settings)
        return self._library

    def replay_server(self) -> LocalServer | None:
        """The server that plays the test's recordings; None where something else answers."""
        if self.recording is None or not self.recording.is_replay_only:
            return None
        return self._load_library().replay_server(self.recording)

    def forbid_scripting(self, action: str) -> NoReturn:
        """Fail a test that wants of a recording what only the mock can do."""
        file = self.recording.file if self.recording is not None else ""
        pytest.fail(f"{action}, and its recordings are played: {file}; delete the one or the other")

    @property
    def servers(self) -> list[LocalServer]:
        """The servers that play."""
        return self._library.servers if self._library is not None else []

    def rewind(self) -> None:
        """Play from the start: one more example of a property."""
        if self.recording is not None:
            self.recording.queue.reset()

    def end_test(self, collector: FindingCollector, *, passed: bool) -> RecordingResult:
        """What came of the test's recordings; those that it made are written if it has passed."""
        tape = self.recording
        if tape is None:
            return RecordingResult()
        from mockserver.testing.pytest_plugin.recordings import breaking_changes, save_recording

        changes = tape.changes() if tape.mode == "verify" and passed else []
        collector.add_drift(breaking_changes(changes))
        whole = passed and not collector.has_violations
        written, trouble = save_recording(tape) if whole else (0, "")
        told = [f"recordings: {tape.file}"]
        if not whole and tape.new_exchanges and tape.mode != "verify":
            told.append("the test failed: its recordings are left as they were")
        told += [
            f"{each.severity} {each.kind} {each.location}: {each.before} -> {each.after}" for each in changes
        ]
        data = {
            "file": _relative_path(self._config, tape),
            "played": len(tape.exchanges) - len(tape.queue.unplayed) if tape.mode in _REPLAY_MODES else 0,
            "written": written,
            "unplayed": [each.name for each in tape.queue.unplayed] if tape.is_replay_only else [],
            "changes": [f"{each.severity} {each.kind} {each.location}" for each in changes],
        }
        return RecordingResult({"recordings": data}, "\n".join(told), trouble)

    def stop(self) -> None:
        """Stop the servers that play."""
        if self._library is not None:
            self._library.stop()


#: Modes in which a recording may answer.
_REPLAY_MODES = ("none", "once", "new_episodes")


def _relative_path(config: pytest.Config, recording: Recording) -> str:
    """The file of a tape, below the project's root where it is there."""
    try:
        return recording.file.relative_to(config.rootpath).as_posix()
    except ValueError:
        return str(recording.file)
