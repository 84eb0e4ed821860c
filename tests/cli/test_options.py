"""Options that several commands share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mockserver.wire import json
from mockserver.wire.masks import configured_masks, use_masks
from tests.cli.conftest import RunCli

MODEL = "qwen3-max-2026-01-23"
#: A request whose finding quotes the value, and a reply to it.
REQUEST = {"model": MODEL, "input": "Hello!", "metadata": {"user": ["canary-user"], "team": "canary-team"}}
MASKS = ("/metadata/user", "/metadata/team")


@pytest.fixture(autouse=True)
def _masks_of_the_process() -> Iterator[None]:
    before = configured_masks()
    yield
    use_masks(before)


@pytest.mark.parametrize(
    "command",
    [
        "check",
        "diff",
        "exchanges check",
        "exchanges new",
        "fuzz",
        "record",
        "replay",
        "run",
        "serve",
        "verify",
    ],
)
def test_every_command_that_shows_bodies_takes_masks(command: str, run_cli: RunCli) -> None:
    status, output, _ = run_cli(*command.split(), "--help")
    assert status == 0
    assert "--mask MASK" in output
    status, _, errors = run_cli(*command.split(), "--mask", "user")
    assert status == 2
    assert "a JSON pointer starts with /" in errors


@pytest.mark.parametrize("place", ["option", "variable", "settings", "option and settings"])
@pytest.mark.parametrize("command", [("check",), ("exchanges", "new")], ids=" ".join)
def test_masks_come_from_the_command_line_variables_and_settings(
    command: tuple[str, ...], place: str, run_cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = json.dumps(REQUEST).decode()
    (tmp_path / "file").write_text(f"curl https://h/v1/responses -d '{text}'" if "new" in command else text)
    in_option = {"option": MASKS, "option and settings": MASKS[:1]}.get(place, ())
    in_settings = {"settings": MASKS, "option and settings": MASKS[1:]}.get(place, ())
    if in_settings:
        (tmp_path / "pyproject.toml").write_text(f"[tool.mockserver]\nmask = {[*in_settings]}\n")
    if place == "variable":
        monkeypatch.setenv("MOCKSERVER_MASK", " ".join(MASKS))
    options = [word for each in in_option for word in ("--mask", each)]
    _, output, errors = run_cli(*command, *options, "file")
    assert "canary" not in output + errors
    assert len(output) > 50


@pytest.mark.parametrize("mask", ['"/metadata/user"', "7", '[["/metadata/user"]]'])
def test_masks_of_the_settings_are_a_list_of_texts(mask: str, run_cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(f"[tool.mockserver]\nmask = {mask}\n")
    status, _, errors = run_cli("check", "file")
    assert status == 2
    assert len(errors.splitlines()) == 1
    assert "mask is a list" in errors or "a mask is a string" in errors


@pytest.mark.parametrize("text", ["[tool]\nmockserver = 7\n", "tool = 'mockserver'\n"])
def test_settings_that_are_no_table_are_no_traceback(text: str, run_cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    status, _, errors = run_cli("check", "missing")
    assert status == 2
    assert len(errors.splitlines()) == 1


def test_the_command_that_plays_a_case_again_has_the_masks(run_cli: RunCli) -> None:
    masks = ("--mask", MASKS[0], "--mask", "regex:a b")
    _, output, _ = run_cli("fuzz", "--examples", "1", *masks, "--", sys.executable, "-c", "")
    replay = next(line for line in output.splitlines() if line.startswith("Replay: "))
    assert f"--mask={MASKS[0]} '--mask=regex:a b' --replay" in replay


def test_a_pattern_without_its_package_is_refused_with_the_command_that_installs_it(
    run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "re2", None)
    status, _, errors = run_cli("check", "--mask", "regex:a+", "file")
    assert status == 2
    assert "pip install 'responses-mockserver[patterns]'" in errors


@pytest.mark.parametrize("command", ["check good.json", "schema response", "fuzz --examples 0 -- true"])
def test_latest_is_a_profile_of_every_command(command: str, run_cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "good.json").write_bytes(json.dumps({"model": MODEL, "input": "Hello!"}))
    name, *others = command.split()
    _, output, errors = run_cli(name, "--profile", "latest", *others)
    assert "latest" not in output + errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--port abc", "Invalid value for '--port': 'abc' is not an integer from 0 to 65535."),
        ("--port 80800", "'80800' is not an integer from 0 to 65535."),
        ("--store-size 0", "'0' is not an integer of at least 1."),
        ("9000", "Got unexpected extra argument (9000); did you mean --port 9000?"),
    ],
)
def test_an_unusable_number_is_refused_with_its_bounds(arguments: str, message: str, run_cli: RunCli) -> None:
    status, _, errors = run_cli("serve", *arguments.split())
    assert status == 2
    assert message in errors


def test_the_source_of_an_unusable_value_is_named(
    run_cli: RunCli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.mockserver]\nseed = 'x'\n")
    errors = run_cli("serve")[2]
    assert "Invalid value for 'seed' in pyproject.toml, [tool.mockserver]: 'x' is not" in errors
    monkeypatch.setenv("MOCKSERVER_SEED", "y")
    assert "Invalid value for the variable MOCKSERVER_SEED: 'y' is not" in run_cli("serve")[2]
    assert "Invalid value for '--seed': 'z' is not" in run_cli("serve", "--seed", "z")[2]


def test_a_misspelt_variable_is_noted(run_cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PROFIL", "CASE", "LOG_LEVEL", "PROFILE"):
        monkeypatch.setenv(f"MOCKSERVER_{name}", "latest")
    status, _, errors = run_cli("faults", "stall")
    assert status == 0
    note = "mockserver: note: MOCKSERVER_PROFIL has no effect; did you mean MOCKSERVER_PROFILE?\n"
    assert errors == note


def test_settings_with_a_byte_order_mark_and_other_line_ends_are_read(
    run_cli: RunCli, tmp_path: Path
) -> None:
    (tmp_path / "pyproject.toml").write_bytes(b"\xef\xbb\xbf[tool.mockserver]\r\nprofile = 'nothing'\r\n")
    assert "no profile 'nothing'" in run_cli("serve")[2]


def test_what_the_encoding_of_the_output_lacks_is_escaped() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "mockserver", "rules", "TXT-001"],
        env={**os.environ, "PYTHONIOENCODING": "latin-1"},
        capture_output=True,
        check=True,
    )
    assert b'"model":""\\u2026\n' in shown.stdout
    assert shown.stderr == b""
