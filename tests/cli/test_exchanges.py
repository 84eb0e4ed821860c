"""`mockserver exchanges`: files checked as the server would, and drafted from what is at hand."""

from __future__ import annotations

import base64
import json
import sys
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any

import pytest

from mockserver.testing.mock import MockServer
from tests.cli.conftest import RunCli

KEY = "sk-0123456789abcdef0123456789abcdef"
CURL = f"""curl -X POST https://example.com/v1/responses \\
  -H "Authorization: Bearer {KEY}" -H "Content-Type: application/json" \\
  -d '{{"model": "qwen3-max-2026-01-23", "input": "Hello!", "tools": [{{"type": "web_search"}}]}}'
"""


def ask(server: MockServer, content: str, **members: Any) -> Any:
    with server.httpx() as client:
        return client.post("/responses", json={"model": server.model, "input": content, **members})


def set_stdin(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(data)))


def test_a_curl_command_becomes_an_exchange_that_is_served(
    run_cli: RunCli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    set_stdin(monkeypatch, CURL.encode())
    code, out, err = run_cli("exchanges", "new", "--name", "hello", "--out", "out")
    assert (code, out, err) == (0, "out/hello.json\n", "")
    text = (tmp_path / "out" / "hello.json").read_text()
    assert KEY not in text
    assert run_cli("exchanges", "check", "out") == (0, "out: 1 exchange, all valid\n", "")
    with MockServer(exchanges=tmp_path / "out") as server:
        assert "Write the reply" in ask(server, "Hello!", tools=[{"type": "web_search"}]).text


def test_a_recorded_stream_becomes_an_exchange_with_the_same_bytes(
    run_cli: RunCli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with MockServer(seed=9, strict=False) as server:
        recorded = ask(server, "Hello!", stream=True).content
    set_stdin(monkeypatch, recorded)
    code, out, _ = run_cli("exchanges", "new", "--prompt", "Hello!")
    assert code == 0
    (tmp_path / "new.json").write_text(out)
    with MockServer(exchanges=tmp_path) as server:
        reply = ask(server, "Hello!", stream=True)
        assert reply.content == recorded
        assert server.journal.last.exchange == "new"


def test_a_har_file_becomes_one_exchange_per_call(run_cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    body = {"model": "qwen3-max-2026-01-23", "input": [{"role": "user", "content": "Hi"}]}
    call = {
        "request": {
            "method": "POST",
            "url": "https://example.com/v1/responses?x=1",
            "headers": [{"name": "authorization", "value": f"Bearer {KEY}"}],
            "postData": {"text": json.dumps(body)},
        },
        "response": {
            "status": 429,
            "content": {"mimeType": "application/json", "text": f'{{"message":"{KEY}"}}'},
        },
    }
    other = {"request": {"method": "GET", "url": "https://example.com/"}, "response": {}}
    set_stdin(monkeypatch, json.dumps({"log": {"entries": [other, call, call]}}).encode())
    code, out, _ = run_cli("exchanges", "new", "--name", "har")
    assert code == 0
    assert KEY not in out
    assert [name in out for name in ('"har"', '"har-2"', '"prompt": "Hi"', '"status": 429')] == [True] * 4


@pytest.mark.parametrize(
    "line",
    [
        """curl https://x/v1/responses -d'{"model": "m", "input": "It\\u0027s me"}'""",
        """curl 'https://x/v1/responses' --data-raw $'{"model": "m", "input": "It\\'s me"}'""",
        """curl 'https://x' \\\n --data-raw $'{"model": "m", "input": "It\\u0027s me"}' --compressed""",
        """curl --json "{\\"model\\": \\"m\\", \\"input\\": \\"It's me\\"}" https://x/v1/responses""",
    ],
)
def test_curl_quoting(line: str, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    set_stdin(monkeypatch, line.encode())
    code, out, err = run_cli("exchanges", "new")
    assert (code, err) == (0, "")
    assert json.loads(out)["match"] == {"prompt": "It's me", "stream": False}


def test_a_har_file_can_have_bodies_in_base64(run_cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    def entries(content: object) -> bytes:
        request = {"method": "POST", "url": "https://x/v1/responses", "postData": {"text": '{"input":"Hi"}'}}
        entry = {"request": request, "response": {"status": 200, "content": content}}
        return json.dumps({"log": {"entries": [entry]}}).encode()

    text = base64.b64encode("data: é\n\n".encode()).decode()
    set_stdin(monkeypatch, entries({"mimeType": "text/event-stream", "encoding": "base64", "text": text}))
    _, out, _ = run_cli("exchanges", "new")
    assert json.loads(out)["reply"]["http"]["chunks"] == [{"text": "data: é\n\n"}]


REQUEST = {
    "method": "POST",
    "url": "https://user:pass@example.com/v1/responses?key=quiet-secret",
    "postData": {"text": '{"model":"qwen3-max-2026-01-23","input":"Hi"}'},
}
DEEP = '{"input":' + "[" * 99 + "]" * 99 + "}"
STREAM = "event: response.created\ndata: {}\n\n"


def content(text: Any, kind: str = "application/json", **members: Any) -> dict[str, Any]:
    return {"status": 200, "content": {"mimeType": kind, "text": text, **members}}


LEFT_OUT: dict[str, tuple[Any, Any, str]] = {
    "no text, as browsers save streams": (
        REQUEST,
        {"status": 200, "content": {"mimeType": "text/event-stream", "size": 512}},
        "the file has no body of the reply (content.text), as browsers save streams; record it instead",
    ),
    "empty text": (REQUEST, content(""), "the file has no body of the reply (content.text)"),
    "text of another type": (REQUEST, content(7), "the file has no body of the reply (content.text)"),
    "comments alone": (
        REQUEST,
        content(": ping\n\n", "text/event-stream"),
        "the reply is a stream without server-sent events",
    ),
    "half an event": (
        REQUEST,
        content("data: {", "text/event-stream; charset=utf-8"),
        "the reply is a stream without server-sent events",
    ),
    "broken base64": (REQUEST, content("é", encoding="base64"), "(content.text) is not base64"),
    "base64 of bytes": (REQUEST, content("/w==", encoding="base64"), "the body of the reply is not UTF-8"),
    "blocked": (REQUEST, {"status": 0, "content": {}}, "it has no reply (status 0): the request was blocked"),
    "no status": (REQUEST, {"content": {"text": "{}"}}, "it has no reply (status 0)"),
    "status of another type": (REQUEST, {"status": "200"}, "it has no reply (status 0)"),
    "no response": (REQUEST, None, "it has no reply (status 0)"),
    "pre-flight": ({**REQUEST, "method": "OPTIONS"}, content("{}"), "not a POST to …/responses"),
    "another path": ({**REQUEST, "url": "https://example.com/v1/models"}, content("{}"), "not a POST to"),
    "no body": ({**REQUEST, "postData": None}, content("{}"), "the file has no body of the request"),
    "a form": ({**REQUEST, "postData": {"text": "a=b"}}, content("{}"), "the request body is not JSON"),
    "a list": (
        {**REQUEST, "postData": {"text": "[]"}},
        content("{}"),
        "the request body is not a JSON object",
    ),
    "no request": (None, content("{}"), "not a POST to …/responses"),
    "nothing": ("", "", "not a POST to …/responses"),
    "invalid as an exchange": (
        {**REQUEST, "postData": {"text": DEEP}},
        content("{}"),
        "not JSON: more than 100 levels deep",
    ),
}


@pytest.mark.parametrize("case", LEFT_OUT)
def test_a_har_entry_is_used_or_named(
    case: str, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    request, response, reason = LEFT_OUT[case]
    good = {"request": REQUEST, "response": content(STREAM, "text/event-stream")}
    odd = {"request": request, "response": response}
    set_stdin(monkeypatch, json.dumps({"log": {"entries": [good, odd, good]}}).encode())
    code, out, err = run_cli("exchanges", "new", "--name", "har", "--out", ".")
    assert (code, out) == (0, "har.json\nhar-2.json\n"), err
    (line,) = err.splitlines()
    assert line.startswith("mockserver: left out: entry 1, ")
    assert reason in line
    assert "quiet-secret" not in line
    assert "pass" not in line
    if isinstance(request, dict):
        assert f"{request['method']} https://example.com/v1/" in line
    assert run_cli("exchanges", "check", ".")[0] == 0
    set_stdin(monkeypatch, json.dumps({"log": {"entries": [odd]}}).encode())
    code, out, err = run_cli("exchanges", "new")
    assert (code, out) == (2, "")
    assert err.splitlines()[0].startswith("mockserver: found no request")
    assert reason in err


@pytest.mark.parametrize(
    "members",
    [
        {"input": 7},
        {"input": [7, {"role": "user"}]},
        {"tools": 7},
        {"input": [{"role": "user", "type": "compaction"}]},
    ],
)
def test_an_invalid_request_is_drafted_as_it_is(
    members: dict[str, Any], run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = {**REQUEST, "postData": {"text": json.dumps(members)}}
    entry = {"request": request, "response": {**content("{}"), "status": 400}}
    set_stdin(monkeypatch, json.dumps({"log": {"entries": [entry]}}).encode())
    code, out, err = run_cli("exchanges", "new")
    assert (code, err) == (0, "")
    assert json.loads(out)["request"] == members


@pytest.mark.parametrize("odd", [None, 7, "entry", [], {}])
def test_anything_can_be_an_entry(odd: Any, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    good = {"request": REQUEST, "response": content("{}")}
    set_stdin(monkeypatch, json.dumps({"log": {"entries": [odd, good]}}).encode())
    code, out, err = run_cli("exchanges", "new")
    assert (code, json.loads(out)["match"]) == (0, {"prompt": "Hi", "stream": False})
    assert err.startswith("mockserver: left out: entry 0, ")


ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"]
MARKS = {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}


def saved_as(encoding: str, text: str) -> bytes:
    """The bytes of a file as a program on Windows saves it."""
    newline = "\n" if encoding.startswith("utf-8") else "\r\n"
    return MARKS.get(encoding, b"") + text.replace("\n", newline).encode(encoding)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_files_of_windows_programs_are_read(
    encoding: str, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    har = json.dumps({"log": {"entries": [{"request": REQUEST, "response": content('{"a":"é"}')}]}}, indent=1)
    for source in (har, CURL, STREAM):
        set_stdin(monkeypatch, saved_as(encoding, source))
        code, out, err = run_cli("exchanges", "new")
        assert (code, err) == (0, "")
        (tmp_path / "saved.json").write_bytes(saved_as(encoding, out))
        assert run_cli("exchanges", "check", ".") == (0, ".: 1 exchange, all valid\n", "")
    assert json.loads(out)["reply"]["http"]["chunks"] == [{"text": STREAM}]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n", "without server-sent events"),
        (b": ping\n\n", "without server-sent events"),
        (b"<html>502</html>", "without server-sent events"),
        (b'data: {"a": "\xff"}\n\n', "is not UTF-8"),
        (b"\xff\xfe\x00", "is not UTF-8"),
    ],
)
def test_no_reply_is_drafted_from_nothing(
    data: bytes, message: str, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_stdin(monkeypatch, data)
    code, out, err = run_cli("exchanges", "new")
    assert (code, out) == (2, "")
    assert message in err


def test_the_status_of_the_reply_is_kept(run_cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    body = b'{"code":"limit_requests","message":"m","request_id":"r"}'
    for data, status in ((b"HTTP/1.1 429 Too Many Requests\r\n\r\n" + body, 429), (body, 400)):
        set_stdin(monkeypatch, data)
        _, out, _ = run_cli("exchanges", "new")
        assert json.loads(out)["reply"]["http"]["status"] == status


@pytest.mark.parametrize("name", ["../x", "/etc/x", "", ".x", "a/b", "x" * 101, "a\nb"])
def test_hostile_names_are_refused(
    name: str, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    set_stdin(monkeypatch, CURL.encode())
    code, out, err = run_cli("exchanges", "new", "--name", name, "--out", ".")
    assert (code, out) == (2, "")
    assert "is not a valid name" in err
    file = {"format": 1, "name": name, "match": {}, "reply": {"script": {"items": []}}}
    (tmp_path / "it.json").write_text(json.dumps(file))
    code, _, err = run_cli("exchanges", "check", ".")
    assert code == 1
    assert "it.json#/name" in err


def test_existing_files_and_links_are_not_overwritten(
    run_cli: RunCli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    target = tmp_path / "mine"
    (tmp_path / "new.json").symlink_to(target)
    set_stdin(monkeypatch, CURL.encode())
    code, _, err = run_cli("exchanges", "new", "--out", ".")
    assert code == 1
    assert "cannot write new.json" in err
    assert not target.exists()


@pytest.mark.parametrize(
    "data", ["", "curl", "curl -d '{'", "curl -d '[1]'", "curl 'x", '{"log":{"entries":[]}}', "x"]
)
def test_unusable_input_exits_with_2(data: str, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    set_stdin(monkeypatch, data.encode())
    code, out, err = run_cli("exchanges", "new")
    assert (code, out) == (2, "")
    assert err.startswith("mockserver: ")


def test_an_invalid_delivery_is_reported_with_its_pointer(run_cli: RunCli, tmp_path: Path) -> None:
    file = {
        "format": 1,
        "name": "it",
        "match": {},
        "reply": {"script": {"items": []}},
        "delivery": {"pace": "fast"},
    }
    (tmp_path / "it.json").write_text(json.dumps(file))
    code, _, err = run_cli("exchanges", "check", ".")
    assert code == 1
    assert "it.json#/delivery/pace: pace must be none" in err


def test_every_problem_has_a_line_of_its_own(run_cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"match": {"promt": "x"}, "reply": {"txt": "x"}}')
    (tmp_path / "b.json").write_text('[{"reply": ["x", {"tpye": "message"}]}]')
    for command in (("exchanges", "check", "."), ("serve", "--exchanges", ".", "--port", "0")):
        code, _, err = run_cli(*command)
        assert code != 0
        lines = err.removeprefix("mockserver: ").splitlines()
        for place, suggestion in (
            ("a.json#/match: ", "did you mean 'prompt'?"),
            ("a.json#/reply: ", "did you mean 'text'?"),
            ("b.json#/0/reply/1: ", "did you mean 'type'?"),
        ):
            assert any(place in each and suggestion in each for each in lines), (place, lines)
