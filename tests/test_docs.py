"""The generated pages are current."""

from __future__ import annotations

import re

import pytest

from docs.generate import FOLDER, PAGES
from mockserver.contract.rules import load_live_rules, load_rules
from mockserver.profiles import load_profile
from mockserver.replies.generated_scripts import complete_tool_call
from mockserver.replies.script import ToolCall


@pytest.mark.parametrize("page", PAGES)
def test_the_page_is_current(page: str) -> None:
    assert (FOLDER / page).read_text(encoding="utf-8") == PAGES[page], "run `make docs`"


def test_every_rule_is_on_the_page() -> None:
    for rule in (*load_rules(), *load_live_rules()):
        assert f"\n### {rule}\n" in PAGES["rules.md"]


@pytest.mark.parametrize("kind", load_profile("qwen-2026-09").tools)
def test_the_scripting_page_names_the_data_of_every_tool(kind: str) -> None:
    text = (FOLDER / "scripting.md").read_text(encoding="utf-8")
    (row,) = re.findall(rf"^\| [^|]*`{kind}`[^|]* \|(.*)\|$", text, re.MULTILINE)
    assert set(complete_tool_call(ToolCall(kind, {})).data) <= set(re.findall(r"`(\w+)`", row))
