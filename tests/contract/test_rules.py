"""Each rule: a good example brings nothing, a broken one brings this rule and no other error."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from mockserver.contract.check import check_response, check_stream
from mockserver.contract.examples import load_examples
from mockserver.contract.findings import Severity, errors
from mockserver.contract.rules import Report, finding, graded, load_rules
from tests.contract import samples
from tests.contract.samples import Event

Events = list[Event]

RULES = load_rules()
FAMILIES = ("SSE", "SEQ", "ITM", "TXT", "USE", "SCH", "REQ", "CHT")

EXAMPLES = load_examples()


@pytest.mark.parametrize("rule", RULES)
def test_a_broken_example_brings_its_rule_and_no_other_error(rule: str) -> None:
    assert EXAMPLES[rule].rule == rule
    found = EXAMPLES[rule].findings()
    assert rule in {each.rule for each in found}
    assert {each.rule for each in errors(found)} <= {rule}
    for each in found:
        assert each.severity is RULES[each.rule].severity
        assert each.rule in str(each)


@pytest.mark.parametrize(
    "make", [samples.text_stream, samples.thinking_stream, samples.function_stream, samples.tools_stream]
)
def test_a_good_example_brings_nothing(make: Callable[[], Events]) -> None:
    assert check_stream(make()) == []
    assert check_stream(samples.framed(make())) == []
    assert check_stream(samples.plainly_framed(make())) == []
    assert check_response(samples.response(make())) == []


def test_the_rules_are_told_in_full() -> None:
    assert set(EXAMPLES) == set(RULES)
    for rule in RULES.values():
        assert re.fullmatch(rf"({'|'.join(FAMILIES)})-\d{{3}}", rule.id)
        assert rule.title
        assert rule.statement.endswith(".")
        assert rule.reason.endswith(".")
        assert rule.source
        assert rule.profiles
    order = [(FAMILIES.index(rule[:3]), rule) for rule in RULES]
    assert order == sorted(order)


def test_a_rule_of_another_profile_is_silent() -> None:
    assert RULES["SEQ-008"].profiles == ("qwen-*",)
    report = Report("openai")
    report.say("SEQ-008", "", "x")
    report.say("SEQ-007", "", "x")
    assert [(each.rule, each.severity) for each in report.found] == [("SEQ-007", Severity.ERROR)]


def test_a_rule_may_be_milder_in_a_profile() -> None:
    found = [finding(rule, "", "x") for rule in ("SEQ-012", "SEQ-008", "SEQ-007")]
    assert [(each.rule, each.severity) for each in graded(found, "openai")] == [
        ("SEQ-012", Severity.INFO),
        ("SEQ-007", Severity.ERROR),
    ]
    assert graded(found, "qwen-2026-01") == found
