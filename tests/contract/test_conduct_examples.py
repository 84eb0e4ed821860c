"""Each rule about conduct: its example breaks this rule and no other, and it is fully documented."""

from __future__ import annotations

import re

import pytest

from mockserver.contract.conduct.examples import load_conduct_examples
from mockserver.contract.rules import CONDUCT_FAMILIES, load_conduct_rules

RULES = load_conduct_rules()
EXAMPLES = load_conduct_examples()


@pytest.mark.parametrize("rule", RULES)
def test_the_example_of_a_rule_breaks_only_that_rule(rule: str) -> None:
    found = EXAMPLES[rule].check()
    assert [(each.finding.rule, each.finding.severity) for each in found] == [(rule, RULES[rule].severity)]
    assert found[0].request_number == len(EXAMPLES[rule].attempts) == len(EXAMPLES[rule].lines)


def test_every_rule_is_fully_documented() -> None:
    assert EXAMPLES.keys() == RULES.keys()
    for rule in RULES.values():
        assert re.fullmatch(r"[A-Z]{3}-\d{3}", rule.id)
        assert rule.id.startswith(CONDUCT_FAMILIES)
        assert rule.title
        assert rule.statement.endswith(".")
        assert rule.reason.endswith(".")
        assert rule.source
        assert rule.profiles == ("*",)
