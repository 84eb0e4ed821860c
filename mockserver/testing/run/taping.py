"""Taping: which recordings the test that runs has, plays or makes, and what came of them.

Nothing of recordings is loaded where there are none and none are to be made.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from mockserver.errors import MockServerError
from mockserver.testing.run import options
from mockserver.testing.run.places import recording_file

if TYPE_CHECKING:
    from mockserver.testing.run.live import LivePlan
    from mockserver.testing.run.tapes import Tape, Tapes
    from mockserver.testing.run.verdicts import Watch
    from mockserver.testing.serving import Served

__all__ = ["Taped", "Taping"]


@dataclass(frozen=True)
class Taped:
    """What came of a test's recordings."""

    data: dict[str, Any] = field(default_factory=dict)
    """For the report."""
    told: str = ""
    """For its section."""
    trouble: str = ""
    """Why the recordings could not be written."""


class Taping:
    """The tape of the test that runs."""

    def __init__(self, config: pytest.Config, plan: LivePlan | None) -> None:
        self._config = config
        self._mode = options.chosen(config, "record-mode")
        self._plan = plan
        self._tapes: Tapes | None = None
        self.tape: Tape | None = None
        self.trouble = ""
        """Why the test that runs can not have its recordings: it fails of that, and no other does."""

    @property
    def is_playing(self) -> bool:
        """Whether recordings alone answer the test."""
        return self.tape is not None and self.tape.plays

    def begin(self, item: pytest.Item) -> None:
        """Take up the tape of a test, if it has one or makes one."""
        self.tape, self.trouble = None, ""
        wanted = options.marked(item).get("recorded")
        if wanted is False or "responses_server" not in getattr(item, "fixturenames", ()):
            return
        file = recording_file(item)
        if self._plan is None and not wanted and not file.exists():
            return
        if self._plan is not None and self._mode == "none":
            return  # the endpoint answers, and nothing is kept
        try:
            self.tape = self._loaded().begin(file, needed=wanted is True)
        except MockServerError as error:
            self.trouble = str(error)

    def _loaded(self) -> Tapes:
        if self._tapes is None:
            from mockserver.testing.run.tapes import Tapes

            self._tapes = Tapes(self._config, self._mode, self._plan)
        return self._tapes

    def playing(self) -> Served | None:
        """The server that plays the test's recordings; None where something else answers."""
        if self.tape is None or not self.tape.plays:
            return None
        return self._loaded().serving(self.tape)

    def bar(self, what: str) -> NoReturn:
        """Fail a test that wants of a recording what only the mock can do."""
        file = self.tape.file if self.tape is not None else ""
        pytest.fail(f"{what}, and its recordings are played: {file}; delete the one or the other")

    @property
    def served(self) -> list[Served]:
        """The servers that play."""
        return self._tapes.served if self._tapes is not None else []

    def again(self) -> None:
        """Play from the start: one more example of a property."""
        if self.tape is not None:
            self.tape.deck.reset()

    def end(self, watch: Watch, *, passed: bool) -> Taped:
        """What came of the test's recordings; those that it made are written if it has passed."""
        tape = self.tape
        if tape is None:
            return Taped()
        from mockserver.testing.run.tapes import breaking, kept

        changes = tape.changes() if tape.mode == "verify" and passed else []
        watch.note_drift(breaking(changes))
        whole = passed and not watch.is_broken
        written, trouble = kept(tape) if whole else (0, "")
        told = [f"recordings: {tape.file}"]
        if not whole and tape.taken and tape.mode != "verify":
            told.append("the test failed: its recordings are left as they were")
        told += [
            f"{each.severity} {each.kind} {each.location}: {each.before} -> {each.after}" for each in changes
        ]
        data = {
            "file": _below(self._config, tape),
            "played": len(tape.known) - len(tape.deck.unplayed) if tape.mode in _PLAYING else 0,
            "written": written,
            "unplayed": [each.name for each in tape.deck.unplayed] if tape.plays else [],
            "changes": [f"{each.severity} {each.kind} {each.location}" for each in changes],
        }
        return Taped({"recordings": data}, "\n".join(told), trouble)

    def stop(self) -> None:
        """Stop the servers that play."""
        if self._tapes is not None:
            self._tapes.stop()


#: Modes in which a recording may answer.
_PLAYING = ("none", "once", "new_episodes")


def _below(config: pytest.Config, tape: Tape) -> str:
    """The file of a tape, below the project's root where it is there."""
    try:
        return tape.file.relative_to(config.rootpath).as_posix()
    except ValueError:
        return str(tape.file)
