"""The report in a real browser: its content, its keyboard shortcuts, and what it never runs or loads."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mockserver.cli.output.checked_input import CheckedInput
from mockserver.cli.output.report_page import render_check_page
from mockserver.contract.files import check_file
from mockserver.contract.findings import Severity
from tests.contract import samples
from tests.reports.chromium import Browser, Tab
from tests.reports.report_samples import exchange_file, long_stream, sse_frames

HOSTILE_TEXT = (
    "</script><script>window.ran = 1</script>"
    "<img src=x onerror='window.ran = 2'><svg onload='window.ran = 3'>"
    "<a href='javascript:window.ran = 4'>\x00\x1b[2J\u202e\u2066\ufeff'\"`${window.ran = 5}"
)
LONG_WORD = "x" * 600


OpenReport = Callable[..., Tab]


@pytest.fixture
def open_report(browser: Browser, tmp_path: Path) -> Iterator[OpenReport]:
    """Return a function that opens a report of files, given as bytes by name."""
    tabs = []

    def open_report(files: dict[str, bytes], change: Callable[[str], str] = str, **options: Any) -> Tab:
        file = tmp_path / "report.html"
        file.write_text(change(render_report(files)), encoding="utf-8")
        tabs.append(Tab(browser, **options))
        tabs[-1].load_file(file)
        return tabs[-1]

    yield open_report
    for tab in tabs:
        tab.close()


def render_report(files: dict[str, bytes]) -> str:
    judged = []
    for name, data in files.items():
        verdict = check_file(data)
        judged.append(CheckedInput(name, verdict, verdict.findings, data))
    return render_check_page(judged, [Severity.ERROR])


def recording(events: list[dict[str, Any]], **members: Any) -> bytes:
    chunks = [{"at_ms": 40 + 25 * at, "text": sse_frames([each]).decode()} for at, each in enumerate(events)]
    return exchange_file(chunks, **members)


def recording_with_findings() -> bytes:
    events = samples.text_stream()
    events[7]["text"] = "another"
    return recording(
        events, request={"model": "qwen3-max-2026-01-23", "input": "Hi", "temperature": 9, "stream": True}
    )


FILES = {
    "good.sse": sse_frames(samples.text_stream()),
    "broken.json": recording_with_findings(),
    "request.json": b'{"model": 1}',
}


def assert_self_contained(tab: Tab) -> None:
    """Only the page itself was loaded, nothing was blocked, and no script failed."""
    assert tab.console_errors == []
    assert [each for each in tab.requested_urls if not each.endswith("/report.html")] == []


def text_content(tab: Tab, selector: str) -> Any:
    return tab.evaluate(f"document.querySelector({json.dumps(selector)}).textContent")


@pytest.mark.slow
def test_a_timeline_is_drawn_with_its_findings(open_report: OpenReport) -> None:
    tab = open_report(FILES)
    box = tab.evaluate("document.querySelector('[open] svg.timeline').getBoundingClientRect().toJSON()")
    assert box["width"] > 1000
    drawn = tab.evaluate(
        "[...document.querySelectorAll('[open] .timeline .tick, [open] .timeline .growth')]"
        ".map(each => [getComputedStyle(each).stroke, each.getBoundingClientRect().height])"
    )
    assert len({colour for colour, _ in drawn}) >= 4
    assert all(height > 0 for _, height in drawn)
    mark = tab.evaluate("document.querySelector('[open] .mark.error').getBoundingClientRect().toJSON()")
    assert 12 < mark["width"] < 18
    assert tab.evaluate("document.querySelector('[open] .timeline .count').textContent") == "completed"
    assert_self_contained(tab)


@pytest.mark.slow
def test_dark_theme_and_print_style(open_report: OpenReport) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    tab = open_report(FILES)
    light = tab.evaluate(ground)
    tab.emulate_media(dark=True)
    assert tab.evaluate(ground) != light
    tab.emulate_media(media="print")
    assert tab.evaluate("getComputedStyle(document.querySelector('.filters')).display") == "none"


@pytest.mark.slow
def test_findings_are_pinned_at_their_pointers(open_report: OpenReport) -> None:
    tab = open_report(FILES)
    assert text_content(tab, ".request .pinned") == '"temperature": 9,REQ-001'
    tab.evaluate(
        "[...document.querySelectorAll('.location')].find(e => e.textContent.includes('event 7')).click()"
    )
    assert text_content(tab, ".event .pinned").endswith('"another",TXT-001')
    assert text_content(tab, ".event-toolbar output").startswith(
        "event 7 · response.output_text.done · at 215 ms"
    )
    folded = "document.querySelector('.reply .branch .branch')"
    tab.evaluate(f"{folded}.open = false")
    assert "…" in tab.evaluate(f"getComputedStyle({folded}.querySelector('summary'), '::after').content")
    assert_self_contained(tab)


@pytest.mark.slow
def test_a_finding_in_the_last_response_is_pinned_in_the_reply_too(open_report: OpenReport) -> None:
    events = samples.text_stream()
    events[-1]["response"]["usage"]["total_tokens"] += 1
    tab = open_report({"usage.sse": sse_frames(events)})
    assert "USE-001" in text_content(tab, ".reply .pinned")
    tab.evaluate(
        "[...document.querySelectorAll('.location')].find(e => e.textContent.includes('usage')).click()"
    )
    assert "USE-001" in text_content(tab, ".event .pinned")
    assert_self_contained(tab)


@pytest.mark.slow
def test_keyboard_navigation(open_report: OpenReport) -> None:
    tab = open_report(FILES)
    focused = "document.activeElement.closest('.exchange')?.querySelector('h3').textContent"
    tab.press("j")
    tab.press("j")
    assert tab.evaluate(focused) == "broken.json"
    assert tab.evaluate("document.activeElement.matches(':focus-visible')")
    tab.press("k")
    assert tab.evaluate(focused) == "good.sse"
    tab.press("Enter")
    tab.wait_until("document.querySelector('.exchange').querySelector('.inspector') !== null")
    tab.evaluate("document.querySelector('.exchange .scroller').focus()")
    seen = []
    for key in (
        "Home",
        "ArrowRight",
        "ArrowRight",
        "ArrowRight",
        "ArrowRight",
        "ArrowRight",
        "ArrowLeft",
        "End",
    ):
        tab.press(key)
        seen.append(text_content(tab, ".exchange .text-so-far"))
    assert seen == ["", "", "", "", " word0", " word0 word1", " word0", ""]
    value = tab.evaluate("document.querySelector('.exchange .scroller').getAttribute('aria-valuetext')")
    assert value.startswith("event 10 · response.completed")
    assert '"response.completed"' in text_content(tab, ".exchange .event")
    assert_self_contained(tab)


@pytest.mark.slow
def test_hovering_shows_the_event(open_report: OpenReport) -> None:
    tab = open_report(FILES)
    for key in ("j", "Enter"):
        tab.press(key)
    tab.wait_until("document.querySelector('.exchange .inspector') !== null")
    tab.evaluate("document.querySelector('.exchange .scroller').scrollIntoView({ block: 'center' })")
    shown = []
    for share in (0.05, 0.95):
        x, y = tab.evaluate(
            "(() => { const box = document.querySelector('.exchange .scroller').getBoundingClientRect();"
            f" return [box.left + {share} * box.width, box.top + box.height / 2]; }})()"
        )
        tab.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        tab.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        shown.append(text_content(tab, ".exchange .event"))
    assert '"response.created"' in shown[0]
    assert '"response.completed"' in shown[1]


@pytest.mark.slow
def test_n_goes_to_the_next_finding(open_report: OpenReport) -> None:
    tab = open_report(FILES)
    rules = []
    for _ in range(4):
        tab.press("n")
        rules.append(text_content(tab, ".finding.current .rule"))
    assert len({*rules}) > 2
    tab.press("N")
    assert text_content(tab, ".finding.current .rule") == rules[-2]
    assert_self_contained(tab)


@pytest.mark.slow
def test_the_exchanges_can_be_filtered(open_report: OpenReport) -> None:
    tab = open_report(FILES)
    shown = "[...document.querySelectorAll('.exchange:not([hidden]) h3')].map(each => each.textContent)"
    tab.press("/")
    assert tab.evaluate("document.activeElement.id") == "filter"
    for key in "txt-001":
        tab.press(key)
    tab.wait_until("document.querySelector('.filters output').textContent === '1 of 3'")
    assert tab.evaluate(shown) == ["broken.json"]
    tab.press("Escape")
    assert len(tab.evaluate(shown)) == 3
    tab.evaluate(
        "document.querySelector('.choices [data-severity=clean], .choices [data-severity=info]').click()"
    )
    assert tab.evaluate(shown) == ["good.sse"]
    tab.press("?")
    assert tab.evaluate("document.querySelector('dialog').open")
    tab.press("Escape")
    assert not tab.evaluate("document.querySelector('dialog').open")
    assert_self_contained(tab)


@pytest.mark.slow
def test_the_coverage_can_be_filtered_and_sorted(open_report: OpenReport) -> None:
    tab = open_report(FILES)
    rows = (
        "[...document.querySelectorAll('.covered tbody tr:not([hidden])')]"
        ".map(each => each.querySelector('summary').textContent)"
    )
    every = tab.evaluate(rows)
    assert {"operations", "events", "item types", "rules SEQ", "create_request"} <= {*every}
    tab.evaluate("document.querySelector('.coverage-filter').focus()")
    for key in "TXT-0":
        tab.press(key)
    assert tab.evaluate(rows) == ["rules TXT"]
    tab.press("Escape")
    assert tab.evaluate(rows) == every
    tab.evaluate("document.querySelectorAll('.covered th button')[3].click()")
    shares = tab.evaluate(
        "[...document.querySelectorAll('.covered .percent')].map(each => parseInt(each.textContent))"
    )
    assert shares == sorted(shares)
    assert len({*shares}) > 3
    assert_self_contained(tab)


@pytest.mark.slow
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_no_horizontal_scrolling_on_a_phone(open_report: OpenReport, dark: bool) -> None:
    events = samples.text_stream()
    events[4]["delta"] = events[7]["text"] = LONG_WORD
    request = {"model": LONG_WORD, "input": LONG_WORD, LONG_WORD: LONG_WORD}
    files = {
        LONG_WORD: json.dumps(request).encode(),
        "b": recording(events, request=request),
        "c": b"{" + LONG_WORD.encode(),
    }
    tab = open_report(files, width=360, height=740, dark=dark)
    tab.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
    tab.wait_until("document.querySelector('.inspector') !== null")
    assert tab.evaluate("document.documentElement.scrollWidth") == 360
    too_wide = (
        "[...document.querySelectorAll('main *')].filter(each => each.getBoundingClientRect().right > 361"
        " && !each.closest('.wide, pre, .scroller, .near')).map(each => each.className || each.tagName)"
    )
    assert tab.evaluate(too_wide) == []


@pytest.mark.slow
def test_hostile_text_does_not_run(open_report: OpenReport) -> None:
    kind = f"response.{HOSTILE_TEXT}"
    events = samples.text_stream()
    events[4]["delta"] = events[7]["text"] = HOSTILE_TEXT
    events.insert(
        3,
        {
            "type": kind,
            "sequence_number": 3,
            "output_index": 4,
            "item": {"type": HOSTILE_TEXT},
            HOSTILE_TEXT: HOSTILE_TEXT,
        },
    )
    request = {"model": HOSTILE_TEXT, "input": HOSTILE_TEXT, HOSTILE_TEXT: {HOSTILE_TEXT: HOSTILE_TEXT}}
    files = {
        HOSTILE_TEXT: json.dumps(request).encode(),
        "stream": recording(events, request=request, source=HOSTILE_TEXT),
        "page": f"<html>{HOSTILE_TEXT}".encode(),
        "bytes": b"data: " + HOSTILE_TEXT.encode() + b"\xff\xfe\n\n",
    }
    tab = open_report(files)
    tab.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
    tab.wait_until("document.querySelectorAll('.inspector').length >= 2")
    for key in ("n", "n", "n", "n", "j", "?"):
        tab.press(key)
    tab.evaluate(
        "for (const each of document.querySelectorAll('.scroller')) {"
        " for (const key of ['Home', ...Array(14).fill('ArrowRight')])"
        " each.dispatchEvent(new KeyboardEvent('keydown', { key })) }"
    )
    assert tab.evaluate("window.ran") is None
    assert (
        tab.evaluate("document.querySelectorAll('img, iframe, object, a[href]:not([href^=\"#\"])').length")
        == 0
    )
    shown = tab.evaluate("document.documentElement.textContent")
    assert "onerror='window.ran = 2'" in shown
    assert not {"\x00", "\x1b", "\u202e", "\u2066", "\ufeff"} & {*shown}
    assert_self_contained(tab)


@pytest.mark.slow
def test_the_content_security_policy_blocks_unescaped_text(open_report: OpenReport) -> None:
    def unescaped(whole: str) -> str:
        return whole.replace(
            "<main>", f"<main>{HOSTILE_TEXT.partition('</script>')[2]}<style>main{{display:none}}</style>"
        )

    tab = open_report(FILES, unescaped)
    assert tab.evaluate("window.ran") is None
    assert tab.evaluate("getComputedStyle(document.querySelector('main')).display") == "block"
    assert all("Content Security Policy" in each for each in tab.console_errors)
    assert len(tab.console_errors) >= 4
    assert any("Loading the image" in each and "blocked" in each for each in tab.console_errors)


@pytest.mark.slow
def test_the_report_is_complete_without_javascript(open_report: OpenReport) -> None:
    tab = open_report(
        FILES, lambda whole: re.sub(r'<script>"use strict".*</script>', "", whole, flags=re.DOTALL)
    )
    shown = text_content(tab, "main")
    assert "TXT-001" in shown
    assert '"temperature": 9' in shown
    assert tab.evaluate("document.querySelector('[open] svg.timeline').getBoundingClientRect().height") > 100
    assert tab.evaluate("getComputedStyle(document.querySelector('.filters')).display") == "none"


@pytest.mark.slow
def test_ten_thousand_events_need_no_more_elements_than_a_few(open_report: OpenReport) -> None:
    events = samples.text_stream()
    nodes = []
    for words in (30, 10_000):
        made = long_stream(events, words)
        tab = open_report({"long.json": recording(made)})
        last = len(made) - 1
        tab.evaluate("document.querySelector('.scroller').focus()")
        for key in ("End", *("ArrowLeft",) * 20):
            tab.press(key)
        assert text_content(tab, ".event-toolbar output").startswith(f"event {last - 20} · ")
        labels = "document.querySelectorAll('.timeline .time').length"
        few = tab.evaluate(labels)
        tab.press("+")
        tab.press("+")
        assert tab.evaluate(labels) >= 2 * few
        # Twenty events before the end, the last four of them no deltas; a long text shows its end.
        so_far = tab.evaluate("document.querySelector('.text-so-far').textContent")
        assert so_far.endswith(" word word")
        assert len(so_far) == 5 * (words - 16) if words < 100 else "… 48,415 characters …" in so_far
        tab.press("End")
        assert ("more characters" in text_content(tab, ".event")) is (words > 400)
        nodes.append(tab.evaluate("document.querySelectorAll('*').length"))
        assert_self_contained(tab)
    assert nodes[1] <= nodes[0] + 20
