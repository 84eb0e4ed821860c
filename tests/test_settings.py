"""Settings of a project: where they are read, and what names they may have."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from mockserver.cli.commands import group
from mockserver.errors import ConfigurationError
from mockserver.settings import NAMES, project_settings


def test_the_names_are_the_options_of_the_commands() -> None:
    commands = [getattr(import_module(f"mockserver.cli.{name}"), name) for name in group.list_commands(None)]  # type: ignore[arg-type]
    options = {option.name for command in commands for option in command.params}
    assert options | {"pauses"} == NAMES  # a test alone moves the clock that pauses may pass by
    assert "pauses" not in options


def test_names_may_have_hyphens(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.mockserver]\nstore-size = 1\nseed = 2\n")
    assert project_settings(tmp_path) == {"store_size": 1, "seed": 2}


def test_nothing_is_said_of_a_file_that_is_not_ours(tmp_path: Path) -> None:
    assert project_settings(tmp_path) == {}
    (tmp_path / "pyproject.toml").write_text("this is no TOML")
    assert project_settings(tmp_path) == {}


def test_a_file_of_ours_that_is_broken_is_told(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.mockserver\n")
    with pytest.raises(ConfigurationError, match=r"pyproject\.toml can not be read"):
        project_settings(tmp_path)
