"""The cost of many stubs: a request among 10,000 compared with one among 10 and with one among none, in one run.

    .venv/bin/python benchmarks/stubs.py [KIND ...]

Two measurements for each kind of condition: finding the stub alone, for requests that have one; and whole
requests. For the latter all sessions get the same 2,000 different requests, so that the cost of a new prompt
(counting its tokens) is in all; one more stub answers what no other does. All times are CPU times, of which the
least of several rounds counts. Goal for whole requests: at most 1.2.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from typing import Any

from mockserver.replies.script import message_script
from mockserver.server.engine.pipeline import respond
from mockserver.server.request_facts import parse_request
from mockserver.server.state.sessions import Session, open_session
from mockserver.server.state.store import MemoryStore
from mockserver.server.stubs.matchers import IncomingRequest, build_matcher

GOAL = 1.2
NONE, FEW, MANY = 0, 10, 10_000
ROUNDS, REQUESTS = 9, 2_000
MODEL = "qwen3-max-2026-01-23"
LONG = "The quick brown fox jumps over the lazy dog. " * 20


def prompt(number: int) -> str:
    """All prompts have the same length."""
    return f"What is the weather in city {number:05}?"


MIXED = ("prompt", "contains", "ignore_case", "tool", "json_subset")
#: The conditions of the stub with a number.
CONDITIONS: dict[str, Callable[[int], dict[str, Any]]] = {
    "prompt": lambda number: {"prompt": prompt(number)},
    "contains": lambda number: {"contains": f"city {number:05}"},
    "contains, 900 characters": lambda number: {"contains": f"city {number:05}"},
    "ignore_case": lambda number: {"contains": f"CITY {number:05}", "ignore_case": True},
    "model": lambda number: {"model": f"model-{number}"} if number else {"model": MODEL},
    "tool": lambda number: {"tool": f"tool_{number:05}"},
    "json_subset": lambda number: {"json_subset": {"metadata": {"city": f"{number:05}"}}},
    "mixed": lambda number: CONDITIONS[MIXED[number % len(MIXED)]](number),
}


def request_body(kind: str, number: int) -> dict[str, Any]:
    """A request that the stub with this number answers."""
    text = LONG + prompt(number) if kind == "contains, 900 characters" else prompt(number)
    body: dict[str, Any] = {"model": MODEL, "input": text}
    if kind in ("tool", "mixed"):
        tool = {"type": "function", "name": f"tool_{number:05}", "parameters": {"type": "object"}}
        body["tools"] = [tool]
    if kind in ("json_subset", "mixed"):
        body["metadata"] = {"city": f"{number:05}"}
    return body


def session_with_stubs(kind: str, count: int) -> Session:
    """A session with this many stubs of a kind, and one that answers everything else."""
    session = open_session(profile="qwen-2026-01", seed=0)
    for number in range(count):
        matcher = build_matcher(**CONDITIONS[kind](number))
        session.stubs.add(message_script("Any answer."), matcher=matcher, times=None)
    session.stubs.add(message_script("Any answer.")).always()
    return session


def finding_time(kind: str, session: Session) -> float:
    """µs to find a stub of a session."""
    count = max(len(session.stubs) - 1, 1)
    requests = []
    for number in range(REQUESTS):
        body = request_body(kind, number * 7919 % count)
        requests.append(IncomingRequest(body, parse_request(body, session.profile), {}))
    started = time.process_time()
    for request in requests:
        assert session.stubs.take(request) is not None
    return (time.process_time() - started) / REQUESTS * 1e6


def request_time(kind: str, session: Session) -> float:
    """µs for a whole request, without the socket."""
    bodies = [json.dumps(request_body(kind, number * 7919 % MANY)).encode() for number in range(REQUESTS)]

    async def answer() -> float:
        store = MemoryStore()
        started = time.process_time()
        for body in bodies:
            await respond(session, store, "/v1/responses", body)
        return time.process_time() - started

    return asyncio.run(answer()) / REQUESTS * 1e6


def measure(kind: str) -> bool:
    """Print the times of a kind of condition; whether they reach the goal."""
    sessions = {count: session_with_stubs(kind, count) for count in (NONE, FEW, MANY)}
    least: dict[str, dict[int, float]] = {}
    for name, measured in (("finding", finding_time), ("request", request_time)):
        rounds = [
            {count: measured(kind, session) for count, session in sessions.items()} for _ in range(ROUNDS)
        ]
        least[name] = {count: min(each[count] for each in rounds) for count in sessions}
    find, whole = least["finding"], least["request"]
    print(
        f"{kind:<25} finding {find[FEW]:6.2f} µs of {FEW}, {find[MANY]:6.2f} µs of {MANY:,}; request "
        f"{whole[NONE]:6.1f} µs of none, {whole[FEW]:6.1f} of {FEW}, {whole[MANY]:6.1f} of {MANY:,}: "
        f"÷ {FEW} {whole[MANY] / whole[FEW]:.2f}, ÷ none {whole[MANY] / whole[NONE]:.2f}",
        flush=True,
    )
    return max(whole[MANY] / whole[FEW], whole[MANY] / whole[NONE]) <= GOAL


def main() -> int:
    reached = [measure(kind) for kind in sys.argv[1:] or CONDITIONS]
    print(f"goal: at most {GOAL}: {'reached' if all(reached) else 'missed'}")
    return 0 if all(reached) else 1


if __name__ == "__main__":
    sys.exit(main())
