"""Drawn values of Chat Completions are valid, and stay valid after the migration to Responses."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import Phase, given, settings

from mockserver import strategies
from mockserver.contract.chat.check import check_chat_completion, check_chat_request, check_chat_stream
from mockserver.contract.chat.migration import migrate_request
from mockserver.contract.check import check_request
from mockserver.contract.findings import errors
from mockserver.profiles import load_profile
from mockserver.replies.chat import encode_chunks


@given(strategies.chat_requests())
def test_chat_requests_are_valid(request: dict[str, Any]) -> None:
    assert errors(check_chat_request(request)) == []


@given(strategies.chat_completions())
def test_chat_completions_are_valid(completion: dict[str, Any]) -> None:
    assert check_chat_completion(completion) == []


@given(strategies.chat_streams())
def test_chat_streams_are_valid(chunks: list[dict[str, Any]]) -> None:
    assert check_chat_stream(chunks) == []
    assert check_chat_stream(b"".join(encode_chunks(chunks))) == []


def test_the_tail_of_calls_is_drawn() -> None:
    tails: list[Any] = []

    @settings(max_examples=300, derandomize=True, database=None, phases=[Phase.generate])
    @given(strategies.chat_streams())
    def draw(chunks: list[dict[str, Any]]) -> None:
        deltas = [chunk["choices"][0]["delta"] for chunk in chunks if chunk["choices"]]
        for before, last in pairwise(deltas):
            if last == {}:
                tails.append(before["tool_calls"][0]["function"])

    draw()
    assert tails
    assert all(each == {"arguments": None} for each in tails)


@pytest.mark.parametrize("profile", ["qwen-2026-05", "qwen-2026-09"])
def test_a_migrated_chat_request_is_valid(profile: str) -> None:
    @given(strategies.chat_requests(profile=profile))
    def check(request: dict[str, Any]) -> None:
        body = migrate_request(request, load_profile(profile)).body
        assert errors(check_request(body, profile)) == []

    check()
