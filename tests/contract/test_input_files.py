"""Files from bug reports and other projects: what is broken is found, and nothing sound is reported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mockserver.contract.check import check_response, check_stream
from mockserver.contract.detection import detect_endpoint_profile
from mockserver.contract.files import check_file
from mockserver.contract.findings import errors
from mockserver.contract.formatting import findings_lines
from mockserver.profiles import profile_names
from mockserver.testing.strategies.framing import encode_events
from mockserver.wire import json
from tests.contract import openai_samples, rendered_samples, samples

FOLDER = Path(__file__).parent.parent / "data" / "files"

#: File -> (severity, rule, event, pointer) of each finding.
FINDINGS: dict[str, list[tuple[str, str, int | None, str]]] = {
    "or-done-first.sse": [("error", "SSE-012", 0, "")],
    "or-done-mid.sse": [("error", "SSE-012", 4, "")],
    "or-done-twice.sse": [("error", "SSE-012", 13, "")],
    "or-no-done.sse": [("error", "SSE-012", None, "")],
    "st-done-before-end.sse": [("error", "SSE-012", 8, "")],
    "done-before-completed.sse": [("error", "SSE-012", 9, "")],
    "st-ping-comment.sse": [("info", "SSE-005", 1, "")],
    "st-extra-blank.sse": [("info", "SSE-005", 1, "")],
    "st-comment-last.sse": [("info", "SSE-005", 9, "")],
    "st-http-status-500.sse": [("info", "SSE-015", 0, "")],
    "head-500-with-a-good-stream.http": [("error", "SSE-013", None, "")],
    "html-head-with-frames.http": [("warning", "SSE-014", None, "")],
    "json-reply-where-head-says-event-stream.http": [("error", "SSE-006", None, "")],
    "incomplete-without-details.sse": [("warning", "SEQ-018", 8, "/response/incomplete_details")],
    "incomplete-reason-a-number.sse": [("error", "SCH-001", 8, "/response/incomplete_details/reason")],
    "created_at-in-ms.sse": [("error", "SCH-001", at, "/response/created_at") for at in (0, 1, 9)],
    "error-event-then-deltas.sse": [("warning", "SEQ-012", 5, "/type"), ("error", "SEQ-007", 6, "/type")],
    "image-output-not-json.sse": [("error", "TXT-005", 3, "/item/output")],
    "mcp-without-in_progress.sse": [],
    "chat-empty-id.sse": [],
}


@pytest.mark.parametrize("name", FINDINGS)
def test_a_file_has_exactly_its_findings(name: str) -> None:
    found = check_file((FOLDER / name).read_bytes()).findings
    assert [(each.severity, each.rule, each.event, each.pointer) for each in found] == FINDINGS[name]


def test_every_file_is_in_the_table() -> None:
    assert {each.name for each in FOLDER.iterdir()} == {*FINDINGS}


def test_the_model_of_a_chat_stream_is_found() -> None:
    result = check_file((FOLDER / "chat-empty-id.sse").read_bytes())
    assert result.profile_reason == "the first profile that lists qwen3-max-2026-01-23"


@pytest.mark.parametrize("profile", profile_names())
def test_an_event_after_the_done_marker_is_an_error_in_every_profile(profile: str) -> None:
    data = (FOLDER / "st-done-before-end.sse").read_bytes()
    assert "SSE-012" in [each.rule for each in errors(check_stream(data, profile))]


@pytest.mark.parametrize("profile", ["qwen-2026-01", "qwen-2026-05", "qwen-2026-09"])
def test_qwens_own_replies_have_no_errors_in_the_profile_for_any_server(profile: str) -> None:
    for name, events in rendered_samples.streams(profile):
        assert errors(check_stream(events, "openai")) == [], name
    for name, response in rendered_samples.responses(profile):
        assert errors(check_response(response, "openai")) == [], name


FLAT_ERROR = {"request_id": "1", "code": "InvalidParameter", "message": "no"}


def test_a_flat_error_is_reported_by_its_own_rule_alone() -> None:
    data = json.dumps(FLAT_ERROR)
    assert errors(check_file(data, "openai").findings) == []
    [finding] = check_file(data, "openresponses-2026-04").findings
    assert (finding.rule, finding.pointer) == ("SCH-002", "/error")


def test_a_flat_error_in_a_stream_is_reported_by_its_own_rule_alone() -> None:
    assert [each.rule for each in check_stream([FLAT_ERROR], "openai")] == ["SEQ-014"]
    assert [each.rule for each in check_stream([FLAT_ERROR], "openresponses-2026-04")] == ["SCH-002"]


# What the files of other services have in common with Qwen's: ids from UUIDs, `data:{`.
UUID = "0a1b2c3d-0000-4000-8000-000000000001"


@pytest.mark.parametrize(
    ("response_id", "model"),
    [
        (UUID, "grok-4"),
        (f"resp_{UUID}", "deepseek-chat"),
        ("gen-1", "qwen/qwen3-235b-a22b"),
        (f"resp_{UUID}", "openai.gpt-oss-120b"),
        (f"resp_{UUID}", "Qwen/Qwen3-4B"),
    ],
)
def test_files_of_other_services_are_not_taken_for_qwens(response_id: str, model: str) -> None:
    item = {"type": "message", "id": f"msg_{UUID}", "role": "assistant", "status": "completed", "content": []}
    value = {"object": "response", "id": response_id, "model": model, "output": [item], "status": "completed"}
    assert check_file(json.dumps(value)).profile == "openai"
    event = {"type": "response.completed", "sequence_number": 0, "response": value}
    assert check_file(b"data:" + json.dumps(event) + b"\n\n").profile == "openai"
    with_bill = {**value, "usage": {"x_details": []}}
    assert check_file(json.dumps(with_bill)).profile.startswith("qwen-")


@pytest.mark.parametrize("profile", ["qwen-2026-01", "qwen-2026-05", "qwen-2026-09", "openresponses-2026-04"])
@pytest.mark.parametrize("path", ["/v1", "/other/v1", ""])
def test_the_first_answer_decides_the_profile_of_an_endpoint(profile: str, path: str) -> None:
    stream = b"".join(encode_events(dict(rendered_samples.streams(profile))["thinking, wire"], profile))
    choice = detect_endpoint_profile(f"https://host.example{path}", stream)
    assert choice.profile == profile
    assert choice.reason.endswith("of its first reply")


def test_the_path_of_an_endpoint_decides_if_its_answer_does_not() -> None:
    base_url = "https://host.example/compatible-mode/v1"
    unmarked = b'{"error": {"message": "no"}}'
    assert detect_endpoint_profile(base_url, unmarked) == (
        "qwen-2026-09",
        "by its path",
    )
    old = "https://host.example/api/v2/apps/protocols/compatible-mode/v1"
    assert detect_endpoint_profile(old, None).profile == "qwen-2026-01"
    gateway = detect_endpoint_profile("https://host.example/v1", unmarked)
    assert gateway.profile == "openai"
    assert "neither its first reply nor its path" in gateway.reason


def test_a_response_in_the_background_may_be_queued() -> None:
    response = dict(rendered_samples.responses("qwen-2026-09"))["text, wire"]
    waiting = {**response, "background": True, "status": "queued", "output": [], "usage": None}
    assert errors(check_response(waiting, "qwen-2026-09")) == []
    in_front = {**waiting, "background": False}
    assert [each.rule for each in errors(check_response(in_front, "qwen-2026-09"))] == ["SEQ-009"]


def test_only_the_done_item_may_have_logprobs() -> None:
    events = json.loads(json.dumps(samples.text_stream()))
    logprobs = [{"token": "a", "logprob": -0.1, "bytes": [97], "top_logprobs": []}]
    for content in (events[-2]["item"]["content"], events[-1]["response"]["output"][0]["content"]):
        content[0]["logprobs"] = logprobs
    assert "TXT-003" not in [each.rule for each in check_stream(events)]
    events[-2]["item"]["content"][0]["text"] = "other"
    assert "TXT-003" in [each.rule for each in check_stream(events)]


def test_other_services_may_add_messages_as_completed_and_end_image_calls_as_generating() -> None:
    events = json.loads(json.dumps(openai_samples.STREAMS["text"]))
    added = next(each for each in events if each["type"] == "response.output_item.added")
    added["item"]["status"] = "completed"
    assert errors(check_stream(events, "openai")) == []
    assert "ITM-009" in [each.rule for each in check_stream(events, "qwen-2026-09")]


def test_arguments_may_come_without_deltas() -> None:
    events = [
        each
        for each in openai_samples.STREAMS["functions"]
        if each["type"] != "response.function_call_arguments.delta"
    ]
    assert errors(check_stream(openai_samples.renumber(json.loads(json.dumps(events))), "openai")) == []


@pytest.mark.parametrize("profile", profile_names())
def test_an_unknown_tool_type_is_no_error(profile: str) -> None:
    request: dict[str, Any] = {"model": "m", "input": "x", "tools": [{"type": "computer_of_tomorrow"}]}
    found = check_file(json.dumps(request), profile, "request").findings
    assert [each.rule for each in errors(found)] in ([], ["REQ-005"])


def test_repeats_of_a_finding_are_counted_and_a_cascade_names_its_first_error() -> None:
    events = json.loads(json.dumps(samples.text_stream(deltas=160)))
    for event in events[4:164]:
        event["content_index"] = "x"
    events[-1]["response"]["id"] = "other"
    lines = findings_lines(check_stream(events))
    assert "  error SCH-001: and 157 more" in lines
    assert lines[-1] == "  the first error is SCH-001 at event 4; later ones may follow from it"
