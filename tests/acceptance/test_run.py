"""`mockserver run`: a command in any language against the mock; every request it sends is judged."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.conftest import ENVIRONMENTS, ROOT, program, server_environment, wait_until

pytestmark = pytest.mark.acceptance

ASK = """
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
RUN = (sys.executable, "-m", "mockserver", "run")


def run(folder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*RUN, *arguments],
        cwd=folder,
        env=server_environment(**env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=50,
        check=False,
    )


def client(body: str) -> tuple[str, ...]:
    return ("--", sys.executable, "-c", ASK + body)


def test_a_command_that_keeps_the_contract_ends_as_it_does(tmp_path: Path) -> None:
    done = run(tmp_path, *client("print(ask(input='Hello!'), ask(input='Hello!', stream=True))"))

    assert done.returncode == 0, done.stderr
    assert done.stdout == "200 200\n"
    assert done.stderr == "mockserver: 2 requests judged, nothing found\n"


@pytest.mark.parametrize(("status", "expected"), [(0, 1), (7, 7)])
def test_a_broken_contract_is_told_and_counts_where_nothing_else_failed(
    status: int, expected: int, tmp_path: Path
) -> None:
    done = run(tmp_path, *client(f"ask(input='a', temperature=9); sys.exit({status})"))

    assert done.returncode == expected
    assert "the contract is broken in 1 way" in done.stderr
    assert "/temperature" in done.stderr


def test_requests_beyond_what_the_journal_keeps_are_judged(tmp_path: Path) -> None:
    done = run(tmp_path, *client("ask(input=[])\nfor _ in range(1100): ask(input='a')"))

    assert done.returncode == 1
    assert "1101 requests judged, the contract is broken in 1 way" in done.stderr
    assert "request 1, POST " in done.stderr


def test_the_mildest_finding_that_counts_can_be_chosen_and_rules_be_passed_over(tmp_path: Path) -> None:
    asks = client("ask(input='a', instructions='b', unheard_of=1)")

    assert run(tmp_path, *asks).returncode == 0
    strict = run(tmp_path, "--fail-on", "info", *asks)
    assert strict.returncode == 1
    assert "REQ-002" in strict.stderr
    assert run(tmp_path, "--fail-on", "info", "--ignore", "REQ-002", *asks).returncode == 0


def test_reports_are_written(tmp_path: Path) -> None:
    reports = ("--report", "junit=report.xml", "--report", "json=report.json", "--report", "html=page.html")

    run(tmp_path, *reports, *client("ask(input=[])"))

    (judged,) = json.loads((tmp_path / "report.json").read_bytes())
    assert judged["kind"] == "request"
    assert judged["findings"][0]["rule"] == "REQ-001"
    assert 'failures="1"' in (tmp_path / "report.xml").read_text(encoding="utf-8")
    assert "&quot;input&quot;: []" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_no_request_at_all_is_no_success(tmp_path: Path) -> None:
    done = run(tmp_path, "--", sys.executable, "-c", "")

    assert done.returncode == 1
    assert done.stderr == "mockserver: no request came: does the command read OPENAI_BASE_URL?\n"


def test_options_of_serve_are_taken_and_those_of_the_command_left_to_it(tmp_path: Path) -> None:
    body = "import sys; print(ask(model='any-model', input='a')); print(sys.argv[1:])"

    done = run(tmp_path, "--model", "any", "--seed", "1", *client(body), "--report", "x")

    assert done.returncode == 0, done.stderr
    assert done.stdout == "200\n['--report', 'x']\n"


def test_real_keys_are_hidden_from_the_command_and_the_mocks_from_everybody_else(tmp_path: Path) -> None:
    body = "print(os.environ['OPENAI_API_KEY'] == os.environ['DASHSCOPE_API_KEY'])\n"
    body += "open('key', 'w').write(os.environ['OPENAI_API_KEY']); ask(input=[])"

    done = run(tmp_path, *client(body), OPENAI_API_KEY="sk-real-one", DASHSCOPE_API_KEY="sk-real-two")

    key = (tmp_path / "key").read_text(encoding="utf-8")
    assert done.stdout == "True\n"
    assert key.startswith("sk-mock-")
    for secret in (key, "sk-real-one", "sk-real-two"):
        assert secret not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (("--", "no-such-program"), 127, "can not run no-such-program: No such file or directory"),
        (("--report", "xls=a", "--", "true"), 2, "--report xls=a: must be FORMAT=FILE"),
        (("--ignore", "REQ-999", "--", "true"), 2, "there is no such rule"),
        (("--profile", "none", "--", "true"), 2, "none"),
        ((), 2, "Missing argument"),
    ],
)
def test_what_can_not_be_used_is_told(
    arguments: tuple[str, ...], status: int, told: str, tmp_path: Path
) -> None:
    done = run(tmp_path, *arguments)

    assert done.returncode == status
    assert told in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_passed_on_and_its_end_reported(number: int, tmp_path: Path) -> None:
    body = (
        "import signal, time, pathlib\n"
        "def stop(number, _):\n"
        "    pathlib.Path('got').write_text(str(number)); sys.exit(9)\n"
        "signal.signal(signal.SIGINT, stop); signal.signal(signal.SIGTERM, stop)\n"
        "ask(input='a'); pathlib.Path('ready').touch()\n"
        "time.sleep(60)\n"
    )
    process = subprocess.Popen(
        [*RUN, *client(body)], cwd=tmp_path, env=server_environment(), stdin=subprocess.DEVNULL, stderr=-1
    )
    try:
        wait_until((tmp_path / "ready").exists, "the command to be ready")
        process.send_signal(number)
        _, told = process.communicate(timeout=20)
    finally:
        process.kill()

    assert process.returncode == 9
    assert (tmp_path / "got").read_text() == str(int(number))
    assert b"1 request judged" in told


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_suite_of_vitest_is_held_to_the_contract(tmp_path: Path) -> None:
    modules = ENVIRONMENTS / "example-node" / "node_modules"
    if not modules.is_dir():
        pytest.skip("there is no .environments/example-node: `make test` builds it where npm is")
    folder = tmp_path / "node"
    shutil.copytree(ROOT / "examples" / "node", folder, ignore=shutil.ignore_patterns("node_modules"))
    (folder / "node_modules").symlink_to(modules)

    done = run(folder, "--ignore", "REQ-005", "--", program("npm"), "test", HOME=str(tmp_path), CI="true")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout
    assert "4 requests judged, nothing found" in done.stderr
