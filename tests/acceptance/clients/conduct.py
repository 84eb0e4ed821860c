"""What openai for Python does by default: `conduct.py CASE…`, one line of JSON for each case.

A case is a session of the server that OPENAI_ORIGIN names.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import openai

MODEL = "qwen3-max-2026-01-23"


def run_case(case: str) -> str:
    url = os.environ["OPENAI_ORIGIN"] + f"/s/{case}" + os.environ["OPENAI_BASE_PATH"]
    client = openai.OpenAI(base_url=url, api_key=os.environ["OPENAI_API_KEY"])
    try:
        if case == "stop":
            stream: Any = client.responses.create(model=MODEL, input="Hi", stream=True)
            next(iter(stream))
            stream.close()
            return "closed"
        if case.endswith("stream"):
            events = client.responses.create(model=MODEL, input="Hi", stream=True)
            return str([event.type for event in events][-1])
        return str(client.responses.create(model=MODEL, input="Hi").status)
    except openai.OpenAIError as error:
        return type(error).__name__


for each in sys.argv[1:]:
    print(json.dumps([each, run_case(each)]), flush=True)
