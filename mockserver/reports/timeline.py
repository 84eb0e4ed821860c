"""Draws a stream as SVG: a lane for the response and for each item, a tick for each event, gaps to scale.

Ticks of one kind are one path, and the growth of the text is another, so a stream of 10,000 events needs as
few elements as one of ten. Positions along the time axis are percentages, so the picture fits any width.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from mockserver.contract.findings import Severity
from mockserver.reports.formatting import format_count, format_duration
from mockserver.reports.markup import Markup, tag
from mockserver.reports.model import EventKind, EventStream, ExchangeFinding, StreamEvent
from mockserver.reports.stream_events import FINISH_REASON_PREFIX

__all__ = ["TICK_HEIGHTS", "TimeScale", "marker_symbols", "render_legend", "render_timeline", "time_scale"]

#: Width of a lane in its own units: more than the pixels of any screen, so that zooming loses nothing.
VIEWBOX_WIDTH = 10_000
LANE_HEIGHT = 36
#: Pixels from one lane to the next, including its label.
LANE_SPACING = 64
_LABEL_Y = 13
_PLOT_Y = 25

#: Height of the tick of each kind, out of LANE_HEIGHT: kinds are distinguishable without colour.
TICK_HEIGHTS: Mapping[EventKind, int] = {
    EventKind.LIFECYCLE: 36,
    EventKind.FAILURE: 36,
    EventKind.STRUCTURE: 26,
    EventKind.TOOL: 20,
    EventKind.OTHER: 31,
    EventKind.TEXT: 10,
    EventKind.REASONING: 10,
    EventKind.ARGUMENTS: 10,
    EventKind.FRAMING: 5,
}
#: Positions along the time axis; findings at the same one share a marker.
_MARKER_POSITIONS = 160
#: Most points of the curve of growing text.
_MAX_CURVE_POINTS = 1_500
_TERMINAL_EVENTS = frozenset({"error", *(f"response.{end}" for end in ("completed", "incomplete", "failed"))})
_AXIS_STEPS = (1, 2, 2.5, 5)


@dataclass(frozen=True, slots=True)
class TimeScale:
    """The position of each event along the picture, from 0 to 1."""

    positions: tuple[float, ...]
    duration: float | None
    """Seconds that the whole width stands for; None if events are spaced evenly."""
    caption: str

    @property
    def is_timed(self) -> bool:
        """Whether gaps are to scale."""
        return self.duration is not None


def time_scale(stream: EventStream) -> TimeScale:
    """Positions to scale, from the request to the last event; evenly spaced if there are no times."""
    times = [event.elapsed for event in stream.events]
    known = [at for at in times if at is not None]
    last = max(known, default=0.0)
    if len(known) == len(times) and last > 0 and min(known) < last:
        caption = "Gaps are to scale, from the request to the last event."
        return TimeScale(tuple(max(0.0, at) / last for at in known), last, caption)
    count = max(1, len(times) - 1)
    caption = "No times were recorded: events are evenly spaced, in order."
    if known:
        caption = (
            f"All events arrived at once, after {format_duration(last)}: they are evenly spaced, in order."
        )
    return TimeScale(tuple(index / count for index in range(len(times))), None, caption)


def render_timeline(stream: EventStream, scale: TimeScale, findings: Sequence[ExchangeFinding]) -> Markup:
    """The SVG: one lane every `LANE_SPACING` pixels, in front of the time axis."""
    height = len(stream.lanes) * LANE_SPACING + 26
    lanes = [_render_lane(stream, scale, index) for index in range(len(stream.lanes))]
    return tag(
        "svg",
        *_longest_silence(stream, scale, height),
        *_axis(scale, len(stream.events), height),
        *lanes,
        *_markers(stream, scale, findings),
        class_="timeline",
        role="img",
        width="100%",
        height=str(height),
        aria_label=_aria_label(stream, scale, findings),
    )


def _aria_label(stream: EventStream, scale: TimeScale, findings: Sequence[ExchangeFinding]) -> str:
    parts = [format_count(sum(event.index is not None for event in stream.events), "event")]
    parts.append(format_count(len(stream.lanes) - 1, "item"))
    if scale.duration is not None:
        parts.append(f"in {format_duration(scale.duration)}")
    count = sum(finding.part == "stream" for finding in findings)
    return f"Timeline of {', '.join(parts)}{'; ' + format_count(count, 'finding') if count else ''}"


def _render_lane(stream: EventStream, scale: TimeScale, index: int) -> Markup:
    lane = stream.lanes[index]
    events = [
        (x, event) for x, event in zip(scale.positions, stream.events, strict=True) if event.lane == index
    ]
    top = index * LANE_SPACING
    count = (
        _end_of_stream(stream)
        if not index
        else format_count(len(lane.text), "character")
        if lane.text
        else ""
    )
    plot = tag(
        "svg",
        _text_growth(events, len(lane.text)),
        *(tag("path", class_=f"tick {kind.name.lower()}", d=path) for kind, path in _tick_paths(events)),
        x="0",
        y=str(top + _PLOT_Y),
        width="100%",
        height=str(LANE_HEIGHT),
        viewBox=f"0 0 {VIEWBOX_WIDTH} {LANE_HEIGHT}",
        preserveAspectRatio="none",
    )
    return tag(
        "g",
        tag(
            "line",
            class_="base",
            x1="0",
            x2="100%",
            y1=str(top + _PLOT_Y + LANE_HEIGHT),
            y2=str(top + _PLOT_Y + LANE_HEIGHT),
        ),
        tag("text", lane.label, class_="lane", x="0", y=str(top + _LABEL_Y)),
        tag("text", count, class_="count", x="100%", y=str(top + _LABEL_Y)) if count else None,
        plot,
    )


def _end_of_stream(stream: EventStream) -> str:
    """How the stream ended, from its terminal event."""
    ends = [
        event.type
        for event in stream.events
        if event.type in _TERMINAL_EVENTS or event.type.startswith(FINISH_REASON_PREFIX)
    ]
    return ends[-1].removeprefix("response.") if ends else "no terminal event"


def _tick_paths(events: Iterable[tuple[float, StreamEvent]]) -> Iterator[tuple[EventKind, str]]:
    """One path for each kind; events at the same position are drawn once."""
    positions: dict[EventKind, dict[int, None]] = {}
    for x, event in events:
        positions.setdefault(event.kind, {})[round(x * VIEWBOX_WIDTH)] = None
    for kind in EventKind:
        if kind in positions:
            height = TICK_HEIGHTS[kind]
            yield kind, "".join(f"M{x} {LANE_HEIGHT}v-{height}" for x in positions[kind])


def _text_growth(events: Sequence[tuple[float, StreamEvent]], total_characters: int) -> Markup | None:
    """The area under the number of characters so far; it steps up at each event that adds some."""
    if not total_characters:
        return None
    path, so_far, drawn = [f"M{round(events[0][0] * VIEWBOX_WIDTH)} {LANE_HEIGHT}"], 0, -1.0
    least = VIEWBOX_WIDTH / _MAX_CURVE_POINTS
    for at, (x, event) in enumerate(events):
        so_far += len(event.added_text)
        if event.added_text and (
            x * VIEWBOX_WIDTH - drawn >= least or at == len(events) - 1 or so_far == total_characters
        ):
            drawn = x * VIEWBOX_WIDTH
            path.append(f"H{round(drawn)}V{LANE_HEIGHT - so_far / total_characters * (LANE_HEIGHT - 4):.1f}")
    path.append(f"H{round(events[-1][0] * VIEWBOX_WIDTH)}V{LANE_HEIGHT}Z")
    return tag("path", class_="growth", d="".join(path))


def marker_symbols() -> Markup:
    """The finding markers, defined once for the page: a diamond, a triangle, a circle."""
    drawn = {
        Severity.ERROR: tag("path", d="M0-6.5L6.5 0 0 6.5-6.5 0Z"),
        Severity.WARNING: tag("path", d="M0-6L6.5 5.5H-6.5Z"),
        Severity.INFO: tag("circle", r="4.5"),
    }
    marks = [
        tag("symbol", shape, id=f"mark-{severity}", viewBox="-8 -8 16 16")
        for severity, shape in drawn.items()
    ]
    return tag("svg", *marks, class_="shapes", width="0", height="0", aria_hidden="true")


def _markers(stream: EventStream, scale: TimeScale, findings: Sequence[ExchangeFinding]) -> Iterator[Markup]:
    """One marker for each position with findings; its title counts them."""
    by_number = {event.index: at for at, event in enumerate(stream.events) if event.index is not None}
    groups: dict[tuple[int, int], list[tuple[float, ExchangeFinding]]] = {}
    for finding in findings:
        if finding.part != "stream" or not stream.events:
            continue
        number = finding.finding.event
        at = len(stream.events) - 1 if number is None else by_number.get(number, len(stream.events) - 1)
        x, lane = scale.positions[at], stream.events[at].lane
        groups.setdefault((lane, round(x * _MARKER_POSITIONS)), []).append((x, finding))
    for (lane, _), located in groups.items():
        yield _marker(lane, located)


def _marker(lane: int, findings: Sequence[tuple[float, ExchangeFinding]]) -> Markup:
    severities = {each.finding.severity for _, each in findings}
    worst = next(each for each in Severity if each in severities)
    x, first = next((x, each) for x, each in findings if each.finding.severity is worst)
    title = f"{first.finding.rule}: {first.finding.message}"
    more = f" (and {len(findings) - 1} more here)" if len(findings) > 1 else ""
    return tag(
        "svg",
        tag("use", href=f"#mark-{worst}", x="-8", y="-8", width="16", height="16"),
        tag("title", title + more),
        class_=f"mark {worst}",
        x=f"{x:.3%}",
        y=str(lane * LANE_SPACING + _PLOT_Y - 1),
        overflow="visible",
    )


def _axis(scale: TimeScale, count: int, height: int) -> Iterator[Markup]:
    y = height - 6
    for x, text in _time_labels(scale.duration) if scale.duration else _index_labels(count):
        anchor = "start" if x < 0.04 else "end" if x > 0.96 else "middle"
        yield tag("line", class_="grid", x1=f"{x:.3%}", x2=f"{x:.3%}", y1="0", y2=str(height - 18))
        yield tag("text", text, class_="time", x=f"{x:.3%}", y=str(y), text_anchor=anchor)


def _time_labels(duration: float) -> list[tuple[float, str]]:
    """Four to eight round times."""
    exponent, factor = -6, 0
    while duration / (_AXIS_STEPS[factor] * 10.0**exponent) > 6:
        factor = (factor + 1) % len(_AXIS_STEPS)
        exponent += factor == 0
    step = _AXIS_STEPS[factor] * 10.0**exponent
    times = [index * step for index in range(int(duration / step) + 1)]
    return [(at / duration, format_duration(at) if at else "0") for at in times]


def _index_labels(count: int) -> list[tuple[float, str]]:
    last = max(0, count - 1)
    numbers = sorted({round(last * part / 4) for part in range(5)})
    return [(number / max(1, last), str(number)) for number in numbers]


def _longest_silence(stream: EventStream, scale: TimeScale, height: int) -> Iterator[Markup]:
    """The longest gap between two events, if it is at least 12% of the whole."""
    if scale.duration is None or len(scale.positions) < 2:
        return
    before, after = max(pairwise((0.0, *scale.positions)), key=lambda pair: pair[1] - pair[0])
    if after - before < 0.12:
        return
    label = f"{format_duration((after - before) * scale.duration)} of silence"
    yield tag(
        "rect", class_="gap", x=f"{before:.3%}", width=f"{after - before:.3%}", y="0", height=str(height - 18)
    )
    middle = f"{(before + after) / 2:.3%}"
    y = str(len(stream.lanes) * LANE_SPACING - LANE_SPACING + _PLOT_Y + LANE_HEIGHT - 6)
    yield tag("text", label, class_="silence", x=middle, y=y, text_anchor="middle")


def render_legend(stream: EventStream) -> Markup:
    """The kinds of events, and the number of each."""
    counts = {kind: sum(event.kind is kind for event in stream.events) for kind in EventKind}
    return tag(
        "ul",
        *(
            tag("li", _legend_icon(kind), f"{kind} ", tag("span", f"{count:,}", class_="number"))
            for kind, count in counts.items()
            if count
        ),
        class_="legend",
    )


def _legend_icon(kind: EventKind) -> Markup:
    high = TICK_HEIGHTS[kind] * 16 / LANE_HEIGHT
    return tag(
        "svg",
        tag("path", class_=f"tick {kind.name.lower()}", d=f"M3 16v-{high:.1f}"),
        width="6",
        height="16",
        aria_hidden="true",
    )
