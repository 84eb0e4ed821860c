"""Tool loops with a planted bug fail their test without an assertion, in every dated profile."""

from __future__ import annotations

import pytest

from tests.testing.pytest_plugin.conftest import RunPytest

TOOL_LOOP = """
import json
from mockserver import FunctionCall

TOOLS = [{"type": "function", "name": "look", "parameters": {"type": "object"}}]

@pytest.mark.responses(profile=PROFILE)
def test_it(ask, responses_server):
    responses_server.reply(FunctionCall("look", "{}"), FunctionCall("look", "{}"))
    responses_server.reply("Done.").always()
    first = ask("Look twice!", tools=TOOLS, **conversation(responses_server))
    calls = [item for item in first["output"] if item["type"] == "function_call"]
    output = lambda call_id: {"type": "function_call_output", "call_id": call_id, "output": "x"}
    continuation = conversation(responses_server) or {"previous_response_id": first["id"]}
    ask(OUTPUTS, tools=TOOLS, **continuation)
"""
BY_RESPONSE_ID = "\nconversation = lambda server: {}\n"
BY_CONVERSATION = """
ids = []

def conversation(server):
    if not ids:
        ids.append(server.httpx().post("/conversations", json={}).json()["id"])
    return {"conversation": ids[0]}
"""
WRONG_OUTPUTS = pytest.mark.parametrize(
    "outputs",
    [
        pytest.param("[output(call['id']) for call in calls]", id="item id for call_id"),
        pytest.param("[output(calls[0]['call_id'])]", id="only the first call"),
        pytest.param("[output(call['call_id']) for call in calls] * 2", id="outputs twice"),
    ],
)

PROFILES = ["qwen-2026-01", "qwen-2026-05", "qwen-2026-09"]


def tool_loop(profile: str, outputs: str, continuation: str = BY_RESPONSE_ID) -> str:
    return TOOL_LOOP.replace("PROFILE", repr(profile)).replace("OUTPUTS", outputs) + continuation


@pytest.mark.parametrize("profile", PROFILES)
def test_a_correct_tool_loop_passes(profile: str, run: RunPytest) -> None:
    code = tool_loop(profile, "[output(call['call_id']) for call in calls]")
    run(code).assert_outcomes(passed=1)


@pytest.mark.parametrize("profile", PROFILES)
@WRONG_OUTPUTS
def test_a_wrong_tool_loop_fails_without_an_assertion(outputs: str, profile: str, run: RunPytest) -> None:
    result = run(tool_loop(profile, outputs))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["Contract violation REQ-*"])


@WRONG_OUTPUTS
def test_a_wrong_tool_loop_in_a_conversation_fails(outputs: str, run: RunPytest) -> None:
    correct = "[output(call['call_id']) for call in calls]"
    run(tool_loop("qwen-2026-09", correct, BY_CONVERSATION)).assert_outcomes(passed=1)
    run(tool_loop("qwen-2026-09", outputs, BY_CONVERSATION)).assert_outcomes(failed=1)
