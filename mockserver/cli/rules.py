"""`mockserver rules`: the rules of the contract, and each with its reason and a broken example."""

from __future__ import annotations

import sys

import click

from mockserver.cli.errors import exit_with_error
from mockserver.contract.formatting import escape_unprintable
from mockserver.contract.rule_examples import RuleExample, load_rule_examples
from mockserver.contract.rules import Rule, load_live_rules, load_rules

__all__ = ["rules"]

_MAX_LINE_WIDTH = 118


@click.command()
@click.argument("rule", metavar="[ID]", required=False)
@click.option("--example", is_flag=True, help="Print the broken example alone, fit for `mockserver check -`.")
def rules(rule: str | None, example: bool) -> None:
    """List the rules of the contract, or explain one."""
    if rule is None:
        if example:
            exit_with_error("--example needs the ID of a rule", 2)
        _print_rule_list()
        return
    known = {**load_rules(), **load_live_rules()}
    if rule.upper() not in known:
        exit_with_error(f"there is no rule {rule}; `mockserver rules` lists those there are", 2)
    about = known[rule.upper()]
    if example and about.id not in load_rule_examples():
        exit_with_error(f"{about.id} has no example: only a running endpoint can break it", 2)
    if example:
        sys.stdout.buffer.write(load_rule_examples()[about.id].data)
    else:
        _print_rule(about)


def _print_rule_list() -> None:
    rules = [*load_rules().values(), *load_live_rules().values()]
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
    if rule.id not in load_rule_examples():
        print("\nOnly a running endpoint can break it: `mockserver verify` asks one.")
        return
    example = load_rule_examples()[rule.id]
    found = [each for each in example.check() if each.rule == rule.id]
    print(f"\nBroken, as {'an' if example.kind == 'error' else 'a'} {_describe_kind(example)}:\n")
    places = {each.event for each in found}
    for number, line in enumerate(_example_lines(example)):
        marked = example.kind == "stream" and number in places
        print(
            f"{'>' if marked else ' '} {_truncate(line, 8 * _MAX_LINE_WIDTH if marked else _MAX_LINE_WIDTH)}"
        )
    print("\nFound in it:\n")
    for each in found:
        print(f"  {escape_unprintable(str(each))}")
    if example.request is None:
        kind = "" if example.kind == "auto" else f" --kind {example.kind}"
        print(f"\nThe whole of it: mockserver rules {rule.id} --example | mockserver check -{kind}")


def _describe_kind(example: RuleExample) -> str:
    if example.kind == "auto":
        return "file"
    return f"{example.kind} that answers {example.request}" if example.request else example.kind


def _example_lines(example: RuleExample) -> list[str]:
    """The example as text: an event, or a block, a line."""
    text = example.data[: 1 << 16].decode(errors="backslashreplace")
    blocks = text.split("\n\n") if "data:" in text[:200] else text.splitlines()
    return [" ⏎ ".join(block.split("\n")) for block in blocks if block]


def _truncate(line: str, width: int) -> str:
    line = escape_unprintable(line)
    return line if len(line) <= width else line[: width - 1] + "…"
