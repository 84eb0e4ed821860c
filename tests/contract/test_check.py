"""The public checks: what they accept, and what `request` and `trimmed` change."""

from __future__ import annotations

import doctest
from typing import Any

import pytest

from mockserver.contract import check as check_module
from mockserver.contract.check import (
    RULES_SKIPPED_WHEN_TRIMMED,
    check_error,
    check_request,
    check_response,
    check_stream,
)
from mockserver.contract.findings import Finding
from mockserver.contract.rules import load_rules
from mockserver.errors import UnknownProfile
from mockserver.profiles import DEFAULT_PROFILE, load_profile
from mockserver.wire import json
from tests.contract import samples
from tests.contract.samples import MODEL


def rule_ids(found: list[Finding]) -> list[str]:
    return [finding.rule for finding in found]


def test_bytes_and_parsed_values_give_the_same_findings() -> None:
    request = {"model": MODEL, "input": []}
    assert check_request(json.dumps(request)) == check_request(request)
    response = {**samples.response(), "usage": None}
    for kind in (bytes, bytearray, memoryview):
        assert check_response(kind(json.dumps(response))) == check_response(response)


def test_a_stream_may_be_bytes_chunks_or_events() -> None:
    events = samples.text_stream()
    data = samples.service_frames(events)
    assert check_stream(data) == check_stream(iter([data])) == check_stream(iter(events)) == []
    assert rule_ids(check_stream([])) == ["SEQ-006"]
    assert rule_ids(check_stream(b"")) == ["SSE-006"]


def test_a_profile_is_given_by_name_or_value() -> None:
    assert check_response(samples.response(), load_profile()) == []
    assert check_response(samples.response(), DEFAULT_PROFILE) == []
    with pytest.raises(UnknownProfile):
        check_response({}, "nothing")


@pytest.mark.parametrize("check", [check_request, check_response, check_error])
@pytest.mark.parametrize("body", [b"", b"<html>", b"{", b'{"a": "\\ud800"}', b"\xff"])
def test_a_body_that_is_not_json(check: Any, body: bytes) -> None:
    assert rule_ids(check(body)) == ["SCH-006"]


@pytest.mark.parametrize("body", [None, [], "x", 1, {}, {"output": 3, "usage": [], "status": []}])
def test_any_value_can_be_checked(body: Any) -> None:
    for check in (check_request, check_response, check_error):
        assert check(body)
        assert check(json.dumps(body))


def test_a_response_is_checked_against_its_request() -> None:
    request: dict[str, Any] = {"model": MODEL, "input": "x"}
    response = samples.response()
    assert check_response(response, request=request) == []
    assert check_response(response, request=json.dumps(request)) == []
    assert rule_ids(check_response(response, request={**request, "stream": True})) == ["SSE-006"]
    assert rule_ids(check_response(response, request={**request, "model": "x"})) == ["REQ-008"]
    events = samples.tools_stream()
    assert rule_ids(check_stream(events, request=request)) == ["SSE-006", "REQ-009", "REQ-009", "REQ-009"]
    request |= {"stream": True, "tools": [{"type": tool} for tool in load_profile().tools]}
    assert check_stream(events, request=request) == []


def test_a_trimmed_sample_is_checked_for_what_it_shows() -> None:
    events = [event for place, event in enumerate(samples.text_stream()) if place not in (1, 5, 8)]
    del events[1]["item"]["id"]
    assert check_stream(events, trimmed=True) == []
    events[2]["part"]["text"] = 3
    events[-1]["response"]["usage"]["total_tokens"] = 1
    assert rule_ids(check_stream(events, trimmed=True)) == ["SCH-001", "ITM-014", "USE-001"]


def test_trimming_only_excuses_missing_parts() -> None:
    assert load_rules().keys() >= RULES_SKIPPED_WHEN_TRIMMED
    assert not RULES_SKIPPED_WHEN_TRIMMED & {
        "SCH-001",
        "SEQ-001",
        "SEQ-003",
        "SEQ-007",
        "ITM-003",
        "ITM-006",
        "USE-001",
    }


def test_error_bodies() -> None:
    flat = {"request_id": "r", "code": "InvalidParameter", "message": "no"}
    assert check_error(flat, status=400) == []
    assert check_error({"error": {"message": "no", "type": "x", "param": None}}, status=401) == []
    failed = samples.snapshot("failed", error={"code": "server_error", "message": "limit"})
    assert check_error(failed, status=200) == []
    assert rule_ids(check_error(failed, status=429)) == ["SCH-001"]
    assert rule_ids(check_error(samples.response())) == ["SCH-001"]
    assert rule_ids(check_error({"error": "no"})) == ["SCH-001"]


def test_output_of_a_response_without_its_request() -> None:
    first = samples.response(samples.function_stream())
    again = {**first, "output": [first["output"][0], first["output"][0]]}
    assert rule_ids(check_response(again)) == ["ITM-006", "ITM-007"]
    item = {**samples.response()["output"][0], "status": "incomplete"}
    assert rule_ids(check_response({**samples.response(), "output": [item]})) == ["ITM-018"]
    running = {**item, "status": "in_progress"}
    assert rule_ids(check_response({**samples.response(), "output": [running]})) == ["ITM-009"]
    arguments = {**first["output"][0], "arguments": "[]"}
    assert rule_ids(check_response({**first, "output": [arguments]})) == ["TXT-005"]


def test_the_examples_in_the_docstrings_hold() -> None:
    results = doctest.testmod(check_module)
    assert (results.failed, results.attempted > 0) == (0, True)
