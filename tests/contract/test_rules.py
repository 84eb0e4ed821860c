"""Each rule: a good example brings nothing, a broken one brings this rule and no other error."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from mockserver.contract.check import check_error, check_request, check_response, check_stream
from mockserver.contract.findings import Finding, Severity, errors
from mockserver.contract.rules import Report, load_rules
from mockserver.wire import json, sse
from tests.contract import samples
from tests.contract.samples import MODEL, Event

Events = list[Event]

RULES = load_rules()
FAMILIES = ("SSE", "SEQ", "ITM", "TXT", "USE", "SCH", "REQ")

ASKED = {"model": MODEL, "input": "x", "stream": True}


def changed(make: Callable[[], Events], at: int, path: str, value: Any) -> Events:
    """A stream with one value changed: in event `at`, at the slashed path."""
    events = make()
    *parents, last = path.split("/")
    target: Any = events[at]
    for step in parents:
        target = target[int(step)] if isinstance(target, list) else target[step]
    target[int(last) if isinstance(target, list) else last] = value
    return events


def all_changed(make: Callable[[], Events], *changes: tuple[int, str, Any]) -> list[Finding]:
    """Findings on a stream with several values changed: a break that everything after it agrees with."""
    events = make()
    for at, path, value in changes:
        changed(lambda: events, at, path, value)
    return check_stream(events)


def text(at: int, path: str, value: Any) -> list[Finding]:
    return check_stream(changed(samples.text_stream, at, path, value))


def thought(at: int, path: str, value: Any) -> list[Finding]:
    return check_stream(changed(samples.thinking_stream, at, path, value))


def function(at: int, path: str, value: Any) -> list[Finding]:
    return check_stream(changed(samples.function_stream, at, path, value))


def tools(at: int, path: str, value: Any) -> list[Finding]:
    return check_stream(changed(samples.tools_stream, at, path, value))


def without(make: Callable[[], Events], *places: int, renumber: bool = True) -> list[Finding]:
    events = [event for place, event in enumerate(make()) if place not in places]
    return check_stream(samples.numbered(events) if renumber else events)


def inserted(make: Callable[[], Events], at: int, event: Event) -> list[Finding]:
    events = make()
    return check_stream(samples.numbered([*events[:at], event, *events[at:]]))


def body(path: str, value: Any, *, stream: Callable[[], Events] = samples.text_stream) -> list[Finding]:
    [response] = changed(lambda: [samples.response(stream())], 0, path, value)
    return check_response(response)


def replaced(make: Callable[[], Events], old: bytes, new: bytes) -> list[Finding]:
    return check_stream(json.loads(json.dumps(make()).replace(old, new)))


def framed(old: bytes = b"", new: bytes = b"") -> list[Finding]:
    return check_stream(samples.framed(samples.text_stream()).replace(old, new, 1))


def request(**members: Any) -> list[Finding]:
    return check_request({"model": MODEL, "input": "x", **members})


DELTA = samples.text_stream()[4]
PAYLOAD = {"code": "InternalError", "message": "", "request_id": ""}


def second_message(item_id: str) -> list[Finding]:
    """The text stream with its message a second time, at index 1."""
    events = samples.text_stream()
    again = json.loads(json.dumps(events[2:10]).replace(b"msg_0", item_id.encode()))
    for event in again:
        event["output_index"] = 1
    last = events[10]
    last["response"]["output"].append(again[-1]["item"])
    return check_stream(samples.numbered([*events[:10], *again, last]))


def interleaved() -> list[Finding]:
    """A second item is added before the first is done."""
    events = samples.thinking_stream()
    return check_stream(samples.numbered([*events[:6], events[7], events[6], *events[8:]]))


def incomplete_first() -> list[Finding]:
    events = changed(samples.function_stream, 6, "item/status", "incomplete")
    events[-1]["response"]["output"][0]["status"] = "incomplete"
    return check_stream(events)


def misfit() -> list[Finding]:
    """A delta of a thought for a message."""
    event = {**DELTA, "type": "response.reasoning_summary_text.delta", "summary_index": 0}
    return inserted(
        samples.text_stream, 5, {k: event[k] for k in event if k not in ("content_index", "logprobs")}
    )


def other_call_id() -> list[Finding]:
    final = "response/output/0/call_id"
    return all_changed(samples.function_stream, (6, "item/call_id", "call_9"), (12, final, "call_9"))


ITEM_TEXT, FINAL_TEXT = (9, "item/content/0/text", "x"), (10, "response/output/0/content/0/text", "x")


def other_part() -> list[Finding]:
    return all_changed(samples.text_stream, (8, "part/text", "x"), ITEM_TEXT, FINAL_TEXT)


def other_item() -> list[Finding]:
    return all_changed(samples.text_stream, ITEM_TEXT, FINAL_TEXT)


BROKEN: Mapping[str, Callable[[], list[Finding]]] = {
    "SSE-001": lambda: framed(b"event:response.output_text.delta", b"event:response.output_text.done"),
    "SSE-002": lambda: framed(b'data:{"type":"response.output_text.delta"', b"data:{"),
    "SSE-003": lambda: check_stream(samples.framed(samples.text_stream()) + b"data:{"),
    "SSE-004": lambda: check_stream(b"data:" + b"x" * (1 << 21)),
    "SSE-005": lambda: framed(b"id:3", b"event:ping\n\nid:3"),
    "SSE-006": lambda: check_stream(b'{"object":"response"}'),
    "SSE-007": lambda: framed(b"id:1\n", b"\xef\xbb\xbfid:1\n"),
    "SSE-008": lambda: framed(b"id:3\n", b"id:x\n"),
    "SSE-009": lambda: framed(b":HTTP_STATUS/200", b":\xff"),
    "SSE-010": lambda: check_stream(samples.framed(samples.text_stream()) + sse.encode("[DONE]")),
    "SSE-011": lambda: framed(b"event:response.created\n"),
    "SEQ-001": lambda: text(4, "sequence_number", 4.0),
    "SEQ-002": lambda: check_stream(samples.numbered(samples.text_stream(), 1)),
    "SEQ-003": lambda: text(4, "sequence_number", 3),
    "SEQ-004": lambda: without(samples.text_stream, 0),
    "SEQ-005": lambda: inserted(samples.text_stream, 5, samples.text_stream()[0]),
    "SEQ-006": lambda: without(samples.text_stream, 10),
    "SEQ-007": lambda: inserted(samples.text_stream, 11, DELTA),
    "SEQ-008": lambda: without(samples.text_stream, 1),
    "SEQ-009": lambda: text(0, "response/status", "in_progress"),
    "SEQ-010": lambda: text(10, "response/id", "another"),
    "SEQ-011": lambda: text(10, "response/created_at", 1),
    "SEQ-012": lambda: inserted(samples.text_stream, 5, {"type": "response.output_text.annotation.added"}),
    "SEQ-013": lambda: text(10, "sequence_number", 12),
    "SEQ-014": lambda: check_stream(samples.failed_stream()),
    "SEQ-015": lambda: check_stream([*samples.text_stream()[:4], PAYLOAD]),
    "SEQ-016": lambda: text(1, "response/usage", samples.USAGE),
    "SEQ-017": lambda: text(10, "response/tool_choice", "none"),
    "ITM-001": lambda: replaced(samples.text_stream, b'output_index":0', b'output_index":1'),
    "ITM-002": lambda: without(samples.text_stream, 2),
    "ITM-003": lambda: text(4, "item_id", "msg_9"),
    "ITM-004": misfit,
    "ITM-005": other_call_id,
    "ITM-006": lambda: second_message("msg_0"),
    "ITM-007": lambda: replaced(samples.function_stream, b"call_1", b"call_0"),
    "ITM-008": lambda: without(samples.text_stream, 9),
    "ITM-009": lambda: text(2, "item/status", "completed"),
    "ITM-010": lambda: text(10, "response/output/0/id", "msg_9"),
    "ITM-011": lambda: thought(2, "item/summary", [{"type": "summary_text", "text": "x"}]),
    "ITM-012": lambda: text(3, "content_index", 1),
    "ITM-013": lambda: without(samples.text_stream, 8),
    "ITM-014": lambda: text(3, "part/text", "x"),
    "ITM-015": lambda: without(samples.tools_stream, 8),
    "ITM-016": lambda: inserted(samples.text_stream, 10, DELTA),
    "ITM-017": lambda: inserted(samples.text_stream, 8, DELTA),
    "ITM-018": incomplete_first,
    "ITM-019": interleaved,
    "ITM-020": lambda: text(10, "response/output", []),
    "TXT-001": lambda: text(4, "delta", "x"),
    "TXT-002": other_part,
    "TXT-003": other_item,
    "TXT-004": lambda: function(3, "delta", "x"),
    "TXT-005": lambda: replaced(samples.function_stream, rb"Paris\"}", rb"Paris\"]"),
    "TXT-006": lambda: text(10, "response/output/0/content/0/text", "x"),
    "USE-001": lambda: body("usage/total_tokens", 204),
    "USE-002": lambda: body("usage/output_tokens_details/reasoning_tokens", 167),
    "USE-003": lambda: body("usage/input_tokens_details/cached_tokens", 38),
    "USE-004": lambda: body("usage", None),
    "USE-005": lambda: body("usage/input_tokens_details/cached_tokens", -1),
    "USE-006": lambda: body("usage/x_tools/web_search/count", 2, stream=samples.tools_stream),
    "SCH-001": lambda: text(4, "delta", None),
    "SCH-002": lambda: text(3, "part", {"type": "output_text", "text": ""}),
    "SCH-003": lambda: text(4, "obfuscation", "x"),
    "SCH-004": lambda: body("temperature", 1.0),
    "SCH-005": lambda: body("output/0", {"type": "custom:note", "id": "msg_0"}),
    "SCH-006": lambda: check_response(b'{"id": NaN}'),
    "SCH-007": lambda: check_error(b'{"code":"x","request_id":"x","message":"x","code":"y"}'),
    "REQ-001": lambda: request(input=[]),
    "REQ-002": lambda: request(store=False),
    "REQ-003": lambda: request(tools=[{"type": "web_extractor"}], enable_thinking=True),
    "REQ-004": lambda: request(tools=[{"type": "code_interpreter"}]),
    "REQ-005": lambda: request(model="gpt"),
    "REQ-006": lambda: request(tools=[{"type": "namespace"}]),
    "REQ-007": lambda: request(input=[{"type": "function_call_output", "call_id": "c", "output": "x"}]),
    "REQ-008": lambda: check_response(samples.response(), request={**ASKED, "model": "x", "stream": False}),
    "REQ-009": lambda: check_stream(samples.function_stream(), request=ASKED),
}


@pytest.mark.parametrize("rule", RULES)
def test_a_broken_example_brings_its_rule_and_no_other_error(rule: str) -> None:
    found = BROKEN[rule]()
    assert rule in {finding.rule for finding in found}
    assert {finding.rule for finding in errors(found)} <= {rule}
    for finding in found:
        assert finding.severity is RULES[finding.rule].severity
        assert finding.rule in str(finding)


@pytest.mark.parametrize(
    "make", [samples.text_stream, samples.thinking_stream, samples.function_stream, samples.tools_stream]
)
def test_a_good_example_brings_nothing(make: Callable[[], Events]) -> None:
    assert check_stream(make()) == []
    assert check_stream(samples.framed(make())) == []
    assert check_stream(samples.plainly_framed(make())) == []
    assert check_response(samples.response(make())) == []


def test_the_rules_are_told_in_full() -> None:
    assert set(BROKEN) == set(RULES)
    for rule in RULES.values():
        assert re.fullmatch(rf"({'|'.join(FAMILIES)})-\d{{3}}", rule.id)
        assert rule.title
        assert rule.statement.endswith(".")
        assert rule.reason.endswith(".")
        assert rule.source
        assert rule.profiles
    order = [(FAMILIES.index(rule[:3]), rule) for rule in RULES]
    assert order == sorted(order)


def test_a_rule_of_another_profile_is_silent() -> None:
    assert RULES["SEQ-008"].profiles == ("qwen-*",)
    report = Report("openai")
    report.say("SEQ-008", "", "x")
    report.say("SEQ-007", "", "x")
    assert [(each.rule, each.severity) for each in report.found] == [("SEQ-007", Severity.ERROR)]
