"""`mockserver verify --replay`: what was recorded is asked again, and compared by meaning."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest

from mockserver.profiles import load_profile
from mockserver.wire import json
from tests.live.conftest import CANARY_KEY, Verify, verify
from tests.recordings.conftest import HELLO, MODEL, PROFILE, Record, fake_endpoint, fake_endpoints

__all__ = ["fake_endpoint", "fake_endpoints", "verify"]

ROOT = Path(__file__).parent.parent.parent
TOOLS = [{"type": "function", "name": "look"}]


@pytest.fixture
def recordings(fake_endpoint: str, record: Record) -> Path:
    """A conversation with a tool, streamed and not, and a request that is refused."""
    with record(f"{fake_endpoint}/honest{PROFILE.base_path}") as session:
        ask = session.client.post
        first = ask("/responses", json={**HELLO, "input": "Please look!", "tools": TOOLS}).json()
        call = next(item for item in first["output"] if item["type"] == "function_call")
        output = [{"type": "function_call_output", "call_id": call["call_id"], "output": "seen"}]
        turn = {"model": MODEL, "input": output, "previous_response_id": first["id"], "stream": True}
        assert ask("/responses", json=turn).status_code == 200
        assert ask("/responses", json={**HELLO, "temperature": 9}).status_code == 400
    return session.folder


def test_turns_go_on_from_what_is_answered_now(recordings: Path, verify: Verify) -> None:
    status, value, told = verify("honest", "--replay", str(recordings))
    assert (status, value["changes"]) == (0, [])
    jsonschema.validate(value, json.loads((ROOT / "schemas" / "changes.json").read_bytes()))
    assert told.count(": the same\n") == 3
    assert told.endswith("no change of the contract\n") or "no change of the contract\n" in told
    assert CANARY_KEY not in told + str(value)


@pytest.mark.parametrize(
    ("wrong", "kind", "place", "status"),
    [
        ("member-retyped", "type-changed", "response.created_at", 1),
        ("member-added", "member-added", "response.vendor_note", 0),
        ("event-new", "event-added", "response.heartbeat", 1),
        ("refusals-500", "status-changed", "HTTP status", 1),
        ("envelope", "member-removed", "error.code", 1),
        ("closed-early", "end-changed", "answer", 1),
        ("usage-total", "rule-broken", "USE-001 /usage/total_tokens", 1),
        ("redirect", "status-changed", "HTTP status", 1),
    ],
)
def test_what_changed_is_told(
    wrong: str, kind: str, place: str, status: int, recordings: Path, verify: Verify
) -> None:
    ended, value, told = verify(wrong, "--replay", str(recordings))
    assert (kind, place) in [(each["kind"], each["place"]) for each in value["changes"]]
    assert ended == status
    assert f"{kind} {place}" in told


def test_a_turn_that_can_not_be_asked_is_told(recordings: Path, verify: Verify) -> None:
    """The call is not made any more, so that its output has nothing to go on from."""
    for file in recordings.glob("please-look-*.json"):
        value = json.loads(file.read_bytes())
        value["request"] = {**value["request"], "tools": [], "input": "Nothing to look at."}
        file.write_bytes(json.dumps(value))
    status, value, told = verify("honest", "--replay", str(recordings))
    assert "not asked: it goes on from an answer that was not given this time" in told
    assert [each["kind"] for each in value["changes"] if each["kind"] == "tools-changed"] == ["tools-changed"]
    assert status == 1


def test_what_was_masked_is_not_asked(fake_endpoint: str, record: Record, verify: Verify) -> None:
    with record(f"{fake_endpoint}/honest{PROFILE.base_path}", masks=("/input",)) as session:
        session.client.post("/responses", json=HELLO)
    status, _, told = verify("honest", "--replay", str(session.folder))
    assert status == 2
    assert "not asked: a part of the request was masked when it was recorded" in told


def test_the_budget_is_kept(recordings: Path, verify: Verify) -> None:
    _, _, told = verify("honest", "--replay", str(recordings), "--max-requests", "1")
    assert "that is more than --max-requests or --max-tokens" in told
    assert "2 not asked: " in told


def test_a_plan_asks_nothing(recordings: Path, verify: Verify) -> None:
    status, value, told = verify("honest", "--replay", str(recordings), "--dry-run")
    assert (status, value) == (0, {})
    assert "3 recorded requests, about " in told


def test_another_profile_may_judge(recordings: Path, verify: Verify) -> None:
    later = load_profile("qwen-2026-05").name
    _, _, told = verify("honest", "--replay", str(recordings), "--profile", later)
    assert f"judged as {later}" in told
    assert f"3 recordings of the profile {PROFILE.name}, judged by {later}" in told
