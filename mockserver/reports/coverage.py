"""What of the contract was seen: by event, item, object and rule, a line each that opens to its members."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass

from mockserver.contract.coverage import ContractCoverage
from mockserver.contract.operations import profile_operations
from mockserver.contract.rules import load_live_rules, load_rules
from mockserver.profiles import load_profile
from mockserver.reports.markup import Markup, tag

__all__ = ["Row", "coverage", "rows_of"]

_END_OF_NAME = re.compile(r"[.=~/]")
_UNIONS = {"event": "events", "item": "item types", "input_item": "input types", "tool": "tool types"}


@dataclass(frozen=True, slots=True)
class Row:
    """A part of the contract, and what of it was seen."""

    name: str
    kind: str
    """union, object or rules."""
    seen: tuple[str, ...]
    missing: tuple[str, ...]

    @property
    def share(self) -> float:
        """How much was seen, from 0 to 1."""
        return len(self.seen) / max(1, len(self.seen) + len(self.missing))


def rows_of(profile: str, covered: ContractCoverage, asked: Container[str]) -> list[Row]:
    """Operations and unions first, then rules by their family, then objects by name."""
    parts: dict[str, tuple[list[str], list[str]]] = {}
    for each, at in ((covered.seen, 0), (covered.missing, 1)):
        for name in each:
            parts.setdefault(_END_OF_NAME.split(name, maxsplit=1)[0], ([], []))[at].append(name)
    rows = [
        Row(_UNIONS.get(name, name), "union" if name in _UNIONS else "object", tuple(seen), tuple(missing))
        for name, (seen, missing) in parts.items()
    ]
    rows += _rules(covered)
    names = [each.name for each in profile_operations(load_profile(profile))]
    seen_names = tuple(name for name in names if name in asked)
    rows.append(Row("operations", "union", seen_names, tuple(name for name in names if name not in asked)))
    order = ("union", "rules", "object")
    return sorted(rows, key=lambda row: (order.index(row.kind), row.name))


def _rules(covered: ContractCoverage) -> Iterator[Row]:
    families = dict.fromkeys(name[:3] for name in (*covered.rules_checked, *covered.rules_not_checked))
    for family in families:
        yield Row(
            f"rules {family}",
            "rules",
            tuple(name for name in covered.rules_checked if name.startswith(family)),
            tuple(name for name in covered.rules_not_checked if name.startswith(family)),
        )


def coverage(
    profile: str, covered: ContractCoverage, asked: Container[str], found: Mapping[str, int]
) -> Markup:
    """The table of a profile; `asked`: its operations, `found`: how many findings there are of each rule."""
    rows = rows_of(profile, covered, asked)
    seen, whole = len(covered.seen), len(covered.seen) + len(covered.missing)
    rules, all_rules = len(covered.rules_checked), len(covered.rules_checked) + len(covered.rules_not_checked)
    about = (
        f"{seen:,} of {whole:,} members, types and values seen; "
        f"{rules} of {all_rules} rules judge a kind of body that was seen."
    )
    head = tag(
        "tr",
        *(_column(name, kind) for name, kind in (("part of the contract", "text"), ("seen", "number"))),
        _column("of", "number"),
        _column("share", "number"),
    )
    return tag(
        "section",
        tag("h3", profile),
        tag("p", about, class_="note"),
        tag(
            "table", tag("thead", head), tag("tbody", *(_row(row, found) for row in rows)), class_="sortable"
        ),
        class_="covered",
    )


def _column(name: str, kind: str) -> Markup:
    return tag("th", name, scope="col", class_=kind)


def _row(row: Row, found: Mapping[str, int]) -> Markup:
    lists = [_names("seen", row.seen, row, found), _names("not seen", row.missing, row, found)]
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


def _names(title: str, names: Iterable[str], row: Row, found: Mapping[str, int]) -> Markup | None:
    shown = [_name(each, row, found) for each in names]
    if not shown:
        return None
    return tag(
        "div",
        tag("h4", title),
        tag("ul", *shown, class_="names"),
        class_="seen" if title == "seen" else "unseen",
    )


def _name(name: str, row: Row, found: Mapping[str, int]) -> Markup:
    if row.kind == "union":
        return tag("li", tag("code", name.partition("~")[2] or name))
    if row.kind == "object":
        return tag("li", tag("code", name))
    rule = load_live_rules()[name] if name in load_live_rules() else load_rules()[name]
    count = found.get(name, 0)
    told = tag("strong", f" {count:,} found") if count else None
    return tag("li", tag("code", name), f" {rule.title}", told, class_="rule-name")
