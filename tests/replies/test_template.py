"""Templates: any script, in any rendering, is what the judge accepts, and says what the script says."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockserver.contract.check import check_response, check_stream
from mockserver.replies.renderings import load_rendering
from mockserver.replies.script import (
    FunctionCall,
    Item,
    Message,
    Reasoning,
    Script,
    ToolCall,
    Usage,
    message,
)
from mockserver.replies.template import Values, reply_template, stream_template
from mockserver.wire import json
from mockserver.wire.sse import Decoder

PROFILE = "qwen-2026-01"
MODEL = "qwen3-max-2026-01-23"

chunks = st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), max_size=4).map(tuple)
calls = st.sampled_from(
    [
        ToolCall("web_search", {"action": {"type": "search", "query": "q", "sources": []}}),
        ToolCall("web_extractor", {"goal": "g", "urls": ["https://example.com/"], "output": "o"}),
        ToolCall(
            "code_interpreter", {"code": "1", "container_id": "", "outputs": [{"type": "logs", "logs": "1"}]}
        ),
    ]
)
functions = st.builds(FunctionCall, st.just("f"), st.sampled_from(["{}", '{"a": "%s \\u0001"}']))
scripts = st.builds(
    Script,
    items=st.lists(
        st.one_of(chunks.map(Message), chunks.map(Reasoning), calls, functions), min_size=1, max_size=5
    ).map(tuple),
    usage=st.just(Usage()),
)


def values(script: Script, input_tokens: int = 30) -> Values:
    from mockserver.replies.usage import output_tokens

    return Values(
        response_id="b8104cd2-ee57-903d-aae0-93d99254a000",
        created_at=1769084048,
        input_tokens=input_tokens,
        total_tokens=input_tokens + output_tokens(script)[0],
        tools=b"[]",
        tool_choice=b'"auto"',
        item_ids=[f"msg_{at}" for at in range(len(script.items))],
        call_ids=[f"call_{at}" for at in range(len(script.open_calls))],
    )


def text_of(item: Item) -> Any:
    return item.text if isinstance(item, Message | Reasoning) else None


@pytest.mark.parametrize("rendering", ["wire", "documented"])
@given(script=scripts)
def test_any_script_is_accepted_by_the_judge(rendering: str, script: Script) -> None:
    frames = stream_template(script, PROFILE, rendering, MODEL).frames(values(script))
    assert check_stream(b"".join(frames)) == []
    body = reply_template(script, PROFILE, rendering, MODEL).body(values(script))
    assert check_response(body) == []
    told = [
        (item.get("content") or item.get("summary") or [{}])[0].get("text")
        for item in json.loads(body)["output"]
    ]
    assert told == [text_of(item) for item in script.items]
    final = json.loads(Decoder().feed(frames[-1])[0].data.encode())["response"]  # type: ignore[union-attr]
    assert [item["id"] for item in final["output"]] == [f"msg_{at}" for at in range(len(script.items))]


def test_a_compiled_script_serves_every_request() -> None:
    script = message("100% sure")
    one, two = (
        reply_template(script, PROFILE, "wire", MODEL).body(values(script, tokens)) for tokens in (30, 77)
    )
    assert json.loads(one)["usage"]["input_tokens"] == 30
    assert json.loads(two)["usage"]["input_tokens"] == 77
    assert json.loads(one)["output"] == json.loads(two)["output"]
    assert json.loads(one)["output"][0]["content"][0]["text"] == "100% sure"


def test_what_is_echoed_is_echoed_as_it_came() -> None:
    script = message("x")
    tools = b'[{"type":"web_search","z":1,"a":"%b"}]'
    given_values = values(script)._replace(tools=tools, tool_choice=b'{"type":"x"}')
    body = reply_template(script, PROFILE, "wire", MODEL).body(given_values)
    assert tools in body
    assert json.loads(body)["tool_choice"] == {"type": "x"}


def test_renderings_differ_in_look_alone() -> None:
    script = message("x")
    wire = json.loads(reply_template(script, PROFILE, "wire", MODEL).body(values(script)))
    shown = json.loads(reply_template(script, PROFILE, "documented", MODEL).body(values(script)))
    assert list(shown) == ["id", "created_at", "model", "object", "status", "output", "usage"]
    assert (wire["created_at"], repr(shown["created_at"])) == (1769084048, "1769084048.0")
    assert {name: wire[name] for name in shown} == shown
    assert load_rendering(PROFILE, "wire").time(5) == b"5"
