"""Strategies for Chat Completions: requests, completions and streams."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from mockserver.ids import format_call_id, format_uuid
from mockserver.profiles import DEFAULT_PROFILE
from mockserver.replies.chat import ChatFacts, build_chat_chunks, build_chat_completion
from mockserver.testing.strategies.rendered_replies import render_context
from mockserver.testing.strategies.scripts import scripts
from mockserver.testing.strategies.values import JSONObject, texts

__all__ = ["chat_completions", "chat_requests", "chat_streams"]

_FUNCTION_NAMES = ("get_weather", "add", "look-up")
_PARAMETER_SCHEMAS: tuple[JSONObject, ...] = (
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"enum": [1, None, "x"]}}},
    {},
)
_ARGUMENTS = st.sampled_from(["{}", '{"city":"Hangzhou"}', '{ "a": [1, "é"] }'])
_IMAGE_PART: JSONObject = {"type": "image_url", "image_url": {"url": "https://www.example.com/cat.png"}}


def chat_requests(
    *, profile: str = DEFAULT_PROFILE, stream: bool | None = None
) -> SearchStrategy[JSONObject]:
    """Bodies of valid chat requests, with whole conversations in their messages.

    `profile` decides the models. `stream` sets whether the request streams; None draws either.
    """
    return _requests(profile, stream)


def chat_completions(*, profile: str = DEFAULT_PROFILE) -> SearchStrategy[JSONObject]:
    """Completions that are not streamed."""
    return st.tuples(_completed_scripts(profile), _facts(profile)).map(
        lambda pair: build_chat_completion(pair[0], _with_call_ids(*pair))
    )


def chat_streams(*, profile: str = DEFAULT_PROFILE) -> SearchStrategy[list[JSONObject]]:
    """The chunks of streamed completions, without the final `[DONE]`."""
    return st.tuples(_completed_scripts(profile), _facts(profile), st.booleans()).map(
        lambda drawn: _with_call_tail([*build_chat_chunks(*_rendered_facts(*drawn[:2]))], drawn[2])
    )


def _rendered_facts(script: Any, facts: ChatFacts) -> tuple[Any, ChatFacts]:
    return script, _with_call_ids(script, facts)


def _with_call_tail(chunks: list[JSONObject], has_tail: bool) -> list[JSONObject]:
    """The chunks with a choice of calls ended by null arguments and an empty delta.

    Some streams of the service end so (inferred from reports of clients; no document shows it).
    """
    if not has_tail:
        return chunks
    ended: list[JSONObject] = []
    for chunk in chunks:
        choice = (chunk["choices"] or [{}])[0]
        if choice.get("finish_reason") == "tool_calls":
            last_call = ended[-1]["choices"][0]
            call = {**last_call["delta"]["tool_calls"][0], "id": "", "function": {"arguments": None}}
            delta = {**last_call["delta"], "tool_calls": [call]}
            ended.append({**ended[-1], "choices": [{**last_call, "delta": delta}]})
            ended.append({**chunk, "choices": [{**choice, "delta": {}}]})
        else:
            ended.append(chunk)
    return ended


def _completed_scripts(profile: str) -> SearchStrategy[Any]:
    return scripts(profile=profile, statuses=("completed",))


@st.composite
def _facts(draw: DrawFn, profile: str) -> ChatFacts:
    return ChatFacts(
        f"chatcmpl-{format_uuid(f'{draw(st.integers(1, 9)):032x}')}",
        draw(st.integers(1_700_000_000, 1_800_000_000)),
        draw(st.sampled_from(render_context(profile, "wire").profile.models)),
        draw(st.integers(1, 500)),
        (),
        draw(st.integers(1, 2)),
        draw(st.booleans()),
    )


def _with_call_ids(script: Any, facts: ChatFacts) -> ChatFacts:
    drawn = tuple(format_call_id(f"{number:024x}") for number in range(len(script.items)))
    return replace(facts, call_ids=drawn)


@st.composite
def _requests(draw: DrawFn, profile: str, stream: bool | None) -> JSONObject:
    request: JSONObject = {
        "model": draw(st.sampled_from(render_context(profile, "wire").profile.models)),
        "messages": [*draw(_SYSTEM_MESSAGES), *draw(_EARLIER_TURNS), *draw(_LAST_TURN)],
        **draw(st.fixed_dictionaries({}, optional=_OPTIONAL_MEMBERS)),
    }
    if stream is not None:
        request["stream"] = stream
    if request.get("enable_thinking") and (request.get("response_format") or {}).get("type") == "json_object":
        del request["response_format"]
    return request


def _messages(role: str, content: SearchStrategy[Any]) -> SearchStrategy[JSONObject]:
    return content.map(lambda value: {"role": role, "content": value})


_NONEMPTY_TEXTS = texts().map(lambda text: text or "a")
_TEXT_PARTS = st.lists(
    _NONEMPTY_TEXTS.map(lambda text: {"type": "text", "text": text}), min_size=1, max_size=2
)
_USER_MESSAGES = _messages(
    "user", _NONEMPTY_TEXTS | _TEXT_PARTS | st.just([_IMAGE_PART, {"type": "text", "text": "What is it?"}])
)
_FUNCTION_CALLS = st.lists(st.tuples(st.sampled_from(_FUNCTION_NAMES), _ARGUMENTS), min_size=1, max_size=2)


def _call_messages(calls: list[tuple[str, str]]) -> list[JSONObject]:
    """An assistant message with calls, and a tool message for each."""
    ids = [f"call_{number}" for number in range(len(calls))]
    calls_made = [
        {"id": each, "type": "function", "function": {"name": name, "arguments": arguments}}
        for each, (name, arguments) in zip(ids, calls, strict=True)
    ]
    outputs = [{"role": "tool", "tool_call_id": each, "content": "sunny"} for each in ids]
    return [{"role": "assistant", "content": None, "tool_calls": calls_made}, *outputs]


_SYSTEM_MESSAGES = st.lists(_messages("system", _NONEMPTY_TEXTS), max_size=1)
_CALL_MESSAGES = _FUNCTION_CALLS.map(_call_messages)
_LAST_TURN = st.tuples(_USER_MESSAGES, st.just([]) | _CALL_MESSAGES).map(lambda pair: [pair[0], *pair[1]])
_EARLIER_TURNS = st.lists(
    st.tuples(_USER_MESSAGES, st.just([]) | _CALL_MESSAGES, _messages("assistant", _NONEMPTY_TEXTS)).map(
        lambda turn: [turn[0], *turn[1], turn[2]]
    ),
    max_size=2,
).map(lambda turns: [message for turn in turns for message in turn])

_TOOLS = st.sampled_from([_FUNCTION_NAMES[:1], _FUNCTION_NAMES[1:], _FUNCTION_NAMES[::-2]]).flatmap(
    lambda names: st.tuples(*(st.sampled_from(_PARAMETER_SCHEMAS) for _ in names)).map(
        lambda schemas: [
            {"type": "function", "function": {"name": name, "description": name, "parameters": schema}}
            for name, schema in zip(names, schemas, strict=True)
        ]
    )
)
_RESPONSE_SCHEMA: JSONObject = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
_RESPONSE_FORMATS: tuple[JSONObject, ...] = (
    {"type": "text"},
    {"type": "json_object"},
    {"type": "json_schema", "json_schema": {"name": "number", "schema": _RESPONSE_SCHEMA, "strict": True}},
)
_OPTIONAL_MEMBERS: dict[str, SearchStrategy[Any]] = {
    "stream": st.booleans(),
    "stream_options": st.fixed_dictionaries({}, optional={"include_usage": st.booleans()}),
    "temperature": st.floats(0, 1.9),
    "top_p": st.floats(0.1, 1),
    "max_tokens": st.integers(1, 40),
    "max_completion_tokens": st.integers(1, 40),
    "n": st.none() | st.integers(1, 2),
    "seed": st.integers(0, 9),
    "stop": st.sampled_from(["x", ["x"]]),
    "response_format": st.sampled_from(_RESPONSE_FORMATS),
    "tools": _TOOLS,
    "tool_choice": st.sampled_from(["auto", "none", None]),
    "parallel_tool_calls": st.booleans(),
    "enable_thinking": st.none() | st.booleans(),
    "user": st.just("somebody"),
}
