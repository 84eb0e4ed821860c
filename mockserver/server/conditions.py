"""Conditions: which requests a planned reply is for, and what a request lacks of that."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from mockserver.errors import ConfigurationError
from mockserver.server.asks import Ask, texts_of
from mockserver.wire.redaction import safe_headers

__all__ = ["ANY", "Condition", "Incoming", "condition"]

#: Characters of a value that a difference shows.
_SHOWN = 80


class Incoming(NamedTuple):
    """A request that waits for its reply: what predicates and functions of the request are given."""

    body: dict[str, Any]
    """As it was sent, valid by the contract."""
    ask: Ask
    raw_headers: Mapping[bytes, bytes]
    after: str | None = None
    """Name of the reply that answered the turn before."""
    turn: int = 1
    """Which turn of its conversation it is, from 1."""

    @property
    def prompt(self) -> str:
        """Text of the last user message."""
        return self.ask.prompt

    @property
    def model(self) -> str:
        return self.ask.model

    @property
    def stream(self) -> bool:
        return self.ask.stream

    @property
    def instructions(self) -> str:
        value = self.body.get("instructions")
        return value if isinstance(value, str) else ""

    @property
    def tools(self) -> tuple[str, ...]:
        """Types of the declared tools, and names of the declared functions."""
        names = [str(each["name"]) for each in self.body.get("tools") or () if _is_function(each)]
        return (*sorted(self.ask.declared), *names)

    @property
    def tool_outputs(self) -> tuple[str, ...]:
        """Outputs of functions in the input, in order."""
        items = self.body.get("input")
        found = [each for each in items if isinstance(each, dict)] if isinstance(items, list) else []
        outputs = (each for each in found if each.get("type") == "function_call_output")
        return tuple("\n".join(texts_of(each)) for each in outputs)

    @property
    def headers(self) -> dict[str, str]:
        """The headers without keys."""
        return safe_headers(tuple(self.raw_headers.items()), ())


def _is_function(tool: Any) -> bool:
    return isinstance(tool, dict) and tool.get("type") == "function" and "name" in tool


@dataclass(frozen=True, slots=True)
class Condition:
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
    predicate: Callable[[Incoming], bool] | None = None

    def fits(self, request: Incoming) -> bool:
        """Whether the request is like that."""
        return self is ANY or next(self.differences(request), None) is None

    def differences(self, request: Incoming) -> Iterator[str]:
        """What about the request is otherwise, each in words."""
        yield from self._texts(request)
        yield from _unequal("model", self.model, request.model)
        yield from _unequal("turn", self.turn, request.turn)
        yield from _unequal("after", self.after, request.after)
        yield from _unequal("stream", self.stream, request.stream)
        if self.instructions is not None and self.instructions not in request.instructions:
            yield _told("instructions", f"with {self.instructions!r} in it", request.instructions)
        if self.tool is not None and self.tool not in request.tools:
            yield _told("tool", self.tool, request.tools)
        if self.tool_output is not None:
            last = request.tool_outputs[-1:]
            if not last or self.tool_output not in last[0]:
                yield _told("tool_output", f"with {self.tool_output!r} in it", last[0] if last else None)
        for name, value in (self.header or {}).items():
            got = request.raw_headers.get(name.lower().encode("latin-1", "replace"))
            if got is None or got.decode("latin-1") != value:
                yield f"header: {name} is another" if got is not None else f"header: there is no {name}"
        for pointer, wanted, found in _beyond(self.json_subset or {}, request.body, ""):
            yield _told(f"json_subset: {pointer}", wanted, found)
        if self.predicate is not None:
            yield from self._asked(self.predicate, request)

    def _asked(self, predicate: Callable[[Incoming], bool], request: Incoming) -> Iterator[str]:
        name = getattr(predicate, "__name__", "it")
        try:
            if not predicate(request):
                yield f"predicate: {name} says no"
        except Exception as error:  # noqa: BLE001 (code of a test: a request it can not read is none it is for)
            yield f"predicate: {name} failed: {type(error).__name__}: {error}"

    def _texts(self, request: Incoming) -> Iterator[str]:
        fold = str.casefold if self.ignore_case else str
        if self.prompt is not None and fold(self.prompt) != fold(request.prompt):
            yield _told("prompt", self.prompt, request.prompt)
        if self.contains is not None and fold(self.contains) not in fold(request.prompt):
            yield _told("contains", self.contains, request.prompt)

    def __str__(self) -> str:
        said = [
            f"{name}={getattr(self, name)!r}"
            for name in self.__slots__
            if getattr(self, name) not in (None, False) or (name == "stream" and self.stream is False)
        ]
        return ", ".join(said)


#: Every request.
ANY = Condition()

_KINDS: Mapping[str, tuple[type, ...]] = {
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


def condition(**given: Any) -> Condition:
    """A condition of what is given by name; ConfigurationError names the first that can not be used."""
    said = {name: value for name, value in given.items() if value is not None}
    for name, value in said.items():
        if name == "predicate":
            if not callable(value):
                raise ConfigurationError(f"when(): predicate is a function of the request, not {value!r}")
        elif name not in _KINDS:
            known = ", ".join((*_KINDS, "predicate"))
            raise ConfigurationError(f"when(): there is no {name!r}; there are: {known}")
        elif not isinstance(value, _KINDS[name]) or (isinstance(value, bool) and bool not in _KINDS[name]):
            raise ConfigurationError(f"when(): {name} can not be {value!r}")
    return Condition(**said) if said else ANY


def _unequal(name: str, wanted: Any, got: Any) -> Iterator[str]:
    if wanted is not None and wanted != got:
        yield _told(name, wanted, got)


def _told(name: str, wanted: Any, got: Any) -> str:
    return f"{name}: planned {_short(wanted)}, got {_short(got)}"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) and value.startswith("with '") else repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _beyond(wanted: Mapping[str, Any], got: Mapping[str, Any], where: str) -> Iterator[tuple[str, Any, Any]]:
    """(pointer, wanted, got) of each member that is missing or another."""
    for name, value in wanted.items():
        found = got.get(name)
        if isinstance(value, dict) and isinstance(found, dict):
            yield from _beyond(value, found, f"{where}/{name}")
        elif found != value or type(found) is not type(value):
            yield f"{where}/{name}", value, found
