"""Checks of files of strangers: bounded lists of findings, and work that is linear in the size of the file."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mockserver.contract.chat.check import check_chat_completion, check_chat_request, check_chat_stream
from mockserver.contract.check import check_body, check_request, check_response, check_stream
from mockserver.contract.findings import Finding, errors, truncate_value
from mockserver.contract.formatting import findings_lines
from tests.contract import samples

COUNT = 3_000
#: Seconds that only stop a hang: each command takes one or two.
HANG_LIMIT = 60


def counted(findings: list[Finding]) -> int:
    """How many findings these are, with those that are only counted."""
    return sum(each.more or 1 for each in findings)


def python_calls(function: Callable[[], object]) -> int:
    """How many Python functions are called."""
    count = 0

    def profile(_: object, event: str, __: object) -> None:
        nonlocal count
        count += event == "call"

    function()  # imports, and compiles schemas
    sys.setprofile(profile)
    try:
        function()
    finally:
        sys.setprofile(None)
    return count


def delta_events(count: int, **members: Any) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = json.loads(json.dumps(samples.text_stream(deltas=count)))
    for event in events:
        if event["type"] == "response.output_text.delta":
            event.update(members)
    return events


def test_a_stream_lists_a_limited_number_of_errors_and_hides_no_other() -> None:
    events = delta_events(COUNT, content_index="x")
    events[-1]["response"]["id"] = "another"
    findings = check_stream(events)
    assert len(findings) < 300
    assert counted(errors(findings)) >= COUNT
    assert "/response/id" in {each.pointer for each in findings}


def test_infos_in_a_stream_hide_no_other_place() -> None:
    events = delta_events(COUNT, colour=1)
    events[-1]["response"]["usage"]["shade"] = 1
    findings = check_stream(events)
    assert len(findings) < 100
    assert counted(findings) == COUNT + 1
    assert "/response/usage/shade" in {each.pointer for each in findings}


@pytest.mark.parametrize("wrong_bytes", [b"data: x\n\n", b'data: {"a":1,"a":1}\n\n'])
def test_frames_that_break_the_same_rule_are_counted(wrong_bytes: bytes) -> None:
    findings = check_stream(samples.service_frames(samples.text_stream()[:1]) + wrong_bytes * COUNT)
    assert len(findings) < 300
    assert counted(findings) >= COUNT


def test_a_response_lists_a_limited_number_of_errors() -> None:
    response = {**samples.response(), "output": [{"type": "message", "content": 1}] * COUNT}
    findings = check_response(response)
    assert len(findings) < 300
    assert counted(errors(findings)) >= COUNT


def test_a_page_with_one_id_lists_a_limited_number_of_errors() -> None:
    item = {"id": "msg_1", "type": "message", "role": "user", "status": "completed", "content": []}
    page = {
        "data": [item] * COUNT,
        "first_id": "msg_1",
        "last_id": "msg_1",
        "has_more": False,
        "object": "list",
    }
    findings = check_body(page, "input_items", "qwen-2026-05")
    assert counted([each for each in findings if each.rule == "ITM-006"]) == COUNT - 1
    assert len(findings) < 300


def test_chat_lists_a_limited_number_of_errors() -> None:
    chunk = {"id": 1, "object": "chat.completion.chunk", "choices": []}
    for findings in (
        check_chat_stream([chunk] * COUNT),
        check_chat_request({"model": "m", "messages": [1] * COUNT}),
        check_chat_completion({"choices": [1] * COUNT}),
    ):
        assert len(findings) < 300
        assert counted(errors(findings)) >= COUNT


def test_a_report_tells_how_many_findings_it_leaves_out() -> None:
    lines = findings_lines(check_request({"model": samples.REQUEST["model"], "input": [1] * COUNT}))
    assert len(lines) < 20
    assert f"  error REQ-001: and {COUNT - 3} more" in lines


def test_valid_elements_before_a_wrong_one_cost_little() -> None:
    def check(count: int) -> int:
        items = [{"role": "user", "content": "x"}] * count
        body = json.dumps({"model": samples.REQUEST["model"], "input": [*items, 1]}).encode()
        return python_calls(lambda: check_request(body))

    assert check(2_000) - check(1_000) < 10 * 1_000


def test_wrong_parts_in_bodies_of_other_operations_cost_little() -> None:
    def check(count: int) -> int:
        body = json.dumps({"items": [{"type": "message", "role": "user", "content": [{}] * count}]}).encode()
        return python_calls(lambda: check_body(body, "create_items", "qwen-2026-09"))

    check(10)
    assert check(6_000) - check(3_000) < 20 * 3_000


@pytest.mark.parametrize("where", ["input", "content", "output", "contents"])
def test_wrong_elements_after_the_first_cost_little(where: str) -> None:
    def check(count: int) -> int:
        items: dict[str, Any] = {
            "input": [1] * count,
            "content": [{"role": "user", "content": [{}] * count}],
            "output": [{"type": "function_call_output", "call_id": "c", "output": [{}] * count}],
            "contents": [{"role": "user", "content": [{}] * 10}] * (count // 10),
        }
        body = json.dumps({"model": samples.REQUEST["model"], "input": items[where]}).encode()
        return python_calls(lambda: check_request(body))

    assert check(2_000) - check(1_000) < 20 * 1_000


@pytest.mark.parametrize(
    "value", ["x" * 5, ["x" * 200], {"a": ["b" * 130]}, [[1, 2]] * 90, list(range(99)), {"a" * 300: 1}]
)
def test_a_truncated_value_is_the_start_of_its_json_text(value: Any) -> None:
    text = json.dumps(value, separators=(",", ":"))
    assert truncate_value(value) == (value if len(text) <= 120 else text[:120] + "…")


def call_stream(count: int) -> str:
    """A chat stream with the arguments of a call in very many pieces."""

    def chunk(delta: Any, finish_reason: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        value = {
            "id": "c",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "m",
            "choices": [choice],
        }
        return f"data: {json.dumps(value)}\n\n"

    call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{"}}
    piece = {"tool_calls": [{"index": 0, "function": {"arguments": " " * 100}}]}
    last = {"tool_calls": [{"index": 0, "function": {"arguments": "}"}}]}
    return (
        chunk({"role": "assistant", "tool_calls": [call]}) + chunk(piece) * count + chunk(last)
        + chunk({}, "tool_calls") + "data: [DONE]\n\n"
    )  # fmt: skip


HOSTILE_FILES: dict[str, Callable[[], str | bytes]] = {
    "duplicate names": lambda: (
        json.dumps({"model": "m", "input": "x"})[:-1]
        + ",".join(["", *(f'"k{at % 100_000}":1' for at in range(200_000))])
        + "}"
    ),
    "numbers": lambda: json.dumps({"model": "m", "input": [1] * 500_000}),
    "outputs": lambda: json.dumps(
        {
            "model": "qwen3-max-2026-01-23",
            "input": [
                {"type": kind, "call_id": f"{kind}{at}", "name": "f", "arguments": "{}", "output": ""}
                for kind in ("function_call", "function_call_output")
                for at in range(20_000)
            ],
        }
    ),
    "line ends": lambda: b"data: 1\n\n" + b"\r" * 1_000_000,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE_FILES)
def test_a_hostile_file_is_checked_in_time_and_with_a_short_report(name: str, tmp_path: Path) -> None:
    content = HOSTILE_FILES[name]()
    file = tmp_path / "hostile"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    command = [sys.executable, "-m", "mockserver", "check", str(file)]
    result = subprocess.run(command, capture_output=True, timeout=HANG_LIMIT, check=False)
    assert result.returncode in (0, 1), result.stderr
    assert len(result.stdout) < 100_000


def test_arguments_in_very_many_pieces_are_joined_once() -> None:
    assert errors(check_chat_stream(call_stream(2_000).encode())) == []
