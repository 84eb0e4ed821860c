"""Masks: what a project masks besides keys (`mask` in `[tool.mockserver]`).

JSON pointers name members of bodies; regular expressions, which RE2 matches in linear time, name texts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from mockserver.errors import ConfigurationError
from mockserver.named_tuples import NamedTuple
from mockserver.wire import json
from mockserver.wire.patterns import compile_linear

__all__ = [
    "NO_MASKS",
    "Masks",
    "Path",
    "configured_masks",
    "ends_with",
    "masks_from_settings",
    "parse_masks",
    "use_masks",
]

Path: TypeAlias = tuple[str, ...]


#: Steps that may precede a configured pointer: where a request or response is inside another value.
_WRAPPERS = frozenset({"request", "response", "reply", "body", "shown", ""})

_REGEX_PREFIX = "regex:"


class Masks(NamedTuple):
    """What a project masks besides keys."""

    pointers: tuple[str, ...] = ()
    """JSON pointers into bodies; `*` matches any step."""
    patterns: tuple[str, ...] = ()
    """Regular expressions in RE2's syntax."""
    steps: tuple[Path, ...] = ()
    """The steps of each pointer."""
    regexes: tuple[Any, ...] = ()
    """The patterns, compiled."""

    def union(self, other: Masks) -> Masks:
        """The masks of both."""
        if other == self or not other.as_options:
            return self
        return parse_masks(dict.fromkeys((*self.as_options, *other.as_options)))

    @property
    def as_options(self) -> tuple[str, ...]:
        """The masks as `--mask` takes them."""
        return (*self.pointers, *(_REGEX_PREFIX + each for each in self.patterns))

    def covers(self, path: Path) -> bool:
        """Whether a pointer names the member at a path."""
        return any(ends_with(path, steps) and _is_wrapper(path[: -len(steps)]) for steps in self.steps)

    @property
    def cover_prompt(self) -> bool:
        """Whether a pointer names the last message, or a part of it, in either API."""
        return any(_reaches_prompt(steps) for steps in self.steps)

    def substitute(self, text: str, cover: Callable[[str], str]) -> str:
        """`text` with everything that a pattern matches covered."""
        for regex in self.regexes:
            text = regex.sub(lambda match: cover(match[0]), text)
        return text

    def matches(self, text: str) -> Iterator[str]:
        """Everything in `text` that a pattern matches."""
        for regex in self.regexes:
            yield from (match[0] for match in regex.finditer(text))


NO_MASKS = Masks()
_configured = NO_MASKS


def parse_masks(options: Iterable[str]) -> Masks:
    """Parse JSON pointers (`/metadata/user`) and patterns (`regex:…`). Raises ConfigurationError."""
    pointers, patterns = [], []
    for option in options:
        if not isinstance(option, str):
            raise ConfigurationError(f"mask {option!a}: a mask is a string")
        if option.startswith(_REGEX_PREFIX):
            patterns.append(option.removeprefix(_REGEX_PREFIX))
        elif option.startswith("/") and "\x00" not in option:
            pointers.append(option)
        else:
            raise ConfigurationError(
                f"--mask {option!a}: a JSON pointer starts with /, such as /metadata/user, "
                f"and a pattern with {_REGEX_PREFIX}"
            )
    steps = tuple(tuple(json.parse_pointer(each)) for each in pointers)
    return Masks(tuple(pointers), tuple(patterns), steps, tuple(map(_compile_pattern, patterns)))


def masks_from_settings(table: Mapping[str, Any]) -> Masks:
    """The masks of `mask` in `[tool.mockserver]`. Raises ConfigurationError."""
    options = table.get("mask", ())
    if not isinstance(options, list | tuple):
        raise ConfigurationError(
            f'pyproject.toml, [tool.mockserver]: mask is a list, such as ["/metadata/user"], not {options!a}'
        )
    return parse_masks(options)


def _compile_pattern(pattern: str) -> Any:
    try:
        regex = compile_linear(pattern)
    except ConfigurationError as error:
        raise ConfigurationError(f"--mask {_REGEX_PREFIX}{pattern!a}: {error}") from None
    if regex.search(""):
        raise ConfigurationError(f"--mask {_REGEX_PREFIX}{pattern!a}: the pattern matches an empty text")
    return regex


def use_masks(masks: Masks) -> None:
    """Apply these masks to everything that this process writes or prints from now on."""
    global _configured  # noqa: PLW0603 (one policy for a process, so that no output can miss it)
    _configured = masks


def configured_masks() -> Masks:
    """The masks of this process."""
    return _configured


def ends_with(path: Path, steps: Path) -> bool:
    if len(path) < len(steps):
        return False
    return all(step in ("*", name) for step, name in zip(reversed(steps), reversed(path), strict=False))


def _reaches_prompt(steps: Path) -> bool:
    """Whether steps, with any number in place of `*`, are a prompt's or those of what holds it."""
    named = tuple("*" if each.isdecimal() else each for each in steps)
    return named[:1] in (("input",), ("messages",)) and named[1:] == _PROMPT_STEPS[: len(named) - 1]


_PROMPT_STEPS = ("*", "content", "*", "text")


def _is_wrapper(path: Path) -> bool:
    return all(each in _WRAPPERS or each == "*" or each.isdecimal() for each in path)
