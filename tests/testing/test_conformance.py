"""Conformance of Python clients: correct ones pass with their capabilities, others fail with a cause."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from mockserver import assert_client_conforms, client_contract
from mockserver.errors import ConfigurationError, ContractError
from mockserver.testing.fuzzing.case_plan import CASE_FAULTS, LEGAL_VARIATIONS
from tests.testing.correct_client import CorrectClient

FEW_CASES: dict[str, Any] = {"examples": 4, "timeout": 5.0, "skip": ["stalled"]}


@pytest.mark.slow
def test_a_correct_client_passes_with_its_capabilities() -> None:
    table = assert_client_conforms(CorrectClient().ask, **FEW_CASES, conduct=True)

    verdicts = {row.name: row.verdict for row in table.rows}
    assert verdicts == {
        "text": "yes",
        "stream": "yes",
        "multi-turn": "yes",
        "tools": "not tried",
        "incomplete": "not tried",
        "errors": "yes",
        "retries": "no",
        "cancellation": "not tried",
    }
    assert str(table).splitlines()[0].startswith("text         yes        ")


@pytest.mark.slow
def test_tools_retries_and_cancellation_are_capabilities() -> None:
    table = assert_client_conforms(CorrectClient(retries=2, tools=True).stream_text, **FEW_CASES)

    assert table["tools"].verdict == "yes"
    assert table["retries"].verdict == "yes"
    assert table["cancellation"].verdict == "yes"
    with pytest.raises(KeyError):
        table["flying"]


@pytest.mark.soak
def test_a_client_must_time_out_on_a_stalled_stream() -> None:
    client, end_of_test = CorrectClient(), threading.Event()

    def patient(base_url: str, api_key: str, stream: bool) -> str:
        try:
            return client.ask(base_url, api_key, stream=stream, timeout=1)
        except httpx.ReadTimeout:
            end_of_test.wait()
            raise

    try:
        with pytest.raises(ContractError, match="the client waits for a stalled reply without a time limit"):
            assert_client_conforms(patient, examples=1, timeout=4)
    finally:
        end_of_test.set()


class FirstItemClient(CorrectClient):
    def output_text(self, response: dict[str, Any]) -> str:
        return str(response["output"][0]["content"][0]["text"])


class ClientThatRepeatsItself(CorrectClient):
    def request_events(self, *arguments: Any) -> Iterator[dict[str, Any]]:
        try:
            yield from super().request_events(*arguments)
        except httpx.HTTPStatusError:
            yield from super().request_events(*arguments)

    def fetch_response(self, client: httpx.Client, url: str, body: dict[str, Any]) -> dict[str, Any]:
        if "previous_response_id" in body:
            history = [{"role": "user", "content": each} for each in ("Hello!", body["input"])]
            body = {**body, "input": history}
        return super().fetch_response(client, url, body)


@pytest.mark.slow
def test_conduct_is_checked_if_asked_for() -> None:
    cases: dict[str, Any] = {
        "examples": 1,
        "skip": ["stalled", "cut", "closed", "error", "dropped", "empty", "cuts", "long"],
    }

    with pytest.raises(ContractError, match=r"conduct RTY-003: a rejected request is not repeated") as failed:
        assert_client_conforms(ClientThatRepeatsItself().ask, **cases, conduct=True)

    assert {finding.failure.kind for finding in failed.value.findings} == {
        "conduct RTY-001",
        "conduct RTY-003",
        "conduct CTX-001",
    }


@pytest.mark.slow
def test_a_failing_client_gets_cause_and_smallest_stream() -> None:
    with pytest.raises(ContractError) as failed:
        assert_client_conforms(FirstItemClient().ask, **FEW_CASES)

    message = str(failed.value)
    assert "cause: only the first output item is read" in message
    assert "response.output_item.added" in message
    assert "\nstream       in part    " in message
    assert len(failed.value.findings) > 1


@pytest.mark.slow
def test_a_client_whose_outcome_changes_has_no_cause() -> None:
    client, runs = CorrectClient(), itertools.count(1)

    def changing(base_url: str, api_key: str, stream: bool) -> str:
        text = client.ask(base_url, api_key, stream=stream)
        return text if next(runs) % 2 else f"{text}!"

    with pytest.raises(ContractError) as failed:
        assert_client_conforms(changing, examples=1, skip=[*CASE_FAULTS, *LEGAL_VARIATIONS])

    causes = [each.cause for each in failed.value.findings]
    assert len(causes) > 3
    assert {each.split(";")[0] for each in causes} == {
        "not reproducible: the outcome of the same reply changes"
    }


class LosesTheFirstTurn(CorrectClient):
    def fetch_response(self, client: httpx.Client, url: str, body: dict[str, Any]) -> dict[str, Any]:
        body.pop("previous_response_id", None)
        return super().fetch_response(client, url, body)


@pytest.mark.slow
def test_a_lost_turn_is_reproduced_with_both_turns() -> None:
    with pytest.raises(ContractError) as failed:
        assert_client_conforms(LosesTheFirstTurn().ask, **FEW_CASES)

    (finding,) = failed.value.findings
    assert finding.cause == "the second turn has neither the id nor the text of the first"


@pytest.mark.slow
def test_a_client_that_swallows_faults_fails() -> None:
    client = CorrectClient()

    def careless(base_url: str, api_key: str, stream: bool) -> str:
        try:
            return client.ask(base_url, api_key, stream=stream)
        except (httpx.HTTPError, ValueError):
            return ""

    with pytest.raises(ContractError) as failed:
        assert_client_conforms(careless, **FEW_CASES)

    assert "swallowed refused" in {finding.failure.kind for finding in failed.value.findings}
    assert "errors       no " in str(failed.value)
    assert "retries      no         the client sends no second request" in str(failed.value)


def test_invalid_requests_of_a_client_fail() -> None:
    def wrong(base_url: str, api_key: str, model: str) -> str:
        body = {"model": model, "input": "a", "temperature": 9}
        reply = httpx.post(f"{base_url}/responses", json=body, headers={"authorization": f"Bearer {api_key}"})
        return reply.raise_for_status().text

    with pytest.raises(ContractError, match="contract violation "):
        assert_client_conforms(wrong, **FEW_CASES)


@pytest.mark.slow
def test_asynchronous_clients_are_supported() -> None:
    async def ask(base_url: str, api_key: str, stream: bool) -> str:
        return await asyncio.to_thread(CorrectClient().ask, base_url, api_key, stream=stream)

    async def pieces(base_url: str, api_key: str) -> AsyncIterator[str]:
        yield await asyncio.to_thread(CorrectClient().ask, base_url, api_key, stream=True)

    assert assert_client_conforms(ask, **FEW_CASES)["stream"].verdict == "yes"
    assert assert_client_conforms(pieces, **FEW_CASES)["text"].verdict == "not tried"


def test_invalid_arguments_and_results_are_configuration_errors() -> None:
    def bytes_of(base_url: str, api_key: str) -> bytes:
        return CorrectClient().ask(base_url, api_key).encode()

    with pytest.raises(ConfigurationError, match="not bytes"):
        assert_client_conforms(bytes_of, **FEW_CASES)
    with pytest.raises(ConfigurationError, match="cannot skip 'fire'; choose from: failed"):
        assert_client_conforms(CorrectClient().ask, skip=["fire"])


@pytest.mark.slow
def test_client_contract_turns_a_client_into_a_test() -> None:
    @client_contract(**FEW_CASES)
    def test_client(base_url: str, api_key: str, stream: bool) -> str:
        return CorrectClient().ask(base_url, api_key, stream=stream)

    test: Any = test_client
    assert not inspect.signature(test).parameters  # pytest would take them for fixtures
    assert test.__name__ == "test_client"
    test()
    assert {name: test.capabilities[name].verdict for name in ("text", "stream")} == {
        "text": "yes",
        "stream": "yes",
    }


@pytest.mark.slow
def test_a_decorated_client_fails_or_passes_like_the_client() -> None:
    @client_contract
    def nothing(base_url: str, api_key: str) -> str:
        """Sends nothing."""
        return ""

    assert nothing.__doc__ == "Sends nothing."
    with pytest.raises(ContractError, match="no request reached"):
        nothing()

    passing: Any = client_contract(**FEW_CASES)(CorrectClient().ask)
    passing()
    assert passing.capabilities["text"].verdict == "yes"


class KeepsTruncatedText(CorrectClient):
    """Raises the text of a truncated reply with the news that it is incomplete."""

    def require_completed(self, response: dict[str, Any]) -> dict[str, Any]:
        if response.get("status") == "incomplete":
            raise ValueError("the reply is incomplete", self.output_text(response))
        return super().require_completed(response)


class LosesTruncatedText(CorrectClient):
    """Treats a truncated reply like a failed one."""


@pytest.mark.soak
def test_truncated_replies_have_a_row_of_their_own() -> None:
    table = assert_client_conforms(KeepsTruncatedText().ask, profile="qwen-2026-09", **FEW_CASES)
    assert (table["incomplete"].verdict, table["errors"].verdict) == ("yes", "yes")
    with pytest.raises(ContractError) as failed:
        assert_client_conforms(LosesTruncatedText().ask, profile="qwen-2026-09", **FEW_CASES)
    assert "\nincomplete   no " in str(failed.value)
    assert "\nerrors       yes " in str(failed.value)
    skipped = {**FEW_CASES, "skip": ["stalled", "incomplete"]}
    table = assert_client_conforms(LosesTruncatedText().ask, profile="qwen-2026-09", **skipped)
    assert table["incomplete"].detail == "no case was played"
