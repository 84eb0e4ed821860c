"""Every exception this package raises.

MockServerError
├── ConfigurationError (also ValueError)    an invalid setting, option or argument
├── UnknownProfile (also LookupError)       no profile has this name
├── UnknownSchema (also LookupError)        the profile has no schema of this name
├── InvalidJSON (also ValueError)           not a single JSON value within the limits
├── EventTooLarge (also ValueError)         a server-sent event exceeds the size limit
├── BodyTooLarge (also ValueError)          a body exceeds the size limit
├── InvalidEncoding (also ValueError)       a body is not encoded as its header says
├── UnsupportedEncoding (also ValueError)   a body has a content coding that cannot be decoded
├── InvalidExchange (also ValueError)       an exchange file is invalid
├── UnsatisfiableSchema (also ValueError)   no value satisfies a JSON Schema
├── LiveError                               a live endpoint cannot be used
├── MissingPackage (also ImportError)       an optional package is not installed
└── StartError                              the server did not start, or its thread ended

ContractError (AssertionError)              a contract violation, with its findings
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

__all__ = [
    "BodyTooLarge",
    "ConfigurationError",
    "ContractError",
    "EventTooLarge",
    "InvalidEncoding",
    "InvalidExchange",
    "InvalidJSON",
    "LiveError",
    "MissingPackage",
    "MockServerError",
    "StartError",
    "UnknownProfile",
    "UnknownSchema",
    "UnsatisfiableSchema",
    "UnsupportedEncoding",
    "install_command",
    "optional_packages",
]


class MockServerError(Exception):
    """Base class of this package's errors."""


class ConfigurationError(MockServerError, ValueError):
    """A setting, option or argument is invalid; the message says which and why."""


class UnknownProfile(MockServerError, LookupError):
    """No profile has this name; the message lists the names."""


class UnknownSchema(MockServerError, LookupError):
    """The profile has no schema of this name; the message lists the names."""


class InvalidJSON(MockServerError, ValueError):
    """The input is not a single JSON value within the limits; `offset` is in bytes, or None."""

    def __init__(self, reason: str, offset: int | None = None) -> None:
        super().__init__(reason if offset is None else f"{reason} (byte {offset})")
        self.reason = reason
        self.offset = offset


class EventTooLarge(MockServerError, ValueError):
    """A server-sent event is longer than `limit` bytes; `frames` come before it in the same chunk."""

    def __init__(self, limit: int, frames: Sequence[Any] = ()) -> None:
        super().__init__(f"an event is longer than {limit} bytes")
        self.limit = limit
        self.frames = tuple(frames)


class BodyTooLarge(MockServerError, ValueError):
    """A body, once it is decoded, has more than `limit` bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the body has more than {limit} bytes")
        self.limit = limit


class InvalidEncoding(MockServerError, ValueError):
    """A body is not what its `Content-Encoding` says: `coding` names what it is not, or not to its end."""

    def __init__(self, coding: str) -> None:
        super().__init__(f"the body is not {coding} data")
        self.coding = coding


class UnsupportedEncoding(MockServerError, ValueError):
    """A body has a content coding that cannot be decoded; the message names those that can."""


class InvalidExchange(MockServerError, ValueError):
    """An exchange is invalid; the message names the file and the JSON pointer of every problem.

    `file`, `pointer` and `reason` are those of the first of its `problems`.
    """

    def __init__(self, file: str, pointer: str, reason: str) -> None:
        super().__init__(f"{file}{'#' + pointer if pointer else ''}: {reason}")
        self.file = file
        self.pointer = pointer
        self.reason = reason
        self.problems: tuple[InvalidExchange, ...] = (self,)

    @classmethod
    def combine(cls, errors: Sequence[InvalidExchange]) -> InvalidExchange:
        """One error with the problems of several, a line each."""
        problems = tuple(problem for error in errors for problem in error.problems)
        combined = cls(problems[0].file, problems[0].pointer, problems[0].reason)
        if len(problems) > 1:
            combined.args = ("\n".join(str(each) for each in problems),)
            combined.problems = problems
        return combined


class UnsatisfiableSchema(MockServerError, ValueError):
    """No value satisfies a JSON Schema; `pointer` names the keyword at fault."""

    def __init__(self, pointer: str, reason: str) -> None:
        super().__init__(f"{pointer or '/'}: {reason}")
        self.pointer = pointer
        self.reason = reason


class LiveError(MockServerError):
    """A live endpoint is unreachable or refuses the key. The message contains no key."""


class MissingPackage(MockServerError, ImportError):
    """An optional package is not installed; the message says how to install it."""


@contextmanager
def optional_packages() -> Iterator[None]:
    """Raise MissingPackage instead of ModuleNotFoundError if the block imports an optional package."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _INSTALL_NAMES:
            raise
        message = f"{package} is not installed: {install_command(_INSTALL_NAMES[package])}"
        raise MissingPackage(message, name=package) from None


def install_command(requirement: str) -> str:
    """The command that installs a requirement for this program: pip does not reach the environment of a tool."""
    folder = sys.prefix.replace("\\", "/")
    for part, program in _TOOL_FOLDERS.items():
        if part in folder and requirement.startswith("responses-mockserver"):
            return f"{program} install --force '{requirement}'"
    return f"pip install '{requirement}'"


#: By a part of its environments' path: the program that installed this one for itself.
_TOOL_FOLDERS = {"/pipx/venvs/": "pipx", "/uv/tools/": "uv tool"}
#: By optional package: what to install for it.
_INSTALL_NAMES = {
    "backports": "responses-mockserver[compression]",
    "brotli": "responses-mockserver[compression]",
    "cryptography": "responses-mockserver[intercept]",
    "dashscope": "responses-mockserver[tokenizer]",
    "hypothesis": "responses-mockserver[pytest]",
    "openai": "openai",
    "prometheus_client": "responses-mockserver[metrics]",
    "pytest": "responses-mockserver[pytest]",
    "redis": "responses-mockserver[redis]",
    "schemathesis": "schemathesis",
    "trustme": "responses-mockserver[intercept]",
    "tiktoken": "responses-mockserver[tokenizer]",
}


class StartError(MockServerError):
    """The server did not start, or its thread has ended; the message says why."""


class ContractError(AssertionError):
    """A contract violation; each of `findings` has a rule, a location, and the expected and actual value."""

    def __init__(
        self, findings: Sequence[Any], title: str = "the contract was broken", *, message: str = ""
    ) -> None:
        """`message` is the whole text; by default it is the title and a line for each finding."""
        super().__init__(message or "\n".join([f"{title}:", *(f"  {finding}" for finding in findings)]))
        self.findings = tuple(findings)
