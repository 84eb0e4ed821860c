"""Selecting a reply: a stub or exchange by name, else a stub, else an exchange, else a generated reply."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Container, Mapping
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

from mockserver.errors import ConfigurationError, UnsatisfiableSchema
from mockserver.named_tuples import NamedTuple, new_tuple
from mockserver.replies.generated_scripts import (
    GenerationRequest,
    detect_language,
    generate_plain_script,
    generate_script,
    resize_message,
)
from mockserver.replies.script import MAX_SCRIPT_BYTES, Script
from mockserver.server.delivery.faults import RequestedFault, ServiceFault
from mockserver.server.delivery.options import DEFAULT_DELIVERY
from mockserver.server.engine.template_values import ReplySeed, text_seed_for
from mockserver.server.errors import ApiError, UnmatchedRequest
from mockserver.server.output_lengths import OutputLength
from mockserver.server.request_facts import CallableFunction, RequestFacts
from mockserver.server.state.sessions import Session
from mockserver.server.state.store import SharedStore
from mockserver.server.stubs.exchange_index import ExchangeChoice
from mockserver.server.stubs.exchange_replies import SelectedReply, prepare_script
from mockserver.server.stubs.matchers import IncomingRequest
from mockserver.server.stubs.placeholders import fill_placeholders
from mockserver.server.stubs.stubs import FunctionReply, Stub
from mockserver.suggestions import choose_from
from mockserver.wire.masks import configured_masks

if TYPE_CHECKING:
    from mockserver.server.delivery.holds import Hold

__all__ = ["PendingReply", "SelectedReply", "find_reply", "is_repeatable", "select_reply"]

#: Characters of a prompt that the error for an unmatched request repeats in its suggestion.
_MAX_SUGGESTED_PROMPT = 200
#: Characters of an unknown name that an error repeats.
_MAX_SHOWN_NAME = 100
#: What the name of a function consists of, as in OpenAI's reference.
_NAME = re.compile(r"[\w-]+")
#: How much of the end of a prompt is searched for names of functions.
_MAX_SEARCHED_CHARACTERS = 1 << 14
#: How many names are searched in a prompt before its words are: most prompts name no function.
_FEW_FUNCTIONS = 16
#: How many functions a generated reply calls at most.
_MAX_CALLS = 32


class _PendingFunction(NamedTuple):
    """The reply of a function, which may take time and has not been called."""

    stub_name: str
    function: Callable[[IncomingRequest], Awaitable[FunctionReply]]
    hold: Hold | None

    async def wait(self, request: IncomingRequest, session: Session) -> SelectedReply:
        """What the function of a test returns; UnmatchedRequest if it fails, for the test to report."""
        name = getattr(self.function, "__name__", "a function")
        try:
            reply, delivery = await self.function(request.copy())
        except Exception as error:  # noqa: BLE001 (a test's own code may raise anything)
            message = f"The reply function {name} failed: {type(error).__name__}: {error}"
            raise UnmatchedRequest(400, "ReplyFunctionFailed", message, detail=message) from None
        return _fill(
            SelectedReply(self.stub_name, reply, replace(delivery, hold=self.hold)), request, session
        )


class _PendingExchange(NamedTuple):
    """The reply of the first of several exchanges that has any left, which the store of several servers counts."""

    store: SharedStore
    counts: tuple[tuple[bytes, int], ...]
    """Of each exchange the name of its count, and how often it answers."""
    replies: tuple[SelectedReply, ...]
    """The reply of each."""
    otherwise: SelectedReply | Callable[[], Awaitable[SelectedReply]]
    """The reply if they have none left, or a function that returns it or raises ApiError."""

    async def wait(self, request: IncomingRequest, session: Session) -> SelectedReply:
        """The reply, counted in the store."""
        index = await self.store.take(session.name, self.counts) if self.counts else None
        selected = self.otherwise if index is None else self.replies[index]
        return _fill(selected if isinstance(selected, SelectedReply) else await selected(), request, session)


PendingReply: TypeAlias = _PendingFunction | _PendingExchange
"""A reply that has to be waited for."""


def select_reply(
    session: Session, request: IncomingRequest, reply_seed: ReplySeed, scenario: str | None = None
) -> SelectedReply | PendingReply:
    """The reply to a request of either API; `scenario` names the stub, exchange or scenario to use."""
    if scenario is not None:
        selected = _reply_by_name(session, request, reply_seed, scenario)
    elif (stub := session.stubs.take(request)) is None:
        selected = _fallback_reply(session, request, reply_seed)
    else:
        selected = _reply_from_stub(session, stub, request, reply_seed)
    return _fill(selected, request, session) if isinstance(selected, SelectedReply) else selected


def find_reply(
    session: Session, request: IncomingRequest, reply_seed: ReplySeed
) -> tuple[SelectedReply | PendingReply, Stub | None]:
    """Like `select_reply`, but the call of the stub, which is returned too, has yet to be counted.

    Only for a session that shares no store with other servers.
    """
    stub = session.stubs.find(request)
    if stub is None:
        selected: Any = _fallback_reply(session, request, reply_seed)  # not pending, as no store is shared
        return _fill(selected, request, session), None
    return _reply_from_stub(session, stub, request, reply_seed), stub


def _fill(selected: SelectedReply, request: IncomingRequest, session: Session) -> SelectedReply:
    """Fill the placeholders of a reply that has them; UnmatchedRequest if it is invalid then."""
    if not selected.delivery.template or not isinstance(selected.reply, Script):
        return selected
    try:
        script = prepare_script(
            fill_placeholders(selected.reply, request),
            session.profile,
            session.rendering,
            session.spelling,
            check_contract=not selected.delivery.invalid,
        )
    except ConfigurationError as error:
        message = f"The template of {selected.stub_name} cannot be filled: {error}"
        raise UnmatchedRequest(400, "TemplateFailed", message, detail=message) from None
    return selected._replace(reply=script, compiled=None)


def is_repeatable(selected: SelectedReply, session: Session) -> bool:
    """Whether every request with the same bytes gets this reply, until a setting changes."""
    is_exchange = selected.stub_name is not None and session.stubs.is_empty
    return is_exchange and session.exchange_index.is_stateless and session.limiter is None


def _reply_from_stub(
    session: Session, stub: Stub, request: IncomingRequest, reply_seed: ReplySeed
) -> SelectedReply | PendingReply:
    if stub.selected is not None:
        return stub.selected
    definition = stub.definition
    if definition.reply is None:
        return _reply_with_delivery(session, stub, request, reply_seed)
    if isinstance(definition.reply, ServiceFault):
        return SelectedReply(stub.name, RequestedFault(definition.reply), definition.delivery)
    if isinstance(definition.reply, Script | RequestedFault | Mapping):
        return SelectedReply(stub.name, definition.reply, definition.delivery)
    return _PendingFunction(stub.name, definition.reply, definition.delivery.hold)


def _reply_with_delivery(
    session: Session, stub: Stub, request: IncomingRequest, reply_seed: ReplySeed
) -> SelectedReply:
    """The reply that would come without a stub, delivered as the stub says."""
    delivery = stub.definition.delivery
    try:
        fallback = _fallback_reply(session, request, reply_seed, strict=False)
    except UnmatchedRequest as error:  # a live endpoint replies
        error.stub_name, error.delivery = stub.name, delivery
        raise
    # Stubs need one process, and its exchanges do not wait.
    assert isinstance(fallback, SelectedReply)  # noqa: S101
    return SelectedReply(stub.name, fallback.reply, delivery)


def _reply_by_name(
    session: Session, request: IncomingRequest, reply_seed: ReplySeed, name: str
) -> SelectedReply | PendingReply:
    """The reply of a named stub, exchange or scenario; ApiError 400 if it is unknown or exhausted."""
    stub = session.stubs.take_by_name(name)
    if stub is not None:
        return _reply_from_stub(session, stub, request, reply_seed)
    exchange = None if name in session.stubs.selectable_names else session.exchange_index.take_by_name(name)
    if isinstance(exchange, ExchangeChoice):

        async def refuse() -> SelectedReply:
            _refuse_exhausted(session, name)

        return _wait_for(exchange, session, refuse)
    if exchange is not None:
        return session.exchange_replies[exchange.name]
    known = session.stubs.selectable_names | session.exchange_index.selectable_names
    if name in known:
        _refuse_exhausted(session, name)
    choices = choose_from(name, sorted(known))
    message = f"x-mock-scenario: no stub, exchange or scenario {name[:_MAX_SHOWN_NAME]!r}{choices}"
    raise ApiError(400, "InvalidParameter", message)


def _refuse_exhausted(session: Session, name: str) -> NoReturn:
    message = f"x-mock-scenario: {name} has no replies left."
    raise UnmatchedRequest(400, "UnplannedRequest", message, detail=f"stubs: {session.stubs}")


def _wait_for(
    choice: ExchangeChoice, session: Session, reply_without: Callable[[], Awaitable[SelectedReply]]
) -> _PendingExchange:
    """The reply of one of several exchanges; `reply_without` replies if none of them does."""
    replies = session.exchange_replies
    return _PendingExchange(
        _store_of_counts(session),
        choice.counts,
        tuple(replies[each.name] for each in choice.limited),
        reply_without if choice.otherwise is None else replies[choice.otherwise.name],
    )


def _store_of_counts(session: Session) -> SharedStore:
    assert session.shared_store is not None  # noqa: S101 - else the exchanges count for themselves
    return session.shared_store


def _fallback_reply(
    session: Session, request: IncomingRequest, reply_seed: ReplySeed, *, strict: bool = True
) -> SelectedReply | _PendingExchange:
    """The reply to a request that no stub matches; UnmatchedRequest if the server is strict."""
    is_strict = strict and session.strict and (session.strict_from_start or len(session.stubs) > 0)
    stubs_only = is_strict or session.has_fallback
    index = session.user_exchange_index if stubs_only else session.exchange_index
    exchange = index.take(request)
    if exchange is not None:
        if not isinstance(exchange, ExchangeChoice):
            return session.exchange_replies[exchange.name]

        async def reply_without() -> SelectedReply:
            if stubs_only:
                return await _refuse_by_counts(session, request)
            return _generated_reply(session, request, reply_seed)

        return _wait_for(exchange, session, reply_without)
    if stubs_only and not index.counts_for_itself:
        refuse = partial(_refuse_by_counts, session, request)
        return _PendingExchange(_store_of_counts(session), (), (), refuse)
    if stubs_only:
        _refuse_unmatched(session, request)
    return _generated_reply(session, request, reply_seed)


async def _refuse_by_counts(session: Session, request: IncomingRequest) -> NoReturn:
    """Like `_refuse_unmatched`, with the exchanges that the servers have used up together."""
    limited = session.user_exchange_index.limited_counts()
    taken = await _store_of_counts(session).taken(session.name, [count_name for _, count_name, _ in limited])
    exhausted = {name for (name, _, times), count in zip(limited, taken, strict=True) if count >= times}
    _refuse_unmatched(session, request, exhausted)


def _refuse_unmatched(session: Session, request: IncomingRequest, exhausted: Container[str] = ()) -> NoReturn:
    message = _unmatched_message(session, request, exhausted)
    # The mock's own error: clients do not retry a 400.
    raise UnmatchedRequest(400, "UnplannedRequest", message, detail=f"stubs: {session.stubs}").passed_on()


def _generated_reply(session: Session, request: IncomingRequest, reply_seed: ReplySeed) -> SelectedReply:
    facts, text_seed = request.facts, text_seed_for(request, reply_seed, session)
    if session.output_length is None and not facts.asks_for_more_than_text:
        script = generate_plain_script(facts.prompt, text_seed, facts.thinking)
        return new_tuple(SelectedReply, (None, script, DEFAULT_DELIVERY, None))
    functions = () if facts.has_function_output else _functions_to_call(facts)
    try:
        script = generate_script(
            GenerationRequest(
                facts.prompt,
                text_seed,
                facts.thinking,
                () if facts.has_function_output else facts.builtin_tools,
                functions,
                facts.output_schema,
                facts.mcp_server_label,
            )
        )
    except UnsatisfiableSchema as error:
        raise ApiError(400, "InvalidParameter", _unsatisfiable_message(functions, error)) from None
    if script.json_size > MAX_SCRIPT_BYTES:
        raise ApiError(400, "InvalidParameter", _too_large_message(functions))
    if session.output_length is not None:
        script = _resize(script, session.output_length, request, text_seed)
    return SelectedReply(None, script)


def _too_large_message(functions: tuple[CallableFunction, ...]) -> str:
    if not functions:
        return "text.format requires a message that is too large."
    names = "', '".join(each.name for each in functions)
    return f"The function '{names}' requires arguments that are too large."


def _resize(script: Script, length: OutputLength, request: IncomingRequest, text_seed: int) -> Script:
    """The generated script in the length that the session asks for, if its message is not JSON."""
    chosen = None if request.facts.output_schema is not None else length.choose(request.body, text_seed)
    if chosen is None:
        return script
    tokens, variant = chosen
    return resize_message(script, detect_language(request.facts.prompt), variant, tokens)


def _unmatched_message(session: Session, request: IncomingRequest, exhausted: Container[str]) -> str:
    """Why a request is unmatched: the nearest miss, and a line of code that would answer it.

    `exhausted` has names of exchanges that other servers have used up.
    """
    stubs = session.stubs
    if (
        len(stubs)
        and not session.user_exchange_index.exchanges
        and all(each.is_exhausted for each in stubs.all)
    ):
        message = "No stub matches this request: all stubs are used up."
    else:
        message = "No stub matches this request."
    candidates = [(f"{stub.name}, {stub}", differences) for stub, differences in stubs.near_misses(request)]
    candidates += [
        (f"the exchange {exchange.name}{f' in {exchange.file}' if exchange.file else ''}", differences)
        for exchange, differences in session.user_exchange_index.near_misses(request, exhausted)
    ]
    if candidates:
        nearest, differences = min(candidates, key=lambda each: len(each[1]))
        message += f" The nearest is {nearest}: {'; '.join(differences)}."
    is_shown = len(request.prompt) <= _MAX_SUGGESTED_PROMPT and not configured_masks().cover_prompt
    prompt = request.prompt if is_shown else ""
    return f"{message} To answer it: {session.spelling.reply(prompt)}"


def _unsatisfiable_message(functions: tuple[CallableFunction, ...], error: UnsatisfiableSchema) -> str:
    if not functions:
        return f"Cannot generate a message for text.format: schema{error}"
    names = "', '".join(each.name for each in functions)
    return f"Cannot generate arguments for the function '{names}': parameters{error}"


def _functions_to_call(facts: RequestFacts) -> tuple[CallableFunction, ...]:
    """The functions that the prompt names (the first only, without parallel calls), else the first one."""
    functions = facts.callable_functions
    if not functions:
        return ()
    prompt = facts.prompt[-_MAX_SEARCHED_CHARACTERS:].lower()
    if len(functions) <= _FEW_FUNCTIONS and not any(each.name.lower() in prompt for each in functions):
        return functions[:1][: facts.max_tool_calls]
    is_mentioned = _names_in(prompt)
    named = (each for each in functions if is_mentioned(each.name))
    calls = tuple(islice(named, _MAX_CALLS if facts.parallel_tool_calls else 1))
    return (calls or functions[:1])[: facts.max_tool_calls]


def _names_in(prompt: str) -> Callable[[str], bool]:
    """Tells whether a prompt in lower case names a function as a whole word."""
    words = frozenset(_NAME.findall(prompt))

    def is_mentioned(name: str) -> bool:
        name = name.lower()
        if name in words:
            return True
        # A name with other characters is no word.
        return name in prompt and _NAME.fullmatch(name) is None and _is_apart(name, prompt)

    return is_mentioned


def _is_apart(name: str, prompt: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", prompt) is not None
