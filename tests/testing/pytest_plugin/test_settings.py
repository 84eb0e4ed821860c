"""Settings of a run: their sources and precedence, and errors for invalid ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.testing.pytest_plugin.conftest import RunPytest

PRINTING_TEST = """
def test_it(ask, responses_server):
    reply = ask()
    print("\\nrendering:", "wire" if "parallel_tool_calls" in reply else "documented")
    print("id:", reply["id"])
"""


def printed_value(result: pytest.RunResult, name: str) -> str:
    result.assert_outcomes(passed=1)
    (line,) = [line for line in result.outlines if line.startswith(f"{name}: ")]
    return line.removeprefix(f"{name}: ")


def test_precedence_of_settings(run: RunPytest, pytester: pytest.Pytester) -> None:
    """A later source overrides the earlier ones."""
    config = "\n@pytest.fixture(scope='session')\ndef responses_config():\n    return {'seed': 3}\n"
    plain = printed_value(run(PRINTING_TEST, "-s"), "id")
    project = pytester.path / "pyproject.toml"
    project.write_text("[tool.mockserver]\nseed = 1\nquiet = true\nport = 1\n")
    ids = [plain, printed_value(run(PRINTING_TEST, "-s"), "id")]
    ini = "[tool.pytest.ini_options]\nresponses_seed = 2\n"
    project.write_text(project.read_text() + ini)
    ids += [
        printed_value(run(PRINTING_TEST, "-s"), "id"),
        printed_value(run(config + PRINTING_TEST, "-s"), "id"),
    ]
    ids += [printed_value(run(config + PRINTING_TEST, "-s", "--responses-seed=4"), "id")]
    assert len(set(ids)) == 5
    with_marker = PRINTING_TEST.replace(
        "def test", "@pytest.mark.responses(rendering='documented')\ndef test"
    )
    assert printed_value(run(PRINTING_TEST, "-s", "--responses-rendering=wire"), "rendering") == "wire"
    assert printed_value(run(with_marker, "-s", "--responses-rendering=wire"), "rendering") == "documented"
    assert (
        printed_value(run(PRINTING_TEST, "-s", "--responses-rendering=documented"), "rendering")
        == "documented"
    )


def test_an_invalid_project_file_ends_a_run_with_markers(run: RunPytest, pytester: pytest.Pytester) -> None:
    (pytester.path / "pyproject.toml").write_text('[tool.mockserver]\nprofile = "x"\n')
    result = run("@pytest.mark.responses(rendering='wire')\ndef test_it(ask):\n    pass\n")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: no profile 'x'; choose from: *"])


def test_one_server_per_settings(run: RunPytest) -> None:
    result = run(
        """
urls = set()

@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("rendering", [
    pytest.param("wire", marks=pytest.mark.responses(rendering="wire")),
    pytest.param("documented", marks=pytest.mark.responses(rendering="documented")),
])
def test_it(ask, responses_server, rendering, number):
    assert len(responses_server.journal) == 0
    assert ("parallel_tool_calls" in ask()) == (rendering == "wire")
    urls.add(responses_server.base_url)

def test_two_servers():
    assert len(urls) == 2
"""
    )
    result.assert_outcomes(passed=7)


@pytest.mark.parametrize(
    ("marker", "words"),
    [
        (
            "profil='x'",
            (
                "no argument 'profil'; did you mean 'profile'? "
                "Choose from: profile, rendering, exchanges, strict, fail_on, allow"
            ),
        ),
        ("'x'", "takes keyword arguments only"),
        ("profile='x'", "no profile 'x'; choose from: "),
        ("profile='openai'", "cannot be served"),
        ("rendering='x'", "unknown rendering 'x'"),
        ("fail_on='info'", "fail_on must be error or warning, not 'info'"),
        ("strict='no'", "strict must be True or False, not 'no'"),
        ("allow=['REQ-05']", "allow: no rule 'REQ-05'"),
        ("exchanges=1", "exchanges cannot be 1"),
        ("exchanges='nowhere'", "no folder */nowhere"),
    ],
)
def test_an_invalid_marker_ends_the_run(marker: str, words: str, run: RunPytest) -> None:
    result = run(f"@pytest.mark.responses({marker})\ndef test_it(ask):\n    pass\n")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: *{words.replace('[', '[[]')}*"])


def test_an_invalid_marker_in_a_worker_fails_only_its_test(run: RunPytest) -> None:
    result = run(
        """
@pytest.mark.responses(exchanges="nowhere")
def test_one(ask):
    pass

@pytest.mark.responses(profil="x")
def test_two(ask):
    pass

def test_three(ask):
    ask()
""",
        workers=1,
    )
    result.assert_outcomes(passed=1, errors=2)
    result.stdout.fnmatch_lines(
        [
            "E * no folder *nowhere",
            "E * the marker responses has no argument 'profil'; did you mean 'profile'? Choose from: *",
        ]
    )


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--responses-strict=maybe", "invalid choice"),
        pytest.param("--responses-ignored=fatal", "invalid choice", marks=pytest.mark.slow),
        pytest.param("--responses-fail-on=info", "invalid choice", marks=pytest.mark.slow),
        ("-oresponses_fail_on=info", "responses_fail_on cannot be 'info'; choose from: error, warning"),
        pytest.param(
            "-oresponses_strict=maybe",
            "responses_strict cannot be 'maybe'; choose from: true, false",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "-oresponses_ignored=fatal",
            "responses_ignored cannot be 'fatal'; choose from: warn, error, off",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_an_invalid_option_ends_the_run(option: str, words: str, run: RunPytest) -> None:
    result = run("def test_it():\n    pass\n", option, subprocess=True)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert words in result.stderr.str()


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (
            "{'profil': 'x'}",
            "responses_config: no server setting 'profil'; did you mean 'profile'?",
        ),
        ("{'seed': 'x'}", "responses_config: seed cannot be 'x'"),
        ("{'profile': 'x'}", "no profile 'x'; choose from: "),
        ("{'exchanges': 'nowhere'}", "no folder "),
    ],
)
def test_an_invalid_responses_config_is_a_setup_error(config: str, words: str, run: RunPytest) -> None:
    code = f"@pytest.fixture(scope='session')\ndef responses_config():\n    return {config}\n"
    result = run(code + "def test_it(ask):\n    pass\n")
    result.assert_outcomes(errors=1)
    assert words in result.stdout.str()


def test_an_invalid_project_file_is_a_setup_error(run: RunPytest, pytester: pytest.Pytester) -> None:
    (pytester.path / "pyproject.toml").write_text('[tool.mockserver]\nrenderings = "wire"\n')
    result = run("def test_it(ask):\n    pass\n")
    result.assert_outcomes(errors=1)
    assert "[tool.mockserver]: no setting 'renderings'" in result.stdout.str()


def test_strict_can_be_turned_off_for_the_run(run: RunPytest) -> None:
    code = """
def test_it(ask, responses_server):
    responses_server.reply("once")
    assert text(ask()) == "once"
    assert text(ask()) != "once"
"""
    run(code).assert_outcomes(failed=1)
    run(code, "--responses-strict=false").assert_outcomes(passed=1)
    run(code, "-oresponses_strict=false").assert_outcomes(passed=1)
    run(code, "-oresponses_strict=false", "--responses-strict=true").assert_outcomes(failed=1)


def test_responses_env_sets_and_restores_variables(run: RunPytest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "https://example.com")
    monkeypatch.setenv("NO_PROXY", "intranet.example")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("DASHSCOPE_API_KEY", raising=False)
    result = run(
        """
import os

NAMES = ("OPENAI_BASE_URL", "OPENAI_API_KEY", "DASHSCOPE_API_KEY")

def test_set(responses_env, responses_server):
    expected = [responses_server.base_url, responses_server.api_key, responses_server.api_key]
    assert [os.environ[name] for name in NAMES] == expected
    assert [responses_env[name] for name in NAMES] == expected
    assert set(responses_env) == {*NAMES, "NO_PROXY", "no_proxy"}
    assert "127.0.0.1" in os.environ["NO_PROXY"].split(",")

def test_back():
    assert [os.environ.get(name) for name in NAMES] == ["https://example.com", None, None]
    assert os.environ.get("NO_PROXY") == "intranet.example"
"""
    )
    result.assert_outcomes(passed=2)


def test_another_owner_of_the_module_is_a_warning(
    run: RunPytest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = tmp_path / "mockserver_client-9.2.0.dist-info" / "RECORD"
    record.parent.mkdir()
    record.write_text("mockserver/__init__.py,sha256=x,6901\n")
    quiet = run("def test_it(): pass", "-W", "default")
    assert "mockserver-client" not in quiet.stdout.str()
    monkeypatch.syspath_prepend(tmp_path)
    result = run("def test_it(): pass", "-W", "default")
    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(["*mockserver-client 9.2.0 also installs files in the module 'mockserver'*"])


def test_a_responses_config_without_effect_is_an_error(pytester: pytest.Pytester) -> None:
    """The servers of a run have the settings of the first test that uses them."""
    config = "@pytest.fixture(scope='session')\ndef responses_config():\n    return {'model': ['my-qwen']}\n"
    test = "def test_it(responses_server):\n    assert responses_server.model\n"
    files = {"test_a": test, "test_b": f"import pytest\n\n{config}\n\n{test}", "test_c": "def test_it(): ..."}
    pytester.makepyfile(**files)
    result = pytester.runpytest("-p", "mockserver.testing.pytest_plugin")
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(
        ["E * one responses_config, and theirs * of this test but of the plugin; move it *"]
    )
    result = pytester.runpytest("-p", "mockserver.testing.pytest_plugin", "test_b.py", "test_a.py")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["E *test_a.py::test_it: * but of test_b.py; move it *"])


def test_an_invalid_argument_is_shown_at_the_line_of_the_test(run: RunPytest) -> None:
    result = run("def test_it(responses_server):\n    responses_server.when(contains='a').reply(3)\n")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([">*reply(3)", "E *a reply is a text, an item or a script, not a int"])
    result.stdout.no_fnmatch_line("*reply_values.py*")
