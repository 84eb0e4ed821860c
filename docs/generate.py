"""Writes the pages of this folder that are made of data.

.venv/bin/python docs/generate.py
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from docs.faults_page import faults_page
from docs.migrate_page import migrate_page
from docs.profiles_page import profiles_page
from mockserver.contract.rule_examples import load_rule_examples
from mockserver.contract.rules import Rule, load_live_rules, load_rules

__all__ = ["PAGES", "rules_page"]

FOLDER = Path(__file__).parent

_RULE_FAMILIES = {
    "SSE": "Server-sent events",
    "SEQ": "The sequence of events",
    "ITM": "Items and their parts",
    "TXT": "Texts",
    "USE": "Usage",
    "SCH": "Shapes",
    "REQ": "Requests, and how an answer fits its request",
    "CHT": "Chat Completions",
    "LIV": "Endpoints: what only a running one can keep or break",
}


def rules_page() -> str:
    """The page about all rules."""
    return "\n".join(_page_lines()) + "\n"


def _page_lines() -> Iterator[str]:
    rules = {**load_rules(), **load_live_rules()}
    yield "<!-- Written by docs/generate.py from schemas/rules.json, live.json and examples: `make docs`. -->"
    yield "# The rules of the contract\n"
    yield f"There are {len(rules)} rules. Only errors break the contract. `mockserver rules ID` shows the"
    yield "same, and the whole broken example.\n"
    yield "| rule | severity | in short |"
    yield "|---|---|---|"
    for rule in rules.values():
        yield f"| [{rule.id}](#{rule.id.lower()}) | {rule.severity} | {rule.title} |"
    family = ""
    for rule in rules.values():
        if not rule.id.startswith(family) or not family:
            family = rule.id[:3]
            yield f"\n## {_RULE_FAMILIES[family]}"
        yield from _rule_lines(rule)


def _rule_lines(rule: Rule) -> Iterator[str]:
    yield f"\n### {rule.id}\n"
    yield f"**{rule.title}** · {rule.severity} · profiles: {', '.join(f'`{each}`' for each in rule.profiles)}"
    for profile, severity in rule.severity_in.items():
        yield f"· in `{profile}`: {severity}"
    yield f"\n{rule.statement}\n"
    yield f"Where it is broken: {rule.reason}\n"
    yield f"Source: {rule.source}.\n"
    if rule.id not in load_rule_examples():
        return
    yield "```text"
    found = [each for each in load_rule_examples()[rule.id].check() if each.rule == rule.id]
    yield from (str(each) for each in found[:2])
    yield "```"


PAGES: Mapping[str, str] = {
    "rules.md": rules_page(),
    "profiles.md": profiles_page(),
    "faults.md": faults_page(),
    "migrate.md": migrate_page(),
}
"""The pages as they should be, by file name."""


if __name__ == "__main__":
    for name, text in PAGES.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
        print(f"docs/{name}")
