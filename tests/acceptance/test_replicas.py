"""Replicas behind a load balancer: nginx, and Redis as their store."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from mockserver.wire.sse import decode_frames
from tests.acceptance.conftest import KEY, MODEL, ServerProcess, StartServer, wait_until
from tests.acceptance.test_workers import added_tokens, worker_processes
from tests.nginx import free_port, nginx
from tests.redis_server import RedisServer

pytestmark = [pytest.mark.acceptance, pytest.mark.slow]

TURNS, CLIENTS, CHAINS = 5, 8, 5

Balance = Callable[[Sequence[ServerProcess]], str]


@pytest.fixture
def balance(tmp_path: Path) -> Iterator[Balance]:
    """Start nginx before servers, which get requests in turn; returns the base URL."""
    with ExitStack() as stack:

        def start(servers: Sequence[ServerProcess]) -> str:
            port = free_port()
            # By default nginx gives a replica nothing for ten seconds after a worker of it has died.
            addresses = " ".join(f"server 127.0.0.1:{server.address[1]} max_fails=0;" for server in servers)
            site = (
                f"upstream replicas {{ {addresses} }} server {{ listen 127.0.0.1:{port}; location / {{"
                " proxy_pass http://replicas; proxy_set_header Host localhost; proxy_buffering off; } }"
            )
            stack.enter_context(nginx(tmp_path, site))
            url = httpx.URL(servers[0].base_url).copy_with(port=port)
            wait_until(lambda: answers(url), "nginx")
            return str(url)

        yield start


def answers(url: httpx.URL) -> bool:
    try:
        return httpx.get(url.join("/health"), trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def new_client(base_url: str) -> httpx.Client:
    headers = {"authorization": f"Bearer {KEY}"}
    return httpx.Client(base_url=base_url, headers=headers, trust_env=False, timeout=60)


def create(client: httpx.Client, turn: int, earlier: str | None, *, stream: bool) -> dict[str, Any] | int:
    """The response, or the status of the error."""
    body = {"model": MODEL, "input": f"This is turn {turn}.", "stream": stream}
    reply = client.post("/responses", json=body | ({"previous_response_id": earlier} if earlier else {}))
    if reply.status_code != 200:
        return reply.status_code
    if not stream:
        response: dict[str, Any] = reply.json()
        return response
    events = [json.loads(frame.data or "") for frame in decode_frames(reply.content)]
    assert events[-1]["type"] == "response.completed"
    completed: dict[str, Any] = events[-1]["response"]
    return completed


def play_chains(base_url: str, acknowledged: list[list[dict[str, Any]]]) -> None:
    """Play chains like a client that tries again what failed, and add what was acknowledged."""
    with new_client(base_url) as client:
        for number in range(CHAINS):
            chain: list[dict[str, Any]] = []
            acknowledged.append(chain)
            end = time.monotonic() + 120
            while len(chain) < TURNS:
                assert time.monotonic() < end, "the chain does not go on"
                earlier = chain[-1]["id"] if chain else None
                try:
                    response = create(client, len(chain), earlier, stream=number % 2 == 1)
                except httpx.TransportError:
                    response = 502
                if isinstance(response, int):
                    assert response in (502, 503), f"status {response} for a response that was acknowledged"
                    time.sleep(0.05)
                else:
                    chain.append(response)


def test_nothing_acknowledged_is_lost_if_a_worker_and_redis_die(
    start_server: StartServer, balance: Balance, redis: RedisServer
) -> None:
    options = ("--profile", "qwen-2026-05", "--workers", "2", "--store", redis.url, "--quiet")
    replicas = [start_server(*options) for _ in range(2)]
    base_url = balance(replicas)
    chains: list[list[dict[str, Any]]] = []

    def responses() -> list[dict[str, Any]]:
        return [response for chain in list(chains) for response in list(chain)]

    with ThreadPoolExecutor(CLIENTS) as pool:
        running = [pool.submit(play_chains, base_url, chains) for _ in range(CLIENTS)]
        wait_until(lambda: len(responses()) > CLIENTS * CHAINS, "a fifth of the responses")
        os.kill(min(worker_processes(replicas[0])), signal.SIGKILL)
        redis.kill()
        redis.start()
        for each in running:
            each.result()
    assert len(responses()) == len({response["id"] for response in responses()}) == CLIENTS * CHAINS * TURNS
    assert len(set.union(*map(added_tokens, chains))) == 1
    with new_client(base_url) as client:
        for response in responses():
            assert client.get(f"/responses/{response['id']}").json() == response
        for chain in chains:
            items = client.get(f"/responses/{chain[-1]['id']}/input_items?limit=100").json()["data"]
            assert sum(item["role"] == "user" for item in items if item["type"] == "message") == TURNS


def test_replicas_without_a_shared_store_lose_turns(start_server: StartServer, balance: Balance) -> None:
    base_url = balance([start_server("--quiet") for _ in range(2)])
    with new_client(base_url) as client:
        outcomes = []
        for _ in range(20):
            first = create(client, 0, None, stream=False)
            assert isinstance(first, dict)
            outcomes.append(create(client, 1, first["id"], stream=False))
    assert outcomes.count(400) >= 10
