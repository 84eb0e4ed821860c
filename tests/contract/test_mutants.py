"""The judge against mutants: those made for a rule, and blind ones made without a look at any rule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import referencing

from mockserver.contract.check import check_request, check_response, check_stream
from mockserver.contract.findings import Finding, errors
from mockserver.contract.rules import load_rules
from mockserver.contract.schemas import schemas
from mockserver.errors import ConfigurationError
from mockserver.profiles import DEFAULT_PROFILE, load_profile
from mockserver.replies import mutants
from mockserver.testing.strategies.framing import frames_of
from mockserver.wire import json
from tests.contract import bases, blind

PROFILE = load_profile()
RULES = {name: rule for name, rule in load_rules().items() if rule.is_for(DEFAULT_PROFILE)}
SURVIVORS = Path(__file__).parent.parent / "data" / "survivors.json"
PICKS = range(0, 120, 7)

ASKED = {
    "model": PROFILE.models[0],
    "input": "x",
    "tools": [{"type": "function", "name": "get_weather"}, *({"type": each} for each in PROFILE.tools)],
}
STREAMED = {**ASKED, "stream": True}
#: Streams that are cut at every byte: short ones, for each cut is a judgement of its own.
CUT = ("empty text, wire", "failed, wire")
REQUESTS = [
    {"model": PROFILE.models[0], "input": "x"},
    {
        "model": PROFILE.models[0],
        "input": [{"role": "user", "content": "x"}],
        "tools": [{"type": "web_search"}],
    },
]

#: Rules that no mutant breaks in any subject, and why.
UNBREAKABLE = {"SCH-008": "says that a file is of no kind at all: nothing legal could be edited into that"}


def found_in(subject: str, value: Any, rule: str) -> list[Finding]:
    if subject == "request":
        return check_request(value)
    if subject in ("response", "body"):
        return check_response(value, request=ASKED if rule.startswith("REQ-") else None)
    return check_stream(value, request=STREAMED if rule.startswith("REQ-") else None)


def legal(subject: str) -> Iterator[Any]:
    if subject == "request":
        yield from REQUESTS
    elif subject in ("response", "body"):
        yield from (json.dumps(each) if subject == "body" else each for _, each in bases.responses())
    else:
        yield from (frames_of(each) if subject == "frames" else each for _, each in bases.streams())


NAMED = [
    (subject, rule) for subject in mutants.SUBJECTS for rule in mutants.rules_for(subject) if rule in RULES
]


@pytest.mark.parametrize(("subject", "rule"), NAMED, ids=[f"{subject}-{rule}" for subject, rule in NAMED])
def test_a_mutant_brings_its_rule_and_nothing_else(subject: str, rule: str) -> None:
    mutant = mutants.find(subject, rule)
    made = 0
    for value in legal(subject):
        for pick in PICKS:
            try:
                broken = mutant.apply(value, PROFILE, pick)
            except ConfigurationError:
                break
            made += 1
            found = {finding.rule for finding in found_in(subject, broken, rule)}
            assert found == {rule}, (pick, broken)
    assert made


def test_every_rule_can_be_broken_or_is_said_why_not() -> None:
    assert {rule for _, rule in NAMED} | UNBREAKABLE.keys() == set(RULES)
    assert not {rule for _, rule in NAMED} & UNBREAKABLE.keys()


def test_the_mutants_start_from_what_is_legal() -> None:
    for subject in mutants.SUBJECTS:
        assert not [value for value in legal(subject) if errors(found_in(subject, value, ""))]


def test_blind_mutants_of_streams_are_found_or_reviewed() -> None:
    made = [each for _, events in bases.streams() for each in blind.of_stream(events)]
    survived = Counter(str(each) for each in made if not errors(check_stream(each.value, request=STREAMED)))
    assert survived == reviewed("streams")
    # What the table excuses aside, all are found; what it excuses is legal, or a warning.
    assert len(made) > 7000


def test_blind_mutants_of_responses_are_found_or_reviewed() -> None:
    made = [each for _, response in bases.responses() for each in blind.of_value(response)]
    survived = Counter(str(each) for each in made if not errors(check_response(each.value, request=ASKED)))
    assert survived == reviewed("responses")
    assert len(made) > 1000


def test_blind_damage_to_what_the_service_sends_is_named_nearly_always() -> None:
    """What is on the wire, events, leaves and bytes alike: at least 99 of 100 damages bring a finding."""
    named = made = 0
    for name, events in bases.streams():
        if name.endswith(", wire"):
            before = Counter(each.rule for each in check_stream(events, request=STREAMED))
            damaged = [each.value for each in blind.of_stream(events)]
            if name in CUT:
                damaged += blind.of_bytes(b"".join(frames_of(events)))
            for value in damaged:
                after = Counter(each.rule for each in check_stream(value, request=STREAMED))
                made += 1
                named += bool(after - before)
    assert made > 7000
    assert named / made >= 0.99


def reviewed(subject: str) -> Counter[str]:
    """The survivors of the table: how many of each."""
    rows = json.loads(SURVIVORS.read_bytes())[subject]
    counted = Counter({name: count for row in rows for name, count in row["survivors"].items()})
    assert len(counted) == sum(len(row["survivors"]) for row in rows), "a survivor has two reasons"
    assert all(row["reason"].endswith(".") for row in rows)
    return counted


def test_a_cut_is_found_wherever_it_is() -> None:
    for name, events in bases.streams():
        if name in CUT:
            for data in blind.of_bytes(b"".join(frames_of(events))):
                assert errors(check_stream(data))


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_a_cut_is_found_wherever_it_is_in_any_stream() -> None:
    for _, events in bases.streams():
        for framing in (DEFAULT_PROFILE, None):
            for data in blind.of_bytes(b"".join(frames_of(events, framing))):
                assert errors(check_stream(data))


def test_both_validators_agree_on_blind_mutants() -> None:
    known = schemas(DEFAULT_PROFILE)
    registry: Any = referencing.Registry
    for _, events in [*bases.streams()][:5]:
        for event in events:
            kind = event["type"]
            reference: Any = jsonschema.Draft202012Validator(known.document(kind), registry=registry())
            for each in blind.of_value(event):
                assert known.valid(kind, each.value) == reference.is_valid(each.value), str(each)
