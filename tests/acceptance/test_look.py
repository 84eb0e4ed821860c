"""The look of the document's samples, byte for byte.

The document's stream sample is what openai-python 2.15.0 prints of the service's events. So the `wire`
stream read through that client, and the `documented` stream as it is, are both the shown lines once ids,
times and texts are masked; and both are each other without a mask.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import KEY, MODEL, ROOT, Server, Start, client_environment, environment_python

pytestmark = pytest.mark.acceptance

DUMP = Path(__file__).parent / "clients" / "dump_streams.py"
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


def dumped(server: Server, *requests: dict[str, Any]) -> list[list[str]]:
    """What openai-python 2.15.0 prints of the streams of these requests, a line for each event."""
    bodies = [{"model": MODEL, "stream": True, **for_sdk(request)} for request in requests]
    done = subprocess.run(
        [environment_python("openai-2.15.0"), DUMP],
        input=json.dumps(bodies),
        env=client_environment(OPENAI_BASE_URL=server.base_url, OPENAI_API_KEY=KEY),
        capture_output=True,
        encoding="utf-8",
        timeout=40,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def for_sdk(request: dict[str, Any]) -> dict[str, Any]:
    """The client takes parameters of the vendor's own in `extra_body`."""
    own = {name: value for name, value in request.items() if name == "enable_thinking"}
    return {name: value for name, value in request.items() if name not in own} | {"extra_body": own}


def raw_lines(server: Server, request: dict[str, Any]) -> list[str]:
    """The data lines of a stream as they cross the wire."""
    reply = server.ask(stream=True, **request)
    assert reply.status_code == 200, reply.text
    return [line.removeprefix("data:") for line in reply.text.split("\n") if line.startswith("data:")]


def nameless(text: str) -> str:
    """JSON text without ids and times; the form of each is kept."""
    text = re.sub(
        r'"((?:msg_)?)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-fx]{12}"', r'"\1ID"', text
    )
    return re.sub(r'"created_at":\d{10}(\.0)?(?=[,}])', r'"created_at":TIME\1', text)


def masked(text: str) -> str:
    """JSON text without ids, times and the values of `delta` and `text`."""
    return re.sub(r'"(delta|text)":"(?:[^"\\]|\\.)*"', r'"\1":"TEXT"', nameless(text))


def exchanged(name: str) -> Any:
    """A documented exchange."""
    return json.loads((FIXTURES / f"{name}.json").read_text(encoding="utf-8"))


def shown(exchange: str) -> Any:
    """The sample that the document shows."""
    return exchanged(exchange)["shown"]["body"]


def shown_lines() -> list[str]:
    lines: list[str] = shown("artificial-intelligence")
    assert len(lines) == 15
    assert [json.loads(line)["sequence_number"] for line in lines] == SHOWN_NUMBERS
    return lines


def test_the_mask_hides_values_and_nothing_else() -> None:
    """Guards the tests below: what is left of the shown lines is their whole form."""
    first, *_, delta, text_done, part_done, item_done, _ = map(masked, shown_lines())

    assert first.startswith('{"response":{"id":"ID","created_at":TIME.0,"error":null,')
    assert delta == (
        '{"content_index":0,"delta":"TEXT","item_id":"msg_ID","logprobs":[],"output_index":0,'
        '"sequence_number":40,"type":"response.output_text.delta"}'
    )
    assert '"text":"TEXT","type":"response.output_text.done"' in text_done
    assert '{"annotations":[],"text":"TEXT","type":"output_text","logprobs":null}' in part_done
    assert '{"annotations":[],"text":"TEXT","type":"output_text","logprobs":null}' in item_done


def test_wire_stream_through_the_documents_client_is_as_shown(server: Server) -> None:
    (lines,) = dumped(server, ESSAY)

    assert len(lines) == 45
    assert [masked(lines[number]) for number in SHOWN_NUMBERS] == [masked(line) for line in shown_lines()]


def test_documented_stream_is_as_shown(start: Start) -> None:
    lines = raw_lines(start("--rendering", "documented"), ESSAY)

    assert len(lines) == 45
    assert [masked(lines[number]) for number in SHOWN_NUMBERS] == [masked(line) for line in shown_lines()]


def test_documented_stream_is_what_the_documents_client_prints_of_the_wire(start: Start) -> None:
    """Unmasked, for everything that the profile can emit."""
    wire, documented = start("--seed", "1"), start("--seed", "1", "--rendering", "documented")

    printed = dumped(wire, *REQUESTS.values())

    assert len(printed) == len(REQUESTS)
    for (name, request), lines in zip(REQUESTS.items(), printed, strict=True):
        assert raw_lines(documented, request) == lines, name


@pytest.mark.parametrize("profile", ["qwen-2026-05", "qwen-2026-09"])
def test_later_documented_streams_are_what_the_documents_client_prints_of_the_wire(
    profile: str, start: Start
) -> None:
    """The same for the ages after January, with what only they can emit."""
    wire = start("--seed", "1", "--profile", profile)
    documented = start("--seed", "1", "--profile", profile, "--rendering", "documented")

    printed = dumped(wire, *LATER_REQUESTS.values())

    for (name, request), lines in zip(LATER_REQUESTS.items(), printed, strict=True):
        assert raw_lines(documented, request) == lines, name


def test_documented_turn_is_what_the_documents_client_prints_of_the_wire(start: Start) -> None:
    """A second turn: its ids and times depend on the first."""
    wire, documented = start("--seed", "1"), start("--seed", "1", "--rendering", "documented")
    first = {"input": "My name is John, please remember it."}
    parents = [server.ask(**first).json()["id"] for server in (wire, documented)]
    assert parents[0] == parents[1]
    second = {"input": "Do you remember my name?", "previous_response_id": parents[0]}

    (printed,) = dumped(wire, second)

    assert raw_lines(documented, second) == printed


def test_wire_stream_has_neither_nulls_nor_floats(server: Server) -> None:
    for name, request in REQUESTS.items():
        for line in raw_lines(server, request):
            assert not {type(value) for value in leaves(json.loads(line))} & {type(None), float}, (name, line)


def leaves(value: Any) -> Iterator[Any]:
    """The values in a JSON value that hold no others."""
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from leaves(each)
    else:
        yield value


@pytest.mark.parametrize("rounds", [["introduction"], ["remember-my-name", "my-name"]], ids=["one", "two"])
def test_documented_reply_is_as_shown(start: Start, rounds: list[str]) -> None:
    server = start("--rendering", "documented")
    body = ""
    for exchange in rounds:
        previous = json.loads(body)["id"] if body else None
        body = server.ask(exchanged(exchange)["request"]["input"], previous_response_id=previous).text

    assert list(json.loads(body)) == ["id", "created_at", "model", "object", "status", "output", "usage"]
    assert nameless(body) == nameless(compact(shown(rounds[-1])))


def test_documented_tools_reply_has_the_shown_members_in_their_order(start: Start) -> None:
    """The document shows a part of this reply: what it shows is there, in the order it shows."""
    server = start("--rendering", "documented")
    request = exchanged("alibaba-cloud-website")["request"]

    body = server.ask(**{name: value for name, value in request.items() if name != "model"}).json()

    assert list(body) == ["id", "created_at", "model", "object", "status", "output", "usage"]
    assert compact(cut_to(shown("alibaba-cloud-website"), body)) == compact(
        cut_to(shown("alibaba-cloud-website"), shown("alibaba-cloud-website"))
    )


def cut_to(pattern: Any, value: Any) -> Any:
    """`value` without the members that `pattern` does not have, and without the response's id."""
    if isinstance(pattern, dict):
        return {
            name: cut_to(pattern[name], value[name]) for name in value if name in pattern and name != "id"
        }
    if isinstance(pattern, list):
        return [cut_to(one, other) for one, other in zip(pattern, value, strict=True)]
    return value


def test_generated_documented_replies_keep_to_the_documents_members(start: Start) -> None:
    server = start("--rendering", "documented")
    for name, request in REQUESTS.items():
        body = server.ask(**request).json()
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


def compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
