"""`serve --fallback` and `run --fallback` as programs, before an endpoint that is a mock server."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest

from mockserver import MockServer
from tests.acceptance.conftest import MODEL, wait_until
from tests.acceptance.test_run import client_arguments, run_mockserver
from tests.acceptance.test_serve_output import running_server

pytestmark = pytest.mark.acceptance

LIVE_KEY = "sk-of-the-endpoint"


def test_serve_prints_a_key_of_its_own_and_logs_what_the_endpoint_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIVE_KEY", LIVE_KEY)
    report = tmp_path / "report.json"
    with MockServer(api_key=LIVE_KEY) as upstream:
        upstream.reply("from the endpoint")
        options = ("--fallback", upstream.base_url, "--upstream-key-env", "LIVE_KEY", "--max-requests", "1")
        with running_server(tmp_path, *options, "--report", f"json={report}") as (client, output):
            assert client.post("/responses", json={"model": MODEL, "input": "Hello!"}).status_code == 401
            client.headers["authorization"] = f"Bearer {output.own_key}"
            replies = [client.post("/responses", json={"model": MODEL, "input": "Hello!"}) for _ in range(2)]
    assert [each.status_code for each in replies] == [200, 403]
    assert "from the endpoint" in replies[0].text
    assert "(--max-requests, --max-tokens)" in replies[1].json()["message"]
    assert re.search(r"'Hello!' 200 fallback ok$", output.text, re.MULTILINE)
    for text in (output.banner, output.text, report.read_text()):
        assert LIVE_KEY not in text
    assert f"fallback   {upstream.base_url}, key from LIVE_KEY" in output.banner


@pytest.mark.slow
def test_a_report_has_what_is_still_checked_when_the_server_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIVE_KEY", LIVE_KEY)
    report = tmp_path / "report.json"
    with MockServer(api_key=LIVE_KEY) as upstream:
        upstream.reply(chunks=["word "] * 4_000).always()
        options = ("--fallback", upstream.base_url, "--upstream-key-env", "LIVE_KEY", "--metrics")
        with running_server(tmp_path, *options, "--report", f"json={report}") as (client, output):
            client.headers["authorization"] = f"Bearer {output.own_key}"
            metrics = httpx.URL(client.base_url).join("/metrics")
            body = {"model": MODEL, "input": "Hello!", "stream": True, "temperatur": 1}
            with client.stream("POST", "/responses", json=body) as reply:
                lines = reply.iter_lines()
                next(lines)
                assert "mockserver_open_streams 1.0\n" in httpx.get(metrics).text
                assert [*lines]
            finding = 'mockserver_findings_total{rule="REQ-002"} 1.0\n'
            wait_until(lambda: finding in httpx.get(metrics).text, "the check of the first request")
            client.post("/responses", json=body)
    assert "(and 1 like it)" in report.read_text()


def test_run_counts_findings_in_the_endpoints_replies(tmp_path: Path) -> None:
    with MockServer(api_key=LIVE_KEY) as upstream:
        upstream.violate("SEQ-004")
        options = ("--fallback", upstream.base_url, "--upstream-key-env", "LIVE_KEY")
        body = "print(ask(input='Hello!', stream=True))"
        done = run_mockserver(tmp_path, *options, *client_arguments(body), LIVE_KEY=LIVE_KEY)
    assert (done.stdout, done.returncode) == ("200\n", 1)
    assert "SEQ-004" in done.stderr
    assert "the endpoint's reply" in done.stderr
