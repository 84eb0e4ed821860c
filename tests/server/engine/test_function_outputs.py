"""Function outputs that do not answer the calls of the stored turn before are rejected, in every profile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from mockserver import FunctionCall, MockServer
from mockserver.profiles import load_profile_document, profile_names
from tests.api_client import ApiClient

PLAYABLE = [name for name in profile_names() if load_profile_document(name)["renderings"]]
TOOLS = [{"type": "function", "name": "f", "parameters": {"type": "object"}}]

Calls = list[dict[str, Any]]


def output(call_id: str) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": "sunny"}


#: The profiles that have conversations.
WITH_CONVERSATIONS = [
    name
    for name in PLAYABLE
    if "createConversation" in load_profile_document(name)["facts"].get("operations", {"value": ()})["value"]
]


@pytest.fixture(scope="module", params=PLAYABLE)
def _server(request: pytest.FixtureRequest) -> Iterator[MockServer]:
    with MockServer(profile=request.param) as server:
        yield server


@pytest.fixture
def api(_server: MockServer) -> Iterator[ApiClient]:
    _server.reset()
    with httpx.Client(trust_env=False) as client:
        yield ApiClient(_server, client)


def call_twice(api: ApiClient, **context: str) -> tuple[str, Calls]:
    """(id, calls) of a response with two parallel calls."""
    api.server.reply(FunctionCall("f", '{"a":1}'), FunctionCall("f", '{"a":2}'))
    response = api.create("Weather?", tools=TOOLS, **context)
    return response["id"], [item for item in response["output"] if item["type"] == "function_call"]


def answer(api: ApiClient, content: Any, **context: str) -> httpx.Response:
    api.server.reply("Sunny.")
    return api.post({"model": api.server.model, "input": content, "tools": TOOLS, **context})


def message_of(reply: httpx.Response) -> str:
    body = reply.json()
    return str((body.get("error") or body)["message"])


def both(calls: Calls) -> list[dict[str, Any]]:
    return [output(call["call_id"]) for call in calls]


WRONG: list[tuple[str, Callable[[Calls], Any], str]] = [
    ("REQ-007", lambda calls: [output(call["id"]) for call in calls], "is the item's id"),
    ("REQ-007", lambda calls: [*both(calls), output("call_zzz")], "which the turn before did not call"),
    ("REQ-007", lambda calls: [output("call_zzz")] * 2, "which the turn before did not call"),
    ("REQ-013", lambda calls: both(calls)[:1], "The input has no output for"),
    ("REQ-013", lambda calls: both(calls)[1:], "The input has no output for"),
    ("REQ-014", lambda calls: [*both(calls), output(calls[0]["call_id"])], "that call has an output"),
    ("REQ-014", lambda calls: [output(calls[0]["call_id"])] * 2, "that call has an output"),
    ("REQ-013", lambda calls: "And?", "The input has no output for"),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("rule", "make", "words"), WRONG)
def test_wrong_output_is_rejected(
    api: ApiClient, rule: str, make: Callable[[Calls], Any], words: str, stream: bool
) -> None:
    previous, calls = call_twice(api)
    api.server.reply("Sunny.")
    body = {"model": api.server.model, "input": make(calls), "tools": TOOLS, "stream": stream}
    reply = api.post({**body, "previous_response_id": previous})
    assert reply.status_code == 400
    assert words in message_of(reply)
    finding = api.server.journal.last.findings[0]
    assert (finding.rule, finding.severity) == (rule, "error")


def test_outputs_of_all_calls_are_accepted_in_any_order(api: ApiClient) -> None:
    previous, calls = call_twice(api)
    assert answer(api, both(calls)[::-1], previous_response_id=previous).status_code == 200
    assert answer(api, both(calls), previous_response_id=previous).status_code == 200  # a second branch


def test_output_for_a_turn_without_calls_is_rejected(api: ApiClient) -> None:
    api.server.reply("Hi.")
    previous = api.create("Hi")["id"]
    reply = answer(api, [output("call_zzz")], previous_response_id=previous)
    assert reply.status_code == 400
    assert "called no function" in message_of(reply)


@pytest.mark.parametrize("later_turns", [0, 3])
def test_repeated_output_of_an_older_turn_is_named(api: ApiClient, later_turns: int) -> None:
    previous, calls = call_twice(api)
    previous = answer(api, both(calls), previous_response_id=previous).json()["id"]
    for _ in range(later_turns):
        previous = answer(api, "And?", previous_response_id=previous).json()["id"]
    reply = answer(api, [output(calls[0]["call_id"])], previous_response_id=previous)
    assert reply.status_code == 400
    assert "that call has an output" in message_of(reply)
    assert [each.rule for each in api.server.journal.last.findings if each.severity == "error"] == ["REQ-014"]
    reply = answer(api, [output(calls[0]["id"])], previous_response_id=previous)
    assert "is the item's id" in message_of(reply)
    assert answer(api, [output("call_zzz")], previous_response_id=previous).status_code == 400


def test_output_in_the_input_of_an_older_turn_counts(api: ApiClient) -> None:
    call = {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"}
    user = {"role": "user", "content": "Weather?"}
    first = answer(api, [user, call, output("call_1")]).json()["id"]
    reply = answer(api, [output("call_1")], previous_response_id=first)
    assert reply.status_code == 400
    assert "that call has an output" in message_of(reply)


def test_output_of_an_older_call_that_was_never_answered_is_accepted(api: ApiClient) -> None:
    """The input of the second turn refers to something that may be the output."""
    previous, calls = call_twice(api)
    reference = {"type": "item_reference", "id": calls[0]["id"]}
    second = answer(api, [reference], previous_response_id=previous).json()["id"]
    assert answer(api, "And?", previous_response_id=second).status_code == 200
    assert answer(api, both(calls), previous_response_id=second).status_code == 200


def test_call_and_output_in_the_input_need_no_earlier_call(api: ApiClient) -> None:
    api.server.reply("Hi.")
    previous = api.create("Hi")["id"]
    call = {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"}
    assert answer(api, [call, output("call_1")], previous_response_id=previous).status_code == 200


def test_item_reference_may_stand_for_a_call(api: ApiClient) -> None:
    previous, calls = call_twice(api)
    reference = {"type": "item_reference", "id": calls[0]["id"]}
    reply = answer(api, [reference, *both(calls)], previous_response_id=previous)
    assert "REQ-007" not in [each.rule for each in api.server.journal.last.findings], reply.text


@pytest.fixture
def conversation(api: ApiClient) -> str:
    return str(api.request_json("POST", "/conversations", {})["id"])


@pytest.mark.parametrize("_server", WITH_CONVERSATIONS, indirect=True)
def test_wrong_output_in_a_conversation_is_rejected(api: ApiClient, conversation: str) -> None:
    _, calls = call_twice(api, conversation=conversation)
    for content in ("And?", [output("call_zzz")], both(calls)[:1], [*both(calls), *both(calls)]):
        assert answer(api, content, conversation=conversation).status_code == 400
        assert api.server.journal.last.findings[0].rule in {"REQ-007", "REQ-013", "REQ-014"}
    assert answer(api, both(calls), conversation=conversation).status_code == 200
    assert answer(api, both(calls), conversation=conversation).status_code == 400
    assert answer(api, "Thanks.", conversation=conversation).status_code == 200


@pytest.mark.parametrize("_server", WITH_CONVERSATIONS, indirect=True)
def test_output_added_to_a_conversation_counts(api: ApiClient, conversation: str) -> None:
    _, calls = call_twice(api, conversation=conversation)
    api.request_json("POST", f"/conversations/{conversation}/items", {"items": both(calls)})
    assert answer(api, "Thanks.", conversation=conversation).status_code == 200


def test_broken_arguments_that_a_client_sends_back_are_refused_as_by_the_service(api: ApiClient) -> None:
    """A model's broken arguments are the client's to mend; other services accept any text."""
    api.server.reply(FunctionCall("f", '{"city": '), invalid=True)
    (call,) = api.create("Weather?", tools=TOOLS)["output"]
    reply = answer(api, [{"role": "user", "content": "Weather?"}, call, output(call["call_id"])])
    if not api.server.profile.startswith("qwen-"):
        assert reply.status_code == 200
        return
    assert reply.status_code == 400
    text = 'The "function.arguments" parameter of the code model must be in JSON format.'
    assert message_of(reply) == f"<400> InternalError.Algo.InvalidParameter: {text}"
    mended = {**call, "arguments": "{}"}
    reply = answer(api, [{"role": "user", "content": "Weather?"}, mended, output(call["call_id"])])
    assert reply.status_code == 200
