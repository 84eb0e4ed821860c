"""Recorders and replays in this process; recordings are complete at the end of the `with` block."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from mockserver.exchanges import Exchange
from mockserver.live.budgeted_client import Budget
from mockserver.live.client import Timeouts
from mockserver.live.endpoint import parse_endpoint
from mockserver.live.relay import Relay, RelayOptions
from mockserver.profiles import Profile, load_profile
from mockserver.recordings.playback_queue import PlaybackQueue
from mockserver.recordings.recorder import Recorder, RecorderOptions, RecordingResult
from mockserver.recordings.recording_folder import load_recordings
from mockserver.recordings.replay import (
    INSTANT,
    PlaybackTimer,
    RecordingPlayer,
    ReplayApp,
    Speed,
    client_base_paths,
)
from mockserver.server.http.threaded_server import ThreadedServer
from mockserver.server.state.journal import Journal
from tests.live.conftest import CANARY_KEY, fake_endpoint, fake_endpoints

__all__ = ["CANARY_KEY", "HELLO", "MODEL", "fake_endpoint", "fake_endpoints"]

PROFILE = load_profile()
MODEL = PROFILE.models[0]
HELLO = {"model": MODEL, "input": "Hello!"}


@dataclass
class RecordingSession:
    """A running recorder."""

    client: httpx.Client
    url: str
    folder: Path
    results: list[RecordingResult]

    @property
    def recordings(self) -> tuple[Exchange, ...]:
        """The recordings in order, once the recorder has stopped."""
        return load_recordings(self.folder)


Record = Callable[..., AbstractContextManager[RecordingSession]]


@contextmanager
def recording(
    upstream: str, folder: Path, key: str = CANARY_KEY, profile: Profile = PROFILE, **options: Any
) -> Iterator[RecordingSession]:
    """Record requests to `upstream`; clients send the endpoint's key, as with the command.

    `check_seconds` is the time that the checks get at the end.
    """
    check_seconds = options.pop("check_seconds", None)
    results: list[RecordingResult] = []
    endpoint = parse_endpoint(upstream, "")
    folder.mkdir(exist_ok=True)
    recorder_options = RecorderOptions(
        options.pop("masks", ()),
        detect_profile=options.pop("detect_profile", False),
        record_errors=options.pop("record_errors", False),
    )
    recorder = Recorder(folder, endpoint.base_url, profile, recorder_options, results.append)
    relay_options = RelayOptions(
        urlsplit(upstream).path, forward_keys=True, forward_redirects=True, check_traffic=False, **options
    )
    relay = Relay(endpoint, profile, (), Budget(1000, 10**9), Timeouts(), Journal(), options=relay_options)
    relay.listener = recorder
    server = ThreadedServer(relay)
    server.start()
    url = server.url + (relay_options.base_path or "")
    try:
        with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
            client.headers["authorization"] = f"Bearer {key}"
            yield RecordingSession(client, url, folder, results)
    finally:
        server.run(relay.wait_until_idle())
        server.run(relay.close())
        server.stop()
        recorder.close(check_seconds)


@contextmanager
def replaying(
    exchanges: tuple[Exchange, ...],
    speed: Speed = INSTANT,
    *,
    once: bool = False,
    timer: PlaybackTimer | None = None,
    profile: Profile = PROFILE,
    journal: Journal | None = None,
) -> Iterator[tuple[httpx.Client, str]]:
    """(a client of a server that replays the recordings, its base URL)."""
    bases = client_base_paths(exchanges, profile)
    player = RecordingPlayer(PlaybackQueue(exchanges, once=once), speed, timer)
    app = ReplayApp(player, profile, bases, Journal() if journal is None else journal)
    server = ThreadedServer(app)
    server.start()
    try:
        url = server.url + bases[0]
        with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
            client.headers["authorization"] = "Bearer any"
            yield client, url
    finally:
        server.stop()


@pytest.fixture
def record(tmp_path: Path) -> Record:
    """Start a recorder before an upstream, for a `with` block, with a folder of the test's own."""

    def start(upstream: str, **options: Any) -> AbstractContextManager[RecordingSession]:
        folder = options.pop("folder", tmp_path / "recordings")
        return recording(upstream, folder, **options)

    return start
