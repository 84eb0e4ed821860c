"""Direct replies: a request gets the same reply, whether it is answered at once or by the application.

A server that has seen the head of a request answers the next one with the same head where it reads it; a request
that comes in pieces goes to the application.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mockserver.contract.bodies.requests import RequestChecker
from mockserver.contract.chat.service import CHAT_PATHS
from mockserver.contract.rule_examples import load_rule_examples
from mockserver.profiles import load_profile
from mockserver.replies.script import message_script
from mockserver.server.access import ApiKeys
from mockserver.server.delivery.faults import parse_fault
from mockserver.server.delivery.options import Delivery
from mockserver.server.http import listeners
from mockserver.server.http.app import App
from mockserver.server.http.services import Services
from mockserver.server.http.threaded_server import ThreadedServer
from mockserver.server.http.uvicorn_server import connection as http_connection
from mockserver.server.http.uvicorn_server import server as uvicorn_server
from mockserver.server.state.journal import Entry
from mockserver.server.state.sessions import open_session
from mockserver.server.state.shared_stores import open_shared_store
from mockserver.server.state.shared_stores.sqlite_store import SqliteStore
from mockserver.server.state.store import ResponseRecord, SharedStore, StoreUnavailable
from mockserver.server.stubs.matcher_index import MatcherIndex
from mockserver.server.stubs.matchers import build_matcher
from tests.api_client import wait_until
from tests.marks import slow_except
from tests.redis_server import RedisServer

MODEL = "qwen3-max-2026-01-23"
PROFILE = load_profile("qwen-2026-01")
PATH = PROFILE.create_paths[0]
TOOLS = [{"type": "function", "name": "get_time", "parameters": {"type": "object", "properties": {}}}]
QUESTION = {"model": MODEL, "input": "How far is the moon?"}


class Connection:
    """A connection that sends requests as bytes."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(
        self,
        body: Any,
        *,
        in_pieces: bool = False,
        pieces_at: tuple[int, ...] = (20, -5),
        head: str = "",
        path: str = PATH,
    ) -> bytes:
        """Send a request, whole or cut at these bytes, and return the reply with its head."""
        request = _encode(body, head, path)
        starts, ends = (0, *pieces_at), (*pieces_at, len(request))
        pieces = [request[start:end] for start, end in zip(starts, ends, strict=True)]
        for piece in pieces if in_pieces else [request]:
            self.socket.sendall(piece)
            time.sleep(0.002 * in_pieces)
        return self.receive()

    def receive(self) -> bytes:
        received = b""
        while not _is_complete(received):
            data = self.socket.recv(1 << 16)
            assert data, received
            received += data
        return received


def _encode(body: Any, head: str = "", path: str = PATH) -> bytes:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = f"POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer sk-mock\r\n{head}"
    return f"{lines}content-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n".encode() + data


def _is_complete(reply: bytes) -> bool:
    head, separator, body = reply.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head)
    return bool(separator) and (len(body) == int(length[1]) if length else body.endswith(b"\r\n0\r\n\r\n"))


@contextlib.contextmanager
def connected(services: Services) -> Iterator[Connection]:
    """A connection to a server with these services."""
    server = ThreadedServer(App(services))
    server.start()
    try:
        connection = Connection(int(server.url.rpartition(":")[2]))
        with connection.socket:
            yield connection
    finally:
        if services.store.is_shared:
            server.run(services.store.close())
        server.stop()


def new_services(**members: Any) -> Services:
    return Services(open_session(profile=PROFILE.name, seed=1), **members)


@pytest.fixture
def services() -> Services:
    return new_services()


@pytest.fixture
def connection(services: Services) -> Iterator[Connection]:
    with connected(services) as opened:
        yield opened


def _without_date(reply: bytes) -> bytes:
    return re.sub(rb"date: .*\r\n", b"", reply)


def _recorded(entry: Entry) -> tuple[Any, ...]:
    head = (entry.method, entry.path, entry.headers, entry.session, entry.request_head.authorization)
    return *head, entry.body, entry.status, tuple(entry.reply), entry.stream, entry.details, entry.request_id


def test_replies_and_journal_are_those_of_the_application(services: Services) -> None:
    bodies: list[Any] = [
        QUESTION,
        QUESTION,
        {**QUESTION, "stream": True},
        {**QUESTION, "tools": TOOLS},
        {**QUESTION, "input": [{"role": "user", "content": "Hello"}], "store": False},
        {**QUESTION, "instructions": "Be brief.", "max_output_tokens": 3, "temperature": 0},
        {**QUESTION, "previous_response_id": "unknown"},
        {**QUESTION, "input": 5},
        {**QUESTION, "model": "gpt-5"},
        {"model": MODEL},
        b"{",
        QUESTION,
    ]
    other = new_services()
    with connected(services) as whole, connected(other) as pieces:
        for _ in range(2):  # the heads are known in the second round
            for body in bodies:
                assert _without_date(whole.send(body)) == _without_date(pieces.send(body, in_pieces=True))
        replies = [json.loads(each.send(QUESTION).partition(b"\r\n\r\n")[2]) for each in (whole, pieces)]
        for _ in range(3):
            turns = [
                each.send({**QUESTION, "previous_response_id": reply["id"]}, in_pieces=each is pieces)
                for each, reply in zip((whole, pieces), replies, strict=True)
            ]
            assert _without_date(turns[0]) == _without_date(turns[1])
    recorded = [list(map(_recorded, each.default_session.journal)) for each in (services, other)]
    assert recorded[0] == recorded[1]
    assert len(recorded[0]) == 2 * len(bodies) + 4


#: Texts, as they are in JSON, that may or may not be read without parsing their request.
_WRITTEN_TEXTS = (
    b"How far is the moon?",
    "Wie weit ist der Mond? 月亮有多远 🌕".encode(),
    b"100 % of %b and %s",
    b"",
    b" ",
    rb"a \"quoted\" word, \n, \\ and \u00e9",
    rb"\"content\": \"nested\"",
    rb"\"previous_response_id\": \"resp_1\"",
    b"\x7f",
    b"a\tb",
    b"a\nb",
    b"\x00",
    b"\x01",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b'", "instructions": "Be brief.',
    b'"}, "',
    b"x" * 3000,
)
#: Requests around such texts, which differ in nothing else.
_FORMS = (
    b'{"model": "%m", "input": "%t"}',
    b'{"input":"%t","model":"%m"}',
    b'{"model": "%m", "input": "%t", "tools": [%f], "instructions": "Be brief.", "temperature": 0}',
    b'{"model": "%m", "input": "%t", "input": "%t"}',
    b'{"model": "%m", "input": "%t", "metadata": {"content": "%t"}}',
    b'{"model": "%m", "previous_response_id": "%t", "input": "Hello"}',
    b'{"model": "%m", "input": "Hello", "previous_response_id": null}',
    b'{"model": "%m", "input": [{"role": "user", "content": "%t"}, {"role": "assistant", "content": "%t"}]}',
    b'{"model":"%m","input":[{"content":"%t","role":"system"}, {"content":"5","content":"%t","role":"user"}]}',
    b'{"model": "%m", "input": [{"role": "user", "content": [{"type": "input_text", "text": "%t"}]}]}',
    (
        b'{"model": "%m", "input": [{"role": "user", "content": "a"}, {"type": "function_call", "call_id": "c1", '
        b'"name": "get_time", "arguments": "{}"}, {"type": "function_call_output", "call_id": "c1", "output": "%t"}]}'
    ),
    b'{"model": "%m", "input": "%t", "stream": true}',
    b'{"model": "%m", "input": "%t", "temperature": 5}',
    # What stands for texts and ids in the server's memory is no JSON outside of strings.
    b'{"model": "%m", "input": "%t", "user": \0}',
    b'{"model": "%m", "input": "%t", "user": \1}',
    b'{"model": "%m", "input": [{"role": "user", "content": "%t"}, \0]}',
    b'{"model": "%m", "input": "%t", "previous_response_id": "resp_1", "user": \2}',
    b'{\n  "model": "%m",\n  "input": "%t"\n}',
    b'{"model": "%m", "input": "%t", "tools": [{"type": "function", "name": "f", "parameters": {"content":{}}}]}',
)


@pytest.mark.parametrize(
    "profile", slow_except(["qwen-2026-01"], ["qwen-2026-01", "qwen-2026-09", "openresponses-2026-04"])
)
def test_requests_that_differ_only_in_their_texts_are_answered_as_by_the_application(profile: str) -> None:
    services = [Services(open_session(profile=profile, seed=1)) for _ in range(2)]
    path = load_profile(profile).create_paths[0]
    with connected(services[0]) as whole, connected(services[1]) as pieces:
        for form in _FORMS:
            written = form.replace(b"%m", MODEL.encode()).replace(b"%f", json.dumps(TOOLS[0]).encode())
            # The first three have texts of their own, so the form is known from then on.
            for text in (b"one", b"two", b"three", *_WRITTEN_TEXTS):
                body = written.replace(b"%t", text)
                expected = _without_date(pieces.send(body, path=path, in_pieces=True))
                assert _without_date(whole.send(body, path=path)) == expected, body
    recorded = [list(map(_recorded, each.default_session.journal)) for each in services]
    assert recorded[0] == recorded[1]


def test_no_rule_is_missed_by_requests_of_a_known_form(services: Services) -> None:
    """A rule about texts has to be checked for each request, also if others of its form broke none."""
    examples = [
        each
        for example in load_rule_examples().values()
        if example.kind == "request" and (each := json.loads(example.data)) and "input" in each
    ]
    other = new_services()
    with connected(services) as whole, connected(other) as pieces:
        for number in range(4):
            text = f"Question {number}"
            for content in (text, [{"role": "user", "content": text}]):
                whole.send({"model": MODEL, "input": content})
        services.default_session.journal.clear()
        for example in examples:
            # Rules about other members break in the second form of it, too.
            for body in (example, {"model": MODEL, "input": example["input"]}):
                whole.send(body)
                pieces.send(body, in_pieces=True)
    found = [[each.request_findings for each in one.default_session.journal] for one in (services, other)]
    assert found[0] == found[1]
    assert len(found[0]) == 2 * len(examples) > 10
    assert any(found[0])


def test_a_setting_changes_what_requests_of_a_form_get(services: Services) -> None:
    def ask(connection: Connection, text: str) -> int:
        return int(connection.send({**QUESTION, "input": text}).split(b" ", 2)[1])

    with connected(services) as connection:
        assert [ask(connection, f"Question {number}") for number in range(5)] == [200] * 5
        services.default_session.request_checker = RequestChecker(PROFILE, ["another-model"])
        assert [ask(connection, f"Question {number}") for number in range(5, 9)] == [400] * 4


def test_completions_and_journal_are_those_of_the_application(services: Services) -> None:
    chat = {"model": MODEL, "messages": [{"role": "user", "content": "How far is the moon?"}]}
    tool = {"type": "function", "function": {"name": "get_time", "parameters": {"type": "object"}}}
    reply = {"role": "assistant", "content": "384,400 km"}
    bodies: list[Any] = [
        chat,
        chat,
        {**chat, "stream": True, "stream_options": {"include_usage": True}},
        {**chat, "tools": [tool]},
        {**chat, "messages": [*chat["messages"], reply, *chat["messages"]]},
        {**chat, "n": 2, "max_tokens": 3},
        {**chat, "model": "gpt-5"},
        {"model": MODEL},
    ]
    other = new_services()
    with connected(services) as whole, connected(other) as pieces:
        for _ in range(2):
            for body in bodies:
                replies = [
                    whole.send(body, path=CHAT_PATHS[0]),
                    pieces.send(body, path=CHAT_PATHS[0], in_pieces=True),
                ]
                assert _without_date(replies[0]) == _without_date(replies[1])
    recorded = [list(map(_recorded, each.default_session.journal)) for each in (services, other)]
    assert recorded[0] == recorded[1]
    assert len(recorded[0]) == 2 * len(bodies)


def test_stubs_answer_and_count_as_in_the_application(services: Services) -> None:
    other = new_services()
    for each in (services, other):
        stubs = each.default_session.stubs
        by_prompt, by_header = build_matcher(contains="moon"), build_matcher(header={"user-agent": "me"})
        stubs.add(message_script("384,400 km"), matcher=by_prompt, times=None, name="near")
        stubs.add(message_script("Hello, me."), matcher=by_header, times=None, name="agent")
    chat = {"model": MODEL, "messages": [{"role": "user", "content": "How far is the moon?"}]}
    requests: list[tuple[Any, str, str]] = [
        (QUESTION, "", PATH),
        ({**QUESTION, "input": "Hello"}, "", PATH),
        ({**QUESTION, "input": "Hello"}, "user-agent: me\r\n", PATH),
        (chat, "", CHAT_PATHS[0]),
    ]
    with connected(services) as whole, connected(other) as pieces:
        for _ in range(3):
            for body, head, path in requests:
                expected = _without_date(pieces.send(body, head=head, path=path, in_pieces=True))
                assert _without_date(whole.send(body, head=head, path=path)) == expected
        services.default_session.stubs.all[0].times(10)
        for _ in range(5):
            whole.send(QUESTION)
    counts = [[stub.call_count for stub in each.default_session.stubs.all] for each in (services, other)]
    assert counts == [[10, 3], [6, 3]]
    assert [each.exchange for each in list(services.default_session.journal)[-5:]] == ["near"] * 4 + [None]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (PATH, QUESTION),
        (CHAT_PATHS[0], {"model": MODEL, "messages": [{"role": "user", "content": QUESTION["input"]}]}),
    ],
)
def test_a_repeated_request_does_not_search_for_its_stub(
    services: Services, monkeypatch: pytest.MonkeyPatch, path: str, body: dict[str, Any]
) -> None:
    searches, first_match = [], MatcherIndex.first_match

    def counted(index: MatcherIndex[Any], *arguments: Any) -> Any:
        searches.append(index)
        return first_match(index, *arguments)

    monkeypatch.setattr(MatcherIndex, "first_match", counted)
    stubs = services.default_session.stubs
    stub = stubs.add(message_script("Far."), matcher=build_matcher(contains="moon"), times=None)
    with connected(services) as connection:
        for _ in range(5):
            connection.send(body, path=path)
        searches.clear()
        replies = [connection.send(body, path=path), connection.send(body, path=path, in_pieces=True)]
    assert not searches
    assert all(b"Far." in reply for reply in replies)
    assert stub.call_count == 7
    assert [each.exchange for each in services.default_session.journal] == [stub.name] * 7


class _EveryOther:
    """Equals every other prompt that it is compared with."""

    def __init__(self) -> None:
        self._comparisons = 0

    def __eq__(self, _: object) -> bool:
        self._comparisons += 1
        return self._comparisons % 2 == 0

    __hash__ = None  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({"contains": "moon"}, [b"Near."] * 4),
        ({"header": {"x-from": "me"}}, [b"Near.", b"Far."] * 2),
        ({"prompt": _EveryOther()}, [b"Far.", b"Near."] * 2),
        ({"json_subset": {"input": _EveryOther()}}, [b"Far.", b"Near."] * 2),
    ],
)
def test_a_repeated_request_gets_the_stub_that_matches_now(
    services: Services, conditions: dict[str, Any], expected: list[bytes]
) -> None:
    stubs = services.default_session.stubs
    far = stubs.add(message_script("Far."), times=None)
    with connected(services) as connection:
        for _ in range(4):
            assert b"Far." in connection.send(QUESTION)
        near = stubs.add(message_script("Near."), matcher=build_matcher(**conditions), times=None)
        stubs.reorder([near.name, far.name])
        heads = ["x-from: me\r\n", ""] * 4
        replies = [connection.send(QUESTION, head=head) for head in heads]
        near.times(near.call_count)
        assert b"Far." in connection.send(QUESTION)
    assert [b"Near." if b"Near." in reply else b"Far." for reply in replies] == expected * 2
    assert near.call_count == (expected * 2).count(b"Near.")


def test_heads_that_differ_in_the_length_of_the_body_are_known(
    connection: Connection, services: Services
) -> None:
    for number in range(20):
        question = {**QUESTION, "input": "far " * number + "?"}
        reply = json.loads(connection.send(question).partition(b"\r\n\r\n")[2])
        entry = services.default_session.journal.last
        assert entry.json == question
        assert entry.headers["content-length"] == str(len(json.dumps(question)))
        assert json.loads(b"".join(entry.reply))["id"] == reply["id"]


def test_head_and_body_may_come_apart(connection: Connection, services: Services) -> None:
    for _ in range(4):
        assert connection.send(QUESTION, in_pieces=True, pieces_at=(-len(json.dumps(QUESTION)),)).startswith(
            b"HTTP/1.1 200"
        )
        assert connection.send(QUESTION).startswith(b"HTTP/1.1 200")
    assert len(services.default_session.journal) == 8


def test_a_head_without_its_body_is_refused_in_time(
    monkeypatch: pytest.MonkeyPatch, services: Services
) -> None:
    for module in (http_connection, uvicorn_server):
        monkeypatch.setattr(module, "BODY_TIMEOUT_SECONDS", 0.2)
    with connected(services) as connection:
        connection.send(QUESTION)
        connection.send(QUESTION)
        connection.socket.sendall(_encode(QUESTION)[: -len(json.dumps(QUESTION))])
        assert connection.receive().startswith(b"HTTP/1.1 408")


def _add_stub(services: Services) -> None:
    matcher = build_matcher(contains="moon")
    services.default_session.stubs.add(message_script("384,400 km"), matcher=matcher, times=None)


def _add_fault(services: Services) -> None:
    services.default_session.faults = (parse_fault("rate-limit"),)


def _use_other_key(services: Services) -> None:
    services.keys = ApiKeys(["sk-another-key"])


def _allow_less(services: Services) -> None:
    services.max_body = 10


def _use_mock_headers(services: Services) -> None:
    services.mock_headers = True


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (_add_stub, b"384,400 km"),
        (_add_fault, b'"status":"failed"'),
        (_use_other_key, b"HTTP/1.1 401"),
        (_allow_less, b"HTTP/1.1 413"),
        (_use_mock_headers, b"HTTP/1.1 200"),
    ],
)
def test_a_changed_setting_holds_at_once(
    connection: Connection, services: Services, change: Callable[[Services], None], expected: bytes
) -> None:
    for _ in range(3):
        assert b"384,400 km" not in connection.send(QUESTION)
    change(services)
    assert expected in connection.send(QUESTION)


def test_special_headers_reach_the_application(connection: Connection) -> None:
    for _ in range(3):
        refused = connection.send(QUESTION, head="origin: https://elsewhere.example\r\n")
        assert refused.startswith(b"HTTP/1.1 403")
        assert connection.send(QUESTION, head="x-mock-session: other\r\n").startswith(b"HTTP/1.1 ")
        assert connection.send(QUESTION, head="host: evil.example\r\n").startswith(b"HTTP/1.1 400")


def test_several_requests_at_once_are_answered_in_order(connection: Connection) -> None:
    first, second = connection.send(QUESTION), connection.send({**QUESTION, "input": "And the sun?"})
    connection.socket.sendall(_encode(QUESTION) + _encode({**QUESTION, "input": "And the sun?"}))
    received = b""
    while received.count(b"HTTP/1.1 200") < 2 or not received.endswith(b"}"):
        received += connection.socket.recv(1 << 16)
    texts = [re.findall(rb'"text":"([^"]*)', each) for each in (first + second, received)]
    assert len(texts[1]) == 2


def test_a_stream_waits_for_a_client_that_does_not_read(
    monkeypatch: pytest.MonkeyPatch, services: Services
) -> None:
    bind = listeners.bind_socket

    def bind_with_small_buffer(host: str, port: int) -> socket.socket:
        listener = bind(host, port)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 << 10)
        return listener

    monkeypatch.setattr(listeners, "bind_socket", bind_with_small_buffer)
    stream, count, received = {**QUESTION, "stream": True}, 30, b""
    with connected(services) as connection:
        connection.send(stream)
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 10)
        for _ in range(count):
            connection.socket.sendall(_encode(stream))
            time.sleep(0.005)  # a request that arrives with the next one is no direct one
        while received.count(b"\r\n0\r\n\r\n") < count:
            received += connection.socket.recv(1 << 16)
    journal = list(services.default_session.journal)[1:]
    bodies = [each.partition(b"\r\n\r\n")[2] for each in received.split(b"\r\n0\r\n\r\n")]
    assert [re.sub(rb"(\r\n)?[0-9a-f]+\r\n", b"", each) for each in bodies[:-1]] == [
        b"".join(each.reply) for each in journal
    ]
    assert not any(each.left for each in journal)


def test_a_reset_after_a_direct_reply_is_recorded(connection: Connection, services: Services) -> None:
    for _ in range(3):
        connection.send(QUESTION)
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.socket.close()
    journal = services.default_session.journal
    wait_until(lambda: journal.last.left)
    assert [each.left for each in journal] == [False, False, True]


def services_with_store(store: SharedStore, *, shares_seed: bool = False) -> Services:
    services = new_services(store=store)
    services.default_session.share_store(store, shares_seed=shares_seed)
    return services


@pytest.fixture
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Services, Services]:
    """Services of two servers that share their stores with others, but not with each other."""
    kind, shares_seed = request.param
    if kind == "sqlite":
        urls = [f"sqlite:{tmp_path / str(number)}" for number in range(2)]
    else:
        redis: RedisServer = request.getfixturevalue("redis")
        urls = [redis.url, redis.url.replace("db=1", "db=2")]
    one, two = (services_with_store(open_shared_store(url), shares_seed=shares_seed) for url in urls)
    return one, two


@pytest.mark.parametrize(
    "shared",
    slow_except([("redis", False)], [("redis", False), ("redis", True), ("sqlite", False)]),
    indirect=True,
    ids=str,
)
def test_with_a_shared_store_replies_and_journal_are_those_of_the_application(
    shared: tuple[Services, Services],
) -> None:
    chat = {"model": MODEL, "messages": [{"role": "user", "content": "How far is the moon?"}]}
    requests: list[tuple[Any, str]] = [
        (QUESTION, PATH),
        (QUESTION, PATH),
        ({**QUESTION, "stream": True}, PATH),
        ({**QUESTION, "input": "And the sun?"}, PATH),
        ({**QUESTION, "input": [{"role": "user", "content": "Hello"}], "store": False}, PATH),
        ({**QUESTION, "previous_response_id": "unknown"}, PATH),
        ({**QUESTION, "previous_response_id": "unknown", "stream": True}, PATH),
        ({**QUESTION, "model": "gpt-5"}, PATH),
        (b"{", PATH),
        (chat, CHAT_PATHS[0]),
    ]
    delayed = build_matcher(contains="later")
    with connected(shared[0]) as whole, connected(shared[1]) as pieces:
        for _ in range(2):
            for body, path in requests:
                expected = _without_date(pieces.send(body, path=path, in_pieces=True))
                assert _without_date(whole.send(body, path=path)) == expected
        for stubbed in (False, True):
            replies = [json.loads(each.send(QUESTION).partition(b"\r\n\r\n")[2]) for each in (whole, pieces)]
            for turn in range(3):
                question = {**QUESTION, "input": f"And {turn} times later?", "stream": turn == 1}
                turns = [
                    each.send({**question, "previous_response_id": reply["id"]}, in_pieces=each is pieces)
                    for each, reply in zip((whole, pieces), replies, strict=True)
                ]
                assert _without_date(turns[0]) == _without_date(turns[1])
                assert turns[0].startswith(b"HTTP/1.1 200")
                assert (b"x-mock-fault: invalid" in turns[0]) is stubbed
            for each in shared:
                stubs, delivery = each.default_session.stubs, Delivery(invalid=True)
                stubs.add(message_script("Wait."), matcher=delayed, times=None, delivery=delivery)
    recorded = [list(map(_recorded, each.default_session.journal)) for each in shared]
    assert recorded[0] == recorded[1]
    assert len(recorded[0]) == 2 * len(requests) + 8


class HeldStore(SqliteStore):
    """A store that stores responses, or fails, when a test releases it."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), 100)
        self.waiting = threading.Semaphore(0)
        self.released = threading.Event()
        self.fails = False

    async def put(self, record: ResponseRecord) -> None:
        self.waiting.release()
        assert await asyncio.to_thread(self.released.wait, 30)
        if self.fails:
            raise StoreUnavailable("the test says so")
        await super().put(record)


@pytest.fixture
def held(tmp_path: Path) -> tuple[HeldStore, Services]:
    """A store that holds what it gets from the third request on, and the services of its server."""
    store = HeldStore(tmp_path / "store")
    store.released.set()
    return store, services_with_store(store)


def ask_twice(connection: Connection, store: HeldStore) -> None:
    """Make the head of a question known, and hold what comes next."""
    for _ in range(2):
        connection.send(QUESTION)
        assert store.waiting.acquire(timeout=30)
    store.released.clear()


def test_requests_that_wait_for_the_store_are_answered_in_order(held: tuple[HeldStore, Services]) -> None:
    store, services = held
    with connected(services) as connection:
        ask_twice(connection, store)
        connection.socket.sendall(_encode(QUESTION))
        assert store.waiting.acquire(timeout=30)
        for number in range(3):  # while the first one waits
            connection.socket.sendall(_encode({**QUESTION, "input": f"Question {number}"}))
        store.released.set()
        received = b""
        while received.count(b"HTTP/1.1 200") < 4 or not received.endswith(b"}"):
            received += connection.socket.recv(1 << 16)
    prompts = [each.prompt for each in services.default_session.journal]
    assert prompts[2:] == [QUESTION["input"], *(f"Question {number}" for number in range(3))]
    replies = [each.request_id.encode() for each in services.default_session.journal][2:]
    assert re.findall(rb"x-request-id: (\S+)", received) == replies


@pytest.mark.parametrize("in_pieces", [False, True])
def test_a_failure_of_the_store_is_a_503_as_by_the_application(
    held: tuple[HeldStore, Services], in_pieces: bool
) -> None:
    store, services = held
    with connected(services) as connection:
        ask_twice(connection, store)
        store.fails = True
        store.released.set()
        reply = connection.send({**QUESTION, "temperature": 0}, in_pieces=in_pieces)
        assert reply.startswith(b"HTTP/1.1 503")
        assert b"retry-after: 1" in reply
        entry = services.default_session.journal.last
        assert (entry.status, entry.prompt, entry.left) == (503, QUESTION["input"], False)
        assert entry.detail == "store: the test says so"
        store.fails = False
        assert connection.send(QUESTION).startswith(b"HTTP/1.1 200")
    assert len(services.default_session.journal) == 4


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("in_pieces", [False, True])
def test_a_client_that_leaves_while_its_request_waits_for_the_store_is_recorded(
    held: tuple[HeldStore, Services], in_pieces: bool, fails: bool
) -> None:
    store, services = held
    journal = services.default_session.journal
    with connected(services) as connection, connected(services) as other:
        ask_twice(connection, store)
        request = _encode(QUESTION)
        for piece in (request[:20], request[20:]) if in_pieces else (request,):
            connection.socket.sendall(piece)
            time.sleep(0.002 * in_pieces)
        assert store.waiting.acquire(timeout=30)
        connection.socket.close()
        time.sleep(0.05)
        store.fails = fails
        store.released.set()
        wait_until(lambda: len(journal) == 3)
        wait_until(lambda: journal.last.left)
        assert journal.last.status == (503 if fails else 200)
        store.fails = False
        assert other.send(QUESTION).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("fails", [False, True])
def test_a_stop_waits_for_requests_that_wait_for_the_store(
    held: tuple[HeldStore, Services], fails: bool
) -> None:
    store, services = held
    server = ThreadedServer(App(services), grace_seconds=30)
    server.start()
    connection = Connection(int(server.url.rpartition(":")[2]))
    ask_twice(connection, store)
    connection.socket.sendall(_encode(QUESTION))
    assert store.waiting.acquire(timeout=30)
    connection.socket.sendall(_encode({**QUESTION, "input": "Is there time for another one?"}))
    stopping = threading.Thread(target=server.stop)
    stopping.start()
    with connection.socket:
        wait_until(lambda: _refuses_connections(server.url))
        store.fails = fails
        store.released.set()
        reply = connection.receive()
        assert reply.startswith(b"HTTP/1.1 503" if fails else b"HTTP/1.1 200")
        assert b"\r\nconnection: close\r\n" in reply
        assert not connection.socket.recv(1)
    stopping.join()


def _refuses_connections(url: str) -> bool:
    try:
        socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=30).close()
    except OSError:
        return True
    return False


def test_a_connection_whose_request_waits_for_the_store_is_not_idle(
    held: tuple[HeldStore, Services], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, services = held
    with connected(services) as connection:
        ask_twice(connection, store)
        connection.socket.sendall(_encode(QUESTION))
        assert store.waiting.acquire(timeout=30)
        monkeypatch.setattr(http_connection, "IDLE_TIMEOUT_SECONDS", 0.0)
        time.sleep(1.2)  # the server looks for idle connections once a second
        store.released.set()
        assert connection.receive().startswith(b"HTTP/1.1 200")
