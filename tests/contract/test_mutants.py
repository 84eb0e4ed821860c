"""The checks find mutants: those made for a rule, and blind ones made without looking at any rule."""

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
from mockserver.contract.schema.registry import load_schemas
from mockserver.errors import ConfigurationError
from mockserver.profiles import DEFAULT_PROFILE, load_profile, load_profile_document, profile_names
from mockserver.replies import mutants
from mockserver.testing.strategies.framing import encode_events
from mockserver.testing.strategies.rendered_replies import tool_declaration
from mockserver.wire import json, sse
from tests.contract import blind_mutants, rendered_samples
from tests.marks import slow_except, slow_except_where, soak_except

PROFILES = [name for name in profile_names() if load_profile_document(name)["renderings"]]
SURVIVORS = Path(__file__).parent.parent / "data" / "survivors"
PICKS = range(0, 120, 7)

#: Streams that are cut at every byte: short ones, for each cut is a judgement of its own.
TRUNCATED_STREAMS = ("empty text, wire", "failed, wire")

#: Rules that no mutant breaks in any subject, and why.
UNBREAKABLE = {
    "SCH-008": "says that a file is of no kind at all: nothing legal could be edited into that",
    "REQ-016": "is about a response and the tool_choice of its request, which no edit of the response changes",
    "SSE-013": "is about the HTTP head of a file, which no subject has",
    "SSE-014": "is about the HTTP head of a file, which no subject has",
}
#: As above, in one profile alone.
UNBREAKABLE_IN = {
    "qwen-2026-09": {"SCH-004": "there is no later profile yet"},
    "openresponses-2026-04": {"SCH-004": "there is one version that any server plays"},
}


def profile_rules(profile: str) -> list[str]:
    return [name for name, rule in load_rules().items() if rule.applies_to(profile)]


def response_request(profile: str) -> dict[str, Any]:
    about = load_profile(profile)
    tools = [{"type": "function", "name": "get_weather"}, *(tool_declaration(each) for each in about.tools)]
    return {"model": about.models[0], "input": "x", "tools": tools}


def stream_request(profile: str) -> dict[str, Any]:
    return {**response_request(profile), "stream": True}


def check_subject(subject: str, value: Any, rule: str, profile: str) -> list[Finding]:
    request = response_request(profile) if rule.startswith("REQ-") else None
    if subject == "request":
        return check_request(value, profile)
    if subject in ("response", "body"):
        return check_response(value, profile, request)
    return check_stream(value, profile, {**request, "stream": True} if request else None)


def valid_values(subject: str, profile: str) -> Iterator[Any]:
    if subject == "request":
        about = load_profile(profile)
        tool = {"type": "web_search"} if about.tools else {"type": "function", "name": "f"}
        yield {"model": about.models[0], "input": "x"}
        yield {"model": about.models[0], "input": [{"role": "user", "content": "x"}], "tools": [tool]}
    elif subject in ("response", "body"):
        for _, each in rendered_samples.responses(profile):
            yield json.dumps(each) if subject == "body" else each
    else:
        for _, events in rendered_samples.streams(profile):
            yield _frames(events, profile) if subject == "frames" else events


def _frames(events: list[dict[str, Any]], profile: str) -> list[bytes]:
    marker = [sse.encode(sse.DONE_DATA)] if load_profile(profile).requires_done_marker else []
    return [*encode_events(events, profile), *marker]


RULE_MUTANTS = [
    (profile, subject, rule)
    for profile in PROFILES
    for subject in mutants.SUBJECTS
    for rule in mutants.rules_for(subject)
    if rule in profile_rules(profile) and rule not in UNBREAKABLE_IN.get(profile, {})
]


@pytest.mark.parametrize(
    ("profile", "subject", "rule"),
    slow_except_where(lambda profile, *_: profile == DEFAULT_PROFILE, RULE_MUTANTS),
    ids=[" ".join(each) for each in RULE_MUTANTS],
)
def test_a_mutant_breaks_only_its_rule(profile: str, subject: str, rule: str) -> None:
    mutant = mutants.find_mutant(subject, rule)
    made = 0
    for value in valid_values(subject, profile):
        for pick in PICKS:
            try:
                broken = mutant.apply(value, load_profile(profile), pick)
            except ConfigurationError:
                break
            made += 1
            found = {finding.rule for finding in check_subject(subject, broken, rule, profile)}
            assert found == {rule}, (pick, broken)
    assert made


@pytest.mark.parametrize("profile", PROFILES)
def test_every_rule_has_a_mutant_or_a_reason_for_none(profile: str) -> None:
    breakable = {rule for name, _, rule in RULE_MUTANTS if name == profile}
    excused = {*UNBREAKABLE, *UNBREAKABLE_IN.get(profile, {})}
    assert breakable | excused == set(profile_rules(profile))
    assert not breakable & excused


@pytest.mark.parametrize("profile", slow_except([DEFAULT_PROFILE], PROFILES))
def test_mutants_start_from_valid_values(profile: str) -> None:
    for subject in mutants.SUBJECTS:
        assert not [
            value
            for value in valid_values(subject, profile)
            if errors(check_subject(subject, value, "", profile))
        ]


@pytest.mark.slow
@pytest.mark.parametrize("profile", soak_except({"qwen-2026-01"}, PROFILES))
def test_blind_mutants_of_streams_are_found_or_reviewed(profile: str) -> None:
    made = [
        each
        for _, events in rendered_samples.streams(profile)
        for each in blind_mutants.stream_mutants(events)
    ]
    survived = Counter(
        str(each) for each in made if not errors(check_stream(each.value, profile, stream_request(profile)))
    )
    assert survived == reviewed_survivors(profile, "streams")
    # All are found, except those in the table, which are legal or a warning.
    assert len(made) > 7000


@pytest.mark.slow
@pytest.mark.parametrize("profile", PROFILES)
def test_blind_mutants_of_responses_are_found_or_reviewed(profile: str) -> None:
    made = [
        each
        for _, response in rendered_samples.responses(profile)
        for each in blind_mutants.value_mutants(response)
    ]
    survived = Counter(
        str(each)
        for each in made
        if not errors(check_response(each.value, profile, response_request(profile)))
    )
    assert survived == reviewed_survivors(profile, "responses")
    assert len(made) > 1000


@pytest.mark.slow
def test_nearly_all_blind_mutants_of_wire_values_are_found() -> None:
    """Of all damages to values on the wire, events, leaves and bytes, at least 99 of 100 bring a finding.

    This holds for January. The later profiles have many optional members: see their tables.
    """
    named = made = 0
    profile, request = DEFAULT_PROFILE, stream_request(DEFAULT_PROFILE)
    for name, events in rendered_samples.streams(profile):
        if name.endswith(", wire"):
            before = Counter(each.rule for each in check_stream(events, profile, request))
            damaged = [each.value for each in blind_mutants.stream_mutants(events)]
            if name in TRUNCATED_STREAMS:
                damaged += blind_mutants.truncations(b"".join(encode_events(events, profile)))
            for value in damaged:
                after = Counter(each.rule for each in check_stream(value, profile, request))
                made += 1
                named += bool(after - before)
    assert made > 7000
    assert named / made >= 0.99


def reviewed_survivors(profile: str, subject: str) -> Counter[str]:
    """The reviewed survivors of a profile, with their counts."""
    rows = json.loads((SURVIVORS / f"{profile}.json").read_bytes())[subject]
    counted = Counter({name: count for row in rows for name, count in row["survivors"].items()})
    assert len(counted) == sum(len(row["survivors"]) for row in rows), "a survivor has two reasons"
    assert all(row["reason"].endswith(".") for row in rows)
    return counted


def test_truncation_is_found_at_every_byte() -> None:
    for name, events in rendered_samples.streams():
        if name in TRUNCATED_STREAMS:
            for data in blind_mutants.truncations(b"".join(encode_events(events))):
                assert errors(check_stream(data))


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_truncation_is_found_at_every_byte_of_every_stream() -> None:
    for _, events in rendered_samples.streams():
        for framing in (DEFAULT_PROFILE, None):
            for data in blind_mutants.truncations(b"".join(encode_events(events, framing))):
                assert errors(check_stream(data))


@pytest.mark.slow
@pytest.mark.parametrize("profile", PROFILES)
def test_both_validators_agree_on_blind_mutants(profile: str) -> None:
    known = load_schemas(profile)
    registry: Any = referencing.Registry
    for _, events in [*rendered_samples.streams(profile)][:6]:
        for event in events:
            kind = event["type"]
            reference: Any = jsonschema.Draft202012Validator(known.document(kind), registry=registry())
            for each in blind_mutants.value_mutants(event):
                assert known.is_valid(kind, each.value) == reference.is_valid(each.value), str(each)
