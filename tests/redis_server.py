"""A Redis server for tests, on a socket in a temporary folder."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

PROGRAM = shutil.which("redis-server") or shutil.which("valkey-server")


class RedisServer:
    """A Redis server that keeps what it has acknowledged, also if it is killed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._socket = folder / "redis.sock"
        self.url = f"unix://{self._socket}?db=1"
        self.start()

    def start(self) -> None:
        assert PROGRAM is not None
        options = [
            "--port",
            "0",
            "--unixsocket",
            str(self._socket),
            "--appendonly",
            "yes",
            "--appendfsync",
            "always",
            "--save",
            "",
        ]
        with (self._folder / "redis.log").open("ab") as log:
            self.process = subprocess.Popen([PROGRAM, *options], cwd=self._folder, stdout=log, stderr=log)
        end = time.monotonic() + 60
        while self.run("PING") != "PONG":
            assert self.process.poll() is None, "redis-server does not start"
            assert time.monotonic() < end, "redis-server does not answer"
            time.sleep(0.02)

    def run(self, *command: str) -> str:
        """The reply to a command, as `redis-cli` prints it."""
        import redis  # an optional package

        try:
            with redis.Redis.from_url(self.url, decode_responses=True) as client:
                reply = client.execute_command(*command)
        except redis.RedisError as error:
            return str(error)
        return "PONG" if reply is True else str(reply)

    def kill(self) -> None:
        """End it without notice."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(60)
