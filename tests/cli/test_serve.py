"""`mockserver serve` with unusable options; `tests/acceptance` covers serving."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path

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


WORKERS = ["--workers", "2"]
STORE = ["--store", "sqlite:store"]


@pytest.mark.parametrize(
    "options",
    [
        ["--admin"],
        ["--admin-token-env", "TOKEN"],
        ["--console"],
        ["--report", "text=report.txt"],
        ["--fallback", "https://example.com/v1", "--upstream-key-env", "TOKEN"],
        ["--limit", "concurrency=5"],
    ],
)
@pytest.mark.parametrize("shared", [WORKERS, STORE], ids=["workers", "store"])
def test_state_that_processes_do_not_share_is_refused_by_name(
    shared: list[str], options: list[str], run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "long-enough")
    code, out, err = run_cli("serve", "--port", "0", *shared, *options)
    assert (code, out) == (2, "")
    where = "--workers" if shared == WORKERS else "a shared --store"
    assert err.startswith(f"mockserver: {options[0]}")
    assert f" does not work with {where}: each process " in err
    assert err.count("\n") == 1


def test_a_store_of_another_version_is_refused(run_cli: RunCli, tmp_path: Path) -> None:
    """Also one of a version before, which has no tables for counts."""
    connection = sqlite3.connect(tmp_path / "store")
    connection.executescript(
        "PRAGMA application_id = 1836016491; PRAGMA user_version = 1; CREATE TABLE t (x)"
    )
    connection.close()
    code, out, err = run_cli("serve", "--port", "0", *STORE)
    assert (code, out) == (2, "")
    assert err == (
        "mockserver: --store sqlite:store cannot be used: a mockserver of another version wrote it (schema 1, not 3)\n"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--store", "memory", *WORKERS], "--store memory is of one process"),
        (["--store", "disk"], "--store is memory, sqlite:PATH, redis://"),
        (
            ["--store", "sqlite:no/such/folder"],
            "--store sqlite:no/such/folder cannot be used: unable to open",
        ),
        (["--store", "redis://:secret@127.0.0.1:1/0"], "--store redis://127.0.0.1:1/0 cannot be used: "),
        (["--store", "redis://127.0.0.1:1/0", "--store-size", "5"], "--store-size has no effect on Redis"),
    ],
)
def test_an_unusable_store_is_one_line(options: list[str], message: str, run_cli: RunCli) -> None:
    code, out, err = run_cli("serve", "--port", "0", *options)
    assert (code, out) == (2, "")
    assert err.startswith(f"mockserver: {message}")
    assert err.count("\n") == 1
    assert "secret" not in err


def test_vendor_token_counts_need_their_extra(run_cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tiktoken", None)
    code, out, err = run_cli("serve", "--port", "0", "--token-counts", "vendor")
    assert (code, out) == (2, "")
    assert err == "mockserver: tiktoken is not installed: pip install 'responses-mockserver[tokenizer]'\n"
