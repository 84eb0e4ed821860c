"""Every fenced block of every page is run, or is among those that cannot run, which name the reason.

What cannot run is read: shells parse it, commands of `mockserver` and pytest have options that exist, targets of `make`
and paths exist, and data can be loaded.
"""

from __future__ import annotations

import ast
import json
import re
import shlex
import subprocess
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import click
import pytest
import yaml

from docs.generate import PAGES as GENERATED_PAGES
from mockserver.cli.commands import group
from mockserver.exchange_files import load_exchange_folder
from mockserver.server.delivery.faults import streams
from tests.examples import test_blocks, test_console_blocks
from tests.examples.page_setups import PAGE_SETUPS
from tests.examples.pages import PAGES, ROOT, Block, find_blocks

BLOCKS = [block for page in PAGES for block in find_blocks(page)]

#: Modules that run or compare the blocks of a language on a page.
TESTED = {
    ("clients.md", "*"): "tests/acceptance/test_clients.py",  # the page is made of the programs that it runs
    ("editors.md", "json"): "tests/cli/test_editors_page.py",
    ("editors.md", "xml"): "tests/cli/test_editors_page.py",
    ("examples/node/README.md", "sh"): "tests/acceptance/test_run.py",
    ("examples/vitest/README.md", "sh"): "tests/acceptance/test_npm_package.py",
    ("how-to/tool-loops.md", "json"): "tests/examples/test_every_block.py",
    ("javascript.md", "js"): "tests/acceptance/test_npm_package.py",
    ("javascript.md", "json"): "tests/acceptance/test_npm_package.py",
    ("load-testing.md", "js"): "tests/examples/test_load_testing_page.py",
    ("load-testing.md", "lua"): "tests/examples/test_load_testing_page.py",
    ("load-testing.md", "py"): "tests/examples/test_load_testing_page.py",
    ("migrate.md", "js"): "tests/acceptance/test_migration_page.py",
    ("migrate.md", "sh"): "tests/acceptance/test_migration_page.py",
    ("migrate.md", "text"): "tests/acceptance/test_migration_page.py",
    ("packages/npm/README.md", "js"): "tests/acceptance/test_npm_package.py",
    ("scripting.md", "go"): "tests/examples/test_admin_api.py",
    ("scripting.md", "js"): "tests/examples/test_admin_api.py",
    ("scripting.md", "json"): "tests/examples/test_every_block.py",
    ("scripting.md", "sh"): "tests/examples/test_admin_api.py",
}

#: Blocks that cannot run: the reason. All are read as far as their language can be.
NOT_RUN = {
    ("architecture.md", ""): "is a picture of the layers",
    ("benchmarks/README.md", ""): "shows figures of one machine",
    ("clients-in-any-language.md", "text"): "has numbers that differ from run to run",
    ("command-line.md", "sh"): "lists one command after the other, of which some need a key or never end",
    (
        "conduct.md",
        "sh",
    ): "needs a client that is stopped; tests/acceptance/test_scripting_over_http.py has one",
    ("conduct.md", "text"): "quotes two findings",
    ("contributing/client-environment.md", "sh"): "needs a registry, and a name of the reader's",
    ("contributing/fault.md", "py"): "is a fault that the package does not have",
    ("contributing/fault.md", "sh"): "is the test suite itself",
    ("contributing/profile.md", "sh"): "is the test suite itself",
    ("contributing/rule.md", "sh"): "is the test suite itself",
    ("contributing/tool-type.md", "sh"): "is the test suite itself",
    ("github-action.md", "yaml"): "needs GitHub; tests/acceptance/test_github_action.py runs the steps",
    ("how-to/ci.md", "yaml"): "needs the CI services",
    ("load-testing.md", "json"): "is a line of a file that guidellm reads",
    ("load-testing.md", "sh"): "is a server that never ends",
    ("load-testing.md", "text"): "shows figures of one machine",
    ("networks.md", "js"): "needs a browser; tests/acceptance/test_browsers.py has one",
    ("networks.md", "sh"): "needs a proxy and other machines; tests/acceptance/test_networks.py has both",
    (
        "networks.md",
        "yaml",
    ): "needs Docker and Kubernetes; tests/examples/test_deploy.py runs the complete files",
    ("packages/npm/README.md", "sh"): "installs from a registry",
    ("scale.md", "sh"): "needs a registry and Redis; tests/acceptance/test_replicas.py has one",
    ("scripting.md", "text"): "has a token that the server makes up",
    ("verify.md", "json"): "has prices of the reader's contract",
}


#: Pages whose tests are those of the reader.
FOREIGN_TESTS = ("command-line.md", "record.md")
#: Pages whose blocks are made of what the package has. tests/test_docs.py compares them.
GENERATED = tuple(
    page for page in GENERATED_PAGES if page.startswith(("reference/", "rules", "profiles", "faults"))
)


def is_output(block: Block) -> bool:
    """Whether it is the output of the Python block before it."""
    return any(
        each.page == block.page and each.output and each.output in block.code for each in test_blocks.BLOCKS
    )


def is_run(block: Block) -> bool:
    """Whether a test runs it or compares it with what is run."""
    if block.page in GENERATED:
        return True
    if block.language == "python":
        return any(each.page == block.page and each.code == block.code for each in test_blocks.BLOCKS)
    if block.language == "console":
        return block.page in test_console_blocks.RUN_PAGES or block.page in PAGE_SETUPS
    if block.page.startswith(test_console_blocks.FOLLOWED) and (
        test_console_blocks.FILE_NAME_COMMENT.match(block.code)
        or (block.language == "json" and block.page in test_console_blocks.JSON_FILES)
    ):
        return True
    if block.language == "text" and is_output(block):
        return True
    return not TESTED.keys().isdisjoint({(block.page, block.language), (block.page, "*")})


def unrun_blocks(*languages: str) -> list[Block]:
    return [block for block in BLOCKS if block.language in languages and not is_run(block)]


@pytest.mark.parametrize("page", PAGES)
def test_every_block_is_run_or_cannot_run(page: str) -> None:
    unknown = [
        f"{block} {block.language}"
        for block in BLOCKS
        if block.page == page and not is_run(block) and (page, block.language) not in NOT_RUN
    ]
    assert unknown == []


def test_the_lists_name_what_exists() -> None:
    kinds = {(block.page, block.language) for block in BLOCKS}
    unrun = {(block.page, block.language) for block in BLOCKS if not is_run(block)}
    assert [each for each in TESTED if each not in kinds and (each[1] != "*" or each[0] not in PAGES)] == []
    assert [each for each in NOT_RUN if each not in unrun] == []
    for (page, _), module in TESTED.items():
        text = (ROOT / module).read_text(encoding="utf-8")
        assert Path(page).stem in text or Path(page).parent.name in text, (page, module)


@pytest.mark.parametrize("block", unrun_blocks("sh"), ids=str)
def test_a_shell_can_read_a_block(block: Block) -> None:
    done = subprocess.run(["bash", "-n"], input=block.code, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


LOADERS: Mapping[str, Callable[[str], Any]] = {
    "json": json.loads,
    "py": ast.parse,
    "toml": tomllib.loads,
    "xml": ET.fromstring,
    "yaml": yaml.safe_load,
}


@pytest.mark.parametrize("block", [each for each in BLOCKS if each.language in LOADERS], ids=str)
def test_data_and_code_can_be_read(block: Block) -> None:
    assert LOADERS[block.language](block.code)


@pytest.mark.parametrize("page", ["how-to/tool-loops.md", "scripting.md"])
def test_shown_exchanges_are_loaded(page: str, tmp_path: Path) -> None:
    shown = [block.code for block in find_blocks(page) if block.language == "json"]
    for number, code in enumerate(shown):
        (tmp_path / f"{number}.json").write_text(code, encoding="utf-8")
    assert len(load_exchange_folder(tmp_path)) >= len(shown) > 0


def shell_texts() -> list[tuple[str, str]]:
    """Each page whose commands do not all run, with a text that shells read."""
    return [
        (block.page, block.code.replace("\\\n", " "))
        for block in BLOCKS
        if block.language in ("console", "sh", "yaml")
        and (block.language == "yaml" or not block.page.startswith(test_console_blocks.FOLLOWED))
    ]


def shown_commands(program: str) -> list[tuple[str, str]]:
    """Each command line of the program, with its page."""
    pattern = re.compile(rf"(?:^|[|$:\"(] |&& )({program} (?:[^|#>&\n\"]|(?<=\d)>)+)", re.MULTILINE)
    found = {(page, command) for page, text in shell_texts() for command in pattern.findall(text)}
    return sorted(found)


@pytest.mark.parametrize(("page", "line"), shown_commands("mockserver"), ids=str)
def test_a_shown_command_has_options_that_exist(page: str, line: str) -> None:
    assert page
    words = shlex.split(line)[1:]
    context = click.Context(group, **group.context_settings)
    command = group.get_command(context, words[0])
    assert command is not None
    if isinstance(command, click.Group):
        command = command.commands[words[1]]
        words = words[1:]
    inner = click.Context(command, context, resilient_parsing=True, **command.context_settings)
    command.make_parser(inner).parse_args(words[1:])


def test_shown_options_of_pytest_exist(pytestconfig: pytest.Config) -> None:
    options = {
        name for group_ in pytestconfig._parser._groups for each in group_.options for name in each.names()
    }
    for page, line in shown_commands("pytest"):
        for option in re.findall(r"--responses-[a-z-]+", line):
            assert option in options, f"{page}: {line}"


def test_shown_targets_of_make_and_their_paths_exist() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    for page, line in shown_commands("make"):
        assert line.split()[1] in targets, f"{page}: {line}"
    for page, text in shell_texts():
        for path in re.findall(r"\btests/[\w./]+", text):
            assert page in FOREIGN_TESTS or "/NAME/" in path or (ROOT / path).exists(), f"{page}: {path}"


def test_the_fault_of_the_page_is_made_of_what_exists() -> None:
    (block,) = (each for each in BLOCKS if each.page == "contributing/fault.md" and each.language == "py")
    names = {each.id for each in ast.walk(ast.parse(block.code)) if isinstance(each, ast.Name)}
    assert names <= {*vars(streams), "outgoing", "options"}


def test_workflows_and_hooks_name_what_exists() -> None:
    action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    hooks = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    workflow, configuration = (
        yaml.safe_load(block.code) for block in find_blocks("github-action.md") if block.language == "yaml"
    )
    (step,) = (each for each in workflow["jobs"]["test"]["steps"] if "with" in each)
    assert step["with"].keys() <= action["inputs"].keys()
    (repository,) = configuration["repos"]
    assert {each["id"] for each in repository["hooks"]} <= {each["id"] for each in hooks}
