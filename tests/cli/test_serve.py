"""`mockserver serve` with unusable options; `tests/acceptance` covers serving."""

from __future__ import annotations

import pytest

from tests.cli.conftest import RunCli


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--profile", "openai"],
            "the profile openai is for checks only and cannot be served; choose one of: openresponses-2026-04",
        ),
        (["--profile", "nothing"], "no profile 'nothing'; choose from: "),
        (["--rendering", "nothing"], "unknown rendering 'nothing' in qwen-2026-01; choose from: "),
    ],
)
def test_unusable_profile_or_rendering_is_one_line(options: list[str], message: str, run_cli: RunCli) -> None:
    code, out, err = run_cli("serve", "--port", "0", *options)
    assert (code, out) == (2, "")
    assert err.startswith(f"mockserver: {message}")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "option",
    [["--console"], ["--verbose"], ["--report", "text=report.txt"], ["--fallback", "https://example.com"]],
)
def test_load_excludes_what_needs_requests(option: list[str], run_cli: RunCli) -> None:
    code, out, err = run_cli("serve", "--port", "0", "--load", *option)
    assert (code, out) == (2, "")
    assert err == f"mockserver: --load keeps no requests, which {option[0]} needs\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--fallback", "https://example.com/v1"], "--fallback needs --upstream-key-env NAME"),
        (
            ["--fallback", "https://example.com/v1", "--upstream-key-env", "NO_SUCH_KEY"],
            "NO_SUCH_KEY is not set",
        ),
        (
            ["--fallback", "https://example.com/v1", "--upstream-key-env", "LIVE_KEY", "--strict"],
            "--strict rejects the requests that --fallback passes on",
        ),
        (
            ["--fallback", "http://example.com/v1", "--upstream-key-env", "LIVE_KEY"],
            "'http://example.com/v1': keys are only sent over https or to this machine",
        ),
        (
            [
                *("--fallback", "https://example.com/v1", "--upstream-key-env", "LIVE_KEY"),
                "--allow-header",
                "Te",
            ],
            "--allow-header 'te': this header cannot be passed on",
        ),
    ],
)
def test_unusable_fallback_is_one_line(
    options: list[str], message: str, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIVE_KEY", "sk-of-the-endpoint")
    code, out, err = run_cli("serve", "--port", "0", *options)
    assert (code, out) == (2, "")
    assert err.startswith(f"mockserver: {message}")
    assert err.count("\n") == 1
