"""How a Python client reacts to each fault: `faults.py openai|httpx CASE…`, one line of JSON for each case.

A case is `stream FAULT` or `body FAULT`. The back-off is shortened; the clients are otherwise unchanged.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeAlias

BASE_URL, KEY = os.environ["OPENAI_BASE_URL"], os.environ["OPENAI_API_KEY"]
MODEL, TEXT = "qwen3-max-2026-01-23", "One two three four."
TIMEOUT = 1.0

SendCase: TypeAlias = Callable[[str, dict[str, str]], str]


def openai_sender() -> SendCase:
    import openai
    from openai import _base_client

    for name in ("INITIAL_RETRY_DELAY", "MAX_RETRY_DELAY"):
        setattr(_base_client, name, 0.01)
    client = openai.OpenAI(base_url=BASE_URL, api_key=KEY, timeout=TIMEOUT, max_retries=2)

    def ask(mode: str, headers: dict[str, str]) -> str:
        if mode == "body":
            return str(client.responses.create(model=MODEL, input="x", extra_headers=headers).output_text)
        events = client.responses.create(model=MODEL, input="x", stream=True, extra_headers=headers)
        return describe_events([event.to_dict() for event in events])

    return ask


def httpx_sender() -> SendCase:
    import httpx

    client = httpx.Client(base_url=BASE_URL, headers={"authorization": f"Bearer {KEY}"}, timeout=TIMEOUT)

    def ask(mode: str, headers: dict[str, str]) -> str:
        body = {"model": MODEL, "input": "x", "stream": mode == "stream"}
        with client.stream("POST", "/responses", json=body, headers=headers) as reply:
            reply.read()
            reply.raise_for_status()
            if mode == "body":
                return str(reply.json()["output"][0]["content"][0]["text"])
            lines = [line[5:] for line in reply.text.splitlines() if line.startswith("data:")]
            return describe_events([json.loads(line) for line in lines])

    return ask


def describe_events(events: list[dict[str, Any]]) -> str:
    text = "".join(each.get("delta", "") for each in events if "output_text.delta" in str(each.get("type")))
    kinds = [each.get("type") for each in events]
    if "response.completed" not in kinds:
        return f"ends without completed: {kinds[-1] if kinds else 'no event'}"
    return text if kinds[0] == "response.created" else f"begins with {kinds[0]}"


def outcome(ask: SendCase, number: int, case: str) -> str:
    mode, fault = case.split(" ", 1)
    headers = {"x-mock-fault": fault, "x-case": str(number)}
    try:
        got = ask(mode, headers)
    except Exception as error:  # noqa: BLE001 (every exception is an outcome)
        return type(error).__name__
    return "all of it" if got == TEXT else str(got)[:80] or "an empty text"


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    ask = {"openai": openai_sender, "httpx": httpx_sender}[sys.argv[1]]()
    cases = sys.argv[2:]
    with ThreadPoolExecutor(6) as pool:
        for case, result in zip(cases, pool.map(partial(outcome, ask), range(len(cases)), cases)):  # noqa: B905
            print(json.dumps([case, result]), flush=True)
