"""The cause that fuzzing names: clients with one bad habit each, and clients without any."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar

import httpx
import pytest

from mockserver.profiles import load_profile
from mockserver.testing.fuzzing.callable_runner import CallableRunner
from mockserver.testing.fuzzing.case_server import CaseServer
from mockserver.testing.fuzzing.diagnosis import CauseFinder
from mockserver.testing.fuzzing.search import Search
from mockserver.wire import json

pytestmark = pytest.mark.slow


Event = dict[str, Any]

#: Far above what a case takes, on a busy machine too.
TIME_LIMIT = 30.0


class Client:
    """A client without a bad habit; each step of it can be replaced by a bad one."""

    stream: ClassVar[bool | None] = None
    """Whether it always or never requests a stream; None: as it is told."""

    def __call__(self, base_url: str, api_key: str, model: str, stream: bool) -> Any:
        self.streams = stream if self.stream is None else self.stream
        head = {"authorization": f"Bearer {api_key}"}
        body = {"model": model, "input": "a", "stream": self.streams}
        with (
            httpx.Client(trust_env=False, timeout=TIME_LIMIT) as http,
            http.stream("POST", f"{base_url}/responses", headers=head, json=body) as reply,
        ):
            reply.raise_for_status()
            self.check_content_type(reply.headers["content-type"])
            if not self.streams:
                return self.text_of(json.loads(reply.read()))
            return self.text_of(self.final_response(self.events(reply.iter_raw())))

    def check_content_type(self, content_type: str) -> None:
        pass

    def events(self, chunks: Iterable[bytes]) -> Iterator[Event]:
        data = ""
        for line in self.lines(self.decoded(chunks)):
            data += self.data_of(line)
            if not line and data:
                if data == "[DONE]":
                    self.end()
                else:
                    yield json.loads(self.checked_data(data).encode())
                data = ""

    def decoded(self, chunks: Iterable[bytes]) -> Iterator[str]:
        decoder = codecs.getincrementaldecoder("utf-8")()
        yield from map(decoder.decode, chunks)

    def lines(self, pieces: Iterable[str]) -> Iterator[str]:
        yield from re.split("\r\n|\r|\n", "".join(pieces))

    def data_of(self, line: str) -> str:
        return line[5:].removeprefix(" ") if line.startswith("data:") else ""

    def checked_data(self, data: str) -> str:
        return data

    def end(self) -> None:
        pass

    def final_response(self, events: Iterable[Event]) -> Event:
        final: Event | None = None
        for event in events:
            self.check_event(event)
            if event.get("type") == "response.completed":
                final = event["response"]
        assert final is not None
        return final

    def check_event(self, event: Event) -> None:
        if "response" in event:
            self.check_response(event["response"])

    def check_response(self, response: Event) -> None:
        pass

    def text_of(self, response: Event) -> str:
        self.check_response(response)
        assert response["status"] == "completed"
        return "".join(self.item_text(item) for item in response["output"])

    def item_text(self, item: Event) -> str:
        if item["type"] != "message":
            return ""
        return "".join(part["text"] for part in item["content"])


def refuse(condition: bool) -> None:
    if condition:
        raise ValueError("refused")


class ChokesOnComments(Client):
    def data_of(self, line: str) -> str:
        refuse(line.startswith(":"))
        return super().data_of(line)


class ChokesOnIds(Client):
    def data_of(self, line: str) -> str:
        refuse(line.startswith("id:"))
        return super().data_of(line)


class ChokesOnEventLines(Client):
    def data_of(self, line: str) -> str:
        refuse(line.startswith("event:"))
        return super().data_of(line)


class NeedsASpace(Client):
    def data_of(self, line: str) -> str:
        return line[6:] if line.startswith("data: ") else ""


class NeedsNoSpace(Client):
    def data_of(self, line: str) -> str:
        return line[5:] if line.startswith("data:{") else ""


class NeedsTypeFirst(Client):
    def checked_data(self, data: str) -> str:
        refuse(not data.startswith('{"type"'))
        return data


class WaitsForDone(Client):
    def end(self) -> None:
        self.ended = True

    def final_response(self, events: Iterable[Event]) -> Event:
        self.ended = False
        final = super().final_response(events)
        refuse(not self.ended)
        return final


class ComparesContentType(Client):
    def check_content_type(self, content_type: str) -> None:
        refuse(content_type not in ("text/event-stream", "application/json"))


class NeedsResponsePrefix(Client):
    def check_response(self, response: Event) -> None:
        refuse(not response["id"].startswith("resp_"))


class NeedsItemPrefixes(Client):
    def item_text(self, item: Event) -> str:
        refuse(item["type"] == "reasoning" and not item["id"].startswith("rs_"))
        return super().item_text(item)


class NeedsAModel(Client):
    def check_response(self, response: Event) -> None:
        refuse(not response["model"])


class RefusesQueued(Client):
    def check_response(self, response: Event) -> None:
        refuse(response["status"] not in ("in_progress", "completed"))


class NeedsContentInEveryItem(Client):
    def item_text(self, item: Event) -> str:
        texts = [part["text"] for part in item["content"]]
        return "".join(texts) if item["type"] == "message" else ""


class NeedsNullMembers(Client):
    def check_response(self, response: Event) -> None:
        refuse(response["error"] is not None)


class RefusesVendorUsage(Client):
    def check_response(self, response: Event) -> None:
        refuse(any(name.startswith("x_") for name in response.get("usage") or {}))


class ReadsFirstItem(Client):
    def text_of(self, response: Event) -> str:
        assert response["status"] == "completed"
        return "".join(part["text"] for part in response["output"][0]["content"])


class RefusesReasoning(Client):
    def item_text(self, item: Event) -> str:
        refuse(item["type"] == "reasoning")
        return super().item_text(item)


class SplitsLinesLikePython(Client):
    def lines(self, pieces: Iterable[str]) -> Iterator[str]:
        yield from [*"".join(pieces).splitlines(), ""]


class TakesReadsForEvents(Client):
    def events(self, chunks: Iterable[bytes]) -> Iterator[Event]:
        for chunk in chunks:
            yield next(super().events([chunk]))


class DecodesEachRead(Client):
    def decoded(self, chunks: Iterable[bytes]) -> Iterator[str]:
        yield from (chunk.decode(errors="replace") for chunk in chunks)


class NeedsLineFeeds(Client):
    def lines(self, pieces: Iterable[str]) -> Iterator[str]:
        yield from "".join(pieces).split("\n")


class TakesKeepAlivesForEvents(Client):
    def lines(self, pieces: Iterable[str]) -> Iterator[str]:
        previous = ""
        for line in super().lines(pieces):
            refuse(not line and previous.startswith(":"))
            yield line
            previous = line


class RefusesUnknownEvents(Client):
    def check_event(self, event: Event) -> None:
        refuse(not event.get("type", "error").startswith(("response.", "error")))


class RefusesUnknownMembers(Client):
    def check_event(self, event: Event) -> None:
        refuse("x_note" in event)

    def check_response(self, response: Event) -> None:
        refuse("x_note" in response)


class CountsLogprobs(Client):
    def check_event(self, event: Event) -> None:
        refuse(len(event.get("logprobs", ())) > 0)


class NeedsLogprobs(Client):
    def check_event(self, event: Event) -> None:
        if event.get("type") == "response.output_text.delta":
            event["logprobs"]


class HasShortLines(Client):
    def data_of(self, line: str) -> str:
        refuse(len(line) > 65_536)
        return super().data_of(line)


class IgnoresTheStatus(Client):
    def final_response(self, events: Iterable[Event]) -> Event:
        *_, last = (event for event in events if "response" in event)
        refuse(last["type"] not in ("response.completed", "response.failed"))
        response: Event = last["response"]
        return response

    def text_of(self, response: Event) -> str:
        return "".join(map(self.item_text, response["output"]))


class ShowsReasoning(Client):
    def item_text(self, item: Event) -> str:
        parts = item.get("content") or item.get("summary") or []
        return "".join(part["text"] for part in parts)


class StripsTheText(Client):
    def text_of(self, response: Event) -> str:
        return super().text_of(response).strip()


class ShowsTheTextTwice(Client):
    def text_of(self, response: Event) -> str:
        return super().text_of(response) * 2


BROKEN: dict[type[Client], str] = {
    ChokesOnComments: "a comment line in an event is not ignored",
    ChokesOnIds: "an `id:` line in an event is not ignored",
    ChokesOnEventLines: "an `event:` line in an event is not ignored",
    NeedsASpace: "a space after the colon is required",
    NeedsNoSpace: "it needs what the service sends: no space follows the colons",
    NeedsTypeFirst: "`type` is expected to be the first member",
    WaitsForDone: "`[DONE]` is expected at the end of a stream",
    ComparesContentType: "a content type with `;charset` is not accepted",
    NeedsResponsePrefix: "a response id without the prefix `resp_` is not accepted",
    NeedsItemPrefixes: "an item id with the prefix `msg_` is not accepted for items other than messages",
    NeedsAModel: "an empty model in the first events is not accepted",
    RefusesQueued: "the status `queued` in the first event is not accepted",
    NeedsContentInEveryItem: "every output item is expected to have the member `content`",
    NeedsNullMembers: "members that may be absent are required, with null as their value",
    RefusesVendorUsage: "unknown members of usage are not ignored",
    ReadsFirstItem: "only the first output item is read",
    RefusesReasoning: "a reasoning item before the message is not ignored",
    SplitsLinesLikePython: "characters that Unicode calls line ends",
    TakesReadsForEvents: "one read is taken for one event",
    DecodesEachRead: "each read is decoded by itself",
    NeedsLineFeeds: "lines are taken to end with \\n alone",
    TakesKeepAlivesForEvents: "a keep-alive comment is taken for an event",
    RefusesUnknownEvents: "an event of an unknown type is not ignored",
    RefusesUnknownMembers: "an unknown member is not ignored",
    CountsLogprobs: "a member that may be null is used without a check",
    NeedsLogprobs: "a member that may be absent is required",
    HasShortLines: "a line of more than 64 KiB is not read",
    IgnoresTheStatus: "a failed response is taken for a good one",
    ShowsReasoning: "reasoning is shown as text",
    StripsTheText: "spaces around a text are lost",
    ShowsTheTextTwice: "the text is shown twice",
}


class NeverStreams(Client):
    stream = False


class AlwaysStreams(Client):
    stream = True


class CollectsDeltas(Client):
    def final_response(self, events: Iterable[Event]) -> Event:
        self.deltas = ""

        def observed() -> Iterator[Event]:
            for event in events:
                if event.get("type") == "response.output_text.delta":
                    self.deltas += event["delta"]
                yield event

        return super().final_response(observed())

    def text_of(self, response: Event) -> str:
        text = super().text_of(response)
        return self.deltas if self.streams else text


class YieldsPieces(Client):
    def __call__(self, base_url: str, api_key: str, model: str, stream: bool) -> Any:
        yield from super().__call__(base_url, api_key, model, stream)


CORRECT: list[type[Client]] = [Client, NeverStreams, AlwaysStreams, CollectsDeltas, YieldsPieces]


def cause_of(client: Callable[..., Any], profile: str = "qwen-2026-01", examples: int = 60) -> str | None:
    """The cause that fuzzing names; None if it finds no failing case."""
    with CaseServer(profile=profile) as server:
        runner = CallableRunner(client, server, TIME_LIMIT)
        failing = Search(runner, load_profile(profile), examples, seed=1, skip=["stalled"]).run()
        return None if failing is None else CauseFinder().find(failing, runner).cause


#: Those that a quick run of the tests plays.
QUICK = (ChokesOnComments, ChokesOnIds, RefusesQueued, NeedsContentInEveryItem, WaitsForDone, ReadsFirstItem)


@pytest.mark.parametrize(
    "client",
    [
        pytest.param(client, marks=[] if client in QUICK else pytest.mark.slow, id=client.__name__)
        for client in BROKEN
    ],
)
def test_the_cause_of_one_bad_habit_is_named(client: type[Client]) -> None:
    # Only later profiles have members of their own in usage.
    profile = "qwen-2026-05" if client is RefusesVendorUsage else "qwen-2026-01"

    cause = cause_of(client(), profile)

    assert cause is not None
    assert cause.startswith(BROKEN[client])


@pytest.mark.slow
@pytest.mark.parametrize("client", CORRECT, ids=lambda client: client.__name__)
def test_a_client_without_a_bad_habit_passes(client: type[Client]) -> None:
    assert cause_of(client(), examples=25) is None


class TakesTruncatedForComplete(Client):
    def final_response(self, events: Iterable[Event]) -> Event:
        *_, last = (event for event in events if "response" in event)
        refuse(last["type"] not in ("response.completed", "response.incomplete"))
        response: Event = last["response"]
        return response

    def text_of(self, response: Event) -> str:
        refuse(response["status"] not in ("completed", "incomplete"))
        return "".join(map(self.item_text, response["output"]))


class Result:
    def __init__(self, output_text: str, status: str) -> None:
        self.output_text = output_text
        self.status = status


class ReturnsTheStatus(TakesTruncatedForComplete):
    def text_of(self, response: Event) -> Any:
        return Result(super().text_of(response), response["status"])


class YieldsThenRaises(TakesTruncatedForComplete):
    def __call__(self, base_url: str, api_key: str, model: str, stream: bool) -> Any:
        yield from super().__call__(base_url, api_key, model, stream)
        refuse(self.status == "incomplete")

    def text_of(self, response: Event) -> str:
        self.status = response["status"]
        return super().text_of(response)


class RaisesWithTheText(TakesTruncatedForComplete):
    def text_of(self, response: Event) -> str:
        text = super().text_of(response)
        if response["status"] == "incomplete":
            raise ValueError("the reply is incomplete", text)
        return text


@pytest.mark.parametrize(
    ("client", "cause"),
    [
        (TakesTruncatedForComplete, "a truncated reply is taken for a complete one"),
        (Client, "a truncated reply is treated as an error: its text is lost"),
        (ReturnsTheStatus, None),
        (YieldsThenRaises, None),
        (RaisesWithTheText, None),
    ],
)
def test_a_truncated_reply_is_neither_complete_nor_an_error(client: type[Client], cause: str | None) -> None:
    named = cause_of(client(), "qwen-2026-09", examples=5)

    assert named == cause or (cause is not None and named is not None and named.startswith(cause))


def test_profiles_without_incomplete_responses_play_none() -> None:
    assert cause_of(TakesTruncatedForComplete(), "qwen-2026-05", examples=5) is None
