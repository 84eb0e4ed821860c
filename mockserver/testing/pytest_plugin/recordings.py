"""The recordings of a test: replayed in place of the mock, or made while an endpoint answers."""

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
from mockserver.recordings.diff.changes import Change, ChangeSeverity
from mockserver.recordings.diff.recordings import changes_in_pairs, pair_recordings_in_order
from mockserver.recordings.playback_queue import PlaybackQueue, request_of
from mockserver.recordings.recorded_exchanges import (
    PendingRecording,
    build_exchange,
    is_error_reply,
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
from mockserver.regular_files import read_regular_file
from mockserver.server.http.threaded_server import ThreadedServer
from mockserver.server.state.sessions import open_session
from mockserver.testing.local_server import GRACE_SECONDS, LocalServer
from mockserver.testing.pytest_plugin.options import RECORD_MODES, RecordMode
from mockserver.testing.server_settings import DEFAULT_API_KEY
from mockserver.wire import json
from mockserver.wire.masks import NO_MASKS, Masks, configured_masks

if TYPE_CHECKING:
    from mockserver.testing.pytest_plugin.live_endpoint import LiveSettings

__all__ = [
    "Recording",
    "RecordingLibrary",
    "ReplayServer",
    "breaking_changes",
    "save_recording",
    "unrecorded_requests",
]


@dataclass
class Recording:
    """The recordings of one test: what its file holds, and what it records now.

    It is the relay's listener and player.
    """

    file: Path
    mode: RecordMode
    upstream: str = ""
    profile: str = DEFAULT_PROFILE
    masks: Masks = NO_MASKS
    exchanges: tuple[Exchange, ...] = ()
    records_errors: bool = False
    """Whether error replies are recorded too."""
    new_exchanges: dict[int, dict[str, Any]] = field(default_factory=dict)
    """What was recorded now, by the number of its request."""

    def __post_init__(self) -> None:
        self.queue = PlaybackQueue(self.exchanges, once=True, masks=self.masks)
        self._pending: dict[PassThroughExchange, tuple[int, PendingRecording]] = {}
        self._name_counts = Counter(each.name.rpartition("-")[0] for each in self.exchanges)
        self._request_count = 0
        self.unrecorded: list[str] = []
        """Why requests were not recorded, one reason each; then the file stays as it is."""
        self.failed_request = False
        """Whether the endpoint did not answer a request, which is a finding of its own."""

    @property
    def is_replay_only(self) -> bool:
        """Whether only recordings answer."""
        return not self.mode.needs_endpoint and bool(self.exchanges)

    @property
    def model(self) -> str | None:
        """The model that the recorded requests name."""
        models = (each.request.get("model") for each in self.exchanges if each.request)
        return next((each for each in models if isinstance(each, str)), None)

    async def play(self, pass_through: PassThroughExchange, receive: Receive) -> bool:
        """Reply with a recording of this request, if the mode replays and there is one."""
        if not self.mode.replays:
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
        """Number a request that is forwarded to the endpoint."""
        pending = pending_recording(pass_through, self.masks, 0)
        self._request_count += 1
        self._name_counts[pending.stem] += 1
        number = self._name_counts[pending.stem]
        self._pending[pass_through] = self._request_count, replace(pending, number=number)

    def on_complete(self, pass_through: PassThroughExchange) -> None:
        """Record a request that is over, if it was answered."""
        if pass_through not in self._pending:
            self.failed_request |= pass_through.failure.name == "budget"
            return
        request_number, pending = self._pending.pop(pass_through)
        if pass_through.failure.name and not (self.records_errors and not pass_through.refused):
            self.failed_request = True
            return
        if reason := self._unrecorded_reason(pass_through):
            self.unrecorded.append(f"{pass_through.scope['method']} {pass_through.path}: {reason}")
            return
        try:
            self.new_exchanges[request_number] = build_exchange(
                pass_through, pending, self.upstream, self.profile
            )
        except InvalidExchange as error:
            self.unrecorded.append(f"{pass_through.scope['method']} {pass_through.path}: {error.reason}")

    def _unrecorded_reason(self, pass_through: PassThroughExchange) -> str:
        if reason := unrecorded_reason(pass_through, self.masks):
            return reason
        if self.mode.records and not self.records_errors and is_error_reply(pass_through):
            return (
                f"the reply is an error (status {pass_through.status}); "
                "@pytest.mark.responses(record_errors=True) records it"
            )
        return ""

    @property
    def _new_exchanges_in_order(self) -> list[dict[str, Any]]:
        return [self.new_exchanges[number] for number in sorted(self.new_exchanges)]

    def changes(self) -> list[Change]:
        """How the endpoint's replies differ from the recorded ones."""
        new = [parse_exchange(json.dumps(each), each["name"]) for each in self._new_exchanges_in_order]
        return changes_in_pairs(pair_recordings_in_order(self.exchanges, new))

    def save(self) -> int:
        """Write the file as the mode demands; returns the number of new recordings. OSError."""
        new = self._new_exchanges_in_order
        if not self.mode.records or self.unrecorded or self.failed_request:
            return 0
        if not new:
            if self.mode.keeps == "none":
                self.file.unlink(missing_ok=True)
            return 0
        recording_folder.replace_file(self.file, [*self._retained_exchanges(new), *new])
        return len(new)

    def _retained_exchanges(self, new_exchanges: Sequence[Mapping[str, Any]]) -> list[Any]:
        if self.mode.keeps == "none" or not self.file.exists():
            return []
        value = json.loads(read_regular_file(self.file))
        existing = value if isinstance(value, list) else [value]
        if self.mode.keeps == "all":
            return existing
        new = {request_of(parse_exchange(json.dumps(each), each["name"])).digest for each in new_exchanges}
        names = {each.name for each in self.exchanges if request_of(each).digest not in new}
        return [each for each in existing if each["name"] in names]


class ReplayServer:
    """A server that replays the recordings of one profile, those of one test at a time."""

    def __init__(self, profile: str, max_body: int) -> None:
        self._session = open_session("recorded", profile=profile)
        self._player = RecordingPlayer(PlaybackQueue(()))
        profile_facts = self._session.profile
        app = ReplayApp(
            self._player,
            profile_facts,
            client_base_paths((), profile_facts),
            self._session.journal,
            max_body=max_body,
        )
        server = ThreadedServer(app, grace_seconds=GRACE_SECONDS)
        self.local_server = LocalServer(
            self._session,
            server,
            api_key=DEFAULT_API_KEY,
            model=(*profile_facts.models, "")[0],
            wait_until_idle=app.wait_until_idle,
        )

    def load(self, recording: Recording) -> LocalServer:
        """Replay this recording from now on."""
        self._player.queue = recording.queue
        self.local_server.model = recording.model or self.local_server.model
        return self.local_server


class RecordingLibrary:
    """Opens the recordings of tests, and runs the replay servers."""

    def __init__(
        self, config: pytest.Config, mode: RecordMode, live_settings: LiveSettings | None, max_body: int
    ) -> None:
        self._mode = mode
        self._live_settings = live_settings
        self._max_body = max_body
        self._replay_servers: dict[str, ReplayServer] = {}
        self._masks = configured_masks()

    def open_recording(self, file: Path, *, required: bool, records_errors: bool = False) -> Recording | None:
        """The recording of a test; None if it has none and makes none.

        ConfigurationError if a required one is missing, InvalidExchange if the file is invalid.
        """
        exists, live = file.exists(), self._live_settings
        if required and not exists and (live is None or not self._mode.records):
            raise ConfigurationError(
                f"{file} does not exist: --responses-live and --responses-record-mode=once record it"
            )
        if not exists and live is None:
            return None
        if exists and not file.is_file():
            raise ConfigurationError(f"cannot read {file}: it is not a regular file")
        exchanges = recording_folder.load_recordings(file) if exists else ()
        if live is None:
            mode = RECORD_MODES["none"]
            profile = _recorded_profile(exchanges)
            return Recording(file, mode, masks=self._masks, exchanges=exchanges, profile=profile)
        return Recording(
            file,
            self._mode,
            live.endpoint.base_url,
            live.profile,
            self._masks,
            exchanges,
            records_errors,
        )

    def replay_server(self, recording: Recording) -> LocalServer:
        """The server that replays a recording."""
        name = _recorded_profile(recording.exchanges)
        if name not in self._replay_servers or not self._replay_servers[name].local_server.is_running:
            self._replay_servers[name] = ReplayServer(name, self._max_body)
            self._replay_servers[name].local_server.start()
        return self._replay_servers[name].load(recording)

    @property
    def servers(self) -> list[LocalServer]:
        """The servers that have started."""
        return [each.local_server for each in self._replay_servers.values()]

    def stop(self) -> None:
        """Stop the servers."""
        while self._replay_servers:
            self._replay_servers.popitem()[1].local_server.stop()


def _recorded_profile(exchanges: Sequence[Exchange]) -> str:
    name = next((each.profile for each in exchanges if each.profile), DEFAULT_PROFILE)
    return load_profile(name).name


def breaking_changes(changes: Sequence[Change]) -> list[tuple[str, str, str, str]]:
    """The changes that fail a test, as (location, message, before, after)."""
    return [
        (each.location, f"{each.message} ({each.kind})", each.before, each.after)
        for each in changes
        if each.severity is ChangeSeverity.BREAKING
    ]


def unrecorded_requests(changes: Sequence[Change]) -> list[str]:
    """The requests that no recording has, so that their replies were compared with nothing."""
    return [each.location for each in changes if each.kind == "recording-added"]


def save_recording(recording: Recording) -> tuple[int, str]:
    """Save; the number of new recordings, and the error if there is one."""
    if recording.unrecorded and recording.mode.records:
        return 0, f"{recording.file} is unchanged: not recorded: {'; '.join(recording.unrecorded)}"
    try:
        return recording.save(), ""
    except (OSError, MockServerError) as error:
        return 0, f"{recording.file} cannot be written: {error}"
