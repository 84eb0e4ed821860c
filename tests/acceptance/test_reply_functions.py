"""A reply function that decides how each reply is sent, as the openai SDK for Python sees it over a socket."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mockserver import ErrorReply, FunctionCall, IncomingRequest, MockServer, Reply
from mockserver.testing.reply_values import ReplyResult
from tests.acceptance.conftest import isolated_environment
from tests.programs import run_program

pytestmark = pytest.mark.acceptance

CLIENT = """
import json, os, sys
import openai

client = openai.OpenAI(max_retries=0)
ask = lambda prompt, **more: client.responses.create(model=sys.argv[1], input=prompt, **more)

def outcome(prompt):
    try:
        if prompt.startswith("stream"):
            return [event.delta for event in ask(prompt, stream=True) if event.type == "response.output_text.delta"]
        response = ask(prompt)
        return [response.status, response.output[-1].type, response.output_text, response.usage.output_tokens]
    except openai.APIStatusError as error:
        return [type(error).__name__, error.response.headers.get("retry-after-ms")]
    except openai.OpenAIError as error:
        return [type(error).__name__]

print(json.dumps({prompt: outcome(prompt) for prompt in sys.argv[2:]}))
"""

RESULTS: dict[str, ReplyResult] = {
    "text": "A text.",
    "items": ["I look.", FunctionCall("look", {"at": 1})],
    "object": {"text": "An object.", "usage": {"output_tokens": 7}, "delay_ms": 1},
    "options": Reply("Cut sho", incomplete=True, usage={"output_tokens": 3}, chunking="bytes:5"),
    "error": ErrorReply("rate-429", retry_after_ms=70),
    "error object": {"error": {"status": 418, "code": "Teapot", "message": "Short and stout."}},
    "stream chunks": Reply(chunks=["In ", "three ", "pieces."]),
    "stream cut": Reply(chunks=["In ", "three ", "pieces."], fault="cut-after,after=5"),
}


def reply_to(request: IncomingRequest) -> ReplyResult:
    return RESULTS[request.prompt]


def test_a_function_returns_whatever_reply_takes(newest_openai: Path) -> None:
    with MockServer() as server:
        server.reply(reply_to).always()
        done = run_program(
            [newest_openai, "-c", CLIENT, server.model, *RESULTS],
            env=isolated_environment(OPENAI_BASE_URL=server.base_url, OPENAI_API_KEY=server.api_key),
        )
        details = {each.prompt: each.detail for each in server.journal}
        server.check()

    assert done.returncode == 0, done.stderr
    outcomes = json.loads(done.stdout)
    tokens = outcomes["text"].pop(), outcomes["items"].pop()
    assert all(number > 0 for number in tokens)
    assert outcomes == {
        "text": ["completed", "message", "A text."],
        "items": ["completed", "function_call", "I look."],
        "object": ["completed", "message", "An object.", 7],
        "options": ["incomplete", "message", "Cut sho", 3],
        "error": ["RateLimitError", "70"],
        "error object": ["APIStatusError", None],
        "stream chunks": ["In ", "three ", "pieces."],
        "stream cut": ["In "],
    }
    assert details["stream cut"] == "fault cut-after"
