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
from mockserver.testing.local_server import DEFAULT_API_KEY, GRACE_SECONDS, LocalServer
from mockserver.wire import json

if TYPE_CHECKING:
    from mockserver.testing.pytest_plugin.live_endpoint import LiveSettings

__all__ = ["Recording", "RecordingLibrary", "ReplayServer", "breaking_changes", "save_recording"]


@dataclass
class Recording:
    """What was recorded for a test, and what is recorded now; takes what passes a relay, and plays."""

    file: Path
    mode: str
    upstream: str = ""
    profile: str = DEFAULT_PROFILE
    masks: tuple[str, ...] = ()
    exchanges: tuple[Exchange, ...] = ()
    new_exchanges: dict[int, dict[str, Any]] = field(default_factory=dict)
    """What was recorded, by the order in which it was asked."""

    def __post_init__(self) -> None:
        self.queue = PlaybackQueue(self.exchanges, once=True)
        self._pending: dict[PassThroughExchange, tuple[int, PendingRecording]] = {}
        self._name_counts = Counter(each.name.rpartition("-")[0] for each in self.exchanges)
        self._request_count = 0
        self.error = ""
        """Why a request was not recorded."""

    @property
    def is_replay_only(self) -> bool:
        """Whether the recordings alone answer."""
        return self.mode == "none" or (self.mode == "once" and bool(self.exchanges))

    @property
    def model(self) -> str | None:
        """The model that was asked when it was recorded."""
        models = (each.request.get("model") for each in self.exchanges if each.request)
        return next((each for each in models if isinstance(each, str)), None)

    async def play(self, pass_through: PassThroughExchange, receive: Receive) -> bool:
        """Answer with a recording, where the mode says so and there is one."""
        if self.mode != "new_episodes":
            return False
        exchange = self.queue.take(
            self.queue.canonicalize(
                pass_through.scope["method"], pass_through.path, pass_through.request_body
            )
        )
        if exchange is None:
            return False
        pass_through.mark_forwarded()
        await play_recording(exchange, pass_through, receive, INSTANT)
        return True

    def on_request(self, pass_through: PassThroughExchange) -> None:
        """A request goes on to the endpoint."""
        ticket = pending_recording(pass_through, self.masks, 0)
        self._request_count += 1
        self._name_counts[ticket.stem] += 1
        number = self._name_counts[ticket.stem]
        self._pending[pass_through] = self._request_count, replace(ticket, number=number)

    def on_complete(self, pass_through: PassThroughExchange) -> None:
        """It was answered, or was not."""
        if pass_through not in self._pending:
            return
        place, ticket = self._pending.pop(pass_through)
        if unrecorded_reason(pass_through):
            return
        try:
            self.new_exchanges[place] = build_exchange(pass_through, ticket, self.upstream, self.profile)
        except InvalidExchange as error:
            self.error = f"a request can not be recorded: {error.reason}"

    @property
    def _new_exchanges_in_order(self) -> list[dict[str, Any]]:
        return [self.new_exchanges[place] for place in sorted(self.new_exchanges)]

    def changes(self) -> list[Change]:
        """What the endpoint says now otherwise than it was recorded."""
        fresh = [parse_exchange(json.dumps(each), each["name"]) for each in self._new_exchanges_in_order]
        return changes_in_pairs(pair_recordings_in_order(self.exchanges, fresh))

    def save(self) -> int:
        """Write what the mode says is to be kept; how many recordings are new. OSError."""
        fresh = self._new_exchanges_in_order
        if self.mode == "rewrite" and not fresh:
            self.file.unlink(missing_ok=True)
        if self.mode in ("none", "verify") or not fresh:
            return 0
        kept = [] if self.mode == "rewrite" else self._retained_exchanges(fresh)
        recording_folder.replace_file(self.file, [*kept, *fresh])
        return len(fresh)

    def _retained_exchanges(self, new_exchanges: Sequence[Mapping[str, Any]]) -> list[Any]:
        """The recordings that stay: with `all`, those of requests that were not made this time."""
        if not self.file.exists():
            return []
        value = json.loads(self.file.read_bytes())
        held = value if isinstance(value, list) else [value]
        if self.mode != "all":
            return held
        made = {request_of(parse_exchange(json.dumps(each), each["name"])).digest for each in new_exchanges}
        stay = {each.name for each in self.exchanges if request_of(each).digest not in made}
        return [each for each in held if each["name"] in stay]


class ReplayServer:
    """A server that plays tapes of one profile, one after another."""

    def __init__(self, profile: str) -> None:
        self._session = open_session("recorded", profile=profile)
        self._player = RecordingPlayer(PlaybackQueue(()))
        about = self._session.profile
        app = ReplayApp(self._player, about, client_base_paths((), about), self._session.journal)
        server = ThreadedServer(app, grace_seconds=GRACE_SECONDS)
        self.local_server = LocalServer(
            self._session, server, api_key=DEFAULT_API_KEY, model=(*about.models, "")[0]
        )

    def load(self, recording: Recording) -> LocalServer:
        """The server with a tape in it."""
        self._player.queue = recording.queue
        self.local_server.model = recording.model or self.local_server.model
        return self.local_server


class RecordingLibrary:
    """The tapes of a run's tests."""

    def __init__(self, config: pytest.Config, mode: str, live_settings: LiveSettings | None) -> None:
        self._mode = mode
        self._live_settings = live_settings
        self._replay_servers: dict[str, ReplayServer] = {}
        try:
            self._masks = tuple(map(parse_mask, load_project_settings(config.rootpath).get("mask", ())))
        except ConfigurationError as error:
            raise pytest.UsageError(str(error)) from None

    def open_recording(self, file: Path, *, required: bool) -> Recording | None:
        """The tape of a test; None where it has none and makes none.

        ConfigurationError where it lacks what it needs, InvalidExchange where that can not be read.
        """
        there = file.exists()
        if required and not there and (self._mode in ("none", "verify") or self._live_settings is None):
            raise ConfigurationError(
                f"{file} is not there: --responses-live and --responses-record-mode=once record it"
            )
        if not there and self._live_settings is None:
            return None
        known = recording_folder.load_recordings(file) if there else ()
        mode = self._mode if self._live_settings is not None else "none"
        if self._live_settings is None:
            return Recording(file, mode, exchanges=known, profile=_recorded_profile(known))
        return Recording(
            file, mode, self._live_settings.endpoint.base_url, self._live_settings.profile, self._masks, known
        )

    def replay_server(self, recording: Recording) -> LocalServer:
        """The server that plays a tape."""
        name = _recorded_profile(recording.exchanges)
        if name not in self._replay_servers or not self._replay_servers[name].local_server.is_running:
            self._replay_servers[name] = ReplayServer(name)
            self._replay_servers[name].local_server.start()
        return self._replay_servers[name].load(recording)

    @property
    def servers(self) -> list[LocalServer]:
        """The servers that have been started."""
        return [each.local_server for each in self._replay_servers.values()]

    def stop(self) -> None:
        """Stop them."""
        while self._replay_servers:
            self._replay_servers.popitem()[1].local_server.stop()


def _recorded_profile(exchanges: Sequence[Exchange]) -> str:
    name = next((each.profile for each in exchanges if each.profile), DEFAULT_PROFILE)
    return load_profile(name).name


def breaking_changes(changes: Sequence[Change]) -> list[tuple[str, str, str, str]]:
    """Those that a test fails for, in words: (place, message, before, after)."""
    return [
        (each.location, f"{each.message} ({each.kind})", each.before, each.after)
        for each in changes
        if each.severity is ChangeSeverity.BREAKING
    ]


def save_recording(recording: Recording) -> tuple[int, str]:
    """(recordings that were written, why none could be)."""
    if recording.error:
        return 0, recording.error
    try:
        return recording.save(), ""
    except (OSError, MockServerError) as error:
        return 0, f"{recording.file} can not be written: {error}"
