"""Create requests in the later profiles: parameters, echoes, thinking, limits, tools and the session cache."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import jsonschema
import pytest

from mockserver.clock import SteppedClock
from mockserver.profiles import load_profile
from mockserver.testing.mock import MockServer
from tests.api_client import ApiClient
from tests.marks import slow_except

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Weather of a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
TIME = {"type": "function", "name": "get_time", "description": "Time", "parameters": {"type": "object"}}
MCP = {
    "type": "mcp",
    "server_protocol": "sse",
    "server_label": "amap-maps",
    "server_url": "https://a.invalid",
}
FILES = {"type": "file_search", "vector_store_ids": ["vs_1"]}
LONG = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen more"


def kinds(response: dict[str, Any]) -> list[str]:
    return [item["type"] for item in response["output"]]


def types(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events]


def is_september(api: ApiClient) -> bool:
    return api.server.profile == "qwen-2026-09"


def test_finished_response_has_all_members(later: ApiClient) -> None:
    """Members of the retrieve page (May 2026) and of a live response (August 2026)."""
    later.server.reply("Hi.")
    response = later.create()
    assert set(response) == {
        "background", "completed_at", "created_at", "frequency_penalty", "id", "metadata", "model", "object",
        "output", "parallel_tool_calls", "presence_penalty", "service_tier", "status", "store", "temperature",
        "tool_choice", "tools", "top_logprobs", "top_p", "usage",
    }  # fmt: skip
    assert (response["background"], response["service_tier"], response["store"]) == (False, "default", True)
    assert response["parallel_tool_calls"] is True
    assert response["id"].startswith("resp_")
    assert isinstance(response["completed_at"], int)
    (row,) = response["usage"]["x_details"]
    assert row["x_billing_type"] == "response_api"
    assert row["prompt_tokens_details"] == {"cached_tokens": 0}
    assert row["total_tokens"] == response["usage"]["total_tokens"]


def test_first_snapshots_have_nine_members(later: ApiClient) -> None:
    events = later.create_stream("hi")
    for event in events[:2]:
        assert set(event["response"]) == {
            "created_at", "id", "model", "object", "output", "parallel_tool_calls", "status", "tool_choice",
            "tools",
        }  # fmt: skip
    assert [event["response"]["status"] for event in events[:2]] == ["queued", "in_progress"]
    assert events[-1]["response"]["completed_at"]


def test_parameters_are_echoed(later: ApiClient) -> None:
    parameters = {
        "temperature": 0.25, "top_p": 0.5, "frequency_penalty": 1, "presence_penalty": -1, "top_logprobs": 2,
        "store": False, "metadata": {"type": "message", "a": "b"}, "parallel_tool_calls": False,
        "instructions": "Be brief.",
    }  # fmt: skip
    response = later.create("hi", **parameters)
    assert {name: response[name] for name in parameters} == parameters
    events = later.create_stream("hi", **parameters)
    assert {name: events[-1]["response"][name] for name in parameters} == parameters
    assert {event["response"]["parallel_tool_calls"] for event in (events[0], events[1])} == {False}
    assert "instructions" not in later.create("hi", instructions=None)


def test_instructions_cost_tokens_and_are_not_inherited(later: ApiClient) -> None:
    later.server.reply("Hi.")
    plain = later.create("hi")
    later.server.reply("Hi.")
    instructed = later.create("hi", instructions=LONG)
    assert instructed["usage"]["input_tokens"] == plain["usage"]["input_tokens"] + 17
    after = [later.create("and", previous_response_id=each["id"]) for each in (plain, instructed)]
    assert after[0]["usage"]["input_tokens"] == after[1]["usage"]["input_tokens"]


@pytest.mark.parametrize(
    ("model", "thinks"),
    [
        ("qwen3.5-plus", True),
        ("qwen3.6-flash", True),
        ("qwen3.7-max", True),
        ("qwen3-max", False),
        ("qwen3-max-2026-01-23", False),
        ("qwen3-coder-plus", False),
    ],
)
def test_thinking_by_default_depends_on_the_model(later: ApiClient, model: str, thinks: bool) -> None:
    """Qwen3.5 and later think by default, Qwen3 does not (vendor's guide "Thinking", 2026)."""
    assert ("reasoning" in kinds(later.create("hi", model=model))) == thinks
    assert "reasoning" in kinds(later.create("hi", model=model, enable_thinking=True))
    assert "reasoning" in kinds(later.create("hi", model=model, reasoning={"effort": "low"}))
    assert "reasoning" not in kinds(later.create("hi", model=model, enable_thinking=False))


@pytest.mark.parametrize("model", ["qwq-plus", "qwen3-vl-235b-a22b-thinking"])
def test_thinking_only_models_always_think(model: str) -> None:
    with MockServer(profile="latest", model=model) as server, httpx.Client(trust_env=False) as client:
        api = ApiClient(server, client)
        for members in ({}, {"reasoning": {"effort": "none"}}):
            assert "reasoning" in kinds(api.create("hi", **members))
        # Text of the vendor's error-code page (September to November 2026).
        restricted = "The value of the enable_thinking parameter is restricted to True."
        refused = api.post({"model": model, "input": "hi", "enable_thinking": False})
        assert (refused.status_code, refused.json()["message"]) == (400, restricted)


@pytest.mark.parametrize(
    ("members", "thinks"),
    [
        ({}, True),
        ({"enable_thinking": False}, False),
        ({"reasoning": {"effort": "none"}}, False),
        ({"reasoning": {"effort": "none"}, "enable_thinking": True}, False),
        ({"reasoning": {"effort": "high"}, "enable_thinking": False}, True),
        ({"reasoning": {"effort": "minimal"}}, True),
        ({"reasoning": {"effort": None}, "enable_thinking": False}, False),
        ({"reasoning": None}, True),
    ],
)
def test_effort_wins_over_enable_thinking(later: ApiClient, members: dict[str, Any], thinks: bool) -> None:
    assert ("reasoning" in kinds(later.create("hi", model="qwen3.5-plus", **members))) == thinks


def test_levels_of_effort(later: ApiClient) -> None:
    levels = ["none", "minimal", "low", "medium", "high"]
    levels += ["xhigh", "max"] if is_september(later) else []
    for level in levels:
        assert later.create("hi", reasoning={"effort": level})["status"] == "completed"
    for level in ("ultra", "max" if not is_september(later) else "MAX"):
        body = {"model": later.server.model, "input": "hi", "reasoning": {"effort": level}}
        status, code, message = later.post_refused(body)
        assert (status, code) == (400, "InvalidParameter")
        assert "reasoning.effort" in message


def test_reasoning_has_the_events_of_the_profile(later: ApiClient) -> None:
    events = later.create_stream("hi", enable_thinking=True)
    name = "reasoning_text" if is_september(later) else "reasoning_summary_text"
    reasoning_events = [event for event in events if event["type"].startswith("response.reasoning")]
    assert {event["type"] for event in reasoning_events} == {
        f"response.{name}.delta",
        f"response.{name}.done",
    }
    index = "content_index" if is_september(later) else "summary_index"
    assert all(event[index] == 0 for event in reasoning_events)
    reasoning = events[-1]["response"]["output"][0]
    assert set(reasoning) == {"id", "summary", "type"}
    text = "".join(event["delta"] for event in reasoning_events if event["type"].endswith("delta"))
    assert reasoning["summary"] == [{"text": text, "type": "summary_text"}]


@pytest.mark.parametrize("stream", [False, True])
def test_output_limit_truncates_the_reply(newest: ApiClient, stream: bool) -> None:
    newest.server.reply(LONG)
    if stream:
        events = newest.create_stream("hi", max_output_tokens=16)
        assert events[-1]["type"] == "response.incomplete"
        assert types(events)[-4:] == [
            "output_text.done",
            "content_part.done",
            "output_item.done",
            "incomplete",
        ]
        response = events[-1]["response"]
    else:
        response = newest.create("hi", max_output_tokens=16)
    assert response["status"] == "incomplete"
    assert response["incomplete_details"] == {"reason": "max_output_tokens"}
    (item,) = response["output"]
    assert item["status"] == "incomplete"
    assert item["content"][0]["text"] == LONG.rpartition(" ")[0]
    assert response["usage"]["output_tokens"] == 16


def test_output_limit_that_is_not_reached_changes_nothing(newest: ApiClient) -> None:
    newest.server.reply("Hi.")
    assert newest.create("hi", max_output_tokens=16)["status"] == "completed"


def test_models_whose_output_limit_counts_thoughts(newest: ApiClient) -> None:
    def limited(model: str) -> dict[str, Any]:
        body = {"model": model, "input": "hi", "max_output_tokens": 16, "enable_thinking": True}
        response: dict[str, Any] = newest.post(body).json()
        return response

    assert kinds(limited("qwen3.8-max")) == ["reasoning"]
    assert kinds(limited("qwen3-max")) == ["reasoning", "message"]


def test_lowest_output_limit(newest: ApiClient, later: ApiClient) -> None:
    status, _, message = newest.post_refused({"model": "qwen3-max", "input": "hi", "max_output_tokens": 15})
    assert (status, message) == (400, "max_output_tokens must be 16 or more")
    if not is_september(later):
        later.create("hi", max_output_tokens=1)
        assert later.server.journal.last.ignored == ("max_output_tokens",)


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("metadata", "text"),
        ("metadata", []),
        ("parallel_tool_calls", "no"),
        ("text", {"format": {"type": "xml"}}),
        ("text", {"format": {"type": "json_schema"}}),
        ("text", {"format": {"type": "json_schema", "schema": 3}}),
        ("text", {"format": {}}),
        ("text", {"format": 3}),
    ],
)
def test_undocumented_values_are_accepted_and_echoed(later: ApiClient, member: str, value: Any) -> None:
    """Live probe of 27 September 2026."""
    for stream in (False, True):
        reply = later.post({"model": later.server.model, "input": "x", member: value, "stream": stream})
        assert reply.status_code == 200, reply.text
        rules = [each.rule for each in later.server.journal.last.findings]
        assert [each for each in rules if each != "REQ-002"] == ["REQ-017"]
    if member != "text":
        assert later.create("x", **{member: value})[member] == value


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("temperature", 2), ("temperature", -0.1), ("top_p", 0), ("top_p", 1.01), ("store", "yes"),
        ("instructions", 1), ("conversation", {}),
        ("reasoning", "high"),
        ("tool_choice", {"type": "allowed_tools"}),
        ("tool_choice", {"type": "allowed_tools", "mode": "never", "tools": [{"type": "mcp"}]}),
        ("tools", [{"type": "file_search"}]), ("tools", [{"type": "mcp", "server_label": "x"}]),
        ("tools", [{"type": "file_search", "vector_store_ids": ["a", "b"]}]),
    ],
)  # fmt: skip
def test_error_names_the_parameter(later: ApiClient, member: str, value: Any) -> None:
    status, code, message = later.post_refused({"model": later.server.model, "input": "x", member: value})
    assert (status, code) == (400, "InvalidParameter")
    assert member[1:4] in message


def test_required_tool_choice_is_documented_for_exactly_one_tool(later: ApiClient) -> None:
    assert kinds(later.create("x", tools=[WEATHER], tool_choice="required"))[-1] == "function_call"
    assert "web_search_call" in kinds(
        later.create("x", tools=[{"type": "web_search"}], tool_choice="required")
    )
    for tools in ([], [WEATHER, TIME]):
        output = kinds(later.create("x", tools=tools, tool_choice="required"))
        assert output[-1] == ("function_call" if tools else "message")
        (finding,) = later.server.journal.last.findings
        assert (finding.rule, finding.severity) == ("REQ-011", "info")
        assert "exactly one tool" in finding.message


def test_tool_choice_none_and_allowed_tools(later: ApiClient) -> None:
    tools = [WEATHER, TIME, {"type": "web_search"}]
    assert kinds(later.create("x", tools=tools, tool_choice="none"))[-1] == "message"
    allowed = {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "get_time"}]}
    response = later.create("x", tools=tools, tool_choice=allowed)
    assert response["output"][-1]["name"] == "get_time"
    assert "web_search_call" not in kinds(response)
    assert response["tool_choice"] == allowed


@pytest.mark.parametrize("stream", [False, True])
def test_several_functions_are_called_in_parallel(later: ApiClient, stream: bool) -> None:
    def called(**members: Any) -> list[str]:
        body = {"tools": [WEATHER, TIME], "enable_thinking": False, **members}
        prompt = "Use get_weather and get_time."
        response = (
            later.create_stream(prompt, **body)[-1]["response"] if stream else later.create(prompt, **body)
        )
        return [item["name"] for item in response["output"]]

    assert called() == ["get_weather", "get_time"]
    assert called(parallel_tool_calls=False) == ["get_weather"]


def test_function_loop(later: ApiClient) -> None:
    first = later.create("What is the weather?", tools=[WEATHER])
    call = first["output"][-1]
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "sunny"}
    assert kinds(later.create([output], previous_response_id=first["id"], tools=[WEATHER]))[-1] == "message"
    history = [{"role": "user", "content": "What is the weather?"}, *first["output"], output]
    assert kinds(later.create(history, tools=[WEATHER]))[-1] == "message"


@pytest.mark.parametrize("how", ["deltas", "whole"])
def test_arguments_come_in_deltas_or_whole(how: str) -> None:
    with (
        MockServer(profile="qwen-2026-05", function_arguments=how) as server,
        httpx.Client(trust_env=False) as client,
    ):
        events = ApiClient(server, client).create_stream("x", tools=[WEATHER], enable_thinking=False)
    argument_events = [event for event in types(events) if event.startswith("function_call_arguments")]
    assert bool(argument_events) == (how == "deltas")
    added = next(event["item"] for event in events if event["type"] == "response.output_item.added")
    assert bool(added["arguments"]) == (how == "whole")
    assert json.loads(events[-1]["response"]["output"][0]["arguments"])["city"]


@pytest.mark.parametrize("stream", [False, True])
def test_every_tool_runs_as_documented(later: ApiClient, stream: bool) -> None:
    tools: list[dict[str, Any]] = [
        FILES, MCP, *({"type": kind} for kind in
        ("web_search", "web_extractor", "code_interpreter", "web_search_image", "image_search")),
    ]  # fmt: skip
    response = (
        later.create_stream("Look", tools=tools, enable_thinking=True)[-1]["response"]
        if stream
        else later.create("Look", tools=tools, enable_thinking=True)
    )
    ran = {item["type"]: item for item in response["output"]}
    assert set(ran) == {
        "reasoning", "message", "web_search_call", "web_extractor_call", "code_interpreter_call",
        "web_search_image_call", "image_search_call", "file_search_call", "mcp_call",
    }  # fmt: skip
    (picture, _) = json.loads(ran["web_search_image_call"]["output"])
    assert set(picture) == {"title", "url", "index"}
    assert picture["index"] == 1
    assert json.loads(ran["web_search_image_call"]["arguments"]) == {"queries": ["Look"]}
    assert json.loads(ran["image_search_call"]["arguments"]) == {"img_idx": 0, "bbox": [0, 0, 1000, 1000]}
    assert set(ran["file_search_call"]["results"][0]) == {"file_id", "filename", "score", "text"}
    assert ran["mcp_call"]["name"] == "amap-maps-search"
    assert ran["mcp_call"]["server_label"] == "MCP Server"
    assert ("queries" in ran["web_search_call"]["action"]) == is_september(later)
    assert ran["web_search_call"]["action"]["query"] == "Look"
    counted = set(response["usage"]["x_tools"])
    assert counted == {tool["type"] for tool in tools} - {"mcp"}
    (row,) = response["usage"]["x_details"]
    assert row.get("plugins") == (response["usage"]["x_tools"] if is_september(later) else None)


def test_mcp_arguments_come_before_the_item(later: ApiClient) -> None:
    events = later.create_stream("Look", tools=[MCP], enable_thinking=False)
    mcp_events = [each for each in types(events) if "mcp" in each or "output_item" in each][:-2]
    started = ["mcp_call.in_progress"] if is_september(later) else []
    assert [each for each in mcp_events if each != "mcp_call_arguments.delta"] == [
        "mcp_call_arguments.done", "output_item.added", *started, "mcp_call.completed", "output_item.done",
    ]  # fmt: skip
    assert mcp_events[0] == "mcp_call_arguments.delta"


def test_progress_events_of_a_file_search(later: ApiClient) -> None:
    events = later.create_stream("Look", tools=[FILES], enable_thinking=False)
    assert types(events)[2:7] == [
        "output_item.added", "file_search_call.in_progress", "file_search_call.searching",
        "file_search_call.completed", "output_item.done",
    ]  # fmt: skip


def test_tools_that_need_thinking_are_rejected_without_it(later: ApiClient) -> None:
    interpreter = {"type": "code_interpreter"}
    thinking = {"model": "qwen3.5-plus"}, {"enable_thinking": True}, {"reasoning": {"effort": "low"}}
    for members in thinking:
        assert "code_interpreter_call" in kinds(later.create("x", tools=[interpreter], **members))
    for members in ({}, {"enable_thinking": False}, {"reasoning": {"effort": "none"}}):
        body = {"model": later.server.model, "input": "x", "tools": [interpreter], **members}
        assert "Normal mode does not support Code interpreter." in later.post_refused(body)[2]


CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "population": {"type": "integer", "minimum": 1}},
    "required": ["city", "population"],
    "additionalProperties": False,
}


CITY_FORMAT = {"type": "json_schema", "name": "City", "schema": CITY, "strict": True}


@pytest.fixture(params=slow_except({"qwen-2026-09"}, ["qwen-2026-05", "qwen-2026-09"]))
def obedient(request: pytest.FixtureRequest) -> Iterator[ApiClient]:
    """A client of a server whose messages follow `text.format`."""
    with (
        MockServer(profile=request.param, structured_output="obey", strict=False) as server,
        httpx.Client(trust_env=False) as client,
    ):
        yield ApiClient(server, client)


def message_text(api: ApiClient, text_format: dict[str, Any], *, stream: bool) -> str:
    text = {"format": text_format}
    response = (
        api.create_stream("A city", text=text)[-1]["response"] if stream else api.create("A city", text=text)
    )
    return str(response["output"][-1]["content"][0]["text"])


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("text_format", [CITY_FORMAT, {"type": "json_object"}])
def test_text_format_is_ignored_and_reported(
    later: ApiClient, text_format: dict[str, Any], stream: bool
) -> None:
    """Live probes, 26 February and 27 September 2026: prose comes back."""
    with pytest.raises(json.JSONDecodeError):
        json.loads(message_text(later, text_format, stream=stream))
    entry = later.server.journal.last
    assert entry.ignored == ("text",)
    (finding,) = entry.findings
    assert (finding.rule, finding.severity, finding.pointer) == ("REQ-002", "info", "/text/format")
    assert "ignores text.format" in finding.message


def test_schema_of_the_text_format_is_echoed_as_schema_(later: ApiClient) -> None:
    response = later.create("A city", text={"format": CITY_FORMAT})
    assert response["text"] == {
        "format": {"type": "json_schema", "name": "City", "schema_": CITY, "strict": True}
    }
    assert later.create("A city", text={"format": {"type": "text"}})["text"] == {"format": {"type": "text"}}
    assert "text" not in later.create("A city")


@pytest.mark.parametrize("stream", [False, True])
def test_message_follows_the_text_format_on_request(obedient: ApiClient, stream: bool) -> None:
    jsonschema.validate(json.loads(message_text(obedient, CITY_FORMAT, stream=stream)), CITY)
    assert isinstance(json.loads(message_text(obedient, {"type": "json_object"}, stream=stream)), dict)
    assert obedient.server.journal.last.ignored == ()
    assert obedient.server.journal.last.findings == []


def test_unsatisfiable_text_format_is_rejected_on_request(obedient: ApiClient) -> None:
    impossible = {"type": "json_schema", "schema": {"type": "string", "minLength": 9, "maxLength": 1}}
    body = {"model": obedient.server.model, "input": "x", "text": {"format": impossible}}
    assert "text.format" in obedient.post_refused(body)[2]


def test_stream_with_an_unknown_model_fails_in_band(later: ApiClient) -> None:
    """Live probe, 27 September 2026: HTTP 200 and a lone `response.failed`."""
    body = {"model": "gpt-5", "input": "x"}
    status, code, message = later.post_refused(body)
    assert (status, code) == (400, "InvalidParameter")
    reply = later.post({**body, "stream": True})
    assert reply.status_code == 200
    (data,) = [line for line in reply.text.splitlines() if line.startswith("data:")]
    event = json.loads(data[5:])
    assert event["type"] == "response.failed"
    assert event["response"]["error"] == {"code": "InvalidParameter", "message": message}
    entry = later.server.journal.last
    assert [each.rule for each in entry.findings] == ["REQ-005"]
    assert later.post({**body, "model": later.server.model, "stream": True, "top_p": 9}).status_code == 400


def test_typed_input_is_accepted(later: ApiClient) -> None:
    earlier = later.create("Hello", tools=[WEATHER], tool_choice="none")["output"]
    parts: list[dict[str, Any]] = [
        {"type": "input_text", "text": "What is this?"},
        {"type": "input_image", "image_url": "https://example.invalid/a.png"},
        {"type": "input_image", "image_url": "data:image/png;base64,AAAA"},
        {"type": "image_url", "image_url": "https://example.invalid/a.png"},
        {"type": "image_url", "image_url": {"url": "https://example.invalid/a.png"}},
    ]
    if is_september(later):
        parts += [
            {"type": "input_file", "file_url": "https://example.invalid/a.pdf"},
            {"type": "input_audio", "format": "wav", "audio_url": "https://example.invalid/a.wav"},
            {
                "type": "input_audio",
                "format": "wav",
                "data": "data:audio/wav;base64,AA==",
                "use_multichannel": True,
            },
            {"type": "input_video", "video_url": "https://example.invalid/a.mp4", "fps": 2},
        ]
        search = {
            "type": "search",
            "queries": ["a"],
            "sources": [{"type": "url", "url": "https://a.invalid"}],
        }
        earlier += [{"type": "web_search_call", "id": "msg_1", "status": "completed", "action": search}]
    response = later.create([*earlier, {"role": "user", "content": parts}])
    assert response["status"] == "completed"
    assert later.server.journal.last.findings == []


@pytest.mark.parametrize(
    "part",
    [
        {"type": "input_audio", "format": "wav"},
        {"type": "input_audio", "format": "wav", "data": "a", "audio_url": "b"},
        {"type": "input_image", "image_url": {"detail": "low"}},
        {"type": "input_file", "file_url": 1},
        {"type": "input_video", "video_url": 1},
    ],
)
def test_invalid_parts_are_rejected(newest: ApiClient, part: dict[str, Any]) -> None:
    body = {"model": "qwen3-max", "input": [{"role": "user", "content": [part]}]}
    assert (
        "input[0].content[0]" in newest.post_refused(body)[2] or "audio part" in newest.post_refused(body)[2]
    )


def test_file_without_url_is_accepted(newest: ApiClient) -> None:
    part = {"type": "input_file", "file_data": "data:application/pdf;base64,AA=="}
    assert newest.create([{"role": "user", "content": [part]}])["status"] == "completed"
    assert "REQ-019" in [finding.rule for finding in newest.server.journal.last.findings]


def test_later_profiles_add_models(later: ApiClient) -> None:
    january, profile = load_profile(), load_profile("qwen-2026-09" if is_september(later) else "qwen-2026-05")
    assert set(january.models) < set(profile.models)
    for model in ("qwen3-max-2026-01-23", "qwen3.6-plus", profile.models[-1]):
        assert later.post({"model": model, "input": "hi"}).status_code == 200
    if not is_september(later):
        assert "Unsupported model" in later.post_refused({"model": "qwen3.8-max", "input": "hi"})[2]


def advance(api: ApiClient, seconds: float) -> None:
    clock = api.server.clock
    assert isinstance(clock, SteppedClock)
    clock.advance(seconds)


CACHED = {"x_dashscope_session_cache": "enable"}


def test_session_cache(later: ApiClient) -> None:
    def usage(prompt: str, previous: str | None, **headers: str) -> tuple[str, dict[str, Any]]:
        later.server.reply("Hi.")
        body = {"model": later.server.model, "input": prompt, "previous_response_id": previous}
        reply = later.post(body, **headers).json()
        row = reply["usage"]["x_details"][0]["prompt_tokens_details"]
        assert reply["usage"]["input_tokens_details"]["cached_tokens"] == row["cached_tokens"]
        return reply["id"], row

    _, row = usage("hi", None, **CACHED)
    assert (row["cached_tokens"], row["cache_creation_input_tokens"]) == (0, 0)
    first, row = usage("word " * 1100, None, **CACHED)
    written = 1100 + load_profile("qwen-2026-05").hidden_prompt_tokens
    assert row == {
        "cached_tokens": 0, "cache_creation_input_tokens": written, "cache_type": "ephemeral",
        "cache_creation": {"ephemeral_5m_input_tokens": written},
    }  # fmt: skip
    advance(later, 299)
    second, row = usage("and", first, **CACHED)
    assert (row["cached_tokens"], row["cache_creation_input_tokens"]) == (written, 3)
    advance(later, 299)  # the five minutes started again
    third, row = usage("and", second, **CACHED)
    assert row["cached_tokens"] == written + 3
    advance(later, 300)
    assert usage("and", third, **CACHED)[1]["cached_tokens"] == 0
    assert usage("and", second)[1] == {"cached_tokens": 0}
    assert usage("and", second, x_dashscope_session_cache="disable")[1] == {"cached_tokens": 0}


def test_echoes_that_make_an_event_too_long_are_rejected(later: ApiClient) -> None:
    later.server.reply("x" * 990_000)
    body = {"model": later.server.model, "input": "hi", "instructions": "y" * 100_000, "stream": True}
    assert "too long to be echoed" in later.post_refused(body)[2]
    later.server.reply("Hi.")
    assert later.create("hi", instructions="y" * 100_000)["instructions"] == "y" * 100_000
