"""Tool loops with a wrong `call_id` fail a test that asserts nothing."""

from __future__ import annotations

import pytest

from tests.testing.pytest_plugin.conftest import RunPytest

#: A client of two turns; `{outputs}` makes the items of the second from the calls of the first.
CLIENT = """
from mockserver import FunctionCall

TOOLS = [{{"type": "function", "name": "get_weather", "parameters": {{"type": "object"}}}}]

def output(call_id):
    return {{"type": "function_call_output", "call_id": call_id, "output": "sunny"}}

def test_tool_loop(ask, responses_server):
    responses_server.reply(FunctionCall("get_weather", "{{}}"), FunctionCall("get_weather", "{{}}"))
    responses_server.reply("Sunny.")
    first = ask("Weather?", tools=TOOLS)
    calls = [item for item in first["output"] if item["type"] == "function_call"]
    ask({outputs}, tools=TOOLS, previous_response_id=first["id"])
"""

BUGS = {
    "item id instead of call_id": "[output(call['id']) for call in calls]",
    "only the first call": "[output(calls[0]['call_id'])]",
    "every output twice": "[output(call['call_id']) for call in calls for _ in range(2)]",
}


@pytest.mark.parametrize("profile", ["qwen-2026-01", "qwen-2026-09", "openresponses-2026-04"])
@pytest.mark.parametrize("outputs", BUGS.values(), ids=BUGS)
def test_planted_bug_fails_a_test_without_an_assertion(run: RunPytest, outputs: str, profile: str) -> None:
    result = run(CLIENT.format(outputs=outputs), "--responses-profile", profile)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["FAILED *::test_tool_loop - REQ-007*"])


def test_correct_tool_loop_passes(run: RunPytest) -> None:
    run(CLIENT.format(outputs="[output(call['call_id']) for call in calls]")).assert_outcomes(passed=1)
