"""Named sessions: chosen by header, path or key, each with a state of its own."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator
from typing import Any, Self

import httpx
import pytest

from mockserver.errors import ConfigurationError
from mockserver.exchanges import Exchange, Match
from mockserver.server.access import ApiKeys
from mockserver.server.app import App
from mockserver.server.directory import Directory, Terms
from mockserver.server.endpoint import Services
from mockserver.server.faults import parse_fault
from mockserver.server.logbook import AccessLog
from mockserver.server.sessions import Session, open_session
from mockserver.server.store import MemoryStore
from mockserver.server.threaded import ThreadedServer
from mockserver.testing.mock import MockServer
from mockserver.testing.scripting import Scripted
from tests.asking import text

LATER = "qwen-2026-09"


@pytest.fixture(scope="module")
def _server() -> Iterator[MockServer]:
    with MockServer() as server:
        yield server


@pytest.fixture
def server(_server: MockServer) -> MockServer:
    _server.reset()
    return _server


def ask(place: Scripted, content: str = "Hi", headers: Any = None, **members: Any) -> httpx.Response:
    with place.httpx() as client:
        body = {"model": place.model, "input": content, **members}
        return client.post("/responses", json=body, headers=headers)


def test_each_way_leads_into_a_session_of_its_own(server: MockServer) -> None:
    one, two = server.session("one"), server.session("two")
    owner = server.session("owner", api_key="sk-mock-owner")
    server.reply("server")
    one.reply("one")
    two.reply("two")
    owner.reply("owner")
    assert text(ask(server, headers=two.headers)) == "two"
    assert text(ask(one)) == "one"
    assert text(ask(server, headers={"authorization": f"Bearer {owner.api_key}"})) == "owner"
    assert text(ask(server)) == "server"
    assert [len(each.journal) for each in (server, one, two, owner)] == [1, 1, 1, 1]
    assert [each.journal.last.session for each in (server, one)] == ["default", "one"]
    assert one.journal.last.path == server.journal.last.path


def test_the_header_goes_before_the_path_and_the_path_before_the_key(server: MockServer) -> None:
    for name in ("header", "path", "key"):
        server.session(name).reply(name).always()
    key = {"authorization": f"Bearer {server.session('key', api_key='sk-mock-key').api_key}"}
    server.session("key").reply("key").always()
    path = server.session("path")
    assert text(ask(path, headers={**key, "x-mock-session": "header"})) == "header"
    assert text(ask(path, headers=key)) == "path"
    assert text(ask(server, headers=key)) == "key"


def test_nothing_of_a_session_is_seen_in_another(server: MockServer) -> None:
    later = {"profile": LATER}
    one, two = server.session("one", profile=LATER, strict=False), server.session("two", **later)  # type: ignore[arg-type]
    first = ask(one).json()["id"]
    with one.httpx() as mine, two.httpx() as theirs:
        assert mine.get(f"/responses/{first}").status_code == 200
        assert theirs.get(f"/responses/{first}").status_code == 404
    assert ask(one, previous_response_id=first).status_code == 200
    assert ask(two, previous_response_id=first).status_code == 400
    before = two.clock.now()
    one.clock.advance(60)
    assert (two.clock.now(), server.clock.now()) == (before, before)
    one.reset()
    assert ask(one, previous_response_id=first).status_code == 400


def test_faults_limits_and_pace_are_a_sessions_own(server: MockServer) -> None:
    broken = server.session("broken", fault="internal-error", strict=False)
    limited = server.session("limited", limit="requests=1", chunking="bytes:50")
    assert ask(broken).status_code == 500
    assert [ask(limited).status_code for _ in range(2)] == [200, 429]
    assert [ask(each).status_code for each in (server, server.session("plain"))] == [200, 200]


def test_ids_follow_from_seed_and_name() -> None:
    def ids(seed: int, *names: str) -> list[str]:
        with MockServer(seed=seed, strict=False) as server:
            return [ask(server.session(name)).json()["id"] for name in names]

    assert ids(1, "a", "b") == ids(1, "b", "a")[::-1]
    assert len({*ids(1, "a", "b"), *ids(2, "a", "b")}) == 4
    with MockServer(seed=1, strict=False) as server:
        by_path = ask(server.session("a")).content
        server.reset()
        assert ask(server, headers={"x-mock-session": "a"}).content == by_path
        assert ask(server.session("a", seed=5)).content != by_path


def test_a_session_plays_another_age_at_its_paths(server: MockServer) -> None:
    later = server.session("later", profile=LATER, rendering="documented")
    assert (later.profile, later.base_url.partition("/s/later")[2]) == (LATER, "/compatible-mode/v1")
    reply = ask(later)
    assert reply.json()["id"].startswith("resp_")
    with later.httpx() as client:
        assert client.get("/models").json()["data"][0]["object"] == "model"
    root = str(httpx.URL(server.base_url).join("/"))
    key = {"authorization": f"Bearer {server.api_key}"}
    with httpx.Client(base_url=root, headers={**key, **later.headers}, trust_env=False) as client:
        assert client.get("compatible-mode/v1/models").status_code == 200
        assert client.get("health").json()["profile"] == LATER
        body = {"model": later.model, "input": "Hi"}
        assert client.post("compatible-mode/v1/responses", json=body).status_code == 200
        refused = client.post(httpx.URL(server.base_url).path + "/responses", json=body)
    assert refused.status_code == 404
    assert refused.json()["message"].endswith(f"The session later plays {LATER}.")


@pytest.mark.parametrize("name", ["-x", "a b", "x" * 65, "..", "a\tb", "ä", "<script>", "a;b"])
def test_hostile_names_are_refused_in_the_envelope(server: MockServer, name: str) -> None:
    raw = {"x-mock-session": name.encode("latin-1")}
    with server.httpx() as client:
        body = {"model": server.model, "input": "Hi"}
        by_header = client.post("/responses", json=body, headers=raw)  # type: ignore[arg-type]
        quoted = str(httpx.QueryParams({"": name})).removeprefix("=").replace("+", "%20").replace(".", "%2E")
        by_path = client.post(httpx.URL(server.base_url).join(f"/s/{quoted}/v1/responses"), json=body)
    for reply, where in ((by_header, "x-mock-session: "), (by_path, "/s/NAME/: ")):
        assert (reply.status_code, reply.json()["code"]) == (400, "InvalidParameter")
        assert reply.json()["message"].startswith(f"{where}a session's name is 1 to 64 letters")
    with pytest.raises(ConfigurationError, match="a session's name is"):
        server.session(name)
    assert [entry.refusal for entry in server.journal] == ["refused", "refused"]


def test_what_is_otherwise_can_be_wrong(server: MockServer) -> None:
    for otherwise, words in (
        ({"colour": "red"}, "there is no setting 'colour'"),
        ({"seed": "1"}, "seed can not be '1'"),
        ({"fault": "no-such"}, "no fault 'no-such'"),
        ({"pace": "fast"}, "a pace is"),
        ({"api_key": "a b"}, "printable ASCII"),
    ):
        with pytest.raises(ConfigurationError, match=words):
            server.session("it", **otherwise)  # type: ignore[arg-type]
    server.session("a", api_key="sk-mock-shared")
    with pytest.raises(ConfigurationError, match="belongs to another session"):
        server.session("b", api_key="sk-mock-shared")
    with pytest.raises(ConfigurationError, match="is as its server was started"):
        server.session("default", strict=False)


class Plain:
    """A server as `serve` makes it: one key, a log, and no headers unless they are allowed."""

    def __init__(self, **settings: Any) -> None:
        self.log = io.StringIO()
        session = open_session(profile="qwen-2026-01", seed=0)
        self.services = Services(
            default_session=session, keys=ApiKeys(["sk-right"]), access_log=AccessLog(self.log), **settings
        )
        self.server = ThreadedServer(App(self.services))

    def __enter__(self) -> Self:
        self.server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.stop()

    def ask(self, prefix: str = "", key: str = "sk-right", **headers: str) -> httpx.Response:
        head = {"authorization": f"Bearer {key}", **{k.replace("_", "-"): v for k, v in headers.items()}}
        body = {"model": "qwen3-max-2026-01-23", "input": "Hi"}
        url = f"{self.server.url}{prefix}/v1/responses"
        return httpx.post(url, json=body, headers=head, trust_env=False)

    @property
    def names(self) -> list[str]:
        return [each.name for each in self.services.sessions]


def test_the_header_is_only_heard_where_headers_are_allowed_and_the_path_always() -> None:
    with Plain() as plain:
        assert plain.ask(x_mock_session="alice").status_code == 200
        assert plain.ask(x_mock_session="a b").status_code == 200
        assert plain.names == ["default"]
        assert plain.ask("/s/alice").status_code == 200
        assert plain.names == ["default", "alice"]
        plain.services.access_log.flush()
        assert " [alice] POST /v1/responses " in plain.log.getvalue()
    with Plain(mock_headers=True) as plain:
        assert plain.ask(x_mock_session="alice").status_code == 200
        assert plain.names == ["default", "alice"]


def test_who_has_no_key_makes_no_session() -> None:
    with Plain(mock_headers=True) as plain:
        for reply in (plain.ask("/s/alice", key="sk-wrong"), plain.ask(key="sk-wrong", x_mock_session="bob")):
            assert (reply.status_code, reply.json()["code"]) == (401, "InvalidApiKey")
        assert plain.names == ["default"]


def test_a_key_that_was_lent_is_good_as_long_as_its_session() -> None:
    with Plain() as plain:
        asyncio.run(plain.services.sessions.open("alice", Terms(api_key="canary-alice")))
        assert plain.ask(key="canary-alice").status_code == 200
        (alice,) = [*plain.services.sessions][1:]
        assert [entry.headers["authorization"] for entry in alice.journal] == ["[redacted]"]
        assert "canary" not in repr(Terms(api_key="canary-alice"))
        asyncio.run(plain.services.sessions.close("alice"))
        assert plain.ask(key="canary-alice").status_code == 401
        assert plain.ask().status_code == 200


def directory(most: int = 3) -> Directory:
    session = open_session(profile="qwen-2026-01", seed=0)
    return Directory(session, MemoryStore(), ApiKeys(), most)


def test_the_one_that_nobody_asked_for_longest_is_forgotten() -> None:
    async def scenario() -> tuple[list[str], list[str]]:
        sessions, told = directory(), list[str]()
        sessions.told = told.append
        for name in ("a", "b", "c"):
            await sessions.open(name)
        assert sessions.get("a") is not None
        await sessions.open("d")
        return [each.name for each in sessions], told

    names, told = asyncio.run(scenario())
    assert names == ["default", "c", "a", "d"]
    assert told == ["session b is forgotten: 3 others were asked for since"]


class Slow(MemoryStore):
    """A store that has to be waited for, as one elsewhere would be."""

    async def clear(self, session: str) -> None:
        await asyncio.sleep(0)
        await super().clear(session)


def test_who_comes_at_once_comes_into_the_same_session() -> None:
    async def scenario() -> list[Session]:
        sessions = Directory(open_session(profile="qwen-2026-01", seed=0), Slow(), ApiKeys(), 1)
        await sessions.open("old")
        return await asyncio.gather(*(sessions.open("new") for _ in range(5)))

    opened = asyncio.run(scenario())
    assert all(each is opened[0] for each in opened)


def test_what_comes_after_a_close_is_another_session() -> None:
    async def scenario() -> tuple[Session, Session, bool, bool]:
        sessions = directory()
        before = await sessions.open("a")
        before.stubs.add(None)
        closed = await sessions.close("a")
        return before, await sessions.open("a"), closed, await sessions.close("b")

    before, after, closed, unknown = asyncio.run(scenario())
    assert (before is after, len(after.stubs), closed, unknown) == (False, 0, True, False)


def test_settings_are_those_the_server_was_started_with() -> None:
    async def scenario() -> Session:
        first = open_session(profile="qwen-2026-01", seed=0)
        first.faults, first.strict = (parse_fault("stall"),), True
        sessions = Directory(first, MemoryStore(), ApiKeys())
        first.faults = ()
        return await sessions.open("a")

    made = asyncio.run(scenario())
    assert ([fault.name for fault in made.faults], made.strict) == (["stall"], True)


def test_exchange_files_that_change_change_in_every_session() -> None:
    def says(words: str) -> list[Exchange]:
        return [Exchange("it", Match(), {"script": {"items": [{"type": "message", "text": words}]}})]

    with MockServer(exchanges=says("Before.")) as server:
        one, two = server.session("one"), server.session("two", profile=LATER)
        assert [text(ask(each)) for each in (server, one)] == ["Before.", "Before."]
        sessions = server._served._sessions
        assert sessions is not None
        sessions.use_exchanges(says("After."))
        three = server.session("three")
        assert [text(ask(each)) for each in (server, one, three)] == ["After."] * 3
        assert "After." in ask(two).text


def test_a_reset_of_the_server_forgets_its_sessions(server: MockServer) -> None:
    one = server.session("one", strict=False)
    one.reply("Planned.")
    server.reset()
    assert (len(one.planned), len(one.journal)) == (0, 0)
    one.reply("Again.")
    one.close()
    assert len(one.planned) == 0
