"""Parse a fault: `NAME[,OPTION=VALUE…][:PROBABILITY]`.

    stall,after=2                    the stream stalls after 2 events
    internal-error,first=2           a request fails twice and succeeds when it is sent a third time
    rate-429,retry-after-ms=20:0.1   one request in ten fails

Chance depends on the seed, the request and how often the same request came before, not on the order of
arrival. `first=N` counts identical requests.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from mockserver.errors import ConfigurationError
from mockserver.named_tuples import NamedTuple
from mockserver.server.delivery.faults.service_faults import ServiceFault, load_service_faults
from mockserver.slow_imports import require_import
from mockserver.suggestions import choose_from, did_you_mean

if TYPE_CHECKING:
    from mockserver.server.delivery.faults.registry import WireFault
    from mockserver.server.delivery.faults.rule_faults import RuleFault

__all__ = ["RequestedFault", "build_requested_fault", "parse_fault"]

Headers: TypeAlias = tuple[tuple[bytes, bytes], ...]

_RULE_ID = r"[A-Z]{3}-[0-9]{3}"
_HEADER_VALUE = r"[ -+\--~]{0,100}"
_PROBABILITY = r"0|1|0?\.[0-9]{1,9}|1\.0{1,9}|0\.0"
#: The largest number that an option takes: an hour of milliseconds, 64 MiB.
_MAX_OPTION_VALUE = 1 << 26


class RequestedFault(NamedTuple):
    """A fault with its options and its probability."""

    definition: ServiceFault | WireFault | RuleFault
    options: tuple[tuple[str, int], ...] = ()
    headers: Headers = ()
    """Retry headers, for faults with a status."""
    first: int | None = None
    """Apply only to the first N identical requests; None: to all."""
    probability: float = 1.0
    spec: str = ""
    """The text it was parsed from."""

    @property
    def name(self) -> str:
        return self.definition.name

    @property
    def is_unconditional(self) -> bool:
        """Whether it applies to every request, so that nothing has to be counted or drawn."""
        return self.first is None and self.probability >= 1

    def applies(self, occurrence: int, chance: float) -> bool:
        """Whether it applies to a request that came `occurrence` times before; `chance` is from 0 to 1."""
        return (self.first is None or occurrence < self.first) and chance < self.probability

    def __str__(self) -> str:
        return self.name


def parse_fault(spec: str) -> RequestedFault:
    """Parse `NAME[,OPTION=VALUE…][:PROBABILITY]`. Raises ConfigurationError."""
    name_and_options, colon, probability = spec.partition(":")
    if colon and not re.fullmatch(_PROBABILITY, probability):
        raise ConfigurationError(f"{spec!r}: a probability is a number from 0 to 1, not {probability!r}")
    name, *pairs = name_and_options.split(",")
    options: dict[str, str] = {}
    for pair in pairs:
        option, equals, value = pair.partition("=")
        if not equals:
            raise ConfigurationError(f"{spec!r}: expected OPTION=VALUE, not {pair!r}")
        if option in options:
            raise ConfigurationError(f"{spec!r}: the option {option!r} is repeated")
        options[option] = value
    fault = build_requested_fault(name, options, float(probability) if colon else 1.0)
    return fault._replace(spec=spec)


def build_requested_fault(name: str, given: Mapping[str, Any], probability: float = 1.0) -> RequestedFault:
    """Build a fault from its name and options, with `_` or `-` in their names. Raises ConfigurationError."""
    options = {key.replace("_", "-"): value for key, value in given.items()}
    if not 0 <= probability <= 1:
        raise ConfigurationError(f"{name}: a probability is a number from 0 to 1, not {probability}")
    first = _parse_whole_number(name, "first", options.pop("first")) if "first" in options else None
    return _resolve_fault(name, options)._replace(first=first, probability=probability)


def _resolve_fault(name: str, options: dict[str, Any]) -> RequestedFault:
    # All faults and what they need: only for a server that has one.
    require_import(
        "mockserver.server.delivery.faults.catalogue", "mockserver.server.delivery.faults.rule_faults"
    )
    from mockserver.server.delivery.faults.catalogue import RETRY_HEADERS, status_faults, wire_faults
    from mockserver.server.delivery.faults.rule_faults import breakable_rules, find_rule_fault

    if name in wire_faults():
        fault = wire_faults()[name]
        _require_known_options(name, options, (*fault.options, "first"))
        return RequestedFault(
            fault, tuple((each, _parse_whole_number(name, each, options[each])) for each in options)
        )
    if re.fullmatch(_RULE_ID, name):
        _require_known_options(name, options, ("pick", "first"))
        return RequestedFault(
            find_rule_fault(name),
            tuple((each, _parse_whole_number(name, each, options[each])) for each in options),
        )
    if name in status_faults():
        _require_known_options(name, options, ("status", *RETRY_HEADERS, "first"))
        status_fault = status_faults()[name]
        status = options.pop("status", status_fault.fault.status)
        return RequestedFault(
            status_fault.with_status(_parse_status(name, status)).fault,
            headers=_retry_headers(name, {**status_fault.headers, **options}),
        )
    if name in load_service_faults():
        _require_known_options(name, options, (*RETRY_HEADERS, "first"))
        return RequestedFault(load_service_faults()[name], headers=_retry_headers(name, options))
    names = (*load_service_faults(), *wire_faults(), *status_faults())
    suggestion = did_you_mean(name, (*names, *breakable_rules()))
    raise ConfigurationError(f"no fault {name!r}{suggestion or choose_from(name, (*names, 'ID of a rule'))}")


def _require_known_options(name: str, options: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for each in options:
        if each not in known:
            raise ConfigurationError(f"{name} has no option {each!r}{choose_from(each, known)}")


def _parse_whole_number(name: str, option: str, value: Any) -> int:
    number = int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value
    if type(number) is not int or not 0 <= number <= _MAX_OPTION_VALUE:
        raise ConfigurationError(
            f"{name}: {option} must be an integer from 0 to {_MAX_OPTION_VALUE}, not {value!r}"
        )
    return number


def _parse_status(name: str, value: Any) -> int:
    status = _parse_whole_number(name, "status", value)
    if not 400 <= status <= 599:
        raise ConfigurationError(f"{name}: status must be from 400 to 599, not {status}")
    return status


def _retry_headers(name: str, options: Mapping[str, Any]) -> Headers:
    from mockserver.server.delivery.faults.catalogue import RETRY_HEADERS

    headers = []
    for option, header in RETRY_HEADERS.items():
        if option in options:
            value = options[option]
            text = str(value).lower() if isinstance(value, bool) else str(value)
            if not re.fullmatch(_HEADER_VALUE, text):
                raise ConfigurationError(f"{name}: {option} cannot be {value!r}")
            headers.append((header, text.encode()))
    return tuple(headers)
