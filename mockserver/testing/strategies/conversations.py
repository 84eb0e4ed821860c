"""Strategies for conversations: whole ones, or a state machine that plays them against a client."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument
from hypothesis.stateful import Bundle, RuleBasedStateMachine, rule
from hypothesis.strategies import DrawFn

from mockserver.contract.findings import errors
from mockserver.errors import ContractError
from mockserver.profiles import DEFAULT_PROFILE
from mockserver.replies.script import Message, Script
from mockserver.testing.mock import MockServer
from mockserver.testing.strategies.rendered_replies import (
    RenderContext,
    ReplySpec,
    render_context,
    render_events,
    render_response,
    tools_for_script,
)
from mockserver.testing.strategies.scripts import scripts
from mockserver.testing.strategies.values import JSONObject, texts

__all__ = ["ConversationMachine", "Turn", "conversations"]


class Turn(NamedTuple):
    """A request and its reply."""

    request: JSONObject
    reply: Any
    """The list of events if the request streams, else the response."""


@st.composite
def conversations(
    draw: DrawFn,
    *,
    profile: str = DEFAULT_PROFILE,
    rendering: str = "wire",
    stream: bool | None = None,
    min_turns: int = 1,
    max_turns: int = 3,
) -> list[Turn]:
    """Lists of turns, each a (request, reply); every request continues after the reply before it.

    A conversation continues by `previous_response_id` or by sending everything again. Function calls are
    followed by their outputs. `stream` as in `requests`.
    """
    if not 1 <= min_turns <= max_turns:
        raise InvalidArgument(f"1 <= min_turns={min_turns} <= max_turns={max_turns} does not hold")
    context = render_context(profile, rendering)
    script_lists = st.lists(
        scripts(profile=profile, statuses=("completed",)), min_size=min_turns, max_size=max_turns
    )
    uses_ids = draw(st.booleans())
    builder = _ConversationBuilder(
        context, draw(st.sampled_from(context.profile.models)), draw(script_lists), uses_ids
    )
    prompt = texts().map(lambda text: text or "a")
    return [
        builder.build_turn(number, draw(prompt), draw(st.booleans()) if stream is None else stream)
        for number in range(1, len(builder.scripts) + 1)
    ]


class _ConversationBuilder:
    """One conversation, and what its next request has to repeat or refer to."""

    def __init__(
        self, context: RenderContext, model: str, drawn_scripts: list[Script], uses_response_ids: bool
    ) -> None:
        self.context = context
        self.model = model
        self.scripts = drawn_scripts
        self.uses_response_ids = uses_response_ids
        every = Script(tuple(item for script in drawn_scripts for item in script.items))
        self.tools = tools_for_script(every, context)
        self.history: list[JSONObject] = []
        self.output: list[JSONObject] = []
        self.total_tokens = 0

    def build_turn(self, number: int, prompt: str, stream: bool) -> Turn:
        script = self.scripts[number - 1]
        calls = [item["call_id"] for item in self.output if item["type"] == "function_call"]
        new_items = [{"type": "function_call_output", "call_id": each, "output": prompt} for each in calls]
        new_items = new_items or [{"role": "user", "content": prompt}]
        request: JSONObject = {"model": self.model}
        if self.uses_response_ids:
            request["input"] = new_items if calls or number > 1 else prompt
            if number > 1:
                request["previous_response_id"] = self.context.response_id(number - 1)
        else:
            request["input"] = [*self.history, *_replayed_output(self.output, new_items)]
            self.history = request["input"]
        request |= {"stream": True} if stream else {}
        thinks = {"enable_thinking": True} if "enable_thinking" in self.context.profile.parameters else {}
        request |= {"tools": [*self.tools], **thinks} if self.tools else {}
        return Turn(request, self._build_reply(number, script, stream))

    def _build_reply(self, number: int, script: Script, stream: bool) -> Any:
        input_tokens = self.total_tokens + 30
        without_usage = Script(script.items, status=script.status)
        # One hour between turns.
        created_at = 1769084048 + 3600 * (number - 1)
        reply = ReplySpec(without_usage, self.model, created_at, "auto", number, self.tools, input_tokens)
        response = render_response(reply, self.context)
        self.total_tokens = response["usage"]["total_tokens"]
        self.output = response["output"]
        return render_events(reply, self.context) if stream else response


def _replayed_output(output: list[JSONObject], new_items: list[JSONObject]) -> list[JSONObject]:
    """An output sent back as input, each function call followed by its output."""
    answers = {item["call_id"]: item for item in new_items if "call_id" in item}
    items: list[JSONObject] = []
    for item in output:
        items.append(item)
        if item["type"] == "function_call":
            items.append(answers.pop(item["call_id"]))
    return [*items, *(item for item in new_items if "call_id" not in item)]


def _require(condition: bool, message: str) -> None:
    """Raise AssertionError: pytest does not rewrite the assertions of this module."""
    if not condition:
        raise AssertionError(message)


class ConversationMachine(RuleBasedStateMachine):
    """Base of a state machine that plays conversations with a client against a mock server.

    Set `server` (to the fixture `responses_server`, for example) and write `open`, which starts a
    conversation of the client, and `ask`, which sends a text and returns the text that the client shows.
    Several conversations are open at once. After each step the machine checks that the client shows what the
    server replied, that the request has no contract violation, and that it continues its own conversation,
    either by `previous_response_id` or with the whole conversation in its input.

    Run it with `hypothesis.stateful.run_state_machine_as_test(Machine)`, and add rules of your own as usual.
    """

    server: ClassVar[MockServer]
    #: Replies of the server.
    replies = scripts(kinds=("message",), statuses=("completed",), max_items=1)
    conversations = Bundle("conversations")

    def __init__(self) -> None:
        super().__init__()
        self.server.reset()
        self._past_turns: dict[int, list[tuple[str, str]]] = {}
        """By conversation: (response id, text of the reply) of each turn."""
        self._opened: list[Any] = []

    def open(self) -> Any:
        """Start a conversation of the client under test."""
        raise NotImplementedError

    def ask(self, conversation: Any, text: str) -> str:
        """Let the client send `text` in a conversation; return the text that it shows."""
        raise NotImplementedError

    @rule(target=conversations)
    def start(self) -> int:
        """Open a conversation; its number identifies it."""
        self._opened.append(self.open())
        self._past_turns[len(self._opened) - 1] = []
        return len(self._opened) - 1

    @rule(conversation=conversations, prompt=st.sampled_from(["Hello", "And then?", "你好"]), reply=replies)
    def say(self, conversation: int, prompt: str, reply: Script) -> None:
        """Send a prompt in one of the conversations."""
        self.server.reply(reply)
        before = len(self.server.journal)
        shown = self.ask(self._opened[conversation], prompt)
        _require(len(self.server.journal) > before, "the client sent no request")
        entry = self.server.journal.last
        violations = errors(entry.findings)
        if violations:
            raise ContractError(violations, "the client sent a request that breaks the contract")
        expected = "".join(item.text for item in reply.items if isinstance(item, Message))
        _require(shown == expected, f"the client shows {shown!r}, the server replied {expected!r}")
        self._check_continuation(conversation, entry.json)
        self._past_turns[conversation].append((self._response_id(entry.reply), expected))

    def _check_continuation(self, number: int, request: JSONObject) -> None:
        """Assert that a request continues its own conversation."""
        past = self._past_turns[number]
        previous = request.get("previous_response_id")
        if previous is not None:
            last = past[-1][0] if past else None
            _require(
                previous == last, f"the request continues {previous!r}, but the last response was {last!r}"
            )
            return
        sent = str(request["input"])
        missing = [text for _, text in past if text and repr(text)[1:-1] not in sent]
        _require(not missing, f"the request has no previous_response_id, and its input lacks {missing[:1]}")

    def _response_id(self, chunks: Sequence[bytes]) -> str:
        """The id of the response that the server sent."""
        from mockserver.wire import json, sse

        body = b"".join(chunks)
        if body.startswith(b"{"):
            return str(json.loads(body)["id"])
        first = sse.Decoder().feed(body)[0].data or "{}"
        return str(json.loads(first.encode())["response"]["id"])
