"""The pass-through server: it forwards bytes unchanged and unbuffered, and keeps the endpoint's key."""

from __future__ import annotations

import gzip
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from mockserver import FunctionCall, MockServer
from mockserver.exchanges import Exchange, parse_exchange
from mockserver.live.budgeted_client import Budget
from mockserver.live.client import Timeouts
from mockserver.live.endpoint import Endpoint, parse_endpoint
from mockserver.live.pass_through_checks import PassThroughChecker
from mockserver.live.relay import Relay, RelayOptions
from mockserver.profiles import Profile, load_profile
from mockserver.server.conduct import check_entries
from mockserver.server.http.threaded_server import ThreadedServer
from mockserver.server.journal_entries import findings_for_entry
from mockserver.server.state.journal import Journal
from mockserver.wire import json
from tests.contract import samples
from tests.live.conftest import CANARY_KEY
from tests.live.upstream import running_upstream, wait_until

PROFILE = load_profile()
RELAY_KEY = "relay-key-1"
HELLO = {"model": PROFILE.models[0], "input": "Hello!"}

StartRelay = Callable[..., tuple[Relay, httpx.Client]]
ServeBytes = Callable[[bytes, bytes], str]


@pytest.fixture
def start_relay() -> Iterator[StartRelay]:
    """Start a relay before an endpoint: (the relay, a client of it)."""
    running: list[tuple[ThreadedServer, Relay, httpx.Client]] = []

    def run(
        endpoint: Endpoint,
        budget: Budget | None = None,
        profile: Profile = PROFILE,
        options: RelayOptions = RelayOptions(),  # noqa: B008 (immutable)
    ) -> tuple[Relay, httpx.Client]:
        budget = budget or Budget(100, 100_000)
        relay = Relay(endpoint, profile, RELAY_KEY, budget, Timeouts(), Journal(), options=options)
        server = ThreadedServer(relay)
        server.start()
        client = httpx.Client(
            base_url=server.url + profile.base_path,
            headers={"authorization": f"Bearer {RELAY_KEY}"},
            trust_env=False,
            timeout=60,
        )
        running.append((server, relay, client))
        return relay, client

    yield run
    for server, relay, client in running:
        client.close()
        server.run(relay.close())
        server.stop()


@pytest.fixture
def serve_bytes() -> Iterator[ServeBytes]:
    """Start an endpoint that always replies with the same body and content type; returns its base URL."""
    servers: list[ThreadedServer] = []

    def serve(body: bytes, content_type: bytes) -> str:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            head = {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-type", content_type)],
            }
            await send(head)
            await send({"type": "http.response.body", "body": body})

        servers.append(ThreadedServer(app))
        servers[-1].start()
        return servers[-1].url

    yield serve
    for each in servers:
        each.stop()


def wait_until_idle(relay: Relay, client: httpx.Client) -> None:
    """Wait until the relay has checked what it passed on."""
    deadline = time.monotonic() + 60
    while not relay._idle.is_set():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def seeded_mock(**settings: Any) -> MockServer:
    return MockServer(seed=7, **settings)


@pytest.mark.parametrize("parameters", [{}, {"stream": True}])
def test_reply_has_the_bytes_of_the_endpoint(parameters: dict[str, Any], start_relay: StartRelay) -> None:
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
    chunks = [{"at_ms": 0, "text": data[:500]}, {"at_ms": 60_000, "text": data[500:]}]
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


def test_relay_buffers_nothing(start_relay: StartRelay) -> None:
    """The first chunk arrives while the endpoint pauses, for longer than the client would wait."""
    with seeded_mock(exchanges=[_exchange_with_pause()]) as server:
        _, client = start_relay(parse_endpoint(server.base_url, server.api_key))
        with client.stream("POST", "/responses", json={**HELLO, "input": "Wait!", "stream": True}) as reply:
            assert next(reply.iter_raw()).startswith(b"id:")


def test_each_side_has_its_own_key(start_relay: StartRelay) -> None:
    with seeded_mock() as server:
        relay, client = start_relay(parse_endpoint(server.base_url, CANARY_KEY))
        wrong = client.post("/responses", json=HELLO, headers={"authorization": f"Bearer {CANARY_KEY}"})
        assert wrong.status_code == 401
        assert len(server.journal) == 0
        refused = client.post("/responses", json=HELLO)  # the mock accepts another key than the canary
        assert refused.status_code == 401
        assert len(server.journal) == 1
        wait_until_idle(relay, client)
    assert relay.budget.spent_requests == 1
    for entry in relay.journal:
        assert CANARY_KEY not in repr(entry) + repr(entry.headers) + entry.detail + str(entry.reply)


def test_key_in_a_reply_is_masked(fake_endpoint: str, start_relay: StartRelay) -> None:
    relay, client = start_relay(parse_endpoint(f"{fake_endpoint}/key-in-body{PROFILE.base_path}", CANARY_KEY))
    for body in (HELLO, {**HELLO, "stream": True}):
        reply = client.post("/responses", json=body)
        assert reply.status_code == 200
        assert CANARY_KEY not in reply.text + str(reply.headers)
    wait_until_idle(relay, client)
    assert CANARY_KEY not in str([entry.reply for entry in relay.journal])


def test_client_disconnect_is_no_finding_and_ends_the_request(
    fake_endpoint: str, start_relay: StartRelay
) -> None:
    """The endpoint is silent for longer than the test waits: the relay does not wait for it."""
    relay, client = start_relay(parse_endpoint(f"{fake_endpoint}/stalled{PROFILE.base_path}", CANARY_KEY))
    with client.stream("POST", "/responses", json={**HELLO, "stream": True}) as reply:
        next(reply.iter_raw())
    wait_until_idle(relay, client)
    entry = relay.journal.last
    assert (entry.status, entry.reply_findings) == (200, ())


def test_relay_keeps_the_budget(start_relay: StartRelay) -> None:
    with seeded_mock() as server:
        for budget in (Budget(1, 10_000), Budget(10, 20)):
            relay, client = start_relay(parse_endpoint(server.base_url, server.api_key), budget)
            assert client.post("/responses", json=HELLO).status_code == 200
            wait_until_idle(relay, client)
            refused = client.post("/responses", json=HELLO)
            assert (refused.status_code, refused.headers["x-should-retry"]) == (403, "false")
            assert "no further request is sent" in refused.json()["message"]
        assert len(server.journal) == 2


def test_unreachable_or_redirecting_endpoint_is_a_bad_gateway(
    fake_endpoint: str, start_relay: StartRelay
) -> None:
    _, client = start_relay(parse_endpoint("http://127.0.0.1:1/v1", CANARY_KEY))
    reply = client.post("/responses", json=HELLO)
    assert (reply.status_code, reply.json()["code"]) == (502, "BadGateway")
    _, client = start_relay(parse_endpoint(f"{fake_endpoint}/redirect{PROFILE.base_path}", CANARY_KEY))
    reply = client.post("/responses", json=HELLO)
    assert (reply.status_code, reply.json()["message"]) == (
        502,
        "The endpoint redirects; redirects are not followed.",
    )


def test_cut_reply_is_cut_for_the_client(fake_endpoint: str, start_relay: StartRelay) -> None:
    relay, client = start_relay(
        parse_endpoint(f"{fake_endpoint}/closed-early{PROFILE.base_path}", CANARY_KEY)
    )
    with pytest.raises(httpx.RemoteProtocolError):
        client.post("/responses", json={**HELLO, "stream": True})
    wait_until_idle(relay, client)
    assert len(relay.journal) == 1


@pytest.mark.parametrize(
    ("deviation", "rule"), [("text-differs", "TXT-001"), ("usage-total", "USE-001"), ("envelope", "SCH-002")]
)
def test_replies_are_checked(deviation: str, rule: str, fake_endpoint: str, start_relay: StartRelay) -> None:
    relay, client = start_relay(parse_endpoint(f"{fake_endpoint}/{deviation}{PROFILE.base_path}", CANARY_KEY))
    body = {**HELLO, "model": "no-such-model"} if deviation == "envelope" else {**HELLO, "stream": True}
    client.post("/responses", json=body)
    wait_until_idle(relay, client)
    assert [each.rule for each in relay.journal.last.reply_findings] == [rule]


def test_replies_of_other_operations_are_checked(
    fake_endpoints: Callable[[str], str], start_relay: StartRelay
) -> None:
    later = load_profile("qwen-2026-09")
    for deviation, rules in (("honest", []), ("retrieved-untyped", ["SCH-001"])):
        endpoint = parse_endpoint(f"{fake_endpoints(later.name)}/{deviation}{later.base_path}", CANARY_KEY)
        relay, client = start_relay(endpoint, profile=later)
        made = client.post("/responses", json={"model": later.models[0], "input": "Hello!"}).json()
        assert client.get(f"/responses/{made['id']}").status_code == 200
        wait_until_idle(relay, client)
        assert [each.rule for each in relay.journal.last.reply_findings] == rules


def test_requests_are_checked(start_relay: StartRelay) -> None:
    with seeded_mock() as server:
        relay, client = start_relay(parse_endpoint(server.base_url, server.api_key))
        client.post("/responses", json={**HELLO, "temperature": 3})
        client.post("/responses", json={**HELLO, "metadata": {"a": "b"}})
        wait_until_idle(relay, client)
    assert [each.rule for each in relay.journal[0].findings] == ["REQ-001"]
    assert relay.journal[1].ignored == ("metadata",)
    assert relay.journal[1].prompt == "Hello!"


def test_path_outside_the_base_path_is_not_found(start_relay: StartRelay) -> None:
    with seeded_mock() as server:
        _, client = start_relay(parse_endpoint(server.base_url, server.api_key))
        assert client.get(str(client.base_url.join("/elsewhere"))).status_code == 404


@pytest.mark.parametrize("stream", [False, True])
def test_function_outputs_are_checked_against_the_turn_before(stream: bool, start_relay: StartRelay) -> None:
    profile = load_profile("qwen-2026-09")
    function = {"type": "function", "name": "f", "parameters": {"type": "object"}}
    request = {"model": profile.models[0], "input": "Call f.", "tools": [function], "stream": stream}
    with seeded_mock(profile=profile.name) as server:
        server.reply(FunctionCall("f", "{}", call_id="call_1"))
        relay, client = start_relay(parse_endpoint(server.base_url, server.api_key), profile=profile)
        first = client.post("/responses", json=request)
        wait_until_idle(relay, client)
        previous = first.text.split('"id":"resp_')[1].split('"')[0]

        output = {"type": "function_call_output", "call_id": "call_2", "output": "1"}
        client.post(
            "/responses", json={**request, "input": [output], "previous_response_id": f"resp_{previous}"}
        )
        wait_until_idle(relay, client)

    findings = relay.journal.last.details.request_findings
    assert ("REQ-007", "/input/0/call_id") in [(finding.rule, finding.pointer) for finding in findings]


LATER = load_profile("qwen-2026-09")
CHAT = {"model": LATER.models[0], "messages": [{"role": "user", "content": "Hello!"}]}
CHUNK_WITHOUT_END = b'data: {"choices":[],"object":"chat.completion.chunk"}\n\n'


def rules_of_last(relay: Relay, client: httpx.Client) -> tuple[list[str], list[str]]:
    """The rules of the findings in the last request and in its reply."""
    wait_until_idle(relay, client)
    entry = relay.journal.last
    return [each.rule for each in entry.findings], [each.rule for each in entry.reply_findings]


@pytest.mark.parametrize("stream", [False, True])
def test_chat_requests_and_replies_are_checked(stream: bool, start_relay: StartRelay) -> None:
    with seeded_mock(profile=LATER.name) as server:
        relay, client = start_relay(parse_endpoint(server.base_url, server.api_key), profile=LATER)
        tool = {"role": "tool", "tool_call_id": "call_zzz", "content": "1"}
        client.post(
            "/chat/completions", json={**CHAT, "messages": [*CHAT["messages"], tool], "stream": stream}
        )
        assert rules_of_last(relay, client) == (["REQ-007"], [])
        assert client.post("/chat/completions", json={**CHAT, "stream": stream}).status_code == 200
        assert rules_of_last(relay, client) == ([], [])
        client.post("/chat/completions", json={**CHAT, "xylophone": 1, "stream": stream})
        assert rules_of_last(relay, client) == (["REQ-002"], [])
        assert relay.journal.last.ignored == ("xylophone",)
        assert relay.journal.last.is_checked


@pytest.mark.parametrize(
    ("body", "stream", "rule"),
    [(b"{}", False, "SCH-002"), (CHUNK_WITHOUT_END, True, "CHT-007"), (b"{}", True, "SCH-002")],
)
def test_broken_chat_replies_are_found(
    body: bytes, stream: bool, rule: str, start_relay: StartRelay, serve_bytes: ServeBytes
) -> None:
    content_type = b"text/event-stream" if body.startswith(b"data") else b"application/json"
    relay, client = start_relay(parse_endpoint(serve_bytes(body, content_type), "key"), profile=LATER)
    client.post("/chat/completions", json={**CHAT, "stream": stream})
    assert rule in rules_of_last(relay, client)[1]


def test_requests_of_other_operations_are_checked(start_relay: StartRelay) -> None:
    with seeded_mock(profile=LATER.name) as server:
        relay, client = start_relay(parse_endpoint(server.base_url, server.api_key), profile=LATER)
        client.post("/conversations", json={"metadata": 3})
        assert rules_of_last(relay, client)[0] == ["REQ-001"]


@pytest.mark.parametrize(
    ("outputs", "rules"),
    [(["call_1"], []), (["call_2"], ["REQ-007"]), ([], ["REQ-013"]), (["call_1", "call_1"], ["REQ-014"])],
)
def test_function_outputs_are_checked_against_a_conversation(
    outputs: list[str], rules: list[str], start_relay: StartRelay
) -> None:
    function = {"type": "function", "name": "f", "parameters": {"type": "object"}}
    with seeded_mock(profile=LATER.name) as server:
        server.reply(FunctionCall("f", "{}", call_id="call_1"))
        server.reply("Done.").always()
        relay, client = start_relay(parse_endpoint(server.base_url, server.api_key), profile=LATER)
        conversation = client.post("/conversations", json={}).json()["id"]
        wait_until_idle(relay, client)
        request = {"model": LATER.models[0], "tools": [function], "conversation": conversation}
        client.post("/responses", json={**request, "input": "Call f."})
        wait_until_idle(relay, client)
        items = [{"type": "function_call_output", "call_id": each, "output": "1"} for each in outputs]
        client.post("/responses", json={**request, "input": [*items, {"role": "user", "content": "And?"}]})
        assert rules_of_last(relay, client)[0] == rules


def test_unknown_earlier_turn_is_reported_as_not_compared(start_relay: StartRelay) -> None:
    with seeded_mock(profile=LATER.name) as server:
        relay, client = start_relay(parse_endpoint(server.base_url, server.api_key), profile=LATER)
        output = {"type": "function_call_output", "call_id": "call_1", "output": "1"}
        request = {"model": LATER.models[0], "input": [output], "previous_response_id": "resp_elsewhere"}
        client.post("/responses", json=request)
        assert rules_of_last(relay, client)[0] == ["REQ-018"]


def test_journal_tells_unread_bodies_from_valid_ones(start_relay: StartRelay) -> None:
    with seeded_mock(profile=LATER.name) as server:
        relay, client = start_relay(parse_endpoint(server.base_url, server.api_key), profile=LATER)
        client.post("/responses", json=HELLO)
        client.post("/responses", json=HELLO, headers={"authorization": "Bearer wrong"})
        client.post("/nothing/here", json=HELLO)
        wait_until_idle(relay, client)
    assert [each.is_checked for each in relay.journal] == [True, False, False]


def test_compressed_request_is_checked_as_it_reads_and_passed_on_as_it_is(start_relay: StartRelay) -> None:
    body = gzip.compress(json.dumps({**HELLO, "temperature": 7}))
    head = {"content-type": "application/json", "content-encoding": "gzip"}
    with seeded_mock() as server:
        relay, client = start_relay(parse_endpoint(server.base_url, server.api_key))
        assert client.post("/responses", content=body, headers=head).status_code == 400
        assert server.journal.last.json == {**HELLO, "temperature": 7}
        assert (b"content-encoding", b"gzip") in server.journal.last.request_head.headers
        wait_until_idle(relay, client)
    assert relay.journal.last.json["temperature"] == 7
    assert [each.rule for each in relay.journal.last.findings] == ["REQ-001"]


@pytest.mark.parametrize(
    ("content", "coding", "status"),
    [
        (b"x" * 1001, "identity", 413),
        (gzip.compress(b"x" * 5000, mtime=0), "gzip", 413),
        (b"x", "foo", 415),
        (b"x", "gzip", 400),
    ],
)
def test_request_that_cannot_be_checked_is_refused(
    content: bytes, coding: str, status: int, start_relay: StartRelay
) -> None:
    head = {"content-type": "application/json", "content-encoding": coding}
    with seeded_mock() as server:
        endpoint = parse_endpoint(server.base_url, server.api_key)
        relay, client = start_relay(endpoint, options=RelayOptions(max_body=1000))
        assert client.post("/responses", content=content, headers=head).status_code == status
        wait_until_idle(relay, client)
        assert len(server.journal) == 0
    assert findings_for_entry(relay.journal.last)


#: Behind the base path; each reaches the parent folder with a server or proxy that is lenient enough.
ESCAPES = [
    "/../other/responses",
    "/responses/../../other/responses",
    "/%2e%2e/other/responses",
    "/%2E./other/responses",
    "/..%2fother/responses",
    "/%252e%252e/other/responses",
    "/%25252e%25252e%25252fother",
    "/..\\other\\responses",
    "/..%5cother",
    "/..;x=1/other/responses",
    "/..%3bx/other",
    "/%c0%ae%c0%ae/other",
    "/./responses",
    "/responses/..",
    "//other.example/responses",
    "/%2fother.example/responses",
    "/..%00/other",
    f"/.%{'25' * 10}2e/other",
]


def _status_of(url: str, target: str) -> int:
    """The status of a POST whose target no client library has normalized."""
    host, _, port = httpx.URL(url).netloc.decode().partition(":")
    body = json.dumps(HELLO)
    head = (
        f"POST {target} HTTP/1.1\r\nhost: {host}:{port}\r\nauthorization: Bearer {RELAY_KEY}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    with socket.create_connection((host, int(port)), 60) as connection:
        connection.sendall(head.encode("latin-1") + body)
        return int(connection.makefile("rb").readline().split(b" ")[1])


@pytest.mark.parametrize("form", ["{path}", "http://{host}{path}"])
@pytest.mark.parametrize("escape", ESCAPES)
def test_no_request_leaves_the_base_path(escape: str, form: str, start_relay: StartRelay) -> None:
    with running_upstream() as upstream:
        relay, client = start_relay(parse_endpoint(upstream.url + PROFILE.base_path, CANARY_KEY))
        target = form.format(host=client.base_url.netloc.decode(), path=PROFILE.base_path + escape)
        assert _status_of(str(client.base_url), target) == 404
        wait_until_idle(relay, client)
        assert upstream.targets == []
    assert relay.budget.spent_requests == 0


def test_base_path_in_escapes_hides_nothing(start_relay: StartRelay) -> None:
    """The relay decodes such a path once to find the base path."""
    escaped = PROFILE.base_path.replace("/v1", "/%76%31")
    with running_upstream() as upstream:
        _, client = start_relay(parse_endpoint(upstream.url + PROFILE.base_path, CANARY_KEY))
        for escape in ("/%2e%2e/other", "/%252e%252e/other", "/%25252e%25252e/other"):
            assert _status_of(str(client.base_url), escaped + escape) == 404
        assert upstream.targets == []


def test_more_than_a_hundred_streams_are_open_at_once(start_relay: StartRelay) -> None:
    """A pool of connections to the endpoint would let the next client wait until another one leaves."""
    with running_upstream() as upstream, ExitStack() as streams:
        _, client = start_relay(parse_endpoint(upstream.url, CANARY_KEY), Budget(1000, 10**6))
        client = streams.enter_context(
            httpx.Client(
                base_url=client.base_url,
                headers=client.headers,
                trust_env=False,
                timeout=20,
                limits=httpx.Limits(max_connections=None),
            )
        )
        chunks: list[Iterator[bytes]] = []
        for _ in range(130):
            reply = streams.enter_context(client.stream("POST", "/responses", json={**HELLO, "stream": True}))
            chunks.append(reply.iter_raw())  # its end would close the connection
            assert next(chunks[-1]) == b": open\n\n"
        assert upstream.open_count == 130


@pytest.mark.parametrize("first_chunk", [None, b": open\n\n"])
def test_client_that_leaves_frees_its_upstream_connection(
    first_chunk: bytes | None, start_relay: StartRelay
) -> None:
    """Before the head of the reply too, for which the endpoint has minutes."""
    with running_upstream(first_chunk) as upstream:
        relay, client = start_relay(parse_endpoint(upstream.url, CANARY_KEY))
        for count in (1, 2, 3):
            connection = socket.create_connection((client.base_url.host, client.base_url.port or 0), 60)
            body = json.dumps({**HELLO, "stream": True})
            connection.sendall(
                b"POST %b/responses HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer %b\r\n"
                b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
                % (PROFILE.base_path.encode(), RELAY_KEY.encode(), len(body), body)
            )
            wait_until(lambda expected=count: len(upstream.targets) == expected)  # type: ignore[misc]
            connection.close()
        wait_until(lambda: upstream.open_count == 0)
        wait_until_idle(relay, client)
    assert [entry.left for entry in relay.journal] == [True] * 3
    assert [entry.refusal for entry in relay.journal] == ["unreachable" if first_chunk is None else ""] * 3


def test_conduct_is_judged_by_the_headers_of_the_endpoint(start_relay: StartRelay) -> None:
    with seeded_mock() as server:
        server.fail("rate-429", retry_after=20).times(2)
        relay, client = start_relay(parse_endpoint(server.base_url, server.api_key))
        for _ in range(2):
            assert client.post("/responses", json=HELLO).headers["retry-after"] == "20"
        wait_until_idle(relay, client)
    found = check_entries(enumerate(relay.journal, start=1))
    assert [(each.request_number, each.finding.rule) for each in found] == [(2, "RTY-001")]


def test_slow_check_delays_no_reply(start_relay: StartRelay, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first check does not end before the second reply is there."""
    release, check = threading.Event(), PassThroughChecker.journal_entry

    def check_late(*arguments: Any) -> Any:
        assert release.wait(60)
        return check(*arguments)

    monkeypatch.setattr(PassThroughChecker, "journal_entry", check_late)
    with seeded_mock() as server:
        relay, client = start_relay(parse_endpoint(server.base_url, server.api_key))
        client.timeout = 20
        for prompt in ("One?", "Two?"):
            assert client.post("/responses", json={**HELLO, "input": prompt}).status_code == 200
        assert len(relay.journal) == 0
        assert relay.has_unchecked_exchanges
        release.set()
        wait_until_idle(relay, client)
    assert [entry.prompt for entry in relay.journal] == ["One?", "Two?"]
