"""Rate limits, with a clock that only the test advances."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from mockserver.errors import ConfigurationError
from mockserver.server.state.rate_limits import Limits, parse_limits
from mockserver.testing.mock import MockServer
from tests.api_client import wait_until


def ask(server: MockServer, content: str = "Hello", **members: Any) -> httpx.Response:
    key = members.pop("key", server.api_key)
    with server.httpx(headers={"authorization": f"Bearer {key}"}) as client:
        return client.post("/responses", json={"model": server.model, "input": content, **members})


def error_codes(server: MockServer, count: int) -> list[str]:
    return [ask(server).json().get("code", "") for _ in range(count)]


def test_requests_per_minute_and_per_second() -> None:
    with MockServer(strict=False, limit="requests=120") as server:
        assert error_codes(server, 3) == ["", "", "Throttling.RateQuota"]
        server.clock.advance(1)
        assert error_codes(server, 3) == ["", "", "Throttling.RateQuota"]
        for _ in range(58):
            server.clock.advance(1)
            assert error_codes(server, 2) == ["", ""]
        server.clock.advance(1)
        assert error_codes(server, 2) == ["", ""]


def test_the_minute_limit_applies_within_the_second_limit() -> None:
    with MockServer(strict=False, limit="requests=2") as server:
        for _ in range(2):
            assert error_codes(server, 1) == [""]
            server.clock.advance(2)
        assert error_codes(server, 1) == ["Throttling.RateQuota"]
        server.clock.advance(57)
        assert error_codes(server, 1) == [""]


def test_input_and_output_tokens_count() -> None:
    with MockServer(strict=False, limit="tokens=6000") as server:
        first = ask(server)
        total = first.json()["usage"]["total_tokens"]
        server.clock.advance(2)
        assert ask(server, "word " * (6001 - total)).json()["code"] == "Throttling.AllocationQuota"
        assert ask(server).status_code == 200


def test_the_burst_limit() -> None:
    with MockServer(strict=False, limit=["burst=2", "requests=6000"]) as server:
        assert error_codes(server, 3) == ["", "", "Throttling.BurstRate"]
        reply = ask(server)
        assert (reply.status_code, "x-mock-fault" in reply.headers) == (429, False)
        server.clock.advance(1)
        assert error_codes(server, 1) == [""]


def test_limits_apply_per_key_and_model() -> None:
    with MockServer(strict=False, limit="requests=1", api_key=["sk-one", "sk-two"], model="any") as server:
        assert [ask(server, key=key).status_code for key in ("sk-one", "sk-one", "sk-two")] == [200, 429, 200]
        assert ask(server, key="sk-one", model="another").status_code == 200


def test_the_concurrency_limit() -> None:
    with (
        MockServer(strict=False, limit="concurrency=2", pace="fixed:300", pauses="clock") as server,
        ThreadPoolExecutor(4) as pool,
    ):
        in_flight = [pool.submit(ask, server) for _ in range(2)]
        wait_until(lambda: server.clock.waiter_count == 2)
        assert [ask(server).status_code for _ in range(2)] == [429, 429]
        server.clock.advance(0.3)
        assert [each.result().status_code for each in in_flight] == [200, 200]
        last = pool.submit(ask, server)
        wait_until(lambda: server.clock.waiter_count == 1)
        server.clock.advance(0.3)
        assert last.result().status_code == 200


def test_a_long_context_is_truncated_or_rejected() -> None:
    long = "word " * 5000
    with MockServer(strict=False, limit="context=1000") as server:
        assert ask(server, long).json()["usage"]["input_tokens"] == 800
        assert ask(server, "Hello").json()["usage"]["input_tokens"] < 800
    with MockServer(strict=False, limit=["context=1000", "context-error"]) as server:
        reply = ask(server, long)
        assert (reply.status_code, reply.json()["message"]) == (
            400,
            "Range of input length should be [1, 800]",
        )


def test_a_reset_clears_the_counters() -> None:
    with MockServer(strict=False, limit="requests=1") as server:
        assert error_codes(server, 2) == ["", "Throttling.RateQuota"]
        server.reset()
        assert error_codes(server, 1) == [""]


@pytest.mark.parametrize(
    "text", ["requests", "requests=0", "requests=x", "speed=1", "context_error=1", "context-error"]
)
def test_invalid_limits_are_an_error(text: str) -> None:
    with pytest.raises(ConfigurationError, match="limit"):
        parse_limits([text])
    assert parse_limits([]) is None
    assert parse_limits(["tokens=5", "context=9"]) == Limits(tokens=5, context=9)
