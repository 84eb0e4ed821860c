"""Each rule: a valid example brings no finding, a broken one brings this rule and no other error."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise

import pytest

from mockserver.contract.check import check_response, check_stream
from mockserver.contract.findings import Severity, errors
from mockserver.contract.rule_examples import load_rule_examples
from mockserver.contract.rules import Report, findings_for_profile, load_rules, make_finding
from mockserver.profiles import profile_names
from tests.contract import samples
from tests.contract.samples import Event

Events = list[Event]

RULES = load_rules()
FAMILIES = ("SSE", "SEQ", "ITM", "TXT", "USE", "SCH", "REQ", "CHT")

EXAMPLES = load_rule_examples()

#: Rules that hold no longer, or with another severity, by the first profile in which they do not.
DROPPED_RULES: dict[str, frozenset[str]] = {}


@pytest.mark.parametrize("rule", RULES)
def test_the_example_of_a_rule_breaks_only_that_rule(rule: str) -> None:
    assert EXAMPLES[rule].rule == rule
    found = EXAMPLES[rule].check()
    assert rule in {each.rule for each in found}
    assert {each.rule for each in errors(found)} <= {rule}
    for each in found:
        assert each.severity is RULES[each.rule].severity
        assert each.rule in str(each)


@pytest.mark.parametrize(
    "make", [samples.text_stream, samples.thinking_stream, samples.function_stream, samples.tools_stream]
)
def test_a_valid_stream_has_no_findings(make: Callable[[], Events]) -> None:
    assert check_stream(make()) == []
    assert check_stream(samples.service_frames(make())) == []
    assert check_stream(samples.plain_frames(make())) == []
    assert check_response(samples.response(make())) == []


def test_every_rule_is_fully_documented() -> None:
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


def lost_rules(earlier: str, later: str) -> dict[str, str]:
    """The rules of one profile that another does not have, or has with another severity."""
    return {
        rule.id: f"{rule.severity_for(earlier)} in {earlier} only"
        for rule in RULES.values()
        if rule.applies_to(earlier)
        and (not rule.applies_to(later) or rule.severity_for(later) is not rule.severity_for(earlier))
    }


def test_a_later_profile_has_the_rules_of_the_one_before() -> None:
    # Rules name profiles, so a new one would lose some. A rule that no longer holds: add it to DROPPED_RULES.
    by_date = sorted(each for each in profile_names() if re.fullmatch(r"qwen-\d{4}-\d{2}", each))
    lost = {
        later: lost_rules(earlier, later).keys() - DROPPED_RULES.get(later, frozenset())
        for earlier, later in pairwise(by_date)
    }
    assert not any(lost.values()), f"decide in schemas/rules.json: {lost}"
    assert lost_rules(by_date[-1], "qwen-9999-12").keys() >= {"REQ-019", "SEQ-018", "USE-007"}


def test_a_rule_of_another_profile_does_not_apply() -> None:
    assert RULES["SEQ-008"].profiles == ("qwen-*",)
    report = Report("openai")
    report.add("SEQ-008", "", "x")
    report.add("SEQ-007", "", "x")
    assert [(each.rule, each.severity) for each in report.findings] == [("SEQ-007", Severity.ERROR)]


def test_a_rule_may_be_milder_in_a_profile() -> None:
    found = [make_finding(rule, "", "x") for rule in ("SEQ-012", "SEQ-008", "SEQ-007")]
    assert [(each.rule, each.severity) for each in findings_for_profile(found, "openai")] == [
        ("SEQ-012", Severity.INFO),
        ("SEQ-007", Severity.ERROR),
    ]
    assert findings_for_profile(found, "qwen-2026-01") == found
