"""Real clients against a real server: what the user of each client version sees in each scenario.

`clients/matrix.py` has the expectations and is also the source of `docs/clients.md`. A client that cannot read
what the service sends is expected to fail in its own way.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests import traffic_recorder
from tests.acceptance.clients.clients_page import PAGE, page
from tests.acceptance.clients.later_profiles import PROFILES, SHARED_SCENARIOS
from tests.acceptance.clients.matrix import CLIENTS, CLIENTS_FOLDER, SCENARIOS, Client, Observation
from tests.acceptance.conftest import (
    ENVIRONMENTS,
    KEY,
    ROOT,
    ServerProcess,
    StartServer,
    environment_python,
    isolated_environment,
    require_program,
)
from tests.marks import slow_except
from tests.programs import run_program

pytestmark = pytest.mark.acceptance

PROMPTS = json.loads((CLIENTS_FOLDER / "prompts.json").read_text(encoding="utf-8"))

#: Parts of a client's message that vary between runs, or quote the unreadable text.
_MASKS = (
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "<id>"),
    (re.compile(r"input_value=(['\"]).*?\1, input_type"), "input_value=…, input_type"),
    (re.compile(r"expected (value|ident) at line 1 column \d"), "expected value at line 1 column 1"),
    (re.compile(r"Unexpected token '.', .* is not valid JSON"), "Unexpected token …, … is not valid JSON"),
    (re.compile(r"\s*For further information visit \S+"), ""),
    (re.compile(r"\s+"), " "),
)

#: The two SDKs that the default suite runs; `make test` builds their environments.
DEFAULT_ENVIRONMENTS = {"openai-newest", "node"}

#: Arguments and values that fit the schemas of the drivers: name and type of each member.
_MEMBER_TYPES = {"get_weather": {"city": str}, "City": {"city": str, "population": int}}


@pytest.mark.parametrize(
    "client",
    slow_except([each for each in CLIENTS if each.environment in DEFAULT_ENVIRONMENTS], CLIENTS),
    ids=lambda client: client.environment,
)
def test_client_behaves_as_published(
    client: Client, start_server: StartServer, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    server = start_server("--api-key", KEY)
    seen = run_client(client, server, tmp_path)

    for scenario, expected in client.expected.items():
        with subtests.test(scenario):
            assert normalize(seen[scenario], server) == expected
    with subtests.test("the server still runs"):
        assert (
            server.create("Hello!").json()["output"][0]["content"][0]["text"] == _documented_texts()["hello"]
        )
        assert "Traceback" not in server.stderr_text
    with subtests.test("what crossed the wire"):
        assert_expected_traffic(client, captured_exchanges())


@pytest.mark.slow
@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.environment)
def test_client_does_the_same_in_the_latest_profile(
    client: Client, start_server: StartServer, tmp_path: Path
) -> None:
    """With a model that does not think by default, stream helpers and agents read this profile too."""
    server = start_server("--api-key", KEY, "--profile", PROFILES[-1])
    expected = {name: client.expected[name] for name in SHARED_SCENARIOS if name in client.expected}
    client = replace(client, expected=expected)
    seen = run_client(client, server, tmp_path)
    documented = _documented_texts()
    for scenario, observation in expected.items():
        # This profile has no documented texts.
        text = {"text": "generated"} if observation.get("text") in documented else {}
        assert normalize(seen[scenario], server) == {**observation, **text}, scenario


def run_client(client: Client, server: ServerProcess, folder: Path) -> dict[str, Observation]:
    """Run the client's driver; returns what its user sees by scenario."""
    done = run_program(
        [*client_command(client, folder), *client.expected],
        folder,
        env=isolated_environment(
            OPENAI_BASE_URL=server.base_url,
            OPENAI_API_KEY=KEY,
            PYTHONPATH=str(ROOT),
            PATH=os.pathsep.join([str(binaries_folder(client)), os.environ["PATH"]]),
            **client.environment_variables,
        ),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"scenario"')]
    assert [line["scenario"] for line in lines] == list(client.expected), done.stderr
    return {line.pop("scenario"): line for line in lines}


def client_command(client: Client, folder: Path) -> list[str | Path]:
    """The command of the driver; skips the test if its environment is missing."""
    driver = CLIENTS_FOLDER / client.driver
    if driver.suffix == ".py":
        python = (
            environment_python(client.environment) if not binaries_folder(client).exists() else sys.executable
        )
        return [python, "-m", f"tests.acceptance.clients.{driver.stem}"]
    if not binaries_folder(client).parent.is_dir():
        pytest.skip(
            f"there is no .environments/{client.environment}: `make environments` builds it where npm is"
        )
    for file in (driver, CLIENTS_FOLDER / "driving.mjs", CLIENTS_FOLDER / "prompts.json"):
        (folder / file.name).write_bytes(file.read_bytes())
    (folder / "node_modules").symlink_to(binaries_folder(client).parent)
    return [require_program("node"), folder / driver.name]


def binaries_folder(client: Client) -> Path:
    return ENVIRONMENTS / client.environment / "node_modules" / ".bin"


def normalize(seen: Observation, server: ServerProcess) -> Observation:
    """The observation with documented texts by name and generated texts as "generated"."""
    result = dict(seen)
    if "text" in seen:
        result["text"] = _text_name(seen["text"])
    if "texts" in seen:
        result["texts"] = [_text_name(text) for text in seen["texts"]]
    if "calls" in seen:
        result["calls"] = [_signature(call["name"], call["arguments"]) for call in seen["calls"]]
    if "value" in seen:
        result["value"] = _signature("City", seen["value"])
    if "message" in seen:
        message = seen["message"].replace(server.base_url, "<base URL>")
        for pattern, mask in _MASKS:
            message = pattern.sub(mask, message)
        result["message"] = message.strip()
    return result


def _text_name(text: str) -> str:
    names = {known: name for name, known in _documented_texts().items()}
    assert text.strip()
    return names.get(text, "generated")


@cache
def _documented_texts() -> Mapping[str, str]:
    """The texts of the exchanges that come with the package, by their names."""
    texts = {}
    for file in (ROOT / "fixtures").glob("*/*.json"):
        exchange = json.loads(file.read_text(encoding="utf-8"))
        message = exchange["reply"]["script"]["items"][-1]
        texts[exchange["name"]] = message.get("text") or "".join(message["chunks"])
    # Both hello prompts have the same reply.
    assert texts["hello"] == texts["hello-messages"]
    texts["hello-messages"] = texts.pop("hello")
    return {"hello": texts["hello-messages"], **texts}


def _signature(name: str, members: Mapping[str, Any]) -> str:
    shape = _MEMBER_TYPES[name]
    assert {each: type(value) for each, value in members.items()} == shape
    return f"{name}({', '.join(shape)})"


def captured_exchanges() -> list[traffic_recorder.CapturedExchange]:
    """The traffic recorded in this test so far; the check at the end of the test reads it again."""
    files = sorted(Path(os.environ[traffic_recorder.SPOOL_VARIABLE]).glob("*.jsonl"))
    return [
        traffic_recorder.CapturedExchange.from_line(line)
        for file in files
        for line in file.read_text().splitlines()
    ]


def assert_expected_traffic(client: Client, captured: Sequence[traffic_recorder.CapturedExchange]) -> None:
    """Only expected requests failed, and function outputs belong to calls from the mock server."""
    statuses = [each.status for each in captured]
    assert set(statuses) <= {200, 400, 401}
    assert statuses.count(401) == client.expected_refusals
    assert statuses.count(400) == len({"unknown_model", "own_tools"} & set(client.expected))
    assert any(_is_second_turn(_request_body(crossing)) for crossing in captured)
    if client.expected_streams is not None:
        assert (
            sum(_request_body(crossing).get("stream", False) for crossing in captured)
            == client.expected_streams
        )
    replies, round_trips = "", 0
    for crossing in captured:
        for call_id in _function_outputs(_request_body(crossing)):
            assert crossing.status == 200
            assert f'"call_id":"{call_id}"' in replies
            assert '"type":"output_text"' in crossing.body.decode()
            round_trips += 1
        replies += crossing.body.decode()
    functions = ("function", "function_stream") if "function" in client.expected else ("basic", "two_turns")
    assert round_trips >= len(functions)


def _request_body(crossing: traffic_recorder.CapturedExchange) -> dict[str, Any]:
    """The request body; nothing was read if its key was refused."""
    body: dict[str, Any] = json.loads(crossing.request or "{}")
    return body


def _function_outputs(body: Mapping[str, Any]) -> list[str]:
    """The calls whose outputs a request ends with."""
    content = body.get("input", "")
    if isinstance(content, str) or content[-1].get("type") != "function_call_output":
        return []
    return [item["call_id"] for item in content if item.get("type") == "function_call_output"]


def _is_second_turn(body: Mapping[str, Any]) -> bool:
    """Whether a request asks for the name from the previous turn."""
    text = json.dumps(body)
    return PROMPTS["recall"] in text and ("previous_response_id" in body or PROMPTS["name"] in text)


def test_every_scenario_and_note_belongs_somewhere() -> None:
    for client in CLIENTS:
        assert set(client.expected) <= set(SCENARIOS), client.environment
        assert set(client.notes) <= set(client.expected), client.environment
    assert {name for client in CLIENTS for name in client.expected} == set(SCENARIOS)


def test_page_is_current() -> None:
    """`python -m tests.acceptance.clients.clients_page` writes it."""
    assert PAGE.read_text(encoding="utf-8") == page()


def test_page_has_no_local_paths() -> None:
    text = page()
    assert str(ROOT) not in text
    assert str(Path.home()) not in text
    assert set(re.findall(r"https?://([^/\s`\"']+)", text)) <= {"127.0.0.1:8080"}
