"""One exchange in the report: its summary line, and the details that open under it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from mockserver.contract.findings import Finding, Severity
from mockserver.contract.formatting import comparison_lines, format_location, format_value
from mockserver.contract.rules import load_all_rules
from mockserver.reports import timeline
from mockserver.reports.formatting import format_count, format_duration, indent_json, utf16_length
from mockserver.reports.markup import Markup, join_children, json_script, server_link, tag
from mockserver.reports.model import EventKind, EventStream, ExchangeFinding, MessageBody, ReportExchange

__all__ = ["render_exchange", "render_exchanges", "severity_badge", "severity_icon"]

#: Findings of one exchange that are listed.
_MAX_FINDINGS = 500
#: Longest value that fits beside another.
_MAX_INLINE_CHARACTERS = 48
_NO_LOCATION = "as a whole"


def render_exchange(exchange: ReportExchange, number: int, *, is_open: bool) -> Markup:
    """The exchange as a `details` element; `number` makes the ids within it unique."""
    name = f"x{number}"
    return tag(
        "details",
        tag("summary", *_summary(exchange)),
        tag("div", *_content(exchange, name), class_="content"),
        class_="exchange",
        id=name,
        open=is_open,
        data_severity=exchange.worst_severity.value if exchange.worst_severity else "clean",
    )


def _summary(exchange: ReportExchange) -> Iterator[Markup]:
    counts = Counter(mark.finding.severity for mark in exchange.findings)
    yield tag("span", severity_icon(exchange.worst_severity), class_="verdict")
    group = tag("span", exchange.group, " ", class_="group") if exchange.group else None
    yield tag("h3", group, exchange.name)
    yield tag(
        "span", *(severity_badge(each, counts[each]) for each in Severity if counts[each]), class_="badges"
    )
    yield tag("span", " · ".join(_measures(exchange)), class_="measures")


def _measures(exchange: ReportExchange) -> Iterator[str]:
    yield exchange.kind
    if exchange.profile:
        yield exchange.profile
    if exchange.stream is not None:
        yield format_count(sum(event.index is not None for event in exchange.stream.events), "event")
    if exchange.duration is not None:
        yield format_duration(exchange.duration)


def severity_icon(severity: Severity | None) -> Markup:
    """An icon with a different shape for each severity; a tick if there is no finding."""
    if severity is None:
        path = tag("path", d="M3.5 8.5l3 3 6-7", class_="tick-mark")
        return tag(
            "svg", path, class_="glyph clean", viewBox="0 0 16 16", role="img", aria_label="no finding"
        )
    shape = tag("use", href=f"#mark-{severity}", width="16", height="16")
    return tag("svg", shape, class_=f"glyph {severity}", viewBox="0 0 16 16", role="img", aria_label=severity)


def severity_badge(severity: Severity, count: int | None = None) -> Markup:
    """A severity, or the number of its findings."""
    if count is None:
        return tag("span", severity.value, class_=f"badge {severity}")
    noun = severity.value if count == 1 or severity is Severity.INFO else f"{severity}s"
    return tag("span", f"{count:,} {noun}", class_=f"badge {severity}")


def _content(exchange: ReportExchange, element_id: str) -> Iterator[Markup | None]:
    if exchange.details:
        pairs = (tag("div", tag("dt", what), tag("dd", value)) for what, value in exchange.details)
        yield tag("dl", *pairs, class_="details")
    if exchange.findings:
        yield _findings_section(exchange.findings, exchange.rule_path)
    if exchange.stream is not None:
        yield _timeline_section(exchange.stream, exchange.findings, element_id)
    sides = [
        _body_section(body, f"{element_id}-{part}", part)
        for part, body in (("request", exchange.request), ("reply", exchange.reply))
        if body is not None
    ]
    yield tag("div", *sides, class_="sides") if sides else None


def _findings_section(findings: Sequence[ExchangeFinding], rule_path: str) -> Markup:
    order = list(Severity)
    worst_first = sorted(findings, key=lambda mark: order.index(mark.finding.severity))
    rows = [_finding_row(mark, rule_path) for mark in worst_first[:_MAX_FINDINGS]]
    beyond = sum(mark.finding.more or 1 for mark in worst_first[_MAX_FINDINGS:])
    total = sum(mark.finding.more or 1 for mark in findings)
    more = tag("p", f"and {format_count(beyond, 'finding')} more", class_="note") if beyond else None
    return tag(
        "section",
        tag("h4", "Findings ", tag("span", f"{total:,}", class_="number")),
        tag("ol", *rows, class_="findings"),
        more,
    )


def _finding_row(exchange_finding: ExchangeFinding, rule_path: str) -> Markup:
    found = exchange_finding.finding
    has_page = rule_path and found.rule in load_all_rules()
    rule = server_link(f"{rule_path}/{found.rule}", found.rule) if has_page else found.rule
    return tag(
        "li",
        severity_icon(found.severity),
        tag("code", rule, class_="rule"),
        _location(exchange_finding),
        tag("span", found.message, class_="message"),
        _comparison(found),
        class_=f"finding {found.severity}",
        data_part=exchange_finding.part,
        data_event=None if found.event is None else str(found.event),
        data_pointer=exchange_finding.pointer,
    )


def _location(exchange_finding: ExchangeFinding) -> Markup:
    text = format_location(replace(exchange_finding.finding, pointer=exchange_finding.pointer))
    if not exchange_finding.part:
        return tag("span", text)
    named = (
        text
        if exchange_finding.part == "stream"
        else f"{exchange_finding.part} {'' if text == _NO_LOCATION else text}".strip()
    )
    return tag("button", named, type="button", class_="location")


def _comparison(finding: Finding) -> Markup | None:
    """Expected and actual value: side by side if both are short, else with a mark at the first difference."""
    given = [
        (name, format_value(value))
        for name, value in (("expected", finding.expected), ("got", finding.got))
        if value is not None
    ]
    if all(len(text) <= _MAX_INLINE_CHARACTERS for _, text in given):
        return tag("p", *(tag("span", f"{name} ", tag("code", text)) for name, text in given), class_="pair")
    lines = [line.strip("\n")[6:] for line in comparison_lines(finding.expected, finding.got)]
    return tag("pre", "\n".join(lines), class_="pair")


def _timeline_section(stream: EventStream, findings: Sequence[ExchangeFinding], element_id: str) -> Markup:
    scale = timeline.time_scale(stream)
    drawing = tag(
        "div",
        tag("div", timeline.render_timeline(stream, scale, findings), class_="canvas"),
        class_="scroller",
        id=f"{element_id}-timeline",
    )
    caption = tag("figcaption", " ".join(each for each in (scale.caption, stream.note) if each))
    return tag(
        "section",
        tag("h4", "Timeline"),
        tag("figure", timeline.render_legend(stream), drawing, caption),
        json_script(_event_columns(stream, scale), class_="events"),
        class_="stream",
    )


def _event_columns(stream: EventStream, scale: timeline.TimeScale) -> dict[str, object]:
    """The events for the page's script, as columns: each name once, numbers for the rest."""
    events, types = stream.events, list(dict.fromkeys(each.type for each in stream.events))
    number_of = {each: at for at, each in enumerate(types)}
    kinds = list(EventKind)
    return {
        "x": [round(x, 6) for x in scale.positions],
        "at": [None if each.elapsed is None else round(each.elapsed * 1000, 3) for each in events],
        "number": [-1 if each.index is None else each.index for each in events],
        "type": [number_of[each.type] for each in events],
        "kind": [kinds.index(each.kind) for each in events],
        "lane": [each.lane for each in events],
        "added": [utf16_length(each.added_text) for each in events],
        "data": [_replace_surrogates(each.data) for each in events],
        "types": [_replace_surrogates(each) for each in types],
        "kinds": [each.name.lower() for each in kinds],
        "lanes": [
            {"label": _replace_surrogates(each.label), "text": _replace_surrogates(each.text)}
            for each in stream.lanes
        ],
        "step": timeline.LANE_SPACING,
        "timed": scale.is_timed,
    }


def _replace_surrogates(text: str) -> str:
    """`text` with lone surrogates replaced, its length unchanged."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _body_section(body: MessageBody, element_id: str, part: str) -> Markup:
    head = tag(
        "dl", *(tag("div", tag("dt", what), tag("dd", value)) for what, value in body.headers), class_="head"
    )
    if not body.text.strip():
        shown = tag("p", "No body.", class_="note")
    elif body.is_json:
        shown = tag("pre", indent_json(body.text), class_="json")
    else:
        shown = tag("pre", body.text, class_="text")
    return tag(
        "section",
        tag("h4", body.title),
        head if body.headers else None,
        shown,
        class_=f"side {part}",
        id=element_id,
        data_part=part,
        data_event=None if body.event_index is None else str(body.event_index),
    )


def render_exchanges(exchanges: Sequence[ReportExchange]) -> Markup:
    """All exchanges; the first with an error is open, or the only one."""
    worst = next((at for at, each in enumerate(exchanges) if each.worst_severity is Severity.ERROR), None)
    opened = 0 if len(exchanges) == 1 else worst
    return join_children(
        render_exchange(each, at + 1, is_open=at == opened) for at, each in enumerate(exchanges)
    )
