"""`serve --fallback`: stubs answer here, a live endpoint answers the rest, and both directions are checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from mockserver import FunctionCall, MockServer
from mockserver.errors import ConfigurationError
from mockserver.exchanges import Exchange, parse_exchange
from mockserver.live.budgeted_client import Budget
from mockserver.live.endpoint import parse_endpoint
from mockserver.live.fallback import LiveFallback
from mockserver.live.pass_through_checks import PassThroughChecker
from mockserver.profiles import Profile, load_profile
from mockserver.server.access import ApiKeys
from mockserver.server.delivery.faults import parse_fault
from mockserver.server.http.app import App
from mockserver.server.http.services import Services
from mockserver.server.http.threaded_server import ThreadedServer
from mockserver.server.state.sessions import open_session
from mockserver.wire import json
from tests.live.conftest import CANARY_KEY, fake_endpoint, fake_endpoints
from tests.live.upstream import running_upstream, wait_until

__all__ = ["fake_endpoint", "fake_endpoints"]

PROFILE = load_profile()
MODEL = PROFILE.models[0]
CLIENT_KEY = "sk-mock-of-clients"
ADMIN_TOKEN = "admin-token-1"


class Front:
    """A mock server with a fallback, and a client of it."""

    def __init__(
        self,
        url: str,
        budget: Budget,
        exchanges: tuple[Exchange, ...],
        faults: tuple[str, ...],
        profile: Profile,
    ) -> None:
        session = open_session(profile=profile.name, seed=3, user_exchanges=exchanges)
        session.faults = tuple(map(parse_fault, faults))
        self.services = Services(
            default_session=session, keys=ApiKeys((CLIENT_KEY,)), mock_headers=True, admin_token=ADMIN_TOKEN
        )
        self.budget = budget
        self.fallback = LiveFallback(parse_endpoint(url, CANARY_KEY), budget, budget_options="--max-requests")
        self.fallback.serve(self.services)
        self.server = ThreadedServer(App(self.services))
        self.server.start()
        headers = {"authorization": f"Bearer {CLIENT_KEY}"}
        self.client = httpx.Client(
            base_url=self.server.url + profile.base_path, headers=headers, trust_env=False, timeout=60
        )

    def create(self, prompt: str, headers: dict[str, str] | None = None, **members: Any) -> httpx.Response:
        body = {"model": MODEL, "input": prompt, **members}
        return self.client.post("/responses", json=body, headers=headers)

    def admin(self, method: str, path: str, **options: Any) -> Any:
        url = f"{self.server.url}/_mock/{path}"
        headers = {"x-mock-admin-token": ADMIN_TOKEN}
        return self.client.request(method, url, headers=headers, **options).json()

    def journal(self) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = self.admin("GET", "journal")["entries"]
        return entries

    def stop(self) -> None:
        self.client.close()
        self.server.run(self.fallback.close())
        self.server.stop()


StartFront = Callable[..., Front]


@pytest.fixture
def start_front() -> Iterator[StartFront]:
    with ExitStack() as stack:

        def start(
            url: str,
            *exchanges: Exchange,
            budget: Budget | None = None,
            faults: tuple[str, ...] = (),
            profile: Profile = PROFILE,
        ) -> Front:
            front = Front(url, budget or Budget(100, 100_000), exchanges, faults, profile)
            stack.callback(front.stop)
            return front

        yield start


@pytest.fixture
def upstream() -> Iterator[MockServer]:
    """An endpoint that accepts only its own key."""
    with MockServer(seed=7, api_key=CANARY_KEY, store_size=100) as server:
        yield server


def exchange(prompt: str, text: str) -> Exchange:
    value = {
        "format": 1,
        "name": "my-exchange",
        "source": "made",
        "match": {"prompt": prompt},
        "reply": {"text": text},
    }
    return parse_exchange(json.dumps(value), "my-exchange")


def output_text(response: httpx.Response) -> str:
    message: str = response.json()["output"][-1]["content"][0]["text"]
    return message


def test_stubs_and_exchanges_answer_here_and_the_endpoint_answers_the_rest(
    upstream: MockServer, start_front: StartFront
) -> None:
    front = start_front(upstream.base_url, exchange("From a file?", "from the file"))
    front.admin("POST", "stubs", json={"match": "Stubbed?", "reply": "from the stub"})
    upstream.reply("from the endpoint")

    texts = [output_text(front.create(prompt)) for prompt in ("Stubbed?", "From a file?", "Anything else?")]

    assert texts == ["from the stub", "from the file", "from the endpoint"]
    assert [each["exchange"] for each in front.journal()] == ["stub-1", "my-exchange", "fallback"]
    assert len(upstream.journal) == front.budget.spent_requests == 1


def test_documented_samples_do_not_answer(upstream: MockServer, start_front: StartFront) -> None:
    front = start_front(upstream.base_url)
    upstream.reply("from the endpoint")
    prompt = "Hello, please introduce yourself in one sentence."
    assert output_text(front.create(prompt)) == "from the endpoint"


@pytest.mark.parametrize("members", [{}, {"stream": True}])
def test_reply_has_the_bytes_of_the_endpoint(
    members: dict[str, Any], upstream: MockServer, start_front: StartFront
) -> None:
    front = start_front(upstream.base_url)
    reply = front.create("Hello!", **members)
    entry = upstream.journal.last
    assert reply.content == b"".join(entry.reply)
    assert reply.headers["x-request-id"] == entry.request_id
    (own,) = front.journal()
    assert (own["reply"].encode(), own["findings"], own["reply_findings"]) == (reply.content, [], [])
    assert own["request_id"] == entry.request_id


def test_a_chunk_is_passed_on_while_the_endpoint_still_writes(start_front: StartFront) -> None:
    with running_upstream(b": open\n\n") as upstream:
        front = start_front(upstream.url)
        body = {"model": MODEL, "input": "Wait!", "stream": True}
        with front.client.stream("POST", "/responses", json=body) as reply:
            chunks = reply.iter_raw()  # a reference, because httpx closes the connection of a lost iterator
            assert next(chunks) == b": open\n\n"
            assert upstream.open_count == 1
        wait_until(lambda: upstream.open_count == 0)


def test_the_keys_of_clients_do_not_travel_and_the_endpoints_key_does_not_return(
    fake_endpoint: str, start_front: StartFront
) -> None:
    front = start_front(f"{fake_endpoint}/key-in-body{PROFILE.base_path}")
    replies = [front.create("Hello!"), front.create("Hello!", stream=True)]
    replies.append(front.create("Hello!", {"x-mock-fault": "cut-after"}, stream=True))
    assert [each.status_code for each in replies] == [200, 200, 200]
    for text in (*(each.text for each in replies), json.dumps(front.journal()).decode()):
        assert CANARY_KEY not in text
        assert CLIENT_KEY not in text


def test_request_headers_of_the_mock_do_not_travel(start_front: StartFront) -> None:
    seen: list[dict[bytes, bytes]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(dict(scope["headers"]))
        await send({"type": "http.response.start", "status": 500, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    server = ThreadedServer(app)
    server.start()
    try:
        front = start_front(server.url)
        front.create("Hello!", {"x-mock-delay": "1", "cookie": "a=b", "x-mock-session": "other"})
    finally:
        server.stop()
    (headers,) = seen
    assert headers[b"authorization"] == f"Bearer {CANARY_KEY}".encode()
    assert not {b"cookie", b"x-mock-delay", b"x-mock-session"} & set(headers)


def test_a_wrong_key_is_refused_here(upstream: MockServer, start_front: StartFront) -> None:
    front = start_front(upstream.base_url)
    for key in (CANARY_KEY, "sk-other"):
        front.client.headers["authorization"] = f"Bearer {key}"
        statuses = [front.create("Hello!").status_code, front.client.get("/nowhere").status_code]
        statuses.append(front.client.get("/models").status_code)
        assert statuses == [401, 401, 401]
    assert len(upstream.journal) == 0


def test_findings_in_the_endpoints_reply_are_reported_and_fail_the_verdict(
    fake_endpoint: str, start_front: StartFront
) -> None:
    front = start_front(f"{fake_endpoint}/numbers-skip{PROFILE.base_path}")
    front.create("Hello!", stream=True)
    (entry,) = front.journal()
    assert entry["findings"] == []
    assert any("SEQ-" in each for each in entry["reply_findings"])
    verdict = front.admin("GET", "sessions/default/verdict")
    assert verdict["verdict"] == "fail"
    assert "the endpoint's reply" in verdict["violations"][0]["message"]


def test_invalid_requests_go_to_the_endpoint_with_their_findings(
    upstream: MockServer, start_front: StartFront
) -> None:
    front = start_front(upstream.base_url)
    replies = [front.create("Hello!", temperature=9), front.create("Hello!", temperature=9, stream=True)]
    replies.append(
        front.client.post("/responses", content=b"{", headers={"content-type": "application/json"})
    )
    assert [each.status_code for each in replies] == [400, 400, 400]
    assert [each.content for each in replies] == [b"".join(each.reply) for each in upstream.journal]
    assert all(each["findings"] for each in front.journal())


def test_compressed_requests_arrive_decoded(upstream: MockServer, start_front: StartFront) -> None:
    import gzip

    front = start_front(upstream.base_url)
    body = gzip.compress(json.dumps({"model": MODEL, "input": "Hello!"}))
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    assert front.client.post("/responses", content=body, headers=headers).status_code == 200
    assert upstream.journal.last.prompt == "Hello!"


def test_a_chain_of_the_endpoint_stays_there(upstream: MockServer, start_front: StartFront) -> None:
    front = start_front(upstream.base_url, exchange("And?", "from the file"))
    call = FunctionCall("weather", {"city": "Paris"})
    upstream.reply(call).then("from the endpoint").then("also from there")
    tools = [{"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}]
    first = front.create("Weather?", tools=tools).json()
    output = {"type": "function_call_output", "call_id": first["output"][-1]["call_id"], "output": "rain"}
    second = front.create("", input=[output], previous_response_id=first["id"])
    third = front.create("And?", previous_response_id=second.json()["id"])
    assert output_text(second) == "from the endpoint"
    assert output_text(third) == "also from there"
    assert [each["findings"] for each in front.journal()] == [[], [], []]


def test_a_chain_of_a_stub_does_not_reach_the_endpoint(upstream: MockServer, start_front: StartFront) -> None:
    front = start_front(upstream.base_url, exchange("Here?", "from the file"))
    own = front.create("Here?").json()
    reply = front.create("And now?", previous_response_id=own["id"])
    assert reply.status_code == 400
    assert reply.json()["message"].startswith(
        f"{own['id']} is a response of this server, which the fallback does not know. No stub matches"
    )
    assert output_text(front.create("Here?", previous_response_id=own["id"])) == "from the file"
    assert len(upstream.journal) == 0
    assert front.admin("GET", "sessions/default/verdict")["violations"][0]["rule"] == "unplanned"


def test_responses_are_retrieved_where_they_are(start_front: StartFront) -> None:
    later = load_profile("qwen-2026-09")
    with MockServer(profile=later.name, api_key=CANARY_KEY) as upstream:
        front = start_front(upstream.base_url, exchange("Here?", "from the file"), profile=later)
        ids = [front.create(prompt).json()["id"] for prompt in ("Here?", "There?")]
        for each in ids:
            assert front.client.get(f"/responses/{each}").json()["id"] == each
        assert front.client.get("/responses/resp_unknown").status_code == 404
        assert [each.method for each in upstream.journal] == ["POST", "GET", "GET"]
        assert [each["exchange"] for each in front.journal()][2:] == [None, "fallback", "fallback"]


def test_chat_and_other_operations_go_to_the_endpoint(upstream: MockServer, start_front: StartFront) -> None:
    front = start_front(upstream.base_url.removesuffix(PROFILE.base_path) + "/v1")
    chat = {"model": MODEL, "messages": [{"role": "user", "content": "Hello!"}]}
    for base in ("/compatible-mode/v1", "/v1"):
        reply = front.client.post(f"{front.server.url}{base}/chat/completions", json=chat)
        assert reply.json()["object"] == "chat.completion"
    assert reply.content == b"".join(upstream.journal.last.reply)
    assert [each.path for each in upstream.journal] == ["/v1/chat/completions"] * 2


def test_paths_outside_the_base_path_stay_here(start_front: StartFront) -> None:
    with running_upstream() as upstream:
        front = start_front(f"{upstream.url}/base")
        for path in ("/other", f"{PROFILE.base_path}/..%2fother", "/_mock/nothing"):
            assert front.client.get(front.server.url + path).status_code == 404
        assert upstream.targets == []


def test_stream_faults_apply_to_the_endpoints_reply(upstream: MockServer, start_front: StartFront) -> None:
    front = start_front(upstream.base_url)
    reply = front.create("Hello!", {"x-mock-fault": "cut-after,after=3"}, stream=True)
    frames = upstream.journal.last.reply
    assert reply.content == b"".join(frames[:3])
    assert reply.headers["x-mock-fault"] == "cut-after"
    (entry,) = front.journal()
    assert (entry["exchange"], entry["reply"].encode()) == ("fallback", reply.content)
    assert entry["detail"] == "fault cut-after"
    assert entry["reply_findings"] == []


def test_faults_of_the_session_apply_to_the_endpoints_reply(
    upstream: MockServer, start_front: StartFront
) -> None:
    front = start_front(upstream.base_url, faults=("lost-event",))
    lost = front.create("Hello!", stream=True)
    assert lost.content.count(b"\n\n") == len(upstream.journal.last.reply) - 1
    assert front.create("Hello!").content == b"".join(upstream.journal.last.reply)


def test_a_rule_fault_breaks_the_endpoints_reply(upstream: MockServer, start_front: StartFront) -> None:
    front = start_front(upstream.base_url)
    reply = front.create("Hello!", {"x-mock-fault": "SEQ-004"}, stream=True)
    assert reply.headers["x-mock-fault"] == "SEQ-004"
    assert reply.content != b"".join(upstream.journal.last.reply)
    refused = front.create("Hello!", {"x-mock-fault": "SEQ-004"})
    assert refused.status_code == 400
    assert "SEQ-004 cannot be broken in a response" in refused.json()["message"]


def test_a_service_fault_answers_here(upstream: MockServer, start_front: StartFront) -> None:
    front = start_front(upstream.base_url)
    reply = front.create("Hello!", {"x-mock-fault": "throttling"})
    assert reply.status_code == 429
    assert len(upstream.journal) == 0


def test_a_reset_applies_to_the_connection(upstream: MockServer, start_front: StartFront) -> None:
    front = start_front(upstream.base_url)
    with pytest.raises(httpx.ReadError):
        front.create("Hello!", {"x-mock-fault": "reset"})
    assert len(upstream.journal) == 1


def test_errors_of_the_endpoint_are_passed_on_without_the_fault(
    fake_endpoint: str, start_front: StartFront
) -> None:
    front = start_front(f"{fake_endpoint}/throttled{PROFILE.base_path}")
    reply = front.create("Hello!", {"x-mock-fault": "cut-after"}, stream=True)
    assert reply.status_code == 429
    assert "x-mock-fault" not in reply.headers


def test_the_budget_limits_what_is_passed_on(upstream: MockServer, start_front: StartFront) -> None:
    front = start_front(upstream.base_url, budget=Budget(1, 100_000))
    replies = [front.create("Hello!"), front.create("Hello!")]
    assert [each.status_code for each in replies] == [200, 403]
    assert "--max-requests" in replies[1].json()["message"]
    assert [each["refusal"] for each in front.journal()] == ["", "budget"]
    assert len(upstream.journal) == 1


def test_an_endpoint_that_does_not_reply_is_a_502_and_fails_the_verdict(start_front: StartFront) -> None:
    front = start_front("http://127.0.0.1:9")
    for headers in ({}, {"x-mock-fault": "cut-after"}):
        reply = front.create("Hello!", headers)
        assert reply.status_code == 502
        assert reply.json()["message"].startswith("The endpoint did not reply")
    assert {each["refusal"] for each in front.journal()} == {"unreachable"}
    assert front.admin("GET", "sessions/default/verdict")["verdict"] == "fail"


def test_an_endpoint_that_cuts_its_reply_is_cut_here(fake_endpoint: str, start_front: StartFront) -> None:
    front = start_front(f"{fake_endpoint}/closed-early{PROFILE.base_path}")
    for headers in ({}, {"x-mock-fault": "lost-event"}):
        with pytest.raises(httpx.RemoteProtocolError):
            front.create("Hello!", headers, stream=True)
    assert len(front.journal()) == 2


def test_each_session_has_its_own_requests(upstream: MockServer, start_front: StartFront) -> None:
    front = start_front(upstream.base_url)
    front.create("Hello!", {"x-mock-session": "one"})
    front.create("Hello!")
    (entry,) = front.journal()
    assert entry["session"] == "default"
    assert front.admin("GET", "sessions/one/verdict")["requests"] == 1


def test_mock_server_has_a_fallback(upstream: MockServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSTREAM_KEY", CANARY_KEY)
    upstream.reply("from the endpoint").always()
    with MockServer(fallback=upstream.base_url, upstream_key_env="UPSTREAM_KEY") as server:
        assert server.api_key not in ("sk-mock", CANARY_KEY)
        server.when("Stubbed?").reply("from the stub")
        server.when("Break!").fault("json-array")
        with server.httpx() as client:
            texts = [
                output_text(client.post("/responses", json={"model": MODEL, "input": prompt}))
                for prompt in ("Stubbed?", "Anything else?")
            ]
            broken = client.post("/responses", json={"model": MODEL, "input": "Break!"})
        assert texts == ["from the stub", "from the endpoint"]
        assert broken.content == b"[%b]" % b"".join(upstream.journal.last.reply)
        assert [each.exchange for each in server.journal] == ["stub-1", "fallback", "fallback"]
        server.check()
    with pytest.raises(ConfigurationError, match="NO_SUCH_KEY is not set"):
        MockServer(fallback=upstream.base_url, upstream_key_env="NO_SUCH_KEY")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_check_that_fails_holds_up_no_reply(
    upstream: MockServer, start_front: StartFront, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a defect of the checker")

    front = start_front(upstream.base_url)
    monkeypatch.setattr(PassThroughChecker, "journal_entry", fail)
    for headers in ({}, {"x-mock-fault": "json-array"}):
        assert front.create("Hello!", headers).status_code == 200
    assert [each["checked"] for each in front.journal()] == [False, False]
    assert front.admin("GET", "sessions/default/verdict")["verdict"] == "unchecked"
