"""The desk against the mock; the plugin checks every request at the end of a test."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from weather_desk import Desk, stream

from mockserver import FunctionCall, MockServer, Script

DAY = 86_400
WEATHER = {"Paris": {"sky": "clear", "celsius": 21}, "Oslo": {"sky": "snow", "celsius": -3}}


def call(city: str) -> Script:
    return Script((FunctionCall("get_weather", json.dumps({"city": city})),))


@pytest.fixture
def desk(responses_env: dict[str, str]) -> Iterator[Desk]:
    """A desk as in production: the SDK finds the mock through the environment."""
    desk = Desk(WEATHER.__getitem__)
    yield desk
    desk.close()


def test_an_answer(desk: Desk, responses_server: MockServer) -> None:
    responses_server.reply("Ask me about a city.")
    assert desk.ask("Hello!") == "Ask me about a city."
    assert responses_server.journal.last.prompt == "Hello!"


def test_the_tool_is_run_and_its_output_sent(desk: Desk, responses_server: MockServer) -> None:
    responses_server.reply(call("Paris"))
    responses_server.reply("It is clear, 21 degrees.")
    assert desk.ask("How is the weather in Paris?") == "It is clear, 21 degrees."
    (output,) = responses_server.journal.last.json["input"]
    assert json.loads(output["output"]) == WEATHER["Paris"]
    assert output["call_id"].startswith("call_")


def test_the_tool_is_run_as_often_as_the_model_calls_it(desk: Desk, responses_server: MockServer) -> None:
    responses_server.reply(call("Oslo")).times(3)
    responses_server.reply("Cold.")
    assert desk.ask("And in Oslo?") == "Cold."
    assert len(responses_server.journal) == 4


def test_an_unknown_city_is_reported_to_the_model(desk: Desk, responses_server: MockServer) -> None:
    responses_server.reply(call("Atlantis"))
    responses_server.reply("No such city.")
    desk.ask("And in Atlantis?")
    assert "no such city" in responses_server.journal.last.json["input"][0]["output"]


def test_the_next_question_continues_the_conversation(desk: Desk, responses_server: MockServer) -> None:
    responses_server.reply("Hello!")
    responses_server.reply("As I said: hello!")
    desk.ask("Hello!")
    desk.ask("What did you say?")
    first, second = responses_server.journal
    assert "previous_response_id" not in first.json
    assert second.json["previous_response_id"] == json.loads(b"".join(first.reply))["id"]


def test_an_expired_conversation_starts_again(desk: Desk, responses_server: MockServer) -> None:
    responses_server.reply("Hello!")
    responses_server.reply("Have we met?")
    desk.ask("Hello!")
    responses_server.clock.advance(8 * DAY)
    assert desk.ask("Do you remember me?") == "Have we met?"
    assert [entry.status for entry in responses_server.journal] == [200, 400, 200]


def test_without_a_stub_the_mock_generates_a_reply(desk: Desk) -> None:
    assert desk.ask("What do you do?")


def test_a_conversation_with_any_server(desk: Desk, responses_server: MockServer) -> None:
    """It configures no reply, so it also runs against the live service: `pytest --responses-live`."""
    assert desk.ask("Hello!")
    assert desk.ask("How is the weather in Oslo?")
    first, *_, last = responses_server.journal
    assert first.prompt == "Hello!"
    assert last.json["previous_response_id"]


async def test_pieces(responses_server: MockServer) -> None:
    responses_server.reply(chunks=["It is ", "cle", "ar."])
    client = responses_server.async_openai()
    assert [piece async for piece in stream(client, "Paris?")] == ["It is ", "cle", "ar."]


@settings(max_examples=50, deadline=None, database=None)
@given(cities=st.lists(st.sampled_from([*WEATHER, "Atlantis"]), max_size=4))
def test_any_number_of_calls(responses_server: MockServer, cities: list[str]) -> None:
    for city in cities:
        responses_server.reply(call(city))
    responses_server.reply("Done.")
    assert Desk(WEATHER.__getitem__, responses_server.openai()).ask("Tell me all!") == "Done."
    assert len(responses_server.journal) == len(cities) + 1


@pytest.mark.parametrize("number", range(20))
def test_side_by_side(desk: Desk, responses_server: MockServer, number: int) -> None:
    """Many at once under pytest-xdist: each has its own server."""
    responses_server.reply(f"number {number}")
    assert desk.ask(f"question {number}") == f"number {number}"
    assert [entry.prompt for entry in responses_server.journal] == [f"question {number}"]
