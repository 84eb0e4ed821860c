"""The registry of wire faults: pure functions that turn a reply into a broken one.

To add a fault, decorate a function in `connections` or `streams` with `wire_fault`. The command line, the
header, the Python API and exchange files then accept its name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

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

#: Default of the option `after`: events that are sent before a stream breaks.
DEFAULT_AFTER = 3


class OutgoingReply(NamedTuple):
    """A reply before it is sent: its head, and the steps of its body; in a stream one `Send` per event."""

    status: int
    """0: send no head, only the steps."""
    headers: tuple[tuple[bytes, bytes], ...]
    steps: tuple[Step, ...]
    stream: bool

    @property
    def needs_content_length(self) -> bool:
        """Whether the body is complete and its length not yet in the headers."""
        ends = not any(isinstance(step, Raw | Reset | Close) for step in self.steps)
        return ends and all(name != b"content-length" for name, _ in self.headers)


Edit: TypeAlias = Callable[[OutgoingReply, Options], OutgoingReply]


class WireFault(NamedTuple):
    """A fault of a connection, a body or a stream."""

    name: str
    summary: str
    """One line."""
    target: str
    """What it applies to: "stream", "body" or "any"."""
    edit: Edit
    options: Options = MappingProxyType({})
    """Its options, which are integers, with their defaults."""

    def can_break(self, *, stream: bool) -> bool:
        """Whether it applies to streams, or to bodies."""
        return self.target in ("any", "stream" if stream else "body")

    def apply(self, outgoing: OutgoingReply, options: Options) -> OutgoingReply:
        """Return the broken reply."""
        return self.edit(outgoing, {**self.options, **options})


#: All wire faults by name.
WIRE_FAULTS: dict[str, WireFault] = {}


def wire_fault(name: str, *, target: str = "any", **options: int) -> Callable[[Edit], Edit]:
    """Register the decorated edit; its docstring is the summary. Raises ConfigurationError."""

    def register(edit: Edit) -> Edit:
        if name in WIRE_FAULTS:
            raise ConfigurationError(f"two faults have the name {name}")
        summary = (edit.__doc__ or "").strip()
        WIRE_FAULTS[name] = WireFault(name, summary, target, edit, MappingProxyType(options))
        return edit

    return register


def body_pieces(outgoing: OutgoingReply) -> list[bytes]:
    """Return the pieces of the body: in a stream, its events."""
    return [step.data for step in outgoing.steps if isinstance(step, Send)]


def break_index(pieces: list[bytes], options: Options) -> int:
    """Return how many events come before the fault, at most all but one."""
    return min(options["after"], len(pieces) - 1)
