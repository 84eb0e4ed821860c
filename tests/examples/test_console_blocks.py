"""Runs the console blocks of the tutorial and the how-to pages, and reads the commands of all other pages.

A page is one session of a shell: its blocks run one after the other in one folder, and print what the page shows,
where `…` stands for any text. A block that begins with a comment such as `// ask.mjs`, and one of JSON whose file the
page names, is a file in that folder. `mockserver serve` runs in the background until the page ends. A block marked
`console fails` has commands that exit with another status than 0.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
import yaml

from mockserver.cli.commands import group
from tests.acceptance.conftest import ROOT

DOCS = ROOT / "docs"
BLOCK = re.compile(r"^```(\w+)( fails)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE_NAME_COMMENT = re.compile(r"(?:#|//) ([\w.]+)\n")
#: Files of pages whose blocks cannot have a comment.
JSON_FILES = {"tutorial/node.md": "stubs/weather.json", "how-to/ci.md": "event.json"}
RUN_PAGES = sorted(
    file.relative_to(DOCS).as_posix()
    for folder in ("tutorial", "how-to")
    for file in (DOCS / folder).glob("*.md")
)
OTHER_PAGES = [
    ROOT / "README.md",
    *(file for file in sorted(DOCS.rglob("*.md")) if file.relative_to(DOCS).as_posix() not in RUN_PAGES),
]
WAIT_FOR_SERVER = (
    'for _ in $(seq 1200); do [ -s .url ] && break; kill -0 "$SERVER" || break; sleep 0.05; done; [ -s .url ]'
)


@dataclass(frozen=True)
class Command:
    """One command of a page, and the output that the page shows."""

    text: str
    output: str
    fails: bool

    @property
    def serves(self) -> bool:
        return self.text.startswith("mockserver serve")

    @property
    def script(self) -> str:
        """The lines of a shell that run it, with a line before and one behind its output."""
        if self.serves:
            run = (
                f"{self.text} --url-file .url >.log 2>&1 & SERVER=$!\n{WAIT_FOR_SERVER}; STATUS=$?; cat .log"
            )
        else:
            run = f"{{ {self.text}\n}} </dev/null 2>&1; STATUS=$?"
        return f"echo '@@ begin'\n{run}\necho; echo \"@@ end $STATUS\""


def page_text(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


def find_commands(text: str) -> list[Command]:
    commands = []
    for language, fails, code in BLOCK.findall(text):
        if language == "console":
            for part in re.split(r"^\$ ", code, flags=re.MULTILINE)[1:]:
                lines = part.splitlines()
                count = next(index for index, line in enumerate(lines) if not line.endswith("\\")) + 1
                commands.append(Command("\n".join(lines[:count]), "\n".join(lines[count:]), bool(fails)))
    return commands


def write_files(text: str, page: str, folder: Path) -> None:
    for language, _, code in BLOCK.findall(text):
        named = FILE_NAME_COMMENT.match(code)
        name = named[1] if named else JSON_FILES.get(page, "") if language == "json" else ""
        if name:
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(code, encoding="utf-8")


def output_pattern(shown: str) -> str:
    """The regular expression of an output."""
    return r"\s*" + re.escape(shown.strip()).replace("…", ".*") + r"\s*"


def run_page(text: str, folder: Path) -> list[tuple[str, int]]:
    """The output and the exit status of each command."""
    script = "\n".join(
        [*(command.script for command in find_commands(text)), 'kill "$SERVER" 2>/dev/null; wait']
    )
    programs = folder / ".bin"
    programs.mkdir()
    for name in ("mockserver", "pytest"):
        arguments = (
            "-m mockserver" if name == "mockserver" else "-m pytest -p mockserver.testing.pytest_plugin"
        )
        (programs / name).write_text(f'#!/bin/sh\nexec {sys.executable} {arguments} "$@"\n')
        (programs / name).chmod(0o755)
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("MOCKSERVER_", "PYTEST_"))
    }
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env={
            **environment,
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "HOME": str(folder),
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=550,
        check=False,
    )
    ran = re.findall(r"^@@ begin\n(.*?)^@@ end (\d+)$", done.stdout, re.MULTILINE | re.DOTALL)
    return [(output, int(status)) for output, status in ran]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in RUN_PAGES if find_commands(page_text(page))])
def test_the_commands_of_a_page_print_what_it_shows(page: str, tmp_path: Path) -> None:
    text = page_text(page).replace("8080", str(free_port()))
    for program in ("go", "java", "jq", "node"):
        if re.search(rf"^\$ .*\b{program} ", text, re.MULTILINE) and shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    write_files(text, page, tmp_path)
    commands = find_commands(text)
    ran = run_page(text, tmp_path)
    assert len(ran) == len(commands)
    for command, (output, status) in zip(commands, ran, strict=True):
        assert (status != 0) == command.fails, f"{command.text}: {status}\n{output}"
        assert re.fullmatch(output_pattern(command.output), output, re.DOTALL), f"{command.text}\n{output}"


def shown_commands() -> list[tuple[str, str]]:
    """Each command line of `mockserver` on the pages whose commands are not run, with its page."""
    found = []
    for file in OTHER_PAGES:
        for language, _, code in BLOCK.findall(file.read_text(encoding="utf-8")):
            if language in ("console", "sh"):
                lines = code.replace("\\\n", " ").splitlines()
                found += [
                    (file.name, command)
                    for line in lines
                    for command in re.findall(r"(?:^|[|$] )(mockserver [^|#>]+)", line)
                ]
    return found


@pytest.mark.parametrize(("page", "line"), sorted(set(shown_commands())), ids=str)
def test_a_shown_command_has_options_that_exist(page: str, line: str) -> None:
    assert page
    words = shlex.split(line)[1:]
    context = click.Context(group)
    command = group.get_command(context, words[0])
    assert command is not None
    if isinstance(command, click.Group):
        command = command.commands[words[1]]
        words = words[1:]
    inner = click.Context(command, resilient_parsing=True, **command.context_settings)
    command.make_parser(inner).parse_args(words[1:])


@pytest.mark.parametrize("page", RUN_PAGES)
def test_the_data_of_a_page_can_be_read(page: str) -> None:
    for language, _, code in BLOCK.findall(page_text(page)):
        if language == "yaml":
            assert yaml.safe_load(code)
