"""`action.yml`: its steps run here in bash with the variables that GitHub sets."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.acceptance.conftest import ENVIRONMENTS, ROOT, environment_without_checkout, require_program
from tests.programs import run_program

pytestmark = [pytest.mark.acceptance, pytest.mark.slow]

ACTION: Mapping[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
STEPS = {step["name"]: step for step in ACTION["runs"]["steps"] if "run" in step}
BASH = ("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c")

CLIENT = """\
import json, os, sys, urllib.request
head = {"authorization": "Bearer " + os.environ["OPENAI_API_KEY"], "content-type": "application/json"}
body = json.dumps({"model": sys.argv[1], "input": "Hello!"}).encode()
request = urllib.request.Request(os.environ["OPENAI_BASE_URL"] + "/responses", body, head)
try:
    print(urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request).status)
except urllib.error.HTTPError as error:
    print(error.code)
"""

Step = Callable[..., subprocess.CompletedProcess[str]]


def run_step(
    name: str, folder: Path, temp: Path, inputs: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run a step as GitHub does: its expressions name inputs only."""
    given = {key: str(each.get("default", "")) for key, each in ACTION["inputs"].items()} | dict(inputs)
    step = STEPS[name]
    variables = {
        key: re.sub(r"\$\{\{ inputs\.([a-z-]+) \}\}", lambda match: given[match[1]], value)
        for key, value in step["env"].items()
    }
    assert "${{" not in step["run"], "an expression in a script can inject commands"
    return run_program(
        [*BASH, step["run"]],
        folder,
        env={
            **environment_without_checkout(),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PIP_FIND_LINKS": str(ENVIRONMENTS / "wheelhouse"),
            "PIP_NO_COMPILE": "1",
            "RUNNER_TEMP": str(temp),
            "GITHUB_OUTPUT": str(folder / "output"),
            "GITHUB_STEP_SUMMARY": str(folder / "summary"),
            **variables,
        },
    )


@pytest.fixture(scope="module")
def runner_temp(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runner's temporary folder after the installation."""
    require_program("bash")
    if not (ENVIRONMENTS / "wheelhouse").is_dir():
        pytest.skip("there is no .environments/wheelhouse: `make environments` builds it")
    temp = tmp_path_factory.mktemp("runner")
    done = run_step("Install the mock server", temp, temp, {"requirement": str(wheel)})
    assert done.returncode == 0, done.stdout + done.stderr
    return temp


@pytest.fixture
def run_action(runner_temp: Path, tmp_path: Path) -> Step:
    """Run the command of the action in a folder with a client."""
    (tmp_path / "client.py").write_text(CLIENT)
    for name in ("responses-annotations", "responses-summary"):
        (runner_temp / name).unlink(missing_ok=True)

    def run(command: str, options: str = "") -> subprocess.CompletedProcess[str]:
        return run_step("Run the command", tmp_path, runner_temp, {"command": command, "options": options})

    return run


def test_a_command_that_keeps_the_contract_passes(
    run_action: Step, runner_temp: Path, tmp_path: Path
) -> None:
    done = run_action("python client.py qwen3-max-2026-01-23 | tee answer", "--seed 1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "answer").read_text() == "200\n"
    assert "::error" not in done.stdout
    outputs = dict(line.split("=", 1) for line in (tmp_path / "output").read_text().splitlines())
    assert outputs["status"] == "0"
    assert sorted(each.name for each in Path(outputs["report"]).iterdir()) == ["report.html", "report.xml"]


def test_a_violation_is_annotated_and_fails_the_step(run_action: Step, tmp_path: Path) -> None:
    done = run_action("python client.py qwen-of-tomorrow")
    assert done.returncode == 1
    assert re.search(r"^::error .*title=REQ-005::.*qwen-of-tomorrow", done.stdout, re.MULTILINE), done.stdout
    assert "status=1\n" in (tmp_path / "output").read_text()
    summary = (tmp_path / "summary").read_text()
    assert re.search(r"^    +error REQ-005", summary, re.MULTILINE), summary
    assert run_action("python client.py qwen-of-tomorrow", "--ignore REQ-005").returncode == 0


def test_the_status_is_that_of_the_command_and_of_its_pipes(run_action: Step) -> None:
    assert run_action("python client.py qwen3-max-2026-01-23 && exit 9").returncode == 9
    assert run_action("false | cat").returncode == 1


def test_an_unusable_option_fails_the_step_without_a_report(run_action: Step, tmp_path: Path) -> None:
    done = run_action("true", "--profile none")
    assert done.returncode == 2
    assert "no profile 'none'" in done.stderr
    assert not (tmp_path / "summary").exists()


def test_the_action_is_valid() -> None:
    command = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        "vendor.github-actions",
        "action.yml",
    ]
    done = run_program(command, ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    used = set(re.findall(r"inputs\.([a-z-]+)", (ROOT / "action.yml").read_text(encoding="utf-8")))
    assert used == ACTION["inputs"].keys()


def test_the_page_lists_the_inputs_and_the_hooks() -> None:
    page = (ROOT / "docs" / "github-action.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z-]+)` \|", page, re.MULTILINE)
    hooks = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    assert rows == [*ACTION["inputs"], *(each["id"] for each in hooks)]
