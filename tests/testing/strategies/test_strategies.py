"""Drawn values are what their strategy claims, and every value there is can be drawn."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import referencing
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument

import mockserver
from mockserver import strategies
from mockserver.contract.bodies.call_outputs import read_call_history
from mockserver.contract.check import check_body, check_error, check_request, check_response, check_stream
from mockserver.contract.findings import Finding, Severity, errors
from mockserver.contract.rules import load_rules
from mockserver.contract.schema.registry import load_schemas
from mockserver.errors import UnknownProfile
from mockserver.profiles import DEFAULT_PROFILE, load_profile, load_profile_document, profile_names
from mockserver.testing.strategies.scripts import item_kinds
from mockserver.wire import json, sse
from tests.api_client import ApiClient
from tests.marks import slow_except, slow_except_where

RENDERINGS = ["wire", "documented"]
SCHEMAS = load_schemas(DEFAULT_PROFILE)
PROFILES = [name for name in profile_names() if load_profile_document(name)["renderings"]]

#: The same few examples in every run; the soak tests draw many.
FEW_EXAMPLES = settings(max_examples=80, derandomize=True, database=None, deadline=None)
#: Draw only: no shrinking, no example database.
MANY_EXAMPLES = settings(
    max_examples=10_000,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)


def assert_no_errors(findings: list[Finding]) -> None:
    assert errors(findings) == []


def assert_no_findings(findings: list[Finding]) -> None:
    """Not even an info finding: values drawn without `unknown` are known completely."""
    assert findings == []


@pytest.mark.parametrize("profile", slow_except([DEFAULT_PROFILE], PROFILES))
@pytest.mark.parametrize("rendering", RENDERINGS)
def test_streams_keep_the_contract(profile: str, rendering: str) -> None:
    @FEW_EXAMPLES
    @given(strategies.streams(profile=profile, rendering=rendering))
    def check(stream: Any) -> None:
        assert_no_findings(check_stream(stream, profile))
        kinds = [event["type"] for event in stream]
        assert kinds[0] == "response.created"
        assert kinds[-1] in ("response.completed", "response.failed", "response.incomplete")

    check()


@pytest.mark.parametrize("profile", slow_except([DEFAULT_PROFILE], PROFILES))
@pytest.mark.parametrize("rendering", RENDERINGS)
def test_responses_keep_the_contract(profile: str, rendering: str) -> None:
    @FEW_EXAMPLES
    @given(strategies.responses(profile=profile, rendering=rendering))
    def check(response: Any) -> None:
        assert_no_findings(check_response(response, profile))

    check()


@pytest.mark.parametrize("profile", slow_except([DEFAULT_PROFILE], PROFILES))
@pytest.mark.soak
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("rendering", RENDERINGS)
@pytest.mark.parametrize("unknown", [False, True])
def test_ten_thousand_of_each_keep_the_contract(profile: str, rendering: str, unknown: bool) -> None:
    @MANY_EXAMPLES
    @given(strategies.streams(profile=profile, rendering=rendering, faults=True, unknown=unknown))
    def streams(stream: Any) -> None:
        assert_no_errors(check_stream(stream, profile))

    @MANY_EXAMPLES
    @given(strategies.responses(profile=profile, rendering=rendering, unknown=unknown))
    def responses(response: Any) -> None:
        assert_no_errors(check_response(response, profile))

    streams()
    responses()


@pytest.mark.parametrize("profile", slow_except([DEFAULT_PROFILE], PROFILES))
@pytest.mark.parametrize("rendering", slow_except({"wire"}, RENDERINGS))
@FEW_EXAMPLES
@given(data=st.data())
def test_unknown_members_are_only_info_findings(profile: str, rendering: str, data: st.DataObject) -> None:
    stream = data.draw(strategies.streams(profile=profile, rendering=rendering, unknown=True, faults=True))
    found = check_stream(stream, profile)
    assert_no_errors(found)
    assert {each.rule for each in found} <= {"SCH-003", "SEQ-012", "SEQ-014"}
    response = data.draw(strategies.responses(profile=profile, rendering=rendering, unknown=True))
    assert {each.rule for each in check_response(response, profile)} <= {"SCH-003"}
    request = data.draw(strategies.requests(profile=profile, unknown=True))
    assert {each.rule for each in check_request(request, profile)} <= {"REQ-002"}


@pytest.mark.parametrize("profile", slow_except([DEFAULT_PROFILE], PROFILES))
@pytest.mark.parametrize("rendering", slow_except({"wire"}, RENDERINGS))
@FEW_EXAMPLES
@given(data=st.data())
def test_errors_items_usages_and_events_keep_the_contract(
    profile: str, rendering: str, data: st.DataObject
) -> None:
    known = load_schemas(profile)
    error = data.draw(strategies.errors(profile=profile, rendering=rendering))
    assert_no_findings(check_error(error, profile, status=200 if "object" in error else 400))
    assert known.is_closed_valid(
        "item", data.draw(strategies.output_items(profile=profile, rendering=rendering))
    )
    usage = data.draw(strategies.usages(profile=profile, rendering=rendering))
    assert known.is_closed_valid("usage", usage)
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    event = data.draw(strategies.events(profile=profile, rendering=rendering))
    assert known.is_closed_valid(event["type"], event)


@pytest.mark.parametrize("profile", slow_except([DEFAULT_PROFILE], PROFILES))
def test_requests_keep_the_contract(profile: str) -> None:
    @FEW_EXAMPLES
    @given(strategies.requests(profile=profile))
    def check(request: Any) -> None:
        findings = check_request(request, profile)
        # Structured output may be asked for; a profile that ignores it reports that.
        ignored = ("REQ-002", "/text/format") if load_profile(profile).ignores_text_format else None
        assert_no_findings([each for each in findings if (each.rule, each.pointer) != ignored])

    check()


@pytest.mark.parametrize("profile", slow_except([DEFAULT_PROFILE], PROFILES))
@pytest.mark.parametrize("rendering", RENDERINGS)
@FEW_EXAMPLES
@given(data=st.data())
def test_the_turns_of_a_conversation_are_linked(profile: str, rendering: str, data: st.DataObject) -> None:
    turns = data.draw(strategies.conversations(profile=profile, rendering=rendering))
    ids: list[str] = []
    earlier_items: list[Any] = []
    spent = 0
    for request, reply in turns:
        if request.get("previous_response_id") is None:
            earlier_items = []
        assert_no_findings(check_request(request, profile, history=read_call_history(earlier_items)))
        streamed = isinstance(reply, list)
        assert streamed == bool(request.get("stream"))
        assert_no_findings((check_stream if streamed else check_response)(reply, profile, request))
        response = reply[-1]["response"] if streamed else reply
        previous = request.get("previous_response_id")
        assert previous == (ids[-1] if previous else None)
        assert response["usage"]["input_tokens"] > spent
        spent = response["usage"]["input_tokens"]
        ids.append(response["id"])
        earlier_items += [
            *(request["input"] if isinstance(request["input"], list) else []),
            *response["output"],
        ]
    assert len(set(ids)) == len(turns)


#: Profiles whose renderings differ only in the order of members: one of them is enough.
SAME_CONTENT_RENDERINGS = ["openresponses-2026-04"]
BREAKABLE = [
    (name, rule, rendering)
    for name in PROFILES
    for rule in strategies.breakable_rules(name)
    for rendering in (RENDERINGS[:1] if name in SAME_CONTENT_RENDERINGS else RENDERINGS)
]


@pytest.mark.parametrize(
    ("profile", "rule", "rendering"),
    slow_except_where(
        lambda profile, _, rendering: profile == DEFAULT_PROFILE and rendering == "wire",
        BREAKABLE,
        # Each rule is broken in each profile, and in each rendering; all three together are left to soak.
        is_soak=lambda profile, _, rendering: profile != DEFAULT_PROFILE and rendering != "wire",
    ),
)
def test_a_broken_stream_fails_with_its_rule(profile: str, rule: str, rendering: str) -> None:
    severe = load_rules()[rule].severity is Severity.ERROR

    @settings(FEW_EXAMPLES, max_examples=20, phases=[Phase.generate])
    @given(strategies.broken_streams(rule=rule, profile=profile, rendering=rendering))
    def check(drawn: Any) -> None:
        events, named = drawn
        found = check_stream(events, profile)
        assert named == rule
        assert rule in {each.rule for each in found}
        assert {each.rule for each in errors(found)} == ({rule} if severe else set())

    check()


@pytest.mark.parametrize("profile", slow_except([DEFAULT_PROFILE], PROFILES))
@pytest.mark.soak
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("rendering", RENDERINGS)
def test_ten_thousand_broken_streams_fail_with_their_rules(profile: str, rendering: str) -> None:
    @MANY_EXAMPLES
    @given(strategies.broken_streams(profile=profile, rendering=rendering))
    def check(drawn: Any) -> None:
        events, rule = drawn
        assert {each.rule for each in errors(check_stream(events, profile))} == {rule}

    check()


@pytest.mark.parametrize("profile", slow_except([DEFAULT_PROFILE], PROFILES))
def test_an_invalid_request_fails_with_its_rule(profile: str) -> None:
    @FEW_EXAMPLES
    @given(strategies.invalid_requests(profile=profile))
    def check(drawn: Any) -> None:
        request, rule = drawn
        assert {each.rule for each in errors(check_request(request, profile))} == {rule}

    check()


@FEW_EXAMPLES
@given(data=st.data())
def test_sse_bytes_decode_to_the_stream(data: st.DataObject) -> None:
    stream = data.draw(strategies.streams(unknown=True, faults=True))
    chunks = data.draw(strategies.sse_bytes(stream, framing="any"))
    assert_no_errors(check_stream(chunks))
    decoder = sse.Decoder()
    frames = [frame for chunk in chunks for frame in decoder.feed(chunk)]
    assert [json.loads(frame.data.encode()) for frame in frames if frame.data is not None] == stream


@pytest.mark.parametrize("framing", ["profile", "plain"])
@FEW_EXAMPLES
@given(data=st.data())
def test_every_chunking_has_the_same_bytes(framing: str, data: st.DataObject) -> None:
    stream = data.draw(strategies.streams())
    ways = ["whole", "events", "bytes", "cuts"]
    drawn = [data.draw(strategies.sse_bytes(stream, chunking=way, framing=framing)) for way in ways]
    assert len({b"".join(chunks) for chunks in drawn}) == 1
    assert len(drawn[0]) == 1
    assert len(drawn[1]) == len(stream)
    assert {len(chunk) for chunk in drawn[2]} == {1}
    assert {each.rule for each in check_stream(drawn[3])} <= {"SSE-011"}


@FEW_EXAMPLES
@given(data=st.data())
def test_a_stream_with_surrogates_can_be_framed(data: st.DataObject) -> None:
    stream = data.draw(strategies.streams(surrogates=True))
    assert b"".join(data.draw(strategies.sse_bytes(stream, chunking="whole")))


def test_surrogates_are_drawn() -> None:
    drawn: list[str] = []

    @settings(FEW_EXAMPLES, max_examples=200, phases=[Phase.generate])
    @given(strategies.streams(surrogates=True))
    def draw(stream: Any) -> None:
        drawn.append(repr(stream))

    draw()
    assert any("\\ud800" in each for each in drawn)


@pytest.mark.parametrize(
    ("strategy", "message"),
    [
        (strategies.streams(profile="no-such"), "no profile 'no-such'; choose from: "),
        (strategies.requests(profile="openai"), "the profile openai is for checks only and cannot be served"),
        (
            strategies.responses(rendering="loud"),
            "unknown rendering 'loud' in qwen-2026-01; choose from: wire, ",
        ),
        (strategies.scripts(kinds=["prose"]), "is not among message, reasoning, function_call, "),
        (strategies.scripts(kinds="message"), "must be a collection of names"),
        (strategies.scripts(kinds=[]), "nothing is not among"),
        (strategies.scripts(statuses=["done"]), "is not among completed, failed"),
        (strategies.scripts(min_items=3, max_items=2), "min_items=3 <= max_items=2 does not hold"),
        (strategies.events(types=["response.incomplete"]), "is not among response.created, "),
        (strategies.broken_streams(rule="SSE-001"), "no stream can break it; did you mean 'USE-001'"),
        (strategies.broken_streams(rule="REQ-008"), "no stream can break it; did you mean 'SEQ-008'"),
        (strategies.invalid_requests(rules=["SEQ-001"]), "is not among REQ-001"),
        (strategies.sse_bytes([], chunking="dust"), "is not among cuts, events, bytes, whole"),
        (strategies.sse_bytes([], framing="gold"), "is not among profile, plain, any"),
        (strategies.conversations(min_turns=0), "1 <= min_turns=0"),
        (strategies.bodies(kind="thing"), "is not among create_request, response"),
        (strategies.bodies(kind="models", profile="qwen-2026-01"), "is not among create_request, response"),
    ],
)
def test_arguments_are_validated_when_a_value_is_drawn(strategy: Any, message: str) -> None:
    @settings(FEW_EXAMPLES, max_examples=1)
    @given(strategy)
    def draw(value: Any) -> None:
        raise AssertionError("something was drawn")

    with pytest.raises((InvalidArgument, UnknownProfile, ValueError), match=message.replace("(", r"\(")):
        draw()


def test_no_strategy_filters() -> None:
    folder = Path(strategies.__file__).parent
    source = "".join(file.read_text(encoding="utf-8") for file in folder.glob("*.py"))
    assert "def streams(" in source
    assert not [word for word in (".filter(", "assume(", "unique", "reject(") if word in source]


def test_options_are_keyword_only() -> None:
    with pytest.raises(TypeError):
        strategies.streams("qwen-2026-01")  # type: ignore[call-arg]


def test_importing_the_package_does_not_load_hypothesis() -> None:
    code = "import sys, mockserver; assert 'hypothesis' not in sys.modules; mockserver.MockServer"
    code += (
        "; assert 'hypothesis' not in sys.modules; mockserver.strategies; assert 'hypothesis' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert mockserver.strategies is strategies


def test_drawn_scripts_can_be_replies_of_a_mock_server(api: ApiClient) -> None:
    @settings(FEW_EXAMPLES, max_examples=10)
    @given(strategies.scripts(statuses=["completed"]))
    def reply(script: Any) -> None:
        api.server.reply(script)
        assert len(api.create("hi")["output"]) == len(script.items)

    reply()


@pytest.mark.parametrize("profile", slow_except([DEFAULT_PROFILE], PROFILES))
@FEW_EXAMPLES
@given(data=st.data())
def test_bodies_of_the_other_operations_keep_the_contract(profile: str, data: st.DataObject) -> None:
    kind, body = data.draw(strategies.bodies(profile=profile))
    assert_no_findings(check_body(body, kind, profile))
    assert_no_findings(check_body(json.dumps(body), kind, profile))


def assert_validators_agree(data: st.DataObject, profile: str = DEFAULT_PROFILE) -> None:
    known = load_schemas(profile)
    kind = data.draw(st.sampled_from(["stream", "broken", "response", "request", "invalid", "body"]))
    if kind in ("stream", "broken"):
        broken = strategies.broken_streams(profile=profile).map(lambda drawn: drawn[0])
        events = data.draw(broken if kind == "broken" else strategies.streams(profile=profile, unknown=True))
        cases = [(event["type"], event) for event in events if event.get("type") in known.event_types]
    elif kind == "response":
        cases = [("response", data.draw(strategies.responses(profile=profile, unknown=True)))]
    elif kind == "body":
        cases = [data.draw(strategies.bodies(profile=profile))]
    else:
        invalid = strategies.invalid_requests(profile=profile).map(lambda drawn: drawn[0])
        cases = [
            (
                "create_request",
                data.draw(invalid if kind == "invalid" else strategies.requests(profile=profile)),
            )
        ]
    for name, value in cases:
        for closed in (False, True):
            fast = known.is_closed_valid if closed else known.is_valid
            assert fast(name, value) == reference_validator(name, closed, profile).is_valid(value), (
                name,
                closed,
            )


def reference_validator(name: str, closed: bool, profile: str) -> Any:
    if (profile, name, closed) not in _REFERENCE_VALIDATORS:
        registry: Any = referencing.Registry
        validator: Any = jsonschema.Draft202012Validator
        _REFERENCE_VALIDATORS[profile, name, closed] = validator(
            load_schemas(profile).document(name, closed), registry=registry()
        )
    return _REFERENCE_VALIDATORS[profile, name, closed]


_REFERENCE_VALIDATORS: dict[tuple[str, str, bool], Any] = {}


@pytest.mark.parametrize("profile", slow_except([DEFAULT_PROFILE], PROFILES))
def test_both_validators_agree_on_what_is_drawn(profile: str) -> None:
    _REFERENCE_VALIDATORS.clear()

    @settings(FEW_EXAMPLES, max_examples=150, phases=[Phase.generate])
    @given(st.data())
    def check(data: st.DataObject) -> None:
        assert_validators_agree(data, profile)

    check()
    assert {"response", "create_request", "response.completed"} <= {
        name for _, name, _ in _REFERENCE_VALIDATORS
    }


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("profile", slow_except([DEFAULT_PROFILE], PROFILES))
def test_both_validators_agree_on_ten_thousand(profile: str) -> None:
    _REFERENCE_VALIDATORS.clear()

    @MANY_EXAMPLES
    @given(st.data())
    def check(data: st.DataObject) -> None:
        assert_validators_agree(data, profile)

    check()
    assert {"response", "create_request", "response.completed"} <= {
        name for _, name, _ in _REFERENCE_VALIDATORS
    }


@pytest.mark.parametrize("profile", slow_except([DEFAULT_PROFILE], PROFILES))
def test_every_built_in_tool_can_be_drawn(profile: str) -> None:
    kinds: set[str] = set()

    @settings(FEW_EXAMPLES, max_examples=300, phases=[Phase.generate])
    @given(strategies.scripts(profile=profile))
    def draw(script: Any) -> None:
        kinds.update(getattr(item, "kind", type(item).__name__) for item in script.items)

    draw()
    assert len(kinds) == len(item_kinds(profile))
