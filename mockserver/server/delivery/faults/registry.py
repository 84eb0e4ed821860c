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
from mockserver.server.delivery.steps import Close, Raw, Reset, Send, Step

__all__ = [
    "DEFAULT_AFTER",
    "WIRE_FAULTS",
    "Options",
    "OutgoingReply",
    "WireFault",
    "body_pieces",
    "break_index",
    "wire_fault",
]

Options: TypeAlias = Mapping[str, int]

#: Events that are sent before a stream breaks, where nobody says how many.
DEFAULT_AFTER = 3


@dataclass(frozen=True, slots=True)
class OutgoingReply:
    """An answer on its way out: its head, and the steps of its body, for a stream one `Send` an event."""

    status: int
    """0: nothing of HTTP is sent but what the steps say."""
    headers: tuple[tuple[bytes, bytes], ...]
    steps: tuple[Step, ...]
    stream: bool

    @property
    def needs_content_length(self) -> bool:
        """Whether the body comes to its end and nothing yet says how long it is."""
        ends = not any(isinstance(step, Raw | Reset | Close) for step in self.steps)
        return ends and all(name != b"content-length" for name, _ in self.headers)


Edit: TypeAlias = Callable[[OutgoingReply, Options], OutgoingReply]


@dataclass(frozen=True, slots=True)
class WireFault:
    """One fault of the wire."""

    name: str
    summary: str
    """One line."""
    target: str
    """What it can break: "stream", "body", or "any" of the two."""
    edit: Edit
    options: Options = field(default_factory=dict)
    """Whole numbers that it takes, with their defaults."""

    def can_break(self, *, stream: bool) -> bool:
        """Whether it can break such an answer."""
        return self.target in ("any", "stream" if stream else "body")

    def apply(self, outgoing: OutgoingReply, options: Options) -> OutgoingReply:
        """The broken answer."""
        return self.edit(outgoing, {**self.options, **options})


#: All faults of the wire by name.
WIRE_FAULTS: dict[str, WireFault] = {}


def wire_fault(name: str, *, target: str = "any", **options: int) -> Callable[[Edit], Edit]:
    """Register the decorated edit; its docstring is the summary. ConfigurationError for a name twice."""

    def register(edit: Edit) -> Edit:
        if name in WIRE_FAULTS:
            raise ConfigurationError(f"two faults have the name {name}")
        summary = (edit.__doc__ or "").strip()
        WIRE_FAULTS[name] = WireFault(name, summary, target, edit, MappingProxyType(options))
        return edit

    return register


def body_pieces(outgoing: OutgoingReply) -> list[bytes]:
    """The pieces of the body: for a stream its events."""
    return [step.data for step in outgoing.steps if isinstance(step, Send)]


def break_index(pieces: list[bytes], options: Options) -> int:
    """How many events come before something breaks: never all of them."""
    return min(options["after"], len(pieces) - 1)
