"""Plans: written down and read again, and nothing but the contract in what they say where they are legal."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mockserver.contract.check import check_response, check_stream
from mockserver.contract.findings import errors
from mockserver.errors import ConfigurationError
from mockserver.server.delivery.steps import Send
from mockserver.testing.cases.answer import answer, said
from mockserver.testing.cases.drawing import Asking, classics, plans
from mockserver.testing.cases.plan import Plan, plan_from
from mockserver.testing.strategies.values import look

HERE = look("qwen-2026-01", "wire")
MODEL = HERE.profile.models[0]
FUNCTION = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
TOOLS = [{"type": kind} for kind in HERE.profile.tools]
ASKING = Asking(tools=tuple(HERE.profile.tools), functions=(("get_weather", FUNCTION["parameters"]),))


def sent(plan: Plan) -> bytes:
    """All that a plan sends, in one piece."""
    request = {"model": MODEL, "input": "a", "stream": plan.stream, "tools": [*TOOLS, FUNCTION]}
    return b"".join(step.data for step in answer(plan, HERE, request).steps if isinstance(step, Send))


@given(plans(ASKING))
def test_a_plan_is_what_it_was_when_it_is_read_again(plan: Plan) -> None:
    assert plan_from(plan.value()) == plan


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(plans(ASKING, without=["failed", "cut", "closed", "error", "dropped", "reset", "empty", "refused"]))
def test_a_plan_without_a_fault_keeps_the_contract_to_the_byte(plan: Plan) -> None:
    request = {"model": MODEL, "input": "a", "stream": plan.stream, "tools": [*TOOLS, FUNCTION]}

    check: Any = check_stream if plan.stream else check_response

    assert plan.fault is None
    assert errors(check(sent(plan), "qwen-2026-01", request)) == []


@pytest.mark.parametrize("plan", classics(Asking()), ids=lambda plan: plan.id)
def test_a_known_trap_is_small_and_legal_unless_it_has_a_fault(plan: Plan) -> None:
    assert len(said(plan, HERE)) <= 14
    if plan.fault is None:
        check: Any = check_stream if plan.stream else check_response
        assert errors(check(sent(plan))) == []


@given(st.data(), st.sampled_from(["cut", "closed", "error", "dropped", "reset", "stalled"]))
def test_a_fault_leaves_something_out(data: st.DataObject, fault: str) -> None:
    plan = Plan(fault=fault, at=data.draw(st.integers(0, 999)))

    assert len(sent(plan)) < len(sent(Plan()))
    assert b"response.completed" not in sent(plan).rpartition(b"\n\n")[0]


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({}, "script"),
        ({"script": {"items": []}, "fault": "fire"}, "fault can not be 'fire'"),
        ({"script": {"items": []}, "at": 1000}, "at must be from 0 to 999"),
        ({"script": {"items": []}, "stream": 1}, "stream can not be 1"),
        ({"script": {"items": []}, "colour": 1}, "colour"),
        ({"script": {"items": []}, "long": True}, "must end with a message"),
    ],
)
def test_what_is_no_plan_is_told(value: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        plan_from(value)
