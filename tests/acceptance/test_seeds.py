"""With a seed, the same requests get the same bytes, in any order."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any, NamedTuple

import httpx
import pytest

from tests.acceptance.conftest import KEY, MODEL, ServerProcess, StartServer

pytestmark = [pytest.mark.slow, pytest.mark.acceptance]

CONCURRENCY = 32

BUILT_IN = [{"type": "web_search"}, {"type": "code_interpreter"}, {"type": "web_extractor"}]
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "parameters": {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "days": {"type": "integer", "minimum": 1, "maximum": 7},
            "unit": {"enum": ["C", "F"]},
        },
        "required": ["city", "days", "unit"],
    },
}
TIME = {"type": "function", "name": "get_time", "parameters": {"type": "object", "properties": {}}}


class TurnRequest(NamedTuple):
    """One request, complete except for the id of the previous turn."""

    body: Any
    path: str = "/responses"
    """Relative to the base URL; relative to the root if it starts with two slashes."""
    method: str = "POST"
    headers: tuple[tuple[str, str], ...] = ()


class TurnReply(NamedTuple):
    """Everything that can differ: the request with its ids, and every byte of the reply."""

    request: str
    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


Chain = tuple[TurnRequest, ...]


def create(text: Any, **parameters: Any) -> TurnRequest:
    return TurnRequest({"model": MODEL, "input": text, **parameters})


def with_header(name: str, value: str, text: str = "Hello!") -> TurnRequest:
    return TurnRequest({"model": MODEL, "input": text}, headers=((name, value),))


def single_requests() -> Iterator[TurnRequest]:
    """Independent requests."""
    yield create("Hello, please introduce yourself in one sentence.")
    yield create("Please briefly introduce artificial intelligence.", stream=True)
    yield create(
        "Find the Alibaba Cloud website and extract key information", tools=BUILT_IN, enable_thinking=True
    )
    for text in (
        "What is new?",
        "你好，请介绍一下杭州。",
        "富士山について教えてください。",
        "Расскажи о Волге.",
        "",
    ):
        yield create(text)
        yield create(text, stream=True)
    yield create("Think about it.", enable_thinking=True)
    yield create("想一想。", enable_thinking=True, stream=True)
    yield create("Search for it.", tools=BUILT_IN[:1])
    yield create("Search for it.", tools=BUILT_IN, enable_thinking=True, stream=True)
    yield create("How is the weather?", tools=[WEATHER])
    yield create("How is the weather?", tools=[WEATHER], stream=True)
    yield create("Call get_time, please.", tools=[WEATHER, TIME])
    yield create(
        [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi!"}], temperature=0.1
    )
    yield create("Unlisted parameters are ignored.", store=True, metadata={"a": "b"})
    yield from [create("Asked again and again.")] * 5
    yield from [create("Asked again and again.", stream=True)] * 3


def refused_requests() -> Iterator[TurnRequest]:
    """Requests that get an error, and requests that need no key."""
    yield create("Hello!", temperature=9)
    yield create("Hello!", model="gpt-x")
    yield create([])
    yield create("Extract.", tools=BUILT_IN[2:], enable_thinking=True)
    yield create("Who was it?", previous_response_id="never-given")
    yield TurnRequest({"model": MODEL})
    yield TurnRequest(None)
    yield TurnRequest(None, path="//nothing", method="GET")
    yield TurnRequest(None, path="//nothing/else", method="GET")
    yield TurnRequest(None, method="GET")
    yield TurnRequest(None, path="//health", method="GET")
    yield with_header("authorization", "")
    yield with_header("authorization", "Basic c2stdGVzdDo=")
    yield with_header("content-type", "text/plain")
    yield with_header("host", "evil.example")


def conversations() -> Iterator[Chain]:
    """Conversations: each turn continues the one before."""
    question = create("Do you remember my name?")
    john = (
        create("My name is John, please remember it."),
        question,
        create("And now?"),
        create("And?", stream=True),
    )
    yield john
    yield create("My name is Alice, please remember it."), question
    yield (
        create("Is it warm?", tools=[WEATHER]),
        create("Thank you.", tools=[WEATHER], enable_thinking=True),
    )
    # Repeated to the end: with only one, the order would decide which of two equal first turns continues.
    yield john


CHAINS: list[Chain] = [
    *((ask,) for ask in single_requests()),
    *((ask,) for ask in refused_requests()),
    *conversations(),
]


def send(
    server: ServerProcess, ask: TurnRequest, previous: str | None, open_calls: list[str]
) -> httpx.Response:
    body = ask.body if previous is None else {**ask.body, "previous_response_id": previous}
    if open_calls:
        outputs = [{"type": "function_call_output", "call_id": each, "output": "20"} for each in open_calls]
        body = {**body, "input": [*outputs, {"role": "user", "content": body["input"]}]}
    content = b"" if body is None else json.dumps(body).encode()
    url = server.root_url + ask.path[1:] if ask.path.startswith("//") else server.base_url + ask.path
    headers = {"authorization": f"Bearer {KEY}", "host": "localhost", "content-type": "application/json"}
    return server.client.request(ask.method, url, content=content, headers=headers | dict(ask.headers))


def run_chain(server: ServerProcess, chain: Chain) -> list[TurnReply]:
    answers: list[TurnReply] = []
    previous = None
    open_calls: list[str] = []
    for ask in chain:
        reply = send(server, ask, previous, open_calls)
        request = repr((ask, previous))
        answers.append(TurnReply(request, reply.status_code, tuple(reply.headers.raw), reply.content))
        if len(chain) > 1:
            previous = reply.json()["id"] if not ask.body.get("stream") else response_id_of_stream(reply.text)
            output = [] if ask.body.get("stream") else reply.json()["output"]
            open_calls = [item["call_id"] for item in output if item["type"] == "function_call"]
    return answers


def response_id_of_stream(body: str) -> str:
    first = next(line for line in body.splitlines() if line.startswith("data:"))
    identity: str = json.loads(first.removeprefix("data:"))["response"]["id"]
    return identity


def run_sequentially(server: ServerProcess, chains: list[Chain]) -> list[TurnReply]:
    return sorted(answer for chain in chains for answer in run_chain(server, chain))


def run_concurrently(server: ServerProcess, chains: list[Chain]) -> list[TurnReply]:
    """Run 32 conversations at a time; the first 32 start together."""
    together = Barrier(CONCURRENCY)

    def begin(number: int) -> list[TurnReply]:
        if number < CONCURRENCY:
            together.wait(60)
        return run_chain(server, chains[number])

    with ThreadPoolExecutor(CONCURRENCY) as pool:
        return sorted(answer for answers in pool.map(begin, range(len(chains))) for answer in answers)


def assert_same(one: list[TurnReply], other: list[TurnReply]) -> None:
    """Assert equality and show the first difference in full."""
    assert len(one) == len(other)
    for this, that in zip(one, other, strict=True):
        assert this == that, this.request


def test_the_requests_vary() -> None:
    """Guards the tests below."""
    assert len(CHAINS) >= CONCURRENCY + 8
    assert sum(map(len, CHAINS)) >= 50


@pytest.mark.parametrize("rendering", ["wire", "documented"])
def test_same_seed_sequentially(start_server: StartServer, rendering: str) -> None:
    servers = [start_server("--seed", "7", "--rendering", rendering) for _ in range(2)]

    one, other = (run_sequentially(server, CHAINS) for server in servers)

    assert_same(one, other)
    statuses = {answer.status for answer in one}
    assert {200, 400, 401, 403, 404, 405} == statuses


@pytest.mark.slow
def test_same_seed_in_another_order(start_server: StartServer) -> None:
    """Identical requests are numbered, so they keep their order."""
    one = run_sequentially(start_server("--seed", "7"), CHAINS)
    other = run_sequentially(start_server("--seed", "7"), CHAINS[::-1])

    assert_same(one, other)


@pytest.mark.parametrize("run", [run_sequentially, run_concurrently])
def test_same_seed_concurrently(
    start_server: StartServer, run: Callable[[ServerProcess, list[Chain]], list[TurnReply]]
) -> None:
    one = run(start_server("--seed", "7"), CHAINS)
    other = run_concurrently(start_server("--seed", "7"), CHAINS)

    assert_same(one, other)


@pytest.mark.slow
def test_same_request_on_both_paths_in_another_order(start_server: StartServer) -> None:
    """Only path and body identify a request."""
    chains: list[Chain] = [(create("Hello!"),), (create("Hello!")._replace(path="//v1/responses"),)]

    one = run_sequentially(start_server("--seed", "7"), chains)
    other = run_sequentially(start_server("--seed", "7"), chains[::-1])

    assert_same(one, other)


@pytest.mark.slow
def test_other_requests_before_change_nothing(start_server: StartServer) -> None:
    """A reply depends only on its request."""
    turn = create("What is new?")
    busy = start_server("--seed", "7")
    run_sequentially(busy, [chain for chain in CHAINS if chain != (turn,)])

    assert run_chain(busy, (turn,)) == run_chain(start_server("--seed", "7"), (turn,))


@pytest.mark.parametrize("seeds", [["7", "8"], [None, None]], ids=["two seeds", "no seed"])
def test_otherwise_every_id_differs(start_server: StartServer, seeds: list[str | None]) -> None:
    one, other = (
        run_sequentially(
            start_server(*(["--seed", seed] if seed else [])), [(ask,) for ask in single_requests()]
        )
        for seed in seeds
    )

    assert len(one) == len(other)
    assert not {request_id(answer) for answer in one} & {request_id(answer) for answer in other}


def request_id(answer: TurnReply) -> bytes:
    return dict(answer.headers)[b"x-request-id"]


def test_identical_requests_get_different_ids(start_server: StartServer) -> None:
    server = start_server("--seed", "7")

    answers = [run_chain(server, (create("Asked again."),))[0] for _ in range(50)]

    assert len({request_id(answer) for answer in answers}) == 50
