"""Case plans round-trip through JSON, and are valid replies unless they have a fault."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mockserver.contract.check import check_response, check_stream
from mockserver.contract.findings import errors
from mockserver.errors import ConfigurationError
from mockserver.server.delivery.steps import Send
from mockserver.testing.fuzzing.case_plan import CasePlan, plan_from_json
from mockserver.testing.fuzzing.case_replies import render_case, render_payloads
from mockserver.testing.fuzzing.case_strategies import RequestedFeatures, case_plans, edge_case_plans
from mockserver.testing.strategies.rendered_replies import render_context

CONTEXT = render_context("qwen-2026-01", "wire")
MODEL = CONTEXT.profile.models[0]
FUNCTION = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
TOOLS = [{"type": kind} for kind in CONTEXT.profile.tools]
FEATURES = RequestedFeatures(
    tool_types=tuple(CONTEXT.profile.tools), functions=(("get_weather", FUNCTION["parameters"]),)
)


def sent_bytes(plan: CasePlan) -> bytes:
    """All bytes that a plan sends."""
    request = {"model": MODEL, "input": "a", "stream": plan.stream, "tools": [*TOOLS, FUNCTION]}
    return b"".join(step.data for step in render_case(plan, CONTEXT, request).steps if isinstance(step, Send))


@given(case_plans(FEATURES))
def test_a_plan_round_trips_through_json(plan: CasePlan) -> None:
    assert plan_from_json(plan.to_json()) == plan


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    case_plans(FEATURES, skip=["failed", "cut", "closed", "error", "dropped", "reset", "empty", "refused"])
)
def test_a_plan_without_a_fault_has_no_contract_errors(plan: CasePlan) -> None:
    request = {"model": MODEL, "input": "a", "stream": plan.stream, "tools": [*TOOLS, FUNCTION]}

    check: Any = check_stream if plan.stream else check_response

    assert plan.fault is None
    assert errors(check(sent_bytes(plan), "qwen-2026-01", request)) == []


@pytest.mark.parametrize("plan", edge_case_plans(RequestedFeatures()), ids=lambda plan: plan.id)
def test_an_edge_case_is_small_and_legal_unless_it_has_a_fault(plan: CasePlan) -> None:
    assert len(render_payloads(plan, CONTEXT)) <= 14
    if plan.fault is None:
        check: Any = check_stream if plan.stream else check_response
        assert errors(check(sent_bytes(plan))) == []


@given(st.data(), st.sampled_from(["cut", "closed", "error", "dropped", "reset", "stalled"]))
def test_a_fault_removes_part_of_the_reply(data: st.DataObject, fault: str) -> None:
    plan = CasePlan(fault=fault, at=data.draw(st.integers(0, 999)))

    assert len(sent_bytes(plan)) < len(sent_bytes(CasePlan()))
    assert b"response.completed" not in sent_bytes(plan).rpartition(b"\n\n")[0]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({}, "script"),
        ({"script": {"items": []}, "fault": "fire"}, "fault cannot be 'fire'"),
        ({"script": {"items": []}, "at": 1000}, "at must be from 0 to 999"),
        ({"script": {"items": []}, "stream": 1}, "stream cannot be 1"),
        ({"script": {"items": []}, "colour": 1}, "colour"),
        ({"script": {"items": []}, "long": True}, "must end with a message"),
    ],
)
def test_an_invalid_plan_is_an_error(value: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        plan_from_json(value)
