"""`mockserver verify` against fake endpoints: honest, drifted, slow, failing and hostile ones."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema
import pytest

from mockserver import resources
from mockserver.contract.files import check_file
from mockserver.contract.rules import load_rules
from mockserver.live.client import Client, Timeouts
from mockserver.live.endpoint import parse_endpoint
from mockserver.live.probes import all_probes
from mockserver.profiles import load_profile, profile_names
from mockserver.wire import json
from tests.acceptance.conftest import wait_until
from tests.cli.conftest import RunCli
from tests.live.conftest import CANARY_KEY, Verify, child_environment
from tests.marks import slow_except


def finding_keys(report: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(each["verdict"], each["rule"], each["place"]) for each in report["findings"]]


MODEL = load_profile("qwen-2026-01").models[0]

PLAYABLE_PROFILES = [name for name in profile_names() if load_profile(name).models]


QWEN_PROFILES = [name for name in PLAYABLE_PROFILES if name.startswith("qwen-")]


@pytest.mark.slow
@pytest.mark.parametrize("profile", QWEN_PROFILES)
def test_qwen_keeps_the_rules_that_all_servers_keep(profile: str, verify: Verify) -> None:
    """Which built-in tools a server runs is not one of these rules."""
    options = ("--profile", "openai", "--model", load_profile(profile).models[0])
    status, report, printed = verify("honest", *options, profile=profile)
    assert (status, report["findings"]) == (0, []), printed
    inconclusive = [each for each in report["probes"] if each["verdict"] == "inconclusive"]
    assert [each["reason"] for each in inconclusive if each["id"].startswith("tool-")] == [
        "the endpoint refuses code_interpreter; openai does not say which tools it runs"
    ]


@pytest.mark.parametrize("profile", slow_except(["qwen-2026-01"], PLAYABLE_PROFILES))
def test_honest_endpoint_passes(profile: str, verify: Verify) -> None:
    status, report, printed = verify("honest", profile=profile)
    assert status == 0, printed
    assert report["findings"] == []
    assert report["profile"] == profile
    verdicts = {each["id"]: each["verdict"] for each in report["probes"]}
    inconclusive = {name for name, verdict in verdicts.items() if verdict == "inconclusive"}
    assert inconclusive <= {"incomplete"}  # the mock's reply is shorter than max_output_tokens
    assert {verdicts[name] for name in verdicts.keys() - inconclusive} == {"pass", "not covered"}
    assert report["partial"] is None


TEXT_DELTA = "response.output_text.delta"

#: A deviation, and the only finding it must cause: verdict, rule, location in the contract.
EXPECTED_FINDINGS = {
    "member-removed": ("fail", "SCH-002", "response/object"),
    "member-retyped": ("fail", "SCH-001", "response/created_at"),
    "member-added": ("drift", "SCH-003", "response/vendor_note"),
    "usage-member-added": ("drift", "SCH-003", "usage/x_new"),
    "status-unknown": ("fail", "SCH-001", "response/status"),
    "usage-total": ("fail", "USE-001", "usage/total_tokens"),
    "usage-gone": ("fail", "USE-004", "response/usage"),
    "usage-cached": ("fail", "USE-003", "usage/input_tokens_details/cached_tokens"),
    "response-id-changes": ("fail", "SEQ-010", "stream"),
    "item-id-differs": ("fail", "ITM-003", f"{TEXT_DELTA}/item_id"),
    "numbers-from-one": ("fail", "SEQ-002", "stream"),
    "numbers-skip": ("fail", "SEQ-013", "stream"),
    "numbers-repeat": ("fail", "SEQ-003", "stream"),
    "created-missing": ("fail", "SEQ-004", "stream"),
    "text-done-late": ("fail", "ITM-013", "response.content_part.done"),
    "compressed": ("fail", "LIV-008", "gzip"),
    "terminal-missing": ("fail", "SEQ-006", "stream"),
    "text-differs": ("fail", "TXT-001", "response.output_text.done/text"),
    "index-off": ("fail", "ITM-002", f"{TEXT_DELTA}/output_index"),
    "event-new": ("drift", "SEQ-012", "response.heartbeat"),
    "item-new": ("drift", "SCH-005", "memory_call"),
    "event-name-wrong": ("fail", "SSE-001", "stream"),
    "event-lines-gone": ("drift", "SSE-011", "stream"),
    "end-cut": ("fail", "SSE-003", "stream"),
    "done-marker": ("drift", "SSE-010", "stream"),
    "data-broken": ("fail", "SSE-002", "stream"),
    "zero-events": ("fail", "SSE-006", "stream"),
    "html-for-stream": ("fail", "SSE-006", "stream"),
    "json-for-stream": ("fail", "SSE-006", "stream"),
    "content-type": ("drift", "LIV-006", "text/event-stream"),
    "envelope": ("fail", "SCH-002", "error"),
    "stalled": ("fail", "LIV-001", "stream: stalled"),
    "closed-early": ("fail", "LIV-001", "stream: cut"),
    "redirect": ("fail", "LIV-008", "307"),
    "wrong-key-accepted": ("fail", "LIV-005", "a wrong key"),
    "unknown-id-accepted": ("fail", "LIV-003", "an unknown previous_response_id"),
    "range-ignored": ("fail", "LIV-003", "a temperature of 2 (out of range)"),
}


@pytest.mark.parametrize(
    "deviation", slow_except(["member-added", "usage-total", "stalled"], EXPECTED_FINDINGS)
)
def test_each_deviation_causes_exactly_one_finding(deviation: str, verify: Verify) -> None:
    stall = ("--stall", "0.4") if deviation == "stalled" else ()
    status, report, printed = verify(deviation, *stall, "--skip", "cancel")
    assert finding_keys(report) == [EXPECTED_FINDINGS[deviation]]
    assert status == 1, printed


#: The same for what only later profiles have or do differently.
EXPECTED_FINDINGS_LATEST = {
    "member-added": ("drift", "SCH-003", "response/vendor_note"),
    "text-differs": ("fail", "TXT-001", "response.output_text.done/text"),
    "envelope": ("fail", "SCH-002", "error"),
    "numbers-skip": ("fail", "SEQ-013", "stream"),
    "deleted-kept": ("fail", "LIV-009", "a deleted response"),
    "retrieved-another": ("fail", "LIV-009", "id differs from the created response"),
    "echo-lost": ("drift", "REQ-012", "response/temperature"),
}


@pytest.mark.parametrize("deviation", slow_except(["deleted-kept"], EXPECTED_FINDINGS_LATEST))
def test_each_deviation_from_the_latest_profile_causes_exactly_one_finding(
    deviation: str, verify: Verify
) -> None:
    status, report, printed = verify(deviation, profile="qwen-2026-09")
    assert finding_keys(report) == [EXPECTED_FINDINGS_LATEST[deviation]]
    assert status == 1, printed


@pytest.mark.parametrize(
    ("deviation", "profile", "observed"),
    [
        ("honest", "openresponses-2026-04", "terminal event, then [DONE]"),
        ("done-missing", "openresponses-2026-04", "terminal event, no [DONE]"),
        ("honest", "qwen-2026-01", "terminal event, no [DONE]"),
        ("done-marker", "qwen-2026-01", "terminal event, then [DONE]"),
        ("done-twice", "qwen-2026-01", "[DONE] 2 times"),
        ("done-early", "qwen-2026-01", "[DONE] before the last event"),
        ("closed-early", "qwen-2026-01", None),
    ],
)
def test_end_of_stream_is_observed_on_the_wire(
    deviation: str, profile: str, observed: str | None, verify: Verify
) -> None:
    _, report, printed = verify(deviation, "--only", "stream", profile=profile)
    answers = {each["id"]: each["answer"] for each in report["facts"]}
    assert answers["done-marker"] == observed
    assert f"  {'end of stream:':44}{observed or 'not covered'}" in printed


def test_an_observation_names_each_answer_once_and_values_as_json(verify: Verify) -> None:
    report = verify("honest", "--only", "stream", "--only", "thinking")[1]
    answers = {each["id"]: each["answer"] for each in report["facts"]}
    assert answers["item-ids"] == "message: msg_ and a UUID; reasoning: msg_ and a UUID"
    assert answers["parallel-tool-calls"] == "false"


@pytest.mark.slow
def test_slow_or_documented_behaviour_is_no_finding(verify: Verify) -> None:
    for deviation in ("slow", "failed-as-200"):
        status, report, printed = verify(deviation)
        assert (status, report["findings"]) == (0, []), printed
    requests = [each for probe in report["probes"] for each in probe["requests"]]
    assert any(each["status"] == 200 and each["first_token_ms"] for each in requests)
    facts = {each["id"]: each["answer"] for each in report["facts"]}
    assert facts["unknown-previous"].startswith("200, a failed response: InvalidParameter")


def test_missing_reply_times_out(verify: Verify) -> None:
    status, report, _ = verify("silent", "--only", "basic", "--timeout", "0.5")
    assert (status, finding_keys(report)) == (1, [("fail", "LIV-001", "reply: timed out")])


def test_tools_that_need_a_user_resource_run_if_it_is_given(verify: Verify) -> None:
    only = ("--only", "tool-file-search", "--only", "tool-mcp", "--only", "tool-image-search")
    _, report, _ = verify("honest", *only, profile="qwen-2026-09")
    assert [probe["verdict"] for probe in report["probes"]] == ["pass", "not covered", "not covered"]
    resources = ("--vector-store", "vs_1", "--mcp-server", "https://example.com/sse")
    status, report, printed = verify("honest", *only, *resources, profile="qwen-2026-09")
    assert status == 0, printed
    assert {probe["verdict"] for probe in report["probes"]} == {"pass"}


def test_undocumented_refusal_status_is_reported_for_each_refusal(verify: Verify) -> None:
    status, report, _ = verify("refusals-500")
    assert status == 1
    assert {(each["rule"], each["expected"], each["got"]) for each in report["findings"]} == {
        ("LIV-004", "400", 500),
        ("LIV-004", "400 or 404", 500),
        ("LIV-004", "400 or 404 or 405", 500),
    }
    assert len(report["findings"]) == len({each["place"] for each in report["findings"]})


def test_finding_has_rule_impact_sample_and_command(verify: Verify) -> None:
    _, report, printed = verify("text-differs", "--only", "stream", "--only", "thinking")
    [finding] = report["findings"]
    assert (finding["probe"], finding["also"], finding["count"]) == ("stream", ["thinking"], 2)
    assert finding["title"] == load_rules()["TXT-001"].title
    assert finding["breaks"] == load_rules()["TXT-001"].reason
    assert finding["source"] == load_rules()["TXT-001"].source
    assert json.loads(finding["sample"].encode())["type"] == "response.output_text.done"
    assert f"event {finding['event']} /text" in printed
    lines = printed.splitlines()
    at = next(number for number, line in enumerate(lines) if line.lstrip().startswith("expected"))
    assert lines[at + 2].index("^") < min(map(len, lines[at : at + 2]))
    assert "$DASHSCOPE_API_KEY" in finding["curl"]


def test_command_of_a_finding_reproduces_it(verify: Verify) -> None:
    _, report, _ = verify("text-differs", "--only", "stream")
    [finding] = report["findings"]
    ran = subprocess.run(
        ["bash", "-c", finding["curl"]], capture_output=True, env=child_environment(), timeout=60, check=True
    )
    assert [each.rule for each in check_file(ran.stdout).findings] == ["TXT-001"]


def test_rate_limit_is_waited_out(verify: Verify) -> None:
    status, report, printed = verify("throttled-once", "--only", "basic", "--only", "stream")
    assert status == 0, printed
    assert [probe["verdict"] for probe in report["probes"]] == ["pass", "pass"]
    assert [each["status"] for each in report["probes"][0]["requests"]] == [429, 200]
    assert report["facts"][-1]["answer"] == "429, flat: Throttling.RateQuota"


def test_endless_rate_limit_is_inconclusive(verify: Verify) -> None:
    status, report, _ = verify("throttled", "--only", "basic")
    assert status == 2
    [probe] = report["probes"]
    assert probe["verdict"] == "inconclusive"
    assert "Requests rate limit exceeded" in probe["reason"]
    assert len(probe["requests"]) == 4


def test_refused_key_ends_the_run(verify: Verify) -> None:
    status, report, printed = verify("key-refused")
    assert status == 2
    assert "refuses the key in DASHSCOPE_API_KEY" in report["partial"]
    assert "PARTIAL" in printed
    verdicts = [probe["verdict"] for probe in report["probes"]]
    assert verdicts[0] == "fail"
    assert set(verdicts[1:]) == {"not covered"}
    assert sum(len(probe["requests"]) for probe in report["probes"]) == 1


def test_probes_beyond_the_budget_are_not_covered(verify: Verify) -> None:
    _, report, _ = verify("honest", "--max-requests", "3")
    verdicts = [probe["verdict"] for probe in report["probes"]]
    assert verdicts[:3] == ["pass"] * 3
    assert "pass" not in verdicts[3:]
    assert report["spent"]["requests"] == 3
    _, report, _ = verify("honest", "--max-tokens", "500")
    assert report["spent"]["tokens"] <= 500
    reasons = [probe["reason"] or "" for probe in report["probes"] if probe["verdict"] == "not covered"]
    assert any("--max-tokens" in reason for reason in reasons)


@pytest.mark.parametrize("limit", [("--max-requests", "3"), ("--max-tokens", "0")])
def test_run_cut_off_by_the_budget_is_incomplete(limit: tuple[str, str], verify: Verify) -> None:
    status, report, printed = verify("honest", *limit)
    assert (status, report["verdict"]) == (3, "incomplete")
    plan = report["plan"]
    assert plan["completed"] + len(plan["incomplete"]) == plan["applicable"]
    assert plan["completed"] == report["verdicts"]["pass"]
    summary = f"incomplete: {plan['completed']} of {plan['applicable']} applicable probes ran"
    assert summary in printed
    assert verify("honest", *limit, "--allow-incomplete")[0] == 0


def test_plan_counts_only_selected_and_applicable_probes(verify: Verify) -> None:
    selection = ("--only", "basic", "--only", "stream", "--only", "retrieve")
    status, report, printed = verify("honest", *selection)
    assert (status, report["verdict"]) == (0, "pass")
    assert report["plan"] == {"applicable": 2, "completed": 2, "incomplete": []}
    assert "pass: 2 of 2 applicable probes ran" in printed
    status, report, _ = verify("honest", *selection, "--max-requests", "1")
    assert (status, report["plan"]["incomplete"]) == (3, ["basic"])  # the stream detected the profile


def test_failure_outweighs_an_incomplete_plan(verify: Verify) -> None:
    status, report, _ = verify("usage-total", "--max-requests", "2", "--allow-incomplete")
    assert (status, report["verdict"]) == (1, "fail")


def test_rate_limit_makes_a_run_incomplete(verify: Verify) -> None:
    status, report, _ = verify("streams-throttled", "--only", "basic", "--only", "stream")
    assert [probe["verdict"] for probe in report["probes"]] == ["pass", "inconclusive"]
    assert (status, report["plan"]["incomplete"]) == (3, ["stream"])


def test_incomplete_run_is_not_green_in_junit_html_and_markdown(verify: Verify, tmp_path: Path) -> None:
    formats = ("--report", "junit=j.xml", "--report", "markdown=m.md", "--report", "html=h.html")
    for accepted in (False, True):
        selection = ("--only", "basic", "--only", "stream", "--max-requests", "1")
        verify("honest", *selection, *formats, *(["--allow-incomplete"] if accepted else []))
        suite = ET.parse(tmp_path / "j.xml").getroot()[0]  # noqa: S314 (our own)
        assert (suite.attrib["errors"], suite.attrib["skipped"]) == (("0", "1") if accepted else ("1", "0"))
        assert "**incomplete: 1 of 2 applicable probes ran**" in (tmp_path / "m.md").read_text()
        assert "incomplete: 1 pass, 1 not covered" in (tmp_path / "h.html").read_text()


def test_probes_send_as_many_requests_as_planned(verify: Verify) -> None:
    _, report, _ = verify("honest")
    planned = {name: each.requests for name, each in all_probes().items()}
    sent = {probe["id"]: len(probe["requests"]) for probe in report["probes"] if probe["verdict"] == "pass"}
    assert sent == {name: planned[name] for name in sent}
    status, nothing, printed = verify("honest", "--dry-run")
    assert (status, nothing) == (0, {})
    assert f"{len(sent)} probes, {sum(sent.values())} requests" in printed
    assert "budget     100 requests, 200,000 tokens" in printed


def test_accepted_drift_passes(verify: Verify) -> None:
    drifted = ("member-added", "--baseline", "drift.json")
    assert verify(*drifted)[0] == 1
    assert verify(*drifted, "--fail-on", "fail")[0] == 0
    assert verify(*drifted, "--accept")[0] == 0
    status, report, printed = verify(*drifted)
    assert status == 0, printed
    assert [each["known"] for each in report["findings"]] == [True]
    assert verify("event-new", "--baseline", "drift.json")[0] == 1


def test_report_is_valid_under_its_schema(verify: Verify) -> None:
    schema = json.loads((resources.data_folder("schemas") / "verification.json").read_bytes())
    validator = jsonschema.Draft202012Validator(schema)
    for deviation in ("honest", "data-broken", "item-new", "key-refused", "stalled"):
        stall = ("--stall", "0.3") if deviation == "stalled" else ()
        _, report, _ = verify(deviation, *stall, "--only", "stream", "--only", "basic")
        assert [error.message for error in validator.iter_errors(report)] == []


def test_junit_and_markdown_reports(verify: Verify, tmp_path: Path) -> None:
    verify(
        "member-added",
        "--only",
        "basic",
        "--only",
        "incomplete",
        "--report",
        "junit=j.xml",
        "--report",
        "markdown=m.md",
    )
    suite = ET.parse(tmp_path / "j.xml").getroot()[0]  # noqa: S314 (our own)
    assert suite.attrib["failures"] == "1"
    assert suite.attrib["skipped"] == "1"
    assert [case.attrib["name"] for case in suite] == ["basic", "incomplete"]
    markdown = (tmp_path / "m.md").read_text()
    assert "### drift: SCH-003 unknown member" in markdown
    assert "| `basic` | ≠ drift |" in markdown


def test_key_is_in_no_repr() -> None:
    endpoint = parse_endpoint("https://example.com/v1", CANARY_KEY)
    client = Client(endpoint, Timeouts())
    try:
        assert CANARY_KEY not in repr(endpoint) + repr(client) + repr(
            vars(endpoint) if hasattr(endpoint, "__dict__") else ""
        )
    finally:
        client.close()


def test_html_report_shows_every_request_of_every_probe(verify: Verify, tmp_path: Path) -> None:
    options = ("--only", "basic", "--only", "stream", "--only", "retrieve", "--report", "html=page.html")
    _, value, _ = verify("usage-total", *options)
    page = (tmp_path / "page.html").read_text()
    requests = [request for probe in value["probes"] for request in probe["requests"]]
    assert page.count('<details class="exchange"') == len(requests) == 2
    for probe in value["probes"]:
        assert f">{probe['id']}<" in page
    for finding in value["findings"]:
        assert f'<code class="rule">{finding["rule"]}</code>' in page
    assert len(value["findings"]) > 0
    assert "Gaps are to scale" in page
    assert f"{len(value['coverage']['seen'])} of " in page


@pytest.mark.slow
def test_key_is_in_no_report(verify: Verify, tmp_path: Path) -> None:
    """The endpoint sends the key back wherever it can."""
    forms = [
        option
        for form in ("text", "junit", "markdown", "html")
        for option in ("--report", f"{form}={form}.out")
    ]
    _, _, printed = verify("key-in-body", *forms)
    assert "[redacted]" in printed
    assert CANARY_KEY not in printed
    files = [each for each in tmp_path.rglob("*") if each.is_file()]
    assert len(files) == 5
    assert not [each for each in files if CANARY_KEY.encode() in each.read_bytes()]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--base-url", "http://example.com/v1"], "use --allow-http example.com to send it anyway"),
        (
            ["--base-url", "https://user:secret@example.com/v1"],
            "must not contain a user, a query or a fragment",
        ),
        (["--base-url", "ftp://example.com"], "must start with https://"),
        (["--base-url", "http://127.0.0.1:1/v1", "--only", "nothing"], "unknown probe 'nothing'"),
        (["--base-url", "http://127.0.0.1:1/v1", "--accept"], "--accept needs --baseline FILE"),
        (["--base-url", "http://127.0.0.1:1/v1", "--api-key-env", "NO_SUCH"], "NO_SUCH is not set"),
        (["--base-url", "http://127.0.0.1:1/v1", "--report", "x=y"], "text, json, junit, markdown"),
        (["--base-url", "http://127.0.0.1:1/v1", "--profile", "qwen-2026-01"], "cannot reach the endpoint"),
        (["--base-url", "http://127.0.0.1:1/v1", "--profile", "none"], "no profile 'none'"),
        (["--base-url", "http://127.0.0.1:1/v1", "--baseline", "."], "is a directory"),
    ],
)
def test_unusable_options_exit_with_2(
    options: list[str], words: str, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DASHSCOPE_API_KEY", CANARY_KEY)
    status, out, err = run_cli("verify", *options)
    assert status == 2
    assert words in err
    assert CANARY_KEY not in out + err
    assert "secret" not in err


@pytest.mark.soak
def test_interrupted_run_leaves_a_report(fake_endpoint: str, tmp_path: Path) -> None:
    """SIGTERM and Ctrl-C both interrupt the run in the middle of a reply."""
    for number in (signal.SIGTERM, signal.SIGINT):
        target = tmp_path / f"{number}.json"
        url = f"{fake_endpoint}/stalled{load_profile().base_path}"
        command = [sys.executable, "-m", "mockserver", "verify", "--base-url", url, "--rate", "0"]
        progress = tmp_path / f"{number}.stderr"
        with progress.open("wb") as errors:
            process = subprocess.Popen(
                [*command, "--report", f"json={target}"],
                env=child_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        wait_until(lambda: b"[1/" in progress.read_bytes(), "the end of the first probe")  # noqa: B023
        assert CANARY_KEY.encode() not in Path(f"/proc/{process.pid}/cmdline").read_bytes()
        process.send_signal(number)
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 2, progress.read_text()
        report = json.loads(target.read_bytes())
        assert report["partial"] == "interrupted"
        assert report["probes"][0]["verdict"] == "pass"
        assert report["probes"][-1]["verdict"] == "not covered"
        assert b"PARTIAL: interrupted" in out


def test_profile_is_detected_by_the_first_reply_then_by_the_path(verify: Verify) -> None:
    _, report, _ = verify("honest", "--only", "basic")
    assert report["profile"] == "qwen-2026-01"
    assert report["why"].startswith("by model qwen3-max-2026-01-23, response id ")
    assert report["spent"]["requests"] == 1
    _, report, _ = verify("honest", "--only", "wrong-method", "--max-tokens", "0")
    assert (report["profile"], report["why"]) == ("qwen-2026-01", "by its path")


@pytest.mark.parametrize("profile", ["qwen-2026-01", "qwen-2026-09", "openresponses-2026-04"])
def test_mock_at_the_shared_path_passes(
    profile: str,
    fake_endpoints: Callable[[str], str],
    tmp_path: Path,
    run_cli: RunCli,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`/v1` is the path of every gateway: the first reply decides."""
    monkeypatch.setenv("DASHSCOPE_API_KEY", CANARY_KEY)
    target = tmp_path / "report.json"
    options = ("--rate", "0", "--only", "basic", "--only", "stream", "--only", "function-stream")
    status, out, err = run_cli(
        "verify", "--base-url", f"{fake_endpoints(profile)}/honest/v1", *options, "--report", f"json={target}"
    )
    assert status == 0, out + err
    report = json.loads(target.read_bytes())
    assert report["profile"] == profile
    assert report["why"].endswith(" of its first reply")
    assert report["spent"]["requests"] == 3


@pytest.mark.parametrize(
    ("base_url", "remedy"),
    [
        ("http://127.0.0.1:1/v1", "check the host and port of --base-url"),
        ("http://127.0.0.1:1/compatible-mode/v1", "check the host and port of --base-url"),
        ("https://no-such-host.invalid/v1", "check the host and port of --base-url"),
        ("{endpoint}/honest/elsewhere/v1", "name it with --profile"),
        ("{endpoint}/honest/elsewhere/v1", ", or check the path of --base-url"),
        ("{endpoint}/honest/elsewhere/v1/responses", "leave /responses out of --base-url"),
        ("{endpoint}/honest/elsewhere/compatible-mode/v1", "check the path of --base-url"),
        ("{endpoint}/honest/elsewhere/compatible-mode/v1/responses", "leave /responses out of --base-url"),
        ("{endpoint}/key-refused/v1", "refuses the key in DASHSCOPE_API_KEY"),
    ],
)
def test_base_url_that_cannot_be_verified_prints_one_line(
    base_url: str, remedy: str, fake_endpoint: str, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DASHSCOPE_API_KEY", CANARY_KEY)
    url = base_url.format(endpoint=fake_endpoint)
    status, out, err = run_cli("verify", "--base-url", url, "--rate", "0")
    assert (status, out) == (2, "")
    assert err.splitlines()[-1].endswith(remedy) or remedy in err
    if "elsewhere" not in url:
        assert len(err.splitlines()) == 1


def test_terminal_shows_a_progress_bar(fake_endpoint: str) -> None:
    url = f"{fake_endpoint}/honest{load_profile().base_path}"
    command = [
        sys.executable,
        "-m",
        "mockserver",
        "verify",
        "--base-url",
        url,
        "--rate",
        "0",
        "--only",
        "basic",
    ]
    own, theirs = pty.openpty()
    with os.fdopen(own, "rb") as terminal:
        process = subprocess.Popen(command, env=child_environment(), stdout=subprocess.PIPE, stderr=theirs)
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # a terminal raises it if its other end is closed
            while piece := terminal.read1():
                shown += piece
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "━" in shown.decode()
    assert b"[1/1]" not in shown
    assert b"1 pass" in out


def test_coverage_lists_what_was_seen_and_what_was_not(verify: Verify) -> None:
    _, report, _ = verify("honest", "--only", "basic", profile="qwen-2026-09")
    coverage = report["coverage"]
    assert {"response.id", "item~message", "response.status=completed"} <= set(coverage["seen"])
    assert {"event~response.created", "input_items.data", "response.status=failed"} <= set(
        coverage["not_covered"]
    )
    assert not set(coverage["seen"]) & set(coverage["not_covered"])
    assert "USE-001" in coverage["rules"]
    assert "SEQ-001" in coverage["rules_not_covered"]
    _, report, _ = verify("honest", "--only", "stream", "--only", "input-items", profile="qwen-2026-09")
    assert {"event~response.created", "input_items.data"} <= set(report["coverage"]["seen"])
    assert "SEQ-001" in report["coverage"]["rules"]


def write_prices(folder: Path, **changes: Any) -> str:
    prices = {
        "currency": "USD",
        "models": {MODEL: {"input": 2, "output": 10}},
        "tool_calls": {"web_search": 8},
    }
    file = folder / "prices.json"
    file.write_bytes(json.dumps({**prices, **changes}))
    return str(file)


def test_prices_turn_plan_and_report_into_sums_of_money(verify: Verify, tmp_path: Path) -> None:
    selection = ("--only", "basic", "--only", "tool-web-search")
    status, report, printed = verify("honest", *selection, "--prices", write_prices(tmp_path))
    assert status == 0, printed
    expected, spent = report["expected"], report["spent"]
    assert expected["tool_calls"] == {"web_search": 2}
    assert spent["input_tokens"] + spent["output_tokens"] == spent["tokens"] > 0
    for row in (expected, spent):
        tokens = row["input_tokens"] * 2 / 1_000_000 + row["output_tokens"] * 10 / 1_000_000
        amount = tokens + row["tool_calls"]["web_search"] * 8 / 1_000
        assert row["cost"] == {
            "amount": pytest.approx(amount, abs=1e-6), "currency": "USD", "unpriced_tools": []
        }  # fmt: skip
        assert f"{row['cost']['amount']:,.4f} USD" in printed
    schema = json.loads((resources.data_folder("schemas") / "verification.json").read_bytes())
    jsonschema.validate(report, schema)


def test_a_tool_without_a_price_is_named(verify: Verify, tmp_path: Path) -> None:
    prices = write_prices(tmp_path, tool_calls={})
    _, _, printed = verify("honest", "--dry-run", "--only", "tool-web-search", "--prices", prices)
    assert "USD, without the calls of web_search, which have no price" in printed


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"models": {"another": {"input": 1, "output": 1}}}, "has no prices for the model 'qwen3-max"),
        ({"models": {MODEL: {"input": 1}}}, f"/models/{MODEL}: prices of a model lacks 'output'"),
        ({"models": {MODEL: {"input": -1, "output": 1}}}, "/input: expected at least 0, not -1"),
        ({"models": {MODEL: {"input": "1", "output": 1}}}, '/input: expected a number, not "1"'),
        ({"currency": None}, "/currency: expected a text, not null"),
        ({"model": {}}, "Prices has no member 'model'; did you mean 'models'?"),
    ],
)
def test_an_unusable_price_file_is_refused_with_the_reason(
    changes: dict[str, Any], message: str, verify: Verify, tmp_path: Path
) -> None:
    status, _, printed = verify("honest", "--dry-run", "--prices", write_prices(tmp_path, **changes))
    assert status == 2
    assert message in printed


@pytest.mark.parametrize("content", [None, b"{"])
def test_a_price_file_that_cannot_be_read_is_refused(
    content: bytes | None, verify: Verify, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "prices.json").write_bytes(content)
    status, _, printed = verify("honest", "--dry-run", "--prices", "prices.json")
    assert status == 2
    assert "cannot read the prices in prices.json: " in printed
