"""Recordings of tests: made while an endpoint answers, replayed from then on, reported if stale."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from mockserver import MockServer, resources
from mockserver.exchanges import Exchange, parse_exchanges
from mockserver.testing.pytest_plugin.recording_files import recording_file
from tests.live.conftest import CANARY_KEY
from tests.marks import slow_except
from tests.testing.pytest_plugin.conftest import RunPytest

ONE_REQUEST = """
def test_hi(ask):
    assert text(ask("hi"))
"""
TWO_REQUESTS = """
def test_hi(ask):
    assert text(ask("hi"))
    assert text(ask("bye"))
"""


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[MockServer]:
    monkeypatch.setenv("DASHSCOPE_API_KEY", CANARY_KEY)
    with MockServer(api_key=CANARY_KEY, seed=None, strict=False) as server:
        yield server


def live_options(endpoint: MockServer, mode: str = "once") -> list[str]:
    return [*record_mode(mode), "--responses-live", f"--responses-live-url={endpoint.base_url}"]


def record_mode(mode: str) -> list[str]:
    return [f"--responses-record-mode={mode}"]


def recording_files(pytester: pytest.Pytester) -> list[Path]:
    return sorted((pytester.path / "recordings").rglob("*.json"))


def recorded_exchanges(pytester: pytest.Pytester) -> list[Exchange]:
    (file,) = recording_files(pytester)
    return [*parse_exchanges(file.read_bytes(), file.name)]


def prompts(pytester: pytest.Pytester) -> list[str]:
    return [str((each.request or {})["input"]) for each in recorded_exchanges(pytester)]


def replies(pytester: pytest.Pytester) -> list[Any]:
    return [each.reply for each in recorded_exchanges(pytester)]


def test_a_test_is_recorded_once_and_then_replayed(
    run: RunPytest, endpoint: MockServer, pytester: pytest.Pytester
) -> None:
    run(ONE_REQUEST, *live_options(endpoint)).assert_outcomes(passed=1)
    (file,) = recording_files(pytester)
    module = next(pytester.path.glob("test_*.py")).stem
    assert file == pytester.path / "recordings" / module / "test_hi.json"
    assert len(endpoint.journal) == 1
    (exchange,) = recorded_exchanges(pytester)
    first = b"".join(chunk["text"].encode() for chunk in exchange.reply["http"]["chunks"])
    changed = ONE_REQUEST + f"    assert {first!r}\n"
    for options in ([], live_options(endpoint), record_mode("once")):
        result = run(changed, "--responses-report", "report.json", *options)
        result.assert_outcomes(passed=1)
        result.stdout.fnmatch_lines(["responses: recordings: 1 replayed, 0 written"])
    assert len(endpoint.journal) == 1
    report = json.loads((pytester.path / "report.json").read_bytes())
    jsonschema.validate(
        report, json.loads((resources.data_folder("schemas") / "pytest_report.json").read_bytes())
    )
    assert report["tests"][0]["recordings"]["played"] == 1
    assert CANARY_KEY not in file.read_text() + json.dumps(report)


def test_replay_gives_the_recorded_reply(
    run: RunPytest, endpoint: MockServer, pytester: pytest.Pytester
) -> None:
    endpoint.reply("Only the endpoint replies this.").always()
    code = "def test_it(ask):\n    assert text(ask('hi')) == 'Only the endpoint replies this.'\n"
    run(code).assert_outcomes(failed=1)
    run(code, *live_options(endpoint)).assert_outcomes(passed=1)
    endpoint.stop()
    run(code).assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("mode", "forwarded", "outcome", "after"),
    [
        ("once", 0, {"failed": 1}, ["hi"]),
        ("new_episodes", 1, {"passed": 1}, ["hi", "bye"]),
        ("all", 2, {"passed": 1}, ["hi", "bye"]),
        ("rewrite", 2, {"passed": 1}, ["hi", "bye"]),
        ("none", 2, {"passed": 1}, ["hi"]),
        ("verify", 2, {"failed": 1}, ["hi"]),
    ],
)
def test_record_modes_with_existing_recordings(
    mode: str,
    forwarded: int,
    outcome: dict[str, int],
    after: list[str],
    run: RunPytest,
    endpoint: MockServer,
    pytester: pytest.Pytester,
) -> None:
    """The test sends a new request; with `none` and --responses-live the endpoint answers all."""
    run(ONE_REQUEST, *live_options(endpoint)).assert_outcomes(passed=1)
    before = replies(pytester)
    endpoint.reset()
    run(TWO_REQUESTS, *live_options(endpoint, mode)).assert_outcomes(**outcome)
    assert len(endpoint.journal) == forwarded
    assert prompts(pytester) == after
    unchanged = mode in ("once", "new_episodes", "none", "verify")
    assert (replies(pytester)[0] == before[0]) is unchanged


def test_all_keeps_other_recordings_and_rewrite_removes_them(
    run: RunPytest, endpoint: MockServer, pytester: pytest.Pytester
) -> None:
    run(TWO_REQUESTS, *live_options(endpoint)).assert_outcomes(passed=1)
    run(ONE_REQUEST, *live_options(endpoint, "all")).assert_outcomes(passed=1)
    assert sorted(prompts(pytester)) == ["bye", "hi"]
    run(ONE_REQUEST, *live_options(endpoint, "rewrite")).assert_outcomes(passed=1)
    assert prompts(pytester) == ["hi"]
    run("def test_hi(responses_server): pass", *live_options(endpoint, "rewrite")).assert_outcomes(passed=1)
    assert recording_files(pytester) == []


def test_an_unrecorded_request_fails_with_the_nearest_recording(run: RunPytest, endpoint: MockServer) -> None:
    run(ONE_REQUEST, *live_options(endpoint)).assert_outcomes(passed=1)
    result = run("def test_hi(ask):\n    ask('hallo')\n")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "Unmatched request (unplanned): *There is no recording of this request. The nearest is hi-reply-*",
            "responses: unused recordings: recordings/*/test_hi.json: hi-reply-*",
        ]
    )


def test_repeated_requests_get_their_recordings_in_order(run: RunPytest, endpoint: MockServer) -> None:
    endpoint.reply("first")
    endpoint.reply("second")
    code = "def test_it(ask):\n    assert [text(ask()), text(ask())] == ['first', 'second']\n"
    run(code, *live_options(endpoint)).assert_outcomes(passed=1)
    run(code).assert_outcomes(passed=1)
    run(code + "    ask()\n").assert_outcomes(failed=1)


def test_a_failed_test_leaves_its_recordings_unchanged(
    run: RunPytest, endpoint: MockServer, pytester: pytest.Pytester
) -> None:
    result = run(ONE_REQUEST + "    assert False\n", *live_options(endpoint))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*the test failed: its recordings are unchanged*"])
    assert recording_files(pytester) == []
    invalid = "def test_hi(ask):\n    ask(temperature=9)\n"
    run(invalid, *live_options(endpoint)).assert_outcomes(failed=1)
    assert recording_files(pytester) == []


def test_verify_fails_for_a_breaking_change(
    run: RunPytest, endpoint: MockServer, pytester: pytest.Pytester
) -> None:
    code = "def test_hi(ask):\n    ask(stream=False)\n"
    run(code, *live_options(endpoint)).assert_outcomes(passed=1)
    (file,) = recording_files(pytester)
    assert run(code, *live_options(endpoint, "verify")).ret == 0
    file.write_text(
        file.read_text().replace('\\"object\\":\\"response\\"', '\\"object\\":\\"response\\",\\"gone\\":1')
    )
    text = file.read_text()
    result = run(code, *live_options(endpoint, "verify"))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["Drift (drifted): *response.gone: member removed (member-removed)*"])
    assert file.read_text() == text
    allowed = "@pytest.mark.responses(allow=['drifted'])\n"
    run(allowed + code, *live_options(endpoint, "verify")).assert_outcomes(passed=1)


@pytest.mark.parametrize("mode", slow_except({"all"}, ["once", "new_episodes", "all", "rewrite"]))
@pytest.mark.parametrize("problem", slow_except({"unreachable"}, ["unreachable", "wrong key", "error"]))
@pytest.mark.parametrize("allowed", [True, False])
def test_recordings_are_replaced_only_by_successful_replies(
    mode: str,
    problem: str,
    allowed: bool,
    run: RunPytest,
    endpoint: MockServer,
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The request is a new one, so that `new_episodes` asks the endpoint; the file stays byte by byte."""
    run(ONE_REQUEST, *live_options(endpoint)).assert_outcomes(passed=1)
    (file,) = recording_files(pytester)
    before = file.read_bytes()
    if mode == "once":
        file = file.with_name("test_new.json")
    options = live_options(endpoint, mode)
    if problem == "unreachable":
        endpoint.stop()
    elif problem == "wrong key":
        monkeypatch.setenv("DASHSCOPE_API_KEY", "sk-wrong-key-0001")
    else:
        endpoint.fail("internal-error").always()
    mark = "@pytest.mark.responses(allow=['unreachable', 'refused'])\n" if allowed else ""
    name = "test_new" if mode == "once" else "test_hi"
    result = run(f"{mark}def {name}(ask):\n    ask('another')\n", *options)
    result.assert_outcomes(**({"passed": 1} if allowed and problem != "error" else {"failed": 1}))
    assert (file.exists() and file.read_bytes()) == (mode != "once" and before)
    assert len(recording_files(pytester)) == 1


@pytest.mark.parametrize("has_recording", [True, False])
def test_verify_fails_for_a_request_without_a_recording(
    has_recording: bool, run: RunPytest, endpoint: MockServer, pytester: pytest.Pytester
) -> None:
    if has_recording:
        run(ONE_REQUEST, *live_options(endpoint)).assert_outcomes(passed=1)
    options = live_options(endpoint, "verify")
    result = run(TWO_REQUESTS, *options, "--responses-report=report.json")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["Nothing to compare (unrecorded): POST /responses 'bye': this request has no recording*"]
    )
    report = json.loads((pytester.path / "report.json").read_bytes())
    schema = json.loads((resources.data_folder("schemas") / "pytest_report.json").read_bytes())
    jsonschema.validate(report, schema)
    assert report["rules"] == {"unrecorded": 1 if has_recording else 2}
    for marker in ("allow=['unrecorded']", "recorded=False"):
        run(f"@pytest.mark.responses({marker})\n{TWO_REQUESTS}", *options).assert_outcomes(passed=1)


@pytest.mark.parametrize("problem", ["unreachable", "error"])
def test_verify_fails_without_a_reply_to_compare(
    problem: str, run: RunPytest, endpoint: MockServer, pytester: pytest.Pytester
) -> None:
    code = "def test_hi(ask):\n    ask('hi')\n"
    run(code, *live_options(endpoint)).assert_outcomes(passed=1)
    before = recording_files(pytester)[0].read_bytes()
    options = live_options(endpoint, "verify")
    if problem == "unreachable":
        endpoint.stop()
    else:
        endpoint.fail("internal-error").always()
    run(code, *options).assert_outcomes(failed=1)
    assert recording_files(pytester)[0].read_bytes() == before


def test_error_replies_are_recorded_on_request(
    run: RunPytest, endpoint: MockServer, pytester: pytest.Pytester
) -> None:
    endpoint.fail("internal-error").always()
    code = "def test_hi(ask):\n    assert ask()['code'] == 'InternalError'\n"
    result = run(code, *live_options(endpoint))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*the reply is an error (status 500); *record_errors=True* records it"])
    assert recording_files(pytester) == []
    marked = f"@pytest.mark.responses(record_errors=True)\n{code}"
    run(marked, *live_options(endpoint)).assert_outcomes(passed=1)
    endpoint.stop()
    run(marked).assert_outcomes(passed=1)


def test_a_failed_stream_is_not_recorded(
    run: RunPytest, endpoint: MockServer, pytester: pytest.Pytester
) -> None:
    endpoint.fault("failed-event").always()
    code = "def test_hi(responses_server):\n    client = responses_server.httpx()\n"
    code += "    body = {'model': responses_server.model, 'input': 'hi', 'stream': True}\n"
    code += "    assert 'response.failed' in client.post('/responses', json=body).text\n"
    run(code, *live_options(endpoint)).assert_outcomes(failed=1)
    assert recording_files(pytester) == []


SCRIPTING_TEST = "def test_hi(ask, responses_server):\n    responses_server.reply('x')\n    ask()\n"


def test_a_test_that_scripts_is_never_recorded(
    run: RunPytest, endpoint: MockServer, pytester: pytest.Pytester
) -> None:
    run(SCRIPTING_TEST, *live_options(endpoint)).assert_outcomes(skipped=1)
    assert recording_files(pytester) == []
    run(ONE_REQUEST, *live_options(endpoint)).assert_outcomes(passed=1)
    result = run(SCRIPTING_TEST)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*it configures a reply, but the test replays *: remove the stub or the recording*"]
    )


def test_the_marker_requires_or_forbids_recordings(
    run: RunPytest, endpoint: MockServer, pytester: pytest.Pytester
) -> None:
    required, forbidden = (f"@pytest.mark.responses(recorded={each})\n" for each in (True, False))
    result = run(required + ONE_REQUEST.strip())
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*does not exist: --responses-live and --responses-record-mode=once record it*"]
    )
    run(forbidden + ONE_REQUEST.strip(), *live_options(endpoint)).assert_outcomes(passed=1)
    assert recording_files(pytester) == []
    run(required + ONE_REQUEST.strip(), *live_options(endpoint)).assert_outcomes(passed=1)
    run(required + ONE_REQUEST.strip()).assert_outcomes(passed=1)
    request_count = len(endpoint.journal)
    run(forbidden + ONE_REQUEST.strip()).assert_outcomes(passed=1)
    assert len(endpoint.journal) == request_count


@pytest.mark.parametrize("mode", ["new_episodes", "all", "rewrite", "verify"])
def test_modes_that_ask_an_endpoint_need_one(mode: str, run: RunPytest) -> None:
    result = run(ONE_REQUEST, *record_mode(mode))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert f"--responses-record-mode={mode} needs an endpoint" in str(result.stdout) + str(result.stderr)


def test_an_unknown_record_mode_is_a_usage_error(run: RunPytest) -> None:
    assert run(ONE_REQUEST, *record_mode("sometimes")).ret == pytest.ExitCode.USAGE_ERROR


HOSTILE_NAMES = """
@pytest.mark.parametrize("name", ["a/b", "A/B", "a b", "../../up", "é", "x" * 300, "a[b]::c", "", ".", "CON"])
def test_odd(ask, name):
    assert text(ask(f"hi {name}"))


class TestDesk:
    def test_odd(self, ask):
        assert text(ask("hi"))
"""


def test_recording_files_have_safe_unique_names(
    run: RunPytest, endpoint: MockServer, pytester: pytest.Pytester
) -> None:
    run(HOSTILE_NAMES, *live_options(endpoint)).assert_outcomes(passed=11)
    files = recording_files(pytester)
    assert len({str(file).lower() for file in files}) == 11
    assert all(len(file.name) < 140 and file.name.isascii() for file in files)
    result = run(HOSTILE_NAMES)
    result.assert_outcomes(passed=11)
    result.stdout.fnmatch_lines(["responses: recordings: 11 replayed, 0 written"])
    assert "without a test" not in str(result.stdout)
    assert len(endpoint.journal) == 11


@pytest.mark.parametrize("workers", [None, 2])
def test_stale_recordings_are_reported(
    workers: int | None, run: RunPytest, endpoint: MockServer, pytester: pytest.Pytester
) -> None:
    run(ONE_REQUEST, *live_options(endpoint)).assert_outcomes(passed=1)
    (file,) = recording_files(pytester)
    stale = pytester.path / "recordings" / "test_gone" / "test_it.json"
    stale.parent.mkdir()
    stale.write_bytes(file.read_bytes())
    result = run(
        ONE_REQUEST.replace("test_hi", "test_hello") + ONE_REQUEST.replace("test_hi", "test_two"),
        workers=workers,
    )
    assert result.ret == 0
    lines = [
        f"responses: recordings without a test: {each.relative_to(pytester.path)}" for each in (stale, file)
    ]
    result.stdout.fnmatch_lines_random(lines)
    if workers is None:
        module = next(pytester.path.glob("test_*.py"))
        loop = "asyncio_default_fixture_loop_scope=function"
        alone = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-o", loop, f"{module.name}::test_two")
        assert "without a test" not in str(alone.stdout)


def test_an_invalid_recording_fails_only_its_test(
    run: RunPytest, endpoint: MockServer, pytester: pytest.Pytester
) -> None:
    run(ONE_REQUEST, *live_options(endpoint)).assert_outcomes(passed=1)
    (file,) = recording_files(pytester)
    file.write_text('[{"format": 1}]')
    result = run(ONE_REQUEST + ONE_REQUEST.replace("test_hi", "test_too"))
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["*test_hi.json#/0: a stub lacks 'reply'*"])


def test_each_example_replays_from_the_start(run: RunPytest, endpoint: MockServer) -> None:
    code = """
from hypothesis import given, settings, strategies as st

@settings(max_examples=8, deadline=None, database=None, derandomize=True)
@given(question=st.sampled_from(["a", "b"]))
def test_it(ask, responses_server, question):
    assert text(ask(question))
"""
    run(code, *live_options(endpoint)).assert_outcomes(passed=1)
    run(code).assert_outcomes(passed=1)


def test_unrecorded_tests_use_the_mock(run: RunPytest, endpoint: MockServer) -> None:
    others = SCRIPTING_TEST.replace("test_hi", "test_scripts")
    run(ONE_REQUEST + others, *live_options(endpoint)).assert_outcomes(passed=1, skipped=1)
    result = run(others + ONE_REQUEST + others.replace("test_scripts", "test_more"))
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["responses: recordings: 1 replayed, 0 written"])


def test_project_masks_apply(run: RunPytest, endpoint: MockServer, pytester: pytest.Pytester) -> None:
    pytester.makepyprojecttoml('[tool.mockserver]\nmask = ["/user"]\n')
    code = "def test_it(ask):\n    assert text(ask(user={!r}))\n"
    run(code.format("Ann Onymous"), *live_options(endpoint)).assert_outcomes(passed=1)
    (file,) = recording_files(pytester)
    assert "Ann Onymous" not in file.read_text()
    run(code.format("Bob"), "--responses-ignored=off").assert_outcomes(passed=1)


def test_recordings_are_beside_the_module(request: pytest.FixtureRequest) -> None:
    expected = (
        Path(__file__).parent
        / "recordings"
        / "test_recordings"
        / "test_recordings_are_beside_the_module.json"
    )
    assert recording_file(request.node) == expected
