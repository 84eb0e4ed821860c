"""Conformance of Python clients: a sound one passes and is told what it can do, a broken one why not."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from mockserver import assert_client_conforms, client_contract
from mockserver.errors import ConfigurationError, ContractError
from tests.testing.clients_for_conformance import Sound

QUICK: dict[str, Any] = {"examples": 4, "seconds": 5.0, "skip": ["stalled"]}


def test_a_sound_client_passes_and_is_told_what_it_can_do() -> None:
    table = assert_client_conforms(Sound().ask, **QUICK)

    told = {row.name: row.verdict for row in table.rows}
    assert told == {
        "text": "yes",
        "stream": "yes",
        "multi-turn": "yes",
        "tools": "not tried",
        "errors": "yes",
        "retries": "no",
        "cancellation": "not tried",
    }
    assert str(table).splitlines()[0].startswith("text         yes        ")


def test_tools_retries_and_cancellation_are_told_of_a_client_that_has_them() -> None:
    table = assert_client_conforms(Sound(retries=2, tools=True).pieces, **QUICK)

    assert table["tools"].verdict == "yes"
    assert table["retries"].verdict == "yes"
    assert table["cancellation"].verdict == "yes"
    with pytest.raises(KeyError):
        table["flying"]


def test_silence_is_a_case_too() -> None:
    sound = Sound()

    def patient(base_url: str, api_key: str, stream: bool) -> str:
        try:
            return sound.ask(base_url, api_key, stream=stream, timeout=0.3)
        except httpx.ReadTimeout:
            time.sleep(3)
            raise

    with pytest.raises(ContractError, match="a server that falls silent is waited for without a limit"):
        assert_client_conforms(patient, examples=1, seconds=1.5)


class First(Sound):
    def text(self, response: dict[str, Any]) -> str:
        return str(response["output"][0]["content"][0]["text"])


def test_a_broken_client_is_told_what_broke_and_by_which_stream() -> None:
    with pytest.raises(ContractError) as failed:
        assert_client_conforms(First().ask, **QUICK)

    told = str(failed.value)
    assert "broke: only the first output item is read" in told
    assert "response.output_item.added" in told
    assert "\nstream       in part    " in told
    assert len(failed.value.findings) > 1


def test_what_swallows_faults_does_not_conform() -> None:
    sound = Sound()

    def careless(base_url: str, api_key: str, stream: bool) -> str:
        try:
            return sound.ask(base_url, api_key, stream=stream)
        except (httpx.HTTPError, ValueError):
            return ""

    with pytest.raises(ContractError) as failed:
        assert_client_conforms(careless, **QUICK)

    assert "swallowed refused" in {finding.failure.kind for finding in failed.value.findings}
    assert "errors       no " in str(failed.value)


def test_what_a_client_sends_is_judged() -> None:
    def wrong(base_url: str, api_key: str, model: str) -> str:
        body = {"model": model, "input": "a", "temperature": 9}
        reply = httpx.post(f"{base_url}/responses", json=body, headers={"authorization": f"Bearer {api_key}"})
        return reply.raise_for_status().text

    with pytest.raises(ContractError, match="a request breaks the contract, "):
        assert_client_conforms(wrong, **QUICK)


def test_asynchronous_clients_are_played_as_well() -> None:
    async def ask(base_url: str, api_key: str, stream: bool) -> str:
        return await asyncio.to_thread(Sound().ask, base_url, api_key, stream=stream)

    async def pieces(base_url: str, api_key: str) -> AsyncIterator[str]:
        yield await asyncio.to_thread(Sound().ask, base_url, api_key, stream=True)

    assert assert_client_conforms(ask, **QUICK)["stream"].verdict == "yes"
    assert assert_client_conforms(pieces, **QUICK)["text"].verdict == "not tried"


def test_what_is_no_answer_is_told() -> None:
    def bytes_of(base_url: str, api_key: str) -> bytes:
        return Sound().ask(base_url, api_key).encode()

    with pytest.raises(ConfigurationError, match="the client returned a bytes"):
        assert_client_conforms(bytes_of, **QUICK)
    with pytest.raises(ConfigurationError, match="skip='fire' is not among failed"):
        assert_client_conforms(Sound().ask, skip=["fire"])


def test_the_decorator_makes_a_test_of_a_client() -> None:
    @client_contract(**QUICK)
    def test_sound(base_url: str, api_key: str, stream: bool) -> str:
        return Sound().ask(base_url, api_key, stream=stream)

    made: Any = test_sound
    assert not inspect.signature(made).parameters  # pytest would take them for fixtures
    assert made.__name__ == "test_sound"
    made()
    assert {name: made.capabilities[name].verdict for name in ("text", "stream")} == {
        "text": "yes",
        "stream": "yes",
    }


def test_a_decorated_test_fails_and_passes_as_the_client_does() -> None:
    @client_contract
    def nothing(base_url: str, api_key: str) -> str:
        """Asks nobody."""
        return ""

    assert nothing.__doc__ == "Asks nobody."
    with pytest.raises(ContractError, match="no request came"):
        nothing()

    passing: Any = client_contract(**QUICK)(Sound().ask)
    passing()
    assert passing.capabilities["text"].verdict == "yes"
