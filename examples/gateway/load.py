"""Send requests to a gateway, and print statuses and latencies."""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections import Counter

import httpx


async def ask(client: httpx.AsyncClient, limit: asyncio.Semaphore, number: int) -> tuple[str, float]:
    """The outcome of one request, and its seconds."""
    body = {"model": "qwen3-max-2026-01-23", "input": f"Question {number}", "stream": number % 2 == 0}
    async with limit:
        start = time.monotonic()
        try:
            reply = await client.post("/v1/responses", json=body)
        except httpx.TransportError as error:
            return type(error).__name__, time.monotonic() - start
        complete = "response.completed" in reply.text or '"status":"completed"' in reply.text
        outcome = "complete" if complete else f"status {reply.status_code}"
        return outcome, time.monotonic() - start


async def main(url: str, requests: int, concurrency: int) -> None:
    """Print what users of the gateway see."""
    limit = asyncio.Semaphore(concurrency)
    headers = {"authorization": "Bearer sk-load-test"}
    limits = httpx.Limits(max_connections=concurrency)
    async with httpx.AsyncClient(
        base_url=url, headers=headers, limits=limits, timeout=120, trust_env=False
    ) as client:
        results = await asyncio.gather(*(ask(client, limit, number) for number in range(requests)))
    for outcome, count in Counter(outcome for outcome, _ in results).most_common():
        print(f"{outcome:12} {count}")
    quantiles = statistics.quantiles([seconds for _, seconds in results], n=100)
    for percent in (50, 95, 99):
        print(f"p{percent:<11} {quantiles[percent - 1]:.3f} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--requests", type=int, default=500)
    parser.add_argument("--concurrency", type=int, default=50)
    asyncio.run(main(**vars(parser.parse_args())))
