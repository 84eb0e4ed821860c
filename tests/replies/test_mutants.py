"""The registry of mutants, and their errors. `tests/contract/test_mutants.py` checks what they break."""

from __future__ import annotations

import copy

import pytest

from mockserver.errors import ConfigurationError
from mockserver.profiles import load_profile
from mockserver.replies import mutants
from mockserver.replies.mutants.registry import breaks
from tests.contract import samples

PROFILE = load_profile()


def test_unknown_rule_error_lists_known_rules() -> None:
    with pytest.raises(
        ConfigurationError, match=r"no mutant breaks 'SEQ-999' in a stream; choose from: ITM-001, "
    ):
        mutants.break_rule("SEQ-999", "stream", samples.text_stream())


def test_rule_of_other_subject_error_lists_known_rules() -> None:
    with pytest.raises(
        ConfigurationError, match=r"in a request; did you mean 'REQ-001'. Choose from: REQ-001, "
    ):
        mutants.break_rule("SEQ-001", "request", samples.REQUEST)


def test_unknown_subject_error_lists_subjects() -> None:
    with pytest.raises(
        ConfigurationError,
        match=r"no mutant breaks a letter; choose from: stream, frames, response, request, body",
    ):
        mutants.find_mutant("letter", "SEQ-001")


@pytest.mark.parametrize(
    ("rule", "wanted"),
    [
        ("ITM-007", "second function call"),
        ("ITM-006", "second item"),
        ("ITM-015", "progress of a tool"),
        ("TXT-005", "function call"),
    ],
)
def test_error_names_what_is_missing(rule: str, wanted: str) -> None:
    with pytest.raises(
        ConfigurationError, match=rf"{rule} cannot be broken in this stream: it has no {wanted}"
    ):
        mutants.break_rule(rule, "stream", samples.text_stream())


def test_failed_stream_is_refused_by_rules_of_completed_streams() -> None:
    for rule in ("USE-004", "SEQ-004"):
        with pytest.raises(ConfigurationError, match="cannot be broken"):
            mutants.break_rule(rule, "stream", samples.failed_stream())


@pytest.mark.parametrize("rule", mutants.rules_for("stream"))
def test_original_is_not_modified(rule: str) -> None:
    events = samples.tools_stream() if rule == "ITM-015" else samples.function_stream()
    if rule not in ("ITM-007", "ITM-015", "REQ-009", "TXT-004", "TXT-005"):
        events = samples.thinking_stream()
    if rule == "USE-007":
        usage = events[-1]["response"]["usage"]
        usage["x_details"] = [
            {name: usage[name] for name in ("input_tokens", "output_tokens", "total_tokens")}
        ]
    before = copy.deepcopy(events)
    broken = mutants.break_rule(rule, "stream", events)
    assert events == before
    assert repr(broken) != repr(before)


def test_every_pick_works_and_is_repeatable() -> None:
    events = samples.text_stream()
    broken = [mutants.break_rule("SEQ-001", "stream", events, pick=pick) for pick in range(200)]
    assert broken == [mutants.break_rule("SEQ-001", "stream", events, pick=pick) for pick in range(200)]
    changed = {at for each in broken for at, event in enumerate(each) if repr(event) != repr(events[at])}
    assert changed == set(range(len(events)))


def test_second_mutant_for_a_rule_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="two mutants break SEQ-001 in a stream"):
        breaks("SEQ-001", "stream")(lambda value, pick, profile: value)


def test_required_items_are_item_kinds() -> None:
    kinds = {"message", "reasoning", "function_call", "tool", "item"}
    for subject in mutants.SUBJECTS:
        for rule in mutants.rules_for(subject):
            assert set(mutants.find_mutant(subject, rule).required_items) <= kinds
