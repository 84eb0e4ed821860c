"""The picture of a stream: gaps to scale, findings in their places, few elements."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest

from mockserver.contract.findings import Finding, Severity
from mockserver.reports.events import read_stream
from mockserver.reports.model import Mark, Stream
from mockserver.reports.timeline import LANE, STEP, WIDTH, legend, picture, scale_of
from tests.contract import samples
from tests.reports.making import framed

TIMES = (0.1, 0.2, 0.25, 1.0)


def timed(times: tuple[float | None, ...] = TIMES) -> Stream:
    events = samples.text_stream()
    chosen = [*events[:3], events[-1]]
    return read_stream([(at, framed([event])) for at, event in zip(times, chosen, strict=True)])


def mark(event: int | None, severity: Severity = Severity.ERROR) -> Mark:
    return Mark(Finding("SEQ-003", severity, "", event, "<b>bad</b>"), "stream")


def drawn(stream: Stream, *marks: Mark) -> ET.Element:
    return ET.fromstring(picture(stream, scale_of(stream), marks))  # noqa: S314 (it is our own)


def ticks(svg: ET.Element) -> list[int]:
    paths = [path.get("d", "") for path in svg.iter("path") if "tick" in path.get("class", "")]
    return sorted(int(x) for path in paths for x in re.findall(r"M(\d+) ", path))


def test_gaps_are_to_scale() -> None:
    assert ticks(drawn(timed())) == [WIDTH * at for at in (0.1, 0.2, 0.25, 1.0)]


@pytest.mark.parametrize("times", [(None,) * 4, (0.5,) * 4, (0.0,) * 4])
def test_without_times_events_stand_evenly_and_that_is_said(times: tuple[float | None, ...]) -> None:
    stream = timed(times)
    scale = scale_of(stream)
    assert not scale.is_timed
    assert list(scale.at) == [0, 1 / 3, 2 / 3, 1]
    assert "evenly" in scale.about


def test_the_longest_silence_is_told() -> None:
    texts = [text.text for text in drawn(timed()).iter("text")]
    assert "750 ms of silence" in texts
    assert "completed" in texts


def test_a_stream_that_does_not_end_says_so() -> None:
    stream = read_stream([(None, framed(samples.text_stream()[:4]))])
    assert "no terminal event" in [text.text for text in drawn(stream).iter("text")]


def test_text_grows_where_events_add_some() -> None:
    events = samples.text_stream()
    stream = read_stream([(at / 10, framed([each])) for at, each in enumerate(events, start=1)])
    path = next(each.get("d", "") for each in drawn(stream).iter("path") if each.get("class") == "growth")
    heights = [float(each) for each in re.findall(r"V([\d.]+)", path)]
    assert heights[:-1] == sorted(heights[:-1], reverse=True)
    assert (heights[-2], heights[-1]) == (4, LANE)


def test_findings_are_marked_in_their_place_with_a_shape() -> None:
    svg = drawn(timed(), mark(1), mark(2, Severity.INFO), mark(None, Severity.WARNING))
    marks = [each for each in svg.iter("svg") if "mark" in each.get("class", "")]
    assert [(each.get("x"), each.find("use").get("href")) for each in marks] == [  # type: ignore[union-attr]
        ("20.000%", "#mark-error"),
        ("25.000%", "#mark-info"),
        ("100.000%", "#mark-warning"),
    ]
    assert [int(each.get("y", "")) // STEP for each in marks] == [0, 1, 0]
    assert marks[0].findtext("title") == "SEQ-003: <b>bad</b>"


def test_findings_in_one_place_share_a_mark_that_shows_the_worst() -> None:
    svg = drawn(timed(), mark(1, Severity.INFO), mark(1), mark(1, Severity.WARNING))
    (shared,) = [each for each in svg.iter("svg") if "mark" in each.get("class", "")]
    assert "error" in shared.get("class", "")
    assert shared.findtext("title", "").endswith("(and 2 more here)")


def test_ten_thousand_events_and_findings_are_few_elements() -> None:
    events = [
        {"type": "response.output_text.delta", "output_index": 0, "delta": "word "} for _ in range(10_000)
    ]
    stream = read_stream([(at / 100, framed([each])) for at, each in enumerate(events, start=1)])
    svg = drawn(stream, *(mark(at) for at in range(10_000)))
    assert len(list(svg.iter())) < 600
    assert len(ticks(svg)) == 10_000


def test_an_empty_stream_is_drawn_too() -> None:
    assert drawn(read_stream([])).get("aria-label") == "Timeline of 0 events, 0 items"


def test_the_legend_counts_the_kinds() -> None:
    assert re.sub(r"<[^>]+>", "", legend(timed())) == "response 3item or part 1"
