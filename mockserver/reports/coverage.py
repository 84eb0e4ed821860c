"""Coverage of the contract by the exchanges of a report, for each profile.

One row for each kind of event, item, object and rule family; it opens to the members.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass

from mockserver.contract.coverage import ContractCoverage, WireValue, measure_coverage
from mockserver.contract.operations import profile_operations
from mockserver.contract.rules import load_live_rules, load_rules
from mockserver.profiles import load_profile
from mockserver.reports.markup import Markup, tag
from mockserver.reports.model import MessageBody, ReportExchange
from mockserver.wire import json

__all__ = ["CoverageRow", "coverage_by_profile", "coverage_rows", "render_coverage"]


def coverage_by_profile(exchanges: Iterable[ReportExchange]) -> dict[str, ContractCoverage]:
    """Coverage of each profile by the exchanges that were checked by it."""
    by_profile: dict[str, list[ReportExchange]] = {}
    for each in exchanges:
        by_profile.setdefault(each.profile, []).append(each)
    return {
        name: measure_coverage(name, (value for each in by_profile[name] for value in _wire_values(each)))
        for name in sorted(by_profile)
    }


def _wire_values(exchange: ReportExchange) -> Iterator[WireValue]:
    yield from _body_wire_values(exchange.request, "request")
    yield from _body_wire_values(exchange.reply, "response")
    for event in exchange.stream.events if exchange.stream is not None else ():
        value = json.loads_or_none(event.data) if event.index is not None else None
        if isinstance(value, dict) and "type" in value:
            yield WireValue("event", "stream", value)


def _body_wire_values(body: MessageBody | None, kind: str) -> Iterator[WireValue]:
    if body is not None and body.schema:
        yield WireValue(
            body.schema, "error" if body.schema.startswith("error") else kind, json.loads_or_none(body.text)
        )


_END_OF_NAME = re.compile(r"[.=~/]")
_UNION_TITLES = {"event": "events", "item": "item types", "input_item": "input types", "tool": "tool types"}


@dataclass(frozen=True, slots=True)
class CoverageRow:
    """A part of the contract: the names that were seen and those that were not."""

    name: str
    kind: str
    """union, object or rules."""
    seen: tuple[str, ...]
    missing: tuple[str, ...]

    @property
    def share(self) -> float:
        """The share that was seen, from 0 to 1."""
        return len(self.seen) / max(1, len(self.seen) + len(self.missing))


def coverage_rows(
    profile: str, covered: ContractCoverage, requested_operations: Container[str]
) -> list[CoverageRow]:
    """Rows of operations and unions, then of rules by family, then of objects by name."""
    parts: dict[str, tuple[list[str], list[str]]] = {}
    for each, at in ((covered.seen, 0), (covered.missing, 1)):
        for name in each:
            parts.setdefault(_END_OF_NAME.split(name, maxsplit=1)[0], ([], []))[at].append(name)
    rows = [
        CoverageRow(
            _UNION_TITLES.get(name, name),
            "union" if name in _UNION_TITLES else "object",
            tuple(seen),
            tuple(missing),
        )
        for name, (seen, missing) in parts.items()
    ]
    rows += _rule_rows(covered)
    names = [each.name for each in profile_operations(load_profile(profile))]
    seen_names = tuple(name for name in names if name in requested_operations)
    rows.append(
        CoverageRow(
            "operations",
            "union",
            seen_names,
            tuple(name for name in names if name not in requested_operations),
        )
    )
    order = ("union", "rules", "object")
    return sorted(rows, key=lambda row: (order.index(row.kind), row.name))


def _rule_rows(covered: ContractCoverage) -> Iterator[CoverageRow]:
    families = dict.fromkeys(name[:3] for name in (*covered.rules_checked, *covered.rules_not_checked))
    for family in families:
        yield CoverageRow(
            f"rules {family}",
            "rules",
            tuple(name for name in covered.rules_checked if name.startswith(family)),
            tuple(name for name in covered.rules_not_checked if name.startswith(family)),
        )


def render_coverage(
    profile: str,
    covered: ContractCoverage,
    requested_operations: Container[str],
    finding_counts: Mapping[str, int],
) -> Markup:
    """The table of a profile.

    `requested_operations` are the operations that were requested; `finding_counts` has the number of
    findings of each rule.
    """
    rows = coverage_rows(profile, covered, requested_operations)
    seen, whole = len(covered.seen), len(covered.seen) + len(covered.missing)
    rules, all_rules = len(covered.rules_checked), len(covered.rules_checked) + len(covered.rules_not_checked)
    summary = (
        f"{seen:,} of {whole:,} members, types and values seen; "
        f"{rules} of {all_rules} rules check a kind of body that was seen."
    )
    head = tag(
        "tr",
        *(_header_cell(name, kind) for name, kind in (("part of the contract", "text"), ("seen", "number"))),
        _header_cell("of", "number"),
        _header_cell("share", "number"),
    )
    return tag(
        "section",
        tag("h3", profile),
        tag("p", summary, class_="note"),
        tag(
            "table",
            tag("thead", head),
            tag("tbody", *(_render_row(row, finding_counts) for row in rows)),
            class_="sortable",
        ),
        class_="covered",
    )


def _header_cell(name: str, kind: str) -> Markup:
    return tag("th", name, scope="col", class_=kind)


def _render_row(row: CoverageRow, finding_counts: Mapping[str, int]) -> Markup:
    lists = [
        _name_list("seen", row.seen, row, finding_counts),
        _name_list("not seen", row.missing, row, finding_counts),
    ]
    name = tag("details", tag("summary", row.name), *lists)
    whole = len(row.seen) + len(row.missing)
    bar = tag(
        "svg",
        tag("rect", class_="track", width="100%", height="6", rx="3"),
        tag("rect", class_="fill", width=f"{row.share:.1%}", height="6", rx="3") if row.seen else None,
        class_="bar",
        width="100%",
        height="6",
        aria_hidden="true",
    )
    return tag(
        "tr",
        tag("th", name, scope="row"),
        tag("td", str(len(row.seen)), class_="number"),
        tag("td", str(whole), class_="number"),
        tag("td", bar, tag("span", f"{row.share:.0%}", class_="percent"), class_="share"),
    )


def _name_list(
    title: str, names: Iterable[str], row: CoverageRow, finding_counts: Mapping[str, int]
) -> Markup | None:
    shown = [_name_item(each, row, finding_counts) for each in names]
    if not shown:
        return None
    return tag(
        "div",
        tag("h4", title),
        tag("ul", *shown, class_="names"),
        class_="seen" if title == "seen" else "unseen",
    )


def _name_item(name: str, row: CoverageRow, finding_counts: Mapping[str, int]) -> Markup:
    if row.kind == "union":
        return tag("li", tag("code", name.partition("~")[2] or name))
    if row.kind == "object":
        return tag("li", tag("code", name))
    rule = load_live_rules()[name] if name in load_live_rules() else load_rules()[name]
    count = finding_counts.get(name, 0)
    badge = tag("strong", f" {count:,} found") if count else None
    return tag("li", tag("code", name), f" {rule.title}", badge, class_="rule-name")
