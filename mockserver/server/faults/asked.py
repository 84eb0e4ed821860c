"""How a fault is asked for: `NAME[,OPTION=VALUE…][:PROBABILITY]`.

    stall,after=2            an event fewer than that, and nothing more comes
    internal-error,first=2   a request fails twice, and succeeds when it is sent once more
    rate-429,retry-after-ms=20:0.1   one request in ten

Whether a probability comes true depends on the seed, the request and how often it came before, never on
the order of arrival. `first=N` counts the very same request.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from mockserver.errors import ConfigurationError
from mockserver.server.faults.catalogue import RETRY_HEADERS, status_faults, wire_faults
from mockserver.server.faults.errors import Fault, load_faults
from mockserver.server.faults.registry import WireFault
from mockserver.server.faults.violations import Violation, find_violation

__all__ = ["AskedFault", "asked_fault", "parse_fault"]

Headers: TypeAlias = tuple[tuple[bytes, bytes], ...]

_RULE = re.compile(r"[A-Z]{3}-[0-9]{3}")
_VALUE = re.compile(r"[ -+\--~]{0,100}")
_PROBABILITY = re.compile(r"0|1|0?\.[0-9]{1,9}|1\.0{1,9}|0\.0")
#: The largest number that an option takes: an hour of milliseconds, 64 MiB.
_MOST = 1 << 26


@dataclass(frozen=True, slots=True)
class AskedFault:
    """A fault with all that was said about it."""

    what: Fault | WireFault | Violation
    options: tuple[tuple[str, int], ...] = ()
    headers: Headers = ()
    """Headers about asking again, for faults with a status of their own."""
    first: int | None = None
    """Only this often for the very same request; None: always."""
    probability: float = 1.0
    said: str = field(default="", compare=False)
    """The text that it was asked for with."""

    @property
    def name(self) -> str:
        return self.what.name

    @property
    def always(self) -> bool:
        """Whether it breaks every request, so that nothing has to be counted or drawn."""
        return self.first is None and self.probability >= 1

    def strikes(self, occurrence: int, chance: float) -> bool:
        """Whether it breaks a request that came `occurrence` times before; `chance` is from 0 to 1."""
        return (self.first is None or occurrence < self.first) and chance < self.probability

    def __str__(self) -> str:
        return self.name


def parse_fault(text: str) -> AskedFault:
    """What `NAME[,OPTION=VALUE…][:PROBABILITY]` asks for; ConfigurationError says what is wrong with it."""
    spec, colon, odds = text.partition(":")
    if colon and not _PROBABILITY.fullmatch(odds):
        raise ConfigurationError(f"{text!r}: a probability is from 0 to 1, not {odds!r}")
    name, *pairs = spec.split(",")
    given = {}
    for pair in pairs:
        option, equals, value = pair.partition("=")
        if not equals or option in given:
            raise ConfigurationError(f"{text!r}: {pair!r} is no OPTION=VALUE, or there twice")
        given[option] = value
    return replace(asked_fault(name, given, float(odds) if colon else 1.0), said=text)


def asked_fault(name: str, given: Mapping[str, Any], probability: float = 1.0) -> AskedFault:
    """A fault by name with options by name, in which `_` stands for `-`; ConfigurationError."""
    options = {key.replace("_", "-"): value for key, value in given.items()}
    if not 0 <= probability <= 1:
        raise ConfigurationError(f"{name}: a probability is from 0 to 1, not {probability}")
    first = _whole(name, "first", options.pop("first")) if "first" in options else None
    asked = _found(name, options)
    return replace(asked, first=first, probability=probability)


def _found(name: str, options: dict[str, Any]) -> AskedFault:
    if name in wire_faults():
        fault = wire_faults()[name]
        _require_known(name, options, (*fault.options, "first"))
        return AskedFault(fault, tuple((each, _whole(name, each, options[each])) for each in options))
    if _RULE.fullmatch(name):
        _require_known(name, options, ("pick", "first"))
        return AskedFault(
            find_violation(name), tuple((each, _whole(name, each, options[each])) for each in options)
        )
    if name in status_faults():
        _require_known(name, options, ("status", *RETRY_HEADERS, "first"))
        composed = status_faults()[name]
        status = options.pop("status", composed.error.status)
        return AskedFault(
            composed.with_status(_status(name, status)).error,
            headers=_retry_headers(name, {**composed.headers, **options}),
        )
    if name in load_faults():
        _require_known(name, options, (*RETRY_HEADERS, "first"))
        return AskedFault(load_faults()[name], headers=_retry_headers(name, options))
    known = ", ".join((*load_faults(), *wire_faults(), *status_faults()))
    raise ConfigurationError(f"no fault {name!r}; there are: {known}; and the id of any rule to break")


def _require_known(name: str, options: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for each in options:
        if each not in known:
            raise ConfigurationError(f"{name} has no option {each!r}; it has: {', '.join(known)}")


def _whole(name: str, option: str, value: Any) -> int:
    number = int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value
    if type(number) is not int or not 0 <= number <= _MOST:
        raise ConfigurationError(f"{name}: {option} is a whole number from 0 to {_MOST}, not {value!r}")
    return number


def _status(name: str, value: Any) -> int:
    status = _whole(name, "status", value)
    if not 400 <= status <= 599:
        raise ConfigurationError(f"{name}: status is from 400 to 599, not {status}")
    return status


def _retry_headers(name: str, options: Mapping[str, Any]) -> Headers:
    headers = []
    for option, header in RETRY_HEADERS.items():
        if option in options:
            value = options[option]
            text = str(value).lower() if isinstance(value, bool) else str(value)
            if not _VALUE.fullmatch(text):
                raise ConfigurationError(f"{name}: {option} can not be {value!r}")
            headers.append((header, text.encode()))
    return tuple(headers)
