"""The example project uses the plugin from the built wheel, without a network, with several workers."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import jsonschema
import pytest

from tests import traffic_recorder
from tests.acceptance.conftest import ROOT, StartServer, environment_python, isolated_environment
from tests.programs import run_program

EXAMPLE = ROOT / "examples" / "downstream"
RECORDER = ROOT / "tests" / "recorder"

#: A test that takes longer prints where it is, before `run_program` ends it.
SHOW_HANGS = ("-o", "faulthandler_timeout=200")

pytestmark = [pytest.mark.acceptance, pytest.mark.slow]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The example, in a folder of its own."""
    ignored = shutil.ignore_patterns("__pycache__", ".*")
    return Path(shutil.copytree(EXAMPLE, tmp_path / "project", ignore=ignored))


def run_tests(
    project: Path, site: Path, *options: str, key: str = "", workers: int = 2
) -> subprocess.CompletedProcess[str]:
    """Run pytest in the project, in an environment with the wheel and without network access."""
    nowhere = "http://127.0.0.1:9"
    python = environment_python("downstream")
    return run_program(
        [python, "-m", "pytest", "-n", str(workers), "-p", "no:cacheprovider", *SHOW_HANGS, *options],
        project,
        env=isolated_environment(
            PYTHONPATH=f"{site}{os.pathsep}{RECORDER}",
            HTTP_PROXY=nowhere,
            HTTPS_PROXY=nowhere,
            NO_PROXY="127.0.0.1",
            COLUMNS="120",
            DASHSCOPE_API_KEY=key,
            **{traffic_recorder.SPOOL_VARIABLE: os.environ[traffic_recorder.SPOOL_VARIABLE]},
        ),
    )


def count_passed(done: subprocess.CompletedProcess[str]) -> int:
    """The number of passed tests; AssertionError if any failed."""
    assert done.returncode == 0, done.stdout + done.stderr
    last = done.stdout.splitlines()[-1]
    match = re.search(r" (\d+) passed in ", last)
    assert match is not None, last
    return int(match[1])


@pytest.mark.parametrize(
    "repeats",
    [
        pytest.param(2, id="short", marks=pytest.mark.soak),
        # Takes 5 minutes of CPU: on a busy machine, where each of the runs takes a minute, four times as long.
        pytest.param(20, id="long", marks=[pytest.mark.soak, pytest.mark.timeout(3600)]),
    ],
)
def test_the_example_passes_repeatedly(project: Path, site_packages: Path, repeats: int) -> None:
    counts = {
        count_passed(run_tests(project, site_packages, "-W", "error", workers=4)) for _ in range(repeats)
    }
    assert counts == {30}


def test_the_wheel_is_imported(project: Path, site_packages: Path) -> None:
    """Guards the tests here: they must not reach the checkout."""
    (project / "tests" / "test_place.py").write_text(
        f"import mockserver\n\ndef test_it():\n    assert mockserver.__file__.startswith({str(site_packages)!r})\n"
    )
    assert count_passed(run_tests(project, site_packages, "tests/test_place.py")) == 1


CARELESS_TESTS = '''
import pytest


def careless(server):
    """Requests an unknown model, and shows any reply as "no answer"."""
    body = {"model": "qwen-of-tomorrow", "input": "Hello!"}
    return server.httpx().post("/responses", json=body).json().get("output", "no answer")


def test_swallowed(responses_server):
    assert careless(responses_server) == "no answer"


@pytest.mark.responses(allow=["REQ-005"])
def test_allowed(responses_server):
    assert careless(responses_server) == "no answer"
'''


def test_a_swallowed_violation_fails_with_its_rule_and_passes_if_allowed(
    project: Path, site_packages: Path
) -> None:
    (project / "tests" / "test_careless.py").write_text(CARELESS_TESTS)
    done = run_tests(project, site_packages, "--responses-report", "report.json")
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert re.search(r" 1 failed, 31 passed in ", lines[-1])
    failed = [line for line in lines if line.startswith("FAILED")]
    assert [line.partition(" at /model: ")[0] for line in failed] == [
        "FAILED tests/test_careless.py::test_swallowed - Contract violation REQ-005"
    ]
    assert "ERROR" not in done.stdout
    report = json.loads((project / "report.json").read_bytes())
    jsonschema.validate(report, json.loads((ROOT / "schemas" / "pytest_report.json").read_bytes()))
    assert report["rules"] == {"REQ-005": 2}
    outcomes = {test["id"].rpartition("::")[2]: test["outcome"] for test in report["tests"]}
    assert (outcomes["test_swallowed"], outcomes["test_allowed"]) == ("failed", "passed")


@pytest.mark.parametrize("workers", [0, 2])
def test_the_same_tests_run_against_a_live_endpoint(
    project: Path, site_packages: Path, workers: int, start_server: StartServer
) -> None:
    """A server in another process plays the service; the project is unchanged."""
    canary = "sk-canary-77aa01c4"
    server = start_server("--api-key", canary)
    live = ("--responses-live", "--responses-live-url", server.base_url, "--responses-report", "report.json")
    done = run_tests(project, site_packages, "-rs", *live, key=canary, workers=workers)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r" 2 passed, 28 skipped in ", done.stdout.splitlines()[-1])
    assert "not against a live endpoint: it configures a reply" in done.stdout
    assert server.stderr_text.count(" 200 ok") >= 5
    report = json.loads((project / "report.json").read_bytes())
    assert sum(test["requests"] for test in report["tests"]) == server.stderr_text.count(" POST ")
    assert canary not in done.stdout + done.stderr + json.dumps(report)


def test_the_same_tests_are_recorded_and_replayed(
    project: Path, site_packages: Path, start_server: StartServer
) -> None:
    """The project is unchanged; replay needs neither a key nor an endpoint."""
    canary = "sk-canary-77aa01c4"
    server = start_server("--api-key", canary)
    live = ("--responses-live", "--responses-live-url", server.base_url, "--responses-record-mode", "once")
    done = run_tests(project, site_packages, *live, key=canary, workers=0)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r" 2 passed, 28 skipped in ", done.stdout.splitlines()[-1])
    count = re.search(r"^responses: recordings: 0 replayed, (\d+) written$", done.stdout, re.MULTILINE)
    assert count is not None, done.stdout
    assert int(count[1]) == server.stderr_text.count(" POST ") > 2
    kept = sorted((project / "tests" / "recordings" / "test_desk").glob("*.json"))
    names = ["test_a_conversation_with_any_server", "test_without_a_stub_the_mock_generates_a_reply"]
    assert [file.stem for file in kept] == names
    assert server.stop() == 0
    played = run_tests(project, site_packages, "-W", "error", workers=0)
    assert count_passed(played) == 30
    assert f"responses: recordings: {count[1]} replayed, 0 written" in played.stdout
    written = "".join(
        file.read_text() for file in project.rglob("*") if file.suffix in (".json", ".py", ".toml")
    )
    assert canary not in written + done.stdout + done.stderr + played.stdout + played.stderr
