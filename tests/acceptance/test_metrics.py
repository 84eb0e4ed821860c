"""`mockserver serve --metrics`, scraped over a socket and read by the parser of prometheus-client."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from tests.acceptance.conftest import (
    KEY,
    MODEL,
    ServerProcess,
    StartServer,
    server_environment,
    wait_until,
)
from tests.marks import slow_except
from tests.programs import run_program

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def scrape(server: ServerProcess, accept: str = "") -> dict[str, float]:
    """The samples, by name with labels as in PromQL."""
    reply = httpx.get(f"{server.root_url}/metrics", headers={"accept": accept} if accept else {})
    assert reply.status_code == 200, reply.text
    is_openmetrics = reply.headers["content-type"].startswith("application/openmetrics-text")
    assert is_openmetrics == (accept == OPENMETRICS)
    parse: Any = parse_openmetrics if is_openmetrics else parse_text
    return {
        f"{each.name}{{{','.join(f'{key}={each.labels[key]}' for key in sorted(each.labels))}}}": each.value
        for family in parse(reply.text)
        for each in family.samples
    }


def requests(samples: dict[str, float]) -> dict[str, float]:
    prefix = "mockserver_requests_total"
    return {name.removeprefix(prefix): value for name, value in samples.items() if name.startswith(prefix)}


def test_metrics_count_requests_findings_and_faults(start_server: StartServer) -> None:
    server = start_server("--metrics", "--allow-mock-headers", "--profile", "qwen-2026-09")
    assert server.create("Hello").status_code == 200
    assert server.create("Hello", stream=True).status_code == 200
    assert server.create("Hello", temperature="hot").status_code == 400
    url, body = f"{server.base_url}/responses", {"model": MODEL, "input": "x"}
    fault = server.client.post(url, json=body, headers={"x-mock-fault": "rate-429"})
    assert fault.status_code == 429
    chat = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}]}
    assert server.client.post(f"{server.root_url}/v1/chat/completions", json=chat).status_code == 200
    assert server.client.get(f"{server.base_url}/responses/resp_0").status_code == 404
    assert server.client.post(f"{server.root_url}/s/alice/v1/responses", json=body).status_code == 200
    assert httpx.get(f"{server.root_url}/ready").status_code == 200
    assert httpx.get(f"{server.root_url}/nowhere/at/all").status_code == 404
    samples = scrape(server)
    profile = "profile=qwen-2026-09"
    assert requests(samples) == {
        f"{{operation=createResponse,{profile},status=200,stream=false}}": 2,
        f"{{operation=createResponse,{profile},status=200,stream=true}}": 1,
        f"{{operation=createResponse,{profile},status=400,stream=false}}": 1,
        f"{{operation=createResponse,{profile},status=429,stream=false}}": 1,
        f"{{operation=createChatCompletion,{profile},status=200,stream=false}}": 1,
        f"{{operation=retrieveResponse,{profile},status=404,stream=false}}": 1,
        f"{{operation=health,{profile},status=200,stream=false}}": 1,
        f"{{operation=other,{profile},status=404,stream=false}}": 1,
    }
    assert samples["mockserver_findings_total{rule=REQ-001}"] == 1
    assert samples["mockserver_faults_total{fault=rate-429}"] == 1
    assert samples["mockserver_time_to_first_byte_seconds_count{operation=createResponse,stream=true}"] == 1
    assert samples["mockserver_request_duration_seconds_count{operation=createResponse,stream=false}"] == 4
    assert samples["mockserver_open_streams{}"] == 0
    assert samples["mockserver_journal_entries{}"] == 8
    assert samples["mockserver_journal_bytes{}"] > 1000
    assert requests(scrape(server, OPENMETRICS)) == requests(samples)


def test_metrics_show_streams_that_are_open(start_server: StartServer) -> None:
    server = start_server("--metrics", "--pace", "fixed:60000", "--chunking", "bytes:9")
    body = {"model": MODEL, "input": "x", "stream": True}
    with server.client.stream("POST", "/responses", json=body) as reply:
        assert reply.status_code == 200
        wait_until(lambda: scrape(server)["mockserver_open_streams{}"] == 1, "the stream is open")
    wait_until(lambda: scrape(server)["mockserver_open_streams{}"] == 0, "the client left")


def test_metrics_keep_other_hosts_out_and_need_no_key(start_server: StartServer) -> None:
    server = start_server("--metrics")
    url = f"{server.root_url}/metrics"
    assert httpx.get(url).status_code == 200
    assert httpx.head(url).content == b""
    assert httpx.get(url, headers={"host": "rebound.example"}).status_code == 403
    assert httpx.get(url, headers={"origin": "https://other.example"}).status_code == 403
    assert httpx.post(url).status_code == 404


def test_a_server_has_no_metrics_unless_asked(start_server: StartServer) -> None:
    server = start_server()
    assert httpx.get(f"{server.root_url}/metrics").status_code == 404


def test_a_server_without_metrics_does_not_load_the_library() -> None:
    code = "import sys, mockserver.cli.serve, mockserver.server.http.app; print('prometheus_client' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_processes_with_a_shared_folder_report_their_sum(start_server: StartServer, tmp_path: Path) -> None:
    folder = tmp_path / "metrics"
    folder.mkdir()
    env: dict[str, Any] = {"PROMETHEUS_MULTIPROC_DIR": str(folder)}
    servers = [start_server("--metrics", env=env) for _ in range(2)]
    for count, server in enumerate(servers, start=1):
        for _ in range(count):
            assert server.create("Hello").status_code == 200
    # Another process counts a request just after its reply.
    wait_until(lambda: [*requests(scrape(servers[0])).values()] == [3], "the sum")
    assert requests(scrape(servers[1])) == requests(scrape(servers[0]))
    assert scrape(servers[0])["mockserver_journal_entries{}"] == 3
    servers[1].stop()
    rest = scrape(servers[0])
    assert rest["mockserver_journal_entries{}"] == 1  # what a process has now ends with it …
    assert sum(requests(rest).values()) == 3  # … but not what it has counted


@pytest.mark.skipif(not hasattr(os, "fork"), reason="workers are forked")
@pytest.mark.parametrize("mode", slow_except(["workers"], ["workers", "store"]))
def test_workers_and_servers_with_a_store_report_every_metric(
    mode: str, start_server: StartServer, tmp_path: Path
) -> None:
    exchange = {"match": "Once", "times": 1, "reply": "Here you are."}
    (tmp_path / "exchanges").mkdir()
    (tmp_path / "exchanges" / "once.json").write_text(json.dumps(exchange))
    shared = ("--workers", "2") if mode == "workers" else ("--store", f"sqlite:{tmp_path}/store")
    options = (
        "--exchanges",
        tmp_path / "exchanges",
        "--limit",
        "tokens=1000000",
        "--profile",
        "qwen-2026-05",
    )
    server = start_server("--metrics", "--quiet", "--seed", "7", "--allow-mock-headers", *options, *shared)
    body = {"model": MODEL, "input": "Hello"}
    # Each request has a connection of its own, which either worker may accept.
    limits = httpx.Limits(max_keepalive_connections=0)
    with httpx.Client(
        base_url=server.base_url, headers={"authorization": f"Bearer {KEY}"}, limits=limits, trust_env=False
    ) as client:
        replies = [client.post("/responses", json=body) for _ in range(6)]
        replies += [client.post("/responses", json={**body, "stream": True}) for _ in range(4)]
        replies += [client.post("/responses", json={**body, "input": "Once"}) for _ in range(2)]
        replies.append(client.post("/responses", json={**body, "temperature": "hot"}))
        replies.append(client.post("/responses", json=body, headers={"x-mock-fault": "rate-429"}))
        replies.append(client.get(f"/responses/{replies[0].json()['id']}"))
        assert [each.status_code for each in replies] == [200] * 12 + [400, 429, 200]
        stalled = client.stream(
            "POST", "/responses", json={**body, "stream": True}, headers={"x-mock-fault": "stall"}
        )
        with stalled as reply:
            assert reply.status_code == 200
            wait_until(lambda: scrape(server)["mockserver_open_streams{}"] == 1, "the stream is open")
    wait_until(lambda: sum(requests(scrape(server)).values()) == 16, "every worker to count its requests")
    wait_until(
        lambda: scrape(server)["mockserver_journal_entries{}"] == 16, "every worker to report its journal"
    )
    create, profile = "operation=createResponse", "profile=qwen-2026-05"
    for _ in range(3):  # whichever worker replies
        samples = scrape(server)
        assert requests(samples) == {
            f"{{{create},{profile},status=200,stream=false}}": 8,
            f"{{{create},{profile},status=200,stream=true}}": 5,
            f"{{{create},{profile},status=400,stream=false}}": 1,
            f"{{{create},{profile},status=429,stream=false}}": 1,
            f"{{operation=retrieveResponse,{profile},status=200,stream=false}}": 1,
        }
        assert samples["mockserver_findings_total{rule=REQ-001}"] == 1
        faults = [samples[f"mockserver_faults_total{{fault={name}}}"] for name in ("rate-429", "stall")]
        assert faults == [1, 1]
        assert samples["mockserver_open_streams{}"] == 0
        assert samples["mockserver_journal_bytes{}"] > 1000
        for name in ("time_to_first_byte", "request_duration"):
            require_times(samples, f"mockserver_{name}_seconds", create)
        store = "mockserver_store_seconds"
        operations = {"put": 13, "admit": 13, "add_tokens": 13, "take": 2, "get": 1}
        assert {name: samples[f"{store}_count{{operation={name}}}"] for name in operations} == operations
        assert samples[f"{store}_count{{operation=count}}"] >= 13  # also for the ids of errors
        assert all(samples[f"{store}_sum{{operation={name}}}"] > 0 for name in (*operations, "count"))
    assert server.stop() in (0, -15)


def require_times(samples: dict[str, float], histogram: str, operation: str) -> None:
    """The times of the ten replies and the five streams of an operation."""
    counts = [samples[f"{histogram}_count{{{operation},stream={stream}}}"] for stream in ("false", "true")]
    assert counts == [10, 5]
    assert samples[f"{histogram}_bucket{{le=+Inf,{operation},stream=true}}"] == 5
    assert samples[f"{histogram}_sum{{{operation},stream=true}}"] > 0


def test_metrics_without_the_library_say_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "prometheus_client.py").write_text("raise ModuleNotFoundError(name='prometheus_client')")
    done = run_program(
        [sys.executable, "-m", "mockserver", "serve", "--port", "0", "--metrics", "--workers", "2"],
        env=server_environment(PYTHONPATH=f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"),
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "prometheus_client is not installed: pip install 'responses-mockserver[metrics]'" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_shared_folder_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    done = run_program(
        [sys.executable, "-m", "mockserver", "serve", "--port", "0", "--metrics"],
        env=server_environment(PROMETHEUS_MULTIPROC_DIR=str(tmp_path / "nowhere")),
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "PROMETHEUS_MULTIPROC_DIR is not a folder" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("option", [["--quiet"], ["--report", "text=report.txt"]])
def test_metrics_do_not_depend_on_the_log(start_server: StartServer, option: list[str]) -> None:
    server = start_server("--metrics", *option, "--api-key", KEY)
    server.create("Hello")
    assert sum(requests(scrape(server)).values()) == 1
    assert KEY not in httpx.get(f"{server.root_url}/metrics").text
