"""`mockserver faults`, and the options of `serve` for faults, pace and limits."""

from __future__ import annotations

import pytest

from mockserver.server.delivery.faults.catalogue import catalogue
from tests.cli.conftest import RunCli


def test_every_fault_has_a_line(run_cli: RunCli) -> None:
    code, out, err = run_cli("faults")
    assert (code, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()] == [each.name for each in catalogue()]
    assert "stall" in out


def test_a_fault_is_described_with_its_options(run_cli: RunCli) -> None:
    code, out, _ = run_cli("faults", "stall")
    assert code == 0
    assert out.startswith("stall  (connection or body)\n")
    assert "after=3" in out


def test_an_unknown_fault(run_cli: RunCli) -> None:
    code, out, err = run_cli("faults", "no-such")
    assert (code, out) == (2, "")
    assert "no such fault: no-such" in err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--fault", "no-such"], "no fault 'no-such'"),
        (["--fault", "stall:7"], "a probability is a number from 0 to 1"),
        (["--pace", "fast"], "pace must be none, fixed:MS, model:TTFT,TPS[,JITTER] or model:ttft=…,tps=…"),
        (["--chunking", "words"], "chunking must be event, coalesced, bytes:N or random, not 'words'"),
        (["--limit", "speed=1"], "a limit is NAME=N"),
    ],
)
def test_unusable_serve_options_are_one_line(options: list[str], message: str, run_cli: RunCli) -> None:
    code, out, err = run_cli("serve", "--port", "0", *options)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
