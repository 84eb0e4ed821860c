"""Runs of deltas are checked like any other events, however much of their decoding is saved."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockserver.contract.check import check_stream
from mockserver.contract.findings import Finding
from mockserver.contract.schema.registry import load_schemas
from mockserver.profiles import profile_names
from mockserver.wire.sse import MAX_EVENT_BYTES
from tests.contract import samples

FIRST_DELTA = 4
#: A delta in the middle of the run.
EDITED = 12
DELTAS = 30

_EDITS: dict[str, tuple[Callable[[bytes], bytes], list[str]]] = {
    "nothing": (lambda frame: frame, []),
    "wrong id": (lambda frame: frame.replace(b"id:13\n", b"id:14\n"), ["SSE-008"]),
    "id with a zero": (lambda frame: frame.replace(b"id:13\n", b"id:013\n"), ["SSE-008"]),
    "repeated number": (
        lambda frame: frame.replace(b"id:13\n", b"id:12\n").replace(b'number":12', b'number":11'),
        ["SEQ-003"],
    ),
    "number that is a fraction": (lambda frame: frame.replace(b'number":12', b'number":12.0'), ["SEQ-001"]),
    "number with a zero": (lambda frame: frame.replace(b'number":12', b'number":012'), ["SSE-002"]),
    "other event field": (lambda frame: frame.replace(b"event:response", b"event:reply"), ["SSE-001"]),
    "other item": (lambda frame: frame.replace(b"msg_0", b"msg_9"), ["ITM-003"]),
    "other text": (lambda frame: frame.replace(b"word8", b"words"), ["TXT-001"]),
    "escaped text": (lambda frame: frame.replace(b"word8", b'\\"\\\\\\n'), ["TXT-001"]),
    "escaped letter": (lambda frame: frame.replace(b"word8", b"\\u0077ord8"), []),
    "lone surrogate": (lambda frame: frame.replace(b"word8", b"\\ud800"), ["SSE-002"]),
    "bytes that are not UTF-8": (lambda frame: frame.replace(b"word8", b"word\xff"), ["SSE-009", "TXT-001"]),
    "duplicate member": (lambda frame: frame.replace(b"{", b'{"delta": "", '), ["SCH-007"]),
    "unknown member": (lambda frame: frame.replace(b"{", b'{"unknown": 1, '), ["SCH-003"]),
    "delta that is a number": (lambda frame: frame.replace(b'" word8"', b"8"), ["SCH-001"]),
    "bad status comment": (lambda frame: frame.replace(b"STATUS/200", b"STATUS/500"), ["SSE-015"]),
    "extra blank line": (lambda frame: frame + b"\n", ["SSE-005"]),
    "marker": (lambda frame: frame + b"data:[DONE]\n\n", ["SSE-012"]),
    "two events": (lambda frame: frame.removesuffix(b"\n"), ["SSE-002"]),
    "too large an event": (lambda frame: frame.replace(b"word8", b"8" * MAX_EVENT_BYTES), ["SSE-004"]),
    "carriage returns": (lambda frame: frame.replace(b"\n", b"\r\n"), []),
    "carriage return and comment": (lambda frame: frame.replace(b"\n", b"\r") + b":\n\n", ["SSE-005"]),
}


def _frames(*, first_delta_reversed: bool = False) -> list[bytes]:
    """The frames of a stream; if the members of the first delta are in another order, no other fits its pattern."""
    events = samples.text_stream(DELTAS)
    if first_delta_reversed:
        events[FIRST_DELTA] = dict(list(events[FIRST_DELTA].items())[::-1])
    return [samples.service_frames([event]) for event in events]


def _key(finding: Finding) -> tuple[Any, ...]:
    return (finding.rule, finding.severity, finding.pointer, finding.event)


@pytest.mark.parametrize("name", _EDITS)
@pytest.mark.parametrize("size", [7, 999, 1 << 22])
def test_an_edit_in_a_run_has_the_findings_it_has_among_differing_events(name: str, size: int) -> None:
    edit, rules = _EDITS[name]
    run, differing = _frames(), _frames(first_delta_reversed=True)
    for frames in (run, differing):
        frames[EDITED] = edit(frames[EDITED])
    data = b"".join(run)
    found = check_stream([data[at : at + size] for at in range(0, len(data), size)])
    assert [_key(each) for each in found] == [_key(each) for each in check_stream(b"".join(differing))]
    assert set(rules) <= {each.rule for each in found}
    assert bool(rules) == bool(found)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))), st.booleans())
def test_any_text_may_come_in_deltas(texts: list[str], is_ascii: bool) -> None:
    pieces = ["first", *texts]
    events = samples.text_stream(len(pieces))
    deltas = [event for event in events if "delta" in event]
    whole = json.dumps("".join(event["delta"] for event in deltas))
    for event, piece in zip(deltas, pieces, strict=True):
        event["delta"] = piece
    events = json.loads(json.dumps(events).replace(whole, json.dumps("".join(pieces))))
    data = b"".join(
        b"event:%b\ndata: %b\n\n"
        % (event["type"].encode(), json.dumps(event, ensure_ascii=is_ascii).encode())
        for event in events
    )
    assert check_stream(data) == []
    changed = data.replace(b'"text": "first', b'"text": "other', 1)
    assert next(each.rule for each in check_stream(changed)) == "TXT-001"


@pytest.mark.parametrize("profile", profile_names())
def test_any_string_is_a_valid_delta(profile: str) -> None:
    """That is why the deltas of a run need no validation."""
    schemas = load_schemas(profile)
    for kind in schemas.event_types:
        schema = schemas.schema(kind)
        if isinstance(delta := schema["properties"].get("delta"), dict) and delta.get("type") == "string":
            assert set(delta) <= {"type", "description"}
            assert set(schema) <= {"$schema", "title", "description", "type", "required", "properties"}
