"""`docs/migrate.md`: its Node and curl blocks run with only the host changed, and print what it shows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from mockserver import FunctionCall, Message, MockServer, Reasoning, Script
from mockserver.contract.chat.migration import load_migration_tables, migrate_request
from mockserver.contract.chat.service import load_chat_schemas
from mockserver.profiles import load_profile
from tests.acceptance.conftest import ROOT, StartServer
from tests.acceptance.test_documented_samples import program_output
from tests.api_client import ApiClient

PAGE = (ROOT / "docs" / "migrate.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(js|sh)\n(.*?)^```\n\n```text\n(.*?)^```", re.MULTILINE | re.DOTALL)
BLOCKS = BLOCK.findall(PAGE)
HOST = "https://dashscope-intl.aliyuncs.com"


def test_every_block_has_its_output() -> None:
    assert len(BLOCKS) == PAGE.count("```js\n") + PAGE.count("```sh\n") == 6


@pytest.mark.acceptance
@pytest.mark.parametrize(
    ("language", "text", "output"), BLOCKS, ids=[f"{each[0]} {at}" for at, each in enumerate(BLOCKS)]
)
def test_a_block_prints_the_documented_output(
    language: str, text: str, output: str, start_server: StartServer, tmp_path: Path
) -> None:
    server = start_server("--seed", "1")
    assert HOST in text
    program = text.replace(HOST, server.root_url)
    printed = program_output(program, "node" if language == "js" else "curl", tmp_path)
    wanted = [re.sub("…+", "*", line.replace("[", "[[]")) for line in output.splitlines()]
    pytest.LineMatcher(printed.splitlines()).fnmatch_lines(wanted)


def test_the_documented_check_matches_the_output(tmp_path: Path, capsysbinary: Any) -> None:
    from mockserver.cli.check_runner import run_check

    block = PAGE.partition("$ mockserver check chat.json\n")[2].partition("```")[0]
    body = json.loads(re.search(r"^    \{.*?^    \}", block, re.MULTILINE | re.DOTALL)[0])  # type: ignore[index]
    chat = {"model": body["model"], "messages": body["input"], "stop": "\n"}
    file = tmp_path / "chat.json"
    file.write_text(json.dumps(chat))
    assert run_check([str(file)]) == 0
    printed = capsysbinary.readouterr().out.decode()
    assert printed.replace(str(file), "chat.json") == block


def test_every_member_of_chat_is_on_the_page() -> None:
    """The rows match the schemas: a new member needs a row."""
    union = load_chat_schemas().undated
    rows = load_migration_tables()
    assert {row.chat for row in rows["request"]} == set(union["chat_request"]["properties"])
    documented = {row.chat.removeprefix("messages[].").partition("[")[0] for row in rows["messages"]}
    # SDKs print these as null in a message; nobody sends other values.
    printed = {"refusal", "annotations", "audio", "function_call"}
    assert documented - {"history"} == set(union["chat_message"]["properties"]) - printed
    kinds = {row.chat.rpartition(": ")[2] for row in rows["messages"] if "[]: " in row.chat}
    assert kinds == set(union["chat_part"]["properties"]["type"]["enum"])


@pytest.mark.parametrize("row", load_migration_tables()["request"], ids=lambda row: row.chat)
def test_a_request_row_matches_the_migration(row: Any) -> None:
    given: dict[str, Any] = {
        "model": "qwen3-max-2026-01-23",
        "messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}],
    }
    values: dict[str, Any] = {
        "tools": [{"type": "function", "function": {"name": "f"}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "response_format": {"type": "json_object"},
        "stream_options": {"include_usage": True},
        "max_tokens": 500,
        "max_completion_tokens": 500,
    }
    profile = load_profile("qwen-2026-09")
    before = migrate_request(given, profile)
    value = values.get(row.chat, given.get(row.chat, 2))
    after = migrate_request({**given, row.chat: value}, profile)
    place = (row.responses or "").partition(".")[0].partition("[")[0]
    if row.responses is None:
        assert after.body == before.body
        assert [note.pointer for note in after.notes if note not in before.notes] == [f"/{row.chat}"]
    else:
        assert place in after.body
        assert {*after.body} - {*before.body} <= {place}


def member_paths(value: Any, prefix: str = "") -> Iterator[str]:
    """Paths of all members of an object, nested ones too; of a list, those of its first element."""
    for name, each in value.items():
        if isinstance(each, list) and each and name != "tool_calls":
            yield from member_paths(each[0], f"{prefix}{name}[0].")
        elif isinstance(each, dict):
            yield from member_paths(each, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


@pytest.fixture(scope="module")
def replies() -> dict[str, Any]:
    """The same content from both APIs, as reply, stream and error."""
    tool = {"name": "f", "parameters": {"type": "object"}}
    script = Script((Reasoning(("Hm.",)), Message(("Hi.",)), FunctionCall("f", "{}")))
    with MockServer() as server, httpx.Client(trust_env=False) as client:
        server.reply(script).always()
        ask = ApiClient(server, client)
        chat = {"tools": [{"type": "function", "function": tool}]}
        here = {"tools": [{"type": "function", **tool}]}
        return {
            "completion": ask.create_completion("x", **chat),
            "chunks": ask.create_chunks("x", stream_options={"include_usage": True}, **chat),
            "response": ask.create("x", **here),
            "events": ask.create_stream("x", **here),
            "refusal": ask.create_chat("x", temperature=9).json(),
            "refusal there": ask.post({"model": server.model, "input": "x", "temperature": 9}).json(),
        }


def test_the_response_table(replies: dict[str, Any]) -> None:
    rows = load_migration_tables()["response"]
    paths = {*member_paths(replies["completion"])} - {"choices[0].index", "choices[0].message.role"}
    assert {row.chat for row in rows} == paths
    there = {*member_paths(replies["response"])}
    kinds = {item["type"] for item in replies["response"]["output"]}
    for row in rows:
        place, _, kind = (row.responses or "id").partition("[]: ")
        assert kind in kinds if kind else place in there, row.responses


def test_the_stream_table(replies: dict[str, Any]) -> None:
    rows = {row.chat: row.responses for row in load_migration_tables()["stream"]}
    deltas = [choice["delta"] for chunk in replies["chunks"] for choice in chunk["choices"]]
    names = {f"delta.{name}" for delta in deltas for name in delta}
    documented = {name.partition("[")[0] for name in rows if name.startswith("delta.")}
    assert documented == names
    events = {event["type"] for event in replies["events"]}
    named = {each for each in rows.values() if each and each.startswith("response.")}
    assert named <= events


def test_the_error_table(replies: dict[str, Any]) -> None:
    rows = [row for row in load_migration_tables()["errors"] if not row.chat.startswith("status")]
    assert {row.chat for row in rows} == {*member_paths(replies["refusal"])}
    assert {row.responses for row in rows if row.responses} == {*replies["refusal there"]}
