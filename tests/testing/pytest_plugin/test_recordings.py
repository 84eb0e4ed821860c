"""Recordings of tests: made while an endpoint answers, played from then on, told where they are left over."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from mockserver import MockServer
from mockserver.exchanges import Exchange, parse_exchanges
from mockserver.testing.pytest_plugin.recording_files import recording_file
from tests.live.conftest import CANARY_KEY
from tests.testing.pytest_plugin.conftest import RunPytest

ROOT = Path(__file__).parent.parent.parent.parent
ONE_REQUEST = """
def test_hi(ask):
    assert text(ask("hi"))
"""
TWO_REQUESTS = """
def test_hi(ask):
    assert text(ask("hi"))
    assert text(ask("bye"))
"""
NAME = "test_what_a_mode_does"


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
    shows = ONE_REQUEST + f"    # once more, and byte by byte\n    assert {first!r}\n"
    for options in ([], live_options(endpoint), record_mode("once")):
        result = run(shows, "--responses-report", "report.json", *options)
        result.assert_outcomes(passed=1)
        result.stdout.fnmatch_lines(["responses: recordings: 1 played, 0 written"])
    assert len(endpoint.journal) == 1
    report = json.loads((pytester.path / "report.json").read_bytes())
    jsonschema.validate(report, json.loads((ROOT / "schemas" / "pytest_report.json").read_bytes()))
    assert report["tests"][0]["recordings"]["played"] == 1
    assert CANARY_KEY not in file.read_text() + json.dumps(report)


def test_replay_gives_the_recorded_reply(
    run: RunPytest, endpoint: MockServer, pytester: pytest.Pytester
) -> None:
    endpoint.reply("What only the endpoint says.").always()
    code = "def test_it(ask):\n    assert text(ask('hi')) == 'What only the endpoint says.'\n"
    run(code).assert_outcomes(failed=1)
    run(code, *live_options(endpoint)).assert_outcomes(passed=1)
    endpoint.stop()
    run(code).assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("mode", "asked", "outcome", "after"),
    [
        ("once", 0, {"failed": 1}, ["hi"]),
        ("new_episodes", 1, {"passed": 1}, ["hi", "bye"]),
        ("all", 2, {"passed": 1}, ["hi", "bye"]),
        ("rewrite", 2, {"passed": 1}, ["hi", "bye"]),
        ("none", 2, {"passed": 1}, ["hi"]),
        ("verify", 2, {"passed": 1}, ["hi"]),
    ],
)
def test_record_modes_with_existing_recordings(
    mode: str,
    asked: int,
    outcome: dict[str, int],
    after: list[str],
    run: RunPytest,
    endpoint: MockServer,
    pytester: pytest.Pytester,
) -> None:
    """… and asks for more now; with `none` and --responses-live the endpoint answers all."""
    run(ONE_REQUEST, *live_options(endpoint)).assert_outcomes(passed=1)
    before = replies(pytester)
    endpoint.reset()
    run(TWO_REQUESTS, *live_options(endpoint, mode)).assert_outcomes(**outcome)
    assert len(endpoint.journal) == asked
    assert prompts(pytester) == after
    stays = mode in ("once", "new_episodes", "none", "verify")
    assert (replies(pytester)[0] == before[0]) is stays


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
            "*error unplanned*There is no recording of this request. The nearest is hi-reply-*",
            "responses: recordings that were not asked for: recordings/*/test_hi.json: hi-reply-*",
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
    result.stdout.fnmatch_lines(["*the test failed: its recordings are left as they were*"])
    assert recording_files(pytester) == []
    broken = "def test_hi(ask):\n    ask(temperature=9)\n"
    run(broken, *live_options(endpoint)).assert_outcomes(failed=1)
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
    result.stdout.fnmatch_lines(
        ["*error drifted*response.gone: a member is there no longer (member-removed)*"]
    )
    assert file.read_text() == text
    allowed = "@pytest.mark.responses(allow=['drifted'])\n"
    run(allowed + code, *live_options(endpoint, "verify")).assert_outcomes(passed=1)


SCRIPTING_TEST = "def test_hi(ask, responses_server):\n    responses_server.reply('x')\n    ask()\n"


def test_a_test_that_scripts_is_never_recorded(
    run: RunPytest, endpoint: MockServer, pytester: pytest.Pytester
) -> None:
    run(SCRIPTING_TEST, *live_options(endpoint)).assert_outcomes(skipped=1)
    assert recording_files(pytester) == []
    run(ONE_REQUEST, *live_options(endpoint)).assert_outcomes(passed=1)
    result = run(SCRIPTING_TEST)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*it scripts a reply, and its recordings are played:*"])


def test_the_marker_requires_or_forbids_recordings(
    run: RunPytest, endpoint: MockServer, pytester: pytest.Pytester
) -> None:
    demands, forbids = (f"@pytest.mark.responses(recorded={each})\n" for each in (True, False))
    result = run(demands + ONE_REQUEST.strip())
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*is not there: --responses-live and --responses-record-mode=once record it*"]
    )
    run(forbids + ONE_REQUEST.strip(), *live_options(endpoint)).assert_outcomes(passed=1)
    assert recording_files(pytester) == []
    run(demands + ONE_REQUEST.strip(), *live_options(endpoint)).assert_outcomes(passed=1)
    run(demands + ONE_REQUEST.strip()).assert_outcomes(passed=1)
    asked = len(endpoint.journal)
    run(forbids + ONE_REQUEST.strip()).assert_outcomes(passed=1)
    assert len(endpoint.journal) == asked


@pytest.mark.parametrize("mode", ["new_episodes", "all", "rewrite", "verify"])
def test_modes_that_ask_an_endpoint_need_one(mode: str, run: RunPytest) -> None:
    result = run(ONE_REQUEST, *record_mode(mode))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert f"--responses-record-mode={mode} asks an endpoint" in str(result.stdout) + str(result.stderr)


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
    found = recording_files(pytester)
    assert len({str(file).lower() for file in found}) == 11
    assert all(len(file.name) < 140 and file.name.isascii() for file in found)
    result = run(HOSTILE_NAMES)
    result.assert_outcomes(passed=11)
    result.stdout.fnmatch_lines(["responses: recordings: 11 played, 0 written"])
    assert "no test's" not in str(result.stdout)
    assert len(endpoint.journal) == 11


@pytest.mark.parametrize("workers", [None, 2])
def test_stale_recordings_are_reported(
    workers: int | None, run: RunPytest, endpoint: MockServer, pytester: pytest.Pytester
) -> None:
    run(ONE_REQUEST, *live_options(endpoint)).assert_outcomes(passed=1)
    (file,) = recording_files(pytester)
    gone = pytester.path / "recordings" / "test_gone" / "test_it.json"
    gone.parent.mkdir()
    gone.write_bytes(file.read_bytes())
    result = run(
        ONE_REQUEST.replace("test_hi", "test_hello") + ONE_REQUEST.replace("test_hi", "test_two"),
        workers=workers,
    )
    assert result.ret == 0
    told = [
        f"responses: recordings that are no test's: {each.relative_to(pytester.path)}"
        for each in (gone, file)
    ]
    result.stdout.fnmatch_lines_random(told)
    if workers is None:
        module = next(pytester.path.glob("test_*.py"))
        loop = "asyncio_default_fixture_loop_scope=function"
        alone = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-o", loop, f"{module.name}::test_two")
        assert "no test's" not in str(alone.stdout)


def test_an_invalid_recording_fails_only_its_test(
    run: RunPytest, endpoint: MockServer, pytester: pytest.Pytester
) -> None:
    run(ONE_REQUEST, *live_options(endpoint)).assert_outcomes(passed=1)
    (file,) = recording_files(pytester)
    file.write_text('[{"format": 1}]')
    result = run(ONE_REQUEST + ONE_REQUEST.replace("test_hi", "test_too"))
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(['*test_hi.json#/0: "name" is a required property'])


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
    result.stdout.fnmatch_lines(["responses: recordings: 1 played, 0 written"])


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
