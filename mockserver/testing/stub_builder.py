"""Stubs from Python: `reply()`, `when()`, `fail()`, `fault()` and scenarios become stubs of a session.

server.reply("Hi!").then("And again.")
server.when(contains="weather").reply(FunctionCall("get_weather", "{}")).times(2)
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from inspect import isawaitable, iscoroutinefunction
from typing import Any, Self, TypeAlias, TypedDict, Unpack

from mockserver.errors import ConfigurationError
from mockserver.replies.script import Script
from mockserver.server.delivery.holds import Hold
from mockserver.server.delivery.options import Delivery
from mockserver.server.mock_headers import SCENARIO_HEADER
from mockserver.server.state.sessions import Session
from mockserver.server.stubs.exchange_replies import prepare_script
from mockserver.server.stubs.matchers import ANY_REQUEST, IncomingRequest, Matcher
from mockserver.server.stubs.placeholders import require_known_placeholders
from mockserver.server.stubs.spellings import PYTHON
from mockserver.server.stubs.stubs import FunctionReply, Stub
from mockserver.testing.reply_values import (
    UNSET,
    DeliveryOptions,
    ReplyContent,
    ReplyOptions,
    ResolvedReply,
    build_delivery,
    find_problems,
    resolve_fault,
    resolve_reply,
)

__all__ = [
    "ChainableStub",
    "ConditionalStubs",
    "RequestMatch",
    "Scenario",
    "StubBuilder",
    "TextCondition",
    "matcher_arguments",
]

#: The same pattern as in exchange files.
_SCENARIO_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


TextCondition: TypeAlias = Any
"""A text, a compiled regular expression, or any object whose `==` decides."""


class RequestMatch(TypedDict, total=False):
    """Conditions of a request.

    A `TextCondition` is a text, a compiled regular expression, or any object whose `==` decides, as of
    dirty-equals; so is each value in `json_subset` and `json_path`.
    """

    contains: str
    """A part of the last user message."""
    ignore_case: bool
    """Whether prompt and `contains` ignore case."""
    instructions: TextCondition
    """A part of the instructions."""
    model: TextCondition
    tool: str
    """The type of a declared tool, or the name of a declared function."""
    tools: Collection[str]
    """The types of all declared tools, in any order."""
    thinking: bool
    """Whether thinking is enabled, by `reasoning`, `enable_thinking` or the model's default."""
    tool_output: TextCondition
    """A part of the last function output."""
    turn: int
    """The turn of the conversation, from 1."""
    after: str | ChainableStub
    """The stub that replied to the previous turn, or its name."""
    stream: bool
    header: Mapping[str, TextCondition]
    json_subset: Mapping[str, Any]
    """Members of the request; nested objects are subsets too."""
    json_path: Mapping[str, Any]
    """JSONPath queries (RFC 9535), and what one of the values that each selects must be."""
    predicate: Callable[[IncomingRequest], bool]


class ChainableStub(Stub):
    """A stub that another one can follow."""

    __slots__ = ("_builder",)

    _builder: StubBuilder

    def then(self, *content: ReplyContent, **delivery: Unpack[DeliveryOptions]) -> ChainableStub:
        """Add the stub that replies to the same requests when this one is used up."""
        return self._builder.add_reply(*content, **delivery)

    def hold(self) -> Hold:
        """Keep the replies of this stub back until the test lets them go.

        >>> from mockserver import MockServer
        >>> with MockServer() as server:
        ...     held = server.reply("Once upon a time").hold()
        ...     # a client asks, and then:  held.wait_until_held(); held.step(); held.release()
        """
        self.release_replies()
        hold = Hold()
        self._registry.change_delivery(self, replace(self.definition.delivery, hold=hold))
        return hold


class _ScopedStubs:
    """Stubs for some of the requests, with the methods of the server."""

    def __init__(self, builder: StubBuilder) -> None:
        self._builder = builder

    def reply(
        self,
        *content: ReplyContent,
        chunks: Iterable[str] | None = None,
        json: Any = UNSET,
        reasoning: str | None = None,
        usage: Mapping[str, Any] | None = None,
        incomplete: bool = False,
        **delivery: Unpack[DeliveryOptions],
    ) -> ChainableStub:
        """As `MockServer.reply`, for these requests only."""
        return self._builder.add_reply(
            *content, options=ReplyOptions(chunks, json, reasoning, usage, incomplete), **delivery
        )

    def fail(self, name: str, /, **options: Any) -> ChainableStub:
        """As `MockServer.fail`, for these requests only."""
        return self._builder.add_fault(name, options)

    def fault(self, name: str, /, **options: Any) -> ChainableStub:
        """As `MockServer.fault`, for these requests only."""
        return self._builder.add_fault(name, options)

    def violate(self, rule: str, /, **options: Any) -> ChainableStub:
        """As `MockServer.violate`, for these requests only."""
        return self._builder.add_fault(rule, options)


class ConditionalStubs(_ScopedStubs):
    """Stubs for the requests that a matcher matches: the result of `when()`."""

    def __init__(self, builder: StubBuilder, matcher: Matcher) -> None:
        super().__init__(builder.for_matcher(matcher))


class Scenario(_ScopedStubs):
    """Stubs for the requests that name a scenario; each stub is a step."""

    def __init__(self, builder: StubBuilder, name: str) -> None:
        """ConfigurationError if the name is invalid."""
        if not _SCENARIO_NAME.fullmatch(name):
            raise ConfigurationError(
                "the name of a scenario must be 1 to 100 letters, digits, '.', '_' or '-', starting with a letter"
                f" or digit, not {name[:40]!r}"
            )
        self.name = name
        super().__init__(builder.for_scenario(name))

    @property
    def headers(self) -> dict[str, str]:
        """Headers with which a request names the scenario."""
        return {SCENARIO_HEADER.decode(): self.name}


class StubBuilder:
    """Adds stubs to a session."""

    def __init__(self, session: Session, matcher: Matcher = ANY_REQUEST, scenario: str = "") -> None:
        self._session = session
        self._matcher = matcher
        self._scenario = scenario

    def for_matcher(self, matcher: Matcher) -> Self:
        """A builder for the requests that a matcher matches."""
        return type(self)(self._session, matcher)

    def for_scenario(self, scenario: str) -> Self:
        """A builder for the requests that name a scenario."""
        return type(self)(self._session, ANY_REQUEST, scenario)

    def add_reply(
        self, *content: ReplyContent, options: ReplyOptions | None = None, **delivery: Unpack[DeliveryOptions]
    ) -> ChainableStub:
        """Add a stub with a reply; ConfigurationError if it is invalid."""
        options = options or ReplyOptions()
        function = next((each for each in content if callable(each)), None)
        if function is None:
            return self._add_stub(*self._resolve(content, options, delivery))
        if len(content) > 1 or options != ReplyOptions():
            raise ConfigurationError("a reply function returns the whole reply: pass nothing else")
        name = delivery.pop("name", "")
        return self._add_stub(self._reply_function(function, delivery), build_delivery(delivery), name)

    def _resolve(
        self,
        content: Sequence[ReplyContent],
        options: ReplyOptions,
        delivery: Mapping[str, Any],
        *,
        may_fail: bool = False,
    ) -> ResolvedReply:
        try:
            return self._resolve_first(content, options, delivery, may_fail=may_fail)
        except ConfigurationError as error:
            session = self._session
            problems = find_problems(content, delivery, session.profile, session.rendering)
            if not problems:
                raise
            raise ConfigurationError("\n".join(problems)) from error

    def _resolve_first(
        self,
        content: Sequence[ReplyContent],
        options: ReplyOptions,
        delivery: Mapping[str, Any],
        *,
        may_fail: bool,
    ) -> ResolvedReply:
        """Raises ConfigurationError with the first problem."""
        resolved = resolve_reply(content, options, delivery)
        if not isinstance(resolved.reply, Script):
            return resolved
        if may_fail and resolved.reply.status == "failed" and resolved.reply.error is not None:
            return resolved
        if resolved.delivery.template:
            require_known_placeholders(resolved.reply)
        script = self._prepare_script(resolved.reply, is_invalid=resolved.delivery.invalid)
        return resolved._replace(reply=script)

    def _reply_function(
        self, function: Callable[[IncomingRequest], Any], delivery: Mapping[str, Any]
    ) -> Callable[[IncomingRequest], Awaitable[FunctionReply]]:
        """The function with its result checked; `delivery` applies to every result."""

        async def build(request: IncomingRequest) -> FunctionReply:
            result = await _call_beside_loop(function, request)
            reply, built_delivery, name = self._resolve([result], ReplyOptions(), delivery, may_fail=True)
            if name or reply is None:
                raise ConfigurationError("the name of a stub is an argument of reply(), not of its result")
            return FunctionReply(reply, built_delivery)

        build.__name__ = getattr(function, "__name__", "a function")
        return build

    def _prepare_script(self, script: Script, *, is_invalid: bool) -> Script:
        if script.status not in ("completed", "incomplete"):
            raise ConfigurationError(f"a reply cannot be {script.status!r}: use fail() for an error")
        session = self._session
        return prepare_script(
            script, session.profile, session.rendering, PYTHON, check_contract=not is_invalid
        )

    def add_fault(self, name: str, options: Mapping[str, Any]) -> ChainableStub:
        """Add a stub with an error or a fault; ConfigurationError if it is invalid."""
        return self._add_stub(*resolve_fault(name, options))

    def _add_stub(self, reply: Any, delivery: Delivery, name: str) -> ChainableStub:
        stub = self._session.stubs.add_as(
            ChainableStub,
            reply,
            name=name,
            matcher=self._matcher,
            delivery=delivery,
            scenario=self._scenario,
        )
        stub._builder = self  # noqa: SLF001 (the builder creates it)
        return stub


async def _call_beside_loop(function: Callable[[IncomingRequest], Any], request: IncomingRequest) -> Any:
    """Await a coroutine function; call another one in a thread, because it may block."""
    if iscoroutinefunction(function):
        return await function(request)
    from anyio import CapacityLimiter, to_thread  # most tests have no reply function

    # A limit of its own: any number of functions may wait, and none delays the large bodies, which share a limit.
    result = await to_thread.run_sync(function, request, abandon_on_cancel=True, limiter=CapacityLimiter(1))
    return await result if isawaitable(result) else result


def matcher_arguments(prompt: TextCondition, conditions: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of `build_matcher`; a stub in `after` becomes its name."""
    after = conditions.get("after")
    arguments = {**conditions, "prompt": prompt}
    return {**arguments, "after": after.name} if isinstance(after, Stub) else arguments
