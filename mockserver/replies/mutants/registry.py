"""The registry of mutants: the rule that each breaks, in which kind of value, and what it requires."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from mockserver.errors import ConfigurationError
from mockserver.profiles import Profile
from mockserver.suggestions import choose_from

__all__ = [
    "CHAT_SUBJECTS",
    "SUBJECTS",
    "Chooser",
    "Edit",
    "Event",
    "Mutant",
    "breaks",
    "find_mutant",
    "not_applicable",
    "rules_for",
]

Event: TypeAlias = dict[str, Any]
Edit: TypeAlias = Callable[[Any, "Chooser", Profile], Any]

_Value = TypeVar("_Value")

SUBJECTS = ("stream", "frames", "response", "request", "body")
CHAT_SUBJECTS = ("chat_stream", "chat_frames", "chat_completion", "chat_request")


class Chooser:
    """Makes the choices of an edit, one after the other, from one number."""

    def __init__(self, number: int) -> None:
        self._remaining = number

    def choose(self, choices: Sequence[_Value], description: str) -> _Value:
        """One of `choices`; if there is none, an error that names what is missing."""
        if not choices:
            raise not_applicable(description)
        self._remaining, at = divmod(self._remaining, len(choices))
        return choices[at]


@dataclass(frozen=True, slots=True)
class Mutant:
    """An edit that breaks one rule, and no other if that is possible."""

    rule: str
    subject: str
    """The edited value: "stream" (a list of events), "frames" (a list of bytes, one frame per event),
    "response", "request", or "body" (the bytes of a response)."""
    required_items: tuple[str, ...]
    """Items that a reply must have, by kind: "message", "reasoning", "function_call", "tool" (a built-in
    tool that reports its progress), "item" (any); a kind is listed twice if two are needed."""
    edit: Edit

    def apply(self, value: Any, profile: Profile, pick: int = 0) -> Any:
        """A broken copy of a valid `value`; `pick`, from 0, varies where and how.

        Raises ConfigurationError if the rule cannot be broken in this value.
        """
        try:
            return self.edit(deepcopy(value), Chooser(pick), profile)
        except _NotApplicable as error:
            raise ConfigurationError(
                f"{self.rule} cannot be broken in this {self.subject}: {error}"
            ) from None


class _NotApplicable(Exception):
    """The value lacks what the edit changes."""


def not_applicable(missing: str) -> Exception:
    """The exception to raise if the value lacks what the edit changes."""
    return _NotApplicable(f"it has no {missing}")


_MUTANTS: dict[tuple[str, str], Mutant] = {}


def breaks(rule: str, *subjects: str, required_items: tuple[str, ...] = ()) -> Callable[[Edit], Edit]:
    """Register the decorated edit for a rule; a second edit for it raises ConfigurationError."""

    def register(edit: Edit) -> Edit:
        for subject in subjects:
            if (subject, rule) in _MUTANTS:
                raise ConfigurationError(f"two mutants break {rule} in a {subject}")
            _MUTANTS[subject, rule] = Mutant(rule, subject, required_items, edit)
        return edit

    return register


def find_mutant(subject: str, rule: str) -> Mutant:
    """The mutant for a rule; ConfigurationError lists the rules that can be broken there."""
    mutant = _MUTANTS.get((subject, rule))
    if mutant is None:
        if not rules_for(subject):
            subjects = choose_from(subject, (*SUBJECTS, *CHAT_SUBJECTS))
            raise ConfigurationError(f"no mutant breaks a {subject}{subjects}")
        raise ConfigurationError(
            f"no mutant breaks {rule!r} in a {subject}{choose_from(rule, rules_for(subject))}"
        )
    return mutant


def rules_for(subject: str) -> tuple[str, ...]:
    """Sorted ids of the rules that can be broken in a subject."""
    return tuple(sorted(rule for kind, rule in _MUTANTS if kind == subject))
