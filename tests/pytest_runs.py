"""Pytest in a process of its own, with this project's plugin only: the other plugins take two seconds to load."""

from __future__ import annotations

from pathlib import Path

import pytest

__all__ = ["ONLY_THIS_PLUGIN", "ONLY_THIS_PLUGIN_ENVIRONMENT", "run_pytest_process"]

ONLY_THIS_PLUGIN = ("-p", "mockserver.testing.pytest_plugin")
ONLY_THIS_PLUGIN_ENVIRONMENT = {
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    # In each new folder Hypothesis derives its tables of characters again, too slowly for its own health check if
    # the machine is busy.
    "HYPOTHESIS_STORAGE_DIRECTORY": str(Path(__file__).parents[1] / ".hypothesis"),
}


def run_pytest_process(pytester: pytest.Pytester, *options: str) -> pytest.RunResult:
    """Run pytest on the files of the folder; further plugins are among the options."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ONLY_THIS_PLUGIN_ENVIRONMENT.items():
            patch.setenv(name, value)
        return pytester.runpytest_subprocess(*ONLY_THIS_PLUGIN, "-p", "no:cacheprovider", *options)
