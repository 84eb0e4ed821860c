"""Sessions isolate the workers of a parallel test run that share one server."""

from __future__ import annotations

from typing import Any

import pytest

from tests.acceptance.conftest import StartServer
from tests.pytest_runs import run_pytest_process

pytestmark = [pytest.mark.acceptance, pytest.mark.slow]

#: The workers' tests: each adds stubs in its session, sends requests, continues, and looks for the other's data.
TEST_FILE = """
import os, httpx, pytest

URL, TOKEN, MODEL = (os.environ[name] for name in ("MOCK_URL", "MOCK_TOKEN", "MOCK_MODEL"))
ROOT = str(httpx.URL(URL).join("/")).rstrip("/")


@pytest.fixture(scope="session")
def client():
    headers = {"authorization": "Bearer sk-x", "x-mock-admin-token": TOKEN}
    with httpx.Client(headers=headers, trust_env=False, timeout=300) as client:
        yield client


@pytest.mark.parametrize("repeat", range(20))
@pytest.mark.parametrize(("mine", "other"), [("alice", "bob"), ("bob", "alice")])
def test_it(client, repeat, mine, other):
    way = ("header", "path")[repeat % 2]
    prompt = f"{way} {repeat}"  # the same in both sessions
    path = httpx.URL(URL).path
    base, headers = (URL, {"x-mock-session": mine}) if way == "header" else (f"{ROOT}/s/{mine}{path}", {})
    reply = {"script": {"items": [{"type": "message", "text": f"{mine}: {prompt}"}]}}
    plan = {"format": 1, "name": f"{way}-{repeat}", "match": {"prompt": prompt}, "reply": reply}
    added = client.post(f"{ROOT}/_mock/stubs", json=plan, headers={"x-mock-session": mine})
    assert added.status_code == 200, added.text

    def ask(**more):
        return client.post(f"{base}/responses", json={"model": MODEL, **more}, headers=headers)

    first = ask(input=prompt).json()
    assert first["output"][0]["content"][0]["text"] == f"{mine}: {prompt}"
    assert ask(input="Go on.", previous_response_id=first["id"]).status_code == 200
    seen = client.get(f"{base}/responses/{first['id']}", headers=headers)
    hidden = client.get(f"{ROOT}/s/{other}{path}/responses/{first['id']}")
    assert (seen.status_code, hidden.status_code) == (200, 404)
    refused = client.post(
        f"{ROOT}/s/{other}{path}/responses",
        json={"model": MODEL, "input": prompt, "previous_response_id": first["id"]},
    )
    assert refused.status_code == 400
"""


def test_sessions_of_parallel_workers_are_isolated(
    start_server: StartServer, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start_server("--admin", "--allow-mock-headers", "--seed", "3", "--profile", "qwen-2026-09")
    token = server.stdout_text.partition("x-mock-admin-token: ")[2].split()[0]
    variables = {"MOCK_URL": server.base_url, "MOCK_TOKEN": token, "MOCK_MODEL": "qwen3.8-max"}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    pytester.makepyfile(TEST_FILE)
    result = run_pytest_process(pytester, "-p", "xdist", "-n", "4")
    result.assert_outcomes(passed=40)

    def entries(session: str) -> list[dict[str, Any]]:
        headers = {"x-mock-admin-token": token, "x-mock-session": session}
        page = server.client.get(f"{server.root_url}/_mock/journal?limit=1000", headers=headers).json()
        assert not page["has_more"]
        found: list[dict[str, Any]] = page["entries"]
        return found

    # 20 tests with three calls each, and two calls by each of the other session's tests, which find nothing.
    alice, bob = entries("alice"), entries("bob")
    assert [len(alice), len(bob), entries("default")] == [100, 100, []]
    for name, mine in (("alice", alice), ("bob", bob)):
        assert {each["session"] for each in mine} == {name}
        replies = [each["reply"] for each in mine if each["exchange"] and each["status"] == 200]
        assert (len(replies), all(f'"text":"{name}: ' in each for each in replies)) == (20, True)
    ids = [{each["request_id"] for each in mine} for mine in (alice, bob)]
    assert ids[0].isdisjoint(ids[1])
