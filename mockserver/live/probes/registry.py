"""The registry of probes: id, title, expected cost, and the profiles that a probe applies to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeAlias

from mockserver.errors import ConfigurationError
from mockserver.live.probes.context import ProbeContext
from mockserver.live.spending import Spending
from mockserver.profiles import Profile
from mockserver.suggestions import choose_from

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
    input_tokens: int = 0
    """The part of `tokens` that is input."""
    tool_calls: Mapping[str, int] = field(default_factory=dict)
    """Expected calls of tools that the service runs, by type."""

    @property
    def spending(self) -> Spending:
        """The expected cost, as on a bill."""
        return Spending(self.input_tokens, self.tokens - self.input_tokens, tool_calls=self.tool_calls)


#: The modules that register probes, in the order in which the probes run: cheap ones first, tools last.
_MODULES = ("replies", "refusals", "stored_responses", "tools")

_PROBES: dict[str, Probe] = {}

#: Tokens of a request with a short prompt; a service adds its own text to it (guide, 27 January 2026: 37 and 39).
_PROMPT_TOKENS = 40


def _never_skipped(_: Profile) -> str | None:
    return None


def probe(
    id: str,  # noqa: A002 (the key in reports)
    title: str,
    *,
    requests: int = 1,
    tokens: int = 0,
    input_tokens: int | None = None,
    tool_calls: Mapping[str, int] = MappingProxyType({}),
    skip_reason: Callable[[Profile], str | None] = _never_skipped,
) -> Callable[[ProbeFunction], ProbeFunction]:
    """Register the decorated function as a probe. Raises ConfigurationError if the id is taken.

    Without `input_tokens`, its requests have short prompts.
    """

    def register(run: ProbeFunction) -> ProbeFunction:
        if id in _PROBES:
            raise ConfigurationError(f"duplicate probe id: {id}")
        given = min(tokens, requests * _PROMPT_TOKENS) if input_tokens is None else input_tokens
        _PROBES[id] = Probe(id, title, requests, tokens, skip_reason, run, given, tool_calls)
        return run

    return register


def all_probes() -> Mapping[str, Probe]:
    """Every probe by id, in the order in which they run: cheap ones first."""
    in_order = sorted(
        _PROBES.values(), key=lambda each: _MODULES.index(each.run.__module__.rpartition(".")[2])
    )
    return MappingProxyType({each.id: each for each in in_order})


def select_probes(only: Iterable[str] = (), skip: Iterable[str] = ()) -> list[Probe]:
    """The selected probes. Raises ConfigurationError with the list of probes if an id is unknown."""
    only, skip, probes = tuple(only), tuple(skip), all_probes()
    unknown = [name for name in (*only, *skip) if name not in probes]
    if unknown:
        raise ConfigurationError(f"unknown probe {unknown[0]!r}{choose_from(unknown[0], probes)}")
    return [each for name, each in probes.items() if (not only or name in only) and name not in skip]
