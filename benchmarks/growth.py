"""The cost of a request as history grows: compare the first requests with the last, in one process without sockets.

    .venv/bin/python benchmarks/growth.py [KIND ...]

Kinds: a chain of 1,000 turns by `previous_response_id`; a conversation of 1,000 turns; a journal that is full;
1,000 sessions, asked in turn, against one. All times are CPU times of whole requests, of which the tenth
percentile counts. Goal for each: at most 1.2.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

from mockserver.server.http.app import App
from mockserver.server.http.services import Services
from mockserver.server.state.journal import Journal
from mockserver.server.state.session_registry import MAX_NAMED_SESSIONS
from mockserver.server.state.sessions import open_session

GOAL = 1.2
TURNS = 1_000
#: Requests of which one figure is made.
COMPARED = 100
#: The number of the first request that counts, after caches have filled.
FIRST = 10


class Client:
    """Sends requests to an application in this process, and measures them."""

    def __init__(self, profile: str) -> None:
        session = open_session(profile=profile, seed=0)
        self.profile = session.profile
        self.app = App(Services(session))
        self.times: list[float] = []

    async def post(self, path: str, body: dict[str, Any], session: str = "") -> dict[str, Any]:
        data = json.dumps(body).encode()
        sent: list[Any] = []
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": f"{f'/s/{session}' if session else ''}{self.profile.base_path}{path}",
            "query_string": b"",
            "headers": [
                (b"host", b"127.0.0.1"),
                (b"authorization", b"Bearer sk-benchmark"),
                (b"content-type", b"application/json"),
                (b"content-length", b"%d" % len(data)),
            ],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
        }

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": data, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        started = time.process_time()
        await self.app(scope, receive, send)
        self.times.append((time.process_time() - started) * 1e6)
        # A whole reply is one message of the mock server's own.
        parts = [part for each in sent for part in each.get("pieces", (each.get("body", b""),))]
        reply: dict[str, Any] = json.loads(b"".join(parts))
        if sent[0]["status"] != 200:
            raise SystemExit(f"the server refused a request: {reply}")
        return reply

    async def ask(self, number: int, session: str = "", **members: Any) -> dict[str, Any]:
        body = {"model": self.profile.models[0], "input": f"Question {number:05}?", **members}
        return await self.post("/responses", body, session)


async def chain() -> tuple[float, float]:
    client = Client("qwen-2026-01")
    reply = await client.ask(0)
    for number in range(TURNS):
        reply = await client.ask(number, previous_response_id=reply["id"])
    return compare(client.times, client.times)


async def conversation() -> tuple[float, float]:
    client = Client("qwen-2026-09")
    conversation = await client.post("/conversations", {})
    for number in range(TURNS):
        await client.ask(number, conversation=conversation["id"])
    return compare(client.times, client.times)


async def journal() -> tuple[float, float]:
    client = Client("qwen-2026-01")
    for number in range(2 * Journal.MAX_ENTRIES):
        await client.ask(number)
    return compare(client.times, client.times)


async def sessions() -> tuple[float, float]:
    """Each session is asked twice, because the first request to a session opens it."""
    one, many = Client("qwen-2026-01"), Client("qwen-2026-01")
    for number in range(2 * MAX_NAMED_SESSIONS):
        await one.ask(number, "one")
        await many.ask(number, f"session-{number % MAX_NAMED_SESSIONS}")
    return compare(one.times[-COMPARED - FIRST :], many.times)


def compare(before: list[float], after: list[float]) -> tuple[float, float]:
    """µs of the first requests of one list and of the last ones of another."""
    return typical(before[FIRST : FIRST + COMPARED]), typical(after[-COMPARED:])


def typical(times: list[float]) -> float:
    """The tenth percentile, which other processes on the machine disturb little."""
    return sorted(times)[len(times) // 10]


KINDS: dict[str, Callable[[], Awaitable[tuple[float, float]]]] = {
    "chain": chain,
    "conversation": conversation,
    "journal": journal,
    "sessions": sessions,
}


def main() -> int:
    reached = True
    for name in sys.argv[1:] or KINDS:
        before, after = asyncio.run(run(KINDS[name]))
        print(f"{name:<13} {before:7.1f} µs, then {after:7.1f} µs: {after / before:.2f}", flush=True)
        reached &= after / before <= GOAL
    print(f"goal: at most {GOAL}: {'reached' if reached else 'missed'}")
    return 0 if reached else 1


async def run(kind: Callable[[], Awaitable[tuple[float, float]]]) -> tuple[float, float]:
    return await kind()


if __name__ == "__main__":
    sys.exit(main())
