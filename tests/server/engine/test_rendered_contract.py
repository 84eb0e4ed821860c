"""Whatever is said: every script of every age passes the judge, or breaks just the rule it was told to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from mockserver import strategies
from mockserver.contract.check import check_response, check_stream
from mockserver.contract.findings import Finding, errors
from mockserver.profiles import load_profile_document, profile_names
from mockserver.replies.script import Script
from mockserver.server.delivery.faults.rule_faults import breakable_rules
from mockserver.testing.mock import MockServer

#: The ages that can be played.
PLAYED = [name for name in profile_names() if load_profile_document(name)["renderings"]]
RULES = [rule for rule in breakable_rules() if not rule.startswith("CHT-")]
#: Rules about request and answer together: they follow where an answer was changed.
FOLLOWS = [rule for rule in RULES if rule.startswith("REQ-")]
FEW = settings(
    max_examples=15,
    phases=(Phase.generate,),
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(scope="module")
def servers() -> Iterator[Mapping[str, MockServer]]:
    made = {name: MockServer(profile=name).start() for name in PLAYED}
    yield made
    for server in made.values():
        server.stop()


def scripts(profile: str) -> st.SearchStrategy[Script]:
    return strategies.scripts(profile=profile, statuses=["completed"])


def judged(server: MockServer, stream: bool) -> tuple[str | None, list[Finding]]:
    """(the rule that was broken on purpose, what is found) of an answer."""
    body: dict[str, Any] = {"model": server.model, "input": "Hello?", "stream": stream}
    with server.httpx() as client:
        reply = client.post("/responses", json=body)
    if reply.status_code == 400:  # there was no place for it in this answer, and that was told
        told = reply.json()
        assert told.get("error", told)["message"].startswith("fault: ")
        return None, []
    assert reply.status_code == 200, reply.text
    check = check_stream if stream else check_response
    return reply.headers.get("x-mock-fault"), list(check(reply.content, server.profile, body))


@pytest.mark.parametrize("profile", PLAYED)
def test_every_script_passes_the_judge(servers: Mapping[str, MockServer], profile: str) -> None:
    server = servers[profile]

    @FEW
    @given(script=scripts(profile))
    def said(script: Script) -> None:
        server.reset()
        server.reply(script).times(2)
        for stream in (False, True):
            told, found = judged(server, stream)
            assert (told, errors(found)) == (None, [])

    said()


@pytest.mark.parametrize("profile", PLAYED)
def test_or_breaks_just_the_rule_that_it_was_told_to(servers: Mapping[str, MockServer], profile: str) -> None:
    server, broken = servers[profile], set[str]()

    @FEW
    @given(script=scripts(profile), rule=st.sampled_from(RULES))
    def said(script: Script, rule: str) -> None:
        server.reset()
        server.reply(script, violate=rule).times(2)
        for stream in (False, True):
            told, found = judged(server, stream)
            assert told in (None, rule)
            # What no longer says what its request said follows from the rule, and is no other breach.
            others = [each for each in errors(found) if each.rule not in (rule, *FOLLOWS)]
            assert (others, any(each.rule == rule for each in found)) == ([], told is not None)
            broken.update([] if told is None else [rule])

    said()
    assert broken
