"""`check_conduct` takes whatever clients and servers send, and times in any form."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mockserver.contract.conduct.attempts import Attempt
from mockserver.contract.conduct.check import check_conduct
from mockserver.contract.rules import load_conduct_rules
from mockserver.wire import json

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner)
)
IDS = st.sampled_from(["a", "b"]) | VALUES
ITEMS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["message", "function_call", "function_call_output", "reasoning"])
            | VALUES,
            "role": st.sampled_from(["user", "assistant"]) | VALUES,
            "content": VALUES,
            "call_id": IDS,
            "id": IDS,
            "arguments": VALUES,
            "output": VALUES,
        },
    )
    | VALUES,
    max_size=4,
)
REQUESTS = st.fixed_dictionaries(
    {"input": ITEMS | VALUES},
    optional={"previous_response_id": IDS, "tools": ITEMS | VALUES, "instructions": VALUES},
)
RESPONSES = st.fixed_dictionaries({"id": IDS, "output": ITEMS | VALUES}, optional={"status": VALUES})


@st.composite
def attempts(draw: st.DrawFn) -> list[Attempt]:
    bodies = draw(st.lists(REQUESTS.map(json.dumps) | st.binary(max_size=5), min_size=1, max_size=3))
    return [
        Attempt(
            number,
            draw(st.floats(0, 20)),
            "/v1/responses",
            draw(st.sampled_from(bodies)),
            draw(st.sampled_from([200, 200, 400, 429, 500])),
            draw(RESPONSES.map(json.dumps) | st.binary(max_size=5)),
            draw(st.none() | st.floats(0, 20)),
            reply_headers=draw(
                st.dictionaries(st.sampled_from(["retry-after", "retry-after-ms"]), st.text(max_size=5))
            ),
            retry_count=draw(st.none() | st.integers(0, 2)),
        )
        for number in range(1, draw(st.integers(1, 8)) + 1)
    ]


@settings(max_examples=50)
@given(attempts())
def test_any_attempts_can_be_checked(listed: list[Attempt]) -> None:
    found = check_conduct(listed)
    assert {each.finding.rule for each in found} <= load_conduct_rules().keys()
    assert {each.request_number for each in found} <= {each.number for each in listed}


def attempt(at: float, reply_headers: dict[str, str], status: int = 429, **members: Any) -> Attempt:
    return Attempt(
        int(at) + 1, at, "/v1/responses", b"{}", status, end=at, reply_headers=reply_headers, **members
    )


def test_retry_after_may_be_a_date() -> None:
    date = {"retry-after": "Thu, 01 Jan 1970 00:00:30 GMT"}
    assert check_conduct([attempt(0, date), attempt(31, {})]) == []
    assert [each.finding.rule for each in check_conduct([attempt(0, date), attempt(10, {})])] == ["RTY-001"]
    assert check_conduct([attempt(0, {"retry-after": "soon"}), attempt(1, {})]) == []


def test_a_client_that_left_before_the_failure_need_not_retry() -> None:
    body, failed = json.dumps({"model": "m", "input": "Hi"}), json.dumps({"id": "r", "status": "failed"})
    stayed = Attempt(1, 0, "/v1/responses", body, 200, failed, 1)
    assert [each.finding.rule for each in check_conduct([stayed])] == ["RTY-007"]
    left = Attempt(1, 0, "/v1/responses", body, 200, failed, 1, left_at=0.5)
    assert check_conduct([left]) == []
