"""The generated pages are current."""

from __future__ import annotations

import pytest

from docs.generate import FOLDER, PAGES
from mockserver.contract.rules import load_live_rules, load_rules


@pytest.mark.parametrize("page", PAGES)
def test_the_page_is_current(page: str) -> None:
    assert (FOLDER / page).read_text(encoding="utf-8") == PAGES[page], "run `make docs`"


def test_every_rule_is_on_the_page() -> None:
    for rule in (*load_rules(), *load_live_rules()):
        assert f"\n### {rule}\n" in PAGES["rules.md"]
