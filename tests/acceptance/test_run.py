"""`mockserver run`: runs a command in any language against the mock server and checks every request."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.conftest import ENVIRONMENTS, ROOT, require_program, server_environment, wait_until
from tests.marks import slow_except
from tests.programs import run_program

pytestmark = pytest.mark.acceptance

CLIENT_PRELUDE = """
import json, os, sys, urllib.request
def ask(**body):
    head = {"authorization": "Bearer " + os.environ["OPENAI_API_KEY"], "content-type": "application/json"}
    data = json.dumps({"model": "qwen3-max-2026-01-23", **body}).encode()
    request = urllib.request.Request(os.environ["OPENAI_BASE_URL"] + "/responses", data, head)
    try:
        return urllib.request.urlopen(request).status
    except urllib.error.HTTPError as error:
        return error.code
"""
RUN_COMMAND = (sys.executable, "-m", "mockserver", "run")


def run_mockserver(folder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return run_program([*RUN_COMMAND, *arguments], folder, env=server_environment(**env))


def client_arguments(body: str) -> tuple[str, ...]:
    return ("--", sys.executable, "-c", CLIENT_PRELUDE + body)


def test_exit_status_is_that_of_the_command(tmp_path: Path) -> None:
    done = run_mockserver(
        tmp_path, *client_arguments("print(ask(input='Hello!'), ask(input='Hello!', stream=True))")
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout == "200 200\n"
    assert done.stderr == "mockserver: 2 requests checked, no findings\n"


@pytest.mark.parametrize("key", ["call_id", "id"])
def test_a_wrong_call_id_is_a_contract_violation(key: str, tmp_path: Path) -> None:
    body = f"""
tool = {{"type": "function", "name": "f", "parameters": {{"type": "object", "properties": {{}}}}}}
def turn(**body):
    head = {{"authorization": "Bearer " + os.environ["OPENAI_API_KEY"], "content-type": "application/json"}}
    data = json.dumps({{"model": "qwen3-max-2026-01-23", "tools": [tool], **body}}).encode()
    return urllib.request.Request(os.environ["OPENAI_BASE_URL"] + "/responses", data, head)
first = json.load(urllib.request.urlopen(turn(input="a", tool_choice={{"type": "function", "name": "f"}})))
(call,) = [item for item in first["output"] if item["type"] == "function_call"]
output = {{"type": "function_call_output", "call_id": call["{key}"], "output": "x"}}
try:
    urllib.request.urlopen(turn(input=[output], previous_response_id=first["id"]))
except urllib.error.HTTPError:
    pass  # a client that hides the error
"""
    done = run_mockserver(tmp_path, *client_arguments(body))

    assert done.returncode == (0 if key == "call_id" else 1), done.stderr
    assert ("REQ-007 /input/0/call_id" in done.stderr) == (key == "id")


@pytest.mark.parametrize(("status", "expected"), [(0, 1), (7, 7)])
def test_a_contract_violation_fails_a_successful_command(status: int, expected: int, tmp_path: Path) -> None:
    done = run_mockserver(tmp_path, *client_arguments(f"ask(input='a', temperature=9); sys.exit({status})"))

    assert done.returncode == expected
    assert "1 distinct contract violation" in done.stderr
    assert "/temperature" in done.stderr


def test_requests_beyond_the_journal_limit_are_checked(tmp_path: Path) -> None:
    done = run_mockserver(tmp_path, *client_arguments("ask(input=[])\nfor _ in range(1100): ask(input='a')"))

    assert done.returncode == 1
    assert "1101 requests checked, 1 distinct contract violation" in done.stderr
    assert "request 1, POST " in done.stderr


def test_fail_on_and_ignore(tmp_path: Path) -> None:
    requests = client_arguments("ask(input='a', instructions='b', unheard_of=1)")

    assert run_mockserver(tmp_path, *requests).returncode == 0
    strict = run_mockserver(tmp_path, "--fail-on", "info", *requests)
    assert strict.returncode == 1
    assert "REQ-002" in strict.stderr
    assert run_mockserver(tmp_path, "--fail-on", "info", "--ignore", "REQ-002", *requests).returncode == 0


def test_reports_are_written(tmp_path: Path) -> None:
    reports = ("--report", "junit=report.xml", "--report", "json=report.json", "--report", "html=page.html")

    run_mockserver(tmp_path, *reports, *client_arguments("ask(input=[])"))

    (checked,) = json.loads((tmp_path / "report.json").read_bytes())
    assert checked["kind"] == "request"
    assert checked["findings"][0]["rule"] == "REQ-001"
    assert 'failures="1"' in (tmp_path / "report.xml").read_text(encoding="utf-8")
    assert "&quot;input&quot;: []" in (tmp_path / "page.html").read_text(encoding="utf-8")


REFUSED_REQUESTS = {
    "missing path": ("GET", "/nowhere", b"", 404, "There is nothing at"),
    "method": ("OPTIONS", "/responses", b"", 405, "Request method 'OPTIONS' is not supported"),
    "key": ("POST", "/responses", b"{}", 401, "Incorrect API key|Invalid API-key"),
    "content type": ("POST", "/responses", b"{}", 400, "content type must be application/json"),
    "size": ("POST", "/responses", b" " * (11 << 20), 413, ""),
}
REFUSED_CLIENT = """
import os, sys, urllib.request, urllib.error
name, method, path, size, status = sys.argv[1:]
kind = "text/plain" if name == "content type" else "application/json"
key = "sk-wrong" if name == "key" else os.environ["OPENAI_API_KEY"]
head = {"authorization": "Bearer " + key, "content-type": kind}
data = (b"{}" if size == "2" else b" " * int(size)) or None
request = urllib.request.Request(os.environ["OPENAI_BASE_URL"] + path, data, head, method=method)
try:
    urllib.request.urlopen(request)
except urllib.error.HTTPError as error:
    sys.exit(0 if error.code == int(status) else error.code)
sys.exit(99)
"""


@pytest.mark.parametrize("case", slow_except({"size"}, REFUSED_REQUESTS))
def test_a_request_refused_before_its_body_was_read_is_a_finding(case: str, tmp_path: Path) -> None:
    method, path, body, status, hint = REFUSED_REQUESTS[case]
    client = (case, method, path, str(len(body)), str(status))
    command = ("--", sys.executable, "-c", REFUSED_CLIENT, *client)

    options = ("--api-key", "sk-right", "--max-body", "10MiB")
    done = run_mockserver(tmp_path, *options, "--report", "json=report.json", *command)
    ignored = run_mockserver(tmp_path, *options, "--ignore", "refused", *command)

    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith("mockserver: 1 request checked, 1 refused\n")
    assert "SCH-006" not in done.stderr
    assert re.search(f"error refused .*: {method} .*{path}: not an API request: .*{hint}", done.stderr)
    (checked,) = json.loads((tmp_path / "report.json").read_bytes())
    assert [each["rule"] for each in checked["findings"]] == ["refused"]
    assert ignored.returncode == 0, ignored.stderr
    assert ignored.stderr.startswith("mockserver: 1 request checked, no findings\n  refused: ")


def test_html_report_shows_each_exchange(tmp_path: Path) -> None:
    body = "ask(input='Hello!'); ask(input='Hi!', stream=True); ask(input=[])\n"
    body += "print(urllib.request.urlopen(os.environ['OPENAI_BASE_URL'] + '/nothing'))"

    run_mockserver(tmp_path, "--report", "html=page.html", *client_arguments(body))

    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count('<details class="exchange"') == 4
    assert "&quot;input&quot;: &quot;Hello!&quot;" in page
    assert "response.output_text.delta" in page
    assert "Reply · 404" in page
    assert "not an API request" in page
    assert page.count("No body.") == 1, "only the GET has no body"


def test_no_request_is_a_failure(tmp_path: Path) -> None:
    done = run_mockserver(tmp_path, "--", sys.executable, "-c", "")

    assert done.returncode == 1
    assert done.stderr == (
        "mockserver: no requests received: does the command read OPENAI_BASE_URL? "
        "a command that calls the service's own https address needs --intercept\n"
    )


def test_serve_options_apply_and_command_options_are_passed_on(tmp_path: Path) -> None:
    body = "import sys; print(ask(model='any-model', input='a')); print(sys.argv[1:])"

    done = run_mockserver(tmp_path, "--model", "any", "--seed", "1", *client_arguments(body), "--report", "x")

    assert done.returncode == 0, done.stderr
    assert done.stdout == "200\n['--report', 'x']\n"


def test_the_command_gets_only_the_mock_key(tmp_path: Path) -> None:
    body = "print(os.environ['OPENAI_API_KEY'] == os.environ['DASHSCOPE_API_KEY'])\n"
    body += "open('key', 'w').write(os.environ['OPENAI_API_KEY']); ask(input=[])"

    done = run_mockserver(
        tmp_path, *client_arguments(body), OPENAI_API_KEY="sk-real-one", DASHSCOPE_API_KEY="sk-real-two"
    )

    key = (tmp_path / "key").read_text(encoding="utf-8")
    assert done.stdout == "True\n"
    assert key.startswith("sk-mock-")
    for secret in (key, "sk-real-one", "sk-real-two"):
        assert secret not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("--", "no-such-program"), 127, "cannot run no-such-program: No such file or directory"),
        (("--report", "xls=a", "--", "true"), 2, "--report xls=a: must be FORMAT=FILE"),
        (("--ignore", "REQ-999", "--", "true"), 2, "no such rule"),
        (("--profile", "none", "--", "true"), 2, "none"),
        ((), 2, "Missing argument"),
    ],
)
def test_unusable_arguments(arguments: tuple[str, ...], status: int, message: str, tmp_path: Path) -> None:
    done = run_mockserver(tmp_path, *arguments)

    assert done.returncode == status
    assert message in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_are_forwarded(number: int, tmp_path: Path) -> None:
    body = (
        "import signal, time, pathlib\n"
        "def stop(number, _):\n"
        "    pathlib.Path('got').write_text(str(number)); sys.exit(9)\n"
        "signal.signal(signal.SIGINT, stop); signal.signal(signal.SIGTERM, stop)\n"
        "ask(input='a'); pathlib.Path('ready').touch()\n"
        "time.sleep(60)\n"
    )
    process = subprocess.Popen(
        [*RUN_COMMAND, *client_arguments(body)],
        cwd=tmp_path,
        env=server_environment(),
        stdin=subprocess.DEVNULL,
        stderr=-1,
    )
    try:
        wait_until((tmp_path / "ready").exists, "the command to be ready")
        process.send_signal(number)
        _, errors = process.communicate(timeout=300)
    finally:
        process.kill()

    assert process.returncode == 9
    assert (tmp_path / "got").read_text() == str(int(number))
    assert b"1 request checked" in errors


@pytest.mark.slow
def test_a_vitest_suite(tmp_path: Path) -> None:
    modules = ENVIRONMENTS / "example-node" / "node_modules"
    if not modules.is_dir():
        pytest.skip(
            ".environments/example-node is missing: `make environments` builds it if npm is installed"
        )
    folder = tmp_path / "node"
    shutil.copytree(ROOT / "examples" / "node", folder, ignore=shutil.ignore_patterns("node_modules"))
    (folder / "node_modules").symlink_to(modules)

    done = run_mockserver(
        folder, "--ignore", "REQ-005", "--", require_program("npm"), "test", HOME=str(tmp_path), CI="true"
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout
    assert "4 requests checked, no findings" in done.stderr


def test_conduct_is_checked_on_request(tmp_path: Path) -> None:
    client = client_arguments("[ask(input='Hello!') for _ in range(2)]")
    fault = ("--fault", "http-status,status=400")
    done = run_mockserver(tmp_path, *fault, *client)
    assert done.returncode == 0, done.stderr
    done = run_mockserver(tmp_path, "--conduct", *fault, *client)
    assert done.returncode == 1
    assert "RTY-003" in done.stderr
    assert "request 2, POST" in done.stderr
    done = run_mockserver(tmp_path, "--conduct", "--ignore", "RTY-003", *fault, *client)
    assert done.returncode == 0, done.stderr
