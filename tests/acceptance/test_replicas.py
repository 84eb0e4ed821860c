"""Replicas behind a load balancer: nginx, and Redis as their store."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.acceptance.conftest import ServerProcess, StartServer, wait_until
from tests.acceptance.test_workers import deterministic_options, exchange_bytes, worker_processes
from tests.chains import Play, added_tokens, fetch_all, play_chains, turn_text
from tests.nginx import load_balancer
from tests.redis_server import RedisServer
from tests.traffic_recorder import SPOOL_VARIABLE

pytestmark = [pytest.mark.acceptance, pytest.mark.slow]

CLIENTS, CONVERSATIONS, TURNS = 32, 2000, 5

Balance = Callable[[Sequence[ServerProcess]], str]


@pytest.fixture
def balance(tmp_path: Path) -> Iterator[Balance]:
    """Start nginx before servers; returns the base URL."""
    with ExitStack() as stack:

        def start(servers: Sequence[ServerProcess]) -> str:
            ports = [server.address[1] for server in servers]
            port = stack.enter_context(load_balancer(tmp_path, ports))
            return str(httpx.URL(servers[0].base_url).copy_with(port=port))

        yield start


async def play_through_failures(base_url: str, play: Play, server: ServerProcess, redis: RedisServer) -> None:
    """Play chains; in the middle a worker dies, then Redis, which starts again after clients have noticed."""

    def fail() -> None:
        half = len(play.chains) * TURNS // 2
        wait_until(lambda: len(play.responses) >= half, "half of the responses", 300)
        os.kill(min(worker_processes(server)), signal.SIGKILL)
        redis.kill()
        wait_until(lambda: play.retried["503"], "a 503")
        redis.start()

    async with asyncio.TaskGroup() as group:
        group.create_task(play_chains(base_url, play, turns=TURNS, clients=CLIENTS))
        group.create_task(asyncio.to_thread(fail))


def test_nothing_acknowledged_is_lost_if_a_worker_and_redis_die(
    start_server: StartServer, balance: Balance, redis: RedisServer
) -> None:
    options = ("--profile", "qwen-2026-05", "--workers", "2", "--store", redis.url, "--quiet")
    # The recorder checks what one replica sends; the other one runs without it, as users run it.
    replicas = [start_server(*options), start_server(*options, env={SPOOL_VARIABLE: ""})]
    base_url = balance(replicas)
    play = Play([[] for _ in range(CONVERSATIONS)])
    asyncio.run(play_through_failures(base_url, play, replicas[0], redis))
    assert replicas[0].stderr_text.count("SIGKILL; a new one takes its place") == 1
    assert not play.refused
    assert {len(chain) for chain in play.chains} == {TURNS}
    responses = {f"/responses/{response['id']}": response for response in play.responses}
    assert len(responses) == CONVERSATIONS * TURNS

    assert len({chain[0]["usage"]["input_tokens"] for chain in play.chains}) == 1
    assert len(set.union(*map(added_tokens, play.chains))) == 1

    replies = asyncio.run(fetch_all(base_url, responses, clients=CLIENTS))
    assert {path: json.loads(reply.body) for path, reply in replies.items()} == responses
    inputs = {
        f"/responses/{chain[-1]['id']}/input_items?limit=100&order=asc": [
            turn_text(number, turn) for turn in range(TURNS)
        ]
        for number, chain in enumerate(play.chains)
    }
    replies = asyncio.run(fetch_all(base_url, inputs, clients=CLIENTS))
    assert {path: user_texts(reply.body) for path, reply in replies.items()} == inputs


def user_texts(item_list: bytes) -> list[str]:
    """What the user said, of a list of items."""
    items = [item for item in json.loads(item_list)["data"] if item["type"] == "message"]
    return [part["text"] for item in items if item["role"] == "user" for part in item["content"]]


def test_replicas_without_a_shared_store_refuse_chained_turns(
    start_server: StartServer, balance: Balance
) -> None:
    base_url = balance([start_server("--quiet") for _ in range(2)])
    play = Play([[] for _ in range(100)])
    asyncio.run(play_chains(base_url, play, turns=TURNS, clients=CLIENTS))
    assert not play.retried
    assert len(play.refused) >= play.attempts / 3
    for refusal in play.refused:
        assert refusal.status == 400
        assert "previous_response_id" in json.loads(refusal.body)["message"]


def test_the_same_seed_gives_the_same_bytes_as_one_process(
    start_server: StartServer, balance: Balance, redis: RedisServer, tmp_path: Path
) -> None:
    options = deterministic_options(tmp_path)
    shared = (*options, "--workers", "2", "--store", redis.url)
    base_url = balance([start_server(*shared) for _ in range(2)])
    assert exchange_bytes(base_url) == exchange_bytes(start_server(*options).base_url)
