"""The journal: its size limits, and findings of requests without a body."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import httpx
import pytest

from mockserver.server.http.access_log import format_entry, format_lines
from mockserver.server.http.log_formats import format_json
from mockserver.server.state.journal import FALLBACK, Entry, EntryDetails, Journal, RequestHead
from mockserver.wire import json
from mockserver.wire.masks import configured_masks, parse_masks, use_masks
from tests.api_client import ApiClient
from tests.call_counts import count_calls


def entry(number: int, size: int = 10) -> Entry:
    return Entry(
        0.0,
        RequestHead("POST", f"/{number}", (), b"", ()),
        b"x" * size,
        200,
        (),
        False,
        str(number),
        EntryDetails(),
    )


def test_the_journal_keeps_the_latest_1000_entries() -> None:
    journal = Journal()
    for number in range(1005):
        journal.add(entry(number))
    assert len(journal) == 1000
    assert (journal[0].path, journal.last.path) == ("/5", "/1004")


def test_the_journal_keeps_64_mebibytes_of_bodies() -> None:
    journal = Journal()
    for number in range(10):
        journal.add(entry(number, size=10 << 20))
    assert [each.path for each in journal] == ["/4", "/5", "/6", "/7", "/8", "/9"]


def test_sessions_share_the_quota_and_the_largest_journal_drops_entries() -> None:
    large = Journal()
    small = large.for_new_session()
    small.add(entry(1, size=3 << 20))
    for number in range(7):
        large.add(entry(number, size=10 << 20))
    small.add(entry(2, size=3 << 20))
    assert [each.path for each in small] == ["/1", "/2"]
    assert [each.path for each in large] == ["/2", "/3", "/4", "/5", "/6"]
    assert (large.dropped_count, small.dropped_count) == (2, 0)
    large.close()
    assert len(large) == 0
    for number in range(6):
        small.add(entry(number, size=10 << 20))
        large.add(entry(number, size=10 << 20))  # a reply that was being sent when its session was closed
    assert (len(small), len(large)) == (7, 6)


def test_an_oversized_entry_keeps_its_findings_without_bodies() -> None:
    journal = Journal()
    oversized = Entry(
        0.0,
        RequestHead("POST", "/1", (), b"", ()),
        b'{"model":"a","model":"b"}',
        200,
        (b"x" * (65 << 20),),
        False,
        "1",
        EntryDetails(),
    )
    journal.add(oversized)
    assert [str(finding.rule) for finding in journal.last.findings] == ["SCH-007"]
    assert (journal.last.body, journal.last.reply, journal.last.status) == (b"", (), 200)
    assert journal.last.left_out == (65 << 20) + 25


def test_a_cleared_journal_is_empty() -> None:
    journal = Journal()
    journal.add(entry(1))
    journal.clear()
    assert len(journal) == 0
    with pytest.raises(IndexError):
        _ = journal.last


def test_every_removed_entry_is_reported() -> None:
    removed: list[str] = []
    journal = Journal()
    journal.on_removed = lambda entry: removed.append(entry.path)
    for number in range(1002):
        journal.add(entry(number))
    assert removed == ["/0", "/1"]
    journal.clear()
    assert (len(journal), len(removed), removed[-1], journal.dropped_count) == (0, 1002, "/1001", 0)


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/files", {}, 404),
        ("OPTIONS", "/responses", {}, 405),
        ("POST", "/responses", {"authorization": ""}, 401),
        ("POST", "/responses", {"content_type": "text/plain"}, 400),
    ],
)
def test_a_body_that_was_not_read_has_no_findings(
    api: ApiClient, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    reply = api.request(method, path, {"model": "x"} if method == "POST" else None, **headers)
    assert reply.status_code == status
    assert api.server.journal.last.findings == []
    assert api.server.journal.last.refusal == "refused"


@pytest.mark.parametrize("post", [ApiClient.post, ApiClient.post_chat])
def test_an_empty_body_is_a_finding(
    api: ApiClient, post: Callable[[ApiClient, bytes], httpx.Response]
) -> None:
    assert post(api, b"").status_code == 400
    assert [each.rule for each in api.server.journal.last.findings] == ["SCH-006"]
    assert api.server.journal.last.refusal == ""


@pytest.fixture
def masks_of_the_process() -> Iterator[None]:
    before = configured_masks()
    yield
    use_masks(before)


@pytest.mark.parametrize("pointer", ["/input", "/input/*/content", "/input/0/content/0/text"])
def test_a_masked_prompt_is_shown_nowhere_even_if_it_is_short(
    pointer: str, api: ApiClient, masks_of_the_process: None
) -> None:
    use_masks(parse_masks([pointer]))
    content = [{"type": "input_text", "text": "No. 7"}]
    api.post(json.dumps({"model": api.server.model, "input": [{"role": "user", "content": content}]}))
    entry = api.server.journal.last
    assert entry.prompt == "No. 7"
    assert "No. 7" not in format_entry(entry)
    assert json.loads(format_json([entry], 0)[0].encode())["prompt"] == "[masked]"


def test_lines_that_are_written_together_are_those_of_each_entry() -> None:
    details = EntryDetails("model", "A prompt")
    secret = "another-key-of-the-server"
    entries = [
        Entry(0.0, RequestHead(method, "/responses", (), b"", keys), body, 200, reply, stream, "id", each)
        for method in ("POST", "PUT")
        for keys in ((), (secret,))
        for body in (b"{}", b"")
        for reply, stream in (((), False), ((), True), ((b"1", b"2"), True))
        for each in (
            details,
            details,
            details._replace(prompt=f"Say {secret}  now\n"),
            details._replace(stub_name="moon"),
            details._replace(stub_name=FALLBACK),
        )
    ]
    expected = [format_lines([each], 0) for each in entries]
    assert [[line] for line in format_lines(entries, 0)] == expected
    assert len({each[0] for each in expected}) > 8


def test_lines_of_requests_to_many_stubs_take_as_many_steps_as_those_of_requests_to_one() -> None:
    def entries(names: Iterable[str]) -> list[Entry]:
        head = RequestHead("POST", "/responses", (), b"", ())
        return [
            Entry(0.0, head, b"{}", 200, (), False, "id", EntryDetails("model", "A prompt", each))
            for each in names
        ]

    one, many = (["moon"] * 20, [f"stub-{number}" for number in range(20)])
    calls = [count_calls(lambda: format_lines(entries(names), 0)) for names in (one, many)]  # noqa: B023
    assert calls[1] <= 1.1 * calls[0]
