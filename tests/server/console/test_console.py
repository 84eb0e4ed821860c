"""The console's paths: who may use them, what the feed sends, and what a request becomes when it is copied."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from html import unescape
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

from mockserver import MockServer
from mockserver.clock import SystemClock
from mockserver.contract.rules import load_rules
from mockserver.exchanges import parse_exchange
from mockserver.server.access import ApiKeys
from mockserver.server.console import ConsoleAccess, copied_requests, exchange_pages, handlers
from mockserver.server.console.exchange_pages import render_entry_page
from mockserver.server.delivery.options import Delivery
from mockserver.server.http.app import App
from mockserver.server.http.services import Services
from mockserver.server.http.threaded_server import ThreadedServer
from mockserver.server.state.sessions import open_session
from tests.acceptance.conftest import require_program
from tests.api_client import wait_until
from tests.marks import slow_except
from tests.programs import run_program
from tests.pytest_runs import run_pytest_process

KEY = "sk-0123456789abcdef0123456789abcdef"
MODEL = "qwen3-max-2026-01-23"
CHANGE = {"x-mock-console": "1"}


@pytest.fixture
def services() -> Services:
    return Services(
        default_session=open_session(profile="qwen-2026-01", seed=0),
        keys=ApiKeys([KEY]),
        console=ConsoleAccess(),
    )


@pytest.fixture
def server(services: Services) -> Iterator[ThreadedServer]:
    server = ThreadedServer(App(services))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def browser(server: ThreadedServer, services: Services) -> Iterator[httpx.Client]:
    """A client that has opened the link."""
    assert services.console is not None
    with httpx.Client(base_url=server.url, trust_env=False, follow_redirects=True) as client:
        assert client.get(services.console.link(server.url)).status_code == 200
        yield client


@pytest.fixture
def stranger(server: ThreadedServer) -> Iterator[httpx.Client]:
    """A client without the cookie."""
    with httpx.Client(base_url=server.url, trust_env=False) as client:
        yield client


def ask(
    client: httpx.Client, content: str = "Hi", path: str = "/v1/responses", **members: Any
) -> httpx.Response:
    body = {"model": MODEL, "input": content, **members}
    return client.post(path, json=body, headers={"authorization": f"Bearer {KEY}"})


def read_feed(client: httpx.Client, *events: str) -> list[tuple[str, Any]]:
    """The feed's events, until each of `events` has arrived."""
    received: list[tuple[str, Any]] = []
    wanted = list(events)
    with client.stream("GET", "/_mock/console/feed", timeout=60) as reply:
        assert reply.headers["content-type"] == "text/event-stream"
        event = ""
        for line in reply.iter_lines():
            name, _, value = line.partition(": ")
            if name == "event":
                event = value
            elif name == "data":
                received.append((event, json.loads(value)))
                if event in wanted:
                    wanted.remove(event)
                if not wanted:
                    return received
    raise AssertionError(f"the feed ended before {wanted}: {received}")


def test_a_link_works_once_and_sets_a_cookie_that_scripts_cannot_read(
    stranger: httpx.Client, services: Services, server: ThreadedServer
) -> None:
    assert services.console is not None
    link = services.console.link(server.url)
    preview = stranger.head(link)
    first, second = stranger.get(link), httpx.get(link, trust_env=False)

    assert preview.status_code == 403
    assert "set-cookie" not in preview.headers
    assert (first.status_code, first.headers["location"]) == (303, "/_mock/console")
    assert first.headers["set-cookie"].endswith("; Path=/; HttpOnly; SameSite=Strict")
    assert second.status_code == 403
    assert "set-cookie" not in second.headers
    assert "works once" in second.text


@pytest.mark.parametrize(
    "path",
    [
        "/_mock/console",
        "/_mock/console?token=wrong",
        "/_mock/console/feed",
        "/_mock/console/exchanges/default/1",
        "/_mock/console/exchanges/default/1/curl",
        "/_mock/console/sessions/default",
        "/_mock/stubs",
        "/_mock/journal",
    ],
)
def test_a_stranger_sees_nothing(stranger: httpx.Client, path: str) -> None:
    ask(stranger, "a secret prompt")

    reply = stranger.get(path, headers={**CHANGE, "cookie": "mock-console-00000000=guess"})

    assert reply.status_code in (401, 403)
    assert "a secret prompt" not in reply.text


@pytest.mark.parametrize(
    ("method", "path", "value"),
    [
        ("PUT", "/_mock/console/sessions/default", {"pace": "fixed:5", "chunking": "event", "limits": []}),
        ("POST", "/_mock/console/sessions/default/requests", {"model": MODEL, "input": "Hi"}),
        ("POST", "/_mock/console/sessions/default/stub-check", {}),
        ("DELETE", "/_mock/stubs", None),
        ("PUT", "/_mock/faults", []),
        ("POST", "/_mock/reset", {}),
    ],
)
def test_a_change_needs_the_header_too(
    browser: httpx.Client, services: Services, method: str, path: str, value: Any
) -> None:
    ask(browser)

    reply = browser.request(method, path, json=value)

    assert reply.status_code in (401, 403)
    assert len(services.default_session.journal) == 1  # a call of the admin API is not a request
    assert services.default_session.delivery.pace is None


def test_a_page_of_another_site_is_refused(browser: httpx.Client) -> None:
    reply = browser.post("/_mock/reset", json={}, headers={**CHANGE, "origin": "https://evil.example"})

    assert reply.status_code == 403


def test_pages_load_nothing_from_elsewhere(browser: httpx.Client) -> None:
    ask(browser)
    page, exchange = browser.get("/_mock/console"), browser.get("/_mock/console/exchanges/default/1")

    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert exchange.headers["content-security-policy"].startswith("sandbox allow-scripts")
    for name in ("console.js", "console.css", "preact.js"):
        text = browser.get(f"/_mock/console/static/{name}").text
        assert text
        assert "//" not in text.replace("// ", "").replace("http://www.w3.org", "")
    assert browser.get("/_mock/console/static/..%2Fhandlers.py").status_code == 404


def test_the_feed_sends_past_and_new_requests_without_keys(browser: httpx.Client, services: Services) -> None:
    ask(browser, f"my key is {KEY}", temperature=9)
    ask(browser, "Hi", path="/s/other/v1/responses", stream=True)

    events = read_feed(browser, "hello", "rows")

    rows = events[-1][1]
    assert [(row["session"], row["number"], row["status"]) for row in rows] == [
        ("default", 1, 400),
        ("other", 1, 200),
    ]
    assert (rows[0]["rules"], rows[0]["severity"]) == (["SCH-001"], "error") or rows[0]["rules"]
    assert rows[1]["stream"]
    assert KEY not in json.dumps(events)


def test_the_feed_sends_requests_of_several_sessions_in_their_order(browser: httpx.Client) -> None:
    browser.post("/_mock/clock", json={"advance": 3600}, headers=CHANGE)
    ask(browser, "one")
    ask(browser, "two", path="/s/other/v1/responses")  # by another clock, an hour earlier
    ask(browser, "three")

    rows = [row for event, data in read_feed(browser, "rows") if event == "rows" for row in data]

    assert [row["prompt"] for row in rows] == ["one", "two", "three"]


def test_the_feed_tells_a_reset(browser: httpx.Client) -> None:
    ask(browser)
    with browser.stream("GET", "/_mock/console/feed", timeout=60) as reply:
        lines = reply.iter_lines()
        assert next(line for line in lines if line == "event: rows")
        browser.post("/_mock/reset", json={}, headers=CHANGE)
        ask(browser, "after the reset")
        assert next(line for line in lines if line == "event: reset")
        rows = json.loads(next(line for line in lines if line.startswith("data: [")).removeprefix("data: "))
    assert [(row["number"], row["prompt"]) for row in rows] == [(1, "after the reset")]


def test_a_paced_stream_has_its_times(browser: httpx.Client, services: Services) -> None:
    settings = {
        "pace": "fixed:2",
        "chunking": "event",
        "limits": ["requests=100", "context-error", "context=5000"],
    }
    state = browser.put("/_mock/console/sessions/default", json=settings, headers=CHANGE).json()
    assert (state["pace"], state["limits"]) == ("fixed:2", ["requests=100", "context=5000", "context-error"])
    ask(browser, stream=True)

    entry = services.default_session.journal.last

    assert entry.send_times is not None
    assert len(entry.send_times.pieces) == len(entry.reply)
    assert list(entry.send_times.pieces) == sorted(entry.send_times.pieces)


def test_a_stream_that_the_client_left_ends_where_it_left(browser: httpx.Client, services: Services) -> None:
    settings = {"pace": "fixed:100", "chunking": "event", "limits": []}
    browser.put("/_mock/console/sessions/default", json=settings, headers=CHANGE)
    body, head = {"model": MODEL, "input": "Hi", "stream": True}, {"authorization": f"Bearer {KEY}"}
    with browser.stream("POST", "/v1/responses", json=body, headers=head) as reply:
        next(reply.iter_lines())
    entry = services.default_session.journal.last
    wait_until(lambda: entry.end is not None)

    page = browser.get("/_mock/console/exchanges/default/1").text

    assert entry.send_times is not None
    count = len(entry.send_times.pieces)
    assert 0 < count < len(entry.reply)
    assert f"disconnected after {entry.sent_bytes:,} of " in page
    assert f" bytes and {count} of {len(entry.reply)} events" in page
    assert f"Timeline of {count} event" in page
    assert "response.completed" not in page


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"pace": "quick", "chunking": "event", "limits": []}, "pace"),
        ({"pace": "none", "chunking": "event", "limits": ["many"]}, "limit"),
        ({"pace": "none", "chunking": "event", "limits": [1]}, "/limits"),
        ({"pace": "none", "chunking": "event"}, "/limits"),
    ],
)
def test_a_wrong_setting_changes_nothing(
    browser: httpx.Client, services: Services, settings: Any, name: str
) -> None:
    reply = browser.put("/_mock/console/sessions/default", json=settings, headers=CHANGE)

    assert reply.status_code == 400
    assert name in reply.json()["message"]
    assert services.default_session.limiter is None
    assert services.default_session.delivery.pace is None


def test_a_request_can_be_sent_from_the_page(browser: httpx.Client, services: Services) -> None:
    body = {"model": MODEL, "input": "Hello!", "stream": True}

    reply = browser.post("/_mock/console/sessions/default/requests", json=body, headers=CHANGE)

    assert reply.text.startswith("id:1\nevent:response.created")
    entry = services.default_session.journal.last
    assert (entry.prompt, entry.status) == ("Hello!", 200)
    assert "cookie" not in entry.headers


def test_a_stub_is_checked_as_it_is_typed(browser: httpx.Client, services: Services) -> None:
    path = "/_mock/console/sessions/default/stub-check"
    reply = {"script": {"items": [{"type": "message", "text": "Hi there!"}]}}
    good = {"format": 1, "name": "greeting", "match": {}, "reply": reply}

    assert browser.post(path, json=good, headers=CHANGE).json()["problem"] is None
    problem = browser.post(path, json={**good, "reply": {}}, headers=CHANGE).json()["problem"]

    assert "/reply" in problem
    assert len(services.default_session.stubs) == 0


def test_a_stub_added_from_the_page_answers(browser: httpx.Client) -> None:
    reply = {"script": {"items": [{"type": "message", "text": "Hi there!"}]}}
    stub = {"format": 1, "name": "greeting", "match": {}, "reply": reply}

    assert browser.post("/_mock/stubs", json=stub, headers=CHANGE).json() == {"name": "greeting"}
    assert "Hi there!" in ask(browser).text


def test_the_page_of_an_exchange_says_what_a_stub_lacked(browser: httpx.Client, services: Services) -> None:
    from mockserver.replies.script import message_script
    from mockserver.server.stubs.matchers import Matcher

    services.default_session.stubs.add(
        message_script("x"), matcher=Matcher(prompt="something else"), name="mine"
    )
    ask(browser, "Hi", temperature=0.5, top_logprobs=None)

    page = browser.get("/_mock/console/exchanges/default/1").text

    assert "did not match" in page
    assert "mine: prompt" in page
    assert "understood as" in page


def test_the_page_of_an_exchange_says_what_an_exchange_file_lacked(
    browser: httpx.Client, services: Services
) -> None:
    documents: list[dict[str, Any]] = [
        {"name": "far", "match": {"contains": "rain", "turn": 2, "model": "another"}, "reply": "x"},
        {"name": "near", "match": {"contains": "weather"}, "reply": "x"},
        {
            "name": "thinker",
            "match": {"contains": "weather", "tools": ["web_search"], "thinking": True},
            "reply": "x",
        },
    ]
    services.sessions.use_exchanges([parse_exchange(json.dumps(each).encode(), "") for each in documents])
    ask(browser, "The weather", tools=[{"type": "web_search"}])

    page = unescape(browser.get("/_mock/console/exchanges/default/1").text)

    lines = [each for each in re.findall(r"<dd>(.*?)</dd>", page) if ": expected" in each]
    assert lines[:2] == [
        "near: tools: expected [], as match does not name it, got ['web_search']",
        "thinker: thinking: expected True, got False",
    ]
    assert lines[2].startswith("far: ")


def test_the_page_of_an_exchange_says_what_was_ignored_and_why(browser: httpx.Client) -> None:
    ask(browser, metadata={"a": "b"})

    page = unescape(browser.get("/_mock/console/exchanges/default/1").text)

    assert "metadata: Qwen Responses API, January to March 2026 does not support it and ignores it" in page


@pytest.mark.slow
def test_the_library_of_the_page_is_the_locked_one(tmp_path: Path) -> None:
    require_program("npm")
    root = Path(__file__).parent.parent.parent.parent

    subprocess.run(["make", "console", f"CONSOLE={tmp_path}"], cwd=root, check=True, capture_output=True)

    static = root / "mockserver" / "server" / "console" / "static"
    assert (tmp_path / "preact.js").read_bytes() == (static / "preact.js").read_bytes()


def test_the_server_answers_while_it_renders_a_page(
    browser: httpx.Client, stranger: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendering, answered = threading.Event(), threading.Event()

    def render_slowly(*arguments: Any) -> bytes:
        rendering.set()
        assert answered.wait(60)
        return render_entry_page(*arguments)

    monkeypatch.setattr(handlers, "render_entry_page", render_slowly)
    ask(stranger)
    with ThreadPoolExecutor() as background:
        page = background.submit(browser.get, "/_mock/console/exchanges/default/1", timeout=120)
        assert rendering.wait(60)
        assert ask(stranger).status_code == 200
        answered.set()
        assert "understood as" in page.result().text


@pytest.mark.parametrize(
    ("module", "function", "path"),
    [
        (exchange_pages, "incoming_request", "exchanges/default/1"),
        (copied_requests, "incoming_request", "exchanges/default/1/pytest"),
        (handlers, "catalogue", "sessions/default"),
    ],
    ids=["page", "snippet", "panels"],
)
def test_requests_are_read_beside_the_event_loop(
    browser: httpx.Client, monkeypatch: pytest.MonkeyPatch, module: ModuleType, function: str, path: str
) -> None:
    ask(browser)
    threads, original = set(), getattr(module, function)

    def call(*arguments: Any) -> Any:
        threads.add(threading.current_thread().name)
        return original(*arguments)

    monkeypatch.setattr(module, function, call)
    assert browser.get(f"/_mock/console/{path}").status_code == 200
    assert threads
    assert "mockserver" not in threads


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/responses", {"input": "Hi", "instructions": "Explain the delta of a river."}),
        ("/compatible-mode/v1/chat/completions", {"messages": [{"role": "user", "content": "Hi"}]}),
    ],
)
def test_the_first_token_is_the_first_text(
    browser: httpx.Client, stranger: httpx.Client, services: Services, path: str, body: dict[str, Any]
) -> None:
    services.default_session.clock = SystemClock()
    services.default_session.delivery = Delivery(pace="model:300,500")
    reply = stranger.post(
        path, json={"model": MODEL, "stream": True, **body}, headers={"authorization": f"Bearer {KEY}"}
    )
    assert reply.status_code == 200

    page = browser.get("/_mock/console/exchanges/default/1").text

    (milliseconds,) = re.findall(r"<dt>first token</dt><dd>([0-9.]+) ms after the request</dd>", page)
    assert float(milliseconds) > 100  # the pace counts from the first byte of the request
    assert re.search(r"<dt>speed</dt><dd>[0-9,.]+ tokens per second", page)


@pytest.mark.parametrize("number", ["0", "2", "x", "9" * 40])
def test_an_unknown_exchange_is_not_found(browser: httpx.Client, number: str) -> None:
    ask(browser)

    page = browser.get(f"/_mock/console/exchanges/default/{number}")
    assert page.status_code == 404
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "it keeps the last 1,000 requests of a session" in page.text
    assert browser.get(f"/_mock/console/exchanges/default/{number}/curl").status_code == 404
    assert browser.get(f"/_mock/console/exchanges/nowhere/{number}").status_code == 404


def snippet(browser: httpx.Client, form: str, number: int = 1) -> str:
    reply = browser.get(f"/_mock/console/exchanges/default/{number}/{form}")
    assert reply.status_code == 200, reply.text
    return reply.text


HOSTILE = "It's \"quoted\" $(touch x) `id` \\ \n {x!r} ' \u202e é"


@pytest.mark.parametrize("prompt", [HOSTILE, f"{HOSTILE}\nEND\n" * 3000])
def test_a_copied_curl_command_sends_the_same_request(
    browser: httpx.Client, services: Services, prompt: str
) -> None:
    ask(browser, prompt, metadata={"note": "a'b"})
    command = snippet(browser, "curl")

    subprocess.run(
        ["bash"],
        input=command.encode(),
        check=True,
        env={"DASHSCOPE_API_KEY": KEY, "PATH": "/usr/bin:/bin"},
        capture_output=True,
    )

    first, second = services.default_session.journal
    assert first.json == second.json
    assert KEY not in command


@pytest.mark.parametrize("form", ["python", "node"])
def test_a_copied_script_sends_the_same_request(
    browser: httpx.Client, services: Services, form: str, tmp_path: Path
) -> None:
    ask(browser, HOSTILE, stream=True)
    file = tmp_path / {"python": "ask.py", "node": "ask.mjs"}[form]
    file.write_text(snippet(browser, form), encoding="utf-8")
    program = sys.executable if form == "python" else "node"

    ran = subprocess.run(
        [program, file],
        env={"DASHSCOPE_API_KEY": KEY, "PATH": "/usr/bin:/bin:/usr/local/bin"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert "response.completed" in ran.stdout
    first, second = services.default_session.journal
    assert first.json == second.json


@pytest.mark.slow
@pytest.mark.parametrize("content", slow_except({HOSTILE}, ["Hello!", HOSTILE]))
@pytest.mark.parametrize("stream", slow_except({True}, [False, True]))
def test_a_copied_test_passes(
    browser: httpx.Client, pytester: pytest.Pytester, content: str, stream: bool
) -> None:
    ask(browser, content, stream=stream)
    pytester.makepyfile(test_copied=snippet(browser, "pytest"))

    run_pytest_process(pytester).assert_outcomes(passed=1)


@pytest.mark.slow
def test_a_copied_test_calls_the_function(browser: httpx.Client, pytester: pytest.Pytester) -> None:
    tool = {
        "type": "function",
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    }
    ask(browser, "What is the weather? Use get_weather", tools=[tool])
    text = snippet(browser, "pytest")
    pytester.makepyfile(test_copied=text)

    assert "FunctionCall('get_weather'" in text
    run_pytest_process(pytester).assert_outcomes(passed=1)


def test_a_copied_exchange_answers_the_same(browser: httpx.Client, tmp_path: Path) -> None:
    text = ask(browser, "Hello!").json()["output"][0]["content"][0]["text"]
    (tmp_path / "copied.json").write_text(snippet(browser, "exchange"), encoding="utf-8")

    checked = run_program([sys.executable, "-m", "mockserver", "exchanges", "check", tmp_path])

    assert checked.returncode == 0, checked.stderr
    stub = json.loads((tmp_path / "copied.json").read_text(encoding="utf-8"))
    assert stub["reply"]["script"]["items"] == [{"type": "message", "text": text}]


FUNCTION = {"type": "function", "name": "f", "parameters": {"type": "object"}}
#: Stubs and the requests that they answer; without a stub the server answers by itself.
COPIED: list[tuple[Any, dict[str, Any]]] = [
    ("Hello from a stub", {"input": "A text"}),
    ("Hello from a stub", {"input": "A text, with a tool", "tools": [{"type": "web_search"}]}),
    ({"error": "rate-429"}, {"input": "An error"}),
    ({"text": "Cut off", "fault": "cut-after,after=2"}, {"input": "A fault", "stream": True}),
    ({"text": "Once upon a", "incomplete": True}, {"input": "An incomplete reply"}),
    ([{"reasoning": "Hm."}, {"type": "web_search"}, "Found."], {"input": "Items", "stream": True}),
    (
        {"function_call": {"name": "f", "arguments": "{"}, "invalid": True},
        {"input": "Broken", "tools": [FUNCTION]},
    ),
    ({"body": {"object": "response", "output": []}, "invalid": True}, {"input": "A body"}),
    (None, {"input": "A request that is invalid", "temperature": 9}),
    (None, {"input": "A call", "tools": [FUNCTION]}),
    (None, {"input": [{"role": "user", "content": "A list"}], "stream": True}),
]


@pytest.fixture
def copied(browser: httpx.Client, services: Services) -> list[dict[str, Any]]:
    """The bodies of requests that the console can copy; the last continues the first."""
    bodies = []
    first = ""
    for reply, members in [*COPIED, ("Again.", {"input": "The next turn"})]:
        if reply is not None:
            browser.post("/_mock/stubs", json={"reply": reply}, headers=CHANGE)
        body = {"model": MODEL, **members}
        if members["input"] == "The next turn":
            body["previous_response_id"] = first
        with suppress(httpx.RemoteProtocolError):
            sent = browser.post("/v1/responses", json=body, headers={"authorization": f"Bearer {KEY}"})
            first = first or sent.json()["id"]
        bodies.append(body)
    assert len(services.default_session.journal) == len(bodies)
    return bodies


@pytest.mark.slow
def test_copied_tests_pass_whatever_the_reply_was(
    browser: httpx.Client, pytester: pytest.Pytester, copied: list[dict[str, Any]], services: Services
) -> None:
    chat = {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}]}
    later = {"model": "qwen3.7-plus", "input": "Hi"}
    browser.put("/_mock/sessions/later", json={"profile": "qwen-2026-09"}, headers=CHANGE)
    for path, body in (
        ("/compatible-mode/v1/chat/completions", chat),
        ("/compatible-mode/v1/chat/completions", {**chat, "stream": True}),
        ("/s/later/compatible-mode/v1/responses", later),
    ):
        sent = browser.post(path, json=body, headers={"authorization": f"Bearer {KEY}"})
        assert sent.status_code == 200, sent.text
    numbers = range(1, len(services.default_session.journal) + 1)
    files = {f"test_copied_{number}": snippet(browser, "pytest", number) for number in numbers}
    files["test_later"] = browser.get("/_mock/console/exchanges/later/1/pytest").text
    pytester.makepyfile(**files)

    run_pytest_process(pytester).assert_outcomes(passed=len(files))


def test_copied_exchanges_give_the_same_answers(
    browser: httpx.Client, tmp_path: Path, copied: list[dict[str, Any]], services: Services
) -> None:
    def without_ids(text: str) -> str:
        return re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|call_[0-9a-f]+|\d{10}", "*", text)

    sent = [b"".join(each.reply).decode() for each in services.default_session.journal]
    for number in range(1, len(copied) + 1):
        (tmp_path / f"{number:02}.json").write_text(snippet(browser, "exchange", number), encoding="utf-8")

    with MockServer(exchanges=tmp_path, model=MODEL) as server, server.httpx() as client:
        for body, reply in zip(copied, sent, strict=True):
            if "previous_response_id" in body:
                continue
            with suppress(httpx.RemoteProtocolError):
                client.post("/responses", json=body)
            again = server.journal.last
            assert without_ids(b"".join(again.reply).decode()) == without_ids(reply), body
            assert "temperature" in body or again.exchange == f"request_{len(server.journal)}"


def test_a_server_without_a_console_has_no_such_path(stranger: httpx.Client) -> None:
    services = Services(default_session=open_session(profile="qwen-2026-01"))
    server = ThreadedServer(App(services))
    server.start()
    try:
        assert httpx.get(f"{server.url}/_mock/console", trust_env=False).status_code == 404
        assert httpx.get(f"{server.url}/_mock/stubs", trust_env=False).status_code == 404
    finally:
        server.stop()


def test_tokens_are_in_no_repr_and_no_log(services: Services) -> None:
    assert services.console is not None
    token = services.console.link("").partition("token=")[2]

    assert token not in repr(services)
    assert token not in repr(services.console)
    assert token in services.secrets  # so that it is redacted


@contextmanager
def console_link(*arguments: str) -> Iterator[str]:
    """The link that a running command prints."""
    command = [sys.executable, "-m", "mockserver", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield next(line.split()[-1] for line in process.stdout if "token=" in line)
        finally:
            process.terminate()


def test_serve_prints_the_link() -> None:
    with (
        console_link("serve", "--port", "0", "--console") as link,
        httpx.Client(trust_env=False, follow_redirects=True) as client,
    ):
        assert "Mock server console" in client.get(link).text


def test_run_prints_the_link(tmp_path: Path) -> None:
    script = "import os, time, pathlib; [time.sleep(0.05) for _ in range(6000) if not pathlib.Path('end').exists()]"
    process = subprocess.Popen(
        [sys.executable, "-m", "mockserver", "run", "--console", "--", sys.executable, "-c", script],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    try:
        assert process.stderr is not None
        link = process.stderr.readline().split()[-1]
        with httpx.Client(trust_env=False, follow_redirects=True) as client:
            assert "Mock server console" in client.get(link).text
    finally:
        (tmp_path / "end").touch()
        process.communicate()


def test_the_console_of_replay_shows_and_changes_nothing(browser: httpx.Client, tmp_path: Path) -> None:
    ask(browser, "Hello!")
    text = browser.get("/_mock/console/exchanges/default/1/exchange").text
    recording = json.loads(text)
    recording["reply"] = {
        "http": {
            "status": 200,
            "headers": {"content-type": "application/json"},
            "chunks": [{"text": ask(browser).text}],
        }
    }
    (tmp_path / "one.json").write_text(json.dumps(recording), encoding="utf-8")
    with (
        console_link("replay", str(tmp_path), "--port", "0", "--console") as link,
        httpx.Client(trust_env=False, follow_redirects=True) as client,
    ):
        page = client.get(link)
        assert "Mock server console" in page.text
        client.base_url = page.url.copy_with(raw_path=b"/")
        path = "/api/v2/apps/protocols/compatible-mode/v1/responses"
        assert ask(client, "Hello!", path=path).status_code == 200
        row = read_feed(client, "rows")[-1][1][0]
        assert row["prompt"] == "Hello!"
        assert client.get(f"/_mock/console/exchanges/{row['session']}/{row['number']}").status_code == 200
        assert client.get("/_mock/console/sessions/default").json()["can_change"] is False
        for method, change in (("POST", "/_mock/reset"), ("PUT", "/_mock/console/sessions/default")):
            assert client.request(method, change, json={}, headers=CHANGE).status_code in (401, 404)


def test_the_console_of_record_shows_what_was_recorded(server: ThreadedServer, tmp_path: Path) -> None:
    path = "/api/v2/apps/protocols/compatible-mode/v1"
    upstream = ("--upstream", f"{server.url}{path}", "--allow-http", "127.0.0.1", "--out", str(tmp_path))
    with (
        console_link("record", *upstream, "--port", "0", "--console") as link,
        httpx.Client(trust_env=False, follow_redirects=True) as client,
    ):
        client.base_url = client.get(link).url.copy_with(raw_path=b"/")
        assert ask(client, "Hello!", path=f"{path}/responses", stream=True).status_code == 200
        row = read_feed(client, "rows")[-1][1][0]
        page = client.get(f"/_mock/console/exchanges/{row['session']}/{row['number']}").text

    assert (row["prompt"], row["status"], row["stream"]) == ("Hello!", 200, True)
    assert "Timeline" in page
    assert KEY not in page


@pytest.mark.parametrize(
    ("name", "status", "text"),
    [
        ("SEQ-003", 200, load_rules()["SEQ-003"].statement),
        ("LIV-001", 200, "mockserver verify"),
        ("SEQ-3", 404, "did you mean"),
        ("%3Cscript%3E", 404, "There is no rule"),
    ],
)
def test_rules_are_explained_without_the_cookie(
    stranger: httpx.Client, name: str, status: int, text: str
) -> None:
    # A link in a sandboxed frame does not send it.
    reply = stranger.get(f"/_mock/console/rules/{name}")
    assert (reply.status_code, text in unescape(reply.text)) == (status, True)
    assert status != 200 or "sandbox" in reply.headers["content-security-policy"]
