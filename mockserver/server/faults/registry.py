"""Where faults of the wire are registered: pure functions from an answer on its way to a broken one.

To add one, decorate a function in `connections` or `streams`: it is then known to the command line, the
header, the Python API and the exchange files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeAlias

from mockserver.errors import ConfigurationError
from mockserver.server.steps import Close, Raw, Reset, Send, Step

__all__ = ["AFTER", "REGISTERED", "Options", "Outgoing", "WireFault", "bodies", "cut_place", "wire_fault"]

Options: TypeAlias = Mapping[str, int]

#: Events that are sent before a stream breaks, where nobody says how many.
AFTER = 3


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An answer on its way out: its head, and the steps of its body, for a stream one `Send` an event."""

    status: int
    """0: nothing of HTTP is sent but what the steps say."""
    headers: tuple[tuple[bytes, bytes], ...]
    steps: tuple[Step, ...]
    stream: bool

    @property
    def is_whole(self) -> bool:
        """Whether the body comes to its end and nothing yet says how long it is."""
        ends = not any(isinstance(step, Raw | Reset | Close) for step in self.steps)
        return ends and all(name != b"content-length" for name, _ in self.headers)


Edit: TypeAlias = Callable[[Outgoing, Options], Outgoing]


@dataclass(frozen=True, slots=True)
class WireFault:
    """One fault of the wire."""

    name: str
    summary: str
    """One line."""
    on: str
    """What it can break: "stream", "body", or "any" of the two."""
    edit: Edit
    options: Options = field(default_factory=dict)
    """Whole numbers that it takes, with their defaults."""

    def fits(self, *, stream: bool) -> bool:
        """Whether it can break such an answer."""
        return self.on in ("any", "stream" if stream else "body")

    def apply(self, outgoing: Outgoing, given: Options) -> Outgoing:
        """The broken answer."""
        return self.edit(outgoing, {**self.options, **given})


#: All faults of the wire by name.
REGISTERED: dict[str, WireFault] = {}


def wire_fault(name: str, *, on: str = "any", **options: int) -> Callable[[Edit], Edit]:
    """Register the decorated edit; its docstring is the summary. ConfigurationError for a name twice."""

    def register(edit: Edit) -> Edit:
        if name in REGISTERED:
            raise ConfigurationError(f"two faults have the name {name}")
        summary = (edit.__doc__ or "").strip()
        REGISTERED[name] = WireFault(name, summary, on, edit, MappingProxyType(options))
        return edit

    return register


def bodies(outgoing: Outgoing) -> list[bytes]:
    """The pieces of the body: for a stream its events."""
    return [step.data for step in outgoing.steps if isinstance(step, Send)]


def cut_place(pieces: list[bytes], options: Options) -> int:
    """How many events come before something breaks: never all of them."""
    return min(options["after"], len(pieces) - 1)
