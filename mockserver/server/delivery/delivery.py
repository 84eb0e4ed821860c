"""Delivery: how an answer goes out: what is broken about it, how it is cut, and how fast it comes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

from mockserver.errors import ConfigurationError
from mockserver.profiles import Profile
from mockserver.server.delivery.chunking import apply_chunking, parse_chunking
from mockserver.server.delivery.faults import (
    OutgoingReply,
    RequestedFault,
    RuleFault,
    ServiceFault,
)
from mockserver.server.delivery.pacing import apply_pace, parse_pace
from mockserver.server.mock_headers import FAULT_HEADER

__all__ = ["DEFAULT_DELIVERY", "Delivery", "apply_fault", "apply_timing"]


@dataclass(frozen=True, slots=True)
class Delivery:
    """What was said of how an answer goes out; None: as the session has it."""

    fault: RequestedFault | None = None
    pace: str | None = None
    chunking: str | None = None

    def __post_init__(self) -> None:
        if self.pace is not None:
            parse_pace(self.pace)
        if self.chunking is not None:
            parse_chunking(self.chunking)

    def with_defaults(self, defaults: Delivery) -> Delivery:
        """This one, and `other` where it says nothing."""
        return Delivery(
            self.fault or defaults.fault,
            defaults.pace if self.pace is None else self.pace,
            defaults.chunking if self.chunking is None else self.chunking,
        )

    @property
    def is_immediate(self) -> bool:
        """Whether the answer goes out as it is: at once, one write an event."""
        return self.fault is None and self.pace in (None, "none") and self.chunking in (None, "event")


#: Nothing was said.
DEFAULT_DELIVERY = Delivery()


def apply_fault(
    outgoing: OutgoingReply,
    requested_fault: RequestedFault,
    profile: Profile,
    default_pick: int,
    request_value: dict[str, Any] | None = None,
) -> OutgoingReply:
    """The answer to a request with a fault of the wire, or with a rule broken, as its head tells.

    ConfigurationError where the answer has no place for it.
    """
    what = requested_fault.definition
    if isinstance(what, ServiceFault):
        raise TypeError("an error of the service is an answer of its own")
    options = dict(requested_fault.options)
    if isinstance(what, RuleFault):
        outgoing = what.apply(outgoing, profile, options.get("pick", default_pick), request_value)
    else:
        if not what.can_break(stream=outgoing.stream):
            kind = "streams" if what.target == "stream" else "bodies"
            raise ConfigurationError(f"{what.name} breaks {kind} alone")
        outgoing = what.apply(outgoing, options)
    return replace(outgoing, headers=(*outgoing.headers, (FAULT_HEADER, requested_fault.name.encode())))


def apply_timing(outgoing: OutgoingReply, delivery: Delivery, seed: bytes) -> OutgoingReply:
    """The answer with its pauses and its cuts, which follow from the seed."""
    number = int.from_bytes(blake2b(seed, digest_size=8).digest(), "big")
    steps = outgoing.steps
    pace, chunking = parse_pace(delivery.pace or "none"), parse_chunking(delivery.chunking or "event")
    if pace is not None:
        steps = tuple(apply_pace(steps, pace, number))
    if chunking is not None:
        steps = tuple(apply_chunking(steps, chunking, number))
    return replace(outgoing, steps=steps)
