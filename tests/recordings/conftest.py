"""Recorders before a server of ours, in this process: what they wrote is there when the block is left."""

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
from mockserver.recordings.recorder import Recorder, RecordingResult
from mockserver.recordings.recording_folder import load_recordings
from mockserver.recordings.replay import INSTANT, RecordingPlayer, ReplayApp, Speed, client_base_paths
from mockserver.server.http.threaded_server import ThreadedServer
from mockserver.server.state.journal import Journal
from tests.live.conftest import CANARY_KEY, fake_endpoint, fake_endpoints

__all__ = ["CANARY_KEY", "HELLO", "MODEL", "fake_endpoint", "fake_endpoints"]

PROFILE = load_profile()
MODEL = PROFILE.models[0]
HELLO = {"model": MODEL, "input": "Hello!"}


@dataclass
class RecordingSession:
    """A recorder that runs."""

    client: httpx.Client
    url: str
    folder: Path
    results: list[RecordingResult]

    @property
    def recordings(self) -> tuple[Exchange, ...]:
        """What was written, in the order in which it was asked: when the recorder has ended."""
        return load_recordings(self.folder)


Record = Callable[..., AbstractContextManager[RecordingSession]]


@contextmanager
def recording(
    upstream: str, folder: Path, key: str = CANARY_KEY, profile: Profile = PROFILE, **options: Any
) -> Iterator[RecordingSession]:
    """Record what is asked of `upstream`; the client's key is the endpoint's, as the command has it."""
    told: list[RecordingResult] = []
    place = parse_endpoint(upstream, "")
    folder.mkdir(exist_ok=True)
    recorder = Recorder(folder, place.base_url, profile, options.pop("masks", ()), told.append)
    door = RelayOptions(
        urlsplit(upstream).path, forward_keys=True, forward_redirects=True, check_traffic=False, **options
    )
    relay = Relay(place, profile, (), Budget(1000, 10**9), Timeouts(), Journal(), options=door)
    relay.listener = recorder
    server = ThreadedServer(relay)
    server.start()
    url = server.url + (door.base_path or "")
    try:
        with httpx.Client(base_url=url, timeout=20, trust_env=False) as client:
            client.headers["authorization"] = f"Bearer {key}"
            yield RecordingSession(client, url, folder, told)
    finally:
        server.run(relay.wait_until_idle())
        server.run(relay.close())
        server.stop()
        recorder.close()


@contextmanager
def replaying(
    exchanges: tuple[Exchange, ...], speed: Speed = INSTANT, *, once: bool = False
) -> Iterator[tuple[httpx.Client, str]]:
    """(a client of a server that plays the recordings, its base URL)."""
    bases = client_base_paths(exchanges, PROFILE)
    app = ReplayApp(RecordingPlayer(PlaybackQueue(exchanges, once=once), speed), PROFILE, bases, Journal())
    server = ThreadedServer(app)
    server.start()
    try:
        url = server.url + bases[0]
        with httpx.Client(base_url=url, timeout=20, trust_env=False) as client:
            client.headers["authorization"] = "Bearer any"
            yield client, url
    finally:
        server.stop()


@pytest.fixture
def record(tmp_path: Path) -> Record:
    """A recorder before an upstream, for a `with` block; what it records is in a folder of the test's own."""

    def start(upstream: str, **options: Any) -> AbstractContextManager[RecordingSession]:
        folder = options.pop("folder", tmp_path / "recordings")
        return recording(upstream, folder, **options)

    return start
