"""A mock server and contract-testing kit for Qwen's OpenAI-compatible Responses API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mockserver.contract.findings import Finding
    from mockserver.errors import (
        ConfigurationError,
        ContractError,
        InvalidExchange,
        MockServerError,
        StartError,
    )
    from mockserver.replies.script import FunctionCall, Message, Reasoning, Script, ToolCall, Usage
    from mockserver.server.delivery.holds import Hold
    from mockserver.server.state.journal import Entry, Journal
    from mockserver.server.stubs.matchers import IncomingRequest
    from mockserver.server.stubs.stubs import Stub
    from mockserver.testing import strategies
    from mockserver.testing.conformance import assert_client_conforms, client_contract
    from mockserver.testing.mock import MockServer, MockSession
    from mockserver.testing.reply_values import ErrorReply, Reply

__version__ = "0.1.0"

__all__ = [
    "ConfigurationError",
    "ContractError",
    "Entry",
    "ErrorReply",
    "Finding",
    "FunctionCall",
    "Hold",
    "IncomingRequest",
    "InvalidExchange",
    "Journal",
    "Message",
    "MockServer",
    "MockServerError",
    "MockSession",
    "Reasoning",
    "Reply",
    "Script",
    "StartError",
    "Stub",
    "ToolCall",
    "Usage",
    "__version__",
    "assert_client_conforms",
    "client_contract",
    "strategies",
]

_LAZY_MODULES = {
    "ConfigurationError": "mockserver.errors",
    "ContractError": "mockserver.errors",
    "Entry": "mockserver.server.state.journal",
    "ErrorReply": "mockserver.testing.reply_values",
    "Finding": "mockserver.contract.findings",
    "FunctionCall": "mockserver.replies.script",
    "Hold": "mockserver.server.delivery.holds",
    "IncomingRequest": "mockserver.server.stubs.matchers",
    "InvalidExchange": "mockserver.errors",
    "Journal": "mockserver.server.state.journal",
    "Message": "mockserver.replies.script",
    "MockServer": "mockserver.testing.mock",
    "MockServerError": "mockserver.errors",
    "MockSession": "mockserver.testing.mock",
    "Reasoning": "mockserver.replies.script",
    "Reply": "mockserver.testing.reply_values",
    "Script": "mockserver.replies.script",
    "StartError": "mockserver.errors",
    "Stub": "mockserver.server.stubs.stubs",
    "ToolCall": "mockserver.replies.script",
    "Usage": "mockserver.replies.script",
    "assert_client_conforms": "mockserver.testing.conformance",
    "client_contract": "mockserver.testing.conformance",
    "strategies": "mockserver.testing.strategies",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that `import mockserver` alone costs nothing."""
    if name not in _LAZY_MODULES:
        raise AttributeError(f"module 'mockserver' has no attribute {name!r}")
    from importlib import import_module

    from mockserver.errors import optional_packages

    with optional_packages():
        module = import_module(_LAZY_MODULES[name])
    return module if name == "strategies" else getattr(module, name)


def __dir__() -> list[str]:
    """The public names, also those that are not imported yet."""
    return sorted({*globals(), *__all__})
