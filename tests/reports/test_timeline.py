"""The timeline: gaps to scale, findings at their positions, few elements."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest

from mockserver.contract.findings import Finding, Severity
from mockserver.reports.model import EventStream, ExchangeFinding
from mockserver.reports.stream_events import read_stream
from mockserver.reports.timeline import (
    LANE_HEIGHT,
    LANE_SPACING,
    VIEWBOX_WIDTH,
    render_legend,
    render_timeline,
    time_scale,
)
from tests.contract import samples
from tests.reports.report_samples import sse_frames

TIMES = (0.1, 0.2, 0.25, 1.0)


def timed_stream(times: tuple[float | None, ...] = TIMES) -> EventStream:
    events = samples.text_stream()
    chosen = [*events[:3], events[-1]]
    return read_stream([(at, sse_frames([event])) for at, event in zip(times, chosen, strict=True)])


def stream_finding(event: int | None, severity: Severity = Severity.ERROR) -> ExchangeFinding:
    return ExchangeFinding(Finding("SEQ-003", severity, "", event, "<b>bad</b>"), "stream")


def render_svg(stream: EventStream, *marks: ExchangeFinding) -> ET.Element:
    return ET.fromstring(render_timeline(stream, time_scale(stream), marks))  # noqa: S314 (it is our own)


def tick_positions(svg: ET.Element) -> list[int]:
    paths = [path.get("d", "") for path in svg.iter("path") if "tick" in path.get("class", "")]
    return sorted(int(x) for path in paths for x in re.findall(r"M(\d+) ", path))


def test_gaps_are_to_scale() -> None:
    assert tick_positions(render_svg(timed_stream())) == [VIEWBOX_WIDTH * at for at in (0.1, 0.2, 0.25, 1.0)]


@pytest.mark.parametrize("times", [(None,) * 4, (0.5,) * 4, (0.0,) * 4])
def test_without_times_events_are_spaced_evenly(times: tuple[float | None, ...]) -> None:
    stream = timed_stream(times)
    scale = time_scale(stream)
    assert not scale.is_timed
    assert list(scale.positions) == [0, 1 / 3, 2 / 3, 1]
    assert "evenly" in scale.caption


def test_the_longest_silence_is_labelled() -> None:
    texts = [text.text for text in render_svg(timed_stream()).iter("text")]
    assert "750 ms of silence" in texts
    assert "completed" in texts


def test_a_stream_without_a_terminal_event() -> None:
    stream = read_stream([(None, sse_frames(samples.text_stream()[:4]))])
    assert "no terminal event" in [text.text for text in render_svg(stream).iter("text")]


def test_the_growth_curve_follows_the_text() -> None:
    events = samples.text_stream()
    stream = read_stream([(at / 10, sse_frames([each])) for at, each in enumerate(events, start=1)])
    path = next(
        each.get("d", "") for each in render_svg(stream).iter("path") if each.get("class") == "growth"
    )
    heights = [float(each) for each in re.findall(r"V([\d.]+)", path)]
    assert heights[:-1] == sorted(heights[:-1], reverse=True)
    assert (heights[-2], heights[-1]) == (4, LANE_HEIGHT)


def test_findings_have_markers_by_severity() -> None:
    svg = render_svg(
        timed_stream(),
        stream_finding(1),
        stream_finding(2, Severity.INFO),
        stream_finding(None, Severity.WARNING),
    )
    marks = [each for each in svg.iter("svg") if "mark" in each.get("class", "")]
    assert [(each.get("x"), each.find("use").get("href")) for each in marks] == [  # type: ignore[union-attr]
        ("20.000%", "#mark-error"),
        ("25.000%", "#mark-info"),
        ("100.000%", "#mark-warning"),
    ]
    assert [int(each.get("y", "")) // LANE_SPACING for each in marks] == [0, 1, 0]
    assert marks[0].findtext("title") == "SEQ-003: <b>bad</b>"


def test_findings_at_one_position_share_a_marker_with_the_worst_severity() -> None:
    svg = render_svg(
        timed_stream(),
        stream_finding(1, Severity.INFO),
        stream_finding(1),
        stream_finding(1, Severity.WARNING),
    )
    (shared,) = [each for each in svg.iter("svg") if "mark" in each.get("class", "")]
    assert "error" in shared.get("class", "")
    assert shared.findtext("title", "").endswith("(and 2 more here)")


def test_ten_thousand_events_and_findings_need_few_elements() -> None:
    events = [
        {"type": "response.output_text.delta", "output_index": 0, "delta": "word "} for _ in range(10_000)
    ]
    stream = read_stream([(at / 100, sse_frames([each])) for at, each in enumerate(events, start=1)])
    svg = render_svg(stream, *(stream_finding(at) for at in range(10_000)))
    assert len(list(svg.iter())) < 600
    assert len(tick_positions(svg)) == 10_000


def test_an_empty_stream_can_be_drawn() -> None:
    assert render_svg(read_stream([])).get("aria-label") == "Timeline of 0 events, 0 items"


def test_the_legend_counts_the_kinds() -> None:
    assert re.sub(r"<[^>]+>", "", render_legend(timed_stream())) == "response 3item or part 1"
