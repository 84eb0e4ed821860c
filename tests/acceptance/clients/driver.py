"""What the Python drivers share: where the server is, the prompts, and one line of JSON for each scenario.

A driver runs scenarios with one client, using its own API, and reports what its user sees:

    OPENAI_BASE_URL=… OPENAI_API_KEY=… python -m tests.acceptance.clients.<driver> basic stream …
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

BASE_URL = os.environ["OPENAI_BASE_URL"]
API_KEY = os.environ["OPENAI_API_KEY"]
WRONG_KEY = "sk-wrong"
MODEL = "qwen3-max-2026-01-23"
UNKNOWN_MODEL = "gpt-5"

PROMPTS: dict[str, str] = json.loads(Path(__file__).with_name("prompts.json").read_text(encoding="utf-8"))
MESSAGES = [
    {"role": "system", "content": PROMPTS["system"]},
    {"role": "user", "content": PROMPTS["hello"]},
]
BUILT_IN_TOOLS = [{"type": "web_search"}, {"type": "code_interpreter"}, {"type": "web_extractor"}]
THINKING = {"enable_thinking": True}
CITY_SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "population": {"type": "integer"}},
    "required": ["city", "population"],
    "additionalProperties": False,
}
WEATHER_TOOL = {
    "type": "function",
    "name": "get_weather",
    "description": "Current weather of a city.",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}
WEATHER_OUTPUT = "Sunny, 31 degrees."

#: What the user of a client sees: text, types of items, calls, error, status, code, message …
Observation = dict[str, Any]


def run_scenarios(scenarios: Mapping[str, Callable[[], Observation]]) -> None:
    """Play the scenarios that the command line names."""
    for name in sys.argv[1:]:
        try:
            seen = scenarios[name]()
        except Exception as error:  # noqa: BLE001 - whatever the client raises is what its user sees
            seen = failure(error)
        print(json.dumps({"scenario": name, **seen}), flush=True)


def failure(error: BaseException) -> Observation:
    """An exception as the user sees it."""
    seen = {"error": type(error).__name__, "message": str(error)}
    for name, attribute in (("status", "status_code"), ("code", "code")):
        value = getattr(error, attribute, None)
        if value is not None:
            seen[name] = value
    return seen


def function_call(name: str, arguments: str | Mapping[str, Any]) -> Observation:
    """A call of a function, its arguments read as the client's user would read them."""
    return {"name": name, "arguments": json.loads(arguments) if isinstance(arguments, str) else arguments}
