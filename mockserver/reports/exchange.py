"""One exchange as a reader sees it: a line of the list, and what opens under it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from mockserver.contract.findings import Finding, Severity
from mockserver.contract.formatting import comparison_lines, format_location, format_value
from mockserver.reports import timeline
from mockserver.reports.markup import Markup, data_block, join, tag
from mockserver.reports.model import Body, Exchange, Kind, Mark, Stream
from mockserver.reports.texts import counted, indented, milliseconds, utf16_length

__all__ = ["badge", "exchange", "exchanges", "glyph"]

#: Findings of one exchange that are told one by one.
_FINDINGS = 500
#: Characters of a value that has room beside another.
_SHORT = 48
_WHOLE = "as a whole"


def exchange(told: Exchange, number: int, *, is_open: bool) -> Markup:
    """The exchange as an element that opens; `number` makes the ids within it its own."""
    name = f"x{number}"
    return tag(
        "details",
        tag("summary", *_line(told)),
        tag("div", *_inside(told, name), class_="inside"),
        class_="exchange",
        id=name,
        open=is_open,
        data_severity=told.worst.value if told.worst else "clean",
    )


def _line(told: Exchange) -> Iterator[Markup]:
    counts = Counter(mark.finding.severity for mark in told.marks)
    yield tag("span", glyph(told.worst), class_="verdict")
    group = tag("span", told.group, " ", class_="group") if told.group else None
    yield tag("h3", group, told.name)
    yield tag("span", *(badge(each, counts[each]) for each in Severity if counts[each]), class_="badges")
    yield tag("span", " · ".join(_measures(told)), class_="measures")


def _measures(told: Exchange) -> Iterator[str]:
    yield told.kind
    if told.profile:
        yield told.profile
    if told.stream is not None:
        yield counted(sum(event.number is not None for event in told.stream.events), "event")
    if told.seconds is not None:
        yield milliseconds(told.seconds)


def glyph(severity: Severity | None) -> Markup:
    """A mark with a shape of its own for each severity; a tick where there is nothing."""
    if severity is None:
        path = tag("path", d="M3.5 8.5l3 3 6-7", class_="tick-mark")
        return tag(
            "svg", path, class_="glyph clean", viewBox="0 0 16 16", role="img", aria_label="no finding"
        )
    shape = tag("use", href=f"#mark-{severity}", width="16", height="16")
    return tag("svg", shape, class_=f"glyph {severity}", viewBox="0 0 16 16", role="img", aria_label=severity)


def badge(severity: Severity, count: int) -> Markup:
    """How many findings there are of a severity."""
    noun = severity.value if count == 1 or severity is Severity.INFO else f"{severity}s"
    return tag("span", f"{count:,} {noun}", class_=f"badge {severity}")


def _inside(told: Exchange, name: str) -> Iterator[Markup | None]:
    if told.about:
        pairs = (tag("div", tag("dt", what), tag("dd", value)) for what, value in told.about)
        yield tag("dl", *pairs, class_="about")
    if told.marks:
        yield _findings(told.marks)
    if told.stream is not None:
        yield _stream(told.stream, told.marks, name)
    sides = [
        _body(body, f"{name}-{part}", part)
        for part, body in (("request", told.request), ("reply", told.reply))
        if body is not None
    ]
    yield tag("div", *sides, class_="sides") if sides else None


def _findings(marks: Sequence[Mark]) -> Markup:
    order = list(Severity)
    worst_first = sorted(marks, key=lambda mark: order.index(mark.finding.severity))
    rows = [_finding(mark) for mark in worst_first[:_FINDINGS]]
    beyond = len(marks) - len(rows)
    more = tag("p", f"and {counted(beyond, 'finding')} more", class_="note") if beyond else None
    return tag(
        "section",
        tag("h4", "Findings ", tag("span", f"{len(marks):,}", class_="number")),
        tag("ol", *rows, class_="findings"),
        more,
    )


def _finding(mark: Mark) -> Markup:
    found = mark.finding
    return tag(
        "li",
        glyph(found.severity),
        tag("code", found.rule, class_="rule"),
        _place(mark),
        tag("span", found.message, class_="message"),
        _pair(found),
        class_=f"finding {found.severity}",
        data_part=mark.part,
        data_event=None if found.event is None else str(found.event),
        data_pointer=mark.pointer,
    )


def _place(mark: Mark) -> Markup:
    text = format_location(replace(mark.finding, pointer=mark.pointer))
    if not mark.part:
        return tag("span", text)
    named = text if mark.part == "stream" else f"{mark.part} {'' if text == _WHOLE else text}".strip()
    return tag("button", named, type="button", class_="place")


def _pair(found: Finding) -> Markup | None:
    """Expected and got: beside each other where they are short, else with a mark where they differ."""
    given = [
        (name, format_value(value))
        for name, value in (("expected", found.expected), ("got", found.got))
        if value is not None
    ]
    if all(len(text) <= _SHORT for _, text in given):
        return tag("p", *(tag("span", f"{name} ", tag("code", text)) for name, text in given), class_="pair")
    lines = [line.strip("\n")[6:] for line in comparison_lines(found.expected, found.got)]
    return tag("pre", "\n".join(lines), class_="pair")


# A stream.


def _stream(stream: Stream, marks: Sequence[Mark], name: str) -> Markup:
    scale = timeline.scale_of(stream)
    drawing = tag(
        "div",
        tag("div", timeline.picture(stream, scale, marks), class_="canvas"),
        class_="scroller",
        id=f"{name}-timeline",
    )
    caption = tag("figcaption", " ".join(each for each in (scale.about, stream.note) if each))
    return tag(
        "section",
        tag("h4", "Timeline"),
        tag("figure", timeline.legend(stream), drawing, caption),
        data_block(_columns(stream, scale), class_="events"),
        class_="stream",
    )


def _columns(stream: Stream, scale: timeline.Scale) -> dict[str, object]:
    """The events for the page's script, by columns: names once, numbers for the rest."""
    events, types = stream.events, list(dict.fromkeys(each.type for each in stream.events))
    number_of = {each: at for at, each in enumerate(types)}
    kinds = list(Kind)
    return {
        "x": [round(x, 6) for x in scale.at],
        "at": [None if each.at is None else round(each.at * 1000, 3) for each in events],
        "number": [-1 if each.number is None else each.number for each in events],
        "type": [number_of[each.type] for each in events],
        "kind": [kinds.index(each.kind) for each in events],
        "lane": [each.lane for each in events],
        "grown": [utf16_length(each.grown) for each in events],
        "data": [_sound(each.data) for each in events],
        "types": [_sound(each) for each in types],
        "kinds": [each.name.lower() for each in kinds],
        "lanes": [{"label": _sound(each.label), "text": _sound(each.text)} for each in stream.lanes],
        "step": timeline.STEP,
        "timed": scale.is_timed,
    }


def _sound(text: str) -> str:
    """`text` without lone surrogates, as long as it was."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


# Bodies.


def _body(body: Body, name: str, part: str) -> Markup:
    head = tag(
        "dl", *(tag("div", tag("dt", what), tag("dd", value)) for what, value in body.head), class_="head"
    )
    if not body.text.strip():
        shown = tag("p", "No body.", class_="note")
    elif body.is_json:
        shown = tag("pre", indented(body.text), class_="json")
    else:
        shown = tag("pre", body.text, class_="text")
    return tag(
        "section",
        tag("h4", body.title),
        head if body.head else None,
        shown,
        class_=f"side {part}",
        id=name,
        data_part=part,
        data_event=None if body.event is None else str(body.event),
    )


def exchanges(told: Sequence[Exchange]) -> Markup:
    """All of them; the first with an error is open, or the only one there is."""
    worst = next((at for at, each in enumerate(told) if each.worst is Severity.ERROR), None)
    opened = 0 if len(told) == 1 else worst
    return join(exchange(each, at + 1, is_open=at == opened) for at, each in enumerate(told))
