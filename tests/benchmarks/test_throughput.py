"""Which servers the benchmark of throughput compares, and what their ratios must be."""

from __future__ import annotations

import pytest

from benchmarks.peers import AIMOCK, AIMOCK_EVENT_BY_EVENT, PEERS
from benchmarks.throughput import PEER_COMPARISONS, Comparison


@pytest.mark.parametrize("comparison", PEER_COMPARISONS, ids=lambda each: each.name)
def test_a_stream_has_a_goal_only_against_one_that_is_written_alike(comparison: Comparison) -> None:
    writers_at_once = {"coalesced", AIMOCK.name}
    is_alike = (comparison.ours.server in writers_at_once) == (comparison.other.server in writers_at_once)
    if comparison.ours.kind == "stream":
        assert (comparison.must is not None) == is_alike


def test_every_peer_that_answers_is_compared() -> None:
    answered = {(peer.name, kind) for peer in PEERS for kind in peer.kinds}
    assert {tuple(each.other) for each in PEER_COMPARISONS} == answered


def test_a_ratio_of_cpu_is_judged_from_its_own_side() -> None:
    (limit,) = [each for each in PEER_COMPARISONS if each.other.server == AIMOCK_EVENT_BY_EVENT.name]
    assert [limit.outcome(ratio) for ratio in (0.67, 0.77, 0.78)] == ["aim reached", "reached", "**missed**"]
