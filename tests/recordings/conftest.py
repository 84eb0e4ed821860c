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
from mockserver.live.asking import Budget
from mockserver.live.client import Limits
from mockserver.live.origin import origin
from mockserver.live.relay import Door, Relay
from mockserver.profiles import Profile, load_profile
from mockserver.recordings.deck import Deck
from mockserver.recordings.folder import load
from mockserver.recordings.playing import INSTANT, Speed
from mockserver.recordings.recorder import Recorder, Told
from mockserver.recordings.replay import Playback, Replay, base_paths
from mockserver.server.journal import Journal
from mockserver.server.threaded import ThreadedServer
from tests.live.conftest import CANARY, standin, standins

__all__ = ["CANARY", "HELLO", "MODEL", "standin", "standins"]

PROFILE = load_profile()
MODEL = PROFILE.models[0]
HELLO = {"model": MODEL, "input": "Hello!"}


@dataclass
class Session:
    """A recorder that runs."""

    client: httpx.Client
    url: str
    folder: Path
    told: list[Told]

    @property
    def recordings(self) -> tuple[Exchange, ...]:
        """What was written, in the order in which it was asked: when the recorder has ended."""
        return load(self.folder)


Record = Callable[..., AbstractContextManager[Session]]


@contextmanager
def recording(
    upstream: str, folder: Path, key: str = CANARY, profile: Profile = PROFILE, **options: Any
) -> Iterator[Session]:
    """Record what is asked of `upstream`; the client's key is the endpoint's, as the command has it."""
    told: list[Told] = []
    place = origin(upstream, "")
    folder.mkdir(exist_ok=True)
    recorder = Recorder(folder, place.base_url, profile, options.pop("masks", ()), told.append)
    door = Door(urlsplit(upstream).path, passes_keys=True, passes_redirects=True, judges=False, **options)
    relay = Relay(place, profile, (), Budget(1000, 10**9), Limits(), Journal(), door=door)
    relay.taker = recorder
    server = ThreadedServer(relay)
    server.start()
    url = server.url + (door.base_path or "")
    try:
        with httpx.Client(base_url=url, timeout=20, trust_env=False) as client:
            client.headers["authorization"] = f"Bearer {key}"
            yield Session(client, url, folder, told)
    finally:
        server.run(relay.settled())
        server.run(relay.close())
        server.stop()
        recorder.close()


@contextmanager
def replaying(
    exchanges: tuple[Exchange, ...], speed: Speed = INSTANT, *, once: bool = False
) -> Iterator[tuple[httpx.Client, str]]:
    """(a client of a server that plays the recordings, its base URL)."""
    bases = base_paths(exchanges, PROFILE)
    app = Replay(Playback(Deck(exchanges, once=once), speed), PROFILE, bases, Journal())
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

    def start(upstream: str, **options: Any) -> AbstractContextManager[Session]:
        folder = options.pop("folder", tmp_path / "recordings")
        return recording(upstream, folder, **options)

    return start
