"""The baseline: a minimal ASGI application on uvicorn that reads the body and sends recorded bytes."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from typing import Any

import uvicorn

FOLDER = Path(sys.argv[1])
REPLY = json.loads((FOLDER / "reply.json").read_text())
STREAM = json.loads((FOLDER / "stream.json").read_text())
BODY = REPLY["pieces"][0].encode()
FRAMES = [piece.encode() for piece in STREAM["pieces"]]
REPLY_HEADERS = [(name.encode(), value.encode()) for name, value in REPLY["headers"]]
REPLY_HEADERS.append((b"content-length", b"%d" % len(BODY)))
STREAM_HEADERS = [(name.encode(), value.encode()) for name, value in STREAM["headers"]]


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Send the recorded stream or reply, as the body requests."""
    message = await receive()
    if b'"stream"' in message["body"]:
        await send({"type": "http.response.start", "status": 200, "headers": STREAM_HEADERS})
        for frame in FRAMES:
            await send({"type": "http.response.body", "body": frame, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    else:
        await send({"type": "http.response.start", "status": 200, "headers": REPLY_HEADERS})
        await send({"type": "http.response.body", "body": BODY})


if __name__ == "__main__":
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    (FOLDER / "bare").write_text(f"http://127.0.0.1:{listener.getsockname()[1]}/v1")
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
