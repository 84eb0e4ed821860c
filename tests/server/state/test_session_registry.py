"""Named sessions: selection by header, path or key, isolation, and eviction."""

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
from mockserver.server.delivery.faults import parse_fault
from mockserver.server.http.access_log import AccessLog
from mockserver.server.http.app import App
from mockserver.server.http.services import Services
from mockserver.server.http.threaded_server import ThreadedServer
from mockserver.server.state.session_registry import SessionOverrides, SessionRegistry
from mockserver.server.state.sessions import Session, open_session
from mockserver.server.state.store import MemoryStore
from mockserver.testing.mock import MockBase, MockServer
from tests.api_client import output_text

LATER_PROFILE = "qwen-2026-09"


@pytest.fixture(scope="module")
def _server() -> Iterator[MockServer]:
    with MockServer() as server:
        yield server


@pytest.fixture
def server(_server: MockServer) -> MockServer:
    _server.reset()
    return _server


def ask(target: MockBase, content: str = "Hi", headers: Any = None, **members: Any) -> httpx.Response:
    with target.httpx() as client:
        body = {"model": target.model, "input": content, **members}
        return client.post("/responses", json=body, headers=headers)


def test_header_path_and_key_each_select_a_session(server: MockServer) -> None:
    one, two = server.session("one"), server.session("two")
    owner = server.session("owner", api_key="sk-mock-owner")
    server.reply("server")
    one.reply("one")
    two.reply("two")
    owner.reply("owner")
    assert output_text(ask(server, headers=two.headers)) == "two"
    assert output_text(ask(one)) == "one"
    assert output_text(ask(server, headers={"authorization": f"Bearer {owner.api_key}"})) == "owner"
    assert output_text(ask(server)) == "server"
    assert [len(each.journal) for each in (server, one, two, owner)] == [1, 1, 1, 1]
    assert [each.journal.last.session for each in (server, one)] == ["default", "one"]
    assert one.journal.last.path == server.journal.last.path


def test_header_takes_precedence_over_path_and_path_over_key(server: MockServer) -> None:
    for name in ("header", "path", "key"):
        server.session(name).reply(name).always()
    key = {"authorization": f"Bearer {server.session('key', api_key='sk-mock-key').api_key}"}
    server.session("key").reply("key").always()
    path = server.session("path")
    assert output_text(ask(path, headers={**key, "x-mock-session": "header"})) == "header"
    assert output_text(ask(path, headers=key)) == "path"
    assert output_text(ask(server, headers=key)) == "key"


def test_sessions_are_isolated(server: MockServer) -> None:
    later = {"profile": LATER_PROFILE}
    one, two = server.session("one", profile=LATER_PROFILE, strict=False), server.session("two", **later)  # type: ignore[arg-type]
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


def test_faults_and_limits_apply_to_one_session(server: MockServer) -> None:
    broken = server.session("broken", fault="internal-error", strict=False)
    limited = server.session("limited", limit="requests=1", chunking="bytes:50")
    assert ask(broken).status_code == 500
    assert [ask(limited).status_code for _ in range(2)] == [200, 429]
    assert [ask(each).status_code for each in (server, server.session("plain"))] == [200, 200]


def test_ids_depend_on_seed_and_session_name() -> None:
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


def test_a_session_can_serve_another_profile(server: MockServer) -> None:
    later = server.session("later", profile=LATER_PROFILE, rendering="documented")
    assert (later.profile, later.base_url.partition("/s/later")[2]) == (LATER_PROFILE, "/compatible-mode/v1")
    reply = ask(later)
    assert reply.json()["id"].startswith("resp_")
    with later.httpx() as client:
        assert client.get("/models").json()["data"][0]["object"] == "model"
    root = str(httpx.URL(server.base_url).join("/"))
    key = {"authorization": f"Bearer {server.api_key}"}
    with httpx.Client(base_url=root, headers={**key, **later.headers}, trust_env=False) as client:
        assert client.get("compatible-mode/v1/models").status_code == 200
        assert client.get("health").json()["profile"] == LATER_PROFILE
        body = {"model": later.model, "input": "Hi"}
        assert client.post("compatible-mode/v1/responses", json=body).status_code == 200
        refused = client.post(httpx.URL(server.base_url).path + "/responses", json=body)
    assert refused.status_code == 404
    assert refused.json()["message"].endswith(f"The session later plays {LATER_PROFILE}.")


@pytest.mark.parametrize("name", ["-x", "a b", "x" * 65, "..", "a\tb", "ä", "<script>", "a;b"])
def test_invalid_session_names_are_rejected(server: MockServer, name: str) -> None:
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


def test_invalid_overrides_are_an_error(server: MockServer) -> None:
    for overrides, message in (
        ({"colour": "red"}, "no server setting 'colour'"),
        ({"seed": "1"}, "seed cannot be '1'"),
        ({"fault": "no-such"}, "no fault 'no-such'"),
        ({"pace": "fast"}, "pace must be"),
        ({"api_key": "a b"}, "printable ASCII"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            server.session("it", **overrides)  # type: ignore[arg-type]
    server.session("a", api_key="sk-mock-shared")
    with pytest.raises(ConfigurationError, match="belongs to another session"):
        server.session("b", api_key="sk-mock-shared")
    with pytest.raises(ConfigurationError, match="always has the server's settings"):
        server.session("default", strict=False)


class ServeLikeServer:
    """A server like that of `mockserver serve`: one key, a log, and no x-mock headers by default."""

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


def test_the_session_header_needs_mock_headers_and_the_path_does_not() -> None:
    with ServeLikeServer() as plain:
        assert plain.ask(x_mock_session="alice").status_code == 200
        assert plain.ask(x_mock_session="a b").status_code == 200
        assert plain.names == ["default"]
        assert plain.ask("/s/alice").status_code == 200
        assert plain.names == ["default", "alice"]
        plain.services.access_log.flush()
        assert " [alice] POST /v1/responses " in plain.log.getvalue()
    with ServeLikeServer(mock_headers=True) as plain:
        assert plain.ask(x_mock_session="alice").status_code == 200
        assert plain.names == ["default", "alice"]


def test_creating_a_session_requires_a_valid_key() -> None:
    with ServeLikeServer(mock_headers=True) as plain:
        for reply in (plain.ask("/s/alice", key="sk-wrong"), plain.ask(key="sk-wrong", x_mock_session="bob")):
            assert (reply.status_code, reply.json()["code"]) == (401, "InvalidApiKey")
        assert plain.names == ["default"]


def test_the_key_of_a_session_is_accepted_until_it_is_closed() -> None:
    with ServeLikeServer() as plain:
        asyncio.run(plain.services.sessions.open("alice", SessionOverrides(api_key="canary-alice")))
        assert plain.ask(key="canary-alice").status_code == 200
        (alice,) = [*plain.services.sessions][1:]
        assert [entry.headers["authorization"] for entry in alice.journal] == ["[redacted]"]
        assert "canary" not in repr(SessionOverrides(api_key="canary-alice"))
        asyncio.run(plain.services.sessions.close("alice"))
        assert plain.ask(key="canary-alice").status_code == 401
        assert plain.ask().status_code == 200


def session_registry(max_sessions: int = 3) -> SessionRegistry:
    session = open_session(profile="qwen-2026-01", seed=0)
    return SessionRegistry(session, MemoryStore(), ApiKeys(), max_sessions)


def test_the_least_recently_used_session_is_evicted() -> None:
    async def scenario() -> tuple[list[str], list[str]]:
        sessions, messages = session_registry(), list[str]()
        sessions.on_evicted = messages.append
        for name in ("a", "b", "c"):
            await sessions.open(name)
        assert sessions.get("a") is not None
        await sessions.open("d")
        return [each.name for each in sessions], messages

    names, messages = asyncio.run(scenario())
    assert names == ["default", "c", "a", "d"]
    assert messages == ["session b is removed: 3 other sessions were used more recently"]


class SlowStore(MemoryStore):
    """A store that yields to other tasks, like a remote one."""

    async def clear(self, session: str) -> None:
        await asyncio.sleep(0)
        await super().clear(session)


def test_concurrent_requests_open_one_session() -> None:
    async def scenario() -> list[Session]:
        sessions = SessionRegistry(open_session(profile="qwen-2026-01", seed=0), SlowStore(), ApiKeys(), 1)
        await sessions.open("old")
        return await asyncio.gather(*(sessions.open("new") for _ in range(5)))

    opened = asyncio.run(scenario())
    assert all(each is opened[0] for each in opened)


def test_a_closed_session_is_opened_anew() -> None:
    async def scenario() -> tuple[Session, Session, bool, bool]:
        sessions = session_registry()
        before = await sessions.open("a")
        before.stubs.add(None)
        closed = await sessions.close("a")
        return before, await sessions.open("a"), closed, await sessions.close("b")

    before, after, closed, unknown = asyncio.run(scenario())
    assert (before is after, len(after.stubs), closed, unknown) == (False, 0, True, False)


def test_a_new_session_has_the_settings_the_server_started_with() -> None:
    async def scenario() -> Session:
        first = open_session(profile="qwen-2026-01", seed=0)
        first.faults, first.strict = (parse_fault("stall"),), True
        sessions = SessionRegistry(first, MemoryStore(), ApiKeys())
        first.faults = ()
        return await sessions.open("a")

    made = asyncio.run(scenario())
    assert ([fault.name for fault in made.faults], made.strict) == (["stall"], True)


def test_changed_exchanges_apply_to_every_session() -> None:
    def says(words: str) -> list[Exchange]:
        return [Exchange("it", Match(), {"script": {"items": [{"type": "message", "text": words}]}})]

    with MockServer(exchanges=says("Before.")) as server:
        one, two = server.session("one"), server.session("two", profile=LATER_PROFILE)
        assert [output_text(ask(each)) for each in (server, one)] == ["Before.", "Before."]
        sessions = server._server._registry
        assert sessions is not None
        sessions.use_exchanges(says("After."))
        three = server.session("three")
        assert [output_text(ask(each)) for each in (server, one, three)] == ["After."] * 3
        assert "After." in ask(two).text


def test_resetting_the_server_removes_its_sessions(server: MockServer) -> None:
    one = server.session("one", strict=False)
    one.reply("Planned.")
    server.reset()
    assert (len(one.stubs), len(one.journal)) == (0, 0)
    one.reply("Again.")
    one.close()
    assert len(one.stubs) == 0
