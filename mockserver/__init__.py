"""A mock server and contract-testing kit for Qwen's OpenAI-compatible Responses API."""

__version__ = "0.1.0"
