"""The samples of the vendor's document, changed only in base URL and key, print what it shows.

test_intercept.py runs them without any change.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import KEY, ROOT, ServerProcess, isolated_environment
from tests.acceptance.documented_samples import (
    DOCUMENT_URL,
    SAMPLES_FOLDER,
    SETUP,
    sample_text,
    write_program,
)
from tests.programs import run_program

pytestmark = pytest.mark.acceptance

LANGUAGES = ["python", "node", "curl"]
NAMES = ("basic", "multi-turn", "streaming", "tools")

INTRODUCTION = (
    "Hello! I am Qwen, a large-scale language model developed by Tongyi Lab. I can answer questions, create "
    "text, write code, and express opinions. I am committed to providing you with accurate, useful, and "
    "friendly help."
)
MEMORY_ANSWER = "Yes, John! I remember your name. How can I assist you today?"
KEY_INFORMATION = (
    "Key information from the Alibaba Cloud official website: Qwen LLM, cloud computing services..."
)

RunSample = Callable[[str, str], str]


def sample_program(name: str, language: str, base_url: str) -> str:
    """The text of a sample, adapted to a server."""
    text = sample_text(name, language)
    assert DOCUMENT_URL in text
    return text.replace(DOCUMENT_URL, base_url)


@pytest.fixture
def run_sample(server: ServerProcess, tmp_path: Path) -> RunSample:
    """`run(name, language)` returns what a sample prints."""

    def run(name: str, language: str) -> str:
        return program_output(sample_program(name, language, server.base_url), language, tmp_path)

    return run


def program_output(text: str, language: str, folder: Path) -> str:
    """Run a program's text in its language; its standard output."""
    done = run_program(
        write_program(text, language, folder), folder, env=isolated_environment(DASHSCOPE_API_KEY=KEY)
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def assert_contains(actual: Any, shown: Any, place: str = "") -> None:
    """Every member that the document shows is there with the shown value; ids and times are placeholders."""
    if isinstance(shown, dict):
        assert isinstance(actual, dict), place
        for name, value in shown.items():
            assert name in actual, f"{place}/{name}"
            if name not in ("id", "created_at"):
                assert_contains(actual[name], value, f"{place}/{name}")
    elif isinstance(shown, list):
        assert isinstance(actual, list), place
        assert len(actual) == len(shown), place
        for index, (one, other) in enumerate(zip(actual, shown, strict=True)):
            assert_contains(one, other, f"{place}/{index}")
    else:
        assert actual == shown, place


def documented_body(exchange: str) -> Any:
    """The sample reply that the document shows."""
    file = ROOT / "fixtures" / "qwen-2026-01" / f"{exchange}.json"
    return json.loads(file.read_text(encoding="utf-8"))["shown"]["body"]


@pytest.mark.parametrize("language", ["python", "node"])
def test_basic_call_prints_the_introduction(run_sample: RunSample, language: str) -> None:
    assert run_sample("basic", language) == INTRODUCTION + "\n"


def test_basic_call_with_curl(run_sample: RunSample) -> None:
    reply = json.loads(run_sample("basic", "curl"))

    assert reply["output"][0]["content"][0]["text"] == INTRODUCTION
    assert_contains(reply, documented_body("introduction"))


@pytest.mark.parametrize("language", ["python", "node"])
def test_second_round_remembers_john(run_sample: RunSample, language: str) -> None:
    first, second = run_sample("multi-turn", language).splitlines()

    assert first.startswith("First response: ")
    assert first.removeprefix("First response: ").strip()
    assert second == f"Second response: {MEMORY_ANSWER}"


def test_multi_turn_with_curl(server: ServerProcess, tmp_path: Path) -> None:
    text = sample_program("multi-turn", "curl", server.base_url)
    first, comment, second = text.partition("# Second round")
    assert comment

    response1 = json.loads(program_output(first, "curl", tmp_path))
    assert second.count("response_id_from_first_round") == 1
    second = second.replace("response_id_from_first_round", response1["id"])
    response2 = json.loads(program_output(comment + second, "curl", tmp_path))

    assert response2["output"][0]["content"][0]["text"] == MEMORY_ANSWER
    usage = response2["usage"]
    assert (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]) == (78, 16, 94)
    assert_contains(response2, documented_body("my-name"))


def test_john_is_unknown_without_the_first_turn(server: ServerProcess) -> None:
    """Requested often enough to see every possible text."""
    for _ in range(100):
        assert "John" not in server.create("Do you remember my name?").text
    assert "John" not in server.create("Do you remember my name?", stream=True).text


@pytest.mark.parametrize("stream", [None, True])
def test_alice_is_not_called_john(server: ServerProcess, stream: bool | None) -> None:
    for _ in range(20):
        alice = server.create("My name is Alice, please remember it.").json()["id"]
        answer = server.create("Do you remember my name?", previous_response_id=alice, stream=stream)
        assert answer.status_code == 200
        assert "John" not in answer.text


def test_interleaved_conversations_stay_separate(server: ServerProcess) -> None:
    john = server.create("My name is John, please remember it.").json()["id"]
    alice = server.create("My name is Alice, please remember it.").json()["id"]

    alice_reply = server.create("Do you remember my name?", previous_response_id=alice)
    john_reply = server.create("Do you remember my name?", previous_response_id=john)

    assert "John" not in alice_reply.text
    assert john_reply.json()["output"][0]["content"][0]["text"] == MEMORY_ANSWER


@pytest.mark.parametrize("language", ["python", "node"])
def test_stream_prints_its_text(run_sample: RunSample, language: str) -> None:
    head, text, completed, total = split_stream_output(run_sample("streaming", language))

    assert head == "Receiving stream output:"
    assert text.startswith("Artificial intelligence (Artificial Intelligence, or AI for short)")
    assert text.endswith(" fields, and is profoundly changing our lives and work.")
    assert completed == "Stream completed"
    assert total == "Total tokens: 203"


def split_stream_output(printed: str) -> tuple[str, str, str, str]:
    """Split into the first line, the text of the deltas (several lines) and the last two lines."""
    head, _, rest = printed.partition("\n")
    text, completed, total, end = rest.rsplit("\n", 3)
    assert end == ""
    return head, text, completed, total


def test_stream_with_curl(run_sample: RunSample) -> None:
    events = parse_events(run_sample("streaming", "curl"))

    assert len(events) == 45
    assert [event["sequence_number"] for event in events] == list(range(45))
    deltas = {
        number: event["delta"]
        for number, event in enumerate(events)
        if event["type"] == "response.output_text.delta"
    }
    assert len(deltas) == 37
    assert {number: deltas[number] for number in (4, 5, 6, 7, 38, 39, 40)} == {
        4: "Artificial intelligence",
        5: " (Art",
        6: "ificial Intelligence,",
        7: " or AI for short)",
        38: " fields, and is profoundly changing our",
        39: " lives and work",
        40: ".",
    }
    assert events[-1]["response"]["output"][0]["content"][0]["text"] == "".join(deltas.values())
    usage = events[-1]["response"]["usage"]
    assert (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]) == (37, 166, 203)


def parse_events(body: str) -> list[dict[str, Any]]:
    """The events of a stream in the vendor's framing: id, event, a comment, data, a blank line."""
    events = []
    *frames, end = body.split("\n\n")
    assert end == ""
    for number, frame in enumerate(frames):
        identity, kind, comment, data = frame.split("\n")
        event = json.loads(data.removeprefix("data:"))
        assert identity == f"id:{number + 1}"
        assert kind == f"event:{event['type']}"
        assert comment == ":HTTP_STATUS/200"
        events.append(event)
    return events


def test_tools_print_the_key_information(run_sample: RunSample) -> None:
    assert run_sample("tools", "python") == KEY_INFORMATION + "\n"


def test_tools_print_each_step(run_sample: RunSample) -> None:
    assert run_sample("tools", "node").splitlines() == [
        "Model is thinking...",
        "Search query: Alibaba Cloud official website",
        "Model is thinking...",
        "Extracting web content...",
        f"Response: {KEY_INFORMATION}",
    ]


def test_tools_with_curl(run_sample: RunSample) -> None:
    reply = json.loads(run_sample("tools", "curl"))

    assert_contains(reply, documented_body("alibaba-cloud-website"))
    # The reply also has what the document leaves out.
    assert reply["model"] == "qwen3-max-2026-01-23"
    assert isinstance(reply["created_at"], int)
    assert all(item["id"] for item in reply["output"])
    assert reply["output"][-1]["content"][0]["annotations"] == []
    assert "cached_tokens" in reply["usage"]["input_tokens_details"]


@pytest.mark.parametrize("language", ["python", "node"])
@pytest.mark.parametrize("name", ["migrate-messages", "migrate-concise"])
def test_migrated_call_prints_an_answer(run_sample: RunSample, name: str, language: str) -> None:
    (answer,) = run_sample(name, language).splitlines()

    assert answer.startswith("Hello")


def test_migrated_call_with_curl(run_sample: RunSample) -> None:
    reply = json.loads(run_sample("migrate-concise", "curl"))

    assert reply["output"][0]["content"][0]["text"].startswith("Hello")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_migration_section(language: str, server: ServerProcess, tmp_path: Path) -> None:
    """The section as one program: one client for both APIs, and in curl a path for each."""
    names = ("migrate-chat", "migrate-messages", "migrate-concise")
    texts = [SAMPLES_FOLDER / f"{name}.{language}" for name in names]
    text = SETUP.get(language, "") + "".join(each.read_text() for each in texts if each.exists())
    if language == "curl":
        printed = program_output(
            text.replace("https://dashscope-intl.aliyuncs.com", server.root_url), language, tmp_path
        )
        chat, response = printed.split('}{"', 1)
        assert json.loads(chat + "}")["choices"][0]["message"]["content"].startswith("Hello")
        assert json.loads('{"' + response)["output"][0]["content"][0]["text"].startswith("Hello")
        return
    printed = program_output(text.replace(DOCUMENT_URL, f"{server.root_url}/v1"), language, tmp_path)
    lines = [line for line in printed.splitlines() if line]
    assert lines == [lines[0]] * 3
    assert lines[0].startswith("Hello")


def test_every_sample_is_run() -> None:
    """Guards this file: each sample in the folder needs a test."""
    samples = {file.name for file in SAMPLES_FOLDER.iterdir() if file.suffix.removeprefix(".") in LANGUAGES}

    assert samples == {
        f"{name}.{language}"
        for name in (*NAMES, "migrate-chat", "migrate-messages", "migrate-concise")
        for language in LANGUAGES
    } - {"migrate-messages.curl"}
