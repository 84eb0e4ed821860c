"""The admin API: it does what the Python API does, and requires its token."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from mockserver import resources
from mockserver.server.access import ApiKeys
from mockserver.server.admin import session_handlers, stub_documents
from mockserver.server.admin.operations import OPERATIONS, admin_schemas
from mockserver.server.delivery.faults import parse_fault
from mockserver.server.http.app import App
from mockserver.server.http.services import Services
from mockserver.server.http.threaded_server import ThreadedServer
from mockserver.server.state import session_registry
from mockserver.server.state.sessions import open_session
from mockserver.server.stubs.matcher_index import MatcherIndex
from mockserver.server.stubs.stubs import StubRegistry
from mockserver.testing.mock import MockServer
from mockserver.testing.stub_builder import RequestMatch
from mockserver.wire import json
from tests.contract.openapi.test_document import VALIDATORS

TOKEN = "a-token-of-this-test"
KEY = "sk-0123456789abcdef0123456789abcdef"


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    """An HTTP client with the admin token and a key."""
    session = open_session(profile="qwen-2026-01", seed=0)
    session.strict = True
    services = Services(default_session=session, keys=ApiKeys([KEY]), admin_token=TOKEN, mock_headers=True)
    server = ThreadedServer(App(services))
    server.start()
    headers = {"x-mock-admin-token": TOKEN, "authorization": f"Bearer {KEY}"}
    with httpx.Client(base_url=server.url, headers=headers, trust_env=False) as client:
        yield client
    assert TOKEN not in repr(services)
    server.stop()


def ask(
    client: httpx.Client, content: str = "Hi", headers: dict[str, str] | None = None, **members: Any
) -> httpx.Response:
    body = {"model": "qwen3-max-2026-01-23", "input": content, **members}
    return client.post("/v1/responses", json=body, headers=headers)


def exchange_schema() -> dict[str, Any]:
    schema: dict[str, Any] = json.loads((resources.data_folder("schemas") / "exchange.json").read_bytes())
    return schema


def exchange(**more: Any) -> dict[str, Any]:
    reply = {"script": {"items": [{"type": "message", "text": "Planned."}]}}
    return {"format": 1, "name": "it", "match": {}, "reply": reply, **more}


def test_a_stub_over_http_sends_the_same_bytes_as_one_in_python(client: httpx.Client) -> None:
    delivery: Any = {"fault": "doubled-event,after=2", "chunking": "bytes:9"}
    stub = exchange(match={"contains": "HI", "ignore_case": True}, delivery=delivery)
    assert client.post("/_mock/stubs", json=stub).json() == {"name": "it"}
    over_http = ask(client, stream=True)
    with MockServer() as server, server.httpx() as other:
        server.when(contains="HI", ignore_case=True).reply("Planned.", **delivery)
        other.base_url = httpx.URL(str(other.base_url).partition("/api")[0])
        assert ask(other, stream=True).content == over_http.content
    assert ask(client).status_code == 400
    (stub,) = client.get("/_mock/stubs").json()["stubs"]
    assert (stub["name"], stub["times"], stub["given"]) == ("it", 1, 1)


WEB_SEARCH = {"tools": [{"type": "web_search"}]}
FUNCTION = {"type": "function", "name": "look"}


@pytest.mark.parametrize(
    ("condition", "matching", "other"),
    [
        ({"prompt": "Hi"}, {"content": "Hi"}, {"content": "Hi!"}),
        ({"prompt": "HI", "ignore_case": True}, {"content": "Hi"}, {"content": "Hi!"}),
        ({"contains": "weather"}, {"content": "The weather?"}, {"content": "The time?"}),
        ({"instructions": "brief"}, {"instructions": "Be brief."}, {}),
        ({"model": "qwen3-max-2026-01-23"}, {}, None),
        ({"tool": "web_search"}, WEB_SEARCH, {}),
        ({"tools": ["web_search"]}, WEB_SEARCH, {"tools": [*WEB_SEARCH["tools"], FUNCTION]}),
        ({"tools": []}, {}, WEB_SEARCH),
        ({"thinking": True}, {"enable_thinking": True}, {}),
        ({"thinking": False}, {}, {"enable_thinking": True}),
        ({"stream": False}, {}, {"stream": True}),
        ({"header": {"x-test": "1"}}, {"headers": {"x-test": "1"}}, {"headers": {"x-test": "2"}}),
        ({"json_subset": {"temperature": 1}}, {"temperature": 1}, {"temperature": 0.5}),
        ({"turn": 1}, {}, None),
    ],
)
def test_a_condition_over_http_is_the_same_in_python(
    client: httpx.Client, condition: dict[str, Any], matching: dict[str, Any], other: dict[str, Any] | None
) -> None:
    assert client.post("/_mock/stubs", json={"match": condition, "reply": "It."}).status_code == 200
    (over_http,) = client.get("/_mock/stubs").json()["stubs"]
    with MockServer(profile="qwen-2026-01") as server:
        assert str(server.when(**condition).reply("It.")) == over_http["says"]

    if other is not None:
        rejected = ask(client, **other)
        assert (rejected.status_code, rejected.json()["code"]) == (400, "UnplannedRequest")
        assert next(iter(condition)) in rejected.json()["message"]
    assert ask(client, **matching).status_code == 200


def test_patterns_and_queries_over_http(client: httpx.Client) -> None:
    invalid = {"match": {"prompt": {"matches": "("}, "json_path": {"$[": 1}}, "reply": "No."}
    rejected = client.post("/_mock/stubs", json=invalid)
    assert rejected.status_code == 400
    assert "body#/match/prompt/matches: not a pattern in RE2's syntax" in rejected.json()["message"]
    assert "body#/match/json_path/$[: not a JSONPath query" in rejected.json()["message"]
    match = {"prompt": {"matches": "^H"}, "json_path": {"$.tools[*].type": {"matches": "search$"}}}
    assert client.post("/_mock/stubs", json={"match": match, "reply": "It."}).status_code == 200
    assert 'prompt: expected {"matches":"^H"}, got \'Oh\'' in ask(client, "Oh").json()["message"]
    assert ask(client, tools=WEB_SEARCH["tools"]).status_code == 200


def test_every_condition_of_python_is_one_over_http() -> None:
    members = exchange_schema()["$defs"]["match"]["properties"]
    assert {*RequestMatch.__annotations__, "prompt"} - {"predicate"} == set(members)


def test_a_list_of_stubs_is_added_in_its_order(client: httpx.Client) -> None:
    stubs = [{"reply": "One"}, {"name": "stub-1", "reply": "Two", "times": 2}, {"reply": "Three"}]
    added = client.post("/_mock/stubs", json=stubs)
    assert added.json() == {"names": ["stub-2", "stub-1", "stub-3"]}
    texts = [ask(client).json()["output"][0]["content"][0]["text"] for _ in range(4)]
    assert texts == ["One", "Two", "Two", "Three"]
    # It is what was written, for the editor of the console.
    assert client.get("/_mock/stubs/stub-1").json()["document"] == stubs[1]


def test_a_list_of_stubs_is_added_whole_or_not_at_all(client: httpx.Client) -> None:
    client.post("/_mock/stubs", json=exchange(name="old"))
    stubs: list[Any] = [
        {"reply": "Fine", "name": "fine"},
        {"rely": "Hello"},
        {"reply": {"error": "rate-420"}, "profile": "qwen-2020-01"},
        {"reply": {"text": "Hello", "pace": "quick"}, "name": "old"},
        {"reply": "Fine", "name": "fine"},
        3,
    ]
    rejected = client.post("/_mock/stubs", json=stubs)
    assert rejected.status_code == 400
    message = rejected.json()["message"]
    for line in (
        "body#/1: a stub has no member 'rely'; did you mean 'reply'?",
        "body#/2/profile: this session uses qwen-2026-01",
        "body#/2/reply/error: ",
        "body#/3/reply/pace: ",
        "body#/3/name: another stub has the name 'old'",
        "body#/4/name: another stub has the name 'fine'",
        "body#/5: expected an object, not 3",
    ):
        assert line in message
    assert names(client) == ["old"]
    empty = client.post("/_mock/stubs", json=[])
    assert (empty.status_code, empty.json()["message"]) == (
        400,
        'body: expected a list with stubs; example: [{"reply": "Hello"}]',
    )
    one = client.put("/_mock/stubs/old", json=[{"reply": "Hello"}])
    assert (one.status_code, "expected one stub" in one.json()["message"]) == (400, True)


def test_a_stub_can_reply_with_an_error(client: httpx.Client) -> None:
    error = {"error": {"status": 418, "code": "Teapot", "message": "Short and stout."}}
    client.post("/_mock/stubs", json=exchange(reply=error, times=2))
    assert [ask(client).status_code for _ in range(3)] == [418, 418, 400]


def test_a_stub_is_read_without_the_keys_of_the_server(client: httpx.Client) -> None:
    client.post("/_mock/stubs", json=exchange(reply=f"Your token is {TOKEN}."))
    document = client.get("/_mock/stubs/it").json()["document"]
    assert document["reply"] == "Your token is [redacted]."


def test_the_journal_shows_headers_that_hold_no_credential(client: httpx.Client) -> None:
    shown = {"content-encoding": "identity", "idempotency-key": "retry-1", "x-stainless-os": "Linux"}
    hidden = {"authorization": f"Bearer {KEY}", "x-gateway-pass": "opensesame", "cookie": "a=b"}
    client.post("/v1/responses", json={}, headers={**shown, **hidden})
    headers = client.get("/_mock/journal").json()["entries"][-1]["headers"]
    assert {name: headers[name] for name in shown} == shown
    assert {headers[name] for name in hidden} == {"[redacted]"}


def test_faults_clock_journal_and_reset(client: httpx.Client) -> None:
    client.post("/_mock/stubs", json=exchange(times=9))
    assert client.put("/_mock/faults", json=["internal-error,first=1"]).status_code == 200
    assert [ask(client).status_code for _ in range(2)] == [500, 200]
    before = client.post("/_mock/clock", json={"advance": 0}).json()["now"]
    assert client.post("/_mock/clock", json={"advance": 90.5}).json()["now"] == before + 90.5
    journal = client.get("/_mock/journal")
    assert KEY not in journal.text
    assert TOKEN not in journal.text
    assert [entry["status"] for entry in journal.json()["entries"]] == [500, 200]
    assert journal.json()["entries"][1]["exchange"] == "it"
    assert client.post("/_mock/reset", json={}).json() == {"reset": True}
    empty: Any = {"entries": [], "first": None, "last": None, "has_more": False}
    assert client.get("/_mock/journal").json() == empty
    assert client.get("/_mock/stubs").json() == {"stubs": []}


@pytest.mark.parametrize(
    ("method", "path", "body", "message"),
    [
        ("POST", "/_mock/stubs", {}, "body: "),
        ("POST", "/_mock/stubs", exchange(match={"tool": ["web_search"]}), "body#/match/tool: "),
        ("POST", "/_mock/stubs", exchange(match={"enable_thinking": True}), "did you mean 'thinking'?"),
        ("POST", "/_mock/stubs", exchange(match={"headers": {}}), "did you mean 'header'?"),
        ("POST", "/_mock/stubs", exchange(delivery={"pace": "fast"}), "body#/delivery/pace: pace must be"),
        ("POST", "/_mock/stubs", exchange(profile="qwen-2026-09"), "body#/profile: this session uses"),
        ("POST", "/_mock/stubs", exchange(reply={"error": {"name": "stall"}}), "body#/reply/error/name: "),
        (
            "POST",
            "/_mock/stubs",
            exchange(delivery={"fault": "not-found"}),
            "body#/delivery/fault: not-found",
        ),
        ("PUT", "/_mock/faults", {"stall": 1}, "body: "),
        ("PUT", "/_mock/faults", ["stall", 1], "body#/1: "),
        ("PUT", "/_mock/faults", ["no-such"], "no fault 'no-such'"),
        ("POST", "/_mock/clock", {"advance": -1}, "body#/advance: "),
        ("POST", "/_mock/clock", {"advance": True}, "body#/advance: "),
        ("POST", "/_mock/clock", {"advance": 1, "to": 2}, "body: "),
        ("POST", "/_mock/clock", [], "body: "),
        ("POST", "/_mock/reset", {"all": True}, "body: "),
        ("GET", "/_mock/journal?limit=0", None, "limit must be an integer from 1 to 1000, not '0'"),
        ("GET", "/_mock/journal?after=x", None, "after must be an integer from 0 to "),
        ("PUT", "/_mock/sessions/alice", {"pace": "fast"}, "pace must be"),
        ("PUT", "/_mock/sessions/alice", {"seed": "1"}, "body#/seed: "),
        ("PUT", "/_mock/sessions/alice", {"profile": "qwen-1999-01"}, "qwen-1999-01"),
        ("PUT", "/_mock/sessions/default", {}, "the session 'default' always has the server's settings"),
        ("PUT", "/_mock/sessions/-x", {}, "a session's name is 1 to 64 letters"),
        ("DELETE", "/_mock/sessions/default", None, "cannot be deleted; reset it instead"),
    ],
)
def test_invalid_input_is_a_400_with_the_reason(
    client: httpx.Client, method: str, path: str, body: Any, message: str
) -> None:
    reply = client.request(method, path, json=body)
    assert (reply.status_code, reply.json()["code"]) == (400, "InvalidParameter")
    assert message in reply.json()["message"]


@pytest.mark.parametrize(
    ("path", "body", "lines"),
    [
        ("/_mock/faults", ["stal", "cut-after", "no-such:2"], ("body#/0: ", "body#/2: ")),
        (
            "/_mock/sessions/alice",
            {"profile": "qwen", "fault": ["stal"], "limit": ["n=1"], "pace": "fast", "chunking": "some"},
            ("body#/profile: ", "body#/fault/0: ", "body#/limit: ", "body#/pace: ", "body#/chunking: "),
        ),
    ],
)
def test_all_wrong_settings_are_reported_at_once(
    client: httpx.Client, path: str, body: Any, lines: tuple[str, ...]
) -> None:
    message = client.put(path, json=body).json()["message"]
    assert len(message.splitlines()) == len(lines)
    assert all(each in message for each in lines)


def test_every_operation_requires_the_token(client: httpx.Client) -> None:
    for token in ("", "wrong", TOKEN[:-1]):
        for method, path in (("GET", "/_mock/journal"), ("POST", "/_mock/reset"), ("PUT", "/_mock/faults")):
            reply = client.request(method, path, headers={"x-mock-admin-token": token}, json=[])
            assert (reply.status_code, reply.json()["code"]) == (401, "InvalidApiKey")
    with MockServer() as server, httpx.Client(trust_env=False) as other:
        url = str(httpx.URL(server.base_url).join("/_mock/journal"))
        assert other.get(url, headers={"x-mock-admin-token": ""}).status_code == 404


def test_sessions_are_opened_read_and_deleted(client: httpx.Client) -> None:
    terms = {"profile": "qwen-2026-09", "seed": 7, "strict": False, "limit": ["requests=600"]}
    opened = client.put("/_mock/sessions/alice", json=terms).json()
    assert opened["path"] == "/s/alice/compatible-mode/v1"
    assert client.get("/_mock/sessions/alice").json() == opened
    assert ask(client).status_code == 200
    body = {"model": "qwen3.8-max", "input": "Hi"}
    assert client.post(f"{opened['path']}/responses", json=body).status_code == 200
    listed = client.get("/_mock/sessions").json()["sessions"]
    assert [(each["name"], each["requests"]) for each in listed] == [("default", 1), ("alice", 1)]
    assert client.delete("/_mock/sessions/alice").json() == {"deleted": 1}
    assert client.delete("/_mock/sessions/alice").json() == {"deleted": 0}
    missing = client.get("/_mock/sessions/alice")
    assert (missing.status_code, missing.json()["code"]) == (404, "NotFound")
    client.put("/_mock/sessions/bob", json={})
    assert client.delete("/_mock/sessions").json() == {"deleted": 1}


def test_each_call_applies_to_the_session_it_names(client: httpx.Client) -> None:
    alice = {"x-mock-session": "alice"}
    client.post("/_mock/stubs", json=exchange(), headers=alice)
    client.post("/s/bob/_mock/stubs", json=exchange(name="his"))
    assert client.get("/_mock/stubs").json() == {"stubs": []}
    assert [each["name"] for each in client.get("/_mock/stubs", headers=alice).json()["stubs"]] == ["it"]
    assert [each["name"] for each in client.get("/s/bob/_mock/stubs").json()["stubs"]] == ["his"]
    assert client.put("/_mock/faults", json=["html"], headers=alice).json() == {"faults": ["html"]}
    assert client.get("/_mock/faults").json() == {"faults": []}
    before = client.get("/_mock/clock").json()
    client.post("/_mock/clock", json={"advance": 5}, headers=alice)
    assert client.get("/_mock/clock").json() == before
    body = {"model": "qwen3-max-2026-01-23", "input": "Hi"}
    assert (
        client.post("/s/bob/v1/responses", json=body).json()["output"][0]["content"][0]["text"] == "Planned."
    )
    client.post("/_mock/reset", headers=alice, json={})
    assert client.get("/_mock/stubs", headers=alice).json() == {"stubs": []}
    (entry,) = client.get("/s/bob/_mock/journal").json()["entries"]
    assert (entry["session"], entry["path"], entry["exchange"]) == ("bob", "/v1/responses", "his")
    assert client.delete("/s/bob/_mock/stubs").json() == {"deleted": 1}


def test_a_session_can_have_a_key_that_no_reply_contains(client: httpx.Client) -> None:
    key = "canary-0123456789"
    assert key not in client.put("/_mock/sessions/alice", json={"api_key": key}).text
    with httpx.Client(base_url=client.base_url, trust_env=False) as other:
        other.headers["authorization"] = f"Bearer {key}"
        assert ask(other).status_code == 200
    rejected = client.put("/_mock/sessions/alice", json={"api_key": "canary other"})
    assert rejected.status_code == 400
    text = rejected.text + client.get("/_mock/sessions").text
    for name in ("alice", "default"):
        text += client.get("/_mock/journal", headers={"x-mock-session": name}).text
    assert "canary" not in text
    assert '"session":"alice"' in text


def test_the_journal_is_paginated(client: httpx.Client) -> None:
    client.post("/_mock/stubs", json=exchange(times=5))
    for number in range(5):
        ask(client, str(number))
    first = client.get("/_mock/journal?limit=2").json()
    assert ([each["prompt"] for each in first["entries"]], first["has_more"]) == (["0", "1"], True)
    second = client.get(f"/_mock/journal?limit=2&after={first['last']}").json()
    assert ([each["number"] for each in second["entries"]], second["has_more"]) == ([3, 4], True)
    last = client.get(f"/_mock/journal?after={second['last']}").json()
    assert ([each["prompt"] for each in last["entries"]], last["has_more"]) == (["4"], False)
    assert client.get("/_mock/journal?after=5").json()["entries"] == []


def test_a_scenario_over_http(client: httpx.Client) -> None:
    steps = [
        exchange(name="first", scenario="retry", reply={"error": {"name": "internal-error"}}),
        exchange(name="second", scenario="retry"),
    ]
    for step in steps:
        client.post("/_mock/stubs", json=step)
    assert [each["scenario"] for each in client.get("/_mock/stubs").json()["stubs"]] == ["retry", "retry"]
    assert ask(client).status_code == 400
    body, named = {"model": "qwen3-max-2026-01-23", "input": "Hi"}, {"x-mock-scenario": "retry"}
    statuses = [client.post("/v1/responses", json=body, headers=named).status_code for _ in range(3)]
    assert statuses == [500, 200, 400]


def test_the_openapi_document_includes_the_admin_api_only_if_enabled(client: httpx.Client) -> None:
    for version in ("3.1", "3.2"):
        document = client.get(f"/openapi.json?version={version}").json()
        VALIDATORS[version](document).validate()
        documented = {
            (method.upper(), path)
            for path, methods in document["paths"].items()
            for method in methods
            if path.startswith("/_mock") and method != "servers"
        }
        assert documented == {(each.method, each.path) for each in OPERATIONS}
    with MockServer() as server, httpx.Client(trust_env=False) as other:
        plain = other.get(str(httpx.URL(server.base_url).join("/openapi.json"))).json()
    assert not [path for path in plain["paths"] if path.startswith("/_mock")]


def test_every_schema_property_has_a_description() -> None:
    def undescribed(schema: Any, where: str) -> Iterator[str]:
        for name, each in schema.get("properties", {}).items():
            if not {"description", "$ref"} & each.keys():
                yield f"{where}/{name}"

    assert [found for name, each in admin_schemas().items() for found in undescribed(each, name)] == []
    assert [name for name, each in admin_schemas().items() if "description" not in each] == []


def names(client: httpx.Client) -> list[str]:
    return [each["name"] for each in client.get("/_mock/stubs").json()["stubs"]]


def test_stubs_are_read_replaced_and_removed_one_by_one(client: httpx.Client) -> None:
    for name in ("one", "two", "three"):
        client.post("/_mock/stubs", json={"name": name, "reply": f"Reply {name}.", "times": 5})

    assert client.get("/_mock/stubs/two").json() == {
        "name": "two",
        "document": {"name": "two", "reply": "Reply two.", "times": 5},
    }
    assert client.put("/_mock/stubs/one", json={"name": "first", "reply": "Changed."}).json() == {
        "name": "first"
    }
    assert names(client) == ["first", "two", "three"]
    assert ask(client).json()["output"][0]["content"][0]["text"] == "Changed."
    assert ask(client).json()["output"][0]["content"][0]["text"] == "Reply two."
    assert client.delete("/_mock/stubs/two").json() == {"deleted": 1}
    assert ask(client).json()["output"][0]["content"][0]["text"] == "Reply three."
    assert names(client) == ["first", "three"]


def test_a_stub_that_cannot_be_replaced_stays(client: httpx.Client) -> None:
    for name in ("one", "two"):
        client.post("/_mock/stubs", json={"name": name, "reply": f"Reply {name}."})

    assert client.put("/_mock/stubs/one", json={"name": "two", "reply": "x"}).status_code == 400
    assert client.put("/_mock/stubs/one", json={"reply": 7}).status_code == 400
    for method in ("GET", "DELETE"):
        assert client.request(method, "/_mock/stubs/none").status_code == 404
    assert client.put("/_mock/stubs/none", json={"reply": "x"}).status_code == 404
    assert ask(client).json()["output"][0]["content"][0]["text"] == "Reply one."


def test_the_order_of_stubs_decides(client: httpx.Client) -> None:
    for name in ("one", "two"):
        client.post("/_mock/stubs", json={"name": name, "reply": f"Reply {name}.", "match": {"prompt": "Hi"}})
    for name in ("three", "four"):
        client.post("/_mock/stubs", json={"name": name, "reply": f"Reply {name}."})

    assert client.put("/_mock/stubs", json=["one", "two"]).status_code == 400
    ordered = client.put("/_mock/stubs", json=["four", "two", "three", "one"]).json()
    assert [each["name"] for each in ordered["stubs"]] == ["four", "two", "three", "one"]
    replies = [ask(client).json()["output"][0]["content"][0]["text"] for _ in range(4)]
    assert replies == ["Reply four.", "Reply two.", "Reply three.", "Reply one."]


def test_a_stub_with_very_many_wrong_elements_is_rejected_with_a_short_message(client: httpx.Client) -> None:
    # Its validator described all of them, for minutes, before the first was reported.
    stub = exchange(match={"tools": [1] * 90_000})
    reply = client.post("/_mock/stubs", json=stub, timeout=60)
    assert reply.status_code == 400
    assert "/match/tools" in reply.json()["message"]
    assert len(reply.json()["message"]) < 2_000


def test_the_clock_stays_within_what_replies_can_say(client: httpx.Client) -> None:
    replies = [client.post("/_mock/clock", json={"advance": 1_000_000_000}) for _ in range(12)]
    statuses = [each.status_code for each in replies]
    assert statuses == sorted(statuses)
    assert {*statuses} == {200, 400}
    assert "2283" in replies[-1].json()["message"]
    assert ask(client).headers["date"].split()[3] > "2200"


class StubWork:
    """What a server does for stubs: where it checks them, how many it adds at once, how often it indexes one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.threads: set[str] = set()
        self.added: list[int] = []
        self.indexed = 0
        define, add_all, index = stub_documents._define_stub, StubRegistry.add_all, MatcherIndex.add

        def define_stub(*arguments: Any) -> Any:
            self.threads.add(threading.current_thread().name)
            return define(*arguments)

        def add_stubs(registry: StubRegistry, definitions: Any, *reserved: Any) -> Any:
            self.added.append(len(definitions))
            return add_all(registry, definitions, *reserved)

        def add(*arguments: Any) -> None:
            self.indexed += 1
            index(*arguments)

        monkeypatch.setattr(stub_documents, "_define_stub", define_stub)
        monkeypatch.setattr(StubRegistry, "add_all", add_stubs)
        monkeypatch.setattr(MatcherIndex, "add", add)


def test_many_stubs_hold_up_no_other_request(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    work, count = StubWork(monkeypatch), 600
    names = [f"stub-{number}" for number in range(count)]
    stubs = [{"name": each, "match": each, "reply": "x"} for each in names[1:]]
    added = client.post("/_mock/stubs", json=[{"reply": "x"}, *stubs]).json()["names"]
    assert added == [f"stub-{count}", *names[1:]]
    assert "mockserver" not in work.threads
    assert sum(work.added) == count
    assert max(work.added) < count
    work.indexed = 0
    assert client.put("/_mock/stubs", json=added[::-1]).json()["stubs"][0]["name"] == added[-1]
    assert work.indexed == 0
    assert client.put("/_mock/stubs/stub-1", json={"match": "other", "reply": "y"}).status_code == 200
    assert work.indexed == 2  # one of them to check it
    assert [each["name"] for each in client.get("/_mock/stubs").json()["stubs"]] == added[::-1]


def test_stubs_are_added_all_or_none_if_another_client_takes_a_name(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_all = StubRegistry.add_all

    def add_another_first(registry: StubRegistry, definitions: Any, *reserved: Any) -> Any:
        if definitions[-1].name == "stub-599":
            registry.add(None, name="stub-599")
        return add_all(registry, definitions, *reserved)

    monkeypatch.setattr(StubRegistry, "add_all", add_another_first)
    reply = client.post("/_mock/stubs", json=[{"name": f"stub-{at}", "reply": "x"} for at in range(600)])
    assert reply.status_code == 400
    assert "another stub has the name 'stub-599'" in reply.json()["message"]
    assert [each["name"] for each in client.get("/_mock/stubs").json()["stubs"]] == ["stub-599"]


def test_many_faults_are_parsed_beside_other_requests(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: set[str] = set()

    def parse(spec: str) -> Any:
        threads.add(threading.current_thread().name)
        return parse_fault(spec)

    monkeypatch.setattr(session_handlers, "parse_fault", parse)
    assert client.put("/_mock/faults", json=["rate-limit:0.5"] * 20).status_code == 200
    assert client.put("/_mock/sessions/a", json={"fault": ["unknown"]}).status_code == 400
    assert threads
    assert "mockserver" not in threads


def test_a_session_with_another_profile_is_opened_beside_other_requests(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[str] = []

    def open_profile(*arguments: Any, **settings: Any) -> Any:
        threads.append(threading.current_thread().name)
        return open_session(*arguments, **settings)

    monkeypatch.setattr(session_registry, "open_session", open_profile)
    assert (
        client.put("/_mock/sessions/a", json={"profile": "qwen-2026-09"}).json()["profile"] == "qwen-2026-09"
    )
    assert client.put("/_mock/sessions/b", json={"seed": 1}).status_code == 200
    assert len(threads) == 1
    assert "mockserver" not in threads
