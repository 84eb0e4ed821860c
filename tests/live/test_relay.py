"""The judging pass-through: what goes in comes out, as it comes, and nobody but it has the key."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from mockserver import MockServer
from mockserver.exchanges import Exchange, parse_exchange
from mockserver.live.budgeted_client import Budget
from mockserver.live.client import Timeouts
from mockserver.live.endpoint import Endpoint, parse_endpoint
from mockserver.live.relay import Relay
from mockserver.profiles import Profile, load_profile
from mockserver.server.http.threaded_server import ThreadedServer
from mockserver.server.state.journal import Journal
from mockserver.wire import json
from tests.contract import samples
from tests.live.conftest import CANARY_KEY

PROFILE = load_profile()
RELAY_KEY = "relay-key-1"
HELLO = {"model": PROFILE.models[0], "input": "Hello!"}

StartRelay = Callable[..., tuple[Relay, httpx.Client]]


@pytest.fixture
def start_relay() -> Iterator[StartRelay]:
    """Put a relay before an origin: (the relay, a client of it)."""
    running: list[tuple[ThreadedServer, Relay, httpx.Client]] = []

    def run(
        endpoint: Endpoint, budget: Budget | None = None, profile: Profile = PROFILE
    ) -> tuple[Relay, httpx.Client]:
        relay = Relay(endpoint, profile, RELAY_KEY, budget or Budget(100, 100_000), Timeouts(), Journal())
        server = ThreadedServer(relay)
        server.start()
        client = httpx.Client(
            base_url=server.url + profile.base_path,
            headers={"authorization": f"Bearer {RELAY_KEY}"},
            trust_env=False,
            timeout=20,
        )
        running.append((server, relay, client))
        return relay, client

    yield run
    for server, relay, client in running:
        client.close()
        server.run(relay.close())
        server.stop()


def wait_until_idle(relay: Relay, client: httpx.Client) -> None:
    """Wait until the relay has judged what it passed on."""
    deadline = time.monotonic() + 5
    while not relay._idle.is_set():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def seeded_mock(**settings: Any) -> MockServer:
    return MockServer(seed=7, **settings)


@pytest.mark.parametrize("parameters", [{}, {"stream": True}])
def test_the_bytes_are_those_of_the_endpoint(parameters: dict[str, Any], start_relay: StartRelay) -> None:
    with seeded_mock() as first, seeded_mock() as second:
        relay, client = start_relay(parse_endpoint(first.base_url, first.api_key))
        through = client.post("/responses", json={**HELLO, **parameters})
        direct = httpx.post(
            f"{second.base_url}/responses",
            json={**HELLO, **parameters},
            headers={"authorization": f"Bearer {second.api_key}"},
        )
        wait_until_idle(relay, client)
    assert through.content == direct.content
    for name in ("content-type", "x-request-id"):
        assert through.headers[name] == direct.headers[name]
    entry = relay.journal.last
    assert b"".join(entry.reply) == direct.content
    assert (entry.findings, entry.reply_findings) == ([], ())
    assert relay.budget.spent_requests == 1
    assert relay.budget.spent_tokens > 30


def _exchange_with_pause() -> Exchange:
    data = samples.service_frames(samples.text_stream()).decode()
    chunks = [{"at_ms": 0, "text": data[:500]}, {"at_ms": 600, "text": data[500:]}]
    http = {"status": 200, "headers": {"content-type": "text/event-stream"}, "chunks": chunks}
    value = {
        "format": 1,
        "name": "paused",
        "source": "made",
        "profile": PROFILE.name,
        "match": {"prompt": "Wait!"},
        "reply": {"http": http},
    }
    return parse_exchange(json.dumps(value), "paused")


def test_nothing_is_buffered(start_relay: StartRelay) -> None:
    with seeded_mock(exchanges=[_exchange_with_pause()]) as server:
        _, client = start_relay(parse_endpoint(server.base_url, server.api_key))
        with client.stream("POST", "/responses", json={**HELLO, "input": "Wait!", "stream": True}) as answer:
            times = [time.monotonic() for _ in answer.iter_raw()]
    assert len(times) >= 2
    assert times[-1] - times[0] > 0.4


def test_each_side_has_its_own_key(start_relay: StartRelay) -> None:
    with seeded_mock() as server:
        relay, client = start_relay(parse_endpoint(server.base_url, CANARY_KEY))
        wrong = client.post("/responses", json=HELLO, headers={"authorization": f"Bearer {CANARY_KEY}"})
        assert wrong.status_code == 401
        assert len(server.journal) == 0
        refused = client.post("/responses", json=HELLO)  # the mock takes one key, and the canary is not it
        assert refused.status_code == 401
        assert len(server.journal) == 1
        wait_until_idle(relay, client)
    assert relay.budget.spent_requests == 1
    for entry in relay.journal:
        assert CANARY_KEY not in repr(entry) + repr(entry.headers) + entry.detail + str(entry.reply)


def test_one_that_gives_the_key_back_is_cleaned(fake_endpoint: str, start_relay: StartRelay) -> None:
    relay, client = start_relay(parse_endpoint(f"{fake_endpoint}/key-in-body{PROFILE.base_path}", CANARY_KEY))
    for body in (HELLO, {**HELLO, "stream": True}):
        answer = client.post("/responses", json=body)
        assert answer.status_code == 200
        assert CANARY_KEY not in answer.text + str(answer.headers)
    wait_until_idle(relay, client)
    assert CANARY_KEY not in str([entry.reply for entry in relay.journal])


def test_a_client_that_leaves_is_no_fault_and_costs_no_more(
    fake_endpoint: str, start_relay: StartRelay
) -> None:
    """The endpoint has 20 seconds of silence before it: the relay does not wait for it."""
    relay, client = start_relay(parse_endpoint(f"{fake_endpoint}/stalled{PROFILE.base_path}", CANARY_KEY))
    with client.stream("POST", "/responses", json={**HELLO, "stream": True}) as answer:
        next(answer.iter_raw())
    wait_until_idle(relay, client)
    entry = relay.journal.last
    assert (entry.status, entry.reply_findings) == (200, ())


def test_the_budget_is_kept(start_relay: StartRelay) -> None:
    with seeded_mock() as server:
        for budget in (Budget(1, 10_000), Budget(10, 20)):
            relay, client = start_relay(parse_endpoint(server.base_url, server.api_key), budget)
            assert client.post("/responses", json=HELLO).status_code == 200
            wait_until_idle(relay, client)
            refused = client.post("/responses", json=HELLO)
            assert (refused.status_code, refused.headers["x-should-retry"]) == (403, "false")
            assert "no further request is sent" in refused.json()["message"]
        assert len(server.journal) == 2


def test_an_endpoint_that_is_not_there_or_elsewhere(fake_endpoint: str, start_relay: StartRelay) -> None:
    _, client = start_relay(parse_endpoint("http://127.0.0.1:1/v1", CANARY_KEY))
    answer = client.post("/responses", json=HELLO)
    assert (answer.status_code, answer.json()["code"]) == (502, "BadGateway")
    _, client = start_relay(parse_endpoint(f"{fake_endpoint}/redirect{PROFILE.base_path}", CANARY_KEY))
    answer = client.post("/responses", json=HELLO)
    assert (answer.status_code, answer.json()["message"]) == (
        502,
        "The endpoint redirects, which is not followed.",
    )


def test_a_cut_answer_is_cut(fake_endpoint: str, start_relay: StartRelay) -> None:
    relay, client = start_relay(
        parse_endpoint(f"{fake_endpoint}/closed-early{PROFILE.base_path}", CANARY_KEY)
    )
    with pytest.raises(httpx.RemoteProtocolError):
        client.post("/responses", json={**HELLO, "stream": True})
    wait_until_idle(relay, client)
    assert len(relay.journal) == 1


@pytest.mark.parametrize(
    ("wrong", "rule"), [("text-differs", "TXT-001"), ("usage-total", "USE-001"), ("envelope", "SCH-002")]
)
def test_answers_are_judged(wrong: str, rule: str, fake_endpoint: str, start_relay: StartRelay) -> None:
    relay, client = start_relay(parse_endpoint(f"{fake_endpoint}/{wrong}{PROFILE.base_path}", CANARY_KEY))
    body = {**HELLO, "model": "no-such-model"} if wrong == "envelope" else {**HELLO, "stream": True}
    client.post("/responses", json=body)
    wait_until_idle(relay, client)
    assert [each.rule for each in relay.journal.last.reply_findings] == [rule]


def test_answers_of_other_operations_are_judged(
    fake_endpoints: Callable[[str], str], start_relay: StartRelay
) -> None:
    later = load_profile("qwen-2026-09")
    for wrong, rules in (("honest", []), ("retrieved-untyped", ["SCH-001"])):
        place = parse_endpoint(f"{fake_endpoints(later.name)}/{wrong}{later.base_path}", CANARY_KEY)
        relay, client = start_relay(place, profile=later)
        made = client.post("/responses", json={"model": later.models[0], "input": "Hello!"}).json()
        assert client.get(f"/responses/{made['id']}").status_code == 200
        wait_until_idle(relay, client)
        assert [each.rule for each in relay.journal.last.reply_findings] == rules


def test_requests_are_judged(start_relay: StartRelay) -> None:
    with seeded_mock() as server:
        relay, client = start_relay(parse_endpoint(server.base_url, server.api_key))
        client.post("/responses", json={**HELLO, "temperature": 3})
        client.post("/responses", json={**HELLO, "metadata": {"a": "b"}})
        wait_until_idle(relay, client)
    assert [each.rule for each in relay.journal[0].findings] == ["REQ-001"]
    assert relay.journal[1].ignored == ("metadata",)
    assert relay.journal[1].prompt == "Hello!"


def test_another_path_is_no_endpoint(start_relay: StartRelay) -> None:
    with seeded_mock() as server:
        _, client = start_relay(parse_endpoint(server.base_url, server.api_key))
        assert client.get(str(client.base_url.join("/elsewhere"))).status_code == 404
