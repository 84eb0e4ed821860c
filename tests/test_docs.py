"""The generated pages are current, and so is the output that other pages show."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from docs.generate import FOLDER, PAGES
from docs.site_hooks import REPOSITORY_PAGES
from mockserver.contract.rules import load_all_rules
from mockserver.profiles import load_profile
from mockserver.replies.generated_scripts import complete_tool_call
from mockserver.replies.script import ToolCall


@pytest.mark.parametrize("page", PAGES)
def test_the_page_is_current(page: str) -> None:
    assert (FOLDER / page).read_text(encoding="utf-8") == PAGES[page], "run `make docs`"


def test_every_rule_is_on_the_page() -> None:
    for rule in load_all_rules():
        assert f"\n### {rule}\n" in PAGES["rules.md"]


@pytest.mark.parametrize("kind", load_profile("qwen-2026-09").tools)
def test_the_scripting_page_names_the_data_of_every_tool(kind: str) -> None:
    text = (FOLDER / "scripting.md").read_text(encoding="utf-8")
    (row,) = re.findall(rf"^\| [^|]*`{kind}`[^|]* \|(.*)\|$", text, re.MULTILINE)
    assert set(complete_tool_call(ToolCall(kind, {})).data) <= set(re.findall(r"`(\w+)`", row))


def test_the_page_about_verify_shows_the_plan() -> None:
    """The numbers of probes, requests and tokens change with every new probe."""
    page = (FOLDER / "verify.md").read_text(encoding="utf-8")
    shown = re.search(r"\$ mockserver (verify --base-url .*) --dry-run\n((?:.*\n)+?)  …\n", page)
    assert shown is not None
    command = [sys.executable, "-m", "mockserver", *shown[1].split(), "--dry-run"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    assert done.stderr.startswith(shown[2])


def test_every_page_is_in_the_navigation_of_the_site() -> None:
    """`mkdocs build --strict` fails on a page that is not."""
    listed = re.findall(
        r"^ +- (?:.*: )?([\w/-]+\.md)$", (FOLDER.parent / "mkdocs.yml").read_text("utf-8"), re.MULTILINE
    )
    pages = [file.relative_to(FOLDER).as_posix() for file in FOLDER.rglob("*.md")]
    assert sorted(listed) == sorted({*pages, *REPOSITORY_PAGES.values()})
