"""A small client with only the standard library, without a defect."""

from __future__ import annotations

import io
import json
import os
import sys
from urllib.request import Request, urlopen

STREAM = os.environ["MOCKSERVER_STREAM"] == "1"
BODY = {"model": os.environ["MOCKSERVER_MODEL"], "input": os.environ["MOCKSERVER_INPUT"], "stream": STREAM}
REQUEST = Request(
    os.environ["OPENAI_BASE_URL"] + "/responses",
    json.dumps(BODY).encode(),
    {"Authorization": f"Bearer {os.environ['OPENAI_API_KEY']}", "Content-Type": "application/json"},
)

with urlopen(REQUEST, timeout=float(os.environ["MOCKSERVER_TIMEOUT"]) / 2) as reply:
    response = None
    if not STREAM:
        response = json.load(reply)
    else:
        for line in io.TextIOWrapper(reply, "utf-8"):  # any line end, any piece of bytes
            if line.startswith("data:"):
                event = json.loads(line[5:])
                if event.get("type") in ("response.completed", "response.incomplete"):
                    response = event["response"]

if response is None or response["status"] not in ("completed", "incomplete"):
    sys.exit("the reply failed")
messages = [item for item in response["output"] if item["type"] == "message"]
text = "".join(part["text"] for message in messages for part in message["content"])
sys.stdout.buffer.write(text.encode())
if response["status"] == "incomplete":
    sys.stderr.write("the reply is incomplete\n")
