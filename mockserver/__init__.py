"""A mock server and contract-testing kit for Qwen's OpenAI-compatible Responses API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mockserver.testing import strategies
    from mockserver.testing.conformance import assert_client_conforms, client_contract
    from mockserver.testing.mock import MockServer

__version__ = "0.1.0"

__all__ = ["MockServer", "__version__", "assert_client_conforms", "client_contract", "strategies"]


def __getattr__(name: str) -> Any:
    """Load what is asked for when it is: `import mockserver` alone costs nothing."""
    if name == "MockServer":
        from mockserver.testing.mock import MockServer

        return MockServer
    if name == "strategies":
        from mockserver.testing import strategies

        return strategies
    if name in ("assert_client_conforms", "client_contract"):
        from mockserver.testing import conformance

        return getattr(conformance, name)
    raise AttributeError(f"module 'mockserver' has no attribute {name!r}")
