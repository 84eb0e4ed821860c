"""`mockserver serve --workers N --store STORE`: a conversation that begins on one process continues on any other."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import sqlite3
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.conftest import KEY, MODEL, ServerProcess, StartServer, wait_until
from tests.chains import Play, added_tokens, fetch_all, play_chains
from tests.marks import slow_except
from tests.redis_server import RedisServer

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(sys.platform != "linux", reason="finds workers in /proc"),
]


def post(base_url: str, body: dict[str, Any]) -> httpx.Response:
    """Create a response over a connection of its own, which any worker may accept."""
    headers = {"authorization": f"Bearer {KEY}"}
    return httpx.post(
        f"{base_url}/responses", json={"model": MODEL, **body}, headers=headers, trust_env=False
    )


def play_chain(base_url: str, turns: int = 5) -> list[dict[str, Any]]:
    """The responses of a chain of turns, each over a connection of its own."""
    responses: list[dict[str, Any]] = []
    for turn in range(turns):
        earlier = {"previous_response_id": responses[-1]["id"]} if responses else {}
        reply = post(base_url, {"input": f"This is turn {turn}.", **earlier})
        assert reply.status_code == 200, reply.text
        responses.append(reply.json())
    return responses


def workers_in(server: ServerProcess) -> Counter[str]:
    """How many requests each worker logged."""
    return Counter(line.partition("]")[0][1:] for line in server.stderr_text.splitlines() if line[0] == "[")


def worker_processes(server: ServerProcess) -> set[int]:
    pid = server.process.pid
    try:
        return {int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}
    except FileNotFoundError:  # it has ended
        return set()


def test_chains_continue_on_any_worker(start_server: StartServer) -> None:
    server = start_server("--workers", "2")
    chains: list[list[dict[str, Any]]] = []
    while len(workers_in(server)) < 2:
        assert len(chains) < 200, "one worker gets all requests"
        with ThreadPoolExecutor(4) as pool:
            chains += pool.map(play_chain, [server.base_url] * 4)
        time.sleep(0.1)  # a line can come just after its reply
    # The inputs are equally long.
    assert len(set.union(*map(added_tokens, chains))) == 1
    assert len({response["id"] for chain in chains for response in chain}) == 5 * len(chains)
    assert server.stdout_text.count("Serving") == 1
    assert "  workers    2" in server.stdout_text
    store = server.stdout_text.partition("sqlite:")[2].partition(" ")[0]
    assert Path(store).exists()
    assert server.stop() == 0
    assert not Path(store).parent.exists()


def test_a_worker_that_dies_is_replaced_and_its_responses_stay(start_server: StartServer) -> None:
    server = start_server("--workers", "2", "--log-format", "json")
    before = worker_processes(server)
    first = post(server.base_url, {"input": "Hello!"}).json()
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: len(worker_processes(server) - before) == 2, "two new workers")
    reply = post(server.base_url, {"input": "Go on.", "previous_response_id": first["id"]})
    assert reply.status_code == 200, reply.text
    assert server.stderr_text.count("SIGKILL; a new one takes its place") == 2
    assert server.stop(signal.SIGINT) == 0


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_if_workers_die_while_they_write(
    start_server: StartServer, tmp_path: Path
) -> None:
    store = ("--store", f"sqlite:{tmp_path / 'store'}")
    server = start_server("--profile", "qwen-2026-05", "--workers", "2", *store, "--quiet")
    play = Play([[] for _ in range(200)])

    def kill_workers() -> None:
        wait_until(lambda: len(play.responses) >= 400, "some responses", 300)
        for pid in worker_processes(server):
            os.kill(pid, signal.SIGKILL)

    async def play_and_kill() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(play_chains(server.base_url, play, turns=5, clients=16))
            group.create_task(asyncio.to_thread(kill_workers))

    asyncio.run(play_and_kill())
    assert play.retried["lost"]
    assert not play.refused
    responses = {f"/responses/{response['id']}": response for response in play.responses}
    assert len(responses) == 200 * 5
    replies = asyncio.run(fetch_all(server.base_url, responses, clients=16))
    assert {path: json.loads(reply.body) for path, reply in replies.items()} == responses


def exchange_bytes(base_url: str) -> list[bytes]:
    """What a server replies to requests whose order is determined, each over a connection of its own."""
    replies: list[httpx.Response] = []
    request = {"model": MODEL, "input": "Hello!"}
    with_tool = {**request, "tools": [{"type": "function", "name": "get_time", "parameters": {}}]}
    chat_stream = {"model": MODEL, "messages": [{"role": "user", "content": "Hello!"}], "stream": True}
    limits = httpx.Limits(max_keepalive_connections=0)
    with httpx.Client(headers={"authorization": f"Bearer {KEY}"}, limits=limits, trust_env=False) as client:

        def send(path: str, body: dict[str, Any], **headers: str) -> dict[str, Any]:
            replies.append(client.post(f"{base_url}{path}", json=body, headers=headers))
            return {} if body.get("stream") else replies[-1].json()

        conversation = send("/conversations", {"items": [{"role": "user", "content": "Hi"}]})["id"]
        for _ in range(4):
            earlier = send("/responses", request)["id"]
            send("/responses", {**request, "stream": True})
            send("/responses", {**request, "previous_response_id": earlier})
            send("/responses", {**request, "previous_response_id": earlier, "stream": True})
            send("/responses", {**request, "conversation": conversation})
            send("/responses", {**request, "model": "unknown"})
            send("/responses", {**request, "input": "Twice"})
            send("/responses", {**request, "input": "Twice, then once", "stream": True})
            call = send("/responses", with_tool)
            output = {"type": "function_call_output", "call_id": call["output"][-1]["call_id"], "output": "9"}
            send("/responses", {**with_tool, "input": [output], "previous_response_id": call["id"]})
            send("/chat/completions", {"model": MODEL, "messages": [{"role": "user", "content": "Twice"}]})
            send("/chat/completions", chat_stream)
            send("/responses", request, **{"x-mock-scenario": "steps"})
    return [reply.headers["x-request-id"].encode() + reply.content for reply in replies]


def deterministic_options(folder: Path) -> tuple[str | Path, ...]:
    """Options for `exchange_bytes`: a seed, and exchanges that answer a number of times or in a scenario."""
    exchanges = [
        *({"match": {"contains": "Twice"}, "times": 2, "reply": f"reply {number}"} for number in (1, 2)),
        {"match": {"contains": "then once"}, "times": 1, "reply": "Once."},
        {"match": "Twice", "reply": "From now on."},
        {"scenario": "steps", "reply": "Step one."},
        {"scenario": "steps", "times": 2, "reply": "Step two."},
    ]
    folder = folder / "exchanges"
    folder.mkdir()
    (folder / "exchanges.json").write_text(json.dumps(exchanges))
    return "--seed", "7", "--profile", "qwen-2026-05", "--exchanges", folder, "--allow-mock-headers"


@pytest.mark.parametrize("mode", slow_except(["workers"], ["workers", "load"]))
def test_the_same_seed_gives_the_same_bytes_as_one_process(
    mode: str, start_server: StartServer, tmp_path: Path
) -> None:
    options = deterministic_options(tmp_path)
    shared = ("--load",) if mode == "load" else ("--workers", "2")
    alone = exchange_bytes(start_server(*options).base_url)
    assert exchange_bytes(start_server(*options, *shared).base_url) == alone
    assert len(set(alone)) == len(alone)
    texts = b"reply 1", b"reply 2", b"Once.", b"From now on.", b"Step one.", b"Step two.", b"no replies left"
    assert [sum(text in each for each in alone) for text in texts] == [2, 2, 1, 5, 1, 2, 1]


@pytest.mark.slow
def test_a_strict_server_with_workers_names_exchanges_that_are_used_up(
    start_server: StartServer, tmp_path: Path
) -> None:
    exchanges = [{"match": name, "times": 1, "reply": f"{name}!"} for name in ("One", "Two")]
    (tmp_path / "exchanges.json").write_text(json.dumps(exchanges))
    options = ("--seed", "7", "--strict", "--exchanges", tmp_path)
    alone, together = (
        [post(server.base_url, {"input": text}).content for text in ("Else", "One", "One", "Two", "Else")]
        for server in (start_server(*options), start_server(*options, "--workers", "2"))
    )
    assert together == alone
    assert [b"it is used up" in each for each in alone] == [False, False, True, False, True]


@pytest.mark.slow
@pytest.mark.parametrize("store", ["sqlite", "redis"])
def test_workers_count_for_limits_and_faults_together(
    store: str, start_server: StartServer, request: pytest.FixtureRequest
) -> None:
    shared = ("--store", request.getfixturevalue("redis").url) if store == "redis" else ()
    # With a seed the clock stands still, so the second of the limit does not end.
    options = ("--seed", "7", "--limit", "burst=5", "--fault", "internal-error,first=3")
    server = start_server(*options, "--workers", "2", *shared)
    statuses = Counter(post(server.base_url, {"input": "Hello!"}).status_code for _ in range(20))
    assert statuses == {500: 3, 200: 5, 429: 12}
    assert post(server.base_url, {"input": "Hi!"}).status_code == 500


@pytest.mark.slow
def test_workers_that_die_again_and_again_end_the_server(start_server: StartServer) -> None:
    server = start_server("--workers", "1", "--store", "memory")
    assert server.stop() == 0
    server = start_server("--workers", "2")
    while server.process.poll() is None:
        for pid in worker_processes(server):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    assert server.process.wait() == 1
    assert "giving up, because 6 in a row ended soon after their start" in server.stderr_text


@pytest.mark.slow
def test_a_second_signal_aborts_open_requests(start_server: StartServer) -> None:
    server = start_server("--workers", "2", "--fault", "stall")
    body = {"model": MODEL, "input": "Hello!", "stream": True}
    with server.client.stream("POST", "/responses", json=body) as reply:
        chunks = reply.iter_bytes()
        next(chunks)
        server.process.send_signal(signal.SIGINT)
        assert server.stop(signal.SIGINT) == 0
        with pytest.raises(httpx.HTTPError):
            b"".join(chunks)


def test_workers_stop_if_the_process_that_runs_them_is_killed(
    start_server: StartServer, tmp_path: Path
) -> None:
    server = start_server("--workers", "2", "--metrics", env={"TMPDIR": str(tmp_path)})
    assert len([*tmp_path.glob("mockserver-*")]) == 2  # the store, and the metrics
    workers = worker_processes(server)
    server.process.kill()
    server.process.wait()
    wait_until(lambda: not any(is_running(pid) for pid in workers), "the end of the workers")
    assert [*tmp_path.glob("mockserver-*")] == []


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.slow
@pytest.mark.parametrize("outputs", [">&- 2>&-", "2>/dev/full"])
def test_workers_serve_if_nobody_reads_their_output(start_server: StartServer, outputs: str) -> None:
    command = f'exec "$0" -m mockserver "$@" {outputs}'
    server = start_server("--workers", "2", program=("/bin/sh", "-c", command, sys.executable))
    for _ in range(10):
        assert post(server.base_url, {"input": "Hello!"}).status_code == 200
    assert server.stop() == 0


def test_a_redis_that_is_away_is_a_503_until_it_is_back(
    start_server: StartServer, redis: RedisServer
) -> None:
    server = start_server("--workers", "2", "--store", redis.url)
    responses = play_chain(server.base_url, 2)
    assert httpx.get(f"{server.root_url}/ready").status_code == 200
    redis.kill()
    last = {"previous_response_id": responses[-1]["id"]}
    for body in ({"input": "Hello!"}, {"input": "Hello!", "stream": True}, {"input": "Go on.", **last}):
        reply = post(server.base_url, body)
        assert (reply.status_code, reply.headers["retry-after"]) == (503, "1")
        assert reply.json() == {
            "code": "ServiceUnavailable",
            "message": "The store of this mock server is unavailable. Try again later.",
            "request_id": reply.headers["x-request-id"],
        }
    assert httpx.get(f"{server.root_url}/ready").status_code == 503
    assert httpx.get(f"{server.root_url}/health").status_code == 200
    redis.start()
    wait_until(
        lambda: httpx.get(f"{server.root_url}/ready").status_code == 200, "a server that is ready again"
    )
    wait_until(lambda: post(server.base_url, {"input": "Go on.", **last}).status_code == 200, "the chain")
    wait_until(lambda: "store: " in server.stderr_text, "the reason in the log")


@pytest.mark.slow
def test_a_redis_that_hangs_is_a_503(start_server: StartServer, redis: RedisServer) -> None:
    server = start_server("--store", redis.url)
    redis.process.send_signal(signal.SIGSTOP)
    try:
        assert post(server.base_url, {"input": "Hello!"}).status_code == 503
    finally:
        redis.process.send_signal(signal.SIGCONT)
    wait_until(lambda: post(server.base_url, {"input": "Hello!"}).status_code == 200, "a reply")


def test_a_disk_that_is_full_is_a_503_until_it_has_room(start_server: StartServer, tmp_path: Path) -> None:
    file = tmp_path / "store.sqlite"
    server = start_server("--store", f"sqlite:{file}")
    first = post(server.base_url, {"input": "Hello!"}).json()
    before = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (0, before[1]))
    for body in ({"input": "Hello!"}, {"input": "Hello!", "stream": True}):
        reply = post(server.base_url, body)
        assert (reply.status_code, reply.json()["code"]) == (503, "ServiceUnavailable")
    assert httpx.get(f"{server.root_url}/ready").status_code == 503
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, before)
    assert httpx.get(f"{server.root_url}/ready").status_code == 200
    reply = post(server.base_url, {"input": "Go on.", "previous_response_id": first["id"]})
    assert reply.status_code == 200, reply.text


def test_a_database_that_another_process_locks_is_a_503(start_server: StartServer, tmp_path: Path) -> None:
    file = tmp_path / "store.sqlite"
    server = start_server("--store", f"sqlite:{file}")
    with sqlite3.connect(file, isolation_level=None) as connection:
        connection.execute("BEGIN IMMEDIATE")
        assert post(server.base_url, {"input": "Hello!"}).status_code == 503
        connection.execute("ROLLBACK")
    connection.close()
    assert post(server.base_url, {"input": "Hello!"}).status_code == 200


def test_responses_outlive_the_server(start_server: StartServer, tmp_path: Path) -> None:
    options = ("--profile", "qwen-2026-05", "--store", f"sqlite:{tmp_path / 'store.sqlite'}")
    server = start_server(*options)
    first = post(server.base_url, {"input": "Hello!"}).json()
    assert server.stop() == 0
    server = start_server(*options)
    second = post(server.base_url, {"input": "Go on.", "previous_response_id": first["id"]}).json()
    assert server.client.get(f"/responses/{first['id']}").json()["output"] == first["output"]
    items = server.client.get(f"/responses/{second['id']}/input_items", params={"order": "asc"}).json()[
        "data"
    ]
    texts = [item["content"][0]["text"] for item in items]
    assert texts == ["Hello!", first["output"][-1]["content"][0]["text"], "Go on."]


def test_a_reload_reaches_all_workers_which_count_replies_together(
    start_server: StartServer, tmp_path: Path
) -> None:
    folder = tmp_path / "exchanges"
    folder.mkdir()
    script = {"items": [{"type": "message", "text": "Ho"}]}
    exchange = {"name": "one", "match": {"prompt": "Hi"}, "reply": {"script": script}}
    server = start_server("--workers", "2", "--exchanges", folder)
    (folder / "one.json").write_text(json.dumps(exchange))
    wait_until(lambda: server.stderr_text.count("reloaded 1 exchanges") == 2, "both workers to reload")
    for number, text in enumerate(["He", "Ha"], start=1):
        (folder / "first.json").write_text(json.dumps({"match": "Hi", "times": 5, "reply": text}))
        wait_until(lambda: server.stderr_text.count("reloaded 2 exchanges") == 2 * number, "the reload")  # noqa: B023
        with ThreadPoolExecutor(4) as pool:
            replies = [*pool.map(lambda _: post(server.base_url, {"input": "Hi"}).json(), range(12))]
        assert Counter(each["output"][0]["content"][0]["text"] for each in replies) == {text: 5, "Ho": 7}


def test_a_conversation_continues_on_any_worker(start_server: StartServer) -> None:
    server = start_server("--profile", "qwen-2026-05", "--workers", "2")
    conversation = server.client.post("/conversations", json={"metadata": {"topic": "tea"}}).json()["id"]
    with ThreadPoolExecutor(4) as pool:
        bodies = [{"input": f"This is turn {turn}.", "conversation": conversation} for turn in range(12)]
        replies = [*pool.map(partial(post, server.base_url), bodies)]
    assert [reply.status_code for reply in replies] == [200] * 12
    items = server.client.get(f"/conversations/{conversation}/items", params={"limit": 100}).json()["data"]
    outputs = [item for reply in replies for item in reply.json()["output"]]
    assert len(items) == 12 + len(outputs)
    assert {item["id"] for item in outputs} < {item["id"] for item in items}
