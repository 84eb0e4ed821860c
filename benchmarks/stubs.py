"""The cost of many stubs: a request among 10,000 exact prompts, compared with one among 10, in the same run.

    .venv/bin/python benchmarks/stubs.py

Two measurements: finding the stub alone, for prompts that have one; and whole requests. For the latter both
servers get the same 2,000 different prompts, so that the cost of a new prompt (counting its tokens) is in
both; with ten stubs, one more stub for any prompt answers the rest. Compare the ratios of CPU time.
Goal: at most 1.3.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable

from mockserver.replies.script import message_script
from mockserver.server.engine.pipeline import respond
from mockserver.server.request_facts import parse_request
from mockserver.server.state.sessions import Session, open_session
from mockserver.server.state.store import MemoryStore
from mockserver.server.stubs.matchers import IncomingRequest, build_matcher

GOAL = 1.3
FEW, MANY = 10, 10_000
ROUNDS, REQUESTS = 15, 2_000


def prompt(number: int) -> str:
    """All prompts have the same length."""
    return f"What is the weather in city {number:05}?"


def session_with_stubs(count: int) -> Session:
    """A session with this many stubs, each for its own prompt."""
    session = open_session(profile="qwen-2026-01", seed=0)
    for number in range(count):
        stub = session.stubs.add(
            message_script(f"Answer {number % FEW}."), condition=build_matcher(prompt=prompt(number))
        )
        stub.always()
    session.stubs.add(message_script("Any answer.")).always()
    return session


def main() -> int:
    sessions = {count: session_with_stubs(count) for count in (FEW, MANY)}
    reached = True
    for name, work in (("finding the reply", find_stubs), ("the whole request", answer_requests)):
        times: dict[int, list[float]] = {count: [] for count in sessions}
        for _ in range(ROUNDS):
            for count, session in sessions.items():
                times[count].append(time_per_request(work, session))
        few, many = min(times[FEW]), min(times[MANY])
        reached &= many / few <= GOAL
        print(f"{name:<20} {few:7.2f} µs of {FEW}, {many:7.2f} µs of {MANY:,}: {many / few:.2f}")
    print(f"goal: at most {GOAL}: {'reached' if reached else 'missed'}")
    return 0 if reached else 1


def time_per_request(work: Callable[[Session], None], session: Session) -> float:
    """CPU time per request in µs, which excludes other processes."""
    started = time.process_time()
    work(session)
    return (time.process_time() - started) / REQUESTS * 1e6


def find_stubs(session: Session) -> None:
    count = len(session.stubs) - 1
    body = {"model": "qwen3-max-2026-01-23", "input": ""}
    ask = parse_request(body, session.profile)
    for number in range(REQUESTS):
        request = ask._replace(prompt=prompt(number * 7919 % count))
        assert session.stubs.take(IncomingRequest(body, request, {})) is not None


def answer_requests(session: Session) -> None:
    async def ask() -> None:
        store = MemoryStore()
        for number in range(REQUESTS):
            body = b'{"model":"qwen3-max-2026-01-23","input":"%b"}'
            text = prompt(number * 7919 % MANY).encode()
            await respond(session, store, "/v1/responses", body % text)

    asyncio.run(ask())


if __name__ == "__main__":
    sys.exit(main())
