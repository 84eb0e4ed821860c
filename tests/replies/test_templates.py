"""Templates render any script as a valid response with the script's content."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockserver.contract.check import check_response, check_stream
from mockserver.replies.markers import SlotValues
from mockserver.replies.renderings import load_rendering
from mockserver.replies.script import (
    FunctionCall,
    Item,
    Message,
    Reasoning,
    Script,
    ToolCall,
    Usage,
    message_script,
)
from mockserver.replies.templates import (
    FixedValues,
    compile_generated_reply,
    compile_reply,
    compile_stream,
    reply_slots,
    text_slots,
)
from mockserver.replies.usage import count_text_tokens
from mockserver.wire import json
from mockserver.wire.sse import Decoder

PROFILE = "qwen-2026-01"
MODEL = "qwen3-max-2026-01-23"

CHUNKS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), max_size=4).map(tuple)
TOOL_CALLS = st.sampled_from(
    [
        ToolCall("web_search", {"action": {"type": "search", "query": "q", "sources": []}}),
        ToolCall("web_extractor", {"goal": "g", "urls": ["https://example.com/"], "output": "o"}),
        ToolCall(
            "code_interpreter", {"code": "1", "container_id": "", "outputs": [{"type": "logs", "logs": "1"}]}
        ),
    ]
)
FUNCTION_CALLS = st.builds(FunctionCall, st.just("f"), st.sampled_from(["{}", '{"a": "%s \\u0001"}']))
SCRIPTS = st.builds(
    Script,
    items=st.lists(
        st.one_of(CHUNKS.map(Message), CHUNKS.map(Reasoning), TOOL_CALLS, FUNCTION_CALLS),
        min_size=1,
        max_size=5,
    ).map(tuple),
    usage=st.just(Usage()),
)


def slots_for(
    script: Script,
    rendering: str = "wire",
    input_tokens: int = 30,
    tools: bytes = b"[]",
    tool_choice: bytes = b'"auto"',
) -> SlotValues:
    from mockserver.replies.usage import count_output_tokens

    fixed = FixedValues(input_tokens, input_tokens + count_output_tokens(script)[0], tools, tool_choice)
    return reply_slots(
        load_rendering(PROFILE, rendering),
        "b8104cd2-ee57-903d-aae0-93d99254a000",
        1769084048,
        fixed.slots(),
        [
            *(f"msg_{at}" for at in range(len(script.items))),
            *(f"call_{at}" for at in range(len(script.calls_without_id))),
        ],
    )


def render_reply(script: Script, rendering: str = "wire", **values: Any) -> bytes:
    (body,) = compile_reply(script, PROFILE, rendering, MODEL).render(slots_for(script, rendering, **values))
    return body


def text_of(item: Item) -> Any:
    return item.text if isinstance(item, Message | Reasoning) else None


@pytest.mark.parametrize("rendering", ["wire", "documented"])
@given(script=SCRIPTS)
def test_any_script_passes_the_contract_checker(rendering: str, script: Script) -> None:
    frames = compile_stream(script, PROFILE, rendering, MODEL).render(slots_for(script, rendering))
    assert check_stream(b"".join(frames)) == []
    body = render_reply(script, rendering)
    assert check_response(body) == []
    texts = [
        (item.get("content") or item.get("summary") or [{}])[0].get("text")
        for item in json.loads(body)["output"]
    ]
    assert texts == [text_of(item) for item in script.items]
    final = json.loads(Decoder().feed(frames[-1])[0].data.encode())["response"]  # type: ignore[union-attr]
    assert [item["id"] for item in final["output"]] == [f"msg_{at}" for at in range(len(script.items))]


def test_compiled_script_is_reused_across_requests() -> None:
    script = message_script("100% sure")
    one, two = (render_reply(script, input_tokens=tokens) for tokens in (30, 77))
    assert json.loads(one)["usage"]["input_tokens"] == 30
    assert json.loads(two)["usage"]["input_tokens"] == 77
    assert json.loads(one)["output"] == json.loads(two)["output"]
    assert json.loads(one)["output"][0]["content"][0]["text"] == "100% sure"


def test_echoed_json_is_unchanged() -> None:
    script = message_script("x")
    tools = b'[{"type":"web_search","z":1,"a":"%b"}]'
    body = render_reply(script, tools=tools, tool_choice=b'{"type":"x"}')
    assert tools in body
    assert json.loads(body)["tool_choice"] == {"type": "x"}


def test_renderings_have_equal_content() -> None:
    script = message_script("x")
    wire = json.loads(render_reply(script))
    documented = json.loads(render_reply(script, "documented"))
    assert list(documented) == ["id", "created_at", "model", "object", "status", "output", "usage"]
    assert (wire["created_at"], repr(documented["created_at"])) == (1769084048, "1769084048.0")
    assert {name: wire[name] for name in documented} == documented
    assert load_rendering(PROFILE, "wire").encode_timestamp(5) == b"5"


@given(script=SCRIPTS)
def test_frames_are_a_sequence_that_knows_its_size_and_tokens(script: Script) -> None:
    frames = compile_stream(script, PROFILE, "wire", MODEL).render(slots_for(script))
    rendered = tuple(frames)
    assert (len(frames), frames[-1], frames[1:3]) == (len(rendered), rendered[-1], rendered[1:3])
    assert frames.size == sum(map(len, rendered))
    assert frames.template.token_counts == tuple(map(count_text_tokens, rendered))


@pytest.mark.parametrize("rendering", ["wire", "documented"])
@given(script=SCRIPTS)
def test_a_generated_reply_has_the_bytes_of_one_with_its_own_template(rendering: str, script: Script) -> None:
    template = compile_generated_reply(script, PROFILE, rendering, MODEL)
    (body,) = template.render((*slots_for(script, rendering), *text_slots(script)))
    assert body == render_reply(script, rendering)


def test_generated_replies_of_one_kind_share_their_template() -> None:
    one, two = message_script("one"), message_script("two or more")
    assert compile_generated_reply(one, PROFILE, "wire", MODEL) is compile_generated_reply(
        two, PROFILE, "wire", MODEL
    )
