"""Templates of Chat Completions have the bytes of what the builders make."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockserver.replies.chat import (
    ChatFacts,
    build_chat_chunks,
    build_chat_completion,
    calls_to_identify,
    chat_slots,
    compile_chat_completion,
    compile_chat_stream,
    count_chat_tokens,
    encode_chunks,
)
from mockserver.replies.markers import SlotValues
from mockserver.replies.script import FunctionCall, Message, Reasoning, Script, Usage
from mockserver.replies.usage import count_text_tokens
from mockserver.wire import json

REQUEST_ID = "b8104cd2-ee57-903d-aae0-93d99254a000"
CHUNKS = st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=4).map(tuple)
FUNCTION_CALLS = st.builds(
    FunctionCall,
    st.just("f"),
    st.sampled_from(["", "{}", '{"a": "%s \\u0001"}']),
    st.sampled_from([None, "", "call_own", "100%"]),
)
COUNTS = st.none() | st.integers(0, 99)
SCRIPTS = st.builds(
    Script,
    items=st.lists(st.one_of(CHUNKS.map(Message), CHUNKS.map(Reasoning), FUNCTION_CALLS), max_size=5).map(
        tuple
    ),
    usage=st.builds(Usage, COUNTS, COUNTS, COUNTS, st.integers(0, 99)),
    status=st.sampled_from(["completed", "incomplete"]),
)
FACTS = st.builds(
    ChatFacts,
    id=st.just(f"chatcmpl-{REQUEST_ID}"),
    created=st.integers(1_700_000_000, 1_800_000_000),
    model=st.sampled_from(["qwen-plus", "100%d"]),
    prompt_tokens=st.integers(0, 50),
    call_ids=st.just(()),
    choice_count=st.integers(1, 3),
    include_usage=st.booleans(),
)


def slots_for(script: Script, facts: ChatFacts) -> SlotValues:
    tokens = count_chat_tokens(script, facts.prompt_tokens, facts.choice_count)
    call_ids = [facts.call_ids[at] for at in calls_to_identify(script)]
    return chat_slots(REQUEST_ID, facts.created, tokens.slots(), call_ids)


def with_call_ids(script: Script, facts: ChatFacts) -> ChatFacts:
    return replace(facts, call_ids=tuple(f"call_{at}" for at in range(len(script.items))))


@given(script=SCRIPTS, facts=FACTS)
def test_a_completion_has_the_bytes_of_one_that_is_built(script: Script, facts: ChatFacts) -> None:
    facts = with_call_ids(script, facts)
    template = compile_chat_completion(script, facts.model, facts.choice_count)
    (body,) = template.render(slots_for(script, facts))
    assert body == json.dumps(build_chat_completion(script, facts))


@given(script=SCRIPTS, facts=FACTS)
def test_a_stream_has_the_bytes_of_one_that_is_built(script: Script, facts: ChatFacts) -> None:
    facts = with_call_ids(script, facts)
    template = compile_chat_stream(script, facts.model, facts.choice_count, include_usage=facts.include_usage)
    frames = template.render(slots_for(script, facts))
    assert tuple(frames) == tuple(encode_chunks(build_chat_chunks(script, facts)))
    assert frames.size == sum(map(len, frames))
    assert frames.template.token_counts == tuple(map(count_text_tokens, frames))


def test_equal_replies_share_their_template() -> None:
    scripts = [Script((Message(("Hi", "!")),)) for _ in range(2)]
    one, two = (compile_chat_completion(script, "qwen-plus", 1) for script in scripts)
    assert one is two
    assert compile_chat_completion(scripts[0], "qwen-plus", 2) is not one


@pytest.mark.parametrize("call_id", [None, ""])
def test_only_calls_without_an_id_get_one(call_id: str | None) -> None:
    items = (Message(("Wait.",)), FunctionCall("f", "{}", "own"), FunctionCall("g", "{}", call_id))
    assert calls_to_identify(Script(items)) == (2,)
