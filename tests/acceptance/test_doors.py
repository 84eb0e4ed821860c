"""The same scenario as Python, as an exchange file, over the admin API and, where it can be said, by header.

Each is planned through every door on a server of the same seed, and what comes back is the same to the byte.
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
from mockserver.server.http.responses_endpoint import Services
from mockserver.server.http.threaded_server import ThreadedServer
from mockserver.server.state.sessions import open_session

pytestmark = pytest.mark.acceptance

PROFILE, SEED, TOKEN = "qwen-2026-09", 11, "a-token-of-this-test"
MODEL = "qwen3.8-max"
#: What every answer has that may differ from one moment to the next.
HEADERS = ("content-type", "x-request-id", "x-mock-fault", "retry-after", "retry-after-ms", "x-should-retry")


class Case(NamedTuple):
    """One scenario."""

    python: Callable[[MockServer], Any]
    """Plans it."""
    items: list[dict[str, Any]] | None = None
    """Its script's items, as data."""
    script: dict[str, Any] = {}  # noqa: RUF012 (never changed)
    """What else the script has."""
    exchange: dict[str, Any] = {}  # noqa: RUF012
    """What else the exchange has."""
    request: dict[str, Any] = {}  # noqa: RUF012
    """What else the requests have."""
    header: str = ""
    """The fault by header that does the same to a plain reply."""

    @property
    def data(self) -> dict[str, Any]:
        reply = {"script": {"items": self.items, **self.script}}
        return {"format": 1, "name": "it", "match": {}, "reply": reply, "times": 2, **self.exchange}


def said(*what: Any, times: int = 2, when: dict[str, Any] | None = None, **how: Any) -> Callable[..., Any]:
    """Plans a reply in Python."""

    def plan(server: MockServer) -> Any:
        place: Any = server.when(**when) if when else server
        return place.reply(*what, name="it", **how).times(times)

    return plan


def always(server: MockServer) -> Any:
    return server.reply(HI_TEXT, name="it").always()


def failing(name: str, **how: Any) -> Callable[..., Any]:
    return lambda server: server.fail(name, name="it", **how).times(2)


def text(words: str) -> dict[str, Any]:
    return {"type": "message", "text": words}


def error(name: str, **more: Any) -> dict[str, Any]:
    return {"reply": {"error": {"name": name}}, **more}


def delivered(**how: str) -> dict[str, Any]:
    return {"delivery": how}


HI = [text("Hi there, this is a text.")]
HI_TEXT = HI[0]["text"]

CASES: dict[str, Case] = {
    "text": Case(said("A text of words."), [text("A text of words.")]),
    "chunks": Case(
        said(chunks=["In two ", "pièces."]), [{"type": "message", "chunks": ["In two ", "pièces."]}]
    ),
    "reasoning": Case(
        said("Yes.", reasoning="It rains, perhaps."),
        [{"type": "reasoning", "text": "It rains, perhaps."}, text("Yes.")],
    ),
    "several": Case(
        said(Script((Reasoning(("Hm.",)), Message(("One.",)), Message(("Two.",))))),
        [{"type": "reasoning", "chunks": ["Hm."]}, text("One."), text("Two.")],
    ),
    "function": Case(
        said(FunctionCall("look", '{"at":1}')),
        [{"type": "function_call", "name": "look", "arguments": {"at": 1}}],
        request={"tools": [{"type": "function", "name": "look"}]},
        exchange={"match": {"tool": "look"}},
    ),
    "function by id": Case(
        said(FunctionCall("look", "{}", "call_1"), "I look."),
        [{"type": "function_call", "name": "look", "call_id": "call_1"}, text("I look.")],
    ),
    **{
        kind: Case(said(ToolCall(kind, {}), "Done."), [{"type": kind}, text("Done.")])
        for kind in load_profile(PROFILE).tools
    },
    "json": Case(said(json={"city": "Zürich", "n": [1, 2]}), [text('{"city":"Zürich","n":[1,2]}')]),
    "usage": Case(
        said("Counted.", usage={"input_tokens": 10, "output_tokens": 3}),
        [text("Counted.")],
        {"usage": {"input_tokens": 10, "output_tokens": 3}},
    ),
    "incomplete": Case(said("Once upon a", incomplete=True), [text("Once upon a")], {"status": "incomplete"}),
    "error": Case(failing("internal-error"), exchange=error("internal-error"), header="internal-error"),
    "error in band": Case(failing("rate-limit"), exchange=error("rate-limit"), header="rate-limit"),
    "error with headers": Case(
        failing("rate-429", retry_after_ms=50),
        exchange=error("rate-429,retry-after-ms=50"),
        header="rate-429,retry-after-ms=50",
    ),
    "error with a status, delivered": Case(
        failing("http-status", status=418, pace="fixed:1", chunking="bytes:9"),
        exchange=error("http-status,status=418", **delivered(pace="fixed:1", chunking="bytes:9")),
    ),
    "error that breaks": Case(
        failing("internal-error", fault="bad-json"),
        exchange=error("internal-error", **delivered(fault="bad-json")),
    ),
    "violate": Case(
        said(HI_TEXT, violate="SCH-002"), HI, exchange=delivered(fault="SCH-002"), header="SCH-002"
    ),
    "violate a stream": Case(
        said(HI_TEXT, violate="SEQ-004"), HI, exchange=delivered(fault="SEQ-004"), header="SEQ-004"
    ),
    "fault": Case(
        said(HI_TEXT, fault="doubled-event,after=2"),
        HI,
        exchange=delivered(fault="doubled-event,after=2"),
        header="doubled-event,after=2",
    ),
    "fault of a body": Case(said(HI_TEXT, fault="html"), HI, exchange=delivered(fault="html"), header="html"),
    "fault the first time": Case(
        said(HI_TEXT, fault="cut-after,first=1"),
        HI,
        exchange=delivered(fault="cut-after,first=1"),
        header="cut-after,first=1",
    ),
    "pace": Case(said(HI_TEXT, pace="model:1,9999,0.5"), HI, exchange=delivered(pace="model:1,9999,0.5")),
    "chunking": Case(said(HI_TEXT, chunking="bytes:7"), HI, exchange=delivered(chunking="bytes:7")),
    "random": Case(
        said(HI_TEXT, chunking="random", fault="lost-event"),
        HI,
        exchange=delivered(chunking="random", fault="lost-event"),
        header="lost-event",
    ),
    "contains": Case(
        said(HI_TEXT, when={"contains": "HELLO", "ignore_case": True}),
        HI,
        exchange={"match": {"contains": "HELLO", "ignore_case": True}},
    ),
    "prompt": Case(said(HI_TEXT, when={"prompt": "Hello?"}), HI, exchange={"match": {"prompt": "Hello?"}}),
    "members": Case(
        said(HI_TEXT, when={"json_subset": {"metadata": {"a": "b"}}, "model": MODEL, "instructions": "kind"}),
        HI,
        exchange={"match": {"json_subset": {"metadata": {"a": "b"}}, "model": MODEL, "instructions": "kind"}},
        request={"metadata": {"a": "b", "c": "d"}, "instructions": "Be kind."},
    ),
    "always": Case(always, [text("Hi there, this is a text.")], exchange={"times": "always"}),
    "turn": Case(said(HI_TEXT, when={"turn": 1}), HI, exchange={"match": {"turn": 1}}),
}


class Told(NamedTuple):
    """What a client gets."""

    status: int
    headers: tuple[str | None, ...]
    body: bytes


def told(client: httpx.Client, case: Case, **headers: str) -> list[Told]:
    """What two requests get, of which the second is streamed."""
    answers = []
    for stream in (False, True):
        body = {"model": MODEL, "input": "Hello?", "stream": stream, **case.request}
        with client.stream("POST", "/responses", json=body, headers=headers) as reply:
            whole = b"".join(reply.iter_raw())
        answers.append(Told(reply.status_code, tuple(map(reply.headers.get, HEADERS)), whole))
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


@pytest.mark.parametrize("name", CASES)
def test_the_same_through_every_door(
    name: str, server: MockServer, admin: httpx.Client, tmp_path: Path
) -> None:
    case = CASES[name]
    server.reset()
    case.python(server)
    with server.httpx() as client:
        by_python = told(client, case)
        assert [entry.exchange for entry in server.journal] == ["it", "it"]

    (tmp_path / "it.json").write_text(json.dumps(case.data))
    with MockServer(profile=PROFILE, seed=SEED, exchanges=tmp_path) as other, other.httpx() as client:
        assert told(client, case) == by_python
        assert [entry.exchange for entry in other.journal] == ["it", "it"]

    root = admin.base_url.join("/_mock/")
    admin.post(root.join("reset"), json={})
    assert admin.post(root.join("stubs"), json=case.data).json() == {"name": "it"}
    assert told(admin, case) == by_python

    if case.header:
        server.reset()
        server.reply(HI_TEXT).always()
        with server.httpx() as client:
            assert told(client, case, **{"x-mock-fault": case.header}) == by_python


def test_the_cases_differ(server: MockServer) -> None:
    bodies = set()
    for case in CASES.values():
        server.reset()
        case.python(server)
        with server.httpx() as client:
            bodies.add(tuple(answer.body for answer in told(client, case)))
    assert len(bodies) >= len(CASES) - 6
