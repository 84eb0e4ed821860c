"""The same scenario from Python, an exchange file, the admin API and, if possible, a header.

Each source gets a server with the same seed, and the replies are identical to the byte.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from mockserver import FunctionCall, Message, MockServer, Reasoning, Script, ToolCall
from mockserver.profiles import load_profile
from mockserver.server.http.app import App
from mockserver.server.http.services import Services
from mockserver.server.http.threaded_server import ThreadedServer
from mockserver.server.state.sessions import open_session

pytestmark = pytest.mark.acceptance

PROFILE, SEED, TOKEN = "qwen-2026-09", 11, "a-token-of-this-test"
MODEL = "qwen3.8-max"
#: Values that vary between replies.
COMPARED_HEADERS = (
    "content-type",
    "x-request-id",
    "x-mock-fault",
    "retry-after",
    "retry-after-ms",
    "x-should-retry",
)


class Scenario(NamedTuple):
    """One scenario."""

    python: Callable[[MockServer], Any]
    """Adds the stub."""
    items: list[dict[str, Any]] | None = None
    """The items of its script, as data."""
    script: dict[str, Any] = {}  # noqa: RUF012 (never mutated)
    """Other members of the script."""
    exchange: dict[str, Any] = {}  # noqa: RUF012
    """Other members of the exchange."""
    request: dict[str, Any] = {}  # noqa: RUF012
    """Other members of the requests."""
    header: str = ""
    """The header fault with the same effect on a plain reply."""

    @property
    def exchange_object(self) -> dict[str, Any]:
        reply = {"script": {"items": self.items, **self.script}}
        return {"format": 1, "name": "it", "match": {}, "reply": reply, "times": 2, **self.exchange}


def plan_reply(
    *what: Any, times: int = 2, when: dict[str, Any] | None = None, **how: Any
) -> Callable[..., Any]:
    """Adds a stub in Python."""

    def plan(server: MockServer) -> Any:
        place: Any = server.when(**when) if when else server
        return place.reply(*what, name="it", **how).times(times)

    return plan


def plan_always(server: MockServer) -> Any:
    return server.reply(HI_TEXT, name="it").always()


def plan_failure(name: str, **how: Any) -> Callable[..., Any]:
    return lambda server: server.fail(name, name="it", **how).times(2)


def text_item(words: str) -> dict[str, Any]:
    return {"type": "message", "text": words}


def error_reply(name: str, **more: Any) -> dict[str, Any]:
    return {"reply": {"error": {"name": name}}, **more}


def with_delivery(**how: str) -> dict[str, Any]:
    return {"delivery": how}


HI_ITEMS = [text_item("Hi there, this is a text.")]
HI_TEXT = HI_ITEMS[0]["text"]

SCENARIOS: dict[str, Scenario] = {
    "text": Scenario(plan_reply("A text of words."), [text_item("A text of words.")]),
    "chunks": Scenario(
        plan_reply(chunks=["In two ", "pièces."]), [{"type": "message", "chunks": ["In two ", "pièces."]}]
    ),
    "reasoning": Scenario(
        plan_reply("Yes.", reasoning="It rains, perhaps."),
        [{"type": "reasoning", "text": "It rains, perhaps."}, text_item("Yes.")],
    ),
    "several": Scenario(
        plan_reply(Script((Reasoning(("Hm.",)), Message(("One.",)), Message(("Two.",))))),
        [{"type": "reasoning", "chunks": ["Hm."]}, text_item("One."), text_item("Two.")],
    ),
    "function": Scenario(
        plan_reply(FunctionCall("look", '{"at":1}')),
        [{"type": "function_call", "name": "look", "arguments": {"at": 1}}],
        request={"tools": [{"type": "function", "name": "look"}]},
        exchange={"match": {"tool": "look"}},
    ),
    "function by id": Scenario(
        plan_reply(FunctionCall("look", "{}", "call_1"), "I look."),
        [{"type": "function_call", "name": "look", "call_id": "call_1"}, text_item("I look.")],
    ),
    **{
        kind: Scenario(plan_reply(ToolCall(kind, {}), "Done."), [{"type": kind}, text_item("Done.")])
        for kind in load_profile(PROFILE).tools
    },
    "json": Scenario(
        plan_reply(json={"city": "Zürich", "n": [1, 2]}), [text_item('{"city":"Zürich","n":[1,2]}')]
    ),
    "usage": Scenario(
        plan_reply("Counted.", usage={"input_tokens": 10, "output_tokens": 3}),
        [text_item("Counted.")],
        {"usage": {"input_tokens": 10, "output_tokens": 3}},
    ),
    "incomplete": Scenario(
        plan_reply("Once upon a", incomplete=True), [text_item("Once upon a")], {"status": "incomplete"}
    ),
    "error": Scenario(
        plan_failure("internal-error"), exchange=error_reply("internal-error"), header="internal-error"
    ),
    "error in band": Scenario(
        plan_failure("rate-limit"), exchange=error_reply("rate-limit"), header="rate-limit"
    ),
    "error with headers": Scenario(
        plan_failure("rate-429", retry_after_ms=50),
        exchange=error_reply("rate-429,retry-after-ms=50"),
        header="rate-429,retry-after-ms=50",
    ),
    "error with a status, delivered": Scenario(
        plan_failure("http-status", status=418, pace="fixed:1", chunking="bytes:9"),
        exchange=error_reply("http-status,status=418", **with_delivery(pace="fixed:1", chunking="bytes:9")),
    ),
    "error that breaks": Scenario(
        plan_failure("internal-error", fault="bad-json"),
        exchange=error_reply("internal-error", **with_delivery(fault="bad-json")),
    ),
    "violate": Scenario(
        plan_reply(HI_TEXT, violate="SCH-002"),
        HI_ITEMS,
        exchange=with_delivery(fault="SCH-002"),
        header="SCH-002",
    ),
    "violate a stream": Scenario(
        plan_reply(HI_TEXT, violate="SEQ-004"),
        HI_ITEMS,
        exchange=with_delivery(fault="SEQ-004"),
        header="SEQ-004",
    ),
    "fault": Scenario(
        plan_reply(HI_TEXT, fault="doubled-event,after=2"),
        HI_ITEMS,
        exchange=with_delivery(fault="doubled-event,after=2"),
        header="doubled-event,after=2",
    ),
    "fault of a body": Scenario(
        plan_reply(HI_TEXT, fault="html"), HI_ITEMS, exchange=with_delivery(fault="html"), header="html"
    ),
    "fault the first time": Scenario(
        plan_reply(HI_TEXT, fault="cut-after,first=1"),
        HI_ITEMS,
        exchange=with_delivery(fault="cut-after,first=1"),
        header="cut-after,first=1",
    ),
    "pace": Scenario(
        plan_reply(HI_TEXT, pace="model:1,9999,0.5"),
        HI_ITEMS,
        exchange=with_delivery(pace="model:1,9999,0.5"),
    ),
    "chunking": Scenario(
        plan_reply(HI_TEXT, chunking="bytes:7"), HI_ITEMS, exchange=with_delivery(chunking="bytes:7")
    ),
    "random": Scenario(
        plan_reply(HI_TEXT, chunking="random", fault="lost-event"),
        HI_ITEMS,
        exchange=with_delivery(chunking="random", fault="lost-event"),
        header="lost-event",
    ),
    "contains": Scenario(
        plan_reply(HI_TEXT, when={"contains": "HELLO", "ignore_case": True}),
        HI_ITEMS,
        exchange={"match": {"contains": "HELLO", "ignore_case": True}},
    ),
    "prompt": Scenario(
        plan_reply(HI_TEXT, when={"prompt": "Hello?"}), HI_ITEMS, exchange={"match": {"prompt": "Hello?"}}
    ),
    "members": Scenario(
        plan_reply(
            HI_TEXT, when={"json_subset": {"metadata": {"a": "b"}}, "model": MODEL, "instructions": "kind"}
        ),
        HI_ITEMS,
        exchange={"match": {"json_subset": {"metadata": {"a": "b"}}, "model": MODEL, "instructions": "kind"}},
        request={"metadata": {"a": "b", "c": "d"}, "instructions": "Be kind."},
    ),
    "always": Scenario(plan_always, [text_item("Hi there, this is a text.")], exchange={"times": "always"}),
    "turn": Scenario(plan_reply(HI_TEXT, when={"turn": 1}), HI_ITEMS, exchange={"match": {"turn": 1}}),
}


class ReceivedReply(NamedTuple):
    """What a client gets."""

    status: int
    headers: tuple[str | None, ...]
    body: bytes


def send_both(client: httpx.Client, case: Scenario, **headers: str) -> list[ReceivedReply]:
    """What two requests get; the second is streamed."""
    answers = []
    for stream in (False, True):
        body = {"model": MODEL, "input": "Hello?", "stream": stream, **case.request}
        with client.stream("POST", "/responses", json=body, headers=headers) as reply:
            whole = b"".join(reply.iter_raw())
        answers.append(
            ReceivedReply(reply.status_code, tuple(map(reply.headers.get, COMPARED_HEADERS)), whole)
        )
    return answers


@pytest.fixture(scope="module")
def server() -> Iterator[MockServer]:
    with MockServer(profile=PROFILE, seed=SEED) as server:
        yield server


@pytest.fixture(scope="module")
def admin() -> Iterator[httpx.Client]:
    session = open_session(profile=PROFILE, seed=SEED)
    session.strict = True
    services = Services(default_session=session, admin_token=TOKEN, mock_headers=True)
    served = ThreadedServer(App(services))
    served.start()
    headers = {"authorization": "Bearer sk-mock", "x-mock-admin-token": TOKEN}
    url = served.url + session.profile.base_path
    with httpx.Client(base_url=url, headers=headers, trust_env=False) as client:
        yield client
    served.stop()


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_source_gives_the_same_bytes(
    name: str, server: MockServer, admin: httpx.Client, tmp_path: Path
) -> None:
    case = SCENARIOS[name]
    server.reset()
    case.python(server)
    with server.httpx() as client:
        by_python = send_both(client, case)
        assert [entry.exchange for entry in server.journal] == ["it", "it"]

    (tmp_path / "it.json").write_text(json.dumps(case.exchange_object))
    with MockServer(profile=PROFILE, seed=SEED, exchanges=tmp_path) as other, other.httpx() as client:
        assert send_both(client, case) == by_python
        assert [entry.exchange for entry in other.journal] == ["it", "it"]

    root = admin.base_url.join("/_mock/")
    admin.post(root.join("reset"), json={})
    assert admin.post(root.join("stubs"), json=case.exchange_object).json() == {"name": "it"}
    assert send_both(admin, case) == by_python

    if case.header:
        server.reset()
        server.reply(HI_TEXT).always()
        with server.httpx() as client:
            assert send_both(client, case, **{"x-mock-fault": case.header}) == by_python


def test_the_scenarios_differ(server: MockServer) -> None:
    bodies = set()
    for case in SCENARIOS.values():
        server.reset()
        case.python(server)
        with server.httpx() as client:
            bodies.add(tuple(answer.body for answer in send_both(client, case)))
    assert len(bodies) >= len(SCENARIOS) - 6
