"""The baseline: a minimal ASGI application on uvicorn that reads the body and sends recorded bytes.

    python benchmarks/bare_uvicorn.py FOLDER

The first part of the path names the sample: `/stream/responses` sends `FOLDER/stream.json`, a stream event by event.
"""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from typing import Any, NamedTuple

import uvicorn

FOLDER = Path(sys.argv[1])


class Sample(NamedTuple):
    """What to send: one body, or the frames of a stream."""

    headers: list[tuple[bytes, bytes]]
    pieces: list[bytes]
    is_stream: bool


def _load_sample(file: Path) -> Sample:
    sample = json.loads(file.read_text())
    headers = [(name.encode(), value.encode()) for name, value in sample["headers"]]
    pieces = [piece.encode() for piece in sample["pieces"]]
    is_stream = "event-stream" in dict(sample["headers"])["content-type"]
    if not is_stream:
        headers.append((b"content-length", b"%d" % len(pieces[0])))
    return Sample(headers, pieces, is_stream)


SAMPLES = {f"/{file.stem}/responses": _load_sample(file) for file in FOLDER.glob("*.json")}


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Read the body and send the sample."""
    headers, pieces, is_stream = SAMPLES[scope["path"]]
    while (await receive())["more_body"]:
        pass
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if is_stream:
        for frame in pieces:
            await send({"type": "http.response.body", "body": frame, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    else:
        await send({"type": "http.response.body", "body": pieces[0]})


if __name__ == "__main__":
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    (FOLDER / "bare").write_text(f"http://127.0.0.1:{listener.getsockname()[1]}")
    config = uvicorn.Config(
        application,
        http="httptools",
        loop="uvloop",
        lifespan="off",
        access_log=False,
        server_header=False,
        date_header=False,
    )
    uvicorn.Server(config).run(sockets=[listener])
