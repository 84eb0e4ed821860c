"""The samples of the vendor's document run, changed only in base URL and key, and print what it shows.

Their texts are in `clients/` as the document has them; only the indentation that its text dump lost was
put back. The document: OpenAI-compatible Responses API guide, Alibaba Cloud Model Studio, 27 January 2026.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import (
    ENVIRONMENTS,
    KEY,
    ROOT,
    Server,
    client_environment,
    environment_python,
    program,
)

pytestmark = pytest.mark.acceptance

CLIENTS = Path(__file__).parent / "clients"
DOCUMENT_URL = "https://dashscope-intl.aliyuncs.com/api/v2/apps/protocols/compatible-mode/v1"
LANGUAGES = ["python", "node", "curl"]
NAMES = ("basic", "multi-turn", "streaming", "tools")

INTRODUCTION = (
    "Hello! I am Qwen, a large-scale language model developed by Tongyi Lab. I can answer questions, create "
    "text, write code, and express opinions. I am committed to providing you with accurate, useful, and "
    "friendly help."
)
MEMORY = "Yes, John! I remember your name. How can I assist you today?"
KEY_INFORMATION = (
    "Key information from the Alibaba Cloud official website: Qwen LLM, cloud computing services..."
)

# The migration's samples use a client without showing how it is made.
SETUP = {
    "python": "import os\nfrom openai import OpenAI\n"
    f'client = OpenAI(api_key=os.getenv("DASHSCOPE_API_KEY"), base_url="{DOCUMENT_URL}")\n',
    "node": 'import OpenAI from "openai";\n'
    f'const client = new OpenAI({{ apiKey: process.env.DASHSCOPE_API_KEY, baseURL: "{DOCUMENT_URL}" }});\n',
}

Run = Callable[[str, str], str]


def sample(name: str, language: str, base_url: str) -> str:
    """The text of a sample, pointed at a server."""
    text = (CLIENTS / f"{name}.{language}").read_text(encoding="utf-8")
    if name.startswith("migrate-"):
        text = SETUP.get(language, "") + text
    assert DOCUMENT_URL in text
    return text.replace(DOCUMENT_URL, base_url)


@pytest.fixture
def run(server: Server, tmp_path: Path) -> Run:
    """`run(name, language)`: what a sample prints."""

    def run(name: str, language: str) -> str:
        return execute(sample(name, language, server.base_url), language, tmp_path)

    return run


def execute(text: str, language: str, folder: Path) -> str:
    """Run a program's text in its language; its standard output."""
    command: Sequence[str | Path]
    if language == "python":
        file = folder / "sample.py"
        command = [environment_python("openai-newest"), file]
    elif language == "node":
        file = folder / "sample.mjs"
        command = [program("node"), file]
        packages = ENVIRONMENTS / "node" / "node_modules"
        if not packages.is_dir():
            pytest.skip("there is no .environments/node: `make test` builds it where npm is installed")
        if not (folder / "node_modules").exists():
            (folder / "node_modules").symlink_to(packages)
    else:
        program("curl")
        file = folder / "sample.sh"
        command = [program("bash"), file]
    file.write_text(text, encoding="utf-8")
    done = subprocess.run(
        command,
        cwd=folder,
        env=client_environment(DASHSCOPE_API_KEY=KEY),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=40,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def assert_shows(actual: Any, shown: Any, place: str = "") -> None:
    """Every member that the document shows is there with the shown value; ids and times are placeholders."""
    if isinstance(shown, dict):
        assert isinstance(actual, dict), place
        for name, value in shown.items():
            assert name in actual, f"{place}/{name}"
            if name not in ("id", "created_at"):
                assert_shows(actual[name], value, f"{place}/{name}")
    elif isinstance(shown, list):
        assert isinstance(actual, list), place
        assert len(actual) == len(shown), place
        for index, (one, other) in enumerate(zip(actual, shown, strict=True)):
            assert_shows(one, other, f"{place}/{index}")
    else:
        assert actual == shown, place


def shown(exchange: str) -> Any:
    """The sample reply that the document shows."""
    file = ROOT / "fixtures" / "qwen-2026-01" / f"{exchange}.json"
    return json.loads(file.read_text(encoding="utf-8"))["shown"]["body"]


@pytest.mark.parametrize("language", ["python", "node"])
def test_basic_call_prints_the_introduction(run: Run, language: str) -> None:
    assert run("basic", language) == INTRODUCTION + "\n"


def test_basic_call_with_curl(run: Run) -> None:
    reply = json.loads(run("basic", "curl"))

    assert reply["output"][0]["content"][0]["text"] == INTRODUCTION
    assert_shows(reply, shown("introduction"))


@pytest.mark.parametrize("language", ["python", "node"])
def test_second_round_remembers_john(run: Run, language: str) -> None:
    first, second = run("multi-turn", language).splitlines()

    assert first.startswith("First response: ")
    assert first.removeprefix("First response: ").strip()
    assert second == f"Second response: {MEMORY}"


def test_multi_turn_with_curl(server: Server, tmp_path: Path) -> None:
    text = sample("multi-turn", "curl", server.base_url)
    first, comment, second = text.partition("# Second round")
    assert comment

    response1 = json.loads(execute(first, "curl", tmp_path))
    assert second.count("response_id_from_first_round") == 1
    second = second.replace("response_id_from_first_round", response1["id"])
    response2 = json.loads(execute(comment + second, "curl", tmp_path))

    assert response2["output"][0]["content"][0]["text"] == MEMORY
    usage = response2["usage"]
    assert (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]) == (78, 16, 94)
    assert_shows(response2, shown("my-name"))


def test_nobody_is_called_john_without_the_first_turn(server: Server) -> None:
    """Asked often enough to see every text that could come up."""
    for _ in range(100):
        assert "John" not in server.ask("Do you remember my name?").text
    assert "John" not in server.ask("Do you remember my name?", stream=True).text


@pytest.mark.parametrize("stream", [None, True])
def test_alice_is_not_called_john(server: Server, stream: bool | None) -> None:
    for _ in range(20):
        alice = server.ask("My name is Alice, please remember it.").json()["id"]
        answer = server.ask("Do you remember my name?", previous_response_id=alice, stream=stream)
        assert answer.status_code == 200
        assert "John" not in answer.text


def test_john_and_alice_at_once_are_told_apart(server: Server) -> None:
    john = server.ask("My name is John, please remember it.").json()["id"]
    alice = server.ask("My name is Alice, please remember it.").json()["id"]

    about_alice = server.ask("Do you remember my name?", previous_response_id=alice)
    about_john = server.ask("Do you remember my name?", previous_response_id=john)

    assert "John" not in about_alice.text
    assert about_john.json()["output"][0]["content"][0]["text"] == MEMORY


@pytest.mark.parametrize("language", ["python", "node"])
def test_stream_prints_its_text_as_it_comes(run: Run, language: str) -> None:
    head, text, completed, total = split_stream_print(run("streaming", language))

    assert head == "Receiving stream output:"
    assert text.startswith("Artificial intelligence (Artificial Intelligence, or AI for short)")
    assert text.endswith(" fields, and is profoundly changing our lives and work.")
    assert completed == "Stream completed"
    assert total == "Total tokens: 203"


def split_stream_print(printed: str) -> tuple[str, str, str, str]:
    """First line, the text of the deltas (which has lines of its own), the last two lines."""
    head, _, rest = printed.partition("\n")
    text, completed, total, end = rest.rsplit("\n", 3)
    assert end == ""
    return head, text, completed, total


def test_stream_with_curl(run: Run) -> None:
    events = parse_events(run("streaming", "curl"))

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


def test_tools_print_the_key_information(run: Run) -> None:
    assert run("tools", "python") == KEY_INFORMATION + "\n"


def test_tools_print_each_step(run: Run) -> None:
    assert run("tools", "node").splitlines() == [
        "Model is thinking...",
        "Search query: Alibaba Cloud official website",
        "Model is thinking...",
        "Extracting web content...",
        f"Response: {KEY_INFORMATION}",
    ]


def test_tools_with_curl(run: Run) -> None:
    reply = json.loads(run("tools", "curl"))

    assert_shows(reply, shown("alibaba-cloud-website"))
    # What the document leaves out of this reply is there all the same.
    assert reply["model"] == "qwen3-max-2026-01-23"
    assert isinstance(reply["created_at"], int)
    assert all(item["id"] for item in reply["output"])
    assert reply["output"][-1]["content"][0]["annotations"] == []
    assert "cached_tokens" in reply["usage"]["input_tokens_details"]


@pytest.mark.parametrize("language", ["python", "node"])
@pytest.mark.parametrize("name", ["migrate-messages", "migrate-concise"])
def test_migrated_call_prints_an_answer(run: Run, name: str, language: str) -> None:
    (answer,) = run(name, language).splitlines()

    assert answer.startswith("Hello")


def test_migrated_call_with_curl(run: Run) -> None:
    reply = json.loads(run("migrate-concise", "curl"))

    assert reply["output"][0]["content"][0]["text"].startswith("Hello")


@pytest.mark.parametrize("language", LANGUAGES)
def test_migrate_whole(language: str, server: Server, tmp_path: Path) -> None:
    """The section as one program: one client for both APIs, and of curl another path for each."""
    names = ("migrate-chat", "migrate-messages", "migrate-concise")
    texts = [CLIENTS / f"{name}.{language}" for name in names]
    text = SETUP.get(language, "") + "".join(each.read_text() for each in texts if each.exists())
    if language == "curl":
        printed = execute(
            text.replace("https://dashscope-intl.aliyuncs.com", server.root), language, tmp_path
        )
        chat, response = printed.split('}{"', 1)
        assert json.loads(chat + "}")["choices"][0]["message"]["content"].startswith("Hello")
        assert json.loads('{"' + response)["output"][0]["content"][0]["text"].startswith("Hello")
        return
    printed = execute(text.replace(DOCUMENT_URL, f"{server.root}/v1"), language, tmp_path)
    said = [line for line in printed.splitlines() if line]
    assert said == [said[0]] * 3
    assert said[0].startswith("Hello")


def test_every_sample_is_run() -> None:
    """Guards this file: a sample that is added to the folder needs a test."""
    samples = {file.name for file in CLIENTS.iterdir() if file.suffix.removeprefix(".") in LANGUAGES}

    assert samples == {
        f"{name}.{language}"
        for name in (*NAMES, "migrate-chat", "migrate-messages", "migrate-concise")
        for language in LANGUAGES
    } - {"migrate-messages.curl"}
