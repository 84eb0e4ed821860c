"""`.pre-commit-hooks.yaml`: pre-commit installs the hooks from a local repository, without a network, and runs them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.conftest import (
    ENVIRONMENTS,
    ROOT,
    environment_python,
    environment_without_checkout,
    require_program,
)
from tests.programs import run_program

pytestmark = [pytest.mark.acceptance, pytest.mark.slow]

CONFIGURATION = """\
repos:
  - repo: {repository}
    rev: v1
    hooks:
      - id: mockserver-check
      - id: mockserver-exchanges
"""

#: What the archive of a release contains, and the hooks.
FILES = ("pyproject.toml", "hatch_build.py", "README.md", "CHANGELOG.md", "LICENSE", ".pre-commit-hooks.yaml")
FOLDERS = ("mockserver", "schemas", "fixtures")


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Variables of git, pip and pre-commit."""
    home = tmp_path_factory.mktemp("home")
    author = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.com"}
    return {
        **environment_without_checkout(),
        **author,
        **{name.replace("AUTHOR", "COMMITTER"): value for name, value in author.items()},
        "HOME": str(home),
        "PRE_COMMIT_HOME": str(home / "pre-commit"),
        "PIP_FIND_LINKS": str(ENVIRONMENTS / "wheelhouse"),
        "PIP_NO_COMPILE": "1",
        "GIT_CONFIG_NOSYSTEM": "1",
        "PATH": f"{environment_python('pre-commit').parent}{os.pathsep}{os.environ['PATH']}",
    }


@pytest.fixture(scope="module")
def repository(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with the hooks at the tag v1."""
    require_program("git")
    folder = tmp_path_factory.mktemp("hooks")
    for name in FILES:
        shutil.copy(ROOT / name, folder)
    for name in FOLDERS:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for command in ("init --quiet", "add .", "commit --quiet --message v1", "tag v1"):
        subprocess.run(["git", *command.split()], cwd=folder, env=environment, check=True)
    return folder


def test_the_hooks_check_fixtures_and_exchanges(
    repository: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / ".pre-commit-config.yaml").write_text(CONFIGURATION.format(repository=repository))
    for name in ("fixtures", "exchanges"):
        (tmp_path / name).mkdir()
    request = {"model": "qwen3-max-2026-01-23", "input": "Hello!"}
    (tmp_path / "fixtures" / "request.json").write_text(json.dumps(request))
    (tmp_path / "exchanges" / "hello.json").write_text('{"match": "Hi", "reply": "Hello"}')
    (tmp_path / "package.json").write_text("{}")  # none of ours

    def run_hooks() -> subprocess.CompletedProcess[str]:
        subprocess.run(["git", "add", "."], cwd=tmp_path, env=environment, check=True)
        command = ["pre-commit", "run", "--all-files", "--verbose"]
        return run_program(command, tmp_path, env=environment, timeout=600)

    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, env=environment, check=True)
    done = run_hooks()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "fixtures/request.json: valid" in done.stdout
    assert "exchanges: 1 exchange, all valid" in done.stdout
    assert "package.json" not in done.stdout

    (tmp_path / "fixtures" / "request.json").write_text(json.dumps({**request, "input": 7}))
    (tmp_path / "exchanges" / "hello.json").write_text('{"match": "Hi", "replies": "Hello"}')
    done = run_hooks()
    assert done.returncode == 1
    assert "fixtures/request.json: invalid, 1 error" in done.stdout
    assert "did you mean 'reply'?" in done.stdout
