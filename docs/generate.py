"""Generates the pages of this folder that are made from data.

.venv/bin/python docs/generate.py
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from docs.check_picture import check_picture
from docs.command_line_page import command_line_page
from docs.conduct_page import conduct_page
from docs.faults_page import faults_page
from docs.migrate_page import migrate_page
from docs.profiles_page import profiles_page
from docs.python_api_page import python_api_page
from docs.reference_pages import (
    admin_page,
    commands_page,
    configuration_page,
    exchange_page,
    schemas_page,
)
from mockserver.contract.conduct.examples import load_conduct_examples
from mockserver.contract.rule_examples import load_rule_examples
from mockserver.contract.rules import Rule, load_all_rules

__all__ = ["PAGES", "rules_page"]

FOLDER = Path(__file__).parent

_RULE_FAMILIES = {
    "SSE": "Server-sent events",
    "SEQ": "The sequence of events",
    "ITM": "Items and their parts",
    "TXT": "Texts",
    "USE": "Usage",
    "SCH": "Schemas",
    "REQ": "Requests, and responses to their requests",
    "CHT": "Chat Completions",
    "LIV": "Running endpoints",
    "RTY": "Conduct of a client: retries",
    "ABT": "Conduct of a client: aborts",
    "CTX": "Conduct of a client: the context of a conversation",
}


def rules_page() -> str:
    """Render the page `rules.md`."""
    return "\n".join(_page_lines()) + "\n"


def _page_lines() -> Iterator[str]:
    rules = load_all_rules()
    yield "<!-- Written by docs/generate.py from the rules and examples in schemas/: `make docs`. -->"
    yield "# Rules\n"
    yield f"The contract has {len(rules)} rules. Only findings of severity error violate it. `mockserver rules ID`"
    yield "explains a rule and prints the whole example that breaks it.\n"
    yield "| rule | severity | summary |"
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
    yield f"Impact: {rule.reason}\n"
    yield f"Source: {rule.source}.\n"
    if rule.id in load_conduct_examples():
        yield "```text"
        found = load_conduct_examples()[rule.id].check()
        yield from (f"{finding} [request {number}]" for number, finding in found)
        yield "```"
    if rule.id not in load_rule_examples():
        return
    yield "```text"
    findings = [each for each in load_rule_examples()[rule.id].check() if each.rule == rule.id]
    yield from (str(each) for each in findings[:2])
    yield "```"


PAGES: Mapping[str, str] = {
    "rules.md": rules_page(),
    "profiles.md": profiles_page(),
    "faults.md": faults_page(),
    "migrate.md": migrate_page(),
    "conduct.md": conduct_page(),
    "command-line.md": command_line_page(),
    "reference/cli.md": commands_page(),
    "reference/configuration.md": configuration_page(),
    "reference/python-api.md": python_api_page(),
    "reference/admin-api.md": admin_page(),
    "reference/exchange-files.md": exchange_page(),
    "reference/schemas.md": schemas_page(),
    "pictures/check.svg": check_picture(),
}
"""The current pages by their path in docs/."""


if __name__ == "__main__":
    for name, text in PAGES.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
        print(f"docs/{name}")
