"""The length of generated replies: as texts come, drawn from a distribution, or as long as a request allows."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import TYPE_CHECKING, Any

from mockserver.errors import ConfigurationError
from mockserver.named_tuples import NamedTuple

if TYPE_CHECKING:
    from mockserver.server.distributions import Distribution

__all__ = ["OutputLength", "parse_output_tokens"]

#: The most tokens of a generated reply: its last event repeats all of them.
_MAX_TOKENS = 16_384
#: Distinct lengths and texts of replies that one distribution leads to: each is rendered once, and kept.
_VARIANTS = 128


class OutputLength(NamedTuple):
    """How many tokens generated replies have."""

    distribution: Distribution | None
    """None: as many as `max_output_tokens` of the request."""

    def choose(self, body: Mapping[str, Any], text_seed: int) -> tuple[int, int] | None:
        """(tokens, seed of the text) for a request; None: the usual text."""
        variant = text_seed % _VARIANTS
        if self.distribution is not None:
            return max(1, round(self.distribution.draw(Random(variant)))), variant
        limit = body.get("max_output_tokens")
        # A profile that ignores the parameter lets any value pass.
        return (min(limit, _MAX_TOKENS), variant) if type(limit) is int and limit > 0 else None


def parse_output_tokens(text: str) -> OutputLength | None:
    """Parse `usual` (None), `max`, or a distribution. Raises ConfigurationError."""
    if text == "usual":
        return None
    if text == "max":
        return OutputLength(None)
    from mockserver.server.distributions import parse_distribution

    distribution = parse_distribution(text, "output tokens, if not usual or max")
    if not 1 <= distribution.highest <= _MAX_TOKENS or distribution.center < 1:
        raise ConfigurationError(f"output tokens: {text!r}: a reply has from 1 to {_MAX_TOKENS} tokens")
    return OutputLength(distribution)
