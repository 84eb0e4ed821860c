"""One rule of the contract as an HTML page to embed in another page: what `mockserver rules ID` prints."""

from __future__ import annotations

from collections.abc import Iterator

from mockserver.contract.rule_examples import RuleExample, load_rule_examples
from mockserver.contract.rules import Rule
from mockserver.reports.exchange_view import severity_badge
from mockserver.reports.markup import Markup, tag
from mockserver.reports.page import render_document

__all__ = ["render_rule_page"]


def render_rule_page(rule: Rule) -> str:
    """A rule: what it says, why, where it comes from, and an example that breaks it."""
    body = tag("body", tag("main", *_content(rule)), class_="embedded rule-page")
    return render_document(f"{rule.id}: {rule.title}", body)


def _content(rule: Rule) -> Iterator[Markup]:
    yield tag("h1", tag("code", rule.id), " ", rule.title)
    yield tag("p", severity_badge(rule.severity))
    overrides = [f"; {profile}: {severity}" for profile, severity in rule.severity_in.items()]
    facts = (
        ("rule", rule.statement),
        ("impact", rule.reason),
        ("source", rule.source),
        ("profiles", ("all" if rule.profiles == ("*",) else ", ".join(rule.profiles)) + "".join(overrides)),
    )
    yield tag(
        "dl", *(tag("div", tag("dt", what), tag("dd", value)) for what, value in facts), class_="details"
    )
    example = load_rule_examples().get(rule.id)
    if example is None:
        yield tag("p", "Only a running endpoint can break it: run ", tag("code", "mockserver verify"), ".")
    else:
        yield from _example(rule, example)


def _example(rule: Rule, example: RuleExample) -> Iterator[Markup]:
    findings = [each for each in example.check() if each.rule == rule.id]
    marked = {each.event for each in findings} if example.kind == "stream" else set()
    lines = [
        tag("mark", line, "\n") if number in marked else f"{line}\n"
        for number, line in enumerate(example.lines)
    ]
    yield tag("h2", f"An example that breaks it ({example.description})")
    yield tag("pre", *lines, tabindex="0", aria_label="Example")
    yield tag("h2", "Findings")
    yield tag("ul", *(tag("li", str(each)) for each in findings), class_="findings")
