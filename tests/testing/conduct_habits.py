"""Habits of careless clients, each with the rule that names it; `docs/conduct.md` lists them."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx

from mockserver import FunctionCall
from mockserver.testing.mock import MockServer
from tests.api_client import wait_until

__all__ = ["HABITS", "Habit", "HabitClient"]

TOOLS = [
    {
        "type": "function",
        "name": name,
        "description": f"The {name} in a city.",
        "parameters": {"type": "object"},
    }
    for name in ("weather", "time")
]
LONG_TEXT = "You are a helpful assistant of a travel agency. Answer in one sentence."


@dataclass
class HabitClient:
    """A client whose pauses advance the server's clock."""

    server: MockServer
    http: httpx.Client
    streams: list[Any] = field(default_factory=list)
    """Connections to close after the verdict."""

    def ask(self, content: Any = "Hi", **members: Any) -> httpx.Response:
        return self.http.post("/responses", json={"model": self.server.model, "input": content, **members})

    def wait(self, seconds: float) -> None:
        self.server.clock.advance(seconds)

    def retry(self, times: int, pause: float = 0.0, **members: Any) -> None:
        """Send a request, and again after each pause."""
        self.ask(**members)
        for _ in range(times):
            self.wait(pause)
            self.ask(**members)

    def converse(self, texts: list[str], **members: Any) -> Iterator[list[dict[str, Any]]]:
        """Yield the input of each turn, which has the whole history, and ask with it as it is then."""
        history: list[dict[str, Any]] = []
        for text in texts:
            history.append({"role": "user", "content": text})
            yield history
            reply = self.ask(history, **members).json()
            history.append({"role": "assistant", "content": reply["output"][0]["content"][0]["text"]})


@dataclass(frozen=True)
class Habit:
    """What a client does, and the finding that it must bring."""

    name: str
    rule: str
    request: int
    """Number of the request with the finding."""
    run: Callable[[HabitClient], None] = field(compare=False)


HABITS: list[Habit] = []


def habit(name: str, rule: str, request: int) -> Callable[[Callable[[HabitClient], None]], None]:
    def add(run: Callable[[HabitClient], None]) -> None:
        HABITS.append(Habit(name, rule, request, run))

    return add


@habit("retries a 429 at once, although it has Retry-After", "RTY-001", 2)
def _(client: HabitClient) -> None:
    client.server.fail("rate-429").then("Hello.")
    client.retry(1)


@habit("waits for its own half second instead of Retry-After", "RTY-001", 2)
def _(client: HabitClient) -> None:
    client.server.fail("throttling", retry_after=30).then("Hello.")
    client.retry(1, 0.5)


@habit("does not know retry-after-ms", "RTY-001", 2)
def _(client: HabitClient) -> None:
    client.server.fail("rate-429", retry_after_ms=2000).then("Hello.")
    client.retry(1, 1.0)


@habit("takes the seconds of Retry-After for milliseconds", "RTY-001", 2)
def _(client: HabitClient) -> None:
    client.server.fail("rate-429", retry_after=5).then("Hello.")
    client.retry(1, 0.005)


@habit("obeys Retry-After once, and not after the second failure", "RTY-001", 3)
def _(client: HabitClient) -> None:
    client.server.fail("rate-429", retry_after=2).times(2).then("Hello.")
    client.ask()
    client.wait(2)
    client.ask()
    client.wait(0.2)
    client.ask()


@habit("does not wait for a Retry-After of minutes", "RTY-002", 2)
def _(client: HabitClient) -> None:
    client.server.fail("throttling", retry_after=300).then("Hello.")
    client.retry(1, 8.0)


def _add_rejections() -> None:
    for status in (400, 401, 403, 404, 413, 422):

        def run(client: HabitClient, status: int = status) -> None:
            client.server.fail("http-status", status=status).always()
            client.retry(2, 1.0)

        HABITS.append(Habit(f"retries a request that was rejected with {status}", "RTY-003", 2, run))


_add_rejections()


@habit("retries a 500 thirty times without a pause", "RTY-004", 5)
def _(client: HabitClient) -> None:
    client.server.fail("internal-error").always()
    client.retry(30)


@habit("retries a 503 every 50 milliseconds", "RTY-004", 5)
def _(client: HabitClient) -> None:
    client.server.fail("http-status", status=503).always()
    client.retry(6, 0.05)


@habit("opens a new connection for each hot retry", "RTY-004", 5)
def _(client: HabitClient) -> None:
    client.server.fail("internal-error").always()
    for _ in range(8):
        with client.server.httpx() as http:
            http.post("/responses", json={"model": client.server.model, "input": "Hi"})


@habit("retries a failed response with status 200 without a pause", "RTY-004", 5)
def _(client: HabitClient) -> None:
    client.server.fail("rate-limit").always()
    client.retry(8, stream=True)


@habit("retries a 500 every second and never gives up", "RTY-005", 12)
def _(client: HabitClient) -> None:
    client.server.fail("internal-error").always()
    client.retry(15, 1.0)


@habit("retries a failed response with status 200 for ever", "RTY-005", 12)
def _(client: HabitClient) -> None:
    client.server.fail("rate-limit").always()
    client.retry(13, 2.0)


@habit("retries an exhausted quota, although x-should-retry is false", "RTY-006", 2)
def _(client: HabitClient) -> None:
    client.server.fail("quota-429").always()
    client.retry(2, 1.0)


@habit("takes a failed response with status 200 for the end", "RTY-007", 1)
def _(client: HabitClient) -> None:
    client.server.fail("rate-limit")
    client.ask()


@habit("goes on reading after it was stopped", "ABT-001", 1)
def _(client: HabitClient) -> None:
    client.server.reply(chunks=["One ", "two ", "three."], pace="fixed:5")
    with client.http.stream("POST", "/responses", json=_stream_body(client)) as reply:
        lines = reply.iter_lines()
        next(lines)
        client.server.mark_stopped()
        list(lines)


@habit("never closes the connection after it was stopped", "ABT-002", 1)
def _(client: HabitClient) -> None:
    client.server.reply(chunks=["One ", "two ", "three."], pace="fixed:600000")
    url = httpx.URL(client.server.base_url)
    request = client.http.build_request("POST", "/responses", json=_stream_body(client))
    head = f"POST {url.path}/responses HTTP/1.1\r\n" + "".join(
        f"{k}: {v}\r\n" for k, v in request.headers.items()
    )
    connection = socket.create_connection((url.host, url.port), timeout=10)
    client.streams.append(connection)
    connection.sendall(head.encode() + b"\r\n" + request.content)
    wait_until(lambda: len(client.server.journal))
    client.server.mark_stopped()


def _stream_body(client: HabitClient) -> dict[str, Any]:
    return {"model": client.server.model, "input": "Count.", "stream": True}


@habit("sends the whole history beside previous_response_id", "CTX-001", 2)
def _(client: HabitClient) -> None:
    client.server.reply("Hello.").times(2)
    previous = None
    for history in client.converse(["Hi", "And now?"]):
        if len(history) > 1:
            client.ask(history, previous_response_id=previous)
            return
        previous = client.ask(history).json()["id"]
        history.append({"role": "assistant", "content": "Hello."})
        history.append({"role": "user", "content": "And now?"})
        client.ask(history, previous_response_id=previous)
        return


@habit("repeats all its earlier questions beside previous_response_id", "CTX-001", 2)
def _(client: HabitClient) -> None:
    client.server.reply("Hello.").times(2)
    first = {"role": "user", "content": "Hi"}
    previous = client.ask([first]).json()["id"]
    client.ask([first, {"role": "user", "content": "And now?"}], previous_response_id=previous)


@habit("repeats the call beside its output and previous_response_id", "CTX-001", 2)
def _(client: HabitClient) -> None:
    client.server.reply(FunctionCall("weather", '{"city":"Paris"}')).then("21 degrees.")
    first = client.ask(tools=TOOLS).json()
    call = first["output"][0]
    client.ask([call, _output(call, "21")], tools=TOOLS, previous_response_id=first["id"])


@habit("sends the outputs of all earlier turns again", "CTX-001", 3)
def _(client: HabitClient) -> None:
    client.server.reply(FunctionCall("weather", "{}")).then(FunctionCall("time", "{}")).then("Noon.")
    reply = client.ask(tools=TOOLS).json()
    outputs: list[dict[str, Any]] = []
    for output in ("21", "12:00"):
        outputs.append(_output(reply["output"][0], output))
        reply = client.ask(outputs, tools=TOOLS, previous_response_id=reply["id"]).json()


def _output(call: dict[str, Any], output: str) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call["call_id"], "output": output}


@habit("puts the time of day into its system message", "CTX-002", 2)
def _(client: HabitClient) -> None:
    client.server.reply("Hello.").times(2)
    for turn, history in enumerate(client.converse(["Hi", "And now?"])):
        system = {"role": "system", "content": f"{LONG_TEXT} It is 12:0{turn}."}
        history[:] = [system, *(each for each in history if each["role"] != "system")]


@habit("puts a counter into the instructions", "CTX-002", 2)
def _(client: HabitClient) -> None:
    client.server.reply("Hello.").times(2)
    first = client.ask(instructions=f"Turn 1. {LONG_TEXT}").json()
    client.ask("More", instructions=f"Turn 2. {LONG_TEXT}", previous_response_id=first["id"])


@habit("sends its tools in another order", "CTX-002", 2)
def _(client: HabitClient) -> None:
    client.server.reply("Hello.").times(2)
    first = client.ask(tools=TOOLS).json()
    client.ask("More", tools=TOOLS[::-1], previous_response_id=first["id"])


@habit("changes the description of a tool", "CTX-002", 2)
def _(client: HabitClient) -> None:
    client.server.reply("Hello.").times(2)
    first = client.ask(tools=TOOLS).json()
    changed = [{**TOOLS[0], "description": f"{TOOLS[0]['description']} (call 2)"}, TOOLS[1]]
    client.ask("More", tools=changed, previous_response_id=first["id"])


@habit("trims its earlier messages", "CTX-002", 2)
def _(client: HabitClient) -> None:
    client.server.reply("Hello.").times(2)
    for history in client.converse(["  What is the weather in Paris?  ", "And now?"]):
        history[:-1] = [{**each, "content": each["content"].strip()} for each in history[:-1]]


@habit("answers calls with the same error without end", "CTX-003", 10)
def _(client: HabitClient) -> None:
    client.server.reply(
        lambda request: FunctionCall("weather", f'{{"try":{len(client.server.journal)}}}')
    ).always()
    _loop(client, 12, lambda _: "error: no such city")


@habit("answers the same call with the same output again and again", "CTX-004", 5)
def _(client: HabitClient) -> None:
    client.server.reply(FunctionCall("weather", '{"city":"Paris"}')).always()
    _loop(client, 8, lambda _: "21 degrees")


def _loop(client: HabitClient, turns: int, tool: Callable[[dict[str, Any]], str]) -> None:
    reply = client.ask(tools=TOOLS).json()
    for _ in range(turns):
        outputs = [_output(call, tool(call)) for call in reply["output"]]
        reply = client.ask(outputs, tools=TOOLS, previous_response_id=reply["id"]).json()
