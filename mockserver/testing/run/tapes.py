"""The tape of a test: its recordings, played in the mock's place, or made while an endpoint answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from starlette.types import Receive

from mockserver.errors import ConfigurationError, InvalidExchange, MockServerError
from mockserver.exchanges import Exchange, parse_exchange
from mockserver.live.pass_through import PassThroughExchange
from mockserver.profiles import DEFAULT_PROFILE, load_profile
from mockserver.recordings import recording_folder
from mockserver.recordings.canonical_requests import parse_mask
from mockserver.recordings.diff.changes import Change, ChangeSeverity
from mockserver.recordings.diff.recordings import changes_in_pairs, pair_recordings_in_order
from mockserver.recordings.playback_queue import PlaybackQueue, request_of
from mockserver.recordings.recorded_exchanges import (
    PendingRecording,
    build_exchange,
    pending_recording,
    unrecorded_reason,
)
from mockserver.recordings.replay import (
    INSTANT,
    RecordingPlayer,
    ReplayApp,
    client_base_paths,
    play_recording,
)
from mockserver.server.http.threaded_server import ThreadedServer
from mockserver.server.state.sessions import open_session
from mockserver.settings import load_project_settings
from mockserver.testing.serving import API_KEY, GRACE_SECONDS, Served
from mockserver.wire import json

if TYPE_CHECKING:
    from mockserver.testing.run.live import LivePlan

__all__ = ["Played", "Tape", "Tapes", "breaking", "kept"]


@dataclass
class Tape:
    """What was recorded for a test, and what is recorded now; takes what passes a relay, and plays."""

    file: Path
    mode: str
    upstream: str = ""
    profile: str = DEFAULT_PROFILE
    masks: tuple[str, ...] = ()
    known: tuple[Exchange, ...] = ()
    taken: dict[int, dict[str, Any]] = field(default_factory=dict)
    """What was recorded, by the order in which it was asked."""

    def __post_init__(self) -> None:
        self.deck = PlaybackQueue(self.known, once=True)
        self._tickets: dict[PassThroughExchange, tuple[int, PendingRecording]] = {}
        self._numbers = Counter(each.name.rpartition("-")[0] for each in self.known)
        self._came = 0
        self.trouble = ""
        """Why a request was not recorded."""

    @property
    def plays(self) -> bool:
        """Whether the recordings alone answer."""
        return self.mode == "none" or (self.mode == "once" and bool(self.known))

    @property
    def model(self) -> str | None:
        """The model that was asked when it was recorded."""
        models = (each.request.get("model") for each in self.known if each.request)
        return next((each for each in models if isinstance(each, str)), None)

    async def play(self, pass_through: PassThroughExchange, receive: Receive) -> bool:
        """Answer with a recording, where the mode says so and there is one."""
        if self.mode != "new_episodes":
            return False
        exchange = self.deck.take(
            self.deck.canonicalize(pass_through.scope["method"], pass_through.path, pass_through.request_body)
        )
        if exchange is None:
            return False
        pass_through.mark_forwarded()
        await play_recording(exchange, pass_through, receive, INSTANT)
        return True

    def on_request(self, pass_through: PassThroughExchange) -> None:
        """A request goes on to the endpoint."""
        ticket = pending_recording(pass_through, self.masks, 0)
        self._came += 1
        self._numbers[ticket.stem] += 1
        number = self._numbers[ticket.stem]
        self._tickets[pass_through] = self._came, replace(ticket, number=number)

    def on_complete(self, pass_through: PassThroughExchange) -> None:
        """It was answered, or was not."""
        if pass_through not in self._tickets:
            return
        place, ticket = self._tickets.pop(pass_through)
        if unrecorded_reason(pass_through):
            return
        try:
            self.taken[place] = build_exchange(pass_through, ticket, self.upstream, self.profile)
        except InvalidExchange as error:
            self.trouble = f"a request can not be recorded: {error.reason}"

    @property
    def _fresh(self) -> list[dict[str, Any]]:
        return [self.taken[place] for place in sorted(self.taken)]

    def changes(self) -> list[Change]:
        """What the endpoint says now otherwise than it was recorded."""
        fresh = [parse_exchange(json.dumps(each), each["name"]) for each in self._fresh]
        return changes_in_pairs(pair_recordings_in_order(self.known, fresh))

    def keep(self) -> int:
        """Write what the mode says is to be kept; how many recordings are new. OSError."""
        fresh = self._fresh
        if self.mode == "rewrite" and not fresh:
            self.file.unlink(missing_ok=True)
        if self.mode in ("none", "verify") or not fresh:
            return 0
        kept = [] if self.mode == "rewrite" else self._as_they_were(fresh)
        recording_folder.replace_file(self.file, [*kept, *fresh])
        return len(fresh)

    def _as_they_were(self, fresh: Sequence[Mapping[str, Any]]) -> list[Any]:
        """The recordings that stay: with `all`, those of requests that were not made this time."""
        if not self.file.exists():
            return []
        value = json.loads(self.file.read_bytes())
        held = value if isinstance(value, list) else [value]
        if self.mode != "all":
            return held
        made = {request_of(parse_exchange(json.dumps(each), each["name"])).digest for each in fresh}
        stay = {each.name for each in self.known if request_of(each).digest not in made}
        return [each for each in held if each["name"] in stay]


class Played:
    """A server that plays tapes of one profile, one after another."""

    def __init__(self, profile: str) -> None:
        self._session = open_session("recorded", profile=profile)
        self._playback = RecordingPlayer(PlaybackQueue(()))
        about = self._session.profile
        app = ReplayApp(self._playback, about, client_base_paths((), about), self._session.journal)
        server = ThreadedServer(app, grace_seconds=GRACE_SECONDS)
        self.served = Served(self._session, server, api_key=API_KEY, model=(*about.models, "")[0])

    def use(self, tape: Tape) -> Served:
        """The server with a tape in it."""
        self._playback.queue = tape.deck
        self.served.model = tape.model or self.served.model
        return self.served


class Tapes:
    """The tapes of a run's tests."""

    def __init__(self, config: pytest.Config, mode: str, plan: LivePlan | None) -> None:
        self._mode = mode
        self._plan = plan
        self._played: dict[str, Played] = {}
        try:
            self._masks = tuple(map(parse_mask, load_project_settings(config.rootpath).get("mask", ())))
        except ConfigurationError as error:
            raise pytest.UsageError(str(error)) from None

    def begin(self, file: Path, *, needed: bool) -> Tape | None:
        """The tape of a test; None where it has none and makes none.

        ConfigurationError where it lacks what it needs, InvalidExchange where that can not be read.
        """
        there = file.exists()
        if needed and not there and (self._mode in ("none", "verify") or self._plan is None):
            raise ConfigurationError(
                f"{file} is not there: --responses-live and --responses-record-mode=once record it"
            )
        if not there and self._plan is None:
            return None
        known = recording_folder.load_recordings(file) if there else ()
        mode = self._mode if self._plan is not None else "none"
        if self._plan is None:
            return Tape(file, mode, known=known, profile=_profile_of(known))
        return Tape(file, mode, self._plan.origin.base_url, self._plan.profile, self._masks, known)

    def serving(self, tape: Tape) -> Served:
        """The server that plays a tape."""
        name = _profile_of(tape.known)
        if name not in self._played or not self._played[name].served.alive:
            self._played[name] = Played(name)
            self._played[name].served.start()
        return self._played[name].use(tape)

    @property
    def served(self) -> list[Served]:
        """The servers that have been started."""
        return [each.served for each in self._played.values()]

    def stop(self) -> None:
        """Stop them."""
        while self._played:
            self._played.popitem()[1].served.stop()


def _profile_of(known: Sequence[Exchange]) -> str:
    name = next((each.profile for each in known if each.profile), DEFAULT_PROFILE)
    return load_profile(name).name


def breaking(changes: Sequence[Change]) -> list[tuple[str, str, str, str]]:
    """Those that a test fails for, in words: (place, message, before, after)."""
    return [
        (each.location, f"{each.message} ({each.kind})", each.before, each.after)
        for each in changes
        if each.severity is ChangeSeverity.BREAKING
    ]


def kept(tape: Tape) -> tuple[int, str]:
    """(recordings that were written, why none could be)."""
    if tape.trouble:
        return 0, tape.trouble
    try:
        return tape.keep(), ""
    except (OSError, MockServerError) as error:
        return 0, f"{tape.file} can not be written: {error}"
