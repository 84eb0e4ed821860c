"""A missing optional package is one clear line, from Python and from the command line."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mockserver.errors import MissingPackage, MockServerError, optional_packages
from tests.programs import run_program

WITHOUT_HYPOTHESIS = "import sys; sys.modules['hypothesis'] = None; "
ADVICE = "hypothesis is not installed: pip install 'responses-mockserver[pytest]'"


def run_without_hypothesis(code: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WITHOUT_HYPOTHESIS + code]
    return run_program(command)


@pytest.mark.parametrize("arguments", [["--", "true"], ["--replay", "0123456789ab", "--", "true"]])
def test_fuzz_without_hypothesis_exits_with_2_and_one_line(arguments: list[str]) -> None:
    ran = run_without_hypothesis(
        f"from mockserver.cli import main; sys.argv[1:] = {['fuzz', *arguments]}; main()"
    )

    assert ran.returncode == 2
    assert ran.stderr == f"mockserver: {ADVICE}\n"
    assert ran.stdout == ""


@pytest.mark.parametrize(
    "statement",
    [
        "from mockserver import strategies",
        "from mockserver import assert_client_conforms",
        "from mockserver import client_contract",
        "import mockserver; mockserver.strategies",
    ],
)
def test_python_without_hypothesis_names_the_extra(statement: str) -> None:
    ran = run_without_hypothesis(statement)

    assert ran.returncode == 1
    assert ran.stderr.splitlines()[-1] == f"mockserver.errors.MissingPackage: {ADVICE}"


def test_the_rest_works_without_hypothesis() -> None:
    ran = run_without_hypothesis(
        "import mockserver; mockserver.MockServer; mockserver.Script; print('works')"
    )

    assert (ran.returncode, ran.stdout) == (0, "works\n"), ran.stderr


def test_only_optional_packages_are_reported_as_missing() -> None:
    with pytest.raises(ModuleNotFoundError) as caught, optional_packages():
        import no_such_package  # type: ignore[import-not-found]  # noqa: F401

    assert not isinstance(caught.value, MockServerError)
    assert issubclass(MissingPackage, ImportError)


@pytest.mark.parametrize(
    ("prefix", "command"),
    [
        ("/home/me/.local/pipx/venvs/responses-mockserver", "pipx install --force"),
        ("/home/me/.local/share/uv/tools/responses-mockserver", "uv tool install --force"),
    ],
)
def test_the_advice_is_for_the_environment_of_the_program(prefix: str, command: str) -> None:
    ran = run_without_hypothesis(
        f"from mockserver.cli import main; sys.prefix = {prefix!r}; sys.argv[1:] = ['fuzz', '--', 'true']; main()"
    )
    assert ran.stderr.endswith(f"is not installed: {command} 'responses-mockserver[pytest]'\n")
