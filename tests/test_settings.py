"""Project settings: where they are read from, and their names."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path

import pytest

from mockserver.cli.commands import group
from mockserver.errors import ConfigurationError
from mockserver.settings import SETTING_NAMES, load_project_settings


def test_setting_names_are_the_command_options() -> None:
    commands = [getattr(import_module(f"mockserver.cli.{name}"), name) for name in group.list_commands(None)]  # type: ignore[arg-type]
    options = {option.name for command in commands for option in command.params}
    assert options | {"pauses"} == SETTING_NAMES  # only a test can advance the clock that pauses wait for
    assert "pauses" not in options


def test_names_may_have_hyphens(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.mockserver]\nstore-size = 1\nseed = 2\n")
    assert load_project_settings(tmp_path) == {"store_size": 1, "seed": 2}


def test_a_pyproject_without_mockserver_has_no_settings(tmp_path: Path) -> None:
    assert load_project_settings(tmp_path) == {}
    (tmp_path / "pyproject.toml").write_text("this is not TOML")
    assert load_project_settings(tmp_path) == {}


@pytest.mark.parametrize(
    "text",
    [
        "[tool.mockserver]\nseed = 2\n",
        "[ 'tool' . \"mockserver\" ]\nseed = 2\n",
        "tool.mockserver.seed = 2\n",
        "[tool]\nmockserver = { seed = 2 }\n",
        "[tool]\nmockserver.seed = 2\n",
        "tool = { mockserver = { seed = 2 } }\n",
        "[project]\nname = 'a'\n[tool.mockserver]\r\nseed = 2\r\n",
    ],
)
def test_the_table_is_found_however_it_is_written(tmp_path: Path, text: str) -> None:
    (tmp_path / "pyproject.toml").write_bytes(text.encode())
    assert load_project_settings(tmp_path) == {"seed": 2}


def test_a_pyproject_that_only_names_mockserver_is_not_parsed(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[dependency-groups]\ndev = ["mockserver"]\n[tool.\n')
    assert load_project_settings(tmp_path) == {}


def test_an_unreadable_pyproject_with_mockserver_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.mockserver\n")
    with pytest.raises(ConfigurationError, match=r"pyproject\.toml cannot be read"):
        load_project_settings(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="makes a pipe")
def test_a_pyproject_that_is_a_pipe_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pyproject.toml")
    assert load_project_settings(tmp_path) == {}
