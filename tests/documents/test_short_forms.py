"""The short form of a stub gives the same bytes as its long form, at every door."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest

from mockserver import FunctionCall, Message, MockServer, Reasoning, ToolCall, resources
from mockserver.exchange_files import load_exchange_folder
from mockserver.exchanges import parse_exchange
from mockserver.server.access import ApiKeys
from mockserver.server.http.app import App
from mockserver.server.http.services import Services
from mockserver.server.http.threaded_server import ThreadedServer
from mockserver.server.state.sessions import open_session

TOKEN = "a-token-of-this-test"


@pytest.fixture
def admin() -> Iterator[httpx.Client]:
    session = open_session(profile="qwen-2026-01", seed=0)
    session.strict = True
    server = ThreadedServer(
        App(Services(default_session=session, keys=ApiKeys(["sk-mock"]), admin_token=TOKEN))
    )
    server.start()
    headers = {"x-mock-admin-token": TOKEN, "authorization": "Bearer sk-mock"}
    with httpx.Client(base_url=server.url, headers=headers, trust_env=False) as client:
        yield client
    server.stop()


def ask(client: httpx.Client, **members: Any) -> httpx.Response:
    path = "/responses" if "/v1" in client.base_url.path else "/v1/responses"
    return client.post(path, json={"model": "qwen3-max-2026-01-23", "input": "Hi", **members})


def message(text: str) -> dict[str, Any]:
    return {"type": "message", "text": text}


CITY = {"city": "Paris"}
CALL = {"name": "get_weather", "arguments": CITY}
TYPED_CALL = {"type": "function_call", **CALL}

#: (short reply, items of the long form, the arguments of `reply`)
CONTENT: dict[str, tuple[Any, list[Any], tuple[Any, ...]]] = {
    "text": ("Hello there.", [message("Hello there.")], ("Hello there.",)),
    "object": ({"text": "Hello there."}, [message("Hello there.")], (Message(("Hello", " there.")),)),
    "chunks": (
        {"chunks": ["Hel", "lo"]},
        [{"type": "message", "chunks": ["Hel", "lo"]}],
        (Message(("Hel", "lo")),),
    ),
    "json": ({"json": {"a": 1}}, [message('{"a":1}')], (message('{"a":1}'),)),
    "call": ({"function_call": CALL}, [TYPED_CALL], (FunctionCall("get_weather", CITY),)),
    "text of arguments": (
        {"function_call": {"name": "f", "arguments": '{"a": 1}'}},
        [{"type": "function_call", "name": "f", "arguments": '{"a": 1}'}],
        (FunctionCall("f", '{"a": 1}'),),
    ),
    "list": (
        [{"reasoning": "They ask."}, {"function_call": CALL}, {"type": "web_search"}, "Done."],
        [{"type": "reasoning", "text": "They ask."}, TYPED_CALL, {"type": "web_search"}, message("Done.")],
        (Reasoning(("They", " ask.")), FunctionCall("get_weather", CITY), ToolCall("web_search", {}), "Done."),
    ),
    "reasoning and text": (
        {"reasoning": "They ask.", "text": "Yes."},
        [{"type": "reasoning", "text": "They ask."}, message("Yes.")],
        ({"reasoning": "They ask.", "text": "Yes."},),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CONTENT)
@pytest.mark.parametrize("stream", [True, False])
def test_both_forms_give_the_same_bytes_at_every_door(
    admin: httpx.Client, tmp_path: Path, name: str, stream: bool
) -> None:
    short, items, arguments = CONTENT[name]
    long = {"format": 1, "name": "it", "match": {}, "reply": {"script": {"items": items}}}
    replies = []
    for stub in ({"reply": short}, long):
        admin.post("/_mock/reset", json={})
        assert admin.post("/_mock/stubs", json=stub).status_code == 200
        replies.append(ask(admin, stream=stream).content)
    (tmp_path / "it.json").write_text(json.dumps({"reply": short}))
    with MockServer(exchanges=tmp_path) as server, server.httpx(base_url=_root(server) + "/v1") as client:
        replies.append(ask(client, stream=stream).content)
    for content in (arguments, (short,)):
        with MockServer() as server, server.httpx(base_url=_root(server) + "/v1") as client:
            server.reply(*content)
            replies.append(ask(client, stream=stream).content)
    assert len(set(replies)) == 1
    assert replies[0]


def _root(server: MockServer) -> str:
    return server.base_url.partition("/api")[0]


def test_a_text_is_the_prompt_to_match(admin: httpx.Client) -> None:
    admin.post("/_mock/stubs", json={"match": "Bye", "reply": "See you."})
    tools = [{"type": "web_search"}]
    assert ask(admin).status_code == 400
    assert "See you." in ask(admin, input="Bye", tools=tools).text


@pytest.mark.parametrize("match", [None, "Hi"])
def test_a_short_match_in_a_file_does_not_depend_on_tools_and_thinking(
    tmp_path: Path, match: str | None
) -> None:
    document = {"reply": "Hello there."} | ({} if match is None else {"match": match})
    (tmp_path / "hello.json").write_text(json.dumps(document))
    function = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}
    with MockServer(exchanges=tmp_path) as server, server.httpx() as client:
        for members in (
            {},
            {"tools": [function]},
            {"enable_thinking": True},
            {"tools": [{"type": "web_search"}], "stream": True},
        ):
            assert "Hello" in ask(client, **members).text
        assert {entry.exchange for entry in server.journal} == {"hello"}
        other = ask(client, input="Something else")
        assert ("Hello there." in other.text) is (match is None)


def test_an_error_by_name(admin: httpx.Client) -> None:
    admin.post("/_mock/stubs", json={"reply": {"error": "rate-429", "delay_ms": 1}})
    assert ask(admin).status_code == 429
    with MockServer() as server, server.httpx() as client:
        server.reply({"error": "rate-429"})
        assert ask(client).status_code == 429


def test_options_of_delivery_are_members_of_the_reply(admin: httpx.Client) -> None:
    stub = {"reply": {"text": "Hello there.", "fault": "doubled-event,after=2", "chunking": "bytes:9"}}
    admin.post("/_mock/stubs", json=stub)
    reply = ask(admin, stream=True)
    assert reply.headers["x-mock-fault"] == "doubled-event"


def test_a_delay_is_measured_by_the_clock_of_the_session() -> None:
    from threading import Thread

    with MockServer(pauses="clock") as server, server.httpx() as client:
        server.reply({"text": "Hello", "delay_ms": 90_000})
        server.reply("Now.", delay_ms=1_000)
        for seconds in (90, 1):
            before = server.clock.now()
            thread = Thread(target=ask, args=(client,))
            thread.start()
            while not server.clock.waiter_count:
                thread.join(0.01)
            assert server.journal.dropped_count + len(server.journal) == (0 if seconds == 90 else 1)
            server.clock.advance(seconds)
            thread.join(60)
            entry = server.journal.last
            assert (entry.at, entry.first_byte) == (before, before + seconds)


def test_a_name_follows_from_the_file(tmp_path: Path) -> None:
    (tmp_path / "one hello.json").write_text('{"reply": "a"}')
    (tmp_path / "two.json").write_text('[{"reply": "b"}, {"reply": "c"}, {"name": "own", "reply": "d"}]')
    (tmp_path / "two-1.json").write_text('{"reply": "e"}')
    (tmp_path / "-.json").write_text('{"reply": "f"}')
    names = [each.name for each in load_exchange_folder(tmp_path)]
    assert names == ["exchange", "one-hello", "two-1", "two-1-2", "two-2", "own"]
    for each in names:
        parse_exchange(json.dumps({"name": each, "reply": "x"}).encode(), "body")


def test_a_stub_over_http_gets_a_name(admin: httpx.Client) -> None:
    names = [admin.post("/_mock/stubs", json={"reply": "Hello"}).json()["name"] for _ in range(2)]
    assert names == ["stub-1", "stub-2"]
    ask(admin)
    assert admin.get("/_mock/journal").json()["entries"][0]["exchange"] == "stub-1"


def test_generated_names_are_free(admin: httpx.Client) -> None:
    for stub in ({"reply": "a"}, {"reply": "b"}, {"name": "stub-4", "reply": "c"}):
        admin.post("/_mock/stubs", json=stub)
    assert admin.delete("/_mock/stubs/stub-1").json() == {"deleted": 1}
    names = [admin.post("/_mock/stubs", json={"reply": "d"}).json()["name"] for _ in range(2)]
    assert names == ["stub-3", "stub-5"]


def test_a_stub_that_is_replaced_by_one_without_a_name_keeps_its_name(admin: httpx.Client) -> None:
    admin.post("/_mock/stubs", json={"name": "greeting", "reply": "Hello."})
    assert admin.put("/_mock/stubs/greeting", json={"reply": "Good day."}).json() == {"name": "greeting"}
    assert "Good" in ask(admin).text
    assert admin.get("/_mock/journal").json()["entries"][0]["exchange"] == "greeting"


#: The stubs in the table of docs/scripting.md.
DOCUMENTED = re.findall(
    r"^\| `(\{.*\"reply\".*\})` \|",
    (Path(__file__).parent.parent.parent / "docs" / "scripting.md").read_text(encoding="utf-8"),
    re.MULTILINE,
)


@pytest.mark.parametrize("document", DOCUMENTED)
def test_every_documented_stub_is_served(admin: httpx.Client, document: str) -> None:
    assert admin.post("/_mock/stubs", content=document).status_code == 200
    reply = ask(admin, input="Hi weather" if "weather" in document else "Hi", stream=True)
    assert reply.status_code == (429 if "rate-429" in document else 200)


def test_the_reference_validator_accepts_both_forms() -> None:
    schema = json.loads((resources.data_folder("schemas") / "exchange.json").read_bytes())
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    assert len(DOCUMENTED) >= 8
    for document in DOCUMENTED:
        validator.validate(json.loads(document))
    for short, items, _ in CONTENT.values():
        validator.validate({"reply": short})
        validator.validate({"format": 1, "name": "it", "match": {}, "reply": {"script": {"items": items}}})
    assert not validator.is_valid({"reply": {"text": "a", "body": 1}})
