"""Conditions: which requests a planned reply is for, and what a request lacks of that."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from mockserver.errors import ConfigurationError
from mockserver.server.request_facts import RequestFacts, item_texts
from mockserver.wire.redaction import redact_headers

__all__ = ["ANY_REQUEST", "IncomingRequest", "Matcher", "build_matcher"]

#: Characters of a value that a difference shows.
_MAX_SHOWN = 80


class IncomingRequest(NamedTuple):
    """A request that waits for its reply: what predicates and functions of the request are given."""

    body: dict[str, Any]
    """As it was sent, valid by the contract."""
    facts: RequestFacts
    raw_headers: Mapping[bytes, bytes]
    after: str | None = None
    """Name of the reply that answered the turn before."""
    turn: int = 1
    """Which turn of its conversation it is, from 1."""

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
        """Types of the declared tools, and names of the declared functions."""
        names = [str(each["name"]) for each in self.body.get("tools") or () if _is_function(each)]
        return (*sorted(self.facts.declared_tool_types), *names)

    @property
    def tool_outputs(self) -> tuple[str, ...]:
        """Outputs of functions in the input, in order."""
        items = self.body.get("input")
        found = [each for each in items if isinstance(each, dict)] if isinstance(items, list) else []
        outputs = (each for each in found if each.get("type") == "function_call_output")
        return tuple("\n".join(item_texts(each)) for each in outputs)

    @property
    def headers(self) -> dict[str, str]:
        """The headers without keys."""
        return redact_headers(tuple(self.raw_headers.items()), ())


def _is_function(tool: Any) -> bool:
    return isinstance(tool, dict) and tool.get("type") == "function" and "name" in tool


@dataclass(frozen=True, slots=True)
class Matcher:
    """What a request must be like; None: anything."""

    prompt: str | None = None
    """The whole text of the last user message."""
    contains: str | None = None
    """A part of it."""
    ignore_case: bool = False
    """Whether both are compared without regard to case (Unicode's full case folding)."""
    instructions: str | None = None
    """A part of the instructions."""
    model: str | None = None
    tool: str | None = None
    """Type of a declared tool, or name of a declared function."""
    tool_output: str | None = None
    """A part of the last output of a function."""
    turn: int | None = None
    after: str | None = None
    stream: bool | None = None
    header: Mapping[str, str] | None = None
    json_subset: Mapping[str, Any] | None = None
    """Members that the request has, objects within them by the same rule."""
    predicate: Callable[[IncomingRequest], bool] | None = None

    def matches(self, request: IncomingRequest) -> bool:
        """Whether the request is like that."""
        return self is ANY_REQUEST or next(self.differences(request), None) is None

    def differences(self, request: IncomingRequest) -> Iterator[str]:
        """What about the request is otherwise, each in words."""
        yield from self._prompt_differences(request)
        yield from _difference("model", self.model, request.model)
        yield from _difference("turn", self.turn, request.turn)
        yield from _difference("after", self.after, request.after)
        yield from _difference("stream", self.stream, request.stream)
        if self.instructions is not None and self.instructions not in request.instructions:
            yield _describe_difference(
                "instructions", f"with {self.instructions!r} in it", request.instructions
            )
        if self.tool is not None and self.tool not in request.tools:
            yield _describe_difference("tool", self.tool, request.tools)
        if self.tool_output is not None:
            last = request.tool_outputs[-1:]
            if not last or self.tool_output not in last[0]:
                yield _describe_difference(
                    "tool_output", f"with {self.tool_output!r} in it", last[0] if last else None
                )
        for name, value in (self.header or {}).items():
            got = request.raw_headers.get(name.lower().encode("latin-1", "replace"))
            if got is None or got.decode("latin-1") != value:
                yield f"header: {name} is another" if got is not None else f"header: there is no {name}"
        for pointer, wanted, found in _subset_differences(self.json_subset or {}, request.body, ""):
            yield _describe_difference(f"json_subset: {pointer}", wanted, found)
        if self.predicate is not None:
            yield from self._predicate_differences(self.predicate, request)

    def _predicate_differences(
        self, predicate: Callable[[IncomingRequest], bool], request: IncomingRequest
    ) -> Iterator[str]:
        name = getattr(predicate, "__name__", "it")
        try:
            if not predicate(request):
                yield f"predicate: {name} says no"
        except Exception as error:  # noqa: BLE001 (code of a test: a request it can not read is none it is for)
            yield f"predicate: {name} failed: {type(error).__name__}: {error}"

    def _prompt_differences(self, request: IncomingRequest) -> Iterator[str]:
        fold = str.casefold if self.ignore_case else str
        if self.prompt is not None and fold(self.prompt) != fold(request.prompt):
            yield _describe_difference("prompt", self.prompt, request.prompt)
        if self.contains is not None and fold(self.contains) not in fold(request.prompt):
            yield _describe_difference("contains", self.contains, request.prompt)

    def __str__(self) -> str:
        said = [
            f"{name}={getattr(self, name)!r}"
            for name in self.__slots__
            if getattr(self, name) not in (None, False) or (name == "stream" and self.stream is False)
        ]
        return ", ".join(said)


#: Every request.
ANY_REQUEST = Matcher()

_MEMBER_TYPES: Mapping[str, tuple[type, ...]] = {
    "prompt": (str,),
    "contains": (str,),
    "ignore_case": (bool,),
    "instructions": (str,),
    "model": (str,),
    "tool": (str,),
    "tool_output": (str,),
    "turn": (int,),
    "after": (str,),
    "stream": (bool,),
    "header": (dict,),
    "json_subset": (dict,),
}


def build_matcher(**members: Any) -> Matcher:
    """A condition of what is given by name; ConfigurationError names the first that can not be used."""
    said = {name: value for name, value in members.items() if value is not None}
    for name, value in said.items():
        if name == "predicate":
            if not callable(value):
                raise ConfigurationError(f"when(): predicate is a function of the request, not {value!r}")
        elif name not in _MEMBER_TYPES:
            known = ", ".join((*_MEMBER_TYPES, "predicate"))
            raise ConfigurationError(f"when(): there is no {name!r}; there are: {known}")
        elif not isinstance(value, _MEMBER_TYPES[name]) or (
            isinstance(value, bool) and bool not in _MEMBER_TYPES[name]
        ):
            raise ConfigurationError(f"when(): {name} can not be {value!r}")
    return Matcher(**said) if said else ANY_REQUEST


def _difference(name: str, expected: Any, actual: Any) -> Iterator[str]:
    if expected is not None and expected != actual:
        yield _describe_difference(name, expected, actual)


def _describe_difference(name: str, expected: Any, actual: Any) -> str:
    return f"{name}: planned {_shorten(expected)}, got {_shorten(actual)}"


def _shorten(value: Any) -> str:
    text = value if isinstance(value, str) and value.startswith("with '") else repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"


def _subset_differences(
    expected: Mapping[str, Any], actual: Mapping[str, Any], pointer: str
) -> Iterator[tuple[str, Any, Any]]:
    """(pointer, wanted, got) of each member that is missing or another."""
    for name, value in expected.items():
        found = actual.get(name)
        if isinstance(value, dict) and isinstance(found, dict):
            yield from _subset_differences(value, found, f"{pointer}/{name}")
        elif found != value or type(found) is not type(value):
            yield f"{pointer}/{name}", value, found
