"""The effects of delivery options on a reply: its fault, its pauses and its chunks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Any

from mockserver.errors import ConfigurationError
from mockserver.profiles import Profile
from mockserver.replies.markers import StreamFrames
from mockserver.server.delivery.chunking import apply_chunking, parse_chunking
from mockserver.server.delivery.faults import RequestedFault, ServiceFault
from mockserver.server.delivery.faults.registry import OutgoingReply
from mockserver.server.delivery.options import INVALID_CONTENT, Delivery
from mockserver.server.delivery.pacing import apply_pace, parse_pace
from mockserver.server.delivery.steps import Step
from mockserver.server.mock_headers import FAULT_HEADER

__all__ = ["apply_fault", "apply_timing"]


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

    Random choices follow from the seed.
    """
    number = int.from_bytes(blake2b(seed, digest_size=8).digest(), "big")
    pace, chunking = parse_pace(delivery.pace or "none"), parse_chunking(delivery.chunking or "event")
    if delivery.hold is not None:
        steps = delivery.hold.apply(steps)
    if pace is not None:
        counts = pieces.token_counts if isinstance(pieces, StreamFrames) and pace.per_token_ms else None
        steps = apply_pace(steps, pace, number, counts)
    if chunking is not None:
        steps = apply_chunking(steps, chunking, number)
    return steps
