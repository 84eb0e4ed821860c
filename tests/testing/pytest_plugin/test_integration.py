"""The plugin with pytest's options, with other plugins and with Hypothesis."""

from __future__ import annotations

import json

import pytest

from tests.testing.pytest_plugin.conftest import RunPytest

pytestmark = pytest.mark.slow


INVALID_REQUEST = 'ask(model="nope")'


@pytest.mark.slow
def test_each_xdist_worker_has_its_own_server(run: RunPytest, pytester: pytest.Pytester) -> None:
    result = run(
        f"""
@pytest.mark.parametrize("number", range(40))
def test_own(ask, responses_server, number):
    assert len(responses_server.journal) == 0
    responses_server.reply(f"for {{number}}")
    assert text(ask(f"from {{number}}")) == f"for {{number}}"
    assert [entry.prompt for entry in responses_server.journal] == [f"from {{number}}"]

@pytest.mark.parametrize("number", range(4))
def test_broken(ask, number):
    {INVALID_REQUEST}

def test_ignored(ask):
    ask(some_parameter=1)
""",
        "--responses-report=report.json",
        workers=4,
    )
    result.assert_outcomes(passed=41, failed=4)
    result.stdout.fnmatch_lines(["*parameters that the service ignores: some_parameter (1 request)"])
    assert result.stdout.str().count("parameters that the service ignores") == 1
    report = json.loads((pytester.path / "report.json").read_bytes())
    assert (len(report["tests"]), report["requests"], report["complete"]) == (45, 45, True)
    assert report["rules"] == {"REQ-002": 1, "REQ-005": 4}


def test_without_the_plugin_there_is_no_fixture(run: RunPytest) -> None:
    code = "def test_it(responses_server):\n    pass\n"
    result = run(code, "-p", "no:mockserver.testing.pytest_plugin")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*fixture 'responses_server' not found*"])
    result = run("def test_it():\n    pass\n", "-p", "no:mockserver.testing.pytest_plugin")
    result.assert_outcomes(passed=1)


def test_the_plugin_can_be_named_explicitly(run: RunPytest) -> None:
    code = "def test_it(ask):\n    ask()\n"
    run(code, "-p", "mockserver.testing.pytest_plugin", subprocess=True, all_plugins=True).assert_outcomes(
        passed=1
    )


def test_strict_markers_strict_config_and_warnings_as_errors(
    run: RunPytest, pytester: pytest.Pytester
) -> None:
    pytester.makeini("[pytest]\nresponses_ignored = off\nresponses_profile = qwen-2026-01\n")
    result = run(
        f"""
import gc

@pytest.mark.responses(strict=True)
def test_good(ask):
    ask()

def test_broken(ask):
    {INVALID_REQUEST}

def test_streams(responses_server):
    responses_server.reply("a few words")
    client = responses_server.httpx()
    body = {{"model": responses_server.model, "input": "x", "stream": True}}
    with client.stream("POST", "/responses", json=body) as answer:
        assert b"response.created" in next(answer.iter_bytes())

def test_nothing_is_left_open():
    gc.collect()
""",
        "--strict-markers",
        "--strict-config",
        "-W",
        "error",
        subprocess=True,
        all_plugins=True,
    )
    result.assert_outcomes(passed=3, failed=1)


def test_asyncio_and_anyio_tests(run: RunPytest) -> None:
    result = run(
        """
import httpx

async def aask(server, **more):
    async with httpx.AsyncClient(trust_env=False) as client:
        head = {"authorization": f"Bearer {server.api_key}"}
        body = {"model": server.model, "input": "hi", **more}
        return (await client.post(f"{server.base_url}/responses", json=body, headers=head)).json()

@pytest.mark.asyncio
async def test_good(responses_server):
    responses_server.reply("yes")
    assert text(await aask(responses_server)) == "yes"

@pytest.mark.asyncio
async def test_broken(responses_server):
    await aask(responses_server, model="nope")

@pytest.mark.asyncio
async def test_by_itself(responses_server):
    await aask(responses_server, model="nope")
    assert 0

@pytest.fixture(params=["asyncio"])
def anyio_backend(request):
    return request.param

@pytest.mark.anyio
async def test_good_too(responses_server):
    responses_server.reply("yes")
    assert text(await aask(responses_server)) == "yes"

@pytest.mark.anyio
async def test_broken_too(responses_server):
    await aask(responses_server, model="nope")
""",
        "-W",
        "error",
    )
    result.assert_outcomes(passed=2, failed=3)
    assert sum(line.startswith("Contract violation REQ-005") for line in result.outlines) == 2
    result.stdout.fnmatch_lines(["E       assert 0"])


PROPERTY_HEADER = """
import inspect
from hypothesis import given, settings, strategies as st

QUICK = settings(max_examples=300, database=None, deadline=None)
numbers = st.integers(0, 10_000)
seen = []
"""


def test_each_example_of_a_property_is_checked_and_reset(run: RunPytest) -> None:
    result = run(
        PROPERTY_HEADER
        + """
@QUICK
@given(number=numbers)
def test_good(ask, responses_server, number):
    assert len(responses_server.journal) == 0
    responses_server.reply(str(number))
    assert text(ask(str(number))) == str(number)
    responses_server.clock.advance(1)
    seen.append(responses_server.clock.now())

def test_hundreds():
    assert len(seen) >= 300
    assert len(set(seen)) == 1

@QUICK
@given(number=numbers)
def test_broken(ask, responses_server, number):
    seen.append(number)
    ask(**({"model": "nope"} if number > 1000 else {}))

def test_it_was_shrunk():
    assert seen[-1] == 1001

@QUICK
@given(number=numbers)
def test_unplanned(ask, responses_server, number):
    responses_server.reply("once")
    for _ in range(2 if number > 1000 else 1):
        ask()
""",
        "-W",
        "error",
    )
    result.assert_outcomes(passed=3, failed=2)
    result.stdout.fnmatch_lines(
        [
            "*ContractError: Contract violation REQ-005 at /model: *",
            "*- requests to the mock server -*",
            '   > {"model":"nope","input":"hi"}',
            "*ContractError: Unmatched request (unplanned): *",
        ]
    )


@pytest.mark.slow
def test_asynchronous_properties(run: RunPytest) -> None:
    code = (
        PROPERTY_HEADER
        + """
import httpx

async def aask(server, **more):
    async with httpx.AsyncClient(trust_env=False) as client:
        head = {"authorization": f"Bearer {server.api_key}"}
        body = {"model": server.model, "input": "hi", **more}
        return (await client.post(f"{server.base_url}/responses", json=body, headers=head)).json()

SOME = settings(QUICK, max_examples=30)

@pytest.mark.asyncio
@SOME
@given(number=numbers)
async def test_good(responses_server, number):
    assert len(responses_server.journal) == 0
    responses_server.reply(str(number))
    assert text(await aask(responses_server)) == str(number)

@pytest.mark.asyncio
@SOME
@given(number=numbers)
async def test_broken(responses_server, number):
    await aask(responses_server, **({"model": "nope"} if number > 100 else {}))

@pytest.fixture(scope="session")
def anyio_backend():
    return "asyncio"

@pytest.mark.anyio
@SOME
@given(number=numbers)
async def test_good_too(responses_server, number):
    assert len(responses_server.journal) == 0
    responses_server.reply(str(number))
    assert text(await aask(responses_server)) == str(number)

@pytest.mark.anyio
@SOME
@given(number=numbers)
async def test_broken_too(responses_server, number):
    await aask(responses_server, **({"model": "nope"} if number > 100 else {}))
"""
    )
    result = run(code, "-W", "error")
    result.assert_outcomes(passed=2, failed=2)
    lines = [
        line
        for line in result.outlines
        if line.startswith("E  ") and "ContractError: Contract violation REQ-005" in line
    ]
    assert len(lines) == 2


@pytest.mark.slow
def test_requests_before_the_first_example_are_checked(run: RunPytest) -> None:
    result = run(
        PROPERTY_HEADER
        + f"""
@pytest.fixture(scope="module")
def early(ask):
    {INVALID_REQUEST}

@QUICK
@given(number=numbers)
def test_it(early, ask, number):
    ask()
"""
    )
    result.assert_outcomes(failed=1)


def test_a_rerun_test_starts_fresh(run: RunPytest) -> None:
    """Plugins that rerun failed tests repeat setup, call and teardown."""
    result = run(
        """
from _pytest.runner import runtestprotocol

tries = []

def test_it(ask, responses_server):
    assert len(responses_server.journal) == 0
    tries.append(1)
    responses_server.reply("yes")
    ask(**({"model": "nope"} if len(tries) == 1 else {}))

def test_last(ask):
    assert tries == [1, 1]
""",
        "-p",
        "again",
    )
    result.assert_outcomes(passed=2)


@pytest.fixture(autouse=True)
def rerun_plugin(pytester: pytest.Pytester) -> None:
    """A plugin that runs each test twice and reports the second run."""
    pytester.makepyfile(
        again="""
import pytest
from _pytest.runner import runtestprotocol

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    if nextitem is None:
        return None
    first = runtestprotocol(item, nextitem=nextitem, log=False)
    assert [each.outcome for each in first] == ["passed", "failed", "passed"]
    item._initrequest()
    runtestprotocol(item, nextitem=nextitem)
    return True
"""
    )
    pytester.syspathinsert()
