"""Runs the console blocks of all pages.

A page is one session of a shell: its blocks run one after the other in one folder, and print what the page shows,
where `…` stands for any text. A block that begins with a comment such as `// ask.mjs`, and one of JSON whose file the
page names, is a file in that folder. What else a reader has is in `page_setups.py`, and so are the commands that cannot
run in a test. A server runs in the background until the page starts another one or ends. A block marked `console fails`
has commands that exit with another status than 0. The live service is a mock server.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from mockserver import MockServer
from tests.examples.page_setups import PAGE_SETUPS, PageSetup
from tests.examples.pages import PAGES, ROOT, find_blocks, page_text
from tests.programs import free_port, run_program
from tests.pytest_runs import ONLY_THIS_PLUGIN_ENVIRONMENT

FILE_NAME_COMMENT = re.compile(r"(?:#|//) ([\w.]+)\n")
#: Files of pages whose blocks cannot have a comment.
JSON_FILES = {"tutorial/node.md": "stubs/weather.json", "how-to/ci.md": "event.json"}
#: Pages that a reader follows from top to bottom: what they do not show is not printed.
FOLLOWED = ("tutorial/", "how-to/")
SERVICE = "https://dashscope-intl.aliyuncs.com"
KEY = "sk-console-0001"
WAIT_FOR_SERVER = (
    'for _ in $(seq 1200); do [ -s .url ] && break; kill -0 "$SERVER" || break; sleep 0.05; done; [ -s .url ]'
)
STOP_SERVER = '[ -z "$SERVER" ] || { kill "$SERVER"; wait "$SERVER"; } 2>/dev/null; rm -f .url'


@dataclass(frozen=True)
class Command:
    """One command of a page, and the output that the page shows."""

    text: str
    output: str
    fails: bool

    @property
    def serves(self) -> bool:
        return self.text.startswith(("mockserver serve", "mockserver record", "mockserver replay"))

    def script(self, before: str) -> str:
        """The lines of a shell that run it, with a line before and one behind its output."""
        if self.serves:
            run = (
                f"{STOP_SERVER}\n{self.text} --url-file .url >.log 2>&1 & SERVER=$!\n"
                f"{WAIT_FOR_SERVER}; STATUS=$?; cat .log"
            )
        else:
            run = f"{{ {self.text}\n}} </dev/null 2>&1; STATUS=$?"
        return f"{before}\necho '@@ begin'\n{run}\necho; echo \"@@ end $STATUS\""


def find_commands(page: str, text: str | None = None) -> list[Command]:
    commands = []
    for block in find_blocks(page, text):
        if block.language == "console":
            for part in re.split(r"^\$ ", block.code, flags=re.MULTILINE)[1:]:
                lines = part.splitlines()
                count = next(index for index, line in enumerate(lines) if not line.endswith("\\")) + 1
                output = "\n".join(lines[count:])
                shown = re.sub(r" +# .*", "", "\n".join(lines[:count]))
                command = shown.replace("=…", f"={KEY}")
                fails = block.fails or command.startswith(page_setup(page).fails)
                commands.append(Command(command, output, fails))
    return commands


def page_setup(page: str) -> PageSetup:
    return PAGE_SETUPS.get(page, PageSetup())


def find(command: Command, beginnings: Mapping[str, str]) -> str:
    """The value of the beginning of the command, or nothing."""
    return next((value for key, value in beginnings.items() if command.text.startswith(key)), "")


def is_run(page: str, command: Command) -> bool:
    return not find(command, page_setup(page).not_run)


COMMANDS = {page: find_commands(page) for page in PAGES}
RUN_PAGES = [page for page in PAGES if any(is_run(page, command) for command in COMMANDS[page])]


def write_files(text: str, page: str, folder: Path) -> None:
    files = dict(page_setup(page).files)
    for block in find_blocks(page, text):
        named = FILE_NAME_COMMENT.match(block.code)
        name = named[1] if named else JSON_FILES.get(page, "") if block.language == "json" else ""
        if name:
            files[name] = block.code
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")


def output_pattern(shown: str) -> str:
    """The regular expression of an output, in which durations may differ."""
    exact = re.escape(shown.strip()).replace("…", ".*")
    return r"\s*" + re.sub(r"\d+\\\.\d\\ s\b", r"\\d+\\.\\d s", exact) + r"\s*"


def write_programs(folder: Path, programs: Mapping[str, str]) -> None:
    python = shlex.quote(sys.executable)
    lines = {
        "mockserver": f"exec {python} -m mockserver",
        "pytest": f"exec {python} -m pytest -p mockserver.testing.pytest_plugin -p no:cacheprovider",
        "python3": f"exec {python}",
    }
    for name, script in programs.items():
        (folder / f"{name}.py").write_text(script, encoding="utf-8")
        lines[name] = f"exec {python} {shlex.quote(str(folder / f'{name}.py'))}"
    for name, line in lines.items():
        (folder / name).write_text(f'#!/bin/sh\n{line} "$@"\n', encoding="utf-8")
        (folder / name).chmod(0o755)


def run_page(page: str, text: str, folder: Path) -> list[tuple[str, int]]:
    """The output and the exit status of each command that runs."""
    setup = page_setup(page)
    commands = [command for command in find_commands(page, text) if is_run(page, command)]
    script = "\n".join(
        [*(command.script(find(command, setup.before)) for command in commands), f"{STOP_SERVER}; wait"]
    )
    programs = folder / ".bin"
    programs.mkdir()
    write_programs(programs, setup.programs)
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("MOCKSERVER_", "PYTEST_"))
    }
    done = run_program(
        ["bash", "-c", script],
        folder,
        env={
            **environment,
            **({} if " -n " in script else ONLY_THIS_PLUGIN_ENVIRONMENT),
            "DASHSCOPE_API_KEY": KEY,
            "HOME": str(folder),
            "MOCKSERVER_RATE": "0",
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
        },
        timeout=550,
    )
    ran = re.findall(r"^@@ begin\n(.*?)^@@ end (\d+)$", done.stdout, re.MULTILINE | re.DOTALL)
    return [(output, int(status)) for output, status in ran]


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN_PAGES)
def test_the_commands_of_a_page_print_what_it_shows(page: str, tmp_path: Path) -> None:
    port = free_port()
    with MockServer(seed=1, api_key=KEY) as service:
        host = service.base_url.partition("/api/")[0]
        text = page_text(page).replace("8080", str(port))
        if not page.startswith(FOLLOWED):
            text = re.sub(r"https://…|(?<=--base-url )URL", service.base_url, text.replace(SERVICE, host))
            text = re.sub(
                r"^\$ mockserver (?:serve|record|replay)", rf"\g<0> --port {port}", text, flags=re.MULTILINE
            )
        commands = [command for command in find_commands(page, text) if is_run(page, command)]
        for program in ("go", "java", "jq", "node"):
            if any(re.search(rf"\b{program} ", each.text) for each in commands) and not shutil.which(program):
                pytest.skip(f"{program} is not installed")
        (tmp_path / ".git").mkdir()  # a reader's project is a repository
        write_files(text, page, tmp_path)
        ran = run_page(page, text, tmp_path)
    assert len(ran) == len(commands)
    for command, (output, status) in zip(commands, ran, strict=True):
        assert (status != 0) == command.fails, f"{command.text}: {status}\n{output}"
        if command.output or page.startswith(FOLLOWED):
            assert re.fullmatch(output_pattern(command.output), output, re.DOTALL), (
                f"{command.text}\n{output}"
            )


def test_the_setups_of_pages_are_of_commands_that_exist() -> None:
    for page, setup in PAGE_SETUPS.items():
        for beginning in (*setup.before, *setup.fails, *setup.not_run):
            assert any(each.text.startswith(beginning) for each in COMMANDS[page]), (page, beginning)
