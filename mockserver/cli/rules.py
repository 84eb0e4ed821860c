"""`mockserver rules`: list the rules of the contract, or explain one with an example that breaks it."""

from __future__ import annotations

import sys

import click

from mockserver.cli.errors import exit_with_error
from mockserver.cli.name_completions import complete_rules
from mockserver.contract.conduct.examples import ConductExample, load_conduct_examples
from mockserver.contract.rule_examples import load_rule_examples
from mockserver.contract.rules import Rule, load_all_rules, load_conduct_rules
from mockserver.suggestions import did_you_mean
from mockserver.wire.terminal import escape_unprintable

__all__ = ["rules"]

_MAX_LINE_WIDTH = 118


@click.command()
@click.argument("rule", metavar="[ID]", required=False, shell_complete=complete_rules)
@click.option(
    "--example", is_flag=True, help="Print only the broken example, as input for `mockserver check -`."
)
def rules(rule: str | None, example: bool) -> None:
    """List the rules of the contract, or explain one."""
    if rule is None:
        if example:
            exit_with_error("--example needs a rule ID", 2)
        _print_rule_list()
        return
    known = load_all_rules()
    if rule.upper() not in known:
        suggestion = did_you_mean(rule, known) or ";"
        exit_with_error(f"no such rule: {rule}{suggestion} `mockserver rules` lists all rules", 2)
    selected = known[rule.upper()]
    if example and selected.id not in load_rule_examples():
        breaker = (
            "a client over several requests" if selected.id in load_conduct_rules() else "a running endpoint"
        )
        exit_with_error(f"{selected.id} has no example: only {breaker} can break it", 2)
    if example:
        sys.stdout.buffer.write(load_rule_examples()[selected.id].data)
    else:
        _print_rule(selected)


def _print_rule_list() -> None:
    rules = load_all_rules().values()
    width = max(len(", ".join(rule.profiles)) for rule in rules)
    for rule in rules:
        print(f"{rule.id}  {rule.severity:7}  {', '.join(rule.profiles):{width}}  {rule.title}")


def _print_rule(rule: Rule) -> None:
    print(f"{rule.id}  {rule.title}  ({rule.severity})\n")
    print(f"  Rule      {rule.statement}")
    print(f"  Reason    {rule.reason}")
    print(f"  Source    {rule.source}")
    print(f"  Profiles  {', '.join(rule.profiles)}")
    for profile, severity in rule.severity_in.items():
        print(f"            {profile}: {severity}")
    if rule.id in load_conduct_rules():
        _print_conduct_example(load_conduct_examples()[rule.id])
        return
    if rule.id not in load_rule_examples():
        print("\nOnly a running endpoint can break it: run `mockserver verify`.")
        return
    example = load_rule_examples()[rule.id]
    findings = [each for each in example.check() if each.rule == rule.id]
    print(f"\nExample that breaks it ({example.description}):\n")
    marked_events = {each.event for each in findings}
    for number, line in enumerate(example.lines):
        marked = example.kind == "stream" and number in marked_events
        print(
            f"{'>' if marked else ' '} {_truncate(line, 8 * _MAX_LINE_WIDTH if marked else _MAX_LINE_WIDTH)}"
        )
    print("\nFindings:\n")
    for each in findings:
        print(f"  {each}")
    if example.request is None:
        kind = "" if example.kind == "auto" else f" --kind {example.kind}"
        print(f"\nReproduce: mockserver rules {rule.id} --example | mockserver check -{kind}")


def _print_conduct_example(example: ConductExample) -> None:
    print("\nExample that breaks it (requests of one client):\n")
    found = {number: finding for number, finding in example.check() if finding.rule == example.rule}
    for attempt, line in zip(example.attempts, example.lines, strict=True):
        print(f"{'>' if attempt.number in found else ' '} {_truncate(line, _MAX_LINE_WIDTH)}")
    print("\nFindings:\n")
    for number, finding in found.items():
        print(f"  {finding} [request {number}]")
    print(
        "\nFind it: `server.check(conduct=True)`, `pytest --responses-conduct=true` or `mockserver run --conduct`."
    )


def _truncate(line: str, width: int) -> str:
    line = escape_unprintable(line)
    return line if len(line) <= width else line[: width - 1] + "…"
