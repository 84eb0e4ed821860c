"""Options for the delivery of a reply: fault, pacing and chunking, and how they change it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from mockserver.errors import ConfigurationError
from mockserver.profiles import Profile
from mockserver.replies.markers import StreamFrames
from mockserver.server.delivery.chunking import apply_chunking, parse_chunking
from mockserver.server.delivery.faults import (
    OutgoingReply,
    RequestedFault,
    ServiceFault,
)
from mockserver.server.delivery.holds import Hold
from mockserver.server.delivery.pacing import apply_pace, parse_pace
from mockserver.server.delivery.steps import Step
from mockserver.server.mock_headers import FAULT_HEADER

__all__ = ["DEFAULT_DELIVERY", "INVALID_CONTENT", "MAX_DELAY_MS", "Delivery", "apply_fault", "apply_timing"]

#: The longest delay of a reply, in milliseconds.
MAX_DELAY_MS = 600_000
#: In `x-mock-fault`: the content of the reply is invalid on purpose.
INVALID_CONTENT = "invalid"


@dataclass(frozen=True, slots=True)
class Delivery:
    """Options for sending a reply; None: the session's default."""

    fault: RequestedFault | None = None
    pace: str | None = None
    chunking: str | None = None
    delay_ms: float = 0
    """Milliseconds before the head of the reply."""
    invalid: bool = False
    """Whether the content may break the contract, because a test asks for it."""
    template: bool = False
    """Whether the content has placeholders, which the values of the request fill."""
    hold: Hold | None = None
    """Keeps the reply back until a test lets it go."""

    def __post_init__(self) -> None:
        if self.pace is not None:
            parse_pace(self.pace)
        if self.chunking is not None:
            parse_chunking(self.chunking)
        if type(self.delay_ms) not in (int, float) or not 0 <= self.delay_ms <= MAX_DELAY_MS:
            raise ConfigurationError(
                f"delay_ms must be a number from 0 to {MAX_DELAY_MS}, not {self.delay_ms!r}"
            )
        if type(self.invalid) is not bool:
            raise ConfigurationError(f"invalid must be true or false, not {self.invalid!r}")
        if type(self.template) is not bool:
            raise ConfigurationError(f"template must be true or false, not {self.template!r}")

    def with_defaults(self, defaults: Delivery) -> Delivery:
        """Return these options, with `defaults` for those that are None."""
        return Delivery(
            self.fault or defaults.fault,
            defaults.pace if self.pace is None else self.pace,
            defaults.chunking if self.chunking is None else self.chunking,
            self.delay_ms,
            self.invalid,
            self.template,
            self.hold,
        )

    @property
    def is_immediate(self) -> bool:
        """Whether the reply is sent unchanged and at once, event by event or in one piece."""
        return (
            self.chunking in (None, "event", "coalesced")
            and self.fault is None
            and self.pace in (None, "none")
            and not self.delay_ms
            and self.hold is None
        )


#: No options.
DEFAULT_DELIVERY = Delivery()


def apply_fault(
    outgoing: OutgoingReply,
    requested_fault: RequestedFault,
    profile: Profile,
    default_pick: int,
    request_value: dict[str, Any] | None = None,
) -> OutgoingReply:
    """Inject a wire fault or a rule fault into a reply, and name it in the reply's headers.

    Raises ConfigurationError if the fault cannot apply to this reply.
    """
    fault = requested_fault.definition
    if isinstance(fault, ServiceFault):
        raise TypeError("a service error replaces the reply and cannot be injected into it")
    from mockserver.server.delivery.faults.rule_faults import RuleFault

    options = dict(requested_fault.options)
    if isinstance(fault, RuleFault):
        outgoing = fault.apply(outgoing, profile, options.get("pick", default_pick), request_value)
    else:
        if not fault.can_break(stream=outgoing.stream):
            kind = "streams" if fault.target == "stream" else "bodies"
            raise ConfigurationError(f"{fault.name} applies only to {kind}")
        outgoing = fault.apply(outgoing, options)
    header = (FAULT_HEADER, requested_fault.name.encode())
    invalid = (FAULT_HEADER, INVALID_CONTENT.encode())
    if invalid not in outgoing.headers:
        return outgoing._replace(headers=(*outgoing.headers, header))
    others = (each for each in outgoing.headers if each != invalid)
    both = (FAULT_HEADER, b"%b, %b" % (invalid[1], header[1]))
    return outgoing._replace(headers=(*others, both))


def apply_timing(
    steps: Iterable[Step], pieces: Sequence[bytes], delivery: Delivery, seed: bytes
) -> Iterable[Step]:
    """Apply holding, pacing and chunking to the steps that send the pieces, lazily.

    What is random follows from the seed.
    """
    number = int.from_bytes(blake2b(seed, digest_size=8).digest(), "big")
    pace, chunking = parse_pace(delivery.pace or "none"), parse_chunking(delivery.chunking or "event")
    if delivery.hold is not None:
        steps = delivery.hold.apply(steps)
    if pace is not None:
        counts = (
            pieces.template.token_counts if isinstance(pieces, StreamFrames) and pace.per_token_ms else None
        )
        steps = apply_pace(steps, pace, number, counts)
    if chunking is not None:
        steps = apply_chunking(steps, chunking, number)
    return steps
