"""The notes with scripted replies."""

from __future__ import annotations

import json

import pytest
from travel_notes import plan, summary

from mockserver import FunctionCall, MockServer

pytestmark = pytest.mark.usefixtures("responses_env")


def test_a_summary_arrives_in_pieces(responses_server: MockServer) -> None:
    responses_server.reply(chunks=["Two days ", "in Rome."])
    assert list(summary("We were in Rome for two days.")) == ["Two days ", "in Rome."]


def test_the_model_asks_for_a_distance(responses_server: MockServer) -> None:
    responses_server.reply(FunctionCall("distance", {"start": "Paris", "end": "Rome"}))
    responses_server.reply("It is too far to walk.")
    assert plan("Can I walk from Paris to Rome?") == "It is too far to walk."
    outputs = [
        each for each in responses_server.journal.last.json["input"] if each["type"] == "function_call_output"
    ]
    assert [json.loads(each["output"]) for each in outputs] == [1106]


def test_a_model_that_never_answers(responses_server: MockServer) -> None:
    responses_server.reply(FunctionCall("distance", {"start": "Paris", "end": "Rome"})).always()
    with pytest.raises(RuntimeError, match="again and again"):
        plan("How far is it?")


def test_a_busy_model_is_asked_again(responses_server: MockServer) -> None:
    responses_server.fault("rate-429", retry_after_ms=1)
    responses_server.reply("It is far.")
    assert plan("How far is it?") == "It is far."
    assert len(responses_server.journal) == 2
