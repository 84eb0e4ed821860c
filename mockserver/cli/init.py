"""`mockserver init`: a first test, its fixtures and a workflow for a project."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import click

from mockserver.cli.errors import exit_with_error
from mockserver.wire.terminal import escape_unprintable

__all__ = ["init"]

_CONFTEST = '''\
"""Fixtures of the tests in this folder. The plugin of responses-mockserver provides `responses_server`."""

import pytest


@pytest.fixture(autouse=True)
def _clients_reach_the_mock(responses_env):
    """A client that reads OPENAI_BASE_URL and a key from its environment reaches the mock server."""
'''

_TEST = '''\
"""The first tests against the mock server. Each test has a server of its own, without stubs."""


def test_an_answer(responses_server):
    responses_server.reply("Hello from the mock.")
    client = responses_server.httpx()  # or .openai(), or your own client with .base_url, .api_key and .model

    reply = client.post("/responses", json={"model": responses_server.model, "input": "Hello!"})

    assert reply.json()["output"][-1]["content"][0]["text"] == "Hello from the mock."
    assert responses_server.journal.last.prompt == "Hello!"
    # When the test ends, the plugin checks the request against the contract, too.


def test_an_error(responses_server):
    responses_server.fail("rate-429")

    reply = responses_server.httpx().post("/responses", json={"model": responses_server.model, "input": "Hi"})

    assert reply.status_code == 429
'''

_WORKFLOW = """\
name: responses

on: [push, pull_request]

permissions:
  contents: read
{defaults}
jobs:
  test:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with:
          python-version: "3.12"
      - run: python -m pip install {requirements}
      - run: python -m pytest {folder}
"""

_DEFAULTS = """
defaults:
  run:
    working-directory: {folder}
"""

_FOLDER = "tests/responses"


@click.command()
@click.argument("folder", default=".", type=click.Path(exists=True, file_okay=False, path_type=Path))
def init(folder: Path) -> None:
    """Write a first test, its conftest.py and a GitHub workflow into a project.

    FOLDER is the project; default: the current one. If it is a part of a repository, the names of the test and
    of the workflow say which. A file that exists stays as it is.
    """
    for file, text in _project_files(folder).items():
        try:
            verb = "wrote" if _write_new(file, text) else "exists, left as it is:"
        except OSError as error:
            exit_with_error(f"cannot write {file}: {error.strerror or error}", 2)
        print(f"{verb} {escape_unprintable(str(file))}")
    if find_spec("pytest") is None:
        print("next: pip install 'responses-mockserver[pytest]'")
    print(f"next: pytest {escape_unprintable(str(folder / _FOLDER))}")


def _project_files(folder: Path) -> Mapping[Path, str]:
    """The files to write, with their texts.

    GitHub reads workflows only at the root of the repository. By default pytest refuses two test modules of one name.
    """
    project = folder.resolve()
    repository = next((each for each in (project, *project.parents) if (each / ".git").exists()), None)
    part = project.relative_to(repository or project)
    name = project.name if repository is None else str(part)
    defaults = _DEFAULTS.format(folder=json.dumps(part.as_posix())) if part.parts else ""
    workflow = _WORKFLOW.format(defaults=defaults, requirements=_requirements(folder), folder=_FOLDER)
    if repository is not None and not folder.is_absolute():
        repository = Path(os.path.relpath(repository))
    return {
        folder / _FOLDER / "conftest.py": _CONFTEST,
        folder / _FOLDER / f"{_join_words('test_first_answer', name, '_')}.py": _TEST,
        (repository or folder)
        / ".github/workflows"
        / f"{_join_words('responses', str(part), '-')}.yml": workflow,
    }


def _join_words(first: str, path: str, separator: str) -> str:
    return separator.join([first, *re.findall(r"[A-Za-z0-9]+", path)])


def _requirements(folder: Path) -> str:
    """What the workflow installs: the plugin, and the project if it says what it needs."""
    requirements = ["'responses-mockserver[pytest]'"]
    if (folder / "requirements.txt").is_file():
        requirements.append("-r requirements.txt")
    if _is_installable(folder):
        requirements.append("-e .")
    return " ".join(requirements)


def _is_installable(folder: Path) -> bool:
    try:
        return "project" in tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False


def _write_new(file: Path, text: str) -> bool:
    """Write a file, with its folder, unless it exists; return whether it was written."""
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        # O_EXCL: never overwrite a file or follow a link.
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        return False
    with os.fdopen(handle, "w", encoding="utf-8") as target:
        target.write(text)
    return True
