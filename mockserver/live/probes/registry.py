"""The registry of probes: id, title, expected cost, and the profiles that a probe applies to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

from mockserver.errors import ConfigurationError
from mockserver.live.probes.context import ProbeContext
from mockserver.profiles import Profile

__all__ = ["Probe", "all_probes", "probe", "select_probes"]

ProbeFunction: TypeAlias = Callable[[ProbeContext], None]


@dataclass(frozen=True, slots=True)
class Probe:
    """One question to an endpoint."""

    id: str
    title: str
    """What a passing probe shows, in a few words."""
    requests: int
    """Number of requests it sends to an endpoint that keeps the contract."""
    tokens: int
    """Expected cost of these requests in tokens, input and output."""
    skip_reason: Callable[[Profile], str | None]
    """Why the probe does not apply to a profile; None if it does."""
    run: ProbeFunction


_PROBES: dict[str, Probe] = {}


def _never_skipped(_: Profile) -> str | None:
    return None


def probe(
    id: str,  # noqa: A002 (the key in reports)
    title: str,
    *,
    requests: int = 1,
    tokens: int = 0,
    skip_reason: Callable[[Profile], str | None] = _never_skipped,
) -> Callable[[ProbeFunction], ProbeFunction]:
    """Register the decorated function as a probe. Raises ConfigurationError if the id is taken."""

    def register(run: ProbeFunction) -> ProbeFunction:
        if id in _PROBES:
            raise ConfigurationError(f"duplicate probe id: {id}")
        _PROBES[id] = Probe(id, title, requests, tokens, skip_reason, run)
        return run

    return register


def all_probes() -> Mapping[str, Probe]:
    """Every probe by id, in the order in which they run: cheap ones first."""
    return MappingProxyType(_PROBES)


def select_probes(only: Iterable[str] = (), skip: Iterable[str] = ()) -> list[Probe]:
    """The selected probes. Raises ConfigurationError with the list of probes if an id is unknown."""
    only, skip = tuple(only), tuple(skip)
    unknown = [name for name in (*only, *skip) if name not in _PROBES]
    if unknown:
        raise ConfigurationError(f"unknown probe {unknown[0]!r}; the probes are: {', '.join(_PROBES)}")
    return [each for name, each in _PROBES.items() if (not only or name in only) and name not in skip]
