"""`mockserver rules`: the list, and each rule with an example that breaks it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mockserver.contract.rule_examples import load_rule_examples
from mockserver.contract.rules import load_conduct_rules, load_live_rules, load_rules
from tests.cli.conftest import RunCli


def test_all_rules_are_listed(run_cli: RunCli) -> None:
    code, out, _ = run_cli("rules")
    assert code == 0
    assert [line.split()[:2] for line in out.splitlines()] == [
        [rule.id, rule.severity.value]
        for rule in (*load_rules().values(), *load_live_rules().values(), *load_conduct_rules().values())
    ]


@pytest.mark.parametrize("rule", load_conduct_rules())
def test_a_conduct_rule_is_explained(rule: str, run_cli: RunCli) -> None:
    expected = load_conduct_rules()[rule]
    code, out, _ = run_cli("rules", rule)
    assert code == 0
    for text in (expected.statement, expected.reason, expected.source, expected.title):
        assert text in out
    assert f"{expected.severity} {rule}" in out.partition("Findings:")[2]
    code, _, err = run_cli("rules", rule, "--example")
    assert code == 2
    assert "only a client over several requests can break it" in err


@pytest.mark.parametrize("rule", load_live_rules())
def test_a_live_rule_has_no_example(rule: str, run_cli: RunCli) -> None:
    expected = load_live_rules()[rule]
    code, out, _ = run_cli("rules", rule)
    assert code == 0
    for text in (expected.statement, expected.reason, expected.source, expected.title, "mockserver verify"):
        assert text in out
    code, _, err = run_cli("rules", rule, "--example")
    assert (code, err) == (2, f"mockserver: {rule} has no example: only a running endpoint can break it\n")


@pytest.mark.parametrize("rule", load_rules())
def test_a_rule_is_explained(rule: str, run_cli: RunCli) -> None:
    expected = load_rules()[rule]
    code, out, _ = run_cli("rules", rule.lower())
    assert code == 0
    for text in (expected.statement, expected.reason, expected.source, expected.title):
        assert text in out
    assert f"{expected.severity} {rule}" in out.partition("Findings:")[2]
    assert max(map(len, out.splitlines())) < 1000


@pytest.mark.parametrize("rule", [each.rule for each in load_rule_examples().values() if not each.request])
def test_the_example_can_be_checked(rule: str, run_cli: RunCli, tmp_path: Path) -> None:
    _, out, _ = run_cli("rules", rule)
    options = out.splitlines()[-1].partition("mockserver check -")[2].split()
    (tmp_path / "example").write_bytes(load_rule_examples()[rule].data)
    _, out, _ = run_cli("check", "example", *options)
    assert f"{load_rules()[rule].severity} {rule}" in out


def test_example_prints_the_bytes_of_the_example(run_cli: RunCli) -> None:
    code, out, _ = run_cli("rules", "SEQ-003", "--example")
    assert (code, out.encode()) == (0, load_rule_examples()["SEQ-003"].data)


@pytest.mark.parametrize("arguments", [["XYZ-001"], ["--example"]])
def test_unknown_rules_and_missing_arguments(arguments: list[str], run_cli: RunCli) -> None:
    code, out, err = run_cli("rules", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("mockserver: ")
