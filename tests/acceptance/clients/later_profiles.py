"""What users of openai's clients see in the profiles after January; shared by tests and docs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["CLIENTS", "PROFILES", "SCENARIOS", "SHARED_SCENARIOS", "expected_observations"]

PROFILES = ("qwen-2026-05", "qwen-2026-09")

#: What each scenario is, in the order of the table.
SCENARIOS = {
    "stored": "a response is retrieved, its input listed page by page, deleted, and then gone",
    "conversations": "all eight operations, and two turns in one conversation",
    "loop": "a function is called in a stream, its output sent in another, which answers",
    "structured": "structured output by `text.format`, with `--structured-output obey`: the service ignores it",
    "limited": "`max_output_tokens` and `reasoning.effort`",
    "helper": "the stream helper, with `qwen3-max-2026-01-23`, which does not think by default",
    "models": "the list of models",
}

#: Scenarios in which each client does the same in the latest profile as in that of January.
SHARED_SCENARIOS = ("basic", "messages", "two_turns", "stream", "helper", "function", "function_stream")

#: Environments, and the driver that plays in each.
CLIENTS: Mapping[str, tuple[str, str]] = {
    "openai-newest": ("openai", "openai_python_later.py"),
    "openai-2": ("openai", "openai_python_later.py"),
    "openai-2.15.0": ("openai", "openai_python_later.py"),
    "node": ("openai", "later.mjs"),
    "node-6": ("openai", "later.mjs"),
}

_EXPECTED: Mapping[str, Mapping[str, Any]] = {
    "stored": {"same": True, "roles": ["user", "assistant", "user"], "gone": "NotFoundError"},
    "conversations": {
        "roles": ["user", "user", "assistant", "user", "assistant", "user"],
        "last": "Bye.",
        "left": 5,
        "metadata": [{"c": "d"}, {"c": "d"}],
        "deleted": True,
    },
    "loop": {"called": "get_weather", "items": ["message"]},
    "structured": {"city": ["city", "population"]},
    "helper": {"items": ["message"]},
    "models": {"listed": True},
}
_LIMITED_STATUS = {"qwen-2026-05": "completed", "qwen-2026-09": "incomplete"}


def expected_observations(profile: str) -> dict[str, Any]:
    """By scenario: what the user of any of the clients sees."""
    return {**_EXPECTED, "limited": {"status": _LIMITED_STATUS[profile]}}
