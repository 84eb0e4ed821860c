"""The page as a file: self-contained, with no foreign script, readable in both themes."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from itertools import pairwise

import pytest

from mockserver.contract.findings import Finding, Severity
from mockserver.reports.coverage import coverage_by_profile
from mockserver.reports.model import (
    ExchangeFinding,
    MessageBody,
    ReportExchange,
    ReportPage,
    Table,
    report_time,
)
from mockserver.reports.page import content_security_policy, javascript, render_page, stylesheet
from mockserver.reports.stream_events import read_stream
from tests.contract import samples
from tests.reports.report_samples import sse_frames
from tests.reports.test_markup import ParsedHtml

MADE = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)

#: (text, ground) pairs of the style sheet, and their least contrast (WCAG 2.2: 1.4.3, 1.4.11).
TEXT_PAIRS = [
    *((text, ground) for text in ("ink", "soft", "accent") for ground in ("ground", "paper", "sunk", "mark")),
    *((kind, f"{kind}-wash") for kind in ("error", "warning", "info", "good")),
    *((kind, "paper") for kind in ("error", "warning", "info", "good")),
    *((text, "sunk") for text in ("string", "number", "name")),
    *((text, "error-wash") for text in ("string", "number", "name")),
    *((text, "warning-wash") for text in ("string", "number", "name")),
    *((text, "info-wash") for text in ("string", "number", "name")),
    ("soft", "gap"),
]  # fmt: skip
SHAPE_PAIRS = [
    *(
        (kind, "paper")
        for kind in (
            *("lifecycle", "failure", "structure", "text", "reasoning", "arguments", "tool", "other"),
            "framing",
        )
    ),
    ("accent", "line"),
    ("text", "growth"),
]


def make_page(*exchanges: ReportExchange) -> ReportPage:
    return ReportPage(
        title="Contract check",
        subject="a file",
        verdict="breaks the contract",
        passed=False,
        created_at=MADE,
        exchanges=exchanges,
        coverage=coverage_by_profile(exchanges),
        tables=(Table("Tests", ("test", "outcome"), (("test_a", "passed"),)),),
    )


def stream_exchange() -> ReportExchange:
    stream = read_stream([(None, sse_frames(samples.text_stream()))])
    finding = ExchangeFinding(
        Finding("SEQ-003", Severity.ERROR, "/x", 3, "message", "a", "b"), "stream", "/x"
    )
    body = MessageBody("Request", '{"input":"Hello!"}', is_json=True, schema="create_request")
    return ReportExchange("one", "stream", "qwen-2026-01", findings=(finding,), request=body, stream=stream)


def base64_sha256(text: str) -> str:
    return b64encode(sha256(text.encode()).digest()).decode()


def test_only_the_embedded_style_and_script_are_allowed() -> None:
    text = render_page(make_page(stream_exchange()))
    assert not re.findall(r'\b(?:src|srcset|href|action|formaction|data)="(?!#)', text)
    assert not re.findall(r"url\(|@import|https?://(?!www\.w3\.org/2000/svg)", text)
    found = re.findall(r"<(script|style)(?: [^>]*)?>(.*?)</\1>", text, re.DOTALL)
    running = [(name, content) for name, content in found if not content.startswith("{")]
    assert running == [("style", stylesheet()), ("script", javascript())]
    for name, content in running:
        assert f"{name}-src 'sha256-{base64_sha256(content)}'" in content_security_policy()
    assert content_security_policy().startswith("default-src 'none'; ")
    assert "unsafe" not in content_security_policy()


def test_the_script_never_parses_text_as_html() -> None:
    assert not re.findall(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|Function\(|setTimeout\(['\"]",
        javascript(),
    )


def test_the_same_values_give_the_same_page() -> None:
    assert render_page(make_page(stream_exchange())) == render_page(make_page(stream_exchange()))


def test_source_date_epoch_sets_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    assert report_time().isoformat() == "2023-11-14T22:13:20+00:00"


def test_an_empty_page() -> None:
    text = render_page(replace(make_page(), tables=(), coverage={}))
    assert ParsedHtml(text).tags.count("section") == 1


def test_it_has_landmarks_and_headings_in_order() -> None:
    text = render_page(make_page(stream_exchange()))
    read = ParsedHtml(
        re.sub(r"<template.*</template>", "", text)
    )  # its headings belong under those of a timeline
    assert {"header", "nav", "main", "footer", "h1"} <= {*read.tags}
    levels = [int(each[1]) for each in read.tags if re.fullmatch(r"h[1-6]", each)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_hostile_text_is_escaped() -> None:
    hostile = "</script><img src=x onerror=alert(1)>\x00\x1b[31m\u202e"
    finding = Finding(hostile, Severity.ERROR, hostile, None, hostile, hostile, {hostile: hostile})
    body = MessageBody(hostile, hostile, headers=((hostile, hostile),))
    exchange = ReportExchange(
        hostile, hostile, "qwen-2026-01", hostile, (ExchangeFinding(finding, "reply"),), body, body
    )
    data = sse_frames([{"type": hostile, "output_index": 0, "item": {"type": hostile}, "delta": hostile}])
    exchange = replace(exchange, stream=read_stream([(None, data)]), details=((hostile, hostile),))
    page = replace(
        make_page(exchange), title=hostile, subject=hostile, verdict=hostile, metadata=((hostile, hostile),),
        tables=(Table(hostile, (hostile,), ((hostile,),)),),
    )  # fmt: skip
    text = render_page(page)
    assert "img" not in ParsedHtml(text).tags
    assert not {"\x00", "\x1b", "\u202e"} & {*text}


def palette_of(dark: bool) -> dict[str, str]:
    light, night = stylesheet().split("@media (prefers-color-scheme: dark)", 1)
    found = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", light))
    return (
        {**found, **dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", night.split("}", 1)[0]))}
        if dark
        else found
    )


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_colours_have_enough_contrast(dark: bool) -> None:
    palette = palette_of(dark)
    assert contrast("#000000", "#ffffff") == 21
    pairs = [(pair, 4.5) for pair in TEXT_PAIRS] + [(pair, 3.0) for pair in SHAPE_PAIRS]
    low = {
        pair: round(found, 2)
        for pair, least in pairs
        if (found := contrast(palette[pair[0]], palette[pair[1]])) < least
    }
    assert low == {}


def test_both_themes_have_all_colours() -> None:
    night = stylesheet().split("@media (prefers-color-scheme: dark)", 1)[1].split("}", 1)[0]
    assert set(re.findall(r"--([a-z-]+):", night)) == {*palette_of(False)}
    used = set(re.findall(r"var\(--([a-z-]+)\)", stylesheet()))
    assert used == {*palette_of(False)}
