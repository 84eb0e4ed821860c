"""Matchers: the conditions under which a stub answers, and how a request differs from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from inspect import iscoroutine, iscoroutinefunction
from typing import Any, Protocol

from mockserver.errors import ConfigurationError
from mockserver.named_tuples import NamedTuple
from mockserver.server.request_facts import RequestFacts, item_texts
from mockserver.server.stubs.comparisons import (
    compares_itself,
    equals,
    is_selected,
    is_text_condition,
    occurs,
    subset_differences,
    with_patterns,
)
from mockserver.suggestions import choose_from
from mockserver.wire.json_paths import JsonPath, parse_json_path
from mockserver.wire.patterns import TextPattern
from mockserver.wire.redaction import redact_headers

__all__ = ["ANY_REQUEST", "HasBody", "IncomingRequest", "Matcher", "build_matcher"]

#: Characters of a value to show in a difference.
_MAX_SHOWN = 80


class HasBody(Protocol):
    """What parses a body when it is needed."""

    @property
    def body(self) -> dict[str, Any]: ...


class IncomingRequest:
    """A valid request that needs a reply; the argument of predicates and reply functions."""

    __slots__ = ("_source", "after", "facts", "raw_headers", "turn")

    facts: RequestFacts
    raw_headers: Mapping[bytes, bytes]
    after: str | None
    """Name of the stub or exchange that answered the previous turn."""
    turn: int
    """Turn of the conversation, from 1."""

    def __init__(
        self,
        body: dict[str, Any] | HasBody,
        facts: RequestFacts,
        raw_headers: Mapping[bytes, bytes],
        after: str | None = None,
        turn: int = 1,
    ) -> None:
        """`body`, or what has it: most replies do not need it."""
        self._source = body
        self.facts = facts
        self.raw_headers = raw_headers
        self.after = after
        self.turn = turn

    @property
    def body(self) -> dict[str, Any]:
        """The body as sent."""
        source = self._source
        return source if isinstance(source, dict) else source.body

    def copy(self) -> IncomingRequest:
        """The request with a body that a test may change; other requests with the same bytes share theirs."""
        return IncomingRequest(deepcopy(self.body), self.facts, self.raw_headers, self.after, self.turn)

    def with_context(self, raw_headers: Mapping[bytes, bytes], after: str | None) -> IncomingRequest:
        """The request with these headers, after a turn that this stub or exchange answered."""
        return IncomingRequest(self._source, self.facts, raw_headers, after, self.turn)

    @property
    def prompt(self) -> str:
        """Text of the last user message."""
        return self.facts.prompt

    @property
    def model(self) -> str:
        return self.facts.model

    @property
    def stream(self) -> bool:
        return self.facts.stream

    @property
    def instructions(self) -> str:
        value = self.body.get("instructions")
        return value if isinstance(value, str) else ""

    @property
    def tools(self) -> tuple[str, ...]:
        """Types of the declared tools and names of the declared functions."""
        names = [str(each["name"]) for each in self.body.get("tools") or () if _is_function(each)]
        return (*sorted(self.facts.declared_tool_types), *names)

    @property
    def tool_outputs(self) -> tuple[str, ...]:
        """Texts of the function outputs in the input, in order."""
        items = self.body.get("input")
        if not isinstance(items, list):
            return ()
        return tuple(
            "\n".join(item_texts(each))
            for each in items
            if isinstance(each, dict) and each.get("type") == "function_call_output"
        )

    @property
    def headers(self) -> dict[str, str]:
        """The headers, without keys."""
        return redact_headers(tuple(self.raw_headers.items()), ())


def _is_function(tool: Any) -> bool:
    return isinstance(tool, dict) and tool.get("type") == "function" and "name" in tool


class Matcher(NamedTuple):
    """The conditions of a stub, all of which must hold; None: no condition.

    Where a type is Any, the value is a text, a pattern, or an object whose `==` decides, as of dirty-equals.
    """

    prompt: Any = None
    """The whole text of the last user message."""
    contains: str | None = None
    """A part of that text."""
    ignore_case: bool = False
    """Whether `prompt` and `contains` ignore case (Unicode's full case folding)."""
    instructions: Any = None
    """A part of the instructions."""
    model: Any = None
    tool: str | None = None
    """Type of a declared tool, or name of a declared function."""
    tools: tuple[str, ...] | None = None
    """Types of all declared tools, sorted."""
    thinking: bool | None = None
    tool_output: Any = None
    """A part of the last function output."""
    turn: int | None = None
    after: str | None = None
    stream: bool | None = None
    header: Mapping[str, Any] | None = None
    json_subset: Mapping[str, Any] | None = None
    """Members that the body must have; nested objects are compared in the same way."""
    json_path: Mapping[JsonPath, Any] | None = None
    """Queries, and what one of the values that each selects must be; an object is compared as in `json_subset`."""
    predicate: Callable[[IncomingRequest], bool] | None = None

    @property
    def is_repeatable(self) -> bool:
        """Whether it always decides the same for the same body, sent as a first turn."""
        values = [self.prompt, self.instructions, self.model, self.tool_output]
        values += [*(self.json_subset or {}).values(), *(self.json_path or {}).values()]
        return self.header is None and self.predicate is None and not any(map(compares_itself, values))

    def matches(self, request: IncomingRequest) -> bool:
        """Whether all conditions hold."""
        return self is ANY_REQUEST or next(self.differences(request), None) is None

    def differences(self, request: IncomingRequest) -> Iterator[str]:
        """Describe each condition that does not hold."""
        yield from self._prompt_differences(request)
        if self.model is not None and not equals(self.model, request.model):
            yield _describe_difference("model", self.model, request.model)
        yield from _difference("turn", self.turn, request.turn)
        yield from _difference("after", self.after, request.after)
        yield from _difference("stream", self.stream, request.stream)
        yield from _difference("thinking", self.thinking, request.facts.thinking)
        if self.instructions is not None and not occurs(self.instructions, request.instructions):
            yield _describe_difference(
                "instructions", _expected_part(self.instructions), request.instructions
            )
        yield from self._tool_differences(request)
        for name, value in (self.header or {}).items():
            actual = request.raw_headers.get(name.lower().encode("latin-1", "replace"))
            if actual is None:
                yield f"header: {name} is missing"
            elif not equals(value, actual.decode("latin-1")):
                expected = f", expected {value!r}" if isinstance(value, TextPattern) else ""
                yield f"header: {name} has another value{expected}"  # which may be a key
        for pointer, expected, found in subset_differences(self.json_subset or {}, request.body, ""):
            yield _describe_difference(f"json_subset: {pointer}", expected, found)
        for path, expected in (self.json_path or {}).items():
            selected = path.select(request.body)
            if not any(is_selected(expected, each) for each in selected):
                yield _describe_difference(f"json_path: {path.text}", expected, selected)
        if self.predicate is not None:
            yield from self._predicate_differences(self.predicate, request)

    def _tool_differences(self, request: IncomingRequest) -> Iterator[str]:
        if self.tool is not None and self.tool not in request.tools:
            yield _describe_difference("tool", self.tool, request.tools)
        if self.tools is not None:
            yield from _difference("tools", self.tools, tuple(sorted(request.facts.declared_tool_types)))
        if self.tool_output is not None:
            last = request.tool_outputs[-1:]
            if not last or not occurs(self.tool_output, last[0]):
                yield _describe_difference(
                    "tool_output", _expected_part(self.tool_output), last[0] if last else None
                )

    def _predicate_differences(
        self, predicate: Callable[[IncomingRequest], bool], request: IncomingRequest
    ) -> Iterator[str]:
        name = getattr(predicate, "__name__", "it")
        try:
            result: Any = predicate(request.copy())
            if iscoroutine(result):
                result.close()
                yield f"predicate: {name} returned a coroutine, which no one awaits"
            elif not result:
                yield f"predicate: {name} returned false"
        except Exception as error:  # noqa: BLE001 (test code: a request that it cannot handle does not match)
            yield f"predicate: {name} raised {type(error).__name__}: {error}"

    def _prompt_differences(self, request: IncomingRequest) -> Iterator[str]:
        fold = str.casefold if self.ignore_case else str
        if self.prompt is not None and not (
            fold(self.prompt) == fold(request.prompt)
            if isinstance(self.prompt, str)
            else equals(self.prompt, request.prompt)
        ):
            yield _describe_difference("prompt", self.prompt, request.prompt)
        if self.contains is not None and fold(self.contains) not in fold(request.prompt):
            yield _describe_difference("contains", self.contains, request.prompt)

    def __str__(self) -> str:
        return ", ".join(
            f"{name}={getattr(self, name)!r}"
            for name in self._fields
            if getattr(self, name) is not None and (name != "ignore_case" or self.ignore_case)
        )


#: Matches every request.
ANY_REQUEST = Matcher()

_MEMBER_TYPES: Mapping[str, tuple[type, ...]] = {
    "prompt": (str,),
    "contains": (str,),
    "ignore_case": (bool,),
    "instructions": (str,),
    "model": (str,),
    "tool": (str,),
    "tools": (list, tuple, set, frozenset),
    "thinking": (bool,),
    "tool_output": (str,),
    "turn": (int,),
    "after": (str,),
    "stream": (bool,),
    "header": (dict,),
    "json_subset": (dict,),
    "json_path": (dict,),
}
#: Conditions on a text that may also be a pattern, or any object whose `==` decides.
_TEXT_CONDITIONS = frozenset({"prompt", "instructions", "model", "tool_output"})


def build_matcher(**members: Any) -> Matcher:
    """Build a matcher from named conditions; None: no condition. Raises ConfigurationError."""
    given = {name: value for name, value in members.items() if value is not None}
    _require_plain_text_if_case_is_ignored(given)
    conditions = {name: _build_condition(name, value) for name, value in given.items()}
    return Matcher(**conditions) if conditions else ANY_REQUEST


def _build_condition(name: str, value: Any) -> Any:
    if name == "predicate":
        _require_predicate(value)
    elif name not in _MEMBER_TYPES:
        known = choose_from(name, (*_MEMBER_TYPES, "predicate"))
        raise ConfigurationError(f"when() has no condition {name!r}{known}")
    elif not (name in _TEXT_CONDITIONS and is_text_condition(value)) and (
        not isinstance(value, _MEMBER_TYPES[name])
        or (isinstance(value, bool) and bool not in _MEMBER_TYPES[name])
    ):
        raise ConfigurationError(f"when(): {name} cannot be {value!r}")
    build = _BUILDERS.get(name)
    return value if build is None else build(value)


def _require_predicate(value: Any) -> None:
    if not callable(value):
        raise ConfigurationError(f"when(): predicate is a function of the request, not {value!r}")
    if iscoroutinefunction(value):
        raise ConfigurationError(
            f"when(): predicate {value.__name__} is a coroutine function: a predicate decides at once; "
            "a reply function may wait"
        )


def _require_plain_text_if_case_is_ignored(conditions: Mapping[str, Any]) -> None:
    prompt = conditions.get("prompt", "")
    if conditions.get("ignore_case") and "contains" not in conditions and not isinstance(prompt, str):
        raise ConfigurationError(
            f"when(): ignore_case applies to texts; in a pattern write (?i), not {prompt!r}"
        )


def _build_header(header: Mapping[Any, Any]) -> dict[str, Any]:
    for name, value in header.items():
        if not isinstance(name, str) or not is_text_condition(value):
            raise ConfigurationError(f"when(): header {name!r} cannot be {value!r}")
    return {name: with_patterns(value) for name, value in header.items()}


def _build_queries(queries: Mapping[Any, Any]) -> dict[JsonPath, Any]:
    return {_build_query(path): with_patterns(expected) for path, expected in queries.items()}


def _build_query(path: Any) -> JsonPath:
    if isinstance(path, JsonPath):
        return path
    if not isinstance(path, str):
        raise ConfigurationError(f"when(): json_path: a query is a text, not {path!r}")
    try:
        return parse_json_path(path)
    except ConfigurationError as error:
        raise ConfigurationError(f"when(): json_path {path!r}: {error}") from None


def _sorted_types(tools: Iterable[Any]) -> tuple[str, ...]:
    for each in tools:
        if not isinstance(each, str):
            raise ConfigurationError(
                f"when(): tools are the types of tools, such as 'web_search', not {each!r}"
            )
    return tuple(sorted(set(tools)))


#: What a condition becomes, if it is not what its user gives.
_BUILDERS: Mapping[str, Callable[[Any], Any]] = {
    **dict.fromkeys((*_TEXT_CONDITIONS, "json_subset"), with_patterns),
    "header": _build_header,
    "json_path": _build_queries,
    "tools": _sorted_types,
}


def _difference(name: str, expected: Any, actual: Any) -> Iterator[str]:
    if expected is not None and expected != actual:
        yield _describe_difference(name, expected, actual)


class _Containing:
    """An expected part of a text, for messages."""

    def __init__(self, part: str) -> None:
        self._part = part

    def __repr__(self) -> str:
        return f"a text with {self._part!r}"


def _expected_part(expected: Any) -> Any:
    return _Containing(expected) if isinstance(expected, str) else expected


def _describe_difference(name: str, expected: Any, actual: Any) -> str:
    return f"{name}: expected {_shorten(expected)}, got {_shorten(actual)}"


def _shorten(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"
