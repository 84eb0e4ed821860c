"""Every problem of a document is reported at once: where, what is expected, the nearest name, an example."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from mockserver import MockServer, ToolCall
from mockserver.documents.problems import find_problems
from mockserver.errors import ConfigurationError, InvalidExchange
from mockserver.exchanges import parse_exchange
from tests.cli.conftest import RunCli, run_cli  # noqa: F401 (a fixture)
from tests.documents.test_short_forms import admin  # noqa: F401 (a fixture)

PROBLEMS: list[tuple[Any, list[tuple[str, str]]]] = [
    (
        {"macth": "x", "reply": {"txt": "y", "delay_ms": -1}, "times": 0},
        [
            ("", "a stub has no member 'macth'; did you mean 'match'?"),
            ("/reply", "a reply has no member 'txt'; did you mean 'text'?"),
            ("/reply", "a reply lacks one of text, chunks, json, reasoning, function_call; did you mean 'text'?"),
            ("/reply/delay_ms", "expected at least 0, not -1; example: 250"),
            ("/times", "expected at least 1, not 0; example: 2"),
        ],
    ),
    ({"rply": "Hi"}, [("", "did you mean 'reply'?"), ("", 'example: {"reply":"Hello"}')]),
    ({"prompt": "Hi", "reply": "x"}, [("", "a stub has no member 'prompt'; it belongs in 'match'")]),
    ({"pace": "none", "reply": "x"}, [("", "it belongs in 'delivery'")]),
    ({"error": "rate-limit"}, [("", "a stub has no member 'error'; it belongs in 'reply'")]),
    (
        {"reply": {"text": "x", "usage": {"input_tokens": "1"}}},
        [("/reply/usage/input_tokens", '"1"; example: {"input_tokens":10')],
    ),
    (
        {"reply": {"function_call": {"nam": "f", "arguments": []}}},
        [
            ("/reply/function_call", "no member 'nam'; did you mean 'name'?"),
            ("/reply/function_call", "lacks 'name'"),
            ("/reply/function_call/arguments", 'a text or an object, not []; example: {"city":"Paris"}'),
        ],
    ),
    ({"reply": {"text": "a", "chunks": ["b"]}}, [("/reply", 'expected only one of text, chunks; example: {"text"')]),
    ({"reply": 3}, [("/reply", 'expected a text, a list or an object, not 3; example: "Hello"')]),
    ({"reply": []}, [("/reply", "expected a list with elements")]),
    ("Hello", [("", 'expected an object, not "Hello"; example: {"reply":"Hello"}')]),
    ({"reply": "x", "match": {"promt": "a", "turn": 0}}, [("/match", "'prompt'"), ("/match/turn", "at least 1")]),
    ({"reply": {"error": {"name": "rate-429", "status": 429}}}, [("/reply/error", "")]),
    (
        {"reply": {"text": "a", "pace": "none"}, "delivery": {"pace": "none"}},
        [("/delivery/pace", "the reply has pace too")],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("document", "expected"), PROBLEMS, ids=str)
def test_every_problem_has_its_place_and_a_way_out(document: Any, expected: list[tuple[str, str]]) -> None:
    with pytest.raises(InvalidExchange) as caught:
        parse_exchange(json.dumps(document).encode(), "it.json")
    problems = [(each.pointer, each.reason) for each in caught.value.problems]
    for pointer, words in expected:
        assert any(each == pointer and words in reason for each, reason in problems), problems
    assert len(str(caught.value).splitlines()) == len(problems) >= len({each for each, _ in expected})
    assert all(line.startswith("it.json") for line in str(caught.value).splitlines())


def test_problems_beyond_the_schema_are_reported_together(admin: Any) -> None:  # noqa: F811
    stub = {
        "profile": "qwen-2026-09",
        "reply": {"function_call": {"name": "f", "arguments": "{"}, "pace": "fast", "fault": "no-such"},
    }
    reply = admin.post("/_mock/stubs", json=stub)
    assert reply.status_code == 400
    lines = reply.json()["message"].splitlines()
    assert {line.partition(": ")[0] for line in lines} == {
        "body#/profile",
        "body#/reply/function_call/arguments",
        "body#/reply/pace",
        "body#/reply/fault",
    }
    reply = admin.post("/_mock/stubs", json={**stub, "macth": "Hi", "delivery": {"chunking": "some"}})
    lines = reply.json()["message"].splitlines()
    assert {line.partition(": ")[0] for line in lines} == {
        "body",
        "body#/profile",
        "body#/reply/function_call/arguments",
        "body#/reply/pace",
        "body#/reply/fault",
        "body#/delivery/chunking",
    }
    assert admin.get("/_mock/stubs").json() == {"stubs": []}


#: A document with mistakes of every kind, and what each door says about it: where, and in which words.
WRONG: dict[str, Any] = {
    "macth": "Hi",
    "profile": "qwen-2026-1",
    "match": {"prompt": {"matches": "["}, "json_path": {"$[": 1}, "turn": 0},
    "reply": {
        "script": {
            "items": [
                {"type": "web_serch"},
                {"type": "message"},
                {"type": "web_search", "acton": {"query": "x"}},
                {"type": "function_call", "name": "f", "arguments": "{"},
                {"type": "message", "text": "{{request.promt}}"},
            ]
        },
        "fault": "stal",
        "template": True,
    },
    "delivery": {"chunking": "some", "template": True, "pace": 3},
}
EXPECTED = {
    "": "a stub has no member 'macth'; did you mean 'match'?",
    "/match/prompt/matches": "not a pattern in RE2's syntax",
    "/match/json_path/$[": "not a JSONPath query",
    "/match/turn": "expected at least 1, not 0; example: 2",
    "/reply/script/items/0/type": "has no tool 'web_serch'; did you mean 'web_search'?",
    "/reply/script/items/1": 'lacks one of text, chunks; example: {"type":"message","text":"Hello"}',
    "/reply/script/items/2/acton": "web_search has no member 'acton'; did you mean 'action'?",
    "/reply/script/items/3/arguments": 'add "invalid": true; example: {"city": "Paris"}',
    "/reply/script/items/4": "no placeholder 'request.promt'; did you mean 'request.prompt'?",
    "/reply/fault": "did you mean 'stall'?",
    "/delivery/chunking": "chunking must be",
    "/delivery/template": "the reply has template too",
    "/delivery/pace": 'expected a text, not 3; example: "fixed:20"',
}


def located_lines(text: str, place: str) -> dict[str, str]:
    """The messages by JSON Pointer."""
    located = (line.partition(f"{place}#")[2] or line.partition(place)[2] for line in text.splitlines())
    pairs = (line.partition(": ") for line in located)
    return {pointer: reason for pointer, _, reason in pairs}


def require_all_problems(text: str, place: str, profile: str) -> None:
    found = located_lines(text, place)
    for pointer, words in {**EXPECTED, "/profile": profile}.items():
        assert words in found.get(pointer, ""), (pointer, found)


def test_every_problem_of_a_document_is_reported_over_http(admin: Any) -> None:  # noqa: F811
    for method, path in (("POST", "/_mock/stubs"), ("PUT", "/_mock/stubs/old")):
        admin.post("/_mock/stubs", json={"name": "old", "reply": "x"})
        reply = admin.request(method, path, json=WRONG)
        assert reply.status_code == 400
        require_all_problems(reply.json()["message"], "body", "this session uses qwen-2026-01")


def values_of(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The paths to the values in a document."""
    yield path
    members = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for name, each in members:
        yield from values_of(each, (*path, name))


def with_value(document: Any, path: tuple[str | int, ...], value: Any) -> Any:
    if not path:
        return value
    copied = copy.deepcopy(document)
    inner = copied
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return copied


VALID = {
    "match": {"prompt": {"matches": "a"}, "json_path": {"$.a": "b"}, "tools": ["web_search"]},
    "reply": [
        {"type": "web_search", "action": {"query": "x", "sources": [{"type": "url", "url": "u"}]}},
        {"function_call": {"name": "f", "arguments": {"city": "Paris"}}},
        "Hello",
    ],
    "delivery": {"fault": "stall", "pace": "none", "template": True},
}


@pytest.mark.slow
@pytest.mark.parametrize("document", [VALID, WRONG, {"reply": {"error": {"name": "rate-429"}}}])
def test_no_document_is_an_internal_error(admin: Any, document: Any) -> None:  # noqa: F811
    values: list[Any] = [None, 3, "x", [], {}, ["x"], {"type": []}, {"matches": "["}]
    for path in values_of(document):
        for value in values:
            reply = admin.post("/_mock/stubs", json=with_value(document, path, value))
            assert reply.status_code in (200, 400), (path, value, reply.text)


def test_every_problem_of_a_file_is_reported(run_cli: RunCli, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "it.json").write_text(json.dumps(WRONG))
    for command in (
        ("exchanges", "check", "."),
        ("serve", "--exchanges", ".", "--port", "0"),
        ("run", "--exchanges", ".", "--", "true"),
    ):
        code, _, err = run_cli(*command)
        assert code != 0
        require_all_problems(err, "it.json", "did you mean 'qwen-2026-01'?")
    with pytest.raises(InvalidExchange) as caught:
        MockServer(exchanges=tmp_path)
    require_all_problems(str(caught.value), "it.json", "did you mean 'qwen-2026-01'?")


def test_one_file_does_not_hide_the_problems_of_another(run_cli: RunCli, tmp_path: Path) -> None:  # noqa: F811
    files: dict[str, Any] = {
        "a.json": {"rply": "x"},
        "b.json": [{"reply": "fine"}, {"reply": {"text": "x", "fault": "stal", "pace": "fast"}}],
        "c.json": {"profile": "qwen-2026-05", "reply": [{"type": "file_serch"}]},
    }
    for name, content in files.items():
        (tmp_path / name).write_text(json.dumps(content))
    for command in (("exchanges", "check", "."), ("serve", "--exchanges", ".", "--port", "0")):
        _, _, err = run_cli(*command)
        for words in (
            "a.json: a stub has no member 'rply'",
            "b.json#/1/reply/fault: ",
            "b.json#/1/reply/pace: ",
            "c.json#/reply/0/type: qwen-2026-05 has no tool 'file_serch'; did you mean 'file_search'?",
        ):
            assert words in err, (command, words, err)


def test_every_problem_of_recordings_is_reported(run_cli: RunCli, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "a.json").write_text('{"rply": "x"}')
    (tmp_path / "b.json").write_text('[{"reply": "x"}, {"reply": "y"}]')
    for command in (("replay", ".", "--port", "0"), ("diff", ".", ".")):
        code, _, err = run_cli(*command)
        assert code == 2
        lines = err.splitlines()
        for words in ("a.json: a stub has no member 'rply'", "b.json#/0/reply: ", "b.json#/1/reply: "):
            assert any(words in each for each in lines), (command, lines)


def test_an_exchange_of_an_unknown_profile_is_an_error(run_cli: RunCli, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "it.json").write_text(json.dumps({"profile": "qwen-2026-1", "reply": "x"}))
    for command in (("exchanges", "check", "."), ("serve", "--exchanges", ".", "--port", "0")):
        code, _, err = run_cli(*command)
        assert code != 0
        assert "it.json#/profile: no profile 'qwen-2026-1'; did you mean 'qwen-2026-01'?" in err


def test_every_problem_of_an_object_is_reported_in_python() -> None:
    with MockServer() as server, pytest.raises(ConfigurationError) as caught:
        server.reply({**WRONG["reply"], "pase": "none"}, chunking="some")
    message = str(caught.value)
    for words in (
        "a reply with script has no member 'pase'; did you mean 'pace'?",
        "reply()['script']['items'][0]['type']: ",
        "reply()['script']['items'][1]: ",
        "reply()['script']['items'][2]['acton']: ",
        "reply()['script']['items'][3]['arguments']: ",
        "reply()['script']['items'][4]: ",
        "reply()['fault']: ",
        "chunking must be",
        "add invalid=True",
    ):
        assert words in message
    assert '"invalid"' not in message


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"acton": {}}, "web_search has no member 'acton'; did you mean 'action'?"),
        (
            {"action": {"query": "x", "surces": []}},
            "web_search/action has no member 'surces'; did you mean 'sources'?",
        ),
        ({"id": "ws_1"}, "the server sets 'id' of web_search: leave it out"),
    ],
)
def test_unknown_data_of_a_tool_is_refused(admin: Any, data: dict[str, Any], words: str) -> None:  # noqa: F811
    reply = admin.post("/_mock/stubs", json={"reply": [{"type": "web_search", **data}]})
    assert reply.status_code == 400
    assert words in reply.json()["message"]
    with MockServer() as server, server.httpx() as client:
        for content in (ToolCall("web_search", data), {"type": "web_search", **data}):
            with pytest.raises(ConfigurationError) as caught:
                server.reply(content)
            assert words in str(caught.value)
        # Names of a later profile are no typing errors, and what is invalid on purpose is sent as it is.
        server.reply(ToolCall("web_search", {"action": {"query": "x", "queries": ["x"]}}))
        server.reply(ToolCall("web_search", data), invalid=True)
        for _ in server.stubs:
            answer = client.post("/responses", json={"model": server.model, "input": "Hi"})
            assert answer.status_code == 200


def test_every_file_of_a_folder_is_checked(run_cli: RunCli, tmp_path: Path) -> None:  # noqa: F811
    files: dict[str, Any] = {
        "a.json": {"reply": {"txt": "x"}},
        "b.json": [{"reply": "fine"}, {"reply": 1, "times": 0}],
        "c.json": {"reply": "fine"},
    }
    for name, content in files.items():
        (tmp_path / name).write_text(json.dumps(content))
    code, _, err = run_cli("exchanges", "check", ".")
    assert code == 1
    for location in ("a.json#/reply: ", "b.json#/1/reply: ", "b.json#/1/times: "):
        assert location in err
    for name in ("a.json", "b.json"):
        (tmp_path / name).unlink()
    for name, reply in (
        ("d", {"error": "no-such"}),
        ("e", {"text": "x", "pace": "fast", "chunking": "some"}),
    ):
        (tmp_path / f"{name}.json").write_text(json.dumps({"reply": reply}))
    code, _, err = run_cli("exchanges", "check", ".")
    assert code == 1
    for location in ("d.json#/reply/error: ", "e.json#/reply/pace: ", "e.json#/reply/chunking: "):
        assert location in err


def test_messages_speak_the_language_of_the_door(admin: Any) -> None:  # noqa: F811
    broken = {"function_call": {"name": "f", "arguments": "{"}}
    over_http = [
        admin.post("/_mock/stubs", json={"reply": broken}).json()["message"],
        admin.post("/_mock/stubs", json={"reply": {"text": "x", "fault": "not-found"}}).json()["message"],
    ]
    admin.post("/_mock/stubs", json={"match": "other", "reply": "x"})
    over_http.append(
        admin.post("/v1/responses", json={"model": "qwen3-max-2026-01-23", "input": "Hi"}).json()["message"]
    )
    assert '"invalid": true' in over_http[0]
    assert '{"error":"not-found"}' in over_http[1]
    assert '{"match":"Hi","reply":"…"}' in over_http[2]
    for message in over_http:
        assert not any(word in message for word in ("invalid=True", "violate=", "fail(", "server.")), message
    with MockServer() as server, server.httpx() as client:
        with pytest.raises(ConfigurationError, match="invalid=True") as caught:
            server.reply(broken)
        assert '"invalid"' not in str(caught.value)
        with pytest.raises(ConfigurationError, match=r'use fail\("not-found"\)$'):
            server.reply("x", fault="not-found")
        with pytest.raises(
            ConfigurationError, match=r"reply\(\)\['function_call'\]: function_call lacks 'name'"
        ):
            server.reply({"text": "x", "function_call": {}})
        server.when("other").reply("x")
        unmatched = client.post("/responses", json={"model": server.model, "input": "Hi"}).json()["message"]
        assert """server.when(prompt='Hi').reply("…")""" in unmatched


SCHEMA = {"type": "array", "items": {"type": "string"}}


class _FirstErrorOnly:
    """A validator that must not search all errors, which takes a minute for 100,000 wrong elements."""

    def __init__(self) -> None:
        self._validator = jsonschema_rs.Draft202012Validator(SCHEMA)

    def validate(self, value: Any) -> None:
        self._validator.validate(value)

    def iter_errors(self, value: Any) -> Any:
        pytest.fail("it searches all errors of a long document")


@pytest.mark.parametrize("value", [["a"] * 1000 + [1] * 1000, [[1] * 1000]])
def test_of_a_long_document_only_the_first_problem_is_searched(value: Any) -> None:
    validator: Any = _FirstErrorOnly()
    (problem,) = find_problems(validator, SCHEMA, value)
    assert problem.pointer in ("/1000", "/0")
    assert len(problem.reason) < 500
