"""The profile `openai`: the rules that any server of the Responses API keeps."""

from __future__ import annotations

import copy
import re
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from mockserver import resources
from mockserver.contract.check import check_error, check_request, check_response, check_stream
from mockserver.contract.files import check_file
from mockserver.contract.findings import Finding, Severity, errors
from mockserver.contract.schema.registry import load_schemas
from mockserver.errors import ConfigurationError
from mockserver.profiles import DEFAULT_PROFILE, load_profile
from mockserver.replies import mutants
from mockserver.replies.renderings import load_rendering
from mockserver.wire import json, sse
from tests.contract import openai_samples, samples
from tests.contract.openai_samples import STREAMS, Event

NAME = "openai"
ENVIRONMENTS = Path(__file__).parent.parent.parent / ".environments"
SCHEMAS = {name: json.loads(data) for name, data in resources.json_files("schemas", NAME)}


def rule_ids(found: list[Finding]) -> list[str]:
    return [finding.rule for finding in found]


def frames(events: list[Event], end: bytes = b"") -> bytes:
    return b"".join(sse.encode(json.dumps(event), event=event["type"]) for event in events) + end


@pytest.mark.parametrize("name", STREAMS)
def test_a_valid_stream_has_no_errors(name: str) -> None:
    events = STREAMS[name]
    found = check_stream(events, NAME)
    assert errors(found) == []
    assert {each.severity for each in found} <= {Severity.INFO}
    for end in (b"", sse.encode("[DONE]")):
        assert check_stream(frames(events, end), NAME) == found


@pytest.mark.parametrize("name", STREAMS)
def test_a_valid_stream_is_detected(name: str) -> None:
    verdict = check_file(frames(STREAMS[name]))
    assert verdict.profile == NAME
    assert errors(verdict.findings) == []


@pytest.mark.parametrize("name", STREAMS)
def test_the_final_response_has_no_errors(name: str) -> None:
    assert errors(check_response(STREAMS[name][-1]["response"], NAME)) == []


@pytest.mark.acceptance
def test_the_streams_validate_with_the_sdk() -> None:
    python = ENVIRONMENTS / "openai-newest" / "bin" / "python"
    if not python.exists():
        pytest.skip("there is no .environments/openai-newest: `make environments` builds it")
    lines = b"\n".join(json.dumps(event) for events in STREAMS.values() for event in events)
    ran = subprocess.run([python, "-c", VALIDATE_WITH_SDK], input=lines, capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr.decode()[-2000:]


VALIDATE_WITH_SDK = """
import json, sys, typing
from openai.types import responses
known = {}
for each in typing.get_args(typing.get_args(responses.ResponseStreamEvent)[0]):
    for name in typing.get_args(each.model_fields["type"].annotation):
        known[name] = each
for line in sys.stdin:
    event = json.loads(line)
    known[event["type"]].model_validate(event)
"""

MOVES = ("dropped", "doubled", "swapped")


@pytest.mark.parametrize("name", sorted(set(STREAMS) - {"failed", "no output"}))
@pytest.mark.parametrize("move", MOVES)
def test_every_change_of_the_event_order_is_found(name: str, move: str) -> None:
    """Drop, double or swap every event, with correct numbers."""
    whole = STREAMS[name]
    silent = []
    for at in range(len(whole) - 1):
        events = copy.deepcopy(whole)
        if move == "dropped":
            del events[at]
        elif move == "doubled":
            events.insert(at, events[at])
        else:
            events[at], events[at + 1] = events[at + 1], events[at]
        if not errors(check_stream(openai_samples.renumber(events), NAME)):
            silent.append((whole[at]["type"], whole[at + 1]["type"] if move == "swapped" else ""))
    assert [
        pair
        for pair in silent
        if not any(map(UNORDERED_EVENTS.fullmatch, pair)) and pair != INTERLEAVED_EVENTS
    ] == []


# Events whose place and number no common rule fixes: progress, and additions to a text.
UNORDERED_EVENTS = re.compile(
    r"response\.(in_progress|queued|output_text\.annotation\.added"
    r"|(code_interpreter|file_search|web_search|image_generation|mcp)_call\.\w+)"
)

# Several items may be open at once.
INTERLEAVED_EVENTS = ("response.output_item.done", "response.output_item.added")


@pytest.mark.parametrize(
    ("name", "at", "path", "rule"),
    [
        ("thought and answer", 4, "delta", "TXT-001"),
        ("thought and answer", 6, "text", "TXT-001"),
        ("thought and answer", 7, "part/text", "TXT-002"),
        ("thought and answer", 3, "part/text", "ITM-014"),
        ("thought and answer", 8, "summary_index", "ITM-012"),
        ("thought and answer", 12, "item/summary/0/text", "TXT-003"),
        ("thought in clear", 3, "delta", "TXT-001"),
        ("thought in clear", 6, "item/content/0/text", "TXT-003"),
        ("thought in clear, in parts", 3, "part/text", "ITM-014"),
        ("thought in clear, in parts", 7, "part/text", "TXT-002"),
        ("refusal", 4, "delta", "TXT-001"),
        ("refusal", 6, "refusal", "TXT-001"),
        ("refusal", 7, "part/refusal", "TXT-002"),
        ("refusal", 8, "item/content/0/refusal", "TXT-003"),
        ("custom tool", 3, "delta", "TXT-004"),
        ("custom tool", 6, "item/input", "TXT-004"),
        ("remote tool", 6, "arguments", "TXT-004"),
        ("remote tool", 8, "item/arguments", "TXT-004"),
        ("code interpreter", 4, "delta", "TXT-004"),
        ("code interpreter", 6, "code", "TXT-004"),
        ("code interpreter", 9, "item/code", "TXT-004"),
        ("functions", 4, "delta", "TXT-004"),
        ("functions", 6, "item/call_id", "ITM-005"),
        ("text", 0, "response/status", "SEQ-009"),
        ("text", 10, "response/id", "SEQ-010"),
        ("in the background", 1, "response/status", "SEQ-009"),
    ],
)
def test_streamed_values_are_compared(name: str, at: int, path: str, rule: str) -> None:
    events = copy.deepcopy(STREAMS[name])
    *parents, last = path.split("/")
    target: Any = events[at]
    for step in parents:
        target = target[int(step)] if isinstance(target, list) else target[step]
    target[last] = 7 if last == "summary_index" else "completed" if path == "response/status" else "other"
    if name == "in the background":
        target[last] = "in_progress"
    assert rule in rule_ids(errors(check_stream(events, NAME)))


def test_encrypted_content_may_change() -> None:
    events = copy.deepcopy(STREAMS["thought and answer"])
    final = events[-1]["response"]["output"][0]
    final["fingerprint"] = "x"
    final["encrypted_content"] = "another"
    assert errors(check_stream(events, NAME)) == []
    final["summary"][0]["text"] = "another"
    assert rule_ids(errors(check_stream(events, NAME))) == ["TXT-006"]
    final["summary"][0]["text"] = events[12]["item"]["summary"][0]["text"]
    final["id"] = "another"
    assert rule_ids(errors(check_stream(events, NAME))) == ["ITM-010"]


def test_unknown_events_and_members_are_infos() -> None:
    events = copy.deepcopy(STREAMS["text"])
    item = {"type": "apply_patch_call", "id": "apc_1", "status": "completed"}
    events[-1:-1] = [
        openai_samples.added(1, {**item, "status": "in_progress"}),
        {"type": "response.apply_patch_call_operation_diff.delta", "item_id": "apc_1", "output_index": 1},
        {"type": "keepalive"},
        openai_samples.done(1, item),
    ]
    events[-1]["response"]["output"].append(item)
    events[-1]["response"]["vendor"] = {"x": 1}
    found = check_stream(openai_samples.renumber(events), NAME)
    assert {each.severity for each in found} == {Severity.INFO}
    assert {"SEQ-012", "SCH-003", "SCH-005"} == set(rule_ids(found))


def test_a_stream_may_end_with_an_error_event() -> None:
    events = openai_samples.failed()
    assert errors(check_stream(events[:-1], NAME)) == []
    nested = {"type": "error", "sequence_number": 2, "error": {"type": "tokens", "message": "limit"}}
    assert errors(check_stream([*events[:2], nested], NAME)) == []
    assert rule_ids(errors(check_stream(events[:2], NAME))) == ["SEQ-006"]
    assert rule_ids(errors(check_stream(events[3:], NAME))) == ["SEQ-002"]


def test_valid_requests() -> None:
    for request in (
        {"model": "gpt-5.1", "input": "x", "temperature": 2, "store": False, "include": []},
        {"prompt": {"id": "pmpt_1"}},
        {"model": "any", "input": [{"role": "user", "content": "x"}], "tools": [{"type": "computer"}]},
        {"model": "any", "input": "x", "tools": [{"type": "code_interpreter"}]},
    ):
        found = check_request(request, NAME)
        assert {each.severity for each in found} <= {Severity.INFO}, found
    assert rule_ids(check_request({"model": 3, "input": "x"}, NAME)) == ["REQ-001"]


def test_conversation_excludes_previous_response_id() -> None:
    request = {"model": "gpt-5.1", "input": "x", "previous_response_id": "resp_1", "conversation": None}
    assert errors(check_request(request, NAME)) == []
    broken = mutants.break_rule("REQ-010", "request", request, profile=NAME)
    (found,) = check_request(broken, NAME)
    assert (found.rule, found.pointer) == ("REQ-010", "/conversation")
    assert found.message.endswith("only providing one of: previous_response_id or conversation.")
    with pytest.raises(ConfigurationError, match="it has no mutually exclusive parameters"):
        mutants.break_rule("REQ-010", "request", request, profile=DEFAULT_PROFILE)


def test_an_alias_may_be_answered_by_a_dated_model() -> None:
    request = {"model": "gpt-5.1", "input": "x", "stream": True}
    assert "REQ-008" not in rule_ids(check_stream(STREAMS["text"], NAME, request))


def test_a_request_is_detected_by_its_model() -> None:
    assert check_file(b'{"model": "gpt-5.1", "input": "x"}').profile == NAME
    assert check_file(b'{"model": "qwen3-max", "input": "x"}').profile != NAME


def test_a_signal_of_qwen_takes_precedence() -> None:
    """What may be the service's own never gets the milder profile."""
    events = copy.deepcopy(STREAMS["text"])
    events[-1]["response"]["usage"]["x_details"] = []
    assert check_file(json.dumps(events)).profile != NAME
    for broken in (samples.text_stream()[1:], samples.text_stream()[:-1]):
        assert check_file(json.dumps(broken)).profile != NAME
    # A single delta has no mark of any service.
    assert check_file(json.dumps([samples.text_stream()[4]])).profile == NAME


def test_error_bodies() -> None:
    assert check_error({"error": {"message": "no", "type": "x", "param": None, "code": None}}, NAME) == []
    assert rule_ids(check_error({"error": {"type": "x"}}, NAME)) == ["SCH-002"]


def test_a_call_may_be_of_any_tool_that_leaves_its_item() -> None:
    events = STREAMS["web search"]
    request = {"model": openai_samples.MODEL, "input": "x", "stream": True}
    for kind in ("web_search", "web_search_preview"):
        assert errors(check_stream(events, NAME, {**request, "tools": [{"type": kind}]})) == []
        found = check_stream(events, NAME, {**request, "tools": [{"type": kind}]})
        assert "REQ-009" not in rule_ids(found)
    assert "REQ-009" in rule_ids(check_stream(events, NAME, request))


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_openai_schema_names_its_source(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[name])
    assert SCHEMAS[name]["title"]
    for member, about in SCHEMAS[name].get("properties", {}).items():
        assert re.search(r"Source: (types of openai-python|Open Responses|guide)", about["description"]), (
            member
        )
    for closed in (False, True):
        jsonschema.Draft202012Validator.check_schema(load_schemas(NAME).document(name, closed))


def test_the_profile_cannot_be_served() -> None:
    assert load_profile(NAME).models == ()
    with pytest.raises(
        ConfigurationError,
        match="the profile openai is for checks only and cannot be served; choose one of: openresponses-2026-04, qwen",
    ):
        load_rendering(NAME, "wire")
