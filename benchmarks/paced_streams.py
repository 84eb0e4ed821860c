"""How many streams one core paces at 50 tokens a second.

The server has one core and the client, in this process, another one. Streams of 4.5 tokens an event are opened evenly
within two seconds and last for nine; only gaps in the time count in which all of them are open. The gap error is the
difference between the time from one delta to the next and the time that the tokens of the later one take.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import resource
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import httpx
import uvloop

from benchmarks.pacing import MODEL, TOKENS_PER_SECOND, TTFT_MS, open_streams, percentile
from benchmarks.processes import MockServerProcess, cpu_seconds, pin_to_core, running_mockserver

__all__ = ["MAX_GAP_ERROR_MS", "PacedStreams", "find_most_streams"]

MAX_GAP_ERROR_MS = 10.0

_SERVER_CORE, _CLIENT_CORE = 0, 1
_OPENING_S = 2.0
_EXCHANGE = {"match": "Count.", "reply": {"chunks": [" one two three four", " one two three four five"] * 50}}
_BODY = json.dumps({"model": MODEL, "input": "Count.", "stream": True}).encode()


class PacedStreams(NamedTuple):
    """The figures of a number of streams."""

    streams: int
    gap_error_p50_ms: float
    gap_error_p99_ms: float
    tokens_per_event: float
    events_per_second: float
    server_cpu: float
    """The fraction of its core that the server used."""


def find_most_streams(folder: Path, steps: list[int]) -> list[PacedStreams]:
    """Measure more and more streams, until the gap error is too large twice in a row; the last one may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 65536)), hard))
    cores = os.sched_getaffinity(0)
    exchanges = folder / "exchanges"
    exchanges.mkdir()
    (exchanges / "count.json").write_text(json.dumps(_EXCHANGE))
    options = ("--pace", f"model:{TTFT_MS},{TOKENS_PER_SECOND}", "--exchanges", str(exchanges))
    gc.disable()
    try:
        with running_mockserver(folder, *options, core=_SERVER_CORE) as server:
            pin_to_core(_CLIENT_CORE)
            return uvloop.run(_measure_steps(server, steps))
    finally:
        gc.enable()
        os.sched_setaffinity(0, cores)


async def _measure_steps(server: MockServerProcess, steps: list[int]) -> list[PacedStreams]:
    await _measure(server, 20)  # warms up
    measured = []
    for count in steps:
        figures = await _measure(server, count)
        if figures.gap_error_p99_ms > MAX_GAP_ERROR_MS:  # something else may have run
            figures = min(figures, await _measure(server, count), key=lambda each: each.gap_error_p99_ms)
        measured.append(figures)
        if figures.gap_error_p99_ms > MAX_GAP_ERROR_MS:
            break
    return measured


async def _measure(server: MockServerProcess, count: int) -> PacedStreams:
    url = httpx.URL(server.base_url)
    clients = await open_streams(url, count, _OPENING_S, _BODY)
    await asyncio.gather(*[client.began for client in clients])
    loop = asyncio.get_running_loop()
    began, used = loop.time(), cpu_seconds(server.process.pid)
    await asyncio.wait([client.ended for client in clients], return_when=asyncio.FIRST_COMPLETED)
    share = (cpu_seconds(server.process.pid) - used) / (loop.time() - began)
    await asyncio.gather(*[client.ended for client in clients])
    streams = [client.deltas() for client in clients]
    begin, end = max(stream[0][0] for stream in streams), min(stream[-1][0] for stream in streams)
    gaps = [
        (at - before, tokens)
        for stream in streams
        for (before, _), (at, tokens) in pairwise(stream)
        if begin <= before and at <= end
    ]
    errors = [abs(gap - tokens / TOKENS_PER_SECOND) * 1000 for gap, tokens in gaps]
    return PacedStreams(
        streams=count,
        gap_error_p50_ms=percentile(errors, 0.5),
        gap_error_p99_ms=percentile(errors, 0.99),
        tokens_per_event=round(sum(tokens for _, tokens in gaps) / len(gaps), 2),
        events_per_second=round(len(gaps) / (end - begin)),
        server_cpu=round(share, 2),
    )
