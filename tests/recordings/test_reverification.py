"""`mockserver verify --replay`: recorded requests are sent again, and the replies compared."""

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


def test_turns_continue_from_the_new_replies(recordings: Path, verify: Verify) -> None:
    status, value, output = verify("honest", "--replay", str(recordings))
    assert (status, value["changes"]) == (0, [])
    jsonschema.validate(value, json.loads((ROOT / "schemas" / "changes.json").read_bytes()))
    assert output.count(": no change\n") == 3
    assert output.endswith("no change of the contract\n") or "no change of the contract\n" in output
    assert CANARY_KEY not in output + str(value)


@pytest.mark.parametrize(
    ("deviation", "kind", "place", "status"),
    [
        ("member-retyped", "type-changed", "response.created_at", 1),
        ("member-added", "member-added", "response.vendor_note", 0),
        ("event-new", "event-added", "response.heartbeat", 1),
        ("refusals-500", "status-changed", "HTTP status", 1),
        ("envelope", "member-removed", "error.code", 1),
        ("closed-early", "end-changed", "reply", 1),
        ("usage-total", "rule-broken", "USE-001 /usage/total_tokens", 1),
        ("redirect", "status-changed", "HTTP status", 1),
    ],
)
def test_changes_are_reported(
    deviation: str, kind: str, place: str, status: int, recordings: Path, verify: Verify
) -> None:
    ended, value, output = verify(deviation, "--replay", str(recordings))
    assert (kind, place) in [(each["kind"], each["place"]) for each in value["changes"]]
    assert ended == status
    assert f"{kind} {place}" in output


def test_turn_that_cannot_be_sent_is_reported(recordings: Path, verify: Verify) -> None:
    """The call is no longer made, so its output has no call to belong to."""
    for file in recordings.glob("please-look-*.json"):
        value = json.loads(file.read_bytes())
        value["request"] = {**value["request"], "tools": [], "input": "Nothing to look at."}
        file.write_bytes(json.dumps(value))
    status, value, output = verify("honest", "--replay", str(recordings))
    assert "not sent: it continues a response or call that does not exist this time" in output
    assert [each["kind"] for each in value["changes"] if each["kind"] == "tools-changed"] == ["tools-changed"]
    assert status == 1


def test_masked_request_is_not_sent(fake_endpoint: str, record: Record, verify: Verify) -> None:
    with record(f"{fake_endpoint}/honest{PROFILE.base_path}", masks=("/input",)) as session:
        session.client.post("/responses", json=HELLO)
    status, _, output = verify("honest", "--replay", str(session.folder))
    assert status == 2
    assert "not sent: part of the recorded request is masked" in output


def test_run_with_a_request_that_is_not_sent_is_incomplete(
    fake_endpoint: str, record: Record, verify: Verify
) -> None:
    """One of two recorded requests is masked, so its reply is compared with nothing."""
    with record(f"{fake_endpoint}/honest{PROFILE.base_path}", masks=("/metadata",)) as session:
        session.client.post("/responses", json=HELLO)
        session.client.post("/responses", json={**HELLO, "metadata": {"secret": "x"}})
    replay = ("--replay", str(session.folder))
    status, _, output = verify("honest", *replay)
    assert status == 3
    assert "incomplete: 1 of 2 recorded requests were sent" in output
    assert verify("honest", *replay, "--allow-incomplete")[0] == 0


def test_replay_cut_off_by_the_budget_is_incomplete(recordings: Path, verify: Verify) -> None:
    limit = ("--replay", str(recordings), "--max-requests", "1")
    status, _, output = verify("honest", *limit)
    assert status == 3
    assert "more than --max-requests or --max-tokens allow" in output
    assert "2 not sent: " in output
    assert "incomplete: 1 of 3 recorded requests were sent" in output
    assert verify("honest", *limit, "--allow-incomplete")[0] == 0


def test_dry_run_sends_nothing(recordings: Path, verify: Verify) -> None:
    status, value, output = verify("honest", "--replay", str(recordings), "--dry-run")
    assert (status, value) == (0, {})
    assert "3 recorded requests, about " in output


def test_profile_option_wins_over_the_recordings(recordings: Path, verify: Verify) -> None:
    later = load_profile("qwen-2026-05").name
    _, _, output = verify("honest", "--replay", str(recordings), "--profile", later)
    assert f"profile {later}" in output
    assert f"3 recordings with the profile {PROFILE.name}, checked against {later}" in output
