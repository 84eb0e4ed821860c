"""`mockserver serve`, where it does not come to serving; the rest is in `tests/acceptance`."""

from __future__ import annotations

import pytest

from tests.cli.conftest import RunCli


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            ["--profile", "openai"],
            "the profile openai is for checks only and cannot be served; choose one of: openresponses-2026-04",
        ),
        (["--profile", "nothing"], "no profile 'nothing'; there are: "),
        (["--rendering", "nothing"], "unknown rendering 'nothing' in qwen-2026-01; choose one of: "),
    ],
)
def test_unusable_profile_or_rendering_is_one_line(options: list[str], words: str, run_cli: RunCli) -> None:
    code, out, err = run_cli("serve", "--port", "0", *options)
    assert (code, out) == (2, "")
    assert err.startswith(f"mockserver: {words}")
    assert err.count("\n") == 1
