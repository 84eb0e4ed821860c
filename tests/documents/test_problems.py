"""Every problem of a document is reported at once: where, what is expected, the nearest name, an example."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from mockserver import MockServer
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
    (
        {"reply": {"function_call": {"nam": "f", "arguments": []}}},
        [
            ("/reply/function_call", "no member 'nam'; did you mean 'name'?"),
            ("/reply/function_call", "lacks 'name'"),
            ("/reply/function_call/arguments", 'a text or an object, not []; example: {"city":"Paris"}'),
        ],
    ),
    ({"reply": {"text": "a", "chunks": ["b"]}}, [("/reply", "expected only one of text, chunks")]),
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
        "body#/reply",
        "body#/reply/pace",
        "body#/reply/fault",
    }
    reply = admin.post("/_mock/stubs", json={**stub, "macth": "Hi", "delivery": {"chunking": "some"}})
    lines = reply.json()["message"].splitlines()
    assert {line.partition(": ")[0] for line in lines} == {
        "body",
        "body#/reply/pace",
        "body#/reply/fault",
        "body#/delivery/chunking",
    }
    assert admin.get("/_mock/stubs").json() == {"stubs": []}


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
