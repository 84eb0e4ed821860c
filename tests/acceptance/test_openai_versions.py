"""`.openai()` and `.async_openai()` with each major version of openai, with warnings as errors."""

from __future__ import annotations

import os
import re
import sysconfig
from pathlib import Path

import pytest

from tests import traffic_recorder
from tests.acceptance.conftest import ROOT, environment_python, isolated_environment
from tests.programs import run_program

TEST_FILE = """
import asyncio
import gc

import pytest
from mockserver import MockServer


def test_one_that_waits(responses_server):
    client = responses_server.openai(max_retries=0)
    responses_server.reply("Hello!")
    assert client.responses.create(model=responses_server.model, input="Hi").output_text == "Hello!"


def test_one_that_streams(responses_server):
    responses_server.reply(chunks=["Hel", "lo!"])
    events = responses_server.openai().responses.create(
        model=responses_server.model, input="Hi", stream=True)
    assert [each.delta for each in events if each.type == "response.output_text.delta"] == ["Hel", "lo!"]


def test_one_that_is_left_in_the_middle(responses_server):
    responses_server.reply("Hello! " * 1000)
    events = responses_server.openai().responses.create(
        model=responses_server.model, input="Hi", stream=True)
    next(iter(events))


@pytest.mark.anyio
async def test_one_of_coroutines(responses_server):
    client = responses_server.async_openai(default_headers={"x-mine": "1"})
    responses_server.reply("Hello!").times(2)
    response = await client.responses.create(model=responses_server.model, input="Hi")
    assert response.output_text == "Hello!"
    events = await client.responses.create(model=responses_server.model, input="Hi", stream=True)
    assert [each.type async for each in events][-1] == "response.completed"
    assert "x-mine" in responses_server.journal.last.headers


@pytest.mark.anyio
async def test_one_of_coroutines_that_is_left_in_the_middle(responses_server):
    responses_server.reply("Hello! " * 1000)
    client = responses_server.async_openai()
    async with await client.responses.create(model=responses_server.model, input="Hi", stream=True) as events:
        async for _ in events:
            break


@pytest.mark.anyio
async def test_one_of_a_server_of_ones_own():
    async with MockServer(seed=1) as server:
        client = server.async_openai()
        assert (await client.responses.create(model=server.model, input="Hi")).output_text
    assert client.is_closed()


def test_one_that_finds_its_way(responses_env, responses_server):
    import openai

    responses_server.reply("Hello!")
    with openai.OpenAI() as client:
        assert client.responses.create(model=responses_server.model, input="Hi").output_text == "Hello!"


def test_a_broken_request(responses_server):
    with pytest.raises(Exception, match="Unsupported model"):
        responses_server.openai().responses.create(model="nope", input="Hi")


def test_one_too_many_is_not_sent_again(responses_server):
    responses_server.reply("Hello!")
    client = responses_server.openai(max_retries=5)
    client.responses.create(model=responses_server.model, input="Hi")
    with pytest.raises(Exception, match="No stub matches this request"):
        client.responses.create(model=responses_server.model, input="Hi")
    assert len(responses_server.journal) == 2


def test_nothing_is_left_open():
    gc.collect()
"""

#: Our packages come after the environment's, whose openai needs its own httpx, pydantic and so on.
_PYTEST_PROGRAM = """
import sys
sys.path += sys.argv[1:3]
import pytest
options = ["-p", "no:cacheprovider", "-p", "mockserver.testing.pytest_plugin", "-p", "anyio", "-W", "error"]
sys.exit(pytest.main([*options, "test_sdk.py"]))
"""

pytestmark = [pytest.mark.acceptance, pytest.mark.slow, pytest.mark.slow]


@pytest.mark.parametrize("environment", ["openai-1", "openai-2", "openai-2.15.0", "openai-newest"])
def test_clients_of_each_version_work_and_are_closed(environment: str, tmp_path: Path) -> None:
    (tmp_path / "test_sdk.py").write_text(TEST_FILE)
    (tmp_path / "conftest.py").write_text(
        "import pytest\n@pytest.fixture\ndef anyio_backend():\n    return 'asyncio'\n"
    )
    done = run_program(
        [environment_python(environment), "-c", _PYTEST_PROGRAM, ROOT, sysconfig.get_path("purelib")],
        tmp_path,
        env=isolated_environment(
            PYTEST_DISABLE_PLUGIN_AUTOLOAD="1",
            COLUMNS="120",
            PYTHONPATH=str(ROOT / "tests" / "recorder"),
            **{traffic_recorder.SPOOL_VARIABLE: os.environ[traffic_recorder.SPOOL_VARIABLE]},
        ),
    )
    assert done.stdout.splitlines(), done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    assert [re.split(r" at |: ", line)[0] for line in lines] == [
        "FAILED test_sdk.py::test_a_broken_request - Contract violation REQ-005",
        "FAILED test_sdk.py::test_one_too_many_is_not_sent_again - Unmatched request (unplanned)",
    ], done.stdout
    assert " 2 failed, 8 passed in " in done.stdout.splitlines()[-1]
