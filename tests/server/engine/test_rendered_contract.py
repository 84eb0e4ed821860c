"""Every script in every profile renders to a valid reply, or breaks only the requested rule."""

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
from tests.marks import slow_except

#: The profiles that the server can play.
PLAYABLE = [name for name in profile_names() if load_profile_document(name)["renderings"]]
RULES = [rule for rule in breakable_rules() if not rule.startswith("CHT-")]
#: Rules about request and reply together: a changed reply may break them as well.
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
    servers = {name: MockServer(profile=name).start() for name in PLAYABLE}
    yield servers
    for server in servers.values():
        server.stop()


def scripts(profile: str) -> st.SearchStrategy[Script]:
    return strategies.scripts(profile=profile, statuses=["completed"])


def check_reply(server: MockServer, stream: bool) -> tuple[str | None, list[Finding]]:
    """(the rule that the reply breaks on purpose, its findings)."""
    body: dict[str, Any] = {"model": server.model, "input": "Hello?", "stream": stream}
    with server.httpx() as client:
        reply = client.post("/responses", json=body)
    if reply.status_code == 400:  # the rule does not apply to this reply
        error = reply.json()
        assert error.get("error", error)["message"].startswith("fault: ")
        return None, []
    assert reply.status_code == 200, reply.text
    check = check_stream if stream else check_response
    return reply.headers.get("x-mock-fault"), list(check(reply.content, server.profile, body))


@pytest.mark.parametrize("profile", slow_except(["qwen-2026-01"], PLAYABLE))
def test_every_script_is_valid(servers: Mapping[str, MockServer], profile: str) -> None:
    server = servers[profile]

    @FEW
    @given(script=scripts(profile))
    def check(script: Script) -> None:
        server.reset()
        server.reply(script).times(2)
        for stream in (False, True):
            broken_rule, found = check_reply(server, stream)
            assert (broken_rule, errors(found)) == (None, [])

    check()


@pytest.mark.parametrize("profile", slow_except(["qwen-2026-01"], PLAYABLE))
def test_violation_breaks_only_the_requested_rule(servers: Mapping[str, MockServer], profile: str) -> None:
    server, broken = servers[profile], set[str]()

    @FEW
    @given(script=scripts(profile), rule=st.sampled_from(RULES))
    def check(script: Script, rule: str) -> None:
        server.reset()
        server.reply(script, violate=rule).times(2)
        for stream in (False, True):
            broken_rule, found = check_reply(server, stream)
            assert broken_rule in (None, rule)
            others = [each for each in errors(found) if each.rule not in (rule, *FOLLOWS)]
            assert (others, any(each.rule == rule for each in found)) == ([], broken_rule is not None)
            broken.update([] if broken_rule is None else [rule])

    check()
    assert broken
