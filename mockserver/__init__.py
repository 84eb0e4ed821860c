"""A mock server and contract-testing kit for Qwen's OpenAI-compatible Responses API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mockserver.errors import ContractError
    from mockserver.replies.script import FunctionCall, Message, Reasoning, Script, ToolCall
    from mockserver.testing import strategies
    from mockserver.testing.conformance import assert_client_conforms, client_contract
    from mockserver.testing.mock import MockServer

__version__ = "0.1.0"

__all__ = [
    "ContractError",
    "FunctionCall",
    "Message",
    "MockServer",
    "Reasoning",
    "Script",
    "ToolCall",
    "__version__",
    "assert_client_conforms",
    "client_contract",
    "strategies",
]

_LAZY_MODULES = {
    "ContractError": "mockserver.errors",
    "FunctionCall": "mockserver.replies.script",
    "Message": "mockserver.replies.script",
    "MockServer": "mockserver.testing.mock",
    "Reasoning": "mockserver.replies.script",
    "Script": "mockserver.replies.script",
    "ToolCall": "mockserver.replies.script",
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
