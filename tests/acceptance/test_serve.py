"""`mockserver serve` from the outside: banner, options, errors, log, shutdown and settings."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import httpx
import pytest

import mockserver
from tests.acceptance.conftest import (
    MODEL,
    ROOT,
    ServerProcess,
    StartServer,
    isolated_environment,
    require_program,
    server_environment,
    wait_until,
)
from tests.marks import slow_except
from tests.programs import run_program

pytestmark = pytest.mark.acceptance

BASE_PATH = "/api/v2/apps/protocols/compatible-mode/v1"
INTRODUCTION = "Hello, please introduce yourself in one sentence."
ESSAY = "Please briefly introduce artificial intelligence."
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"

#: Printable, and nothing in it tells that it is a key.
CANARY_KEY = "canary.4d0f1c66e2b84e7f"

RunServe = Callable[..., subprocess.CompletedProcess[str]]


def assert_one_line(text: str) -> None:
    assert len(text.splitlines()) == 1, text
    assert text.startswith("mockserver: "), text


def assert_refused(response: httpx.Response, status: int, code: str) -> dict[str, str]:
    """Assert an error in the flat envelope with the header's request id; returns its body."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    body: dict[str, str] = response.json()
    assert set(body) == {"code", "message", "request_id"}
    assert body["code"] == code
    assert body["message"]
    assert re.fullmatch(UUID, body["request_id"])
    assert response.headers["x-request-id"] == body["request_id"]
    return body


def run_bash(line: str, **env: str) -> str:
    """Run a line in bash and return what it prints."""
    require_program("curl")
    done = run_program([require_program("bash"), "-c", line], env=isolated_environment(**env))
    assert done.returncode == 0, done.stderr
    return done.stdout


def lines_containing(text: str, word: str) -> list[str]:
    return [line for line in text.splitlines() if word in line]


# Startup banner


@pytest.mark.parametrize(
    ("rendering", "described"),
    [("wire", "as the service sends it"), ("documented", "as the documentation prints it")],
)
def test_banner_shows_base_url_and_rendering(
    start_server: StartServer, rendering: str, described: str
) -> None:
    server = start_server("--rendering", rendering)

    # The banner comes before the URL file, and is flushed although standard output is not a terminal.
    assert server.base_url.endswith(BASE_PATH)
    assert lines_containing(server.stdout_text, "base URL") == [f"  base URL   {server.base_url}"]
    assert lines_containing(server.stdout_text, "rendering") == [f"  rendering  {rendering}: {described}"]
    assert f"export OPENAI_BASE_URL={server.base_url}" in server.stdout_text
    assert "export DASHSCOPE_API_KEY=sk-mock" in server.stdout_text
    assert server.stderr_text == ""


def test_curl_line_works_as_printed(server: ServerProcess) -> None:
    (line,) = lines_containing(server.stdout_text, "curl ")

    assert json.loads(run_bash(line))["output"][0]["content"][0]["text"].startswith("Hello! I am Qwen")


@pytest.mark.parametrize(
    ("options", "environment"),
    [
        (["--api-key-env", "TEAM_KEY"], {"TEAM_KEY": CANARY_KEY}),
        (
            ["--api-key-env", "TEAM_KEY", "--api-key-env", "OTHER_KEY"],
            {"TEAM_KEY": CANARY_KEY, "OTHER_KEY": "x-other"},
        ),
        (["--api-key", CANARY_KEY], {}),
    ],
    ids=["variable", "two variables", "option"],
)
def test_curl_line_works_with_keys_and_no_key_is_printed(
    start_server: StartServer, options: list[str], environment: dict[str, str]
) -> None:
    server = start_server(*options, env=environment)
    (line,) = lines_containing(server.stdout_text, "curl ")
    pasted = environment or {"DASHSCOPE_API_KEY": CANARY_KEY}

    assert json.loads(run_bash(line, **pasted))["status"] == "completed"
    assert json.loads(run_bash(line, **dict.fromkeys(pasted, "wrong")))["code"] == "InvalidApiKey"
    assert CANARY_KEY not in server.stdout_text + server.stderr_text
    assert "x-other" not in server.stdout_text + server.stderr_text


@pytest.mark.parametrize("with_key", [False, True])
def test_export_lines_work_as_printed(start_server: StartServer, with_key: bool) -> None:
    server = (
        start_server("--api-key-env", "TEAM_KEY", env={"TEAM_KEY": CANARY_KEY})
        if with_key
        else start_server()
    )
    exports = "\n".join(lines_containing(server.stdout_text, "export "))
    ask = (
        f"""curl -s "$OPENAI_BASE_URL/responses" -H "Authorization: Bearer $OPENAI_API_KEY" """
        f"""-d '{{"model": "{MODEL}", "input": "Hello!"}}' -H 'Content-Type: application/json'"""
    )

    printed = run_bash(f"{exports}\n{ask}", **({"TEAM_KEY": CANARY_KEY} if with_key else {}))

    assert json.loads(printed)["status"] == "completed"


def test_url_file_is_complete_and_leaves_no_other_files(server: ServerProcess) -> None:
    assert sorted(file.name for file in server.stdout_file.parent.iterdir()) == ["stderr", "stdout", "url"]
    assert re.fullmatch(rf"http://127\.0\.0\.1:[1-9]\d*{BASE_PATH}", server.base_url)


def test_servers_on_port_0_are_separate(start_server: StartServer) -> None:
    one, other = start_server(), start_server()

    assert one.address[1] != other.address[1]
    assert one.create("Hello!").json()["id"] != other.create("Hello!").json()["id"]


# Unusable options


def test_port_in_use_is_one_line(run_serve: RunServe) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = run_serve("--port", str(taken.getsockname()[1]))

    assert (done.returncode, done.stdout) == (1, "")
    assert_one_line(done.stderr)
    assert "--port" in done.stderr


def test_port_of_a_server_is_in_use(server: ServerProcess, run_serve: RunServe) -> None:
    done = run_serve("--port", str(server.address[1]))

    assert (done.returncode, done.stdout) == (1, "")
    assert_one_line(done.stderr)
    assert server.create("Hello!").status_code == 200


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--profile", "qwen-2031-01"], ["qwen-2031-01", "qwen-2026-01"]),
        (["--rendering", "handwritten"], ["handwritten", "wire", "documented"]),
        (["--api-key-env", "NOT_SET"], ["NOT_SET"]),
        (["--api-key", "clé"], ["key"]),
        (["--host", "0.0.0.0"], ["0.0.0.0", "--api-key"]),  # must not start
        (["--host", "::"], ["::", "--api-key"]),
        (["--host", "192.0.2.1"], ["192.0.2.1", "--api-key"]),
    ],
    ids=lambda each: each[-1] if isinstance(each, list) and each[0].startswith("--") else "",
)
def test_unusable_options_are_one_line(run_serve: RunServe, options: list[str], named: list[str]) -> None:
    done = run_serve("--port", "0", *options)

    assert (done.returncode, done.stdout) == (2, "")
    assert_one_line(done.stderr)
    for word in named:
        assert word in done.stderr
    assert "clé" not in done.stderr


@pytest.mark.parametrize(
    "options",
    [["--port", "65536"], ["--port", "http"], ["--store-size", "0"], ["--max-body", "0"], ["--nope"]],
)
def test_malformed_options_are_refused(run_serve: RunServe, options: list[str]) -> None:
    done = run_serve(*options)

    assert (done.returncode, done.stdout) == (2, "")
    assert options[0] in done.stderr
    assert "Traceback" not in done.stderr


def test_unwritable_url_file_is_one_line(run_serve: RunServe, tmp_path: Path) -> None:
    done = run_serve("--port", "0", "--url-file", tmp_path / "missing" / "url")

    assert done.returncode != 0
    assert_one_line(done.stderr)


def test_beyond_loopback_with_a_key(start_server: StartServer) -> None:
    server = start_server(
        "--host", "0.0.0.0", "--api-key-env", "TEAM_KEY", env={"TEAM_KEY": CANARY_KEY}, key=CANARY_KEY
    )

    assert server.create("Hello!").status_code == 200
    assert_refused(httpx.post(server.base_url + "/responses", json={}, trust_env=False), 401, "InvalidApiKey")


# Shutdown

SLOW_PROMPT = "Slowly, please."


def connect(server: ServerProcess) -> socket.socket:
    return socket.create_connection(server.address, timeout=60)


def request_bytes(server: ServerProcess, body: bytes, length: int | None = None) -> bytes:
    """The bytes of a create request; a `length` beyond the body's makes it incomplete."""
    head = (
        f"POST {BASE_PATH}/responses HTTP/1.1\r\nHost: {server.address[0]}\r\n"
        "Authorization: Bearer sk-test\r\n"
        f"Content-Type: application/json\r\nContent-Length: {length or len(body)}\r\n\r\n"
    )
    return head.encode() + body


def send_partial_request(server: ServerProcess) -> socket.socket:
    """A client that sends less than its content length."""
    client = connect(server)
    client.sendall(request_bytes(server, b"{", length=1000))
    return client


def open_keep_alive(server: ServerProcess) -> socket.socket:
    """A client that has its reply and keeps the connection open."""
    client = connect(server)
    client.sendall(f"GET /health HTTP/1.1\r\nHost: {server.address[0]}\r\n\r\n".encode())
    assert client.recv(65536).startswith(b"HTTP/1.1 200")
    return client


@pytest.fixture
def start_pausing_server(
    start_server: StartServer, server: ServerProcess, tmp_path: Path
) -> Callable[[int], ServerProcess]:
    """Start a server that pauses for some milliseconds in its stream for SLOW_PROMPT."""

    def run(milliseconds: int) -> ServerProcess:
        frames = server.create(ESSAY, stream=True).text.split("\n\n")
        first, rest = "\n\n".join(frames[:5]) + "\n\n", "\n\n".join(frames[5:])
        chunks = [{"text": first}, {"at_ms": milliseconds, "text": rest}]
        headers = {"content-type": "text/event-stream"}
        reply = {"http": {"status": 200, "headers": headers, "chunks": chunks}}
        exchange = {"format": 1, "name": "slowly", "match": {"prompt": SLOW_PROMPT}, "reply": reply}
        folder = tmp_path / "exchanges"
        folder.mkdir()
        (folder / "slowly.json").write_text(json.dumps(exchange))
        return start_server("--exchanges", folder)

    return run


def open_stream(server: ServerProcess) -> socket.socket:
    """A client in the middle of a stream."""
    client = connect(server)
    body = {"model": MODEL, "input": SLOW_PROMPT, "stream": True}
    client.sendall(request_bytes(server, json.dumps(body).encode()))
    received = b""
    while b"event:response.output_text.delta" not in received:
        received += client.recv(65536)
    assert received.startswith(b"HTTP/1.1 200")
    return client


def read_rest(client: socket.socket) -> bytes:
    """Read until the connection closes or a chunked body ends."""
    received = b""
    try:
        while not received.endswith(b"\r\n0\r\n\r\n") and (piece := client.recv(1 << 20)):
            received += piece
    except ConnectionResetError:
        pass
    return received


@pytest.mark.parametrize("number", slow_except({signal.SIGTERM}, [signal.SIGINT, signal.SIGTERM]))
def test_signal_stops_it_while_a_stream_is_open(
    start_pausing_server: Callable[[int], ServerProcess], number: int
) -> None:
    server = start_pausing_server(600_000)
    with (
        closing(open_stream(server)) as client,
        closing(send_partial_request(server)),
        closing(open_keep_alive(server)),
    ):
        assert server.stop(number) == 0

        assert b"response.completed" not in read_rest(client), "the stream had ended before the signal came"
    assert "Traceback" not in server.stderr_text
    assert "error" not in server.stderr_text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("client", [None, open_keep_alive])
def test_signal_stops_an_idle_server(
    server: ServerProcess, client: Callable[[ServerProcess], socket.socket] | None, number: int
) -> None:
    connection = client(server) if client else connect(server)
    with closing(connection):
        assert server.stop(number) == 0


def test_second_signal_stops_it(start_pausing_server: Callable[[int], ServerProcess]) -> None:
    server = start_pausing_server(600_000)
    with closing(open_stream(server)):
        server.process.send_signal(signal.SIGINT)
        wait_until(lambda: refuses_connections(server), "the listening socket's end")
        assert server.stop(signal.SIGINT) == 0


def test_reply_under_way_is_finished_before_the_end(
    start_pausing_server: Callable[[int], ServerProcess],
) -> None:
    server = start_pausing_server(1000)
    with closing(open_stream(server)) as client:
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: refuses_connections(server), "the listening socket's end")
        received = read_rest(client)

    assert received.endswith(b"\r\n0\r\n\r\n")
    assert received.count(b"\nevent:response.completed\n") == 1
    assert server.process.wait(60) == 0


def refuses_connections(server: ServerProcess) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(server.address) != 0


# Hosts and keys


def ask_with_host(
    server: ServerProcess,
    *hosts: str,
    path: str = BASE_PATH + "/responses",
    method: str = "POST",
    key: str = "sk-test",
) -> httpx.Response:
    """The reply to a request with exactly these `Host` headers."""
    client = http.client.HTTPConnection(*server.address, timeout=60)
    with closing(client):
        client.putrequest(method, path, skip_host=True)
        for host in hosts:
            client.putheader("Host", host)
        client.putheader("Authorization", f"Bearer {key}")
        body = json.dumps({"model": MODEL, "input": "Hello!"}).encode() if method == "POST" else b""
        client.putheader("Content-Length", str(len(body)))
        client.endheaders(body)
        reply = client.getresponse()
        return httpx.Response(reply.status, headers=reply.getheaders(), content=reply.read())


OTHER_HOSTS = [
    "evil.example",
    "",
    "localhost:80@evil",
    "localhost.evil.example",
    "evil.example:80",
    "127.0.0.1.evil",
    "[::2]",
]


@pytest.mark.parametrize("path", [BASE_PATH + "/responses", "/openapi.json", "/nothing"])
def test_other_hosts_are_refused(server: ServerProcess, path: str) -> None:
    method = "GET" if path == "/openapi.json" else "POST"
    for host in OTHER_HOSTS:
        assert_refused(ask_with_host(server, host, path=path, method=method), 403, "AccessDenied")
    assert_refused(ask_with_host(server, path=path, method=method), 403, "AccessDenied")


def test_loopback_hosts_are_served(server: ServerProcess) -> None:
    port = server.address[1]
    for host in (
        "localhost",
        "LOCALHOST",
        f"localhost:{port}",
        "127.0.0.1",
        f"127.0.0.1:{port}",
        f"[::1]:{port}",
    ):
        assert ask_with_host(server, host).status_code == 200, host


def test_allowed_host_is_served(start_server: StartServer) -> None:
    server = start_server("--allow-host", "mock.test", "--allow-host", "Other.Test")

    for host in ("mock.test", "MOCK.test:8080", "other.test", "localhost"):
        assert ask_with_host(server, host).status_code == 200, host
    assert_refused(ask_with_host(server, "evil.example"), 403, "AccessDenied")
    assert_refused(ask_with_host(server, "x.mock.test"), 403, "AccessDenied")


def test_page_of_another_site_is_refused(server: ServerProcess) -> None:
    for origin in ("https://evil.example", "null", "http://localhost.evil.example"):
        assert_refused(
            server.client.get(server.root_url + "/health", headers={"origin": origin}), 403, "AccessDenied"
        )
    page = server.client.get(server.root_url + "/health", headers={"origin": "http://localhost:3000"})
    assert page.status_code == 200


def test_no_key_is_refused(server: ServerProcess) -> None:
    for authorization in (None, "", "Bearer", "Bearer ", "Basic c2stdGVzdDo=", "sk-test"):
        assert_refused(ask_with_authorization(server, authorization), 401, "InvalidApiKey")


def test_wrong_key_is_refused(start_server: StartServer) -> None:
    server = start_server("--api-key", CANARY_KEY)

    for key in (
        "wrong",
        "clé",
        "密钥",
        CANARY_KEY[:-1],
        CANARY_KEY + "x",
        CANARY_KEY.upper(),
        f"{CANARY_KEY} x",
    ):
        body = assert_refused(ask_with_authorization(server, f"Bearer {key}"), 401, "InvalidApiKey")
        assert body["message"] == "Invalid API-key provided."
    assert_refused(ask_with_authorization(server, None), 401, "InvalidApiKey")
    assert ask_with_authorization(server, f"Bearer {CANARY_KEY}").status_code == 200


def test_a_key_that_is_not_ascii_is_refused_even_if_any_key_is_accepted(server: ServerProcess) -> None:
    for key in ("clé", "密钥", "sk-\xa0"):
        assert_refused(ask_with_authorization(server, f"Bearer {key}"), 401, "InvalidApiKey")


def ask_with_authorization(server: ServerProcess, authorization: str | None) -> httpx.Response:
    """A request with exactly this `Authorization` header."""
    client = http.client.HTTPConnection(*server.address, timeout=60)
    with closing(client):
        headers = {} if authorization is None else {"Authorization": authorization.encode()}
        body = json.dumps({"model": MODEL, "input": "Hello!"})
        client.request(
            "POST", BASE_PATH + "/responses", body, {"Content-Type": "application/json", **headers}
        )
        reply = client.getresponse()
        return httpx.Response(reply.status, headers=reply.getheaders(), content=reply.read())


def test_several_keys_are_accepted(start_server: StartServer) -> None:
    server = start_server(
        "--api-key", "one", "--api-key", "two", "--api-key-env", "THREE", env={"THREE": "three"}
    )

    assert [ask_with_authorization(server, f"Bearer {key}").status_code for key in ("one", "two", "three", "four")] == [
        200, 200, 200, 401,
    ]  # fmt: skip


# All replies


def test_health_needs_no_key(start_server: StartServer) -> None:
    server = start_server("--api-key", CANARY_KEY, "--rendering", "documented")

    reply = httpx.get(server.root_url + "/health", trust_env=False)

    assert reply.status_code == 200
    assert reply.headers["content-type"] == "application/json"
    about = reply.json()
    assert about["version"] == mockserver.__version__
    assert about["token_counts"] == "estimate"
    assert (about["profile"], about["rendering"]) == ("qwen-2026-01", "documented")
    assert CANARY_KEY not in reply.text


def test_every_answer_has_a_request_id(start_server: StartServer) -> None:
    server = start_server("--max-body", "10MiB")
    client, endpoint = server.client, server.base_url + "/responses"
    large = b'{"model": "' + b"x" * (11 << 20) + b'"}'
    replies = {
        "reply": server.create("Hello!"),
        "stream": server.create("Hello!", stream=True),
        "health": client.get(server.root_url + "/health"),
        "health, head alone": client.head(server.root_url + "/health"),
        "bad request": client.post(endpoint, json={}),
        "no JSON": client.post(endpoint, content=b"{"),
        "other type": client.post(endpoint, content=b"{}", headers={"content-type": "text/plain"}),
        "no key": client.post(endpoint, json={}, headers={"authorization": ""}),
        "other host": ask_with_host(server, "evil.example"),
        "other path": client.get(server.root_url + "/nothing"),
        "other method": client.get(endpoint),
        "too large": client.post(endpoint, content=large, headers={"content-type": "application/json"}),
        "not HTTP": send_garbage(server),
    }
    without = [
        name
        for name, reply in replies.items()
        if not re.fullmatch(UUID, reply.headers.get("x-request-id", ""))
    ]
    differing = [
        name
        for name, reply in replies.items()
        if reply.status_code >= 400 and reply.json()["request_id"] != reply.headers.get("x-request-id")
    ]
    assert (without, differing) == ([], [])
    ids = [reply.headers["x-request-id"] for reply in replies.values()]
    assert len(set(ids)) == len(ids)


def send_garbage(server: ServerProcess) -> httpx.Response:
    """The reply to bytes that are not HTTP."""
    with closing(connect(server)) as client:
        client.sendall(b"What is this?\r\n\r\n")
        reply = http.client.HTTPResponse(client)
        reply.begin()
        return httpx.Response(reply.status, headers=reply.getheaders(), content=reply.read())


UNKNOWN_PATHS = [
    "/",
    "/nothing",
    BASE_PATH,
    BASE_PATH + "/",
    BASE_PATH + "/responses/",
    BASE_PATH + "/chat/completions",
    "/v1",
    "/v2/responses",
    "/%ff",
    "//v1/responses",
]


def test_unknown_path(server: ServerProcess) -> None:
    for path in UNKNOWN_PATHS:
        assert_refused(server.client.post(server.root_url + path, json={}), 404, "NotFound")
        assert_refused(server.client.get(server.root_url + path), 404, "NotFound")


def test_wrong_method_lists_allowed_methods(server: ServerProcess) -> None:
    for path in (BASE_PATH + "/responses", "/v1/responses"):
        for method in ("GET", "PUT", "PATCH", "DELETE", "OPTIONS"):
            reply = server.client.request(method, server.root_url + path)
            assert_refused(reply, 405, "InvalidParameter")
            assert reply.headers["allow"] == "POST"


def test_wrong_method_of_health(server: ServerProcess) -> None:
    reply = server.client.post(server.root_url + "/health")

    assert_refused(reply, 405, "InvalidParameter")
    assert "GET" in reply.headers["allow"]


def test_alias_answers_like_the_documented_path(server: ServerProcess) -> None:
    reply = server.client.post(
        server.root_url + "/v1/responses", json={"model": MODEL, "input": INTRODUCTION}
    )

    assert reply.json()["output"][0]["content"][0]["text"].startswith("Hello! I am Qwen")


# The log


def test_one_line_a_request(server: ServerProcess) -> None:
    server.create(ESSAY, stream=True, store=True, max_output_tokens=100, metadata=None)
    server.create("Hello!")
    server.client.post("/responses", json={"model": MODEL, "input": []})
    server.client.get(server.root_url + "/nothing")

    stream, reply, refused, missing = server.log_lines(4)
    clock = r"\d\d:\d\d:\d\d "
    assert re.fullmatch(
        rf'{clock}POST {BASE_PATH}/responses {MODEL} .Please briefly introduce[^"]*. 200 45 events ok '
        r"ignored: store, max_output_tokens",
        stream,
    )
    assert re.fullmatch(rf"{clock}POST {BASE_PATH}/responses {MODEL} .Hello!. 200 ok", reply)
    assert re.match(rf"{clock}POST {BASE_PATH}/responses .*400 [A-Z]{{3}}-\d{{3}}", refused)
    assert "input" in refused
    assert re.match(rf"{clock}GET /nothing 404 ", missing)


def test_log_shows_the_first_words_on_one_line(server: ServerProcess) -> None:
    server.create("First\nline\r\n\x1b[31mred\x1b[0m \u2028 \u202e and so on, " + "very long " * 50)

    (line,) = server.log_lines(1)
    assert line.isprintable()
    assert "First line" in line
    assert len(line) < 300


def test_refused_request_is_logged_with_its_model_and_words(server: ServerProcess) -> None:
    """The log shows which request failed."""
    server.create("Which request was it?", temperature=9)

    (line,) = server.log_lines(1)
    assert "400" in line
    assert "emperature" in line
    assert MODEL in line
    assert "Which request was it?" in line


def test_quiet_logs_nothing(start_server: StartServer) -> None:
    server = start_server("--quiet")

    assert server.create("Hello!").status_code == 200
    assert server.create("").status_code in (200, 400)
    assert server.client.get(server.root_url + "/nothing").status_code == 404
    assert server.stop() == 0
    assert server.stderr_text == ""


def test_log_that_can_not_be_written_stops_nothing(start_server: StartServer) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("there is no /dev/full")
    server = start_server(
        program=["bash", "-c", 'exec "$@" 2>/dev/full', "bash", sys.executable, "-m", "mockserver"]
    )

    assert server.create("Hello!").status_code == 200
    assert server.create("Hello!").status_code == 200


#: One that nothing tells to be a key, and one of the service's form.
KEYS = {"opaque": CANARY_KEY, "ordinary": "sk-4d0f1c66e2b84e7f4d0f1c66"}


@pytest.mark.parametrize("configured", [False, True], ids=["any key", "configured"])
@pytest.mark.parametrize("kind", KEYS)
def test_key_is_never_printed(start_server: StartServer, kind: str, configured: bool) -> None:
    key = KEYS[kind]
    options = ["--api-key", key] if configured else []
    server = start_server(*options, key=key)
    client, endpoint = server.client, server.base_url + "/responses"

    assert server.create("Hello!").status_code == 200
    assert server.create(f"My key is {key}, remember it.").status_code == 200
    assert server.create(f"My key is {key}, remember it.", stream=True).status_code == 200
    assert (
        server.create([{"role": "user", "content": [{"type": "input_text", "text": key}]}]).status_code == 200
    )
    assert server.create("Hello!", previous_response_id=key).status_code == 400
    assert server.create("Hello!", model=key).status_code == 400
    assert server.create("Hello!", **{key: 1}).status_code == 200
    assert server.create("Hello!", temperature=key).status_code == 400
    assert server.create([{"role": key, "content": "Hello!"}]).status_code == 400
    assert client.post(endpoint, content=key).status_code == 400
    assert client.post(endpoint, content="{}", headers={"content-type": f"text/{key}"}).status_code == 400
    assert (
        client.post(endpoint + f"?api_key={key}", json={"model": MODEL, "input": "Hello!"}).status_code == 200
    )
    assert client.get(server.root_url + f"/{key}").status_code == 404
    assert client.get(server.root_url + f"/v1/responses/{key}?key={key}").status_code == 404
    assert client.get(endpoint, headers={"x-api-key": key}).status_code == 405
    assert client.get(server.root_url + "/health", headers={"user-agent": key}).status_code == 200
    assert client.get(server.root_url + "/health", headers={"origin": f"https://{key}"}).status_code == 403
    assert ask_with_host(server, key, key=key).status_code == 403

    assert server.stop() == 0
    assert server.stdout_text.count(key) == 0
    assert lines_containing(server.stderr_text, key) == []


@pytest.mark.skipif(not Path("/proc/self/cmdline").is_file(), reason="the process list is read in /proc")
def test_key_given_by_a_variable_is_not_in_the_process_list(start_server: StartServer) -> None:
    server = start_server("--api-key-env", "OUR_KEY", key=CANARY_KEY, env={"OUR_KEY": CANARY_KEY})
    assert server.create("Hello!").status_code == 200
    assert CANARY_KEY.encode() not in Path(f"/proc/{server.process.pid}/cmdline").read_bytes()


@pytest.mark.parametrize("kind", KEYS)
def test_a_truncated_prompt_shows_no_part_of_a_key(start_server: StartServer, kind: str) -> None:
    key = KEYS[kind]
    server = start_server(key=key)
    for length in range(90):
        server.create("-" * length + " " + key)

    assert lines_containing("\n".join(server.log_lines(90)), key[:8]) == []


# Settings


def test_only_the_documents_model_is_accepted(server: ServerProcess) -> None:
    body = assert_refused(server.create("Hello!", model="gpt-x"), 400, "InvalidParameter")

    assert "gpt-x" in body["message"]


def test_named_models_are_accepted(start_server: StartServer) -> None:
    server = start_server("--model", "one", "--model", "two")

    assert server.create("Hello!", model="one").json()["model"] == "one"
    assert server.create("Hello!", model="two").json()["model"] == "two"
    assert_refused(server.create("Hello!"), 400, "InvalidParameter")


def test_any_model_is_accepted(start_server: StartServer) -> None:
    server = start_server("--model", "any")

    assert server.create("Hello!", model="gpt-x").json()["model"] == "gpt-x"
    assert server.create("Hello!").json()["model"] == MODEL
    assert_refused(server.create("Hello!", model=""), 400, "InvalidParameter")


def test_log_distinguishes_evicted_from_unknown_ids(start_server: StartServer) -> None:
    server = start_server("--store-size", "1")
    first, second = (
        server.create("My name is John, please remember it.").json()["id"],
        server.create("Hello!").json()["id"],
    )

    evicted = server.create("Do you remember my name?", previous_response_id=first)
    unknown = server.create("Do you remember my name?", previous_response_id="never-given")
    kept = server.create("Do you remember my name?", previous_response_id=second)

    *_, evicted_line, unknown_line, _ = server.log_lines(5)
    assert first in assert_refused(evicted, 400, "InvalidParameter")["message"]
    assert "never-given" in assert_refused(unknown, 400, "InvalidParameter")["message"]
    assert "evicted" in evicted_line
    assert "unknown" not in evicted_line
    assert "unknown" in unknown_line
    assert "evicted" not in unknown_line
    assert kept.status_code == 200


def test_context_grows_along_a_chain(server: ServerProcess) -> None:
    previous, counts = None, []
    for _ in range(4):
        reply = server.create("And then?", previous_response_id=previous).json()
        previous = reply["id"]
        counts.append(reply["usage"]["input_tokens"])

    assert counts == sorted(set(counts))


def health_rendering(server: ServerProcess) -> str:
    rendering: str = server.client.get(server.root_url + "/health").json()["rendering"]
    return rendering


def seeded_request_id(server: ServerProcess) -> str:
    return server.create("Hello!").headers["x-request-id"]


def test_settings_come_from_file_then_variables_then_options(
    start_server: StartServer, tmp_path: Path
) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.mockserver]\nrendering = "documented"\nseed = 1\n')
    seeded = {seed: seeded_request_id(start_server("--seed", seed)) for seed in ("1", "2", "3")}
    variables = {"MOCKSERVER_RENDERING": "wire", "MOCKSERVER_SEED": "2"}

    from_file = start_server(cwd=tmp_path)
    from_variables = start_server(cwd=tmp_path, env=variables)
    from_options = start_server("--rendering", "documented", "--seed", "3", cwd=tmp_path, env=variables)

    assert (health_rendering(from_file), seeded_request_id(from_file)) == ("documented", seeded["1"])
    assert (health_rendering(from_variables), seeded_request_id(from_variables)) == ("wire", seeded["2"])
    assert (health_rendering(from_options), seeded_request_id(from_options)) == ("documented", seeded["3"])


def test_every_setting_can_be_in_the_file(start_server: StartServer, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[tool.mockserver]\napi-key-env = ["TEAM_KEY"]\nmodel = ["one", "two"]\nstore-size = 1\n'
        'allow-host = ["mock.test"]\nquiet = true\nprofile = "qwen-2026-01"\nhost = "localhost"\n'
    )
    server = start_server(cwd=tmp_path, env={"TEAM_KEY": CANARY_KEY}, key=CANARY_KEY)

    assert server.create("Hello!", model="two").status_code == 200
    assert ask_with_authorization(server, "Bearer other").status_code == 401
    assert ask_with_host(server, "mock.test").status_code == 401
    assert server.stop() == 0
    assert server.stderr_text == ""


def test_every_setting_can_be_a_variable(start_server: StartServer) -> None:
    server = start_server(
        env={
            "MOCKSERVER_API_KEY": f"first-key {CANARY_KEY}",
            "MOCKSERVER_MODEL": "one two",
            "MOCKSERVER_QUIET": "1",
            "MOCKSERVER_ALLOW_HOST": "mock.test",
        },
        key=CANARY_KEY,
    )

    assert server.create("Hello!", model="two").status_code == 200
    assert ask_with_authorization(server, "Bearer other").status_code == 401
    assert ask_with_host(server, "mock.test").status_code == 401
    assert server.stop() == 0
    assert CANARY_KEY not in server.stdout_text
    assert server.stderr_text == ""


def test_port_comes_from_a_variable_unless_an_option_says_otherwise(
    run_serve: RunServe, start_server: StartServer, tmp_path: Path
) -> None:
    """The error for a port in use names the port."""
    with socket.socket() as in_file, socket.socket() as in_variable:
        for each in (in_file, in_variable):
            each.bind(("127.0.0.1", 0))
            each.listen()
        file_port, variable_port = (str(each.getsockname()[1]) for each in (in_file, in_variable))
        (tmp_path / "pyproject.toml").write_text(f"[tool.mockserver]\nport = {file_port}\n")

        assert f"port {file_port}" in run_serve().stderr
        from_variable = run_serve(MOCKSERVER_PORT=variable_port).stderr
        assert f"port {variable_port}" in from_variable
        assert (
            "note: the address to listen on is that of MOCKSERVER_PORT, which mockserver-client reads"
            in from_variable
        )
        assert "note:" not in run_serve().stderr
        server = start_server(env={"MOCKSERVER_PORT": variable_port}, cwd=tmp_path)  # with --port 0

    assert str(server.address[1]) not in (file_port, variable_port)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('[tool.mockserver]\nrendering = "nope"\n', "nope"),
        ('[tool.mockserver]\nport = "http"\n', "port"),
        (
            '[tool.mockserver]\nmodel = "any"\n',
            "pyproject.toml, [tool.mockserver]: It must be a list: model = [",
        ),
        ("[tool.mockserver]\nrenderings = 1\n", "no setting 'renderings'"),
        ("[tool.mockserver]\nport = \n", "pyproject.toml cannot be read"),
    ],
    ids=["value", "type", "no list", "unknown", "broken"],
)
def test_mistakes_in_the_project_file(run_serve: RunServe, tmp_path: Path, text: str, named: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text)

    done = run_serve()

    assert done.returncode == 2
    assert named in done.stderr
    assert "Traceback" not in done.stderr


def test_module_and_script_are_the_same_command(start_server: StartServer) -> None:
    script = Path(sys.executable).with_name("mockserver")
    if not script.exists():
        pytest.skip("the package's script is not installed beside this Python")
    module = [sys.executable, "-m", "mockserver"]

    for options in (["--version"], ["--help"], ["serve", "--help"]):
        by_script, by_module = (
            subprocess.run(
                [*command, *options], capture_output=True, text=True, timeout=300, check=True
            ).stdout
            for command in ([script], module)
        )
        assert by_module.replace("python -m mockserver", "mockserver") == by_script
    assert start_server(program=[script]).create("Hello!").status_code == 200


def test_the_server_stops_with_its_standard_input(tmp_path: Path) -> None:
    """As it does if the program that started it is killed; a signal to the server is not needed."""
    starter = (
        "import subprocess, sys, time\n"
        "command = [sys.executable, '-m', 'mockserver', 'serve', '--port', '0', '--stop-with-stdin']\n"
        "subprocess.Popen([*command, '--url-file', 'url'], stdin=subprocess.PIPE)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", starter],
        cwd=tmp_path,
        env=server_environment(PYTHONPATH=str(ROOT)),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            wait_until((tmp_path / "url").exists, "the server's URL file")
            with httpx.Client(trust_env=False) as client:
                base_url = (tmp_path / "url").read_text()
                assert client.get(httpx.URL(base_url).join("/health")).status_code == 200
                process.kill()
                assert process.stdout.read().startswith("Serving ")  # ends when the server has closed it, too
                with pytest.raises(httpx.ConnectError):
                    client.get(httpx.URL(base_url).join("/health"))
        finally:
            process.kill()


@pytest.mark.slow
def test_a_server_of_several_processes_cannot_stop_with_standard_input(run_serve: RunServe) -> None:
    refused = run_serve("--stop-with-stdin", "--workers", "2")
    assert refused.returncode == 2
    assert "--stop-with-stdin needs a server of one process" in refused.stderr
