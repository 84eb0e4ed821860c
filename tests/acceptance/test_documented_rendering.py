"""The form of the documented samples, byte for byte.

The document's stream sample is what openai-python 2.15.0 prints for the service's events. The `wire` stream read
through that client and the `documented` stream both equal the sample's lines once ids, times and texts are
masked, and they equal each other without masks.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import (
    KEY,
    MODEL,
    ROOT,
    ServerProcess,
    StartServer,
    environment_python,
    isolated_environment,
)

pytestmark = pytest.mark.acceptance

DUMP_SCRIPT = Path(__file__).parent / "clients" / "dump_streams.py"
FIXTURES = ROOT / "fixtures" / "qwen-2026-01"

#: Numbers of the events that the document shows; it leaves out 8 to 37.
SHOWN_NUMBERS = [*range(8), *range(38, 45)]

ESSAY = {"input": "Please briefly introduce artificial intelligence."}
REQUESTS: dict[str, dict[str, Any]] = {
    "essay": ESSAY,
    "text": {"input": "Tell me about mountains."},
    "chinese": {"input": "请介绍一下杭州。"},
    "thinking": {"input": "Think about rivers.", "enable_thinking": True},
    "chinese thinking": {"input": "想一想长江。", "enable_thinking": True},
    "document's tools": {
        "input": "Find the Alibaba Cloud website and extract key information",
        "tools": [{"type": "web_search"}, {"type": "code_interpreter"}, {"type": "web_extractor"}],
        "enable_thinking": True,
    },
    "all tools": {
        "input": "Look up tomorrow's weather and do the sums.",
        "tools": [{"type": "web_search"}, {"type": "code_interpreter"}, {"type": "web_extractor"}],
        "enable_thinking": True,
    },
    "web search alone": {"input": "Who won?", "tools": [{"type": "web_search"}]},
    "function": {
        "input": "What is the weather in Hangzhou?",
        "tools": [
            {
                "type": "function",
                "name": "get_weather",
                "description": "The weather of a city",
                "parameters": {
                    "type": "object",
                    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
                    "required": ["city", "days"],
                },
            }
        ],
    },
    "messages": {
        "input": [
            {"role": "system", "content": "You are a helpful assistant."},
            {"role": "user", "content": 'Quote "this" \\ and 那个 — please.'},
        ]
    },
    "sampling": {"input": "Be creative.", "temperature": 0.5, "top_p": 0.9, "tool_choice": "none"},
}


_LATER_TOOLS = [
    {"type": "web_search"},
    {"type": "web_search_image"},
    {"type": "image_search"},
    {"type": "file_search", "vector_store_ids": ["vs_1"]},
    {
        "type": "mcp",
        "server_protocol": "sse",
        "server_label": "maps",
        "server_url": "https://example.invalid/sse",
    },
]
LATER_REQUESTS: dict[str, dict[str, Any]] = {
    "text": {"input": "Tell me about mountains.", "reasoning": {"effort": "none"}},
    "thinking": REQUESTS["thinking"],
    "january's tools": REQUESTS["all tools"],
    "later tools": {"input": "Look it up.", "tools": _LATER_TOOLS},
    "function": {**REQUESTS["function"], "parallel_tool_calls": False},
    "limit": {"input": "Tell me about mountains, at length.", "max_output_tokens": 16},
    "echoes": {
        "input": "Be creative.",
        "instructions": "Be brief.",
        "temperature": 0.5,
        "top_p": 0.9,
        "metadata": {"type": "message", "a": "b"},
        "store": False,
        "tool_choice": "none",
    },
}


def dump_with_sdk(server: ServerProcess, *requests: dict[str, Any]) -> list[list[str]]:
    """What openai-python 2.15.0 prints for these requests' streams, one line for each event."""
    bodies = [{"model": MODEL, "stream": True, **sdk_arguments(request)} for request in requests]
    done = subprocess.run(
        [environment_python("openai-2.15.0"), DUMP_SCRIPT],
        input=json.dumps(bodies),
        env=isolated_environment(OPENAI_BASE_URL=server.base_url, OPENAI_API_KEY=KEY),
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def sdk_arguments(request: dict[str, Any]) -> dict[str, Any]:
    """The client sends vendor-specific parameters in `extra_body`."""
    own = {name: value for name, value in request.items() if name == "enable_thinking"}
    return {name: value for name, value in request.items() if name not in own} | {"extra_body": own}


def data_lines(server: ServerProcess, request: dict[str, Any]) -> list[str]:
    """The data lines of a stream as they cross the wire."""
    reply = server.create(stream=True, **request)
    assert reply.status_code == 200, reply.text
    return [line.removeprefix("data:") for line in reply.text.split("\n") if line.startswith("data:")]


def mask_ids(text: str) -> str:
    """JSON text with ids and times masked, each in its own form."""
    text = re.sub(
        r'"((?:msg_)?)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-fx]{12}"', r'"\1ID"', text
    )
    return re.sub(r'"created_at":\d{10}(\.0)?(?=[,}])', r'"created_at":TIME\1', text)


def mask_ids_and_texts(text: str) -> str:
    """JSON text without ids, times and the values of `delta` and `text`."""
    return re.sub(r'"(delta|text)":"(?:[^"\\]|\\.)*"', r'"\1":"TEXT"', mask_ids(text))


def load_exchange(name: str) -> Any:
    """A documented exchange."""
    return json.loads((FIXTURES / f"{name}.json").read_text(encoding="utf-8"))


def documented_body(exchange: str) -> Any:
    """The sample that the document shows."""
    return load_exchange(exchange)["shown"]["body"]


def documented_lines() -> list[str]:
    lines: list[str] = documented_body("artificial-intelligence")
    assert len(lines) == 15
    assert [json.loads(line)["sequence_number"] for line in lines] == SHOWN_NUMBERS
    return lines


def test_the_mask_hides_values_and_nothing_else() -> None:
    """Guards the tests below: masking keeps the whole form of the documented lines."""
    first, *_, delta, text_done, part_done, item_done, _ = map(mask_ids_and_texts, documented_lines())

    assert first.startswith('{"response":{"id":"ID","created_at":TIME.0,"error":null,')
    assert delta == (
        '{"content_index":0,"delta":"TEXT","item_id":"msg_ID","logprobs":[],"output_index":0,'
        '"sequence_number":40,"type":"response.output_text.delta"}'
    )
    assert '"text":"TEXT","type":"response.output_text.done"' in text_done
    assert '{"annotations":[],"text":"TEXT","type":"output_text","logprobs":null}' in part_done
    assert '{"annotations":[],"text":"TEXT","type":"output_text","logprobs":null}' in item_done


@pytest.mark.slow
def test_wire_stream_prints_as_documented_by_the_sdk(server: ServerProcess) -> None:
    (lines,) = dump_with_sdk(server, ESSAY)

    assert len(lines) == 45
    assert [mask_ids_and_texts(lines[number]) for number in SHOWN_NUMBERS] == [
        mask_ids_and_texts(line) for line in documented_lines()
    ]


def test_documented_stream_equals_the_sample(start_server: StartServer) -> None:
    lines = data_lines(start_server("--rendering", "documented"), ESSAY)

    assert len(lines) == 45
    assert [mask_ids_and_texts(lines[number]) for number in SHOWN_NUMBERS] == [
        mask_ids_and_texts(line) for line in documented_lines()
    ]


@pytest.mark.slow
def test_documented_stream_equals_the_sdk_dump_of_the_wire(start_server: StartServer) -> None:
    """Without masks, for everything that the profile can emit."""
    wire, documented = start_server("--seed", "1"), start_server("--seed", "1", "--rendering", "documented")

    printed = dump_with_sdk(wire, *REQUESTS.values())

    assert len(printed) == len(REQUESTS)
    for (name, request), lines in zip(REQUESTS.items(), printed, strict=True):
        assert data_lines(documented, request) == lines, name


@pytest.mark.slow
@pytest.mark.parametrize("profile", ["qwen-2026-05", "qwen-2026-09"])
def test_documented_streams_of_later_profiles_equal_the_sdk_dump(
    profile: str, start_server: StartServer
) -> None:
    """The same for the profiles after January, with what only they can emit."""
    wire = start_server("--seed", "1", "--profile", profile)
    documented = start_server("--seed", "1", "--profile", profile, "--rendering", "documented")

    printed = dump_with_sdk(wire, *LATER_REQUESTS.values())

    for (name, request), lines in zip(LATER_REQUESTS.items(), printed, strict=True):
        assert data_lines(documented, request) == lines, name


@pytest.mark.slow
def test_documented_second_turn_equals_the_sdk_dump(start_server: StartServer) -> None:
    """A second turn: its ids and times depend on the first."""
    wire, documented = start_server("--seed", "1"), start_server("--seed", "1", "--rendering", "documented")
    first = {"input": "My name is John, please remember it."}
    parents = [server.create(**first).json()["id"] for server in (wire, documented)]
    assert parents[0] == parents[1]
    second = {"input": "Do you remember my name?", "previous_response_id": parents[0]}

    (printed,) = dump_with_sdk(wire, second)

    assert data_lines(documented, second) == printed


def test_wire_stream_has_neither_nulls_nor_floats(server: ServerProcess) -> None:
    for name, request in REQUESTS.items():
        for line in data_lines(server, request):
            assert not {type(value) for value in leaf_values(json.loads(line))} & {type(None), float}, (
                name,
                line,
            )


def leaf_values(value: Any) -> Iterator[Any]:
    """The leaf values of a JSON value."""
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from leaf_values(each)
    else:
        yield value


@pytest.mark.parametrize("rounds", [["introduction"], ["remember-my-name", "my-name"]], ids=["one", "two"])
def test_documented_reply_equals_the_sample(start_server: StartServer, rounds: list[str]) -> None:
    server = start_server("--rendering", "documented")
    body = ""
    for exchange in rounds:
        previous = json.loads(body)["id"] if body else None
        body = server.create(load_exchange(exchange)["request"]["input"], previous_response_id=previous).text

    assert list(json.loads(body)) == ["id", "created_at", "model", "object", "status", "output", "usage"]
    assert mask_ids(body) == mask_ids(compact_json(documented_body(rounds[-1])))


def test_documented_tools_reply_has_the_shown_members_in_their_order(start_server: StartServer) -> None:
    """The document shows a part of this reply; the reply has it, in the same order."""
    server = start_server("--rendering", "documented")
    request = load_exchange("alibaba-cloud-website")["request"]

    body = server.create(**{name: value for name, value in request.items() if name != "model"}).json()

    assert list(body) == ["id", "created_at", "model", "object", "status", "output", "usage"]
    assert compact_json(project_onto(documented_body("alibaba-cloud-website"), body)) == compact_json(
        project_onto(documented_body("alibaba-cloud-website"), documented_body("alibaba-cloud-website"))
    )


def project_onto(pattern: Any, value: Any) -> Any:
    """`value` without the members that `pattern` does not have, and without the response's id."""
    if isinstance(pattern, dict):
        return {
            name: project_onto(pattern[name], value[name])
            for name in value
            if name in pattern and name != "id"
        }
    if isinstance(pattern, list):
        return [project_onto(one, other) for one, other in zip(pattern, value, strict=True)]
    return value


@pytest.mark.slow
def test_generated_documented_replies_keep_to_the_documents_members(start_server: StartServer) -> None:
    server = start_server("--rendering", "documented")
    for name, request in REQUESTS.items():
        body = server.create(**request).json()
        assert list(body) == ["id", "created_at", "model", "object", "status", "output", "usage"], name
        for item in body["output"]:
            if item["type"] == "message":
                assert list(item) == ["id", "type", "role", "status", "content"], name
                assert [list(part) for part in item["content"]] == [["type", "text", "annotations"]], name
            if item["type"] == "reasoning":
                assert list(item) == ["id", "type", "summary"], name
        assert [key for key in body["usage"] if key != "x_tools"] == [
            "input_tokens",
            "output_tokens",
            "total_tokens",
            "input_tokens_details",
            "output_tokens_details",
        ], name


def compact_json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
