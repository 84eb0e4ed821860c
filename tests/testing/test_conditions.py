"""Conditions that are not plain values: regular expressions, objects that compare themselves, and JSONPath."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from dirty_equals import AnyThing, HasLen, IsInt, IsPartialDict, IsPositive, IsStr

from mockserver import ConfigurationError, InvalidExchange, MockServer
from mockserver.exchanges import parse_exchange
from mockserver.wire import json_paths, patterns

TOOL = {"type": "function", "name": "get_weather", "parameters": {"type": "object"}}
REQUEST: dict[str, Any] = {
    "input": [
        {"role": "user", "content": "How is the weather in Paris?"},
        {"type": "function_call", "call_id": "1", "name": "get_weather", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "1", "output": "It rains, 21 degrees."},
    ],
    "instructions": "Be brief.",
    "tools": [TOOL],
    "temperature": 0.5,
    "metadata": {"user": "alice", "trace": "t-123"},
}
HEADERS = {"x-tenant": "tenant-7"}


@pytest.fixture
def server() -> Iterator[MockServer]:
    with MockServer(profile="qwen-2026-05") as server:
        yield server


def ask(server: MockServer) -> httpx.Response:
    with server.httpx() as client:
        return client.post("/responses", json={"model": server.model, **REQUEST}, headers=HEADERS)


class Unequal:
    """Compares itself, but fails."""

    def __eq__(self, other: object) -> bool:
        raise ValueError(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return "Unequal()"  # the same in each process, for the names of tests


class IsNone:
    """Equals None, as the conditions that a matcher does not have."""

    def __eq__(self, other: object) -> bool:
        return other is None

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return "IsNone"


MATCHING: list[dict[str, Any]] = [
    {"prompt": re.compile(r"weather in \w+")},
    {"prompt": re.compile("PARIS", re.IGNORECASE), "contains": "how", "ignore_case": True},
    {"prompt": IsStr(regex=r"How.*\?")},
    {"prompt": IsStr},
    {"instructions": re.compile("^Be")},
    {"instructions": IsStr(max_length=20)},
    {"model": re.compile("^qwen")},
    {"tool_output": re.compile(r"\d+ degrees")},
    {"header": {"X-Tenant": re.compile(r"^tenant-\d$")}},
    {"header": {"x-tenant": IsStr(min_length=3)}},
    {"json_subset": {"metadata": {"trace": re.compile("^t-")}}},
    {"json_subset": {"metadata": IsPartialDict(user="alice"), "temperature": IsPositive}},
    {"json_subset": {"tools": [{**TOOL, "name": re.compile("weather$")}]}},
    {"json_subset": {"tools": HasLen(1), "unknown": AnyThing}},
    {"json_path": {"$.tools[*].name": "get_weather"}},
    {"json_path": {"$.tools[?@.name == 'get_weather'].parameters": {"type": "object"}}},
    {"json_path": {"$.metadata.trace": re.compile(r"\d{3}"), "$..user": IsStr}},
    {"json_path": {"$.input[?search(@.content, 'weather (at|in)')].role": "user"}},
    {"json_path": {"$.tools[0]": {"name": "get_weather"}}},
]
OTHER: list[tuple[dict[str, Any], str]] = [
    ({"prompt": re.compile("^weather")}, r"prompt: expected re.compile('^weather'), got 'How is the weather"),
    ({"prompt": IsStr(regex="Ho")}, "prompt: expected IsStr(regex='Ho'), got 'How is"),
    ({"prompt": IsNone()}, "prompt: expected IsNone, got 'How is"),
    ({"instructions": re.compile("long")}, "instructions: expected re.compile('long'), got 'Be brief.'"),
    ({"model": IsInt}, "model: expected IsInt, got 'qwen"),
    ({"model": Unequal()}, "model: expected Unequal()"),
    ({"tool_output": re.compile("snow")}, "tool_output: expected re.compile('snow'), got 'It rains"),
    (
        {"header": {"x-tenant": re.compile("b$")}},
        "header: x-tenant has another value, expected re.compile('b$')",
    ),
    (
        {"json_subset": {"metadata": {"trace": re.compile("x")}}},
        "json_subset: /metadata/trace: expected re.comp",
    ),
    ({"json_subset": {"tools": [{**TOOL, "name": re.compile("x")}]}}, "json_subset: /tools: expected [{"),
    ({"json_subset": {"temperature": IsInt}}, "json_subset: /temperature: expected IsInt, got 0.5"),
    (
        {"json_path": {"$.tools[*].name": "get_time"}},
        "json_path: $.tools[*].name: expected 'get_time', got ['get_w",
    ),
    ({"json_path": {"$.no": None}}, "json_path: $.no: expected None, got []"),
]


@pytest.mark.parametrize("condition", MATCHING, ids=str)
def test_a_condition_holds(server: MockServer, condition: dict[str, Any]) -> None:
    server.when(**condition).reply("It matches.")
    reply = ask(server)
    assert reply.status_code == 200, reply.text
    server.assert_requested(**condition)


@pytest.mark.parametrize(("condition", "difference"), OTHER, ids=str)
def test_a_condition_does_not_hold(server: MockServer, condition: dict[str, Any], difference: str) -> None:
    stub = server.when(**condition).reply("It matches.")
    reply = ask(server)
    assert reply.status_code == 400
    assert difference in reply.json()["message"]
    assert stub.call_count == 0
    server.assert_requested(**condition, times=0)


def test_a_query_of_a_deep_request_finds_nothing(server: MockServer) -> None:
    nested: Any = "x"
    for _ in range(98):
        nested = {"deeper": nested}
    server.when(json_path={"$..user": "alice"}).reply("No.")
    with server.httpx() as client:
        body = {"model": server.model, "input": "Hi", "unknown": nested}
        reply = client.post("/responses", json=body)
    assert (reply.status_code, reply.json()["code"]) == (400, "UnplannedRequest")


def test_patterns_are_found_among_many_stubs(server: MockServer) -> None:
    for number in range(100):
        server.when(f"How is the weather in {number}?").reply("No.")
        server.when(prompt=re.compile(f"weather in {number}"), model=server.model).reply("No.")
        server.when(json_subset={"metadata": {"trace": re.compile(f"x{number}")}}).reply("No.")
    stub = server.when(
        prompt=re.compile("weather in [A-Z]"), json_subset={"metadata": {"user": "alice"}}
    ).reply("Yes.")
    server.when(prompt=IsStr).reply("Later.")
    assert ask(server).status_code == 200
    assert stub.call_count == 1


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        ({"prompt": 3}, r"prompt cannot be 3"),
        ({"prompt": {"matches": "x"}}, r"prompt cannot be {'matches'"),
        ({"prompt": re.compile(b"x")}, r"prompt cannot be re.compile\(b'x'\)"),
        ({"prompt": re.compile("x"), "ignore_case": True}, r"in a pattern write \(\?i\)"),
        ({"model": Ellipsis}, "model cannot be Ellipsis"),
        ({"header": {"x-n": 3}}, "header 'x-n' cannot be 3"),
        ({"json_path": {"$.[": 1}}, r"json_path '\$.\[': not a JSONPath query"),
        ({"json_path": {"tools": 1}}, "json_path 'tools': not a JSONPath query"),
        ({"json_path": {1: 1}}, "json_path: a query is a text, not 1"),
        ({"json_path": "$.tools"}, r"json_path cannot be '\$.tools'"),
    ],
    ids=str,
)
def test_an_invalid_condition(server: MockServer, condition: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        server.when(**condition)


def write_exchanges(folder: Path, match: Any) -> Path:
    (folder / "weather.json").write_text(json.dumps({"match": match, "reply": "It matches."}))
    return folder


#: In a file, these two have defaults that the request does not meet.
ANY = {"tools": ["function"], "tool_output": {"matches": ""}}


@pytest.mark.parametrize(
    ("match", "status"),
    [
        ({"prompt": {"matches": r"weather in \w+\?$"}}, 200),
        ({"prompt": {"matches": "^weather"}}, 400),
        ({"model": {"matches": "^qwen"}, "instructions": {"matches": "(?i)BRIEF"}}, 200),
        ({"tool_output": {"matches": r"\d degrees"}}, 200),
        ({"header": {"x-tenant": {"matches": "-7$"}}}, 200),
        ({"header": {"x-tenant": {"matches": "^7"}}}, 400),
        ({"json_subset": {"metadata": {"trace": {"matches": "^t-"}}}}, 200),
        ({"json_subset": {"metadata": {"trace": {"matches": "^s-"}}}}, 400),
        ({"json_path": {"$.tools[*].name": {"matches": "^get_"}}}, 200),
        ({"json_path": {"$.tools[*].name": "get_time"}}, 400),
    ],
    ids=str,
)
def test_a_pattern_in_a_file(tmp_path: Path, match: dict[str, Any], status: int) -> None:
    folder = write_exchanges(tmp_path, {**ANY, **match})
    with MockServer(profile="qwen-2026-05", exchanges=folder) as server:
        server.when("Something else").reply("No.")
        assert ask(server).status_code == status


@pytest.mark.parametrize(
    ("match", "pointer", "reason"),
    [
        ({"prompt": {"matches": "("}}, "/match/prompt/matches", "not a pattern in RE2's syntax: missing )"),
        ({"prompt": {"matches": "(?=a)"}}, "/match/prompt/matches", "not a pattern in RE2's syntax"),
        ({"prompt": {"match": "a"}}, "/match/prompt", "a text or a pattern has no member 'match'"),
        ({"prompt": {"matches": "a"}, "ignore_case": True}, "/match/ignore_case", "(?i)"),
        ({"header": {"a": {"matches": "["}}}, "/match/header/a/matches", "not a pattern"),
        ({"json_subset": {"a": [{"matches": "["}]}}, "/match/json_subset/a/0/matches", "not a pattern"),
        ({"json_path": {"$.a/b[": 1}}, "/match/json_path/$.a~1b[", "not a JSONPath query (RFC 9535)"),
    ],
    ids=str,
)
def test_an_invalid_pattern_in_a_file(match: dict[str, Any], pointer: str, reason: str) -> None:
    with pytest.raises(InvalidExchange) as caught:
        parse_exchange(json.dumps({"match": match, "reply": "No."}).encode(), "bad.json")
    assert caught.value.pointer == pointer
    assert reason in str(caught.value)


def test_patterns_of_documents_take_linear_time(tmp_path: Path) -> None:
    evil = "(a+)+$"
    match = {
        **ANY,
        "prompt": {"matches": evil},
        "json_path": {f"$.input[?search(@.content, '{evil}')].role": "user"},
    }
    folder = write_exchanges(tmp_path, match)
    with MockServer(profile="qwen-2026-05", exchanges=folder) as server, server.httpx(timeout=60) as client:
        server.when("Something else").reply("No.")
        body = {
            "model": server.model,
            "input": [{"role": "user", "content": "a" * 10_000 + "!"}],
            "tools": [TOOL],
        }
        assert client.post("/responses", json=body).status_code == 400


@pytest.mark.parametrize(
    ("package", "match", "advice"),
    [
        (
            "re2",
            {"prompt": {"matches": "a"}},
            "patterns need RE2: pip install 'responses-mockserver[patterns]'",
        ),
        ("jsonpath", {"json_path": {"$.a": 1}}, "JSONPath needs python-jsonpath: pip install"),
    ],
)
def test_a_missing_package_is_named(
    monkeypatch: pytest.MonkeyPatch, package: str, match: Any, advice: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    for cached in (patterns.linear_pattern, json_paths.parse_json_path):
        cached.cache_clear()
    with pytest.raises(InvalidExchange, match=re.escape(advice)):
        parse_exchange(json.dumps({"match": match, "reply": "No."}).encode(), "weather.json")
