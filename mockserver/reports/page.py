"""The whole HTML file: embedded style and script, and a policy that lets nothing else run or load."""

from __future__ import annotations

from base64 import b64encode
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from hashlib import sha256
from importlib.resources import files

from mockserver import __version__
from mockserver.contract.findings import Severity
from mockserver.contract.rules import load_all_rules
from mockserver.reports.coverage import render_coverage
from mockserver.reports.exchange_view import render_exchanges, severity_badge, severity_icon
from mockserver.reports.formatting import format_count
from mockserver.reports.markup import Markup, join_children, raw_element, tag
from mockserver.reports.model import ReportExchange, ReportPage, Table, report_time
from mockserver.reports.timeline import marker_symbols

__all__ = [
    "content_security_policy",
    "javascript",
    "render_document",
    "render_exchange_page",
    "render_page",
    "stylesheet",
]

_SCRIPT_FILES = ("json_tree.js", "inspector.js", "page.js")

#: Verdicts that a table shows with an icon; None is a tick.
_VERDICT_SEVERITIES = {
    **{each.value: each for each in Severity},
    "fail": Severity.ERROR,
    "failed": Severity.ERROR,
    "drift": Severity.WARNING,
    "inconclusive": Severity.INFO,
    "pass": None,
    "passed": None,
}

#: Keyboard shortcuts, as the dialog behind `?` lists them.
KEYBOARD_SHORTCUTS = (
    ("j k", "next and previous exchange"),
    ("Enter", "open or close the exchange"),
    ("/", "filter the exchanges"),
    ("n N", "next and previous finding"),
    ("← →", "previous and next event of a timeline"),
    ("Page Up, Page Down", "ten events back and forward"),
    ("Home, End", "first and last event"),
    ("+ −", "stretch the timeline"),
    ("Esc", "clear the filter, close this list"),
    ("?", "show this list"),
)


def render_page(page: ReportPage) -> str:
    """The report as one self-contained HTML file."""
    return render_document(f"{page.title}: {page.verdict}", _body(page))


def render_exchange_page(exchange: ReportExchange) -> str:
    """One exchange as an HTML page to embed in another page."""
    page = ReportPage("exchange", exchange.name, "", passed=True, created_at=report_time())
    body = tag(
        "body",
        marker_symbols(),
        tag("main", _exchange_filters(page), render_exchanges([exchange])),
        _shortcuts_dialog(),
        _inspector_template(),
        raw_element("script", javascript()),
        class_="embedded",
    )
    return render_document(exchange.name, body)


def render_document(title: str, body: Markup) -> str:
    """A self-contained HTML file."""
    return "<!doctype html>\n" + tag("html", _head(title), body, lang="en") + "\n"


@cache
def stylesheet() -> str:
    """The style sheet."""
    return _read_resource("page.css")


@cache
def javascript() -> str:
    """The script, joined from its files."""
    return '"use strict";\n' + "".join(_read_resource(name) for name in _SCRIPT_FILES)


def _read_resource(name: str) -> str:
    return (files("mockserver.reports") / name).read_text(encoding="utf-8")


@cache
def content_security_policy() -> str:
    """A content security policy that allows this style and this script, by their hashes, and nothing else."""
    rules = (
        "default-src 'none'",
        f"script-src '{_csp_hash(javascript())}'",
        f"style-src '{_csp_hash(stylesheet())}'",
        "base-uri 'none'",
        "form-action 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
    return "; ".join(rules)


def _csp_hash(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"


def _head(title: str) -> Markup:
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=content_security_policy()),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="generator", content=f"responses-mockserver {__version__}"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", title),
        raw_element("style", stylesheet()),
    )


def _body(page: ReportPage) -> Markup:
    sections = [*_sections(page)]
    links = [tag("a", title, href=f"#{name}") for name, title, _ in sections]
    return tag(
        "body",
        tag("a", "Skip to the exchanges", class_="skip", href="#exchanges"),
        marker_symbols(),
        tag("header", *_header(page), tag("nav", *links, aria_label="Sections")),
        tag("main", *(section for *_, section in sections)),
        tag("footer", f"responses-mockserver {__version__}. ", _creation_time(page)),
        _shortcuts_dialog(),
        _inspector_template(),
        raw_element("script", javascript()),
    )


def _creation_time(page: ReportPage) -> Markup:
    return tag(
        "time",
        f"{page.created_at:%Y-%m-%d %H:%M} UTC",
        datetime=page.created_at.isoformat(timespec="seconds"),
    )


def _header(page: ReportPage) -> Iterator[Markup]:
    yield tag("p", page.title, " · ", _creation_time(page), class_="kicker")
    yield tag("h1", page.subject)
    severities = Counter(mark.finding.severity for each in page.exchanges for mark in each.findings)
    badges = [severity_badge(each, severities[each]) for each in Severity if severities[each]]
    yield tag(
        "p",
        tag("strong", page.verdict, class_="good" if page.passed else "bad"),
        *badges,
        class_="verdict-line",
    )
    facts = [("exchanges", f"{len(page.exchanges):,}"), *_stream_counts(page), *page.metadata]
    yield tag("dl", *(tag("div", tag("dt", what), tag("dd", value)) for what, value in facts), class_="facts")


def _stream_counts(page: ReportPage) -> Iterator[tuple[str, str]]:
    streams = [each.stream for each in page.exchanges if each.stream is not None]
    if streams:
        events = sum(event.index is not None for each in streams for event in each.events)
        yield "events", f"{events:,} in {format_count(len(streams), 'stream')}"


def _sections(page: ReportPage) -> Iterator[tuple[str, str, Markup]]:
    """(id, title, element) of each section."""
    for at, table in enumerate(page.tables):
        name = f"table-{at + 1}"
        yield name, table.title, _section(name, table.title, _table(table))
    rules = _findings_by_rule(page)
    if rules.rows:
        yield "findings", "Findings", _section("findings", "Findings by rule", _table(rules))
    title = f"Exchanges ({len(page.exchanges):,})"
    yield (
        "exchanges",
        title,
        _section("exchanges", "Exchanges", _exchange_filters(page), render_exchanges(page.exchanges)),
    )
    if page.coverage:
        found = Counter(mark.finding.rule for each in page.exchanges for mark in each.findings)
        requested = {(each.profile, each.operation) for each in page.exchanges}
        parts = [
            render_coverage(
                name, covered, {operation for profile, operation in requested if profile == name}, found
            )
            for name, covered in page.coverage.items()
        ]
        yield (
            "coverage",
            "Coverage",
            _section("coverage", "Coverage of the contract", _coverage_filter(), *parts),
        )


def _section(name: str, title: str, *children: Markup | None) -> Markup:
    return tag(
        "section", tag("h2", title, id=f"{name}-title"), *children, id=name, aria_labelledby=f"{name}-title"
    )


def _table(table: Table) -> Markup:
    columns = [[row[at] for row in table.rows] for at in range(len(table.columns))]
    head = tag("tr", *(_header_cell(name, cells) for name, cells in zip(table.columns, columns, strict=True)))
    rows = [tag("tr", *(_table_cell(each) for each in row)) for row in table.rows]
    return tag("div", tag("table", tag("thead", head), tag("tbody", *rows), class_="sortable"), class_="wide")


def _header_cell(name: str, cells: Sequence[str]) -> Markup:
    return tag("th", name, scope="col", class_="number" if all(map(_is_number, cells)) else None)


def _table_cell(text: str) -> Markup:
    if text in _VERDICT_SEVERITIES:
        return tag("td", severity_icon(_VERDICT_SEVERITIES[text]), " ", text, class_="verdict-cell")
    return tag("td", text, class_="number" if _is_number(text) else None)


def _is_number(text: str) -> bool:
    return text.replace(",", "").replace(".", "").isdecimal()


def _findings_by_rule(page: ReportPage) -> Table:
    """The number of findings and of exchanges for each rule, the worst first."""
    found: dict[tuple[Severity, str], list[ReportExchange]] = {}
    for each in page.exchanges:
        for mark in each.findings:
            found.setdefault((mark.finding.severity, mark.finding.rule), []).append(each)
    order = list(Severity)
    keys = sorted(found, key=lambda key: (order.index(key[0]), -len(found[key]), key[1]))
    rows = [
        (
            rule,
            _rule_title(rule),
            severity.value,
            f"{len(found[severity, rule]):,}",
            f"{len({id(e) for e in found[severity, rule]}):,}",
        )
        for severity, rule in keys
    ]
    return Table("Findings", ("rule", "", "severity", "findings", "exchanges"), tuple(rows))


def _rule_title(rule: str) -> str:
    known = load_all_rules().get(rule)
    return known.title if known else ""


def _exchange_filters(page: ReportPage) -> Markup:
    """Hidden until the script, which does the filtering, shows it."""
    worst = Counter(each.worst_severity for each in page.exchanges)
    choices = [
        tag(
            "button",
            severity_icon(severity),
            f"{count:,}",
            type="button",
            aria_pressed="false",
            data_severity=severity.value if severity else "clean",
        )
        for severity in (*Severity, None)
        if (count := worst[severity])
    ]
    search = tag(
        "input", type="search", id="filter", placeholder="Filter by name, rule or text  /", autocomplete="off"
    )
    return tag(
        "div",
        tag("label", "Filter the exchanges", for_="filter", class_="unseen-label"),
        search,
        tag(
            "span",
            *choices,
            class_="choices",
            role="group",
            aria_label="Only exchanges whose worst finding is",
        ),
        tag("output", for_="filter"),
        tag("button", "Keys ?", type="button", class_="help"),
        class_="filters",
        hidden=True,
    )


def _coverage_filter() -> Markup:
    return tag(
        "input",
        type="search",
        class_="coverage-filter",
        placeholder="Filter the coverage",
        aria_label="Filter the coverage",
        autocomplete="off",
        hidden=True,
    )


def _shortcuts_dialog() -> Markup:
    pairs = [
        tag("div", tag("dt", *_keyboard_keys(keys)), tag("dd", what)) for keys, what in KEYBOARD_SHORTCUTS
    ]
    close = tag("form", tag("button", "Close"), method="dialog")
    return tag("dialog", tag("h2", "Keys", id="keys"), tag("dl", *pairs), close, aria_labelledby="keys")


def _keyboard_keys(keys: str) -> Iterator[Markup | str]:
    for each in keys.split(", ") if ", " in keys or len(keys) > 4 else keys.split():
        yield tag("kbd", each)
        yield " "


def _inspector_template() -> Markup:
    """The event inspector; the script adds a copy to each timeline that is opened."""
    buttons = [
        tag("button", text, type="button", data_do=what, aria_label=label)
        for what, text, label in (
            ("previous", "←", "Previous event"),
            ("next", "→", "Next event"),
            ("finding", "Next finding", None),
            ("narrower", "−", "Narrower timeline"),
            ("wider", "+", "Wider timeline"),
        )
    ]
    near = tag("ol", class_="near", aria_label="Events around it")
    event = tag("div", tag("h5", "Event"), tag("pre", class_="event"), class_="pane")
    text = tag("div", tag("h5", "Text so far"), tag("p", class_="text-so-far"), class_="pane")
    bar = tag("div", join_children(buttons), tag("output"), class_="event-toolbar")
    return tag("template", tag("div", bar, near, event, text, class_="inspector"), id="inspector")
