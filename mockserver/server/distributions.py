"""Random numbers for load tests: `300`, `uniform(200,400)`, `normal(50,8)`, `lognormal(300,0.4)`.

constant(X), or X        always X
uniform(LOW,HIGH)        any number from LOW to HIGH, each as likely
normal(MEAN,DEVIATION)   the normal distribution
lognormal(MEDIAN,SIGMA)  numbers whose logarithm is normal, with standard deviation SIGMA: latencies often are

A number drawn below a tenth of the mean or median counts as that tenth, and one above ten times as ten times: the
tails of a normal distribution are negative, and those of a lognormal one endless.
"""

from __future__ import annotations

import re
from functools import lru_cache
from math import log
from random import Random
from typing import NamedTuple

from mockserver.errors import ConfigurationError
from mockserver.suggestions import choose_from

__all__ = ["Distribution", "parse_distribution"]

_NUMBER = r"[0-9]{1,6}(?:\.[0-9]{1,3})?"
_CALL = r" *([A-Za-z]+) *\(([^()]*)\) *"
_PARAMETERS = {
    "constant": ("X",),
    "uniform": ("LOW", "HIGH"),
    "normal": ("MEAN", "DEVIATION"),
    "lognormal": ("MEDIAN", "SIGMA"),
}
_MAX_SIGMA = 3
#: How far from the mean or the median a drawn number may be, as a factor.
_MAX_FACTOR = 10


class Distribution(NamedTuple):
    """A distribution of positive numbers, or of zero alone."""

    kind: str
    first: float
    second: float = 0

    @property
    def center(self) -> float:
        """The mean; of a lognormal distribution the median."""
        return (self.first + self.second) / 2 if self.kind == "uniform" else self.first

    @property
    def lowest(self) -> float:
        """The smallest number that can be drawn."""
        return self.first / _MAX_FACTOR if self.kind in ("normal", "lognormal") else self.first

    @property
    def highest(self) -> float:
        """The largest number that can be drawn."""
        if self.kind == "constant":
            return self.first
        return self.second if self.kind == "uniform" else self.first * _MAX_FACTOR

    def draw(self, random: Random) -> float:
        """Draw a number; a constant leaves the state of `random` as it is."""
        first, second = self.first, self.second
        if self.kind == "constant":
            return first
        if self.kind == "uniform":
            return random.uniform(first, second)
        number = (
            random.gauss(first, second)
            if self.kind == "normal"
            else random.lognormvariate(log(first), second)
        )
        return min(max(number, self.lowest), self.highest)


@lru_cache(maxsize=256)
def parse_distribution(text: str, source: str) -> Distribution:
    """Parse a distribution; `source` names it in an error. Raises ConfigurationError."""
    if re.fullmatch(_NUMBER, text):
        return Distribution("constant", float(text))
    match = re.fullmatch(_CALL, text)
    if match is None:
        raise ConfigurationError(
            f"{source}: expected a number or a distribution such as normal(50,8), not {text!r}"
        )
    kind, arguments = match[1], [each.strip() for each in match[2].split(",")]
    if kind not in _PARAMETERS:
        raise ConfigurationError(f"{source}: no distribution {kind!r}{choose_from(kind, _PARAMETERS)}")
    names = _PARAMETERS[kind]
    if len(arguments) != len(names) or not all(re.fullmatch(_NUMBER, each) for each in arguments):
        raise ConfigurationError(f"{source}: expected {kind}({','.join(names)}) with numbers, not {text!r}")
    distribution = Distribution(kind, *map(float, arguments))
    if reason := _why_unusable(distribution):
        raise ConfigurationError(f"{source}: {text!r}: {reason}")
    return distribution


def _why_unusable(distribution: Distribution) -> str:
    kind, first, second = distribution
    if kind == "uniform" and first > second:
        return "LOW must not be above HIGH"
    if kind in ("normal", "lognormal") and first == 0:
        return f"{_PARAMETERS[kind][0]} must be above 0"
    if kind == "lognormal" and second > _MAX_SIGMA:
        return f"SIGMA must be from 0 to {_MAX_SIGMA}"
    return ""
