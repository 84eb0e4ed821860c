"""The probes by name: what each asks, of which profiles, and what it is expected to cost."""

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
    """One question to the endpoint."""

    id: str
    title: str
    """What holds where it passes, in a few words."""
    requests: int
    """How many it sends where all goes well."""
    tokens: int
    """About what they cost together, input and output."""
    skip_reason: Callable[[Profile], str | None]
    """Why a profile can not be asked; None where it can."""
    run: ProbeFunction


_PROBES: dict[str, Probe] = {}


def _never_skipped(_: Profile) -> str | None:
    return None


def probe(
    id: str,  # noqa: A002 (its name in every report)
    title: str,
    *,
    requests: int = 1,
    tokens: int = 0,
    skip_reason: Callable[[Profile], str | None] = _never_skipped,
) -> Callable[[ProbeFunction], ProbeFunction]:
    """Register the decorated function as a probe; ConfigurationError where its id is taken."""

    def register(run: ProbeFunction) -> ProbeFunction:
        if id in _PROBES:
            raise ConfigurationError(f"two probes are called {id}")
        _PROBES[id] = Probe(id, title, requests, tokens, skip_reason, run)
        return run

    return register


def all_probes() -> Mapping[str, Probe]:
    """Every probe by id, in the order in which they are run: cheap ones first."""
    return MappingProxyType(_PROBES)


def select_probes(only: Iterable[str] = (), skip: Iterable[str] = ()) -> list[Probe]:
    """The probes that were asked for; ConfigurationError lists those there are."""
    only, skip = tuple(only), tuple(skip)
    unknown = [name for name in (*only, *skip) if name not in _PROBES]
    if unknown:
        raise ConfigurationError(f"there is no probe {unknown[0]!r}; there are: {', '.join(_PROBES)}")
    return [each for name, each in _PROBES.items() if (not only or name in only) and name not in skip]
