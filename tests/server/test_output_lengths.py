"""The length of generated replies: `--output-tokens`, the setting `output_tokens`."""

from __future__ import annotations

import json
import re
from statistics import mean
from typing import Any

import httpx
import pytest

from mockserver.contract.check import check_response, check_stream
from mockserver.errors import ConfigurationError
from mockserver.testing.mock import MockServer
from mockserver.wire.sse import Decoder

PROFILES = ["qwen-2026-01", "qwen-2026-09", "openresponses-2026-04"]


def final_response(reply: httpx.Response, profile: str) -> dict[str, Any]:
    """The response of a reply, after a check of the reply."""
    assert reply.status_code == 200, reply.text
    if not reply.headers["content-type"].startswith("text/event-stream"):
        assert check_response(reply.json(), profile=profile) == []
        return dict(reply.json())
    frames = [each.data or "" for each in Decoder().feed(reply.content)]
    events = [json.loads(each) for each in frames if each != "[DONE]"]
    assert check_stream(events, profile=profile) == []
    return dict(events[-1]["response"])


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("prompt", ["Hello", "你好", "Привет"])
def test_a_reply_has_the_tokens_that_the_request_allows(profile: str, stream: bool, prompt: str) -> None:
    with MockServer(profile=profile, output_tokens="max") as server, server.httpx() as client:
        for limit in (16, 17, 1000):
            body = {"model": server.model, "input": prompt, "max_output_tokens": limit, "stream": stream}
            response = final_response(client.post("/responses", json=body), profile)
            assert (response["status"], response["usage"]["output_tokens"]) == ("completed", limit)
        usual = {"model": server.model, "input": prompt, "stream": stream}
        assert final_response(client.post("/responses", json=usual), profile)["usage"]["output_tokens"] < 100


def test_what_benchmarks_of_vllm_send_is_answered() -> None:
    """The tool guidellm 0.8.1 asks for exactly N tokens with these three members."""
    with MockServer(output_tokens="max") as server, server.httpx() as client:
        body = {
            "model": server.model,
            "input": [{"role": "user", "content": [{"type": "input_text", "text": "Hello"}]}],
            "stream": True,
            "max_output_tokens": 128,
            "stop": None,
            "ignore_eos": True,
        }
        response = final_response(client.post("/responses", json=body), server.profile)
        assert response["usage"]["output_tokens"] == 128


@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
def test_chat_completions_have_the_tokens_that_the_request_allows(limit: str) -> None:
    with MockServer(output_tokens="max") as server, server.httpx() as client:
        body = {"model": server.model, "messages": [{"role": "user", "content": "Hello"}], limit: 200}
        reply = client.post(f"{server.chat_base_url}/chat/completions", json=body)
        assert reply.json()["usage"]["completion_tokens"] == 200
        assert reply.json()["choices"][0]["finish_reason"] == "stop"


def test_thinking_counts() -> None:
    with MockServer(profile="qwen-2026-09", output_tokens="max") as server, server.httpx() as client:
        for limit in (16, 500):
            body = {
                "model": server.model,
                "input": "Hello",
                "max_output_tokens": limit,
                "enable_thinking": True,
            }
            response = final_response(client.post("/responses", json=body), server.profile)
            assert (response["status"], response["usage"]["output_tokens"]) == ("completed", limit)


def lengths(seed: int, output_tokens: int | str) -> list[int]:
    with MockServer(seed=seed, output_tokens=output_tokens) as server, server.httpx() as client:
        return [
            client.post("/responses", json={"model": server.model, "input": str(number)}).json()["usage"][
                "output_tokens"
            ]
            for number in range(60)
        ]


def test_a_number_is_the_length_of_every_reply() -> None:
    assert set(lengths(1, 33)) == {33}


def test_a_distribution_follows_from_the_seed() -> None:
    first = lengths(1, "normal(200,50)")
    assert first == lengths(1, "normal(200,50)") != lengths(2, "normal(200,50)")
    assert mean(first) == pytest.approx(200, rel=0.15)
    assert len(set(first)) > 20


def test_a_shorter_limit_cuts_the_reply() -> None:
    with MockServer(profile="qwen-2026-09", output_tokens=100) as server, server.httpx() as client:
        body = {"model": server.model, "input": "Hello", "max_output_tokens": 20}
        response = final_response(client.post("/responses", json=body), server.profile)
        assert (response["status"], response["usage"]["output_tokens"]) == ("incomplete", 20)


def test_stubs_and_calls_keep_their_length() -> None:
    tool = {"type": "function", "name": "look_up", "parameters": {"type": "object", "properties": {}}}
    with MockServer(output_tokens=100, strict=False) as server, server.httpx() as client:
        server.reply("Three short words.")
        body = {"model": server.model, "input": "Hello"}
        assert client.post("/responses", json=body).json()["usage"]["output_tokens"] == 4
        call = client.post("/responses", json={**body, "tools": [tool]}).json()
        assert [each["type"] for each in call["output"]] == ["function_call"]


@pytest.mark.parametrize("limit", ["many", -5, 0, True, 10**9])
def test_a_limit_that_a_profile_ignores_may_be_anything(limit: object) -> None:
    with MockServer(output_tokens="max") as server, server.httpx() as client:
        body = {"model": server.model, "input": "Hello", "max_output_tokens": limit}
        response = final_response(client.post("/responses", json=body), server.profile)
        assert response["usage"]["output_tokens"] <= 16_384


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0", "a reply has from 1 to 16384 tokens"),
        ("99999", "a reply has from 1 to 16384 tokens"),
        ("normal(9000,10)", "a reply has from 1 to 16384 tokens"),
        ("maximum", "output tokens, if not usual or max: expected a number or a distribution"),
        ("norml(20,5)", "no distribution 'norml'; did you mean 'normal'?"),
    ],
)
def test_an_invalid_length_is_an_error(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        MockServer(output_tokens=text)
