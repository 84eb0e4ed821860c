"""The instructions per request stay within the committed ratios, on a quiet and on a busy machine."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.instructions import find_regressions
from tests.programs import run_program

ROOT = Path(__file__).resolve().parent.parent.parent
COMMITTED: dict[str, Any] = {"python": "3.11.7 of this machine", "ratios": {"reply": 2.0, "stream": 1.5}}


def test_a_regression_names_the_kind_both_figures_and_how_to_update() -> None:
    [message] = find_regressions({"reply": 2.07, "stream": 1.54}, COMMITTED, "3.11.7 of this machine")
    assert message.startswith(
        "reply: 2.070 times the instructions of bare uvicorn, committed 2.000, allowed 2.060"
    )
    assert message.endswith("benchmarks/instructions.py --update")


def test_another_build_of_python_is_given_more_tolerance() -> None:
    assert find_regressions({"reply": 2.07}, COMMITTED, "3.13.0") == []
    assert find_regressions({"reply": 2.5}, COMMITTED, "3.13.0") != []


def test_a_kind_without_a_committed_ratio_is_reported() -> None:
    [message] = find_regressions({"chat": 1.0}, COMMITTED, "3.13.0")
    assert message == "chat: no committed ratio. To add it: benchmarks/instructions.py --update"


def test_a_request_among_many_stubs_is_compared_with_one_among_none() -> None:
    committed = {"python": "3.13.0", "ratios": {"stub": 2.0, "stubs": 3.0}}
    assert find_regressions({"stub": 2.0, "stubs": 2.39}, committed, "3.13.0") == []
    [message] = find_regressions({"stub": 2.0, "stubs": 2.5}, committed, "3.13.0")
    assert message == "stubs: 1.250 times the instructions of a request without them, allowed 1.2"


@pytest.mark.slow
def test_no_kind_of_request_takes_more_instructions_than_committed() -> None:
    if shutil.which("valgrind") is None:
        pytest.skip("valgrind is not installed")
    command = [sys.executable, "benchmarks/instructions.py", "--check"]
    done = run_program(command, ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
