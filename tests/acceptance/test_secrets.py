"""No secret in any output: a canary in each place that can hold one, through every command and report."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.conftest import MODEL, server_environment
from tests.acceptance.test_record import folder_bytes, running_command
from tests.acceptance.test_run import client_arguments
from tests.pytest_runs import ONLY_THIS_PLUGIN, ONLY_THIS_PLUGIN_ENVIRONMENT

pytestmark = [pytest.mark.acceptance, pytest.mark.slow]

#: The endpoint's key: it looks like no key, so that only its value gives it away.
KEY = "canary-of-endpoint-4f1d2c7b9e"
RELAY_KEY = "relay-of-client-0011223344"
SETTINGS = '[tool.mockserver]\nmask = ["/metadata/user", "regex:CARD-[0-9]{8}"]\n'

TOOL: dict[str, Any] = {
    "type": "mcp",
    "server_protocol": "sse",
    "server_label": "docs",
    "server_url": "https://canary-user:canary-password@mcp.example.com/sse?some=canary-server-url-01&x=canary-server-url-02",
    "headers": {"Authorization": "Bearer canary-mcp-bearer-03", "X-Team": "canary-mcp-header-04"},
    "authorization": "canary-mcp-authorization-05",
}
URL = "https://bucket.example.com/a.png?size=3&"
PARTS: list[dict[str, Any]] = [
    {"type": "input_text", "text": f"Read {URL}access_token=canary-in-text-06 for CARD-12345678."},
    {"type": "input_image", "image_url": f"{URL}OSSAccessKeyId=canary-oss-id-07&Signature=canary-oss-sig-08"},
    {"type": "input_file", "file_url": f"{URL}X-Amz-Credential=canary-s3-id-09&X-Amz-Signature=canary-s3-sig-10"},
    {"type": "input_audio", "audio_url": f"{URL}token=canary-audio-token-11"},
    {"type": "input_video", "video_url": f"{URL}sig=canary-video-sig-12"},
    {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo="},
]  # fmt: skip
METADATA: dict[str, Any] = {"user": "canary-masked-user-13", "team": "blue"}
VALID: dict[str, Any] = {
    "model": MODEL,
    "input": [{"role": "user", "content": PARTS}],
    "tools": [TOOL],
    "metadata": METADATA,
}
#: Requests whose findings quote the value at each place.
INVALID: list[dict[str, Any]] = [
    {**VALID, "tools": [{**TOOL, "headers": {"X-Bad": ["canary-bad-header-14"]}}]},
    {**VALID, "tools": [{**TOOL, "headers": "X-Bad: canary-bad-header-15"}]},
    {**VALID, "tools": {**TOOL, "authorization": ["canary-bad-auth-16"]}},
    {**VALID, "tools": [{**TOOL, "server_url": ["https://h/?key=canary-bad-url-17"]}]},
    {**VALID, "tools": [{**TOOL, "server_label": [TOOL["authorization"]]}]},
    {**VALID, "input": [{"role": "user", "content": [{"type": "nothing", "image_url": PARTS[1]["image_url"]}]}]},
    {**VALID, "input": [{"role": "nobody", "content": PARTS}]},
    {**VALID, "metadata": {"user": ["canary-masked-user-18"]}},
    {**VALID, "stream": TOOL["headers"], "temperature": f"{URL}token=canary-temperature-19"},
]  # fmt: skip
REQUESTS = [VALID, {**VALID, "stream": True}, *INVALID]
CANARIES = (b"canary", b"CARD-1234")


def assert_no_canary(*outputs: bytes | str, allowed: tuple[str, ...] = ()) -> None:
    for output in outputs:
        data = output.encode() if isinstance(output, str) else output
        for each in allowed:
            data = data.replace(each.encode(), b"")
        for canary in CANARIES:
            at = data.find(canary)
            assert at < 0, data[max(0, at - 300) : at + 60]


def mockserver(folder: Path, *arguments: str | Path, **env: str) -> subprocess.CompletedProcess[bytes]:
    folder.mkdir(exist_ok=True)
    (folder / "pyproject.toml").write_text(SETTINGS)
    done = subprocess.run(
        [sys.executable, "-m", "mockserver", *map(str, arguments)],
        cwd=folder,
        env=server_environment(**env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=600,
        check=False,
    )
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    return done


def request_files(folder: Path) -> list[Path]:
    """Each request, and a stream and a response that echo one."""
    folder.mkdir(exist_ok=True)
    echo = {"id": "resp_1", "object": "response", **VALID, "output": 7}
    contents = [json.dumps(each) for each in REQUESTS]
    contents.append(json.dumps(echo))
    contents.append(f"event: x\ndata: {json.dumps({'type': 'response.created', 'response': echo})}\n\n")
    contents.append(json.dumps({"model": MODEL, "metadata": METADATA, "messages": [{"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": PARTS[1]["image_url"]}}]}]}))  # fmt: skip
    contents.append(json.dumps({"request": VALID, "match": {}, "reply": {"body": echo}}))
    contents.append("{" + json.dumps(VALID))
    files = [folder / f"file-{number}.json" for number in range(len(contents))]
    for file, text in zip(files, contents, strict=True):
        file.write_text(text)
    return files


@pytest.mark.parametrize("style", ["text", "json", "github", "junit", "html"])
def test_check_prints_none(style: str, tmp_path: Path) -> None:
    files = request_files(tmp_path / "files")
    done = mockserver(tmp_path, "check", "--format", style, "--report", f"{style}=report", *files)
    assert done.returncode == 1
    assert len(done.stdout) > 1000
    assert_no_canary(done.stdout, done.stderr, (tmp_path / "report").read_bytes())


def test_run_prints_none(tmp_path: Path) -> None:
    (tmp_path / "requests.json").write_text(json.dumps(REQUESTS))
    client = "\nfor each in json.load(open('requests.json')):\n    ask(**{k: v for k, v in each.items()})\n"
    reports = [f"{style}={style}.out" for style in ("text", "json", "github", "junit", "html")]
    options = [word for each in reports for word in ("--report", each)]
    done = mockserver(tmp_path, "run", *options, *client_arguments(client.replace('"model"', "'model'")))
    assert done.returncode == 1, done.stderr
    outputs = [(tmp_path / each.partition("=")[2]).read_bytes() for each in reports]
    assert all(len(each) > 500 for each in outputs)
    assert_no_canary(done.stdout, done.stderr, *outputs)


def test_serve_prints_none(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(SETTINGS)
    command = ("serve", "--admin", "--admin-token-env", "T")
    with running_command(tmp_path / "serve", *command, program=IN_PARENT, T=ADMIN_TOKEN) as server:
        root = server.root_url
        for each in REQUESTS:
            server.client.post("/responses?api_key=canary-in-query-20", json=each)
        server.client.post("/responses", content=b"{" + json.dumps(VALID).encode())
        journal = httpx.get(
            f"{root}/_mock/journal", headers={"x-mock-admin-token": "t" * 20}, trust_env=False
        )
        assert journal.status_code == 200
    shown = [each for each in journal.json()["entries"] if "masked" in str(each)]
    assert len(shown) > len(REQUESTS) - 2
    assert_no_canary(journal.text, server.stdout_text, server.stderr_text)


ADMIN_TOKEN = "t" * 20
IN_PARENT = ("-c", "import os; os.chdir('..'); from mockserver.cli import main; main()")
ECHOES: list[dict[str, Any]] = [
    {"match": {"prompt": "Which key?"}, "reply": f"It is {KEY}, so it is {KEY}!"},
    {
        "match": {"prompt": "Which call?"},
        "reply": {"script": {"items": [
            {"type": "function_call", "name": "look_up", "arguments": json.dumps({"key": KEY})}]}},
    },
    {"match": {"prompt": "Which error?"}, "reply": {"error": {"status": 400, "code": "Bad", "message": f"No {KEY}"}}},
]  # fmt: skip


def test_near_misses_show_no_short_masked_text(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.mockserver]\nmask = ["/input", "/instructions"]\n')
    (tmp_path / "exchanges").mkdir()
    (tmp_path / "exchanges" / "one.json").write_text('{"match": {"contains": "weather"}, "reply": "Fine"}')
    reports = [word for style in ("text", "json", "html") for word in ("--report", f"{style}={style}.out")]
    options = ("--strict", "--exchanges", "exchanges", "--admin", "--admin-token-env", "T", "--verbose")
    body = {"model": MODEL, "input": "Zoe Q", "instructions": "Be Zoë"}
    stub = {"match": {"instructions": "weather"}, "reply": "Fine"}
    with running_command(
        tmp_path / "serve", "serve", *options, *reports, program=IN_PARENT, T=ADMIN_TOKEN
    ) as server:
        admin = {"x-mock-admin-token": ADMIN_TOKEN}
        for _ in range(2):
            assert server.client.post("/responses", json=body).status_code == 400
            httpx.post(f"{server.root_url}/_mock/stubs", headers=admin, json=stub, trust_env=False)
        journal = httpx.get(f"{server.root_url}/_mock/journal", headers=admin, trust_env=False).text
    outputs = [(tmp_path / f"{style}.out").read_text() for style in ("text", "json", "html")]
    assert "No stub matches this request." in journal
    for each in (journal, server.stdout_text, server.stderr_text, *outputs):
        assert "Zo" not in each


def _console_outputs(root: str, link: str, sessions: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """(path, text) of everything that the console shows of these sessions, except stubs as they were written."""
    with httpx.Client(base_url=root, trust_env=False, follow_redirects=True, timeout=60) as browser:
        yield link, browser.get(link).text
        for session in sessions:
            yield "state", browser.get(f"/_mock/console/sessions/{session}").text
            rows = _feed_rows(browser, session, len(INVALID))
            yield "feed", json.dumps(rows)
            for row in rows:
                page = f"/_mock/console/exchanges/{session}/{row['number']}"
                for path in (
                    page,
                    *(f"{page}/{form}" for form in ("curl", "exchange", "pytest", "python", "node")),
                ):
                    reply = browser.get(path)
                    assert reply.status_code == 200 or path != page
                    yield path, reply.text


def _feed_rows(browser: httpx.Client, session: str, count: int) -> list[dict[str, Any]]:
    """The rows of a session, as soon as the feed has so many; a recorder adds them when they are checked."""
    rows: list[dict[str, Any]] = []
    with browser.stream("GET", "/_mock/console/feed") as reply:
        event = ""
        for line in reply.iter_lines():
            name, _, value = line.partition(": ")
            event = value if name == "event" else event
            if name == "data" and event == "rows":
                rows += [each for each in json.loads(value) if each["session"] == session]
                if len(rows) > count:
                    return rows
    raise AssertionError(f"the feed has only {len(rows)} rows")


def _console_link(output: str) -> str:
    return next(word for word in output.split() if "/_mock/console?token=" in word)


def test_console_admin_api_and_reports_of_serve_show_none(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(SETTINGS)
    (tmp_path / "exchanges").mkdir()
    for number, echo in enumerate(ECHOES):
        (tmp_path / "exchanges" / f"{number}.json").write_text(json.dumps({"name": f"echo-{number}", **echo}))
    styles = ("text", "json", "github", "junit", "html")
    reports = [word for style in styles for word in ("--report", f"{style}={style}.out")]
    options = ("--console", "--admin", "--admin-token-env", "T", "--api-key-env", "K", "--verbose")
    command = ("serve", *options, "--exchanges", "exchanges", *reports)
    prompts = [{"model": MODEL, "input": each["match"]["prompt"]} for each in ECHOES]
    bodies = [*REQUESTS, *prompts, *({**each, "stream": True} for each in prompts)]
    with running_command(tmp_path / "serve", *command, program=IN_PARENT, T=ADMIN_TOKEN, K=KEY) as server:
        root, head = server.root_url, {"x-mock-admin-token": ADMIN_TOKEN}
        with httpx.Client(base_url=root, headers=head, trust_env=False, timeout=60) as admin:
            assert admin.put("/_mock/sessions/other", json={}).status_code in (200, 201)
            keys = {
                "authorization": f"Bearer {KEY}",
                "x-gateway": "canary-in-header-25",
                "cookie": "a=canary-cookie",
            }
            for prefix in ("", "/s/other"):
                base = server.base_url.replace(root, root + prefix)
                for body in bodies:
                    server.client.post(
                        f"{base}/responses?api_key=canary-in-query-20", json=body, headers=keys
                    )
                chat = {"model": MODEL, "messages": [{"role": "user", "content": "Which key?"}]}
                for stream in (False, True):
                    url = f"{root}{prefix}/compatible-mode/v1/chat/completions"
                    reply = server.client.post(url, json={**chat, "stream": stream}, headers=keys)
                    assert reply.status_code == 200
                wrong = {**keys, "authorization": "Bearer canary-wrong-key-26"}
                assert server.client.post(f"{base}/responses", json=VALID, headers=wrong).status_code == 401
            outputs = [*_console_outputs(root, _console_link(server.stdout_text), ("default", "other"))]
            sessions = ("/_mock/sessions/default", "/_mock/sessions/other")
            lists = ("/_mock/sessions", "/_mock/stubs", "/_mock/faults", "/_mock/clock")
            paths = (*lists, *sessions, *(f"{each}/verdict" for each in sessions))
            outputs += [(path, admin.get(path).text) for path in paths]
            for session in ("default", "other"):
                journal = admin.get("/_mock/journal?limit=1000", headers={"x-mock-session": session})
                assert len(journal.json()["entries"]) > len(bodies)
                outputs.append(("journal", journal.text))
    outputs += [(style, (tmp_path / f"{style}.out").read_text()) for style in styles]
    assert all(text for _, text in outputs)
    assert_no_canary(*(text for _, text in outputs), server.stdout_text, server.stderr_text)


def test_drafts_have_none(tmp_path: Path) -> None:
    (tmp_path / "curl").write_text(f"curl https://h/v1/responses -H 'X: canary' -d '{json.dumps(VALID)}'")
    har = {"log": {"entries": [{
        "request": {"method": "POST", "url": "https://h/v1/responses?key=canary-21",
                    "headers": [{"name": "x", "value": "canary"}], "postData": {"text": json.dumps(VALID)}},
        "response": {"status": 200, "headers": [], "content": {
            "mimeType": "application/json", "text": json.dumps({"object": "response", **VALID})}},
    }, {"request": {"method": "GET", "url": "https://canary-u:canary-p@h/v1?key=canary-22"}}]}}  # fmt: skip
    (tmp_path / "har").write_text(json.dumps(har))
    for source in ("curl", "har"):
        done = mockserver(tmp_path, "exchanges", "new", source)
        assert done.returncode == 0, done.stderr
        assert_no_canary(done.stdout, done.stderr)
    bad = tmp_path / "bad"
    bad.mkdir()
    exchange = {"name": "a", "request": {"tools": TOOL}, "match": {"json_subset": VALID["tools"]}, "reply": 7}
    (bad / "a.json").write_text(json.dumps(exchange))
    done = mockserver(tmp_path, "exchanges", "check", "bad")
    assert done.returncode == 1
    assert_no_canary(done.stdout, done.stderr)


def test_fuzz_prints_and_saves_none(tmp_path: Path) -> None:
    (tmp_path / "request.json").write_text(json.dumps(INVALID[1]))
    client = "\nbody = json.load(open('request.json'))\nask(**body)\n"
    client += "print(json.dumps(body), file=sys.stderr)\nsys.exit(1)\n"
    done = mockserver(tmp_path, "fuzz", "--examples", "3", "--seed", "1", *client_arguments(client))
    assert done.returncode == 1, done.stderr
    (tmp_path / "request.json").unlink()
    assert_no_canary(done.stdout, done.stderr, folder_bytes(tmp_path / ".mockserver"))


PYTEST_FILE = f"""
import json, urllib.request
REQUESTS = json.loads({json.dumps(json.dumps(REQUESTS))})

def test_all(responses_server):
    for each in REQUESTS:
        responses_server.httpx().post("/responses", json=each)
"""


def run_pytest(folder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[bytes]:
    (folder / "pyproject.toml").write_text(SETTINGS)
    command = [sys.executable, "-m", "pytest", *ONLY_THIS_PLUGIN, "-p", "no:cacheprovider", "--tb=no"]
    env = {**ONLY_THIS_PLUGIN_ENVIRONMENT, **env}
    return subprocess.run(
        [*command, *arguments],
        cwd=folder,
        env=server_environment(**env),
        capture_output=True,
        timeout=600,
        check=False,
    )


def test_pytest_prints_none(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(PYTEST_FILE)
    done = run_pytest(tmp_path, "--responses-report", "report.json", "--responses-html", "report.html")
    assert b"Contract violation" in done.stdout, done.stdout.decode()
    reports = [(tmp_path / name).read_bytes() for name in ("report.json", "report.html")]
    assert_no_canary(done.stdout, done.stderr, *reports)


class _Echo(BaseHTTPRequestHandler):
    """An endpoint that echoes requests, and the key in headers, in escapes, over chunks and over deltas."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        size = int(self.headers["content-length"] or 0)
        data = self.rfile.read(size)
        try:
            body = json.loads(data)
        except ValueError:
            body = {}
        key = (self.headers["authorization"] or "").removeprefix("Bearer ") or "none"
        stream = body.get("stream") is True
        self.send_response(200 if stream or "tools" in body else 400)
        self.send_header("content-type", "text/event-stream" if stream else "application/json")
        self.send_header("x-request-id", key)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        escaped = "".join(f"\\u{ord(each):04x}" for each in key)
        echo = {
            "id": "resp_1",
            "object": "response",
            "created_at": 1,
            "status": "completed",
            **body,
            "output": [],
        }
        if stream:
            deltas = [key[at : at + 3] for at in range(0, len(key), 3)]
            events: list[Any] = [{"type": "response.created", "sequence_number": 0, "response": echo}]
            events += [{"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": each}
                       for each in deltas]  # fmt: skip
            events.append({"type": "response.completed", "response": {**echo, "note": f"it is {key}!"}})
            text = "".join(f"event: {each['type']}\ndata: {json.dumps(each)}\n\n" for each in events)
        else:
            text = json.dumps({**echo, "error": {"code": "x", "message": f"wrong key {key}"}})
            text = text[:-1] + f', "escaped": "{escaped}"}}'
        for at in range(0, len(text), 7):
            piece = text[at : at + 7].encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    do_GET = do_DELETE = do_POST  # noqa: N815 (the base class calls these names)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def echo_url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Echo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/compatible-mode/v1"
        server.shutdown()


def _recorded_deltas(recording: Path) -> str:
    chunks = json.loads(recording.read_bytes())["reply"]["http"]["chunks"]
    return _joined_deltas("".join(each.get("text", "") for each in chunks))


def _joined_deltas(stream: str) -> str:
    """The deltas of a stream as one text."""
    lines = stream.split("\n")
    return "".join(json.loads(line[6:]).get("delta", "") for line in lines if line.startswith("data: "))


@pytest.mark.parametrize("holds_key", [False, True], ids=["client has the key", "recorder has the key"])
def test_recordings_replays_and_their_comparison_have_none(
    holds_key: bool, echo_url: str, tmp_path: Path
) -> None:
    recordings = tmp_path / "recordings"
    options = ("--upstream-key-env", "UP", "--api-key", RELAY_KEY) if holds_key else ()
    masks = ("--mask", "/metadata/user", "--mask", "regex:CARD-[0-9]{8}")
    command = ("record", "--upstream", echo_url, "--out", recordings, "--console", *masks, *options)
    with running_command(tmp_path / "record", *command, UP=KEY) as server:
        server.client.headers["authorization"] = f"Bearer {RELAY_KEY if holds_key else KEY}"
        replies = [server.client.post("/responses", json=each) for each in REQUESTS]
        server.client.get("/responses/resp_1?token=canary-in-query-23")
        shown = [*_console_outputs(server.root_url, _console_link(server.stdout_text), ("default",))]
    whole = b"".join(each.content for each in replies)
    assert (KEY.encode() in whole) is not holds_key
    assert (KEY in _joined_deltas(replies[1].text)) is not holds_key
    assert b"canary-mcp-bearer-03" in whole  # what the client receives is not masked
    files = [*recordings.glob("*.json")]
    assert len(files) > len(REQUESTS) / 2
    assert_no_canary(folder_bytes(recordings), server.stdout_text, server.stderr_text)
    assert_no_canary(*(text for _, text in shown))
    assert RELAY_KEY.encode() not in folder_bytes(recordings)
    rejoined = "".join(map(_recorded_deltas, files))
    assert rejoined
    assert_no_canary(rejoined)
    with running_command(tmp_path / "replay", "replay", recordings, "--console", *masks) as replay:
        answers = [replay.client.post("/responses", json=each) for each in REQUESTS]
        misses = [replay.client.post("/responses", json={**each, "user": "x"}) for each in REQUESTS]
        shown = [*_console_outputs(replay.root_url, _console_link(replay.stdout_text), ("default",))]
    assert {each.status_code for each in answers} <= {200, 400}
    assert sum(each.status_code == 200 for each in answers) > 5
    assert_no_canary(*(text for _, text in shown))
    assert_no_canary(*(each.content for each in misses), replay.stdout_text, replay.stderr_text)
    (tmp_path / "other").mkdir()
    for file in files[:3]:
        text = file.read_text().replace('"completed"', '"canary-status-24"')
        (tmp_path / "other" / file.name).write_text(text)
    for style in ("text", "json"):
        done = mockserver(tmp_path / "diff", "diff", "--format", style, recordings, tmp_path / "other")
        assert done.returncode in (0, 1), done.stderr
        assert_no_canary(done.stdout, done.stderr, allowed=("canary-status-24",))
    checked = mockserver(tmp_path / "check", "check", "--report", "html=report.html", *files)
    assert_no_canary(checked.stdout, (tmp_path / "check" / "report.html").read_bytes())


def test_verify_prints_none(echo_url: str, tmp_path: Path) -> None:
    styles = ("text", "json", "junit", "markdown", "html")
    reports = [word for style in styles for word in ("--report", f"{style}={style}.out")]
    where = ("--base-url", echo_url, "--api-key-env", "UP", "--profile", "qwen-2026-01")
    done = mockserver(tmp_path, "verify", *where, *reports, UP=KEY)
    assert done.returncode == 1, done.stderr
    assert b"UP" in done.stdout
    assert_no_canary(
        done.stdout, done.stderr, *((tmp_path / f"{style}.out").read_bytes() for style in styles)
    )


def test_serve_with_a_fallback_shows_none(echo_url: str, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(SETTINGS)
    styles = ("text", "json", "github", "junit", "html")
    reports = [word for style in styles for word in ("--report", f"{style}={style}.out")]
    options = ("--fallback", echo_url, "--upstream-key-env", "UP", "--api-key", RELAY_KEY, "--metrics")
    admin = ("--admin", "--admin-token-env", "T", "--verbose")
    command = ("serve", *options, *admin, *reports)
    with running_command(tmp_path / "serve", *command, program=IN_PARENT, UP=KEY, T=ADMIN_TOKEN) as server:
        server.client.headers["authorization"] = f"Bearer {RELAY_KEY}"
        replies = [
            server.client.post("/responses?api_key=canary-in-query-20", json=each) for each in REQUESTS
        ]
        head = {"x-mock-admin-token": ADMIN_TOKEN}
        journal = httpx.get(f"{server.root_url}/_mock/journal?limit=1000", headers=head, trust_env=False)
        metrics = httpx.get(f"{server.root_url}/metrics", trust_env=False)
    assert (journal.status_code, metrics.status_code) == (200, 200)
    whole = b"".join(each.content for each in replies)
    assert b"canary-mcp-bearer-03" in whole  # what the client receives is not masked
    assert KEY.encode() not in whole
    outputs = [(tmp_path / f"{style}.out").read_text() for style in styles]
    for each in (journal.text, metrics.text, server.stdout_text, server.stderr_text, *outputs):
        assert_no_canary(each)
        assert RELAY_KEY not in each


def test_live_tests_print_and_record_none(echo_url: str, tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(PYTEST_FILE)
    live = ("--responses-live", "--responses-live-url", echo_url, "--responses-live-profile", "qwen-2026-01")
    files = ("--responses-report", "report.json", "--responses-html", "report.html")
    done = run_pytest(tmp_path, *live, *files, "--responses-live-api-key-env", "UP", UP=KEY)
    assert b"1 failed" in done.stdout, done.stdout.decode()
    reports = [(tmp_path / name).read_bytes() for name in ("report.json", "report.html")]
    assert_no_canary(done.stdout, done.stderr, *reports)


@pytest.mark.parametrize("command", ["record", "verify", "pytest"])
def test_a_short_key_is_refused_with_the_reason(command: str, echo_url: str, tmp_path: Path) -> None:
    if command == "pytest":
        (tmp_path / "test_it.py").write_text(PYTEST_FILE)
        live = ("--responses-live", "--responses-live-url", echo_url, "--responses-live-api-key-env", "UP")
        output = run_pytest(tmp_path, *live, UP="token")
    elif command == "record":
        output = mockserver(
            tmp_path, "record", "--upstream", echo_url, "--out", "out", "--upstream-key-env", "UP", UP="token"
        )
    else:
        output = mockserver(tmp_path, "verify", "--base-url", echo_url, "--api-key-env", "UP", UP="token")
    assert b"UP is shorter than 8 characters" in output.stdout + output.stderr
    assert output.returncode != 0


def test_a_short_key_of_a_client_is_refused_and_changes_nothing(echo_url: str, tmp_path: Path) -> None:
    with running_command(
        tmp_path / "record", "record", "--upstream", echo_url, "--out", tmp_path / "out"
    ) as server:
        server.client.headers["authorization"] = "Bearer token"
        reply = server.client.post("/responses", json=VALID)
    assert reply.status_code == 401
    assert "shorter than 8 characters" in reply.text
    assert [*(tmp_path / "out").glob("*.json")] == []


def test_a_mask_that_is_added_later_loses_no_recording(echo_url: str, tmp_path: Path) -> None:
    recordings = tmp_path / "recordings"
    with running_command(
        tmp_path / "record", "record", "--upstream", echo_url, "--out", recordings
    ) as server:
        first = server.client.post("/responses", json=VALID)
    other = {**VALID, "metadata": {**METADATA, "user": "another-user"}}
    for masks, status in (((), 400), (("--mask", "/metadata/user"), 200)):
        with running_command(tmp_path / f"replay{status}", "replay", recordings, *masks) as replay:
            reply = replay.client.post("/responses", json=other)
            assert reply.status_code == status
    assert len(reply.content) == len(first.content)
