"""Prints streams as openai-python does: `event.model_dump_json()` for each event.

Reads a JSON array of request bodies from standard input; prints one JSON array of lines for each.
The client finds the server and its key in OPENAI_BASE_URL and OPENAI_API_KEY.
"""

from __future__ import annotations

import json
import sys

from openai import OpenAI

client = OpenAI()
for body in json.load(sys.stdin):
    events = client.responses.create(**body)
    print(json.dumps([event.model_dump_json() for event in events]))
