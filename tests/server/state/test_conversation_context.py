"""A turn of a long conversation costs as much as one of a short conversation."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import pytest

from mockserver.server.engine.pipeline import respond
from mockserver.server.state.sessions import open_session
from mockserver.server.state.store import Conversation, MemoryStore

PROFILE = "qwen-2026-09"


def turn_input(number: int, *, with_calls: bool) -> Any:
    message = {"role": "user", "content": f"Question {number:04}"}
    if not with_calls:
        return [message]
    call = {"type": "function_call", "call_id": f"call_{number}", "name": "look", "arguments": "{}"}
    return [call, {"type": "function_call_output", "call_id": f"call_{number}", "output": "x"}, message]


async def count_steps(turns: int, *, in_conversation: bool, with_calls: bool) -> list[int]:
    """How many functions each turn calls."""
    session, store = open_session(profile=PROFILE, seed=1), MemoryStore()
    conversation = Conversation("conv_1", session.name, session.clock.now(), b"{}")
    await store.put_conversation(conversation)
    path, previous, counts = f"{session.profile.base_path}/responses", None, []
    for number in range(turns):
        body = {"model": session.profile.models[0], "input": turn_input(number, with_calls=with_calls)}
        body |= {"conversation": "conv_1"} if in_conversation else {"previous_response_id": previous}
        events = 0

        def count(_frame: Any, event: str, _argument: Any) -> None:
            nonlocal events
            events += event in ("call", "c_call")

        sys.setprofile(count)
        try:
            reply = await respond(session, store, path, json.dumps(body).encode())
        finally:
            sys.setprofile(None)
        counts.append(events)
        previous = json.loads(reply.pieces[0])["id"]
    return counts


@pytest.mark.parametrize("with_calls", [False, True], ids=["texts", "calls"])
@pytest.mark.parametrize("in_conversation", [False, True], ids=["chain", "conversation"])
def test_the_cost_of_a_turn_does_not_grow(in_conversation: bool, with_calls: bool) -> None:
    counts = asyncio.run(count_steps(120, in_conversation=in_conversation, with_calls=with_calls))
    assert min(counts[-10:]) <= 1.1 * min(counts[10:20])
