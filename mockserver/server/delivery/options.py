"""Options for the delivery of a reply: fault, pacing and chunking. Loads what they need when a reply has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mockserver.errors import ConfigurationError

if TYPE_CHECKING:
    from mockserver.server.delivery.faults import RequestedFault
    from mockserver.server.delivery.holds import Hold

__all__ = ["DEFAULT_DELIVERY", "INVALID_CONTENT", "MAX_DELAY_MS", "Delivery"]

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
        if self.pace not in (None, "none"):
            from mockserver.server.delivery.pacing import parse_pace

            parse_pace(self.pace)
        if self.chunking not in (None, "event", "coalesced"):
            from mockserver.server.delivery.chunking import parse_chunking

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
