"""The cost of many stubs: a request among 10,000 compared with one among 10 and with one among none, in one run.

    .venv/bin/python benchmarks/stubs.py [--sockets] [KIND ...]

Three measurements for each kind of condition, without a socket: finding the stub alone, for requests that have one;
whole requests; and requests that come again. For whole requests all sessions get the same 2,000 different requests,
so that the cost of a new prompt (counting its tokens) is in all; one more stub answers what no other does. `--sockets`
adds the CPU time of a server, the kernel's included, for the same requests over a connection. All times are CPU times,
of which the least of several rounds counts. Goal for all requests: at most 1.2.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.instructions import read_reply
from benchmarks.processes import (
    ADMIN_OPTIONS,
    MockServerProcess,
    add_stubs,
    cpu_seconds,
    pin_to_core,
    running_mockserver,
)
from benchmarks.workloads import RESPONSES_PATH, encode_request
from mockserver.replies.script import message_script
from mockserver.server.engine.pipeline import respond_at_once
from mockserver.server.request_facts import parse_request
from mockserver.server.state.sessions import Session, open_session
from mockserver.server.state.store import MemoryStore
from mockserver.server.stubs.matchers import IncomingRequest, build_matcher

GOAL = 1.2
NONE, FEW, MANY = 0, 10, 10_000
ROUNDS, REQUESTS = 9, 2_000
#: The requests that come again: as many as the server keeps the plans of, and fewer.
REPEATED = 64
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
    "contains, own replies": lambda number: {"contains": f"city {number:05}"},
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


def reply_text(kind: str, number: int) -> str:
    return f"Answer {number:05}." if kind == "contains, own replies" else "Any answer."


def session_with_stubs(kind: str, count: int) -> Session:
    """A session with this many stubs of a kind, and one that answers everything else."""
    session = open_session(profile="qwen-2026-01", seed=0)
    for number in range(count):
        matcher = build_matcher(**CONDITIONS[kind](number))
        session.stubs.add(message_script(reply_text(kind, number)), matcher=matcher, times=None)
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
    """µs for a whole request."""
    return _time_of_requests(session, [body_of(kind, number * 7919 % MANY) for number in range(REQUESTS)])


def repeated_time(kind: str, session: Session) -> float:
    """µs for a request that came before."""
    return _time_of_requests(session, [body_of(kind, number % REPEATED) for number in range(REQUESTS)])


def body_of(kind: str, number: int) -> bytes:
    return json.dumps(request_body(kind, number)).encode()


def _time_of_requests(session: Session, bodies: list[bytes]) -> float:
    store = MemoryStore()
    started = time.process_time()
    for body in bodies:
        assert respond_at_once(session, store, "/v1/responses", {}, body) is not None
    return (time.process_time() - started) / len(bodies) * 1e6


class StubServer:
    """A server with stubs of a kind, and a connection to it."""

    def __init__(self, kind: str, count: int, server: MockServerProcess) -> None:
        self._server = server
        stubs: list[dict[str, Any]] = [
            {"match": CONDITIONS[kind](number), "reply": reply_text(kind, number)} for number in range(count)
        ]
        add_stubs(server.port, [{**each, "times": "always"} for each in (*stubs, {"reply": "Any answer."})])
        self._connection = socket.create_connection(("127.0.0.1", server.port))

    def request_time(self, kind: str) -> float:
        """µs of the server's CPU for a request."""
        bodies = [body_of(kind, number * 7919 % MANY) for number in range(REQUESTS)]
        started = cpu_seconds(self._server.process.pid)
        for body in bodies:
            self._connection.sendall(encode_request(RESPONSES_PATH, self._server.port, body))
            read_reply(self._connection)
        return (cpu_seconds(self._server.process.pid) - started) / REQUESTS * 1e6


@contextlib.contextmanager
def running_servers(kind: str) -> Iterator[dict[int, StubServer]]:
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        yield {
            count: StubServer(
                kind, count, stack.enter_context(running_mockserver(Path(folder), *ADMIN_OPTIONS, core=1))
            )
            for count in (NONE, FEW, MANY)
        }


def least_times(measure_one: Callable[[int], float]) -> dict[int, float]:
    """The least time of several rounds, by the number of stubs."""
    rounds = [{count: measure_one(count) for count in (NONE, FEW, MANY)} for _ in range(ROUNDS)]
    return {count: min(each[count] for each in rounds) for count in (NONE, FEW, MANY)}


def measure(kind: str, *, over_sockets: bool) -> bool:
    """Print the times of a kind of condition; whether they reach the goal."""
    sessions = {count: session_with_stubs(kind, count) for count in (NONE, FEW, MANY)}
    find = least_times(lambda count: finding_time(kind, sessions[count]))
    print(f"{kind}: finding {find[FEW]:.2f} µs of {FEW}, {find[MANY]:.2f} of {MANY:,}")
    ratios = [
        print_times("request", least_times(lambda count: request_time(kind, sessions[count]))),
        print_times("again", least_times(lambda count: repeated_time(kind, sessions[count]))),
    ]
    if over_sockets:
        pin_to_core(0)
        with running_servers(kind) as servers:
            ratios.append(
                print_times("over a socket", least_times(lambda count: servers[count].request_time(kind)))
            )
    return max(ratios) <= GOAL


def print_times(name: str, times: dict[int, float]) -> float:
    """Print the times of requests; return the largest ratio."""
    few, none = times[MANY] / times[FEW], times[MANY] / times[NONE]
    print(
        f"  {name:<14} {times[NONE]:6.1f} µs of none, {times[FEW]:6.1f} of {FEW}, {times[MANY]:6.1f} of {MANY:,}: "
        f"÷ {FEW} {few:.2f}, ÷ none {none:.2f}",
        flush=True,
    )
    return max(few, none)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("kinds", nargs="*", default=[*CONDITIONS], metavar="KIND", help=", ".join(CONDITIONS))
    parser.add_argument("--sockets", action="store_true", help="also measure a server over sockets")
    arguments = parser.parse_args()
    if unknown := set(arguments.kinds) - CONDITIONS.keys():
        parser.error(f"unknown kind: {', '.join(sorted(unknown))}")
    reached = [measure(kind, over_sockets=arguments.sockets) for kind in arguments.kinds]
    print(f"goal: at most {GOAL}: {'reached' if all(reached) else 'missed'}")
    return 0 if all(reached) else 1


if __name__ == "__main__":
    sys.exit(main())
