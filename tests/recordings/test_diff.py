"""`mockserver diff`: every drift is reported as one change of the right kind, and nothing else is."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from mockserver import MockServer
from mockserver.exchanges import Exchange, parse_exchange
from mockserver.profiles import load_profile, profile_names
from mockserver.recordings.diff.changes import CHANGE_KINDS, Change, ChangeSeverity
from mockserver.recordings.diff.formats import changes_json, changes_text, reaches_severity
from mockserver.recordings.diff.profiles import profile_changes
from mockserver.recordings.diff.recordings import changes_in_pairs, pair_recordings
from mockserver.recordings.diff.verification_reports import report_changes
from mockserver.recordings.recording_folder import load_recordings
from mockserver.testing.strategies.framing import encode_events
from mockserver.wire import json, sse
from tests.programs import run_program
from tests.recordings.conftest import HELLO, MODEL, Record

ROOT = Path(__file__).parent.parent.parent
Object = dict[str, Any]

SEARCH = {"model": MODEL, "input": "What is new?", "tools": [{"type": "web_search"}], "enable_thinking": True}
TOOLS = [{"type": "function", "name": name} for name in ("look", "listen")]
BODIES: tuple[Object, ...] = (
    HELLO,
    {**HELLO, "stream": True},
    SEARCH,
    {**SEARCH, "stream": True},
    {**HELLO, "input": "Please look!", "tools": TOOLS},
    {**HELLO, "input": "Please look!", "tools": TOOLS, "stream": True},
    {**HELLO, "temperature": 9},
)


class EditableReply:
    """A reply that tests can change: a value or events, with status and headers."""

    def __init__(self, request: Object, status: int, body: bytes, content_type: str) -> None:
        self.request, self.status = request, status
        self.headers = {"content-type": content_type, "x-request-id": "1"}
        self.ended = "complete"
        self.edit_frames: Callable[[list[bytes]], list[bytes]] = lambda frames: frames
        self.events: list[Object] = []
        self.value: Any = None
        if content_type.startswith("text/event-stream"):
            frames = sse.Decoder().feed(body)
            self.events = [json.loads(frame.data.encode()) for frame in frames if frame.data is not None]
        else:
            self.value = json.loads(body)

    @property
    def streamed(self) -> bool:
        return self.value is None

    @property
    def responses(self) -> list[Object]:
        """Every response object of the reply."""
        if self.streamed:
            return [event["response"] for event in self.events if "response" in event]
        return [self.value] if self.status == 200 else []

    @property
    def items(self) -> list[Object]:
        """Every item, in events and in responses."""
        items = [event["item"] for event in self.events if "item" in event]
        return items + [item for response in self.responses for item in response["output"]]

    def exchange(self, number: int) -> Exchange:
        body = json.dumps(self.value)
        pieces = self.edit_frames(encode_events(self.events)) if self.streamed else [body]
        chunks = [{"at_ms": at, "text": piece.decode()} for at, piece in enumerate(pieces)]
        value = {
            "format": 1,
            "name": f"recording-{number}",
            "profile": "qwen-2026-01",
            "request": self.request,
            "match": {},
            "reply": {"http": {"status": self.status, "headers": self.headers, "chunks": chunks}},
            "recorded": {
                "at": "2026-11-25T12:00:00Z",
                "method": "POST",
                "path": "/responses",
                "end": self.ended,
            },
        }
        return parse_exchange(json.dumps(value), "x")


@cache
def _recorded_answers() -> tuple[tuple[int, bytes, str], ...]:
    with MockServer(seed=5) as server, server.httpx() as client:
        replies = [client.post("/responses", json=body) for body in BODIES]
    return tuple((each.status_code, each.content, each.headers["content-type"]) for each in replies)


def editable_replies() -> list[EditableReply]:
    return [
        EditableReply(copy.deepcopy(body), *reply)
        for body, reply in zip(BODIES, _recorded_answers(), strict=True)
    ]


def as_exchanges(replies: list[EditableReply]) -> list[Exchange]:
    return [each.exchange(number) for number, each in enumerate(replies)]


def numbered(events: list[Object]) -> list[Object]:
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


def on_responses(edit: Callable[[Object], object]) -> Callable[[EditableReply], None]:
    def run(reply: EditableReply) -> None:
        for each in reply.responses:
            edit(each)

    return run


def on_items(edit: Callable[[Object], object]) -> Callable[[EditableReply], None]:
    def run(reply: EditableReply) -> None:
        for each in reply.items:
            edit(each)

    return run


def on_events(edit: Callable[[list[Object]], list[Object]]) -> Callable[[EditableReply], None]:
    def change(reply: EditableReply) -> None:
        if reply.streamed:
            reply.events = numbered(edit(reply.events))

    return change


def on_frames(edit: Callable[[list[bytes]], list[bytes]]) -> Callable[[EditableReply], None]:
    return lambda reply: setattr(reply, "edit_frames", edit)


def on_errors(edit: Callable[[EditableReply], object]) -> Callable[[EditableReply], object]:
    return lambda reply: edit(reply) if reply.status >= 400 else None


def _change_status(reply: EditableReply) -> None:
    reply.status = 422


def _wrap_error(reply: EditableReply) -> None:
    value = reply.value
    inner = {"message": value["message"], "type": "InvalidParameter", "param": None, "code": value["code"]}
    reply.value = {"error": inner, "request_id": value["request_id"]}


def _only_streams(change: Callable[[EditableReply], object]) -> Callable[[EditableReply], object]:
    return lambda reply: change(reply) if reply.streamed else None


def _json_for_stream(reply: EditableReply) -> None:
    reply.value, reply.events = reply.responses[-1], []


def _swap_done_events(events: list[Object]) -> list[Object]:
    kinds = [event["type"] for event in events]
    for at in [at for at, kind in enumerate(kinds) if kind == "response.output_text.done"]:
        events[at], events[at + 1] = events[at + 1], events[at]
    return events


def _add_heartbeat(events: list[Object]) -> list[Object]:
    return [*events[:2], {"type": "response.heartbeat"}, *events[2:]]


def _add_memory_item(reply: EditableReply) -> None:
    item = {"type": "memory", "id": "msg_00000000-0000-9000-8000-000000000000", "status": "completed"}
    if reply.status != 200:
        return
    reply.responses[-1]["output"].append(item)
    if reply.streamed:
        at = len(reply.responses[-1]["output"]) - 1
        pair = [
            {"type": f"response.output_item.{when}", "output_index": at, "item": item}
            for when in ("added", "done")
        ]
        reply.events = numbered([*reply.events[:-1], *pair, reply.events[-1]])


def _remove_reasoning(reply: EditableReply) -> None:
    """Remove reasoning items and all their events."""
    gone = {
        event["output_index"] for event in reply.events if event.get("item", {}).get("type") == "reasoning"
    }
    reply.events = numbered([event for event in reply.events if event.get("output_index") not in gone])
    for event in reply.events:
        if "output_index" in event:
            event["output_index"] -= sum(each < event["output_index"] for each in gone)
    for response in reply.responses:
        response["output"] = [item for item in response["output"] if item["type"] != "reasoning"]


def _call_other_function(reply: EditableReply) -> None:
    for item in reply.items:
        if item["type"] == "function_call":
            item["name"] = "listen"
    for event in reply.events:
        if event["type"] == "response.function_call_arguments.done" and "name" in event:
            event["name"] = "listen"


def _change_item_ids(reply: EditableReply) -> None:
    for item in reply.items:
        item["id"] = item["id"].replace("msg_", "item_")
    for event in reply.events:
        if "item_id" in event:
            event["item_id"] = event["item_id"].replace("msg_", "item_")


def _cut_stream(reply: EditableReply) -> None:
    reply.ended, reply.events = "cut", reply.events[:6]


def _change_error_code(code: str) -> Callable[[EditableReply], object]:
    return on_errors(lambda reply: reply.value.update(code=code))


def _remove_annotations(reply: EditableReply) -> None:
    for item in reply.items:
        for part in item.get("content") or ():
            part.pop("annotations", None)
    for event in reply.events:
        event.get("part", {}).pop("annotations", None)


DRIFTS: tuple[tuple[str, Callable[[EditableReply], object], str, str], ...] = (
    ("member removed", on_responses(lambda r: r.pop("object", None)), "member-removed", "response.object"),
    ("member of a part removed", _remove_annotations, "member-removed", "output_text.annotations"),
    (
        "member added",
        on_responses(lambda r: r.update(vendor_note="x")),
        "member-added",
        "response.vendor_note",
    ),
    (
        "member of usage added",
        on_responses(lambda r: (r.get("usage") or {}).update(x_new=1) if r.get("usage") else None),
        "member-added",
        "usage.x_new",
    ),
    (
        "number becomes text",
        on_responses(lambda r: r.update(created_at=str(r["created_at"]))),
        "type-changed",
        "response.created_at",
    ),
    (
        "number becomes a fraction",
        on_responses(lambda r: r.update(created_at=r["created_at"] + 0.5)),
        "type-changed",
        "response.created_at",
    ),
    (
        "null instead of a value",
        on_items(lambda i: i.update(role=None) if i["type"] == "message" else None),
        "null-appeared",
        "message.role",
    ),
    (
        "another value",
        on_items(lambda i: i.update(role="model") if i["type"] == "message" else None),
        "value-new",
        "message.role",
    ),
    ("another HTTP status", on_errors(_change_status), "status-changed", "HTTP status"),
    ("another error code", _change_error_code("BadParameter"), "error-code-changed", "error.code"),
    ("another envelope", on_errors(_wrap_error), "envelope-changed", "error"),
    ("JSON instead of a stream", _only_streams(_json_for_stream), "form-changed", "reply"),
    (
        "another content type",
        _only_streams(lambda a: a.headers.update({"content-type": "text/plain"})),
        "content-type-changed",
        "content-type",
    ),
    ("a stream that breaks off", _only_streams(_cut_stream), "end-changed", "reply"),
    ("events in another order", on_events(_swap_done_events), "order-changed", "message events"),
    ("a new event", on_events(_add_heartbeat), "event-added", "response.heartbeat"),
    (
        "an event removed",
        on_events(lambda events: [e for e in events if e["type"] != "response.content_part.done"]),
        "event-removed",
        "response.content_part.done",
    ),
    ("a new item", _add_memory_item, "item-added", "memory"),
    ("no reasoning", _remove_reasoning, "item-removed", "reasoning"),
    ("another tool called", _call_other_function, "tools-changed", "tools called"),
    ("item ids of another form", _change_item_ids, "id-form-changed", "item.id"),
    (
        "response ids of another form",
        on_responses(lambda r: r.update(id=f"resp_{r['id']}")),
        "id-form-changed",
        "response.id",
    ),
    (
        "no event lines",
        on_frames(lambda fs: [b"\n".join(x for x in f.split(b"\n") if x[:6] != b"event:") for f in fs]),
        "framing-changed",
        "event: lines",
    ),
    ("[DONE] at the end", on_frames(lambda fs: [*fs, b"data: [DONE]\n\n"]), "framing-changed", "[DONE]"),
    (
        "usage that does not add up",
        on_responses(lambda r: r["usage"].update(total_tokens=1) if r.get("usage") else None),
        "rule-broken",
        "USE-001 /usage/total_tokens",
    ),
    (
        "a header removed",
        on_errors(lambda reply: reply.headers.pop("x-request-id")),
        "header-removed",
        "x-request-id",
    ),
)


def recording_changes(before: Sequence[Exchange], after: Sequence[Exchange]) -> list[Change]:
    return changes_in_pairs(pair_recordings(before, after))


@pytest.mark.parametrize(
    ("drift", "kind", "location"), [each[1:] for each in DRIFTS], ids=[e[0] for e in DRIFTS]
)
def test_each_drift_is_reported_as_exactly_one_change(
    drift: Callable[[EditableReply], object], kind: str, location: str
) -> None:
    after = editable_replies()
    for each in after:
        drift(each)
    found = recording_changes(as_exchanges(editable_replies()), as_exchanges(after))
    assert [(each.kind, each.location) for each in found] == [(kind, location)]


def test_at_least_twenty_drifts_are_distinguished() -> None:
    assert len({each[2:] for each in DRIFTS}) >= 20


def test_equal_recordings_have_no_change() -> None:
    assert recording_changes(as_exchanges(editable_replies()), as_exchanges(editable_replies())) == []


def test_other_texts_ids_and_times_are_no_change() -> None:
    bodies = [each for each in BODIES if "tools" not in each]
    with MockServer(seed=5, strict=False) as one, MockServer(seed=77, strict=False) as other:
        other.reply("Quite another reply, and a longer one. 你好!").always()
        sides = []
        for server in (one, other):
            with server.httpx() as client:
                replies = [client.post("/responses", json=body) for body in bodies]
            sides.append(
                [
                    EditableReply(b, a.status_code, a.content, a.headers["content-type"])
                    for b, a in zip(bodies, replies, strict=True)
                ]
            )
    assert recording_changes(as_exchanges(sides[0]), as_exchanges(sides[1])) == []


def test_broken_rules_are_reported_with_their_cause() -> None:
    after = editable_replies()
    for each in after:
        on_events(_swap_done_events)(each)
    (found,) = recording_changes(as_exchanges(editable_replies()), as_exchanges(after))
    assert found.broken_rules
    assert found.shown_by[0].startswith("recording-")
    assert f"breaks {', '.join(found.broken_rules)}" in changes_text([found])


def test_two_drifts_at_once_are_both_reported() -> None:
    """A minor cause does not explain a wrong total, and a change that breaks a rule is breaking."""
    after = editable_replies()
    for each in after:
        for name in ("item ids of another form", "usage that does not add up", "another value"):
            next(drift for title, drift, *_ in DRIFTS if title == name)(each)
    found = recording_changes(as_exchanges(editable_replies()), as_exchanges(after))
    assert {(each.kind, each.location) for each in found} == {
        ("rule-broken", "USE-001 /usage/total_tokens"),
        ("value-new", "message.role"),
        ("id-form-changed", "item.id"),
    }
    assert all(each.severity is ChangeSeverity.BREAKING for each in found if each.broken_rules)


def test_requests_of_only_one_side_are_reported() -> None:
    both = as_exchanges(editable_replies())
    found = recording_changes(both, both[1:])
    assert [(each.kind, each.location) for each in found] == [
        ("recording-removed", "POST /responses 'Hello!'")
    ]
    (found_too,) = recording_changes(both[1:], both)
    assert found_too.kind == "recording-added"


# The command, its formats, and what else it compares.


def run_diff(*arguments: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mockserver", "diff", *map(str, arguments)]
    return run_program(command, cwd)


def write_recordings(folder: Path, found: list[EditableReply]) -> Path:
    from mockserver.recordings.playback_queue import reply_body

    folder.mkdir()
    for number, each in enumerate(found):
        exchange = each.exchange(number)
        assert reply_body(exchange)
        value = {
            "format": 1,
            "name": exchange.name,
            "request": dict(exchange.request or {}),
            "match": {},
            "reply": dict(exchange.reply),
        }
        (folder / f"{number}.json").write_bytes(json.dumps(value))
    return folder


def test_command_prints_text_or_json_and_exits_by_severity(tmp_path: Path) -> None:
    after = editable_replies()
    for each in after:
        on_responses(lambda r: r.update(vendor_note="\x1b[31mx"))(each)
    before, behind = (
        write_recordings(tmp_path / "a", editable_replies()),
        write_recordings(tmp_path / "b", after),
    )
    done = run_diff(before, behind)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("1 info\n  info member-added response.vendor_note: new member\n")
    assert run_diff(before, behind, "--fail-on", "info").returncode == 1
    value = json.loads(run_diff(before, behind, "--format", "json").stdout.encode())
    jsonschema.validate(value, json.loads((ROOT / "schemas" / "changes.json").read_bytes()))
    assert value["counts"] == {"breaking": 0, "warning": 0, "info": 1}
    assert run_diff(before, before).stdout == "no change of the contract\n"


def test_recordings_without_a_shared_request_are_not_called_equal(tmp_path: Path) -> None:
    first, *others = editable_replies()
    before, behind = write_recordings(tmp_path / "a", [first]), write_recordings(tmp_path / "b", others)
    done = run_diff(before, behind)
    assert done.returncode == 2
    assert "nothing was compared: no request is in both" in done.stderr
    assert "recording-removed" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("qwen-2026-01", "qwen-1999"), "is neither a file nor a profile"),
        (("qwen-2026-01", "tests/data"), "cannot compare"),
        (("README.md", "README.md"), "cannot read"),
        (("fixtures", "fixtures"), "is not a recording"),
    ],
)
def test_incomparable_arguments_exit_with_2(arguments: tuple[str, str], expected: str) -> None:
    done = run_diff(*arguments)
    assert done.returncode == 2
    assert expected in done.stderr


def test_profiles_are_compared() -> None:
    found = {(each.kind, each.location): each for each in profile_changes("qwen-2026-01", "qwen-2026-09")}
    assert found["profile-changed", "base_path"].severity is ChangeSeverity.BREAKING
    assert (
        found["schema-removed", "response.reasoning_summary_text.delta"].severity is ChangeSeverity.BREAKING
    )
    assert ("member-added", "create_request.instructions") in found
    for name in profile_names():
        assert profile_changes(name, name) == []
    assert run_diff("qwen-2026-01", "qwen-2026-05").returncode == 1


def verification_report(**more: Any) -> Object:
    probe: Object = {"id": "stream", "title": "x", "verdict": "pass", "reason": None, "requests": []}
    value: Object = {"profile": "qwen-2026-01", "probes": [probe], "findings": [], "facts": []}
    return {**value, "coverage": {"seen": ["response.id"]}, **more}


REPORT_FINDING = {
    "rule": "TXT-001",
    "place": "x",
    "verdict": "fail",
    "message": "m",
    "probe": "stream",
    "also": [],
}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({}, {}, []),
        ({}, {"findings": [REPORT_FINDING]}, [("finding-added", "TXT-001 x")]),
        ({"findings": [REPORT_FINDING]}, {}, [("finding-removed", "TXT-001 x")]),
        ({}, {"findings": [{**REPORT_FINDING, "verdict": "drift"}]}, [("drift-added", "TXT-001 x")]),
        ({}, {"coverage": {"seen": []}}, [("coverage-removed", "response.id")]),
        (
            {"facts": [{"id": "f", "answer": "a"}]},
            {"facts": [{"id": "f", "answer": "b"}]},
            [("fact-changed", "f")],
        ),
        ({"facts": [{"id": "f", "answer": None}]}, {"facts": [{"id": "f", "answer": "b"}]}, []),
        (
            {},
            {"probes": [{"id": "stream", "verdict": "inconclusive"}]},
            [("verdict-worse", "stream")],
        ),
        (
            {"probes": [{"id": "stream", "verdict": "fail"}]},
            {},
            [("verdict-better", "stream")],
        ),
    ],
)
def test_reports_are_compared(before: Object, after: Object, expected: list[tuple[str, str]]) -> None:
    found = report_changes(verification_report(**before), verification_report(**after))
    assert [(each.kind, each.location) for each in found] == expected


def test_texts_from_recordings_cannot_control_the_terminal() -> None:
    change = Change(
        "member-added", "response.\x1b[2J", ChangeSeverity.INFO, after="\x07", shown_by=("\u202e",)
    )
    assert not set("\x1b\x07\u202e") & set(changes_text([change]))
    assert (
        json.loads(changes_json([change], "a\ud800", "b", "recordings").encode())["changes"][0]["kind"]
        == "member-added"
    )
    assert not reaches_severity([change], "warning")
    assert reaches_severity([change], "info")


def test_every_kind_of_change_is_documented() -> None:
    page = (ROOT / "docs" / "record.md").read_text(encoding="utf-8")
    for kind, (severity, message) in CHANGE_KINDS.items():
        assert f"| `{kind}` | {severity} | {message} |" in page


# Conversations: every run has its own ids.

LATER = "qwen-2026-09"


def record_conversations(record: Record, folder: Path, seed: int) -> Path:
    """Turns with previous_response_id, a conversation, a tool loop with call ids, and a history in the input."""
    profile = load_profile(LATER)
    key = f"sk-test-{seed:08}"
    model = profile.models[0]
    with (
        MockServer(seed=seed, profile=LATER, api_key=key, strict=False) as server,
        record(server.base_url, folder=folder, key=key, profile=profile) as session,
    ):

        def post(path: str = "/responses", **body: Any) -> Object:
            response = session.client.post(path, json=body)
            assert response.status_code == 200, response.text
            value: Object = response.json()
            return value

        first = post(model=model, input="Please look!", tools=TOOLS[:1])
        call = next(item for item in first["output"] if item["type"] == "function_call")
        result = {"type": "function_call_output", "call_id": call["call_id"], "output": f"seen {seed}"}
        second = post(model=model, input=[result], previous_response_id=first["id"])
        post(model=model, input="And now?", previous_response_id=second["id"])
        conversation = post("/conversations", metadata={"topic": "x"})
        post(model=model, input="Hello!", conversation=conversation["id"])
        session.client.get(f"/conversations/{conversation['id']}/items")
        question = {"role": "user", "content": "Please look!"}
        history = [question, *first["output"], result, {"role": "user", "content": "Thanks."}]
        post(model=model, input=history, tools=TOOLS[:1])
    return folder


def test_turns_of_two_runs_are_paired(record: Record, tmp_path: Path) -> None:
    before = record_conversations(record, tmp_path / "a", 1)
    after = record_conversations(record, tmp_path / "b", 2)
    pairs = pair_recordings(load_recordings(before), load_recordings(after))
    assert len(pairs) == 7
    assert all(old is not None and new is not None for old, new in pairs)
    kinds = [change.kind for change in recording_changes(load_recordings(before), load_recordings(after))]
    assert "recording-removed" not in kinds
    assert "recording-added" not in kinds


@pytest.mark.parametrize(
    "member", ['"previous_response_id"', '"conversation"', '"function_call_output"', '"Thanks."']
)
def test_drift_in_a_later_turn_is_found(member: str, record: Record, tmp_path: Path) -> None:
    before = record_conversations(record, tmp_path / "a", 1)
    after = record_conversations(record, tmp_path / "b", 2)
    for file in after.glob("*.json"):
        value = json.loads(file.read_bytes())
        if member in json.dumps(value.get("request")).decode():
            chunks = value["reply"]["http"]["chunks"]
            chunks[0]["text"] = chunks[0]["text"].replace("{", '{"vendor_note":"x",', 1)
            value["reply"]["http"]["headers"].pop("content-length", None)
            file.write_bytes(json.dumps(value))
    done = run_diff(before, after, "--fail-on", "info")
    assert "member-added response.vendor_note" in done.stdout
    assert "recording-" not in done.stdout
    assert done.returncode == 1


def test_turns_of_an_unrecorded_conversation_are_paired() -> None:
    def turn(parent: str) -> Exchange:
        reply = editable_replies()[0]
        reply.request = {**HELLO, "previous_response_id": parent}
        return reply.exchange(0)

    assert recording_changes([turn("one")], [turn("two")]) == []


@pytest.mark.skipif(sys.platform == "win32", reason="makes pipes")
def test_arguments_may_be_pipes(tmp_path: Path) -> None:
    folder = write_recordings(tmp_path / "recordings", editable_replies()[:1])
    (file,) = folder.glob("*.json")
    pipes = [tmp_path / name for name in ("before", "after")]
    writers = []
    for pipe in pipes:
        os.mkfifo(pipe)
        writers.append(threading.Thread(target=pipe.write_bytes, args=(file.read_bytes(),), daemon=True))
        writers[-1].start()
    ran = run_diff(*pipes)
    assert (ran.returncode, ran.stderr) == (0, "")
    for writer in writers:
        writer.join(60)


@pytest.mark.skipif(sys.platform == "win32", reason="makes a pipe")
def test_a_pipe_in_a_folder_is_refused_by_name(tmp_path: Path) -> None:
    folder = write_recordings(tmp_path / "recordings", editable_replies()[:1])
    os.mkfifo(folder / "pipe.json")
    ran = run_diff(folder, folder)
    assert ran.returncode == 2
    assert f"cannot read {folder / 'pipe.json'}: it is not a regular file" in ran.stderr
