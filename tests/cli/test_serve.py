"""`mockserver serve`, where it does not come to serving; the rest is in `tests/acceptance`."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Run


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            ["--profile", "openai"],
            "the profile openai is one to judge by, not to play; to play: openresponses-2026-04",
        ),
        (["--profile", "nothing"], "no profile 'nothing'; there are: "),
        (["--rendering", "nothing"], "no rendering 'nothing' in qwen-2026-01; there are: "),
    ],
)
def test_what_can_not_be_served_is_one_line(options: list[str], words: str, mockserver: Run) -> None:
    code, out, err = mockserver("serve", "--port", "0", *options)
    assert (code, out) == (2, "")
    assert err.startswith(f"mockserver: {words}")
    assert err.count("\n") == 1
