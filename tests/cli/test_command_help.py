"""`--help` of every command: its examples use options that exist, and its exit statuses are those of the table."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import click
import pytest

from mockserver.cli.command_help import EXAMPLES, EXIT_STATUSES
from mockserver.cli.commands import group
from tests.cli.conftest import RunCli
from tests.marks import slow_except_where

COMMANDS = group.list_commands(None)  # type: ignore[arg-type]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_examples_and_exit_statuses(command: str, run_cli: RunCli) -> None:
    status, output, _ = run_cli(command, "--help")
    assert status == 0
    for example in EXAMPLES[command]:
        assert f"\n  {'  '}{example}\n" in output
        (used,) = re.findall(rf"mockserver {command}\b([^|]*)", example)
        own = used.partition(" -- ")[0]
        subcommand = own.split()[:1] if command == "exchanges" else []
        options = run_cli(command, *subcommand, "--help")[1] if subcommand else output
        for option in re.findall(r"(?<= )--[a-z-]+", own):
            assert re.search(rf"^  {option}\b", options, re.MULTILINE), (example, option)
    for code, meaning in EXIT_STATUSES[command].items():
        assert f"    {code:5} {meaning}\n" in output


def test_every_command_is_in_the_tables() -> None:
    assert [*EXAMPLES] == [*EXIT_STATUSES] == COMMANDS


VALID = b'{"model": "qwen3-max-2026-01-23", "input": "Hi"}'
INVALID = b'{"model": "qwen3-max-2026-01-23", "input": 7}'
URL = "http://127.0.0.1:9/v1"

#: Command lines by exit status. Those that need another process are tested with their commands.
LINES = {
    ("check", "0"): "check valid.json",
    ("check", "1"): "check invalid.json",
    ("check", "2"): "check missing.json",
    ("completion", "0"): "completion zsh",
    ("completion", "2"): "completion csh",
    ("diff", "0"): "diff qwen-2026-01 qwen-2026-01",
    ("diff", "1"): "diff qwen-2026-09 qwen-2026-01",
    ("diff", "2"): "diff qwen-2026-01 missing",
    ("doctor", "0"): "doctor",
    ("doctor", "1"): "doctor --store sqlite:missing/store.db",
    ("doctor", "2"): "doctor --port 0",
    ("exchanges", "0"): "exchanges check good",
    ("exchanges", "1"): "exchanges check bad",
    ("exchanges", "2"): "exchanges new valid.json --out missing",
    ("faults", "0"): "faults",
    ("faults", "2"): "faults none",
    ("fuzz", "2"): "fuzz --profile none -- true",
    ("health", "1"): "health --port CLOSED",
    ("health", "2"): "health --url none",
    ("init", "0"): "init",
    ("init", "2"): "init missing",
    ("record", "1"): f"record --upstream {URL} --allow-http 127.0.0.1 --out out --port TAKEN",
    ("record", "2"): "record --upstream none --out out",
    ("replay", "2"): "replay missing",
    ("rules", "0"): "rules",
    ("rules", "2"): "rules none",
    ("run", "1"): "run -- true",
    ("run", "2"): "run --profile none -- true",
    ("run", "126"): "run -- ./good",
    ("run", "127"): "run -- ./missing",
    ("schema", "0"): "schema exchange",
    ("schema", "2"): "schema none",
    ("serve", "1"): "serve --port TAKEN",
    ("serve", "2"): "serve --profile none",
    ("verify", "2"): f"verify --base-url {URL}",
}

TESTED_ELSEWHERE = {
    *(("fuzz", each) for each in ("0", "1", "130")),
    ("health", "0"),
    *(("record", each) for each in ("0", "3")),
    *(("replay", each) for each in ("0", "1")),
    *(("run", each) for each in ("0", "other")),
    ("serve", "0"),
    *(("verify", each) for each in ("0", "1", "3")),
}


def test_every_status_of_the_table_is_tested() -> None:
    table = {(command, status) for command, statuses in EXIT_STATUSES.items() for status in statuses}
    assert table == LINES.keys() | TESTED_ELSEWHERE
    assert not LINES.keys() & TESTED_ELSEWHERE


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # a process that ends closes its sockets
@pytest.mark.parametrize(
    ("command", "status"), slow_except_where(lambda command, _: command in ("check", "init", "schema"), LINES)
)
def test_a_command_ends_with_the_status_of_the_table(
    command: str, status: str, run_cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DASHSCOPE_API_KEY", raising=False)
    (tmp_path / "valid.json").write_bytes(VALID)
    (tmp_path / "invalid.json").write_bytes(INVALID)
    for folder, text in (("good", '{"reply": "Hello"}'), ("bad", '{"reply": 7}')):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "exchange.json").write_text(text)
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.create_server(("127.0.0.1", 0)) as closed:
        ports = {"TAKEN": str(taken.getsockname()[1]), "CLOSED": str(closed.getsockname()[1])}
        closed.close()
        ended, output, errors = run_cli(*(ports.get(each, each) for each in LINES[command, status].split()))
    assert ended == int(status), output + errors


@pytest.mark.parametrize("command", ["run", "serve"])
def test_a_long_help_has_each_option_in_one_section(command: str, run_cli: RunCli) -> None:
    sections = (
        run_cli(command, "--help")[1].partition("\nAddress and keys:\n")[2].partition("\n  Examples:")[0]
    )
    own = group.get_command(None, command)  # type: ignore[arg-type]
    assert own is not None
    for parameter in own.params:
        if isinstance(parameter, click.Option):
            found = re.findall(rf"^  {parameter.opts[0]}\b(?!-)", sections, re.MULTILINE)
            assert len(found) == 1, parameter.name
    assert "\nReplies:\n  --profile " in sections
    assert re.search(r"\nOther options:\n  -h, --help .*\n$", sections)
