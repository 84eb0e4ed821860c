"""Planted bugs: the strategies find each in a client and shrink it to a readable case."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test

from mockserver import strategies
from mockserver.testing.mock import MockServer
from mockserver.wire import json, sse

pytestmark = pytest.mark.slow


Event = dict[str, Any]
Client = Callable[[list[Event]], Any]

#: No example database: each run starts from nothing.
SEARCH_SETTINGS = settings(
    max_examples=200, database=None, deadline=None, derandomize=True, report_multiple_bugs=False
)


def expected_texts(stream: list[Event]) -> list[Any]:
    """The texts of the final output, item by item, as a client should show them."""
    return [item_text(item) for item in stream[-1]["response"]["output"]]


def item_text(item: Event) -> Any:
    parts = item.get("content") or item.get("summary") or []
    return "".join(part["text"] for part in parts)


def read_correctly(stream: list[Event]) -> list[Any]:
    """A client without a bug: collects the deltas of each item."""
    texts: list[str] = []
    for event in stream:
        if event["type"] == "response.output_item.added":
            texts.append("")
        elif event["type"] in ("response.output_text.delta", "response.reasoning_summary_text.delta"):
            texts[event["output_index"]] += event["delta"]
    return texts


def one_item_only(stream: list[Event]) -> list[Any]:
    texts = [""]
    for event in stream:
        if event["type"] in ("response.output_text.delta", "response.reasoning_summary_text.delta"):
            texts[0] += event["delta"]
    return texts


def drops_the_last_delta(stream: list[Event]) -> list[Any]:
    texts: list[str] = []
    waiting: dict[int, str] = {}
    for event in stream:
        if event["type"] == "response.output_item.added":
            texts.append("")
        elif event["type"] in ("response.output_text.delta", "response.reasoning_summary_text.delta"):
            texts[event["output_index"]] += waiting.get(event["output_index"], "")
            waiting[event["output_index"]] = event["delta"]
    return texts


def splits_text_on_blank_lines(stream: list[Event]) -> list[Any]:
    return [text.split("\n\n")[0] for text in read_correctly(stream)]


def indexes_content_of_reasoning(stream: list[Event]) -> list[Any]:
    done = [event["item"] for event in stream if event["type"] == "response.output_item.done"]
    return [item["content"][0]["text"] if item["type"] in ("message", "reasoning") else "" for item in done]


def splits_lines_like_python(stream: list[Event]) -> list[Any]:
    """Reads the bytes with `str.splitlines`, which ends lines where the standard does not."""
    data = b"".join(sse.encode(json.dumps(event), event=event["type"]) for event in stream).decode()
    lines = [line.removeprefix("data: ") for line in data.splitlines() if line.startswith("data: ")]
    return read_correctly([json.loads(line.encode()) for line in lines])


BUGS: list[Client] = [
    one_item_only,
    drops_the_last_delta,
    splits_text_on_blank_lines,
    indexes_content_of_reasoning,
    splits_lines_like_python,
]


def find_failing_stream(client: Client, search_settings: settings = SEARCH_SETTINGS) -> list[Event] | None:
    """The smallest stream whose text a client shows wrongly; None if none was found."""
    failed: list[list[Event]] = []

    @search_settings
    @given(strategies.streams(statuses=["completed"]))
    def test(stream: list[Event]) -> None:
        try:
            assert client(stream) == expected_texts(stream)
        except (AssertionError, LookupError, ValueError):
            failed.append(stream)
            raise AssertionError from None

    try:
        test()
    except AssertionError:
        return failed[-1]
    return None


@pytest.mark.parametrize("client", BUGS, ids=lambda client: client.__name__)
def test_a_planted_bug_is_found_and_shrunk(client: Client) -> None:
    smallest = find_failing_stream(client)
    assert smallest is not None
    assert len(smallest) <= 14


@pytest.mark.slow
@pytest.mark.parametrize("number", range(5))
@pytest.mark.parametrize("client", BUGS, ids=lambda client: client.__name__)
def test_a_planted_bug_is_found_with_any_seed(client: Client, number: int) -> None:
    found: list[bool] = []

    @seed(number)
    @settings(SEARCH_SETTINGS, derandomize=False, phases=[Phase.generate])
    @given(strategies.streams(statuses=["completed"]))
    def test(stream: list[Event]) -> None:
        try:
            found.append(client(stream) != expected_texts(stream))
        except (LookupError, ValueError):
            found.append(True)

    test()
    assert any(found)


def test_a_correct_client_passes() -> None:
    assert find_failing_stream(read_correctly) is None


def test_a_client_that_reads_chunks_as_events_is_found() -> None:

    @settings(SEARCH_SETTINGS, phases=[Phase.generate])
    @given(data=st.data())
    def test(data: st.DataObject) -> None:
        stream = data.draw(strategies.streams())
        read = [
            json.loads(block.partition(b"data:")[2])
            for chunk in data.draw(strategies.sse_bytes(stream))
            for block in chunk.split(b"\n\n")
            if b"data:" in block
        ]
        assert read == stream

    with pytest.raises((AssertionError, ValueError)):
        test()


class ConversationClient:
    """One conversation by `previous_response_id`."""

    def __init__(self, server: MockServer) -> None:
        self.server = server
        self.previous_response_id: str | None = None

    def ask(self, text: str) -> str:
        headers = {"authorization": f"Bearer {self.server.api_key}"}
        body = {"model": self.server.model, "input": text, "previous_response_id": self.previous_response_id}
        answer = httpx.post(
            f"{self.server.base_url}/responses", headers=headers, json=body, trust_env=False
        ).json()
        self.previous_response_id = answer["id"]
        return "".join(map(item_text, answer["output"]))


def make_machine(server_: MockServer, client: type[ConversationClient], *, shared: bool = False) -> type[Any]:
    class Machine(strategies.ConversationMachine):
        server = server_

        def open(self) -> ConversationClient:
            self.one = getattr(self, "one", None) or client(server_)
            return self.one if shared else client(server_)

        def ask(self, conversation: ConversationClient, text: str) -> str:
            return conversation.ask(text)

    return Machine


MACHINE_SETTINGS = settings(
    max_examples=8, stateful_step_count=8, database=None, deadline=None, derandomize=True
)
SEARCH_MACHINE_SETTINGS = settings(
    MACHINE_SETTINGS, max_examples=50, phases=[Phase.generate], report_multiple_bugs=False
)


def test_a_correct_conversation_client_passes(responses_server: MockServer) -> None:
    prompts = []

    class Counted(ConversationClient):
        def ask(self, text: str) -> str:
            prompts.append(text)
            return super().ask(text)

    run_state_machine_as_test(make_machine(responses_server, Counted), settings=MACHINE_SETTINGS)
    assert len(prompts) > MACHINE_SETTINGS.max_examples


def test_a_client_that_mixes_its_conversations_is_found(responses_server: MockServer) -> None:
    mixing = make_machine(responses_server, ConversationClient, shared=True)
    with pytest.raises(AssertionError, match="the request continues"):
        run_state_machine_as_test(mixing, settings=SEARCH_MACHINE_SETTINGS)


def test_a_client_that_drops_previous_response_id_is_found(responses_server: MockServer) -> None:
    class Forgetful(ConversationClient):
        def ask(self, text: str) -> str:
            self.previous_response_id = None
            return super().ask(text)

    with pytest.raises(AssertionError, match="the request has no previous_response_id"):
        run_state_machine_as_test(make_machine(responses_server, Forgetful), settings=SEARCH_MACHINE_SETTINGS)


def test_a_client_that_strips_text_is_found(responses_server: MockServer) -> None:
    class Shortening(ConversationClient):
        def ask(self, text: str) -> str:
            return super().ask(text).strip()

    with pytest.raises(AssertionError, match="the client shows"):
        run_state_machine_as_test(
            make_machine(responses_server, Shortening), settings=SEARCH_MACHINE_SETTINGS
        )


def test_conversation_machine_is_abstract(responses_server: MockServer) -> None:
    class Unwritten(strategies.ConversationMachine):
        server = responses_server

    with pytest.raises(NotImplementedError):
        Unwritten().open()
    with pytest.raises(NotImplementedError):
        Unwritten().ask(None, "x")
