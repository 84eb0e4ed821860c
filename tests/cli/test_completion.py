"""`mockserver completion`: what real shells complete, and the names that the program offers them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mockserver.contract.rules import load_all_rules
from mockserver.live.probes import all_probes
from mockserver.profiles import profile_names
from mockserver.server.delivery.faults.catalogue import catalogue
from tests.cli.conftest import RunCli
from tests.programs import run_program


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", {"check", "completion", "serve", "verify"}),
        ("ve", {"verify"}),
        ("serve --prof", {"--profile"}),
        ("serve --profile ", {*profile_names(), "latest"}),
        ("check --profile a", {"auto"}),
        ("serve --fault cut-", {each.name for each in catalogue() if each.name.startswith("cut-")}),
        ("check --ignore seq-01", {name for name in load_all_rules() if name.startswith("SEQ-01")}),
        ("rules TXT", {name for name in load_all_rules() if name.startswith("TXT")}),
        ("verify --skip tool-w", {name for name in all_probes() if name.startswith("tool-w")}),
        ("schema exch", {"exchange", "exchange_file"}),
        ("completion z", {"zsh"}),
        ("check --report j", {"json=", "junit="}),
        ("run --report h", {"html="}),
        ("verify --report m", {"markdown="}),
        ("run --report html=out/", {"html=out/old/", "html=out/report.html"}),
        ("run --report html=out/r", {"html=out/report.html"}),
        ("exchanges ", {"check", "new"}),
    ],
)
def test_the_program_completes_commands_options_and_names(
    line: str, expected: set[str], run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("out/old").mkdir(parents=True)
    Path("out/report.html").touch()
    words = f"mockserver {line}".split()
    monkeypatch.setenv("_MOCKSERVER_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", f"mockserver {line}")
    monkeypatch.setenv("COMP_CWORD", str(len(words) - (not line.endswith(" ") and bool(line))))
    status, output, errors = run_cli()
    assert (status, errors) == (0, "")
    offered = {each.partition(",")[2] for each in output.splitlines()}
    assert offered >= expected
    if line:
        assert offered == expected


def test_files_are_left_to_the_shell(run_cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    for line in ("check fix", "diff rec"):
        monkeypatch.setenv("_MOCKSERVER_COMPLETE", "bash_complete")
        monkeypatch.setenv("COMP_WORDS", f"mockserver {line}")
        monkeypatch.setenv("COMP_CWORD", "2")
        assert run_cli()[1] == f"file,{line.split()[1]}\n"


BASH = """
eval "$(mockserver completion bash)"
COMP_WORDS=(mockserver serve --fault cut-e) COMP_CWORD=3
_mockserver_completion mockserver cut-e --fault
compopt() { echo "compopt $*"; }
COMP_WORDS=(mockserver run --report ht) COMP_CWORD=3
_mockserver_completion mockserver ht --report
printf '%s\\n' "${COMPREPLY[@]}"
complete -p mockserver
"""
FISH = """
mockserver completion fish | source
complete -C 'mockserver serve --fault cut-e'
complete -C 'mockserver run --report ht'
"""
# A terminal in which zsh's line editor lists what it completes.
ZSH = """
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell 'PS1= ; autoload -Uz compinit; compinit -u -D; eval "$(mockserver completion zsh)"; print ready'
zpty -r shell output '*ready*ready*'
zpty -n -w shell $'mockserver serve --fault cut-e\\t'
zpty -r shell output '*cut-event*'
print -r -- "$output"
zpty -n -w shell $'\\C-umockserver run --report ht\tx'
zpty -r shell output '*--report html*x'
print -r -- "$output"
zpty -d shell
"""
SCRIPTS = {"bash": BASH, "fish": FISH, "zsh": ZSH}


def run_in_shell(shell: str, script: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """What a shell without start files makes of a script that runs `mockserver`."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    program = tmp_path / "bin" / "mockserver"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\nfrom mockserver.cli import main\n\nmain()\n")
    program.chmod(0o755)
    environment = {**os.environ, "HOME": str(tmp_path), "PATH": f"{program.parent}:{os.environ['PATH']}"}
    without_start_files = ["-f"] if shell == "zsh" else []
    return run_program(
        [shell, *without_start_files, "-c", script], tmp_path, env={**environment, "TERM": "dumb"}
    )


@pytest.mark.slow
@pytest.mark.parametrize("shell", ["bash", "fish", "zsh"])
def test_a_shell_completes_a_fault(shell: str, tmp_path: Path) -> None:
    done = run_in_shell(shell, SCRIPTS[shell], tmp_path)
    assert "cut-event" in done.stdout, done.stdout + done.stderr
    shown = {"bash": "nospace", "fish": "html=", "zsh": "--report html=x"}
    assert shown[shell] in done.stdout, done.stdout + done.stderr


def test_zsh_without_its_completion_system_is_told_what_is_missing(tmp_path: Path) -> None:
    done = run_in_shell("zsh", 'eval "$(mockserver completion zsh)"; print ready', tmp_path)
    assert done.stdout == "ready\n", done.stderr
    assert done.stderr.startswith("mockserver: completion needs compinit: put 'autoload -Uz compinit")
    assert done.stderr.count("\n") == 1


def test_another_shell_is_refused_with_the_nearest(run_cli: RunCli) -> None:
    status, output, errors = run_cli("completion", "zssh")
    assert (status, output) == (2, "")
    assert "did you mean 'zsh'" in errors
