"""The page in a real browser: what it shows, what its keys do, what it never runs or loads."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mockserver.cli.judged import Judged
from mockserver.cli.pages import page
from mockserver.contract.files import check_file
from mockserver.contract.findings import Severity
from tests.contract import samples
from tests.reports.chromium import Browser, Tab, chromium, find_chromium
from tests.reports.making import exchange_file, framed, long_stream

HOSTILE = (
    "</script><script>window.ran = 1</script>"
    "<img src=x onerror='window.ran = 2'><svg onload='window.ran = 3'>"
    "<a href='javascript:window.ran = 4'>\x00\x1b[2J\u202e\u2066\ufeff'\"`${window.ran = 5}"
)
WIDE = "x" * 600


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    program = find_chromium()
    if program is None:
        pytest.skip("chromium is not installed")
    with chromium(program, tmp_path_factory.mktemp("chromium")) as running:
        yield running


Open = Callable[..., Tab]


@pytest.fixture
def show(browser: Browser, tmp_path: Path) -> Iterator[Open]:
    """Open a report of these files: bytes by their names."""
    tabs = []

    def show(files: dict[str, bytes], change: Callable[[str], str] = str, **about: Any) -> Tab:
        file = tmp_path / "report.html"
        file.write_text(change(report(files)), encoding="utf-8")
        tabs.append(Tab(browser, **about))
        tabs[-1].open(file)
        return tabs[-1]

    yield show
    for tab in tabs:
        tab.close()


def report(files: dict[str, bytes]) -> str:
    judged = []
    for name, data in files.items():
        verdict = check_file(data)
        judged.append(Judged(name, verdict, verdict.findings, data))
    return page(judged, [Severity.ERROR])


def recording(events: list[dict[str, Any]], **about: Any) -> bytes:
    chunks = [{"at_ms": 40 + 25 * at, "text": framed([each]).decode()} for at, each in enumerate(events)]
    return exchange_file(chunks, **about)


def broken() -> bytes:
    events = samples.text_stream()
    events[7]["text"] = "another"
    return recording(
        events, request={"model": "qwen3-max-2026-01-23", "input": "Hi", "temperature": 9, "stream": True}
    )


FILES = {"good.sse": framed(samples.text_stream()), "broken.json": broken(), "request.json": b'{"model": 1}'}


def alone(tab: Tab) -> None:
    """Nothing was loaded but the page, nothing refused, and no script failed."""
    assert tab.complaints == []
    assert [each for each in tab.requests if not each.endswith("/report.html")] == []


def text(tab: Tab, selector: str) -> Any:
    return tab.eval(f"document.querySelector({json.dumps(selector)}).textContent")


def test_a_timeline_is_drawn_with_its_findings(show: Open) -> None:
    tab = show(FILES)
    box = tab.eval("document.querySelector('[open] svg.timeline').getBoundingClientRect().toJSON()")
    assert box["width"] > 1000
    drawn = tab.eval(
        "[...document.querySelectorAll('[open] .timeline .tick, [open] .timeline .growth')]"
        ".map(each => [getComputedStyle(each).stroke, each.getBoundingClientRect().height])"
    )
    assert len({colour for colour, _ in drawn}) >= 4
    assert all(height > 0 for _, height in drawn)
    mark = tab.eval("document.querySelector('[open] .mark.error').getBoundingClientRect().toJSON()")
    assert 12 < mark["width"] < 18
    assert tab.eval("document.querySelector('[open] .timeline .count').textContent") == "completed"
    alone(tab)


def test_the_themes_differ_and_print_leaves_controls_out(show: Open) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    tab = show(FILES)
    light = tab.eval(ground)
    tab.media(dark=True)
    assert tab.eval(ground) != light
    tab.media(media="print")
    assert tab.eval("getComputedStyle(document.querySelector('.filters')).display") == "none"


def test_findings_stand_at_their_pointers(show: Open) -> None:
    tab = show(FILES)
    assert text(tab, ".request .pinned") == '"temperature": 9,REQ-001'
    tab.eval("[...document.querySelectorAll('.place')].find(e => e.textContent.includes('event 7')).click()")
    assert text(tab, ".event .pinned").endswith('"another",TXT-001')
    assert text(tab, ".bar-of-events output").startswith("event 7 · response.output_text.done · at 215 ms")
    folded = "document.querySelector('.reply .branch .branch')"
    tab.eval(f"{folded}.open = false")
    assert "…" in tab.eval(f"getComputedStyle({folded}.querySelector('summary'), '::after').content")
    alone(tab)


def test_a_finding_in_the_last_response_stands_in_the_reply_too(show: Open) -> None:
    events = samples.text_stream()
    events[-1]["response"]["usage"]["total_tokens"] += 1
    tab = show({"usage.sse": framed(events)})
    assert "USE-001" in text(tab, ".reply .pinned")
    tab.eval("[...document.querySelectorAll('.place')].find(e => e.textContent.includes('usage')).click()")
    assert "USE-001" in text(tab, ".event .pinned")
    alone(tab)


def test_keys_go_from_exchange_to_exchange_and_through_events(show: Open) -> None:
    tab = show(FILES)
    focused = "document.activeElement.closest('.exchange')?.querySelector('h3').textContent"
    tab.press("j")
    tab.press("j")
    assert tab.eval(focused) == "broken.json"
    assert tab.eval("document.activeElement.matches(':focus-visible')")
    tab.press("k")
    assert tab.eval(focused) == "good.sse"
    tab.press("Enter")
    tab.until("document.querySelector('.exchange').querySelector('.inspector') !== null")
    tab.eval("document.querySelector('.exchange .scroller').focus()")
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
        seen.append(text(tab, ".exchange .so-far"))
    assert seen == ["", "", "", "", " word0", " word0 word1", " word0", ""]
    value = tab.eval("document.querySelector('.exchange .scroller').getAttribute('aria-valuetext')")
    assert value.startswith("event 10 · response.completed")
    assert '"response.completed"' in text(tab, ".exchange .event")
    alone(tab)


def test_n_goes_to_the_next_finding_wherever_it_is(show: Open) -> None:
    tab = show(FILES)
    rules = []
    for _ in range(4):
        tab.press("n")
        rules.append(text(tab, ".finding.current .rule"))
    assert len({*rules}) > 2
    tab.press("N")
    assert text(tab, ".finding.current .rule") == rules[-2]
    alone(tab)


def test_the_list_is_filtered(show: Open) -> None:
    tab = show(FILES)
    shown = "[...document.querySelectorAll('.exchange:not([hidden]) h3')].map(each => each.textContent)"
    tab.press("/")
    assert tab.eval("document.activeElement.id") == "filter"
    for key in "txt-001":
        tab.press(key)
    tab.until("document.querySelector('.filters output').textContent === '1 of 3'")
    assert tab.eval(shown) == ["broken.json"]
    tab.press("Escape")
    assert len(tab.eval(shown)) == 3
    tab.eval(
        "document.querySelector('.choices [data-severity=clean], .choices [data-severity=info]').click()"
    )
    assert tab.eval(shown) == ["good.sse"]
    tab.press("?")
    assert tab.eval("document.querySelector('dialog').open")
    tab.press("Escape")
    assert not tab.eval("document.querySelector('dialog').open")
    alone(tab)


def test_the_coverage_is_filtered_and_sorted(show: Open) -> None:
    tab = show(FILES)
    rows = (
        "[...document.querySelectorAll('.covered tbody tr:not([hidden])')]"
        ".map(each => each.querySelector('summary').textContent)"
    )
    every = tab.eval(rows)
    assert {"operations", "events", "item types", "rules SEQ", "create_request"} <= {*every}
    tab.eval("document.querySelector('.sieve').focus()")
    for key in "TXT-0":
        tab.press(key)
    assert tab.eval(rows) == ["rules TXT"]
    tab.press("Escape")
    assert tab.eval(rows) == every
    tab.eval("document.querySelectorAll('.covered th button')[3].click()")
    shares = tab.eval(
        "[...document.querySelectorAll('.covered .percent')].map(each => parseInt(each.textContent))"
    )
    assert shares == sorted(shares)
    assert len({*shares}) > 3
    alone(tab)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_phone_does_not_scroll_sideways(show: Open, dark: bool) -> None:
    events = samples.text_stream()
    events[4]["delta"] = events[7]["text"] = WIDE
    request = {"model": WIDE, "input": WIDE, WIDE: WIDE}
    files = {
        WIDE: json.dumps(request).encode(),
        "b": recording(events, request=request),
        "c": b"{" + WIDE.encode(),
    }
    tab = show(files, width=360, height=740, dark=dark)
    tab.eval("document.querySelectorAll('details').forEach(each => { each.open = true })")
    tab.until("document.querySelector('.inspector') !== null")
    assert tab.eval("document.documentElement.scrollWidth") == 360
    too_wide = (
        "[...document.querySelectorAll('main *')].filter(each => each.getBoundingClientRect().right > 361"
        " && !each.closest('.wide, pre, .scroller, .near')).map(each => each.className || each.tagName)"
    )
    assert tab.eval(too_wide) == []


def test_nothing_hostile_runs(show: Open) -> None:
    kind = f"response.{HOSTILE}"
    events = samples.text_stream()
    events[4]["delta"] = events[7]["text"] = HOSTILE
    events.insert(
        3,
        {"type": kind, "sequence_number": 3, "output_index": 4, "item": {"type": HOSTILE}, HOSTILE: HOSTILE},
    )
    request = {"model": HOSTILE, "input": HOSTILE, HOSTILE: {HOSTILE: HOSTILE}}
    files = {
        HOSTILE: json.dumps(request).encode(),
        "stream": recording(events, request=request, source=HOSTILE),
        "page": f"<html>{HOSTILE}".encode(),
        "bytes": b"data: " + HOSTILE.encode() + b"\xff\xfe\n\n",
    }
    tab = show(files)
    tab.eval("document.querySelectorAll('details').forEach(each => { each.open = true })")
    tab.until("document.querySelectorAll('.inspector').length >= 2")
    for key in ("n", "n", "n", "n", "j", "?"):
        tab.press(key)
    tab.eval(
        "for (const each of document.querySelectorAll('.scroller')) {"
        " for (const key of ['Home', ...Array(14).fill('ArrowRight')])"
        " each.dispatchEvent(new KeyboardEvent('keydown', { key })) }"
    )
    assert tab.eval("window.ran") is None
    assert (
        tab.eval("document.querySelectorAll('img, iframe, object, a[href]:not([href^=\"#\"])').length") == 0
    )
    shown = tab.eval("document.documentElement.textContent")
    assert "onerror='window.ran = 2'" in shown
    assert not {"\x00", "\x1b", "\u202e", "\u2066", "\ufeff"} & {*shown}
    alone(tab)


def test_the_policy_stops_what_escaping_would_let_through(show: Open) -> None:
    def unescaped(whole: str) -> str:
        return whole.replace(
            "<main>", f"<main>{HOSTILE.partition('</script>')[2]}<style>main{{display:none}}</style>"
        )

    tab = show(FILES, unescaped)
    assert tab.eval("window.ran") is None
    assert tab.eval("getComputedStyle(document.querySelector('main')).display") == "block"
    assert all("Content Security Policy" in each for each in tab.complaints)
    assert len(tab.complaints) >= 4
    assert any("Loading the image" in each and "blocked" in each for each in tab.complaints)


def test_without_its_script_the_report_is_whole(show: Open) -> None:
    tab = show(FILES, lambda whole: re.sub(r'<script>"use strict".*</script>', "", whole, flags=re.DOTALL))
    shown = text(tab, "main")
    assert "TXT-001" in shown
    assert '"temperature": 9' in shown
    assert tab.eval("document.querySelector('[open] svg.timeline').getBoundingClientRect().height") > 100
    assert tab.eval("getComputedStyle(document.querySelector('.filters')).display") == "none"


def test_ten_thousand_events_are_as_light_as_a_few(show: Open) -> None:
    events = samples.text_stream()
    nodes = []
    for words in (30, 10_000):
        made = long_stream(events, words)
        tab = show({"long.json": recording(made)})
        last = len(made) - 1
        tab.eval("document.querySelector('.scroller').focus()")
        for key in ("End", *("ArrowLeft",) * 20):
            tab.press(key)
        assert text(tab, ".bar-of-events output").startswith(f"event {last - 20} · ")
        labels = "document.querySelectorAll('.timeline .time').length"
        few = tab.eval(labels)
        tab.press("+")
        tab.press("+")
        assert tab.eval(labels) >= 2 * few
        # Twenty from the end, of which the last four are no deltas; of a long text the end is shown.
        so_far = tab.eval("document.querySelector('.so-far').textContent")
        assert so_far.endswith(" word word")
        assert len(so_far) == 5 * (words - 16) if words < 100 else "… 48,415 characters …" in so_far
        tab.press("End")
        assert ("more characters" in text(tab, ".event")) is (words > 400)
        nodes.append(tab.eval("document.querySelectorAll('*').length"))
        alone(tab)
    assert nodes[1] <= nodes[0] + 20
