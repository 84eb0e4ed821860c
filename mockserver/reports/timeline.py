"""A stream as a picture: a lane for the response and for each item, a tick an event, gaps to scale.

Ticks of one kind are one path and the text's growth is another, so a stream of 10,000 events draws as few
elements as one of ten. Places along the time are percentages, so the picture fits any width.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from mockserver.contract.findings import Severity
from mockserver.reports.events import FINISH
from mockserver.reports.markup import Markup, tag
from mockserver.reports.model import Event, Kind, Mark, Stream
from mockserver.reports.texts import counted, milliseconds

__all__ = ["HEIGHTS", "Scale", "legend", "picture", "scale_of", "shapes"]

#: Units of a lane's own width: more than any screen has pixels, so that nothing is lost at a zoom.
WIDTH = 10_000
LANE = 36
#: From one lane to the next, its label included.
STEP = 64
_LABEL = 13
_PLOT = 25

#: How high the tick of each kind is, of a lane's height: what kind it is shows without colour too.
HEIGHTS: Mapping[Kind, int] = {
    Kind.LIFECYCLE: 36,
    Kind.FAILURE: 36,
    Kind.STRUCTURE: 26,
    Kind.TOOL: 20,
    Kind.OTHER: 31,
    Kind.TEXT: 10,
    Kind.REASONING: 10,
    Kind.ARGUMENTS: 10,
    Kind.FRAMING: 5,
}
#: Places along the time where findings are told apart; those closer together share a mark.
_PLACES = 160
#: Points of a line of growing text.
_POINTS = 1_500
_TERMINAL = frozenset({"error", *(f"response.{end}" for end in ("completed", "incomplete", "failed"))})
_STEPS = (1, 2, 2.5, 5)


@dataclass(frozen=True, slots=True)
class Scale:
    """Where along the picture each event is, from 0 to 1."""

    at: tuple[float, ...]
    seconds: float | None
    """What the whole width stands for; None where events stand in their order, evenly."""
    about: str

    @property
    def is_timed(self) -> bool:
        """Whether gaps are to scale."""
        return self.seconds is not None


def scale_of(stream: Stream) -> Scale:
    """Times to scale, from the request to the last event; where there are none, the order of the events."""
    times = [event.at for event in stream.events]
    known = [at for at in times if at is not None]
    last = max(known, default=0.0)
    if len(known) == len(times) and last > 0 and min(known) < last:
        about = "Gaps are to scale, from the request to the last event."
        return Scale(tuple(max(0.0, at) / last for at in known), last, about)
    count = max(1, len(times) - 1)
    about = "No times were recorded: events stand evenly, in their order."
    if known:
        about = f"All events came at once, after {milliseconds(last)}: they stand evenly, in their order."
    return Scale(tuple(index / count for index in range(len(times))), None, about)


def picture(stream: Stream, scale: Scale, marks: Sequence[Mark]) -> Markup:
    """The SVG; its lanes are `STEP` high each, behind them the time."""
    height = len(stream.lanes) * STEP + 26
    lanes = [_lane(stream, scale, index) for index in range(len(stream.lanes))]
    return tag(
        "svg",
        *_gap(stream, scale, height),
        *_axis(scale, len(stream.events), height),
        *lanes,
        *_findings(stream, scale, marks),
        class_="timeline",
        role="img",
        width="100%",
        height=str(height),
        aria_label=_described(stream, scale, marks),
    )


def _described(stream: Stream, scale: Scale, marks: Sequence[Mark]) -> str:
    told = [counted(sum(event.number is not None for event in stream.events), "event")]
    told.append(counted(len(stream.lanes) - 1, "item"))
    if scale.seconds is not None:
        told.append(f"in {milliseconds(scale.seconds)}")
    found = sum(mark.part == "stream" for mark in marks)
    return f"Timeline of {', '.join(told)}{'; ' + counted(found, 'finding') if found else ''}"


def _lane(stream: Stream, scale: Scale, index: int) -> Markup:
    lane = stream.lanes[index]
    events = [(x, event) for x, event in zip(scale.at, stream.events, strict=True) if event.lane == index]
    top = index * STEP
    count = _ended(stream) if not index else counted(len(lane.text), "character") if lane.text else ""
    plot = tag(
        "svg",
        _growth(events, len(lane.text)),
        *(tag("path", class_=f"tick {kind.name.lower()}", d=path) for kind, path in _ticks(events)),
        x="0",
        y=str(top + _PLOT),
        width="100%",
        height=str(LANE),
        viewBox=f"0 0 {WIDTH} {LANE}",
        preserveAspectRatio="none",
    )
    return tag(
        "g",
        tag("line", class_="base", x1="0", x2="100%", y1=str(top + _PLOT + LANE), y2=str(top + _PLOT + LANE)),
        tag("text", lane.label, class_="lane", x="0", y=str(top + _LABEL)),
        tag("text", count, class_="count", x="100%", y=str(top + _LABEL)) if count else None,
        plot,
    )


def _ended(stream: Stream) -> str:
    """How the stream ended, in the words of its terminal event."""
    ends = [event.type for event in stream.events if event.type in _TERMINAL or event.type.startswith(FINISH)]
    return ends[-1].removeprefix("response.") if ends else "no terminal event"


def _ticks(events: Iterable[tuple[float, Event]]) -> Iterator[tuple[Kind, str]]:
    """A path for each kind: its events that would fall on one another are drawn once."""
    places: dict[Kind, dict[int, None]] = {}
    for x, event in events:
        places.setdefault(event.kind, {})[round(x * WIDTH)] = None
    for kind in Kind:
        if kind in places:
            high = HEIGHTS[kind]
            yield kind, "".join(f"M{x} {LANE}v-{high}" for x in places[kind])


def _growth(events: Sequence[tuple[float, Event]], whole: int) -> Markup | None:
    """The area under the number of characters so far, in steps: it grows where an event adds some."""
    if not whole:
        return None
    path, so_far, drawn = [f"M{round(events[0][0] * WIDTH)} {LANE}"], 0, -1.0
    least = WIDTH / _POINTS
    for at, (x, event) in enumerate(events):
        so_far += len(event.grown)
        if event.grown and (x * WIDTH - drawn >= least or at == len(events) - 1 or so_far == whole):
            drawn = x * WIDTH
            path.append(f"H{round(drawn)}V{LANE - so_far / whole * (LANE - 4):.1f}")
    path.append(f"H{round(events[-1][0] * WIDTH)}V{LANE}Z")
    return tag("path", class_="growth", d="".join(path))


# Findings.


def shapes() -> Markup:
    """The marks of findings, once for the whole page: a square on its tip, a triangle, a circle."""
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


def _findings(stream: Stream, scale: Scale, marks: Sequence[Mark]) -> Iterator[Markup]:
    """A mark for each place where something was found; it says how much where that is more than one."""
    by_number = {event.number: at for at, event in enumerate(stream.events) if event.number is not None}
    groups: dict[tuple[int, int], list[tuple[float, Mark]]] = {}
    for mark in marks:
        if mark.part != "stream" or not stream.events:
            continue
        number = mark.finding.event
        at = len(stream.events) - 1 if number is None else by_number.get(number, len(stream.events) - 1)
        x, lane = scale.at[at], stream.events[at].lane
        groups.setdefault((lane, round(x * _PLACES)), []).append((x, mark))
    for (lane, _), found in groups.items():
        yield _mark(lane, found)


def _mark(lane: int, found: Sequence[tuple[float, Mark]]) -> Markup:
    severities = {mark.finding.severity for _, mark in found}
    worst = next(each for each in Severity if each in severities)
    x, first = next((x, mark) for x, mark in found if mark.finding.severity is worst)
    told = f"{first.finding.rule}: {first.finding.message}"
    more = f" (and {len(found) - 1} more here)" if len(found) > 1 else ""
    return tag(
        "svg",
        tag("use", href=f"#mark-{worst}", x="-8", y="-8", width="16", height="16"),
        tag("title", told + more),
        class_=f"mark {worst}",
        x=f"{x:.3%}",
        y=str(lane * STEP + _PLOT - 1),
        overflow="visible",
    )


# Time.


def _axis(scale: Scale, count: int, height: int) -> Iterator[Markup]:
    y = height - 6
    for x, text in _marks_of_time(scale.seconds) if scale.seconds else _marks_of_order(count):
        anchor = "start" if x < 0.04 else "end" if x > 0.96 else "middle"
        yield tag("line", class_="grid", x1=f"{x:.3%}", x2=f"{x:.3%}", y1="0", y2=str(height - 18))
        yield tag("text", text, class_="time", x=f"{x:.3%}", y=str(y), text_anchor=anchor)


def _marks_of_time(seconds: float) -> list[tuple[float, str]]:
    """Round times, four to eight of them."""
    exponent, factor = -6, 0
    while seconds / (_STEPS[factor] * 10.0**exponent) > 6:
        factor = (factor + 1) % len(_STEPS)
        exponent += factor == 0
    step = _STEPS[factor] * 10.0**exponent
    times = [index * step for index in range(int(seconds / step) + 1)]
    return [(at / seconds, milliseconds(at) if at else "0") for at in times]


def _marks_of_order(count: int) -> list[tuple[float, str]]:
    last = max(0, count - 1)
    numbers = sorted({round(last * part / 4) for part in range(5)})
    return [(number / max(1, last), str(number)) for number in numbers]


def _gap(stream: Stream, scale: Scale, height: int) -> Iterator[Markup]:
    """The longest silence between two events, where it is a good part of the whole."""
    if scale.seconds is None or len(scale.at) < 2:
        return
    before, after = max(pairwise((0.0, *scale.at)), key=lambda pair: pair[1] - pair[0])
    if after - before < 0.12:
        return
    label = f"{milliseconds((after - before) * scale.seconds)} of silence"
    yield tag(
        "rect", class_="gap", x=f"{before:.3%}", width=f"{after - before:.3%}", y="0", height=str(height - 18)
    )
    middle = f"{(before + after) / 2:.3%}"
    y = str(len(stream.lanes) * STEP - STEP + _PLOT + LANE - 6)
    yield tag("text", label, class_="silence", x=middle, y=y, text_anchor="middle")


def legend(stream: Stream) -> Markup:
    """The kinds of events there are, and how many of each."""
    counts = {kind: sum(event.kind is kind for event in stream.events) for kind in Kind}
    return tag(
        "ul",
        *(
            tag("li", _sample(kind), f"{kind} ", tag("span", f"{count:,}", class_="number"))
            for kind, count in counts.items()
            if count
        ),
        class_="legend",
    )


def _sample(kind: Kind) -> Markup:
    high = HEIGHTS[kind] * 16 / LANE
    return tag(
        "svg",
        tag("path", class_=f"tick {kind.name.lower()}", d=f"M3 16v-{high:.1f}"),
        width="6",
        height="16",
        aria_hidden="true",
    )
