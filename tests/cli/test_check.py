"""`mockserver check`: input, output and exit status."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema
import pytest

from mockserver import FunctionCall, MockServer, resources
from mockserver.contract.files import HEAD_BYTES
from mockserver.contract.rule_examples import load_rule_examples
from tests.contract import samples
from tests.programs import run_program

SCHEMA = json.loads((resources.data_folder("schemas") / "report.json").read_bytes())

Check = Callable[..., tuple[int, str, str]]


@pytest.fixture
def check(run_cli: Check) -> Check:
    """Run `mockserver check` in a temporary folder; returns (exit status, stdout, stderr)."""
    return partial(run_cli, "check")


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    """Write a file into that folder; returns its name."""

    def write(name: str, value: Any) -> str:
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        (tmp_path / name).write_bytes(data)
        return name

    return write


Write = Callable[..., str]


def parse_report(out: str) -> list[dict[str, Any]]:
    value: list[dict[str, Any]] = json.loads(out)
    jsonschema.Draft202012Validator(SCHEMA).validate(value)
    return value


def test_a_valid_file(check: Check, write: Write) -> None:
    code, out, err = check(write("good.sse", samples.service_frames(samples.text_stream())))
    assert (code, err) == (0, "")
    assert out.startswith("good.sse: valid (stream; qwen-2026-01, by framing")


CHAT_REQUEST = {
    "model": "qwen3-max-2026-01-23",
    "messages": [{"role": "user", "content": "Hi\u202e"}],
    "max_tokens": 5,
    "stop": "x",
    "n": 1,
    "user": "me",
}


def test_a_chat_request_is_shown_migrated(check: Check, write: Write) -> None:
    name = write("chat.json", CHAT_REQUEST)
    code, out, _ = check(name)
    assert code == 0
    assert out.startswith(
        "chat.json: valid, 1 info (chat_request; qwen-2026-01, the first profile that lists qwen3-max-2026-01-23)"
    )
    shown = out[out.index("    {") : out.index("\n  /max_tokens")]
    body = {"model": CHAT_REQUEST["model"], "input": CHAT_REQUEST["messages"], "max_output_tokens": 16}
    assert json.loads(shown) == body
    assert "\u202e" not in out
    assert "  /max_tokens becomes max_output_tokens, which qwen-2026-01 ignores." in out
    assert "  /stop has no counterpart: truncate the text yourself" in out
    assert "  /user is ignored by Chat Completions; neither API has it." in out
    assert "/n " not in out
    [report] = parse_report(check("--format", "json", name)[1])
    assert report["responses"]["body"] == body
    assert [note["member"] for note in report["responses"]["notes"]] == [
        "/max_tokens",
        "/stop",
        "/user",
        "/messages",
    ]
    assert [each["rule"] for each in report["responses"]["findings"]] == ["REQ-002"]
    github = check("--format", "github", name)[1]
    assert "::notice file=chat.json,title=Responses API::/stop has no counterpart" in github
    junit = ET.fromstring(check("--format", "junit", name)[1])  # noqa: S314
    assert "max_output_tokens" in (junit.findtext("testsuite/system-out") or "")
    page = check("--format", "html", name)[1]
    assert "Equivalent Responses request" in page
    assert "truncate the text yourself" in page


def test_an_invalid_chat_request_is_not_migrated(check: Check, write: Write) -> None:
    code, out, _ = check("--format", "json", write("chat.json", {**CHAT_REQUEST, "messages": []}))
    [report] = parse_report(out)
    assert code == 1
    assert (report["kind"], report["valid"]) == ("chat_request", False)
    assert "responses" not in report


def test_migration_follows_the_profile(check: Check, write: Write) -> None:
    name = write("chat.json", CHAT_REQUEST)
    [report] = parse_report(check("--format", "json", "--profile", "qwen-2026-09", name)[1])
    notes = {note["member"]: note["words"] for note in report["responses"]["notes"]}
    assert notes["/max_tokens"] == "becomes max_output_tokens, which is at least 16."
    assert report["responses"]["findings"] == []


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (b'{"object":"chat.completion"}', "chat_completion"),
        (b'data: {"object":"chat.completion.chunk"}\n\n', "chat_stream"),
    ],
)
def test_chat_completions_and_streams_are_checked(
    value: bytes, kind: str, check: Check, write: Write
) -> None:
    code, out, _ = check("--format", "json", write("file", value))
    [report] = parse_report(out)
    assert (code, report["kind"], report["valid"]) == (1, kind, False)
    code, out, _ = check("--format", "json", "--kind", kind, write("file", value))
    assert parse_report(out) == [report]


def test_the_first_difference_is_shown_in_place(check: Check, write: Write) -> None:
    events = samples.text_stream()
    events[7]["text"] = " word0 word! word2"
    code, out, _ = check(write("bad.json", events))
    assert code == 1
    lines = out.splitlines()
    assert lines[0].startswith("bad.json: invalid, 1 error (stream; ")
    at = lines.index("  error TXT-001 event 7 /text: is not what its deltas add up to")
    expected, got, caret = lines[at + 1 : at + 4]
    assert expected.strip() == 'expected  " word0 word1 word2"'
    assert got.strip() == 'got       " word0 word! word2"'
    column = caret.index("^")
    assert (expected[column], got[column]) == ("1", "!")
    assert lines[-1].startswith("`mockserver rules RULE`")


def test_a_long_unknown_event_type_is_reported(check: Check, write: Write) -> None:
    event = {**samples.text_stream()[0], "type": "response." + "x" * 100}
    code, out, _ = check(write("bad.json", [event]))
    assert code == 1
    assert "SEQ-004" in out


def test_repeated_findings_of_a_rule_are_folded_in_the_text(check: Check, write: Write) -> None:
    file = write("request.json", {**samples.REQUEST, "tools": [{"type": "namespace"}] * 20})
    _, out, _ = check(file, "--fail-on", "warning")
    lines = [line for line in out.splitlines() if line.startswith("  warning REQ-006")]
    assert [line.split(":")[0] for line in lines[:3]] == [
        f"  warning REQ-006 /tools/{index}/type" for index in range(3)
    ]
    assert lines[3:] == ["  warning REQ-006: and 17 more"]
    [report] = parse_report(check(file, "--format", "json")[1])
    assert len([each for each in report["findings"] if each["rule"] == "REQ-006"]) == 20
    assert "valid, 20 warnings" in out


def test_several_files_and_standard_input(
    check: Check, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = json.dumps(samples.response()).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    code, out, _ = check(write("a.json", samples.REQUEST), "-", write("b.json", b"{}"))
    assert code == 1
    heads = [line for line in out.splitlines() if ": " in line and not line.startswith(" ")]
    assert [head.split(" (")[0] for head in heads] == [
        "a.json: valid",
        "standard input: valid",
        "b.json: invalid, 1 error",
    ]


def test_fail_on(check: Check, write: Write) -> None:
    info = write("info.json", {**samples.REQUEST, "store": False})
    warning = write("warning.json", {**samples.REQUEST, "tools": [{"type": "namespace"}]})
    for file, levels in ((info, (0, 0, 1)), (warning, (0, 1, 1))):
        for level, expected in zip(("error", "warning", "info"), levels, strict=True):
            assert check(file, "--fail-on", level)[0] == expected


def test_ignore(check: Check, write: Write) -> None:
    file = write("bad.json", {**samples.response(), "usage": None})
    assert check(file)[0] == 1
    code, out, _ = check(file, "--ignore", "USE-004", "--format", "json")
    assert code == 0
    assert parse_report(out)[0]["valid"]
    assert check(file, "--ignore", "SSE-001", "--ignore", "USE-004")[0] == 0


@pytest.mark.parametrize("rule", load_rule_examples())
def test_the_json_report_matches_its_schema(rule: str, check: Check, write: Write) -> None:
    example = load_rule_examples()[rule]
    kind = ("--kind", example.kind)
    code, out, _ = check(write("x", example.data), *kind, "--format", "json", "--fail-on", "info")
    [report] = parse_report(out)
    assert list(report) == ["file", "kind", "profile", "valid", "findings"]
    assert (report["file"], report["profile"]) == ("x", example.profile)
    assert report["valid"] == (check("x", *kind)[0] == 0)
    assert code == bool(report["findings"])
    if example.request is None:
        assert rule in {finding["rule"] for finding in report["findings"]}


def test_github_annotations(check: Check, write: Write) -> None:
    file = write("a,b:%.json", {**samples.response(), "status": "x\r\n::error::y", "output": 3})
    code, out, _ = check(file, "--format", "github")
    assert code == 1
    assert [line.split("::/")[0] for line in out.splitlines()] == [
        f"::error file=a%2Cb%3A%25.json,title={rule}" for rule in ("SCH-001", "SCH-001")
    ]


def test_junit(check: Check, write: Write) -> None:
    bad = write("bad.json", {**samples.response(), "object": '<&"\x01'})
    info = write("info.json", {**samples.REQUEST, "store": False})
    _, out, _ = check(write("good.json", samples.REQUEST), bad, info, "--format", "junit")
    suites = ET.fromstring(out)  # noqa: S314 (our own output)
    assert [suite.get("failures") for suite in suites] == ["0", "1", "0"]
    assert [len(suite) for suite in suites] == [1, 1, 1]
    assert suites.find(".//failure") is not None
    assert suites.find(".//system-out") is not None


def test_html_report(check: Check, write: Write, tmp_path: Path) -> None:
    events = samples.text_stream()
    events[7]["text"] = "another"
    files = [
        write("bad.sse", samples.service_frames(events)),
        write("request.json", {"model": 1, "input": "sk-canary-1"}),
    ]
    code, out, _ = check(*files, "--report", "html=page.html", "--ignore", "SEQ-012")
    assert code == 1
    page = (tmp_path / "page.html").read_text()
    assert page.startswith("<!doctype html>")
    assert page.count('<details class="exchange"') == 2
    assert "2 of 2 invalid" in page
    assert page.count('<code class="rule">') == out.count("\n  error ") + out.count("\n  info ")
    assert "sk-canary-1" not in page
    code, out, _ = check("request.json", "--format", "html")
    assert code == 1
    assert out.rstrip().endswith("</html>")


def test_reports_to_files(check: Check, write: Write, tmp_path: Path) -> None:
    code, out, _ = check(
        write("bad.json", b"{}"), "--report", "json=r.json", "--report", "junit=r.xml", "--format", "github"
    )
    assert code == 1
    assert out.startswith("::error file=bad.json,title=SCH-008::as a whole: ")
    assert parse_report((tmp_path / "r.json").read_text())[0]["kind"] is None
    assert (tmp_path / "r.xml").read_text().startswith("<?xml")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.json"], "cannot read missing.json: No such file or directory"),
        (["."], "cannot read .: Is a directory"),
        (["good.json", "--report", "json=no/such/folder.json"], "cannot write no/such/folder.json: "),
        (
            ["good.json", "--report", "pdf=x"],
            "--report pdf=x: must be FORMAT=FILE, where FORMAT is one of text, ",
        ),
        (["good.json", "--report", "json"], "--report json: must be FORMAT=FILE"),
        (["good.json", "--ignore", "XYZ-1"], "--ignore XYZ-1: no such rule; `mockserver rules`"),
        (["good.json", "--profile", "x"], "--profile x: no such profile; choose from: auto, "),
        (["good.json", "--kind", "x"], "Invalid value for '--kind'"),
        (["good.json", "--format", "x"], "Invalid value for '--format'"),
        ([], "Missing argument"),
    ],
)
def test_unusable_arguments_exit_with_2(
    arguments: list[str], message: str, check: Check, write: Write
) -> None:
    write("good.json", samples.REQUEST)
    code, _, err = check(*arguments)
    assert code == 2
    assert message in err
    assert "Traceback" not in err


def test_a_missing_file_does_not_stop_the_others(check: Check, write: Write) -> None:
    code, out, _ = check("missing.json", write("bad.json", b"{}"))
    assert code == 2
    assert out.startswith("bad.json: invalid")


def test_settings_come_from_the_project_and_the_environment(
    check: Check, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write("info.json", {**samples.REQUEST, "store": False})
    assert check(file)[0] == 0
    (tmp_path / "pyproject.toml").write_text('[tool.mockserver]\nfail-on = "info"\nport = 8080\n')
    assert check(file)[0] == 1
    monkeypatch.setenv("MOCKSERVER_FAIL_ON", "warning")
    assert check(file)[0] == 0
    assert check(file, "--fail-on", "info")[0] == 1


@pytest.mark.parametrize("style", ["text", "json", "github", "junit"])
def test_file_content_is_escaped_in_every_report(style: str, check: Check, write: Write) -> None:
    hostile = "\x1b[2J\u202e\r\n::error::x\n\x85\x9b31m"
    response = {**samples.response(), "status": hostile, hostile: 1}
    code, out, _ = check(write("x.json", response), "--format", style)
    assert code == 1
    assert not set(out) & {"\x1b", "\x9b", "\x85", "\r"} or style == "json"
    assert "\n::error::x" not in out
    assert "\x1b" not in out


HEAVY_PACKAGES = {
    "click",
    "faker",
    "httpx",
    "jsonschema",
    "rich",
    "starlette",
    "uvicorn",
    "hypothesis",
    "asyncio",
}


@pytest.mark.parametrize("kind", ["request", "response", "stream"])
def test_a_good_file_loads_nothing_heavy(kind: str, tmp_path: Path) -> None:
    value: Any = {
        "request": samples.REQUEST,
        "response": samples.response(),
        "stream": samples.text_stream(),
    }[kind]
    (tmp_path / "small.json").write_text(json.dumps(value))
    code = (
        "import sys; sys.argv = ['mockserver', 'check', 'small.json']\n"
        "import atexit; atexit.register(lambda: print(*sorted(sys.modules)))\n"
        "from mockserver.cli import main; main()"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True, env={}
    )
    loaded = {name.partition(".")[0] for name in ran.stdout.splitlines()[-1].split()}
    assert "orjson" in loaded
    assert not loaded & HEAVY_PACKAGES


def test_check_runs_as_a_module(tmp_path: Path) -> None:
    (tmp_path / "small.json").write_text("{}")
    command = [sys.executable, "-m", "mockserver", "check", "small.json"]
    ran = run_program(command, tmp_path, env={})
    assert (ran.returncode, ran.stderr) == (1, "")
    assert "SCH-008" in ran.stdout


def test_a_closed_pipe_is_not_an_error(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{}")
    command = [sys.executable, "-m", "mockserver", "check", *["x.json"] * 2000]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={}
    ) as ran:
        assert ran.stdout
        assert ran.stderr
        ran.stdout.close()
        assert ran.stderr.read() == b""
    assert ran.returncode == 1


def test_each_exchange_of_an_array_is_checked(check: Check, write: Write) -> None:
    """As the recordings of a test are kept."""
    request = {"model": "qwen3-max-2026-01-23", "input": "Hello!"}
    both = [
        {
            "format": 1,
            "name": name,
            "request": {**request, **more},
            "match": {},
            "reply": {"script": {"items": []}},
        }
        for name, more in (("good", {}), ("bad", {"temperature": 9}))
    ]
    code, out, _ = check(write("test_it.json", both))
    assert code == 1
    assert "test_it.json#/0: valid (exchange" in out
    assert "test_it.json#/1: invalid, 1 error (exchange" in out


LATER = "qwen-2026-09"


def exchange(
    number: int, path: str, request: Any, reply: Any, method: str = "POST", status: int = 200
) -> dict[str, Any]:
    """A recording; they were made in the order of their numbers."""
    body = {"request": request} if request is not None else {}
    return {
        "format": 1,
        "name": f"exchange-{number}",
        "profile": LATER,
        "match": {},
        **body,
        "reply": {
            "http": {
                "status": status,
                "headers": {"content-type": "application/json"},
                "chunks": [{"text": json.dumps(reply)}],
            }
        },
        "recorded": {
            "at": f"2026-11-27T10:00:0{number}.000000Z",
            "method": method,
            "path": path,
            "end": "complete",
        },
    }


def record_tool_loop(
    outputs: list[str], *, members: Callable[[dict[str, Any]], dict[str, Any]], calls: int = 2
) -> list[dict[str, Any]]:
    """Two recorded turns: a turn with parallel calls, and one that sends outputs for them."""
    tools = [{"type": "function", "name": "f", "parameters": {"type": "object"}}]
    with MockServer(profile=LATER) as server, server.httpx() as client:
        server.reply(*(FunctionCall("f", f'{{"a":{number}}}') for number in range(calls)))
        conversation = client.post("/conversations", json={}).json()
        first = {"model": server.model, "input": "Weather?", "tools": tools}
        if "conversation" in members({"id": ""}):
            first["conversation"] = conversation["id"]
        response = client.post("/responses", json=first).json()
        server.reply("Sunny.").always()
        last = client.post("/responses", json={"model": server.model, "input": "Hi", "tools": tools}).json()
    made = [item for item in response["output"] if item["type"] == "function_call"]
    names = {"call_0": made[0]["call_id"], "call_1": made[-1]["call_id"], "item_0": made[0]["id"]}
    items = [
        {"type": "function_call_output", "call_id": names.get(each, each), "output": "x"} for each in outputs
    ]
    context = members({"id": response["id"], "conversation": conversation["id"]})
    return [
        exchange(1, "/conversations", {}, conversation),
        exchange(2, "/responses", first, response),
        exchange(3, "/responses", {**first, "input": items, **context}, last),
    ]


def by_response(ids: dict[str, Any]) -> dict[str, Any]:
    return {"previous_response_id": ids["id"]}


def by_conversation(ids: dict[str, Any]) -> dict[str, Any]:
    return {"conversation": ids.get("conversation", "")}


@pytest.mark.parametrize("context", [by_response, by_conversation])
@pytest.mark.parametrize("layout", ["one file", "several files"])
@pytest.mark.parametrize(
    ("outputs", "rules"),
    [
        (["call_0", "call_1"], []),
        (["item_0", "call_1"], ["REQ-007"]),
        (["call_zzz", "call_1"], ["REQ-007"]),
        (["call_0"], ["REQ-013"]),
        (["call_0", "call_1", "call_0"], ["REQ-014"]),
    ],
)
def test_outputs_are_checked_against_the_turn_in_another_exchange(
    outputs: list[str], rules: list[str], layout: str, context: Any, check: Check, write: Write
) -> None:
    exchanges = record_tool_loop(outputs, members=context)
    if layout == "one file":
        files = [write("all.json", exchanges[::-1])]
    else:
        files = [write(f"{9 - number}.json", each) for number, each in enumerate(exchanges)][::-1]
    code, out, _ = check(*files, "--format", "json")
    found = [each for file in parse_report(out) for each in file["findings"]]
    assert [each["rule"] for each in found] == rules
    assert code == (1 if rules else 0)


def test_a_turn_without_its_earlier_turn_says_what_was_not_compared(check: Check, write: Write) -> None:
    *_, last = record_tool_loop(["item_0", "call_1"], members=by_response)
    code, out, _ = check(write("last.json", last), "--format", "json")
    [report] = parse_report(out)
    assert (code, [each["rule"] for each in report["findings"]]) == (0, ["REQ-018", "REQ-018"])


CONVERSATION = {"created_at": 1, "id": "conv_1", "metadata": {}, "object": "conversation"}
DELETED = {"id": "conv_1", "deleted": True, "object": "conversation.deleted"}
NO_CHAT = {"error": {"message": "x", "type": "x", "param": None, "code": "x"}}


@pytest.mark.parametrize(
    ("recording", "rules"),
    [
        (exchange(1, "/conversations", {"metadata": {}}, CONVERSATION), []),
        (exchange(1, "/conversations", {"metadata": 3}, CONVERSATION), ["REQ-001"]),
        (exchange(1, "/conversations", {}, {**CONVERSATION, "id": 3}), ["SCH-001"]),
        (exchange(1, "/conversations/conv_1", None, DELETED, "DELETE"), []),
        (exchange(1, "/conversations/conv_1", None, {**DELETED, "deleted": 1}, "DELETE"), ["SCH-001"]),
        (exchange(1, "/chat/completions", CHAT_REQUEST, NO_CHAT, status=400), []),
        (exchange(1, "/chat/completions", {"model": "x"}, NO_CHAT, status=400), ["REQ-001"]),
    ],
)
def test_recordings_of_other_operations_are_checked_by_their_own_schemas(
    recording: dict[str, Any], rules: list[str], check: Check, write: Write
) -> None:
    _, out, _ = check(write("recording.json", recording), "--format", "json")
    [report] = parse_report(out)
    assert [each["rule"] for each in report["findings"] if each["severity"] != "info"] == rules


def test_a_recorded_reply_is_checked_against_its_request(check: Check, write: Write) -> None:
    _, first, _ = record_tool_loop(["call_0"], members=by_response)
    first["request"]["model"] = "qwen-plus"
    _, out, _ = check(write("recording.json", first), "--format", "json")
    assert "REQ-008" in [each["rule"] for each in parse_report(out)[0]["findings"]]


#: What the command needs without a file is 40 MiB.
MAX_RESIDENT_BYTES = 80 << 20


def long_stream(deltas: int) -> bytes:
    """A stream with a wrong id, so long that it is checked piece by piece."""
    data = samples.service_frames(samples.text_stream(deltas))
    assert len(data) > HEAD_BYTES
    return data.replace(b"\nid:%d\n" % deltas, b"\nid:0\n")


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n"])
def test_a_long_stream_has_the_findings_of_the_html_report_which_reads_all_of_it(
    check: Check, write: Write, head: bytes
) -> None:
    name = write("long.txt", head + long_stream(3_000))
    status, out, _ = check(name, "--format", "json")
    status_with_page, out_with_page, _ = check(name, "--format", "json", "--report", "html=page.html")
    [report] = parse_report(out)
    rules = [each["rule"] for each in report["findings"]]
    assert (status, out) == (status_with_page, out_with_page)
    assert rules == [*(["SSE-014"] if head else []), "SSE-008"]


def test_a_long_stream_takes_no_more_memory_than_a_short_one(tmp_path: Path) -> None:
    (tmp_path / "long.txt").write_bytes(long_stream(60_000))
    program = (
        "import resource, subprocess, sys\n"
        "status = subprocess.run([sys.executable, '-m', 'mockserver', 'check', 'long.txt', '-'],"
        " stdin=open('long.txt', 'rb'), stdout=subprocess.DEVNULL).returncode\n"
        "print(status, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, cwd=tmp_path, capture_output=True, text=True
    )
    status, kibibytes = map(int, done.stdout.split())
    assert status == 0, done.stderr
    assert kibibytes << 10 < MAX_RESIDENT_BYTES


def test_long_json_lines_are_checked_piece_by_piece(check: Check, write: Write) -> None:
    events = samples.text_stream(5_000)
    name = write("lines.jsonl", b"".join(json.dumps(event).encode() + b"\n" for event in events[:-1]))
    assert check(name)[0] == 1
    [report] = parse_report(check(name, "--format", "json")[1])
    assert [each["rule"] for each in report["findings"]] == ["SEQ-006"]
