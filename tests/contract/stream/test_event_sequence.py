"""The check of event sequences reports what is broken, nothing else, and never raises."""

from __future__ import annotations

import copy
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mockserver.contract.check import check_stream
from mockserver.contract.findings import Finding, Severity, errors
from mockserver.contract.stream.event_sequence import EventSequenceChecker
from mockserver.profiles import load_profile
from mockserver.wire import json, sse
from tests.contract import samples
from tests.contract.samples import Event

PROFILE = load_profile()


def rule_ids(found: list[Finding]) -> list[str]:
    return [finding.rule for finding in found]


def edited(at: int, **members: Any) -> list[Event]:
    events = samples.text_stream()
    events[at].update(members)
    return events


# Defects that SDKs and other suites let through, and the rule that reports each.
DEFECTS = {
    "duplicate numbers": ("SEQ-003", edited(4, sequence_number=3)),
    "reversed order": ("SEQ-004", samples.renumber(samples.text_stream()[::-1])),
    "no terminal event": ("SEQ-006", samples.text_stream()[:-1]),
    "done is not the deltas": ("TXT-001", edited(7, text="another text")),
    "an index that was not opened": ("ITM-002", edited(4, output_index=7)),
    "wrong event field": (
        "SSE-001",
        samples.service_frames(samples.text_stream()).replace(b"event:response.completed", b"event:done"),
    ),
    "zero events": ("SSE-006", b""),
    "JSON where a stream was asked for": ("SSE-006", json.dumps(samples.response())),
    "a cut stream": ("SSE-003", samples.service_frames(samples.text_stream())[:-20]),
    "a null delta": ("SCH-001", edited(4, delta=None)),
    "data that is not JSON": (
        "SSE-002",
        samples.service_frames(samples.text_stream()[:5]) + b"data: oops\n\n",
    ),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_known_defects_are_found(defect: str) -> None:
    rule, source = DEFECTS[defect]
    assert rule in rule_ids(errors(check_stream(source)))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)

MEMBERS = sorted({name for event in samples.tools_stream() for name in event} | {"code", "error"})
VALUES = st.sampled_from(
    [value for event in samples.tools_stream() + samples.function_stream() for value in event.values()]
).map(copy.deepcopy)


@pytest.mark.parametrize("strange", [[], {}, None, 7, True])
@pytest.mark.parametrize("member", ["type", "id", "status", "call_id", "name"])
def test_an_item_with_strange_members_is_checked(member: str, strange: Any) -> None:
    for stream in (samples.tools_stream(), samples.function_stream()):
        for event in stream:
            if "item" in event:
                event["item"][member] = strange
        assert errors(check_stream(stream))


@given(st.lists(JSON | st.dictionaries(st.sampled_from(MEMBERS), JSON | VALUES, max_size=8), max_size=12))
@settings(max_examples=150, deadline=None)
def test_check_stream_never_raises_on_values(values: list[Any]) -> None:
    found = check_stream(values)
    assert all(str(finding) for finding in found)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_check_stream_never_raises_on_an_edited_stream(data: st.DataObject) -> None:
    make = data.draw(st.sampled_from([samples.tools_stream, samples.function_stream, samples.text_stream]))
    events = make()
    for _ in range(data.draw(st.integers(1, 3))):
        target: Any = data.draw(st.sampled_from(events))
        while target:
            keys = list(target) if isinstance(target, dict) else list(range(len(target)))
            key = data.draw(st.sampled_from(keys))
            if not isinstance(target[key], dict | list) or data.draw(st.booleans()):
                target[key] = data.draw(JSON | VALUES)
                break
            target = target[key]
        # An empty value cannot be changed.
    check_stream(events)


@given(st.permutations(range(11)))
@settings(deadline=None)
def test_any_other_order_is_an_error(order: list[int]) -> None:
    """Only the deltas look alike; these have three different texts."""
    events = samples.text_stream()
    found = check_stream(samples.renumber([events[place] for place in order]))
    assert bool(found) == (order != list(range(11)))


def test_findings_come_with_their_event() -> None:
    checker = EventSequenceChecker(PROFILE)
    found = [checker.feed(event) for event in edited(4, delta="x")]
    assert [len(each) for each in found] == [0] * 7 + [1] + [0] * 3
    [finding] = found[7]
    assert (finding.rule, finding.event, finding.pointer) == ("TXT-001", 7, "/text")
    assert (finding.expected, finding.got) == ("x word1 word2", " word0 word1 word2")
    assert checker.finish() == []


def test_the_terminal_response_is_kept() -> None:
    checker = EventSequenceChecker(PROFILE)
    for event in samples.text_stream():
        checker.feed(event)
    assert checker.final_response is not None
    assert checker.final_response["usage"]["total_tokens"] == 203


def test_an_untyped_payload_alone_is_tolerated() -> None:
    payload = {"code": "InvalidParameter", "message": "Unsupported model: 'x'.", "request_id": "r"}
    for error in (payload, {"error": {"message": "no", "type": "x"}}):
        [finding] = check_stream([error])
        assert (finding.rule, finding.severity) == ("SEQ-014", Severity.INFO)
    assert rule_ids(check_stream([payload, payload])) == ["SEQ-014", "SEQ-007"]
    assert rule_ids(check_stream([{"code": 1}])) == ["SCH-002", "SCH-002", "SCH-001", "SEQ-014"]


def test_a_stream_may_fail_midway() -> None:
    failed = {"type": "response.failed", "response": samples.failed_stream()[0]["response"]}
    assert check_stream(samples.renumber([*samples.text_stream()[:6], failed])) == []


def test_unknown_types_and_members_are_not_errors() -> None:
    events = samples.text_stream()
    note = {"type": "custom:note", "id": "msg_9", "status": "completed"}
    opened = {**note, "status": "in_progress"}
    events[2:2] = [
        {"type": "response.output_item.added", "output_index": 0, "item": opened},
        {"type": "custom:note.progress", "output_index": 0, "item_id": "msg_9"},
        {"type": "response.output_item.done", "output_index": 0, "item": note},
    ]
    for event in events[5:-1]:
        event["output_index"] = 1
    events[-1]["response"]["output"].insert(0, note)
    found = check_stream(samples.renumber(events))
    assert not errors(found)
    assert set(rule_ids(found)) == {"SCH-005", "SEQ-012"}


def test_events_of_a_later_profile_are_infos() -> None:
    events = samples.text_stream()
    events[-1]["type"] = "response.incomplete"
    events[-1]["response"].update(status="incomplete", incomplete_details={"reason": "max_output_tokens"})
    found = check_stream(events)
    assert rule_ids(found) == ["SCH-004"]
    assert found[0].severity is Severity.INFO


def test_a_code_interpreter_event_may_lack_its_index() -> None:
    events = samples.tools_stream()
    for event in events:
        if event["type"].startswith("response.code_interpreter_call."):
            event["output_index"] = None
    assert check_stream(events) == []


def test_complete_arguments_need_no_events() -> None:
    events = samples.function_stream()
    whole = {**events[6]["item"], "status": "in_progress"}
    kept = [{**events[2], "item": whole}, *events[6:]]
    assert check_stream(samples.renumber([*events[:2], *kept])) == []


def test_arguments_are_not_sent_twice() -> None:
    events = samples.function_stream()
    events[2]["item"]["arguments"] = events[6]["item"]["arguments"]
    assert rule_ids(check_stream(events)) == ["ITM-011"]


def test_an_unreadable_event_does_not_count_against_the_text() -> None:
    frames = [samples.service_frames([event]) for event in samples.text_stream()]
    frames[5] = sse.encode("{", event="response.output_text.delta")
    assert rule_ids(check_stream(frames)) == ["SSE-002"]


def test_checking_time_is_linear_in_the_events() -> None:
    def seconds(deltas: int) -> float:
        events = samples.text_stream(deltas)
        best = 1e9
        for _ in range(3):
            start = time.perf_counter()
            assert check_stream(events) == []
            best = min(best, time.perf_counter() - start)
        return best

    assert seconds(40_000) < 30 * seconds(4_000)


@pytest.mark.parametrize("lost", [[], None, 7])
@pytest.mark.parametrize(
    ("make", "at"), [(samples.thinking_stream, 3), (samples.function_stream, 3), (samples.text_stream, 4)]
)
def test_a_value_that_is_not_an_event_brings_one_error(make: Any, at: int, lost: Any) -> None:
    """The first delta too: what its text then lacks is already reported."""
    events = make()
    events[at] = lost
    assert rule_ids(errors(check_stream(events))) == ["SSE-002"]


def test_an_unreadable_first_delta_brings_one_error() -> None:
    whole = samples.service_frames(samples.thinking_stream())
    broken = whole.replace(b'data:{"type":"response.reasoning_summary_text.delta"', b"data:{", 1)
    assert rule_ids(errors(check_stream(broken))) == ["SSE-002"]


def failing_stream() -> list[Event]:
    events = samples.text_stream()
    failed = {**events[-1]["response"], "status": "failed", "error": {"code": "c", "message": "m"}}
    return [*events[:-1], {**events[-1], "type": "response.failed", "response": failed}]


@pytest.mark.parametrize(("name", "value", "rule"), [("id", "msg_9", "ITM-010"), ("status", None, "ITM-010")])
def test_a_failed_response_repeats_the_done_items(name: str, value: Any, rule: str) -> None:
    events = failing_stream()
    assert check_stream(events) == []
    events[-1]["response"]["output"][0][name] = value
    assert rule in rule_ids(check_stream(events))


def test_a_failed_response_may_omit_done_items() -> None:
    events = failing_stream()
    events[-1]["response"]["output"] = []
    assert check_stream(events) == []


def test_the_name_of_a_call_does_not_change() -> None:
    events = samples.function_stream()
    done = next(event for event in events if event["type"] == "response.function_call_arguments.done")
    done["name"] = "get_weather"
    assert check_stream(events) == []
    done["name"] = "delete_everything"
    assert rule_ids(check_stream(events)) == ["ITM-005"]
