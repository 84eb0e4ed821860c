"""Everything this package raises, in one tree.

MockServerError
├── ConfigurationError (also ValueError)   a setting or argument that can not be used
├── UnknownProfile (also LookupError)      no profile of that name
├── UnknownSchema (also LookupError)       no schema of that name in a profile
├── InvalidJSON (also ValueError)          bytes that are not one JSON value within the limits
├── EventTooLarge (also ValueError)        one server-sent event beyond the size limit
├── InvalidExchange (also ValueError)      an exchange file that breaks the format
├── Unsatisfiable (also ValueError)        a JSON Schema no value can be drawn for
├── LiveError                              a live endpoint that can not be asked
└── StartError                             a server that did not start, or died

ContractError (AssertionError)             the contract was broken: carries the findings
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = [
    "ConfigurationError",
    "ContractError",
    "EventTooLarge",
    "InvalidExchange",
    "InvalidJSON",
    "LiveError",
    "MockServerError",
    "StartError",
    "UnknownProfile",
    "UnknownSchema",
    "UnsatisfiableSchema",
]


class MockServerError(Exception):
    """Root of every error this package raises on its own account."""


class ConfigurationError(MockServerError, ValueError):
    """A setting, option or argument can not be used; the message says which and why."""


class UnknownProfile(MockServerError, LookupError):
    """No profile has this name; the message lists those that exist."""


class UnknownSchema(MockServerError, LookupError):
    """A profile has no schema of this name; the message lists those it has."""


class InvalidJSON(MockServerError, ValueError):
    """Bytes are not one JSON value within the limits; `offset` is in bytes, or None."""

    def __init__(self, reason: str, offset: int | None = None) -> None:
        super().__init__(reason if offset is None else f"{reason} (byte {offset})")
        self.reason = reason
        self.offset = offset


class EventTooLarge(MockServerError, ValueError):
    """One server-sent event is longer than `limit` bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"an event is longer than {limit} bytes")
        self.limit = limit


class InvalidExchange(MockServerError, ValueError):
    """An exchange file breaks the format; the message names the file and the JSON pointer."""

    def __init__(self, file: str, pointer: str, reason: str) -> None:
        super().__init__(f"{file}{'#' + pointer if pointer else ''}: {reason}")
        self.file = file
        self.pointer = pointer
        self.reason = reason


class UnsatisfiableSchema(MockServerError, ValueError):
    """No value can be drawn for a JSON Schema; `pointer` names the keyword at fault."""

    def __init__(self, pointer: str, reason: str) -> None:
        super().__init__(f"{pointer or '/'}: {reason}")
        self.pointer = pointer
        self.reason = reason


class LiveError(MockServerError):
    """A live endpoint can not be asked: it is not reached, or refuses the key; no key is in the message."""


class StartError(MockServerError):
    """The server did not start, or its thread ended; the message says why."""


class ContractError(AssertionError):
    """The contract was broken: `findings` says where, by which rule, expected and got."""

    def __init__(self, findings: Sequence[Any], title: str = "the contract was broken") -> None:
        lines = "\n".join(f"  {finding}" for finding in findings)
        super().__init__(f"{title}:\n{lines}")
        self.findings = tuple(findings)
