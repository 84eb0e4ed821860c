"""`mockserver fuzz` and the clients of `examples/fuzz`: planted defects are found, repaired ones pass."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest

from mockserver.profiles import DEFAULT_PROFILE
from mockserver.testing.fuzzing.separate_reads import can_count_unread_bytes
from tests.acceptance.conftest import ROOT, isolated_environment, require_program
from tests.marks import soak_except
from tests.programs import run_program

CLIENTS_FOLDER = ROOT / "examples" / "fuzz"

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(900)]


def client_command(file: str, folder: Path) -> list[str]:
    """The command that runs an example; the test is skipped where its language is missing."""
    path = CLIENTS_FOLDER / file
    if path.suffix == ".py":
        return [sys.executable, str(path)]
    if path.suffix == ".mjs":
        return [require_program("node"), str(path)]
    if path.suffix == ".sh":
        require_program("curl")
        require_program("jq")
        return [str(path)]
    binary = folder / "client"
    # Debian's Go keeps what it compiled under the home folder, which these tests have none of.
    environment = isolated_environment(GOCACHE=str(folder / "go"), GOFLAGS="-mod=mod", GO111MODULE="off")
    build = [require_program("go"), "build", "-o", str(binary), str(path / "main.go")]
    subprocess.run(build, env=environment, check=True, timeout=300)
    return [str(binary)]


def run_fuzz(folder: Path, *arguments: str, seconds: float = 300) -> subprocess.CompletedProcess[str]:
    """Run `mockserver fuzz` in a folder, with no setting of whoever runs the tests."""
    return run_program(
        [sys.executable, "-m", "mockserver", "fuzz", *arguments],
        folder,
        env=isolated_environment(PYTHONPATH=str(ROOT)),
        timeout=seconds,
    )


def count_events(printed: str) -> int:
    match = re.search(r"^The stream, (\d+) event", printed, re.MULTILINE)
    assert match is not None, printed
    return int(match[1])


PLANTED_DEFECTS = {
    "python/first_item.py": "only the first output item is read",
    "python/splitlines.py": "characters that Unicode calls line ends",
    "python/deltas.py": "a failed response is taken for a good one",
    "node/read_is_event.mjs": "one read is taken for one event",
    "node/split_character.mjs": "each read is decoded by itself",
    "shell/deltas.sh": "a failed response is taken for a good one",
    "go/scanner": "a line of more than 64 KiB is not read",
}


@pytest.mark.slow
@pytest.mark.parametrize("file", PLANTED_DEFECTS)
def test_a_planted_defect_is_found(file: str, tmp_path: Path) -> None:
    command = client_command(file, tmp_path)

    found = run_fuzz(tmp_path, "--expect", "text", "--seed", "1", "--", *command)

    assert found.returncode == 1, found.stdout + found.stderr
    assert re.search(rf"^Cause:  {PLANTED_DEFECTS[file]}", found.stdout, re.MULTILINE), found.stdout
    assert count_events(found.stdout) <= 14

    (kept,) = (tmp_path / ".mockserver" / "cases").glob("*.json")
    replayed = run_fuzz(tmp_path, "--expect", "text", "--replay", kept.stem, "--", *command)
    assert replayed.returncode == 1
    assert f"--replay {kept.stem} -- " in replayed.stdout


TRUNCATING = "qwen-2026-09"
REPAIRED_CLIENTS = ("python/repaired.py", "node/repaired.mjs", "shell/repaired.sh", "go/repaired")


@pytest.mark.slow
@pytest.mark.parametrize("profile", soak_except([DEFAULT_PROFILE], [DEFAULT_PROFILE, TRUNCATING]))
@pytest.mark.parametrize("file", REPAIRED_CLIENTS)
def test_a_repaired_client_passes(file: str, profile: str, tmp_path: Path) -> None:
    command = client_command(file, tmp_path)

    ran = run_fuzz(
        tmp_path,
        *("--expect", "text", "--seed", "1", "--examples", "12", "--jobs", "2", "--timeout", "6"),
        *("--profile", profile),
        *("--", *command),
        seconds=600,
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.startswith("No failing case: ")
    assert not (tmp_path / ".mockserver").exists()


def write_client(folder: Path, body: str) -> Sequence[str]:
    """A client in Python whose request is made by `ask`; what it does with the answer is `body`."""
    file = folder / "client.py"
    file.write_text(
        "import json, os, subprocess, sys, time, urllib.request\n"
        "def ask(**more):\n"
        "    body = {'model': os.environ['MOCKSERVER_MODEL'], 'input': 'a', **more}\n"
        "    head = {'authorization': 'Bearer ' + os.environ['OPENAI_API_KEY'],\n"
        "            'content-type': 'application/json'}\n"
        "    url = os.environ['OPENAI_BASE_URL'] + '/responses'\n"
        "    request = urllib.request.Request(url, json.dumps(body).encode(), head)\n"
        "    return urllib.request.urlopen(request).read()\n" + body,
        encoding="utf-8",
    )
    return (sys.executable, str(file))


@pytest.mark.soak
def test_a_client_that_hangs_is_killed_with_all_it_started(tmp_path: Path) -> None:
    marker = tmp_path / "pid"
    command = write_client(
        tmp_path,
        "ask()\n"
        "child = subprocess.Popen(['sleep', '300'])\n"
        f"open({str(marker)!r}, 'w').write(str(child.pid))\n"
        "child.wait()\n",
    )

    ran = run_fuzz(tmp_path, "--timeout", "2", "--", *command)

    assert ran.returncode == 1, ran.stderr
    assert "FAILED: did not finish: killed after " in ran.stdout
    status = Path(f"/proc/{marker.read_text()}/status")
    assert not status.exists() or "State:\tZ" in status.read_text()


def test_requests_of_the_client_are_checked(tmp_path: Path) -> None:
    command = write_client(tmp_path, "ask(temperature=9)\n")

    ran = run_fuzz(tmp_path, "--", *command)

    assert ran.returncode == 1
    assert "FAILED: contract violation " in ran.stdout
    assert "/temperature" in ran.stdout


RETRIES_AT_ONCE = """\
from urllib.error import HTTPError
for attempt in range(2):
    try:
        answer = ask(stream=os.environ['MOCKSERVER_STREAM'] == '1')
        sys.exit(0)
    except HTTPError as error:
        print(error.code, file=sys.stderr)
sys.exit(1)
"""


@pytest.mark.slow
def test_conduct_is_checked_if_asked_for(tmp_path: Path) -> None:
    command = write_client(tmp_path, RETRIES_AT_ONCE)
    kinds = sorted({*FAULT_KINDS, *VARIATIONS} - {"refused"})
    options = ["--examples", "1", *(argument for kind in kinds for argument in ("--skip", kind))]

    found = run_fuzz(tmp_path, "--conduct", *options, "--", *command)

    assert found.returncode == 1, found.stdout + found.stderr
    assert "FAILED: conduct RTY-003: a rejected request is not repeated\n" in found.stdout
    assert (
        "Cause:  a rule about several requests is not kept: A request that was answered with" in found.stdout
    )
    assert "was rejected with 400 before, as request 1 (got 400) [request 2]\n" in found.stdout
    (kept,) = (tmp_path / ".mockserver" / "cases").glob("*.json")
    assert f"Replay: mockserver fuzz --conduct --replay {kept.stem} -- " in found.stdout
    replay = ("--replay", kept.stem, "--", *command)
    assert run_fuzz(tmp_path, "--conduct", *replay).returncode == 1
    assert run_fuzz(tmp_path, *replay).returncode == 0


@pytest.mark.slow
def test_conduct_that_is_no_error_is_counted(tmp_path: Path) -> None:
    command = write_client(tmp_path, "sys.exit(json.loads(ask())['status'] == 'failed')\n")
    kinds = sorted({*FAULT_KINDS, *VARIATIONS} - {"failed"})
    options = ["--examples", "1", *(argument for kind in kinds for argument in ("--skip", kind))]

    ran = run_fuzz(tmp_path, "--conduct", *options, "--", *command)

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "\nConduct RTY-007 (info) in 1 case: a failed response is retried\n" in ran.stdout


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        ("print('Half of a text')\n", "a truncated reply is taken for a complete one"),
        ("print('Half of a text')\nsys.exit('incomplete')\n", None),
        pytest.param(
            "sys.exit('incomplete')\n",
            "a truncated reply is treated as an error: its text is lost",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "print('Half of a text')\nprint('Incomplete!', file=sys.stderr)\n", None, marks=pytest.mark.slow
        ),
    ],
)
def test_a_truncated_reply_is_neither_complete_nor_an_error(
    body: str, cause: str | None, tmp_path: Path
) -> None:
    read = "answer = ask()\nif json.loads(answer or '{}').get('status') != 'incomplete': sys.exit(0)\n"
    command = write_client(tmp_path, read + body)
    kinds = {*FAULT_KINDS, *VARIATIONS} - {"incomplete"}
    skipped = [argument for kind in sorted(kinds) for argument in ("--skip", kind)]

    ran = run_fuzz(tmp_path, "--profile", TRUNCATING, "--examples", "1", *skipped, "--", *command)

    assert ran.returncode == (0 if cause is None else 1), ran.stdout + ran.stderr
    assert cause is None or f"Cause:  {cause}" in ran.stdout


COUNTING = """\
def count_run():
    with open('runs', 'a+b') as file:
        file.write(b'.')
        file.flush()
        return file.tell()
"""

#: The condition under which a client fails its run of that number, whatever the reply.
CHANGING_CLIENTS = {
    "every second run": "run % 2 == 1",
    "every third run": "run % 3 == 0",
    "the first run": "run == 1",
}


@pytest.mark.slow
@pytest.mark.parametrize("fails", soak_except(["every second run"], CHANGING_CLIENTS))
def test_a_client_whose_outcome_changes_has_no_cause(fails: str, tmp_path: Path) -> None:
    body = "run = count_run()\nask(stream=True)\n" + f"sys.exit({CHANGING_CLIENTS[fails]})\n"
    command = write_client(tmp_path, COUNTING + body)
    faults = [argument for kind in FAULT_KINDS for argument in ("--skip", kind)]

    ran = run_fuzz(tmp_path, "--examples", "1", *faults, "--", *command)

    assert ran.returncode == 1, ran.stdout + ran.stderr
    reported = re.search(
        "^Cause:  not reproducible: the outcome of the same reply changes; it failed in (.+)$",
        ran.stdout,
        re.MULTILINE,
    )
    assert reported is not None, ran.stdout
    counts = [tuple(map(int, each)) for each in re.findall(r"(\d+) of (\d+) runs", reported[1])]
    assert len(counts) == 3
    assert all(failed < runs for failed, runs in counts)
    assert all(f" runs {how}" in reported[1] for how in ("as it is", "if all events", "if there is a pause"))
    replayed = run_fuzz(
        tmp_path, "--replay", next((tmp_path / ".mockserver/cases").iterdir()).stem, "--", *command
    )
    assert replayed.returncode == (0 if fails == "the first run" else 1)
    assert replayed.returncode or ", in each of 16 runs\n" in replayed.stdout


#: Takes one read for one event, and is late with its first read in every second run.
READS_LATE = """\
import socket
from urllib.parse import urlsplit
late = count_run() % 2
url = urlsplit(os.environ['OPENAI_BASE_URL'])
body = json.dumps({'model': os.environ['MOCKSERVER_MODEL'], 'input': 'a', 'stream': True})
sock = socket.create_connection((url.hostname, url.port))
sock.sendall((
    f"POST {url.path}/responses HTTP/1.1\\r\\nhost: {url.netloc}\\r\\nconnection: close\\r\\n"
    f"authorization: Bearer {os.environ['OPENAI_API_KEY']}\\r\\ncontent-type: application/json\\r\\n"
    f"content-length: {len(body)}\\r\\n\\r\\n{body}").encode())
time.sleep(0.3 * late)
reads = list(iter(lambda: sock.recv(1 << 20), b''))
sys.exit(any(each.count(b'data:') > 1 for each in reads))
"""


@pytest.mark.slow
@pytest.mark.skipif(not can_count_unread_bytes(), reason="the system does not tell what is not read yet")
def test_a_client_whose_outcome_depends_on_timing_fails_the_even_delivery(tmp_path: Path) -> None:
    command = write_client(tmp_path, COUNTING + READS_LATE)
    kinds = sorted({*FAULT_KINDS, *VARIATIONS})
    options = ["--examples", "1", *(argument for kind in kinds for argument in ("--skip", kind))]

    found = run_fuzz(tmp_path, *options, "--", *command)

    assert found.returncode == 1, found.stdout + found.stderr
    assert "\nCause:  one read is taken for one event: it may contain several\n" in found.stdout
    assert "\n  all events arrive in one read\n" in found.stdout
    (kept,) = (tmp_path / ".mockserver" / "cases").glob("*.json")
    assert run_fuzz(tmp_path, "--replay", kept.stem, "--", *command).returncode == 1


VARIATIONS = ("cuts", "framing", "unknown", "members", "long")


def test_a_client_that_sends_no_request_fails(tmp_path: Path) -> None:
    ran = run_fuzz(tmp_path, "--", sys.executable, "-c", "")

    assert ran.returncode == 1
    assert "no request reached OPENAI_BASE_URL" in ran.stdout


def test_only_the_client_sees_the_key(tmp_path: Path) -> None:
    body = "key = os.environ['DASHSCOPE_API_KEY']\nopen('key', 'w').write(key)\nask()\n"
    command = write_client(tmp_path, body + "print(key)\nsys.exit('no good: ' + key)\n")

    ran = run_fuzz(tmp_path, "--", *command)

    key = (tmp_path / "key").read_text(encoding="utf-8")
    (kept,) = (tmp_path / ".mockserver" / "cases").glob("*.json")
    assert key.startswith("sk-mock-")
    assert key not in ran.stdout + ran.stderr + kept.read_text(encoding="utf-8")


@pytest.mark.slow
def test_saved_cases_run_first(tmp_path: Path) -> None:
    command = write_client(tmp_path, "answer = ask(stream=True)\nsys.exit(3 if b'x_note' in answer else 0)\n")
    skipped = [argument for kind in FAULT_KINDS for argument in ("--skip", kind)]
    first = run_fuzz(tmp_path, *skipped, "--", *command)
    assert first.returncode == 1, first.stdout + first.stderr
    assert "Cause:  an unknown member is not ignored" in first.stdout

    again = run_fuzz(tmp_path, *skipped, "--", *command)

    assert again.returncode == 1
    assert "\n1 cases to find it, 0 to shrink it" in again.stdout


FAULT_KINDS = (
    "failed",
    "incomplete",
    "cut",
    "closed",
    "error",
    "dropped",
    "reset",
    "empty",
    "refused",
    "stalled",
)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ("--skip", "nothing", "--", "true"),
            "--skip nothing: no such kind of case; choose from: failed, incomplete, cut",
        ),
        (("--replay", "0123456789ab", "--", "true"), "there is no case 0123456789ab"),
        (("--profile", "none", "--", "true"), "none"),
        (("--", "no-such-program"), "cannot run no-such-program: No such file or directory"),
        ((), "Missing argument"),
    ],
)
def test_unusable_arguments_exit_with_2(arguments: tuple[str, ...], told: str, tmp_path: Path) -> None:
    ran = run_fuzz(tmp_path, *arguments)

    assert ran.returncode == 2
    assert told in ran.stderr


@pytest.mark.slow
def test_a_saved_case_is_readable(tmp_path: Path) -> None:
    command = write_client(tmp_path, "ask(stream=True)\nsys.exit(1)\n")
    run_fuzz(tmp_path, "--", *command)
    (kept,) = (tmp_path / ".mockserver" / "cases").glob("*.json")

    value = json.loads(kept.read_bytes())

    assert value["format"] == 1
    assert value["failure"] == "exit status 1, although the reply is valid"
    assert value["plan"] == {"script": {"items": [{"type": "message", "chunks": ["Hello!"]}]}}
    assert value["shown"][0]["type"] == "response.created"
    replay = partial(run_fuzz, tmp_path, "--replay", str(kept))
    assert replay("--", *command).returncode == 1
    assert replay("--", *write_client(tmp_path, "ask(stream=True)\n")).returncode == 0
    unplayed = replay("--", *write_client(tmp_path, "ask()\n"))
    assert unplayed.returncode == 2
    assert "is a stream, but the client requested a whole reply, so it was not played" in unplayed.stderr


def test_a_client_that_requests_no_stream_is_shown_the_whole_reply(tmp_path: Path) -> None:
    command = write_client(tmp_path, "ask()\nsys.exit(1)\n")

    ran = run_fuzz(tmp_path, "--", *command)

    assert ran.returncode == 1
    assert "\nThe response:\n" in ran.stdout
    (kept,) = (tmp_path / ".mockserver" / "cases").glob("*.json")
    assert json.loads(kept.read_bytes())["plan"]["stream"] is False
